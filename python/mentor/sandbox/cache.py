"""Outcomes that are kept, so that the same program is not run again."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from dataclasses import replace

from mentor import _core
from mentor.sandbox.files import files_size
from mentor.sandbox.outcome import Limits, Outcome

__all__ = ["OutcomeCache", "copied"]


class OutcomeCache:
    """Outcomes by the content that they depend on; the least recently used make room.

    Args:
        limit: Bytes of output and values that are kept.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._size = 0
        self._known: OrderedDict[bytes, tuple[Outcome, int]] = OrderedDict()
        self._lock = threading.Lock()

    @staticmethod
    def key(limits: Limits, origin: tuple[object, ...], step: _core._Step, env: tuple[str, str] | None) -> bytes:
        """SHA-256 of all that decides an outcome; the time limit does not, where an outcome is reproducible."""
        bounds = (limits.memory_mb, limits.output_kb, limits.files_kb, limits.fuel)
        return hashlib.sha256(repr((bounds, origin, env, step)).encode("utf-8", "surrogatepass")).digest()

    def get(self, key: bytes) -> Outcome | None:
        """A kept outcome."""
        with self._lock:
            if key not in self._known:
                return None
            self._known.move_to_end(key)
            outcome = self._known[key][0]
        try:
            return copied(outcome)
        except RecursionError:  # deep in the caller's stack
            return None

    def put(self, key: bytes, outcome: Outcome) -> None:
        """Keep an outcome, if it would be the same again."""
        value = outcome.value_repr or repr(outcome.value)
        size = 1024 + len(outcome.stdout) + len(outcome.stderr) + 2 * len(value) + files_size(outcome.files)
        if not outcome.reproducible or size > self.limit:
            return
        try:
            kept = copied(outcome)
        except RecursionError:  # a value too deep to be copied
            return
        with self._lock:
            self._size += size - self._known.pop(key, (None, 0))[1]
            self._known[key] = (kept, size)
            while self._size > self.limit:
                self._size -= self._known.popitem(last=False)[1][1]


def copied(outcome: Outcome) -> Outcome:
    """The same with a value of its own, which its caller may change.

    Raises:
        RecursionError: The value is nested almost as deep as values can be read at all.
    """
    # Not `copy.deepcopy`, which takes several frames per level.
    return replace(outcome, value=json.loads(json.dumps(outcome.value)))
