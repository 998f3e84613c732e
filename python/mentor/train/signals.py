"""Ctrl-C: the first one ends training at the next step with a checkpoint, the second one ends it at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupted", "StopFlag", "stop_on_interrupt"]


class Interrupted(Exception):
    """Training ended at the user's wish."""


class StopFlag:
    """Whether a stop was asked for."""

    def __init__(self) -> None:
        self.set = False


@contextmanager
def stop_on_interrupt() -> Iterator[StopFlag]:
    """Turn the first SIGINT of a block into a flag; SIGTERM, which schedulers send, counts the same."""
    flag = StopFlag()

    def handle(number: int, frame: FrameType | None) -> None:
        if flag.set:
            raise KeyboardInterrupt
        flag.set = True

    old = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
