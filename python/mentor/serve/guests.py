"""Sandboxes by their limits, and what environments print."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache

from mentor.sandbox import Outcome, Sandbox
from mentor.serve.settings import Settings

__all__ = ["Guests"]

_PRINTED = 16 << 20  # bytes of environments, of which it is known what they print
_ENTRY = 300  # bytes of one of them beside its text
_LEAST_MB = 48


class Guests:
    """The guests of a server.

    Args:
        settings: What they may use at most.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sandbox = lru_cache(maxsize=256)(self._make)
        self._printed: OrderedDict[str, str] = OrderedDict()
        self._bytes = 0

    def sandbox(self, timeout_ms: int, memory_mb: int = -1) -> Sandbox:
        """A sandbox with these limits, or the server's where they are less; `memory_mb` below 1 is the server's."""
        return self._sandbox(timeout_ms, memory_mb)

    def _make(self, timeout_ms: int, memory_mb: int) -> Sandbox:
        memory_mb = self._settings.memory_mb if memory_mb < 1 else max(memory_mb, _LEAST_MB)
        settings = self._settings
        return Sandbox(limits=settings.limits(timeout_ms, memory_mb), seed=settings.seed, guest=settings.guest)

    async def load(self, sandbox: Sandbox, env: str) -> Outcome:
        """What an environment does by itself: its fault, or what it prints.

        A run after an environment tells only of the run, so the environment runs once alone. As the same source always
        prints the same, this is remembered.
        """
        printed = self._printed.get(env)
        if printed is not None:
            self._printed.move_to_end(env)
            return Outcome(stdout=printed)
        outcome = await sandbox.arun(env, filename="<env>")
        if outcome.ok and outcome.reproducible and env not in self._printed:
            self._printed[env] = outcome.stdout
            self._bytes += _size(env, outcome.stdout)
            while self._bytes > _PRINTED:
                old, text = self._printed.popitem(last=False)
                self._bytes -= _size(old, text)
        return outcome


def _size(*texts: str) -> int:
    """Bytes that an entry can take: up to 4 for a character, and up to 4 where it was also read as UTF-8."""
    return _ENTRY + sum(len(text) if text.isascii() else 8 * len(text) for text in texts)
