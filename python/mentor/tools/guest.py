"""Tools that run in a guest of the sandbox."""

from __future__ import annotations

import os
import threading
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
_QUICK_MS = 1.0
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
        self._slow = True

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

    def open(self, files: Mapping[str, bytes | str] | None = None) -> PartSession:
        """A session in which the source was run; it takes its instance at the first call."""
        return super().open() if self._pure and not files else _GuestSession(self, files=files)

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

    def start(self, name: str, arguments: str, done: Done) -> Callable[[], object] | None:
        """A pure call in a warm guest, in the background."""
        warm = self._take() if self._pure and self._slow else None
        if not isinstance(warm, _Warm):
            return None

        def finish(outcome: Outcome | None, error: Any) -> None:
            if outcome is not None:
                self.note(outcome, here=False)
            self._give(warm, outcome is not None and outcome.ok)
            done(outcome, error)

        return warm.session.start_call(name, arguments, finish)

    def note(self, outcome: Outcome, *, here: bool) -> None:
        """Learns how long calls take: to hand over one that is quick takes longer than the call."""
        # Elsewhere the time has in it what the call waited for its turn.
        if here or outcome.wall_ms <= _QUICK_MS:
            self._slow = outcome.wall_ms > _QUICK_MS

    @property
    def is_slow(self) -> bool:
        """Whether a call is worth a thread."""
        return self._slow

    def _call_warm(self, name: str, arguments: str) -> Outcome:
        warm = self._take()
        if isinstance(warm, Outcome):
            return warm
        outcome = warm.session.call(name, arguments)
        self.note(outcome, here=True)
        self._give(warm, outcome.ok)
        return outcome

    def _take(self) -> _Warm | Outcome:
        try:
            return self._warm.setdefault(os.getpid(), []).pop()
        except IndexError:
            session = self.session()
            return session if isinstance(session, Outcome) else _Warm(session)

    def _give(self, warm: _Warm, unharmed: bool) -> None:
        warm.calls += 1
        if unharmed and warm.calls < _CALLS_PER_GUEST:
            self._warm.setdefault(os.getpid(), []).append(warm)
        else:
            warm.session.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._source, tuple(self._tools.values()), self._sandbox, self._pure)


def _rebuild(source: str, tools: Sequence[Tool], sandbox: Sandbox, pure: bool) -> GuestPart:
    return GuestPart(source, tools, sandbox, pure=pure)


class _Warm:
    """A session with the tools loaded."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.calls = 0


class _GuestSession(PartSession):
    """A guest of one rollout."""

    def __init__(
        self, part: GuestPart, session: Session | None = None, *, files: Mapping[str, bytes | str] | None = None
    ) -> None:
        self._part = part
        self._files = files
        self._session = session
        self._saved = session is not None
        self._turn = threading.Lock()

    def call(self, name: str, arguments: str) -> Outcome:
        with self._turn:
            session = self._open()
            if isinstance(session, Outcome):
                return session
            outcome = session.call(name, arguments)
            self._part.note(outcome, here=True)
            return self._settle(outcome)

    def start(self, name: str, arguments: str, done: Done) -> Callable[[], object] | None:
        session = self._open() if self._part.is_slow else None
        return session.start_call(name, arguments, done) if isinstance(session, Session) else None

    def finish(self, outcome: Outcome) -> Outcome:
        self._part.note(outcome, here=False)
        return self._settle(outcome)

    def _open(self) -> Session | Outcome:
        if self._session is None:
            session = self._part.session()
            if isinstance(session, Outcome):
                return session
            if self._files:
                for path, content in self._files.items():
                    session.files[path] = content
                session.save()  # also where a session whose guest ended goes back to
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
            return [_GuestSession(self._part, files=self._files) for _ in range(count)]
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
