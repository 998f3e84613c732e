"""Arguments, checked and in the form that the extension takes; waiting for it in asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from mentor import _core
from mentor.errors import InputError
from mentor.sandbox.outcome import Outcome, read_outcome

__all__ = ["as_call", "as_environment", "as_source", "check_whole", "wait_for"]


def check_whole(name: str, value: object, end: int) -> None:
    """Refuses what is no whole number below `end`, a power of two."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not 0 <= value < end:
        raise InputError(f"{name} must be from 0 to 2**{end.bit_length() - 1} - 1, not {value}")


def as_environment(env: str | None, filename: str = "<env>") -> tuple[str, str] | None:
    """An environment as the extension takes it."""
    return None if env is None else (as_source("env", env), as_source("env_filename", filename))


def as_call(name: str, arguments: str | Mapping[str, Any], where: str = "") -> tuple[str, str, bool | None]:
    """A call as the extension takes it."""
    if not isinstance(arguments, str):
        if not isinstance(arguments, Mapping):
            raise TypeError(f"{where}arguments must be a mapping or JSON text, not {type(arguments).__name__}")
        try:
            arguments = json.dumps(dict(arguments), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"{where}the arguments are no JSON: {error}") from error
    return (as_source(f"{where}name", name), as_source(f"{where}arguments", arguments), None)


async def wait_for(spawn: Callable[[Callable[[Any, Any], None]], _core.Handle]) -> Outcome:
    """Waits for what `spawn` starts; stops it where the waiting task is cancelled."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(raw: Any, error: Any) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(raw)

    def done(raw: Any, error: Any) -> None:  # on a thread of the sandbox
        # A loop that was closed in the meantime has nobody who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, raw, error)

    handle = spawn(done)
    try:
        return read_outcome(await future)
    except asyncio.CancelledError:
        handle.cancel()
        raise


def as_source(name: str, text: object) -> str:
    """Text that has UTF-8."""
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str, not {type(text).__name__}")
    # Lone surrogates have no UTF-8. As escapes they mean the same in a string literal, and nothing elsewhere.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
