"""Tools that run in a guest of the sandbox."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mentor.sandbox import Outcome, Sandbox, SavedState, Session
from mentor.tools.part import Done, Part, PartSession
from mentor.tools.schema import Tool

__all__ = ["FILENAME", "GuestPart"]

FILENAME = "<tools>"
"""What tracebacks call a source."""

_CALLS_PER_GUEST = 1_000
_WORTH_THREADS = 32  # calls of pure tools: below, one warm guest is as fast
_ENDING = frozenset(("timeout", "trap", "out_of_fuel", "memory_limit", "output_limit", "cancelled"))


class GuestPart(Part):
    """Functions that a source text defines."""

    def __init__(self, source: str, tools: Sequence[Tool], sandbox: Sandbox, *, pure: bool) -> None:
        self._source = source
        self._tools = {tool.name: tool for tool in tools}
        self._sandbox = sandbox
        self._pure = pure
        # By process: after a fork the parent's are of no use. list.append and list.pop need no lock.
        self._warm: dict[int, list[_Warm]] = {}
        self._bases: dict[int, SavedState] = {}

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools by name."""
        return self._tools

    @property
    def pure(self) -> bool:
        """Whether one guest serves many calls."""
        return self._pure

    @property
    def source(self) -> str:
        """The text that defines them."""
        return self._source

    def call(self, name: str, arguments: str) -> Outcome:
        """One call, in a guest that is like new or, of pure tools, in a warm one."""
        if self._pure:
            return self._call_warm(name, arguments)
        return self._sandbox.call(name, arguments, self._source, env_filename=FILENAME)

    def call_batch(self, calls: Sequence[tuple[str, str]]) -> list[Outcome]:
        """Many calls, side by side where that pays."""
        if self._pure and len(calls) < _WORTH_THREADS:
            return [self._call_warm(name, arguments) for name, arguments in calls]
        return self._sandbox.call_batch(calls, self._source, env_filename=FILENAME)

    def open(self) -> PartSession:
        """A session in which the source was run; it takes its instance at the first call."""
        return _Stateless(self) if self._pure else _GuestSession(self)

    def session(self) -> Session | Outcome:
        """A session right after the source; the outcome of the source where that fails."""
        base = self._bases.get(os.getpid())
        if base is None:
            session = self._sandbox.session()
            try:
                loaded = session.run(self._source, filename=FILENAME)
                if not loaded.ok:
                    return loaded
                base = session.save()
            finally:
                session.close()
            self._bases[os.getpid()] = base
        return self._sandbox.restore(base)

    def _call_warm(self, name: str, arguments: str) -> Outcome:
        idle = self._warm.setdefault(os.getpid(), [])
        try:
            warm = idle.pop()
        except IndexError:
            session = self.session()
            if isinstance(session, Outcome):
                return session
            warm = _Warm(session)
        outcome = warm.session.call(name, arguments)
        warm.calls += 1
        if outcome.ok and warm.calls < _CALLS_PER_GUEST:
            idle.append(warm)
        else:
            warm.session.close()
        return outcome

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._source, tuple(self._tools.values()), self._sandbox, self._pure)


def _rebuild(source: str, tools: Sequence[Tool], sandbox: Sandbox, pure: bool) -> GuestPart:
    return GuestPart(source, tools, sandbox, pure=pure)


class _Warm:
    """A session with the tools loaded."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.calls = 0


class _Stateless(PartSession):
    """Pure tools in a rollout: they share the warm guests of all others."""

    def __init__(self, part: GuestPart) -> None:
        self._part = part

    def call(self, name: str, arguments: str) -> Outcome:
        return self._part.call(name, arguments)


class _GuestSession(PartSession):
    """A guest of one rollout."""

    def __init__(self, part: GuestPart, session: Session | None = None) -> None:
        self._part = part
        self._session = session
        self._saved = session is not None

    def call(self, name: str, arguments: str) -> Outcome:
        session = self._open()
        return session if isinstance(session, Outcome) else self._settle(session.call(name, arguments))

    def start(self, name: str, arguments: str, done: Done) -> Callable[[], object] | None:
        session = self._open()
        return None if isinstance(session, Outcome) else session.start_call(name, arguments, done)

    def finish(self, outcome: Outcome) -> Outcome:
        return self._settle(outcome)

    def _open(self) -> Session | Outcome:
        if self._session is None:
            session = self._part.session()
            if isinstance(session, Outcome):
                return session
            self._session = session
        return self._session

    def _settle(self, outcome: Outcome) -> Outcome:
        """Goes on after a fault that ended the guest, and says so."""
        fault, session = outcome.fault, self._session
        if fault is None or fault.kind not in _ENDING or session is None or session.ended is None:
            return outcome
        session.rebuild()
        lost = "the tools are as they were last saved" if self._saved else "the tools' state is lost, they begin anew"
        return replace(outcome, fault=replace(fault, message=f"{fault.message}; {lost}"))

    def fork(self, count: int) -> list[PartSession]:
        session = self._open()
        if isinstance(session, Outcome):
            return [_GuestSession(self._part) for _ in range(count)]
        self._saved = True
        return [_GuestSession(self._part, branch) for branch in session.fork(count)]

    def save(self) -> Any:
        session = self._open()
        if isinstance(session, Outcome):
            return None
        self._saved = True
        return session.save()

    def restore(self, state: Any) -> None:
        session = self._open()
        if isinstance(session, Session) and state is not None:
            self._saved = True
            session.restore(state)

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
