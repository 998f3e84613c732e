"""Instances that keep their globals, and their saved states."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn, cast

from mentor import _core
from mentor.errors import InputError
from mentor.sandbox.arguments import as_call, as_source, wait_for
from mentor.sandbox.calls import HostCall
from mentor.sandbox.files import SessionFiles
from mentor.sandbox.functions import HostFunctions, refuse_within
from mentor.sandbox.handle import OnOutput
from mentor.sandbox.outcome import FaultKind, Outcome, read_outcome
from mentor.sandbox.ties import Ties, tie

__all__ = ["SavedState", "Session", "core_state"]


class SavedState:
    """A saved state of a session; made by `Session.save`. It lives in its process."""

    def __init__(self, core: _core.State, names: tuple[str, ...] = ()) -> None:
        self._core = core
        self._names = names

    @property
    def nbytes(self) -> int:
        """Bytes that it holds: the memory that differs from a new instance's."""
        return int(self._core.nbytes)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a saved state belongs to its process and cannot be pickled")

    def __repr__(self) -> str:
        return f"SavedState({self.nbytes:,} bytes)"


class Session:
    """An instance that keeps its globals; made by `Sandbox.session`.

    Each `run` gets the whole limits again. A program that was stopped from outside (``timeout``, ``out_of_fuel``,
    ``trap``) takes its instance along: later runs give a fault of kind ``trap`` that says so, until `rebuild` goes
    back. Runs from several threads take turns. Host functions of its sandbox are there in each step, also of forks; a
    function, or `on_output`, cannot use the session whose step waits for it: that is a `SandboxError`.
    """

    def __init__(self, core: _core.Session, functions: HostFunctions | None = None) -> None:
        self._home = core
        self._functions = functions

    def _free(self) -> _core.Session:
        """What runs it, for all but who its own step waits for."""
        refuse_within(id(self._home))
        return self._home

    @property
    def _core(self) -> _core.Session:
        return self._free()

    def run(
        self,
        code: str,
        *,
        filename: str = "<code>",
        replay: Sequence[HostCall] | None = None,
        on_output: OnOutput | None = None,
    ) -> Outcome:
        """Run a program in the session's namespace.

        Args:
            code: Python source, as in `Sandbox.run`.
            filename: What tracebacks call the program.
            replay: Answers to the calls of host functions, as in `Sandbox.run`.
            on_output: Called with output as it comes, as in `Sandbox.run`.

        Raises:
            TypeError: An argument is no str, or has the wrong type.
            InputError: As in `Sandbox.run`.
            SandboxError: The session is closed, belongs to another process, or the host failed.
        """
        step = (as_source("code", code), as_source("filename", filename))
        return read_outcome(self._core.run(step, self._tie(replay, on_output)))

    def call(
        self, name: str, arguments: str | Mapping[str, Any], *, replay: Sequence[HostCall] | None = None
    ) -> Outcome:
        """Call a function of the session's namespace; its result must be JSON.

        Args:
            name: Name of the function.
            arguments: Keyword arguments by name, or the text of a JSON object.
            replay: As in `run`.

        Raises:
            TypeError: An argument has the wrong type, or `arguments` are no JSON.
            InputError: As in `run`.
            SandboxError: As in `run`.
        """
        return read_outcome(self._core.run(as_call(name, arguments), self._tie(replay)))

    async def arun(self, code: str, *, filename: str = "<code>", replay: Sequence[HostCall] | None = None) -> Outcome:
        """`run` for asyncio: no thread waits for it. Cancelling the task stops the program."""
        step = (as_source("code", code), as_source("filename", filename))
        ties = self._tie(replay, loop=asyncio.get_running_loop())
        return await wait_for(lambda done: self._core.spawn(step, done, ties))

    async def acall(
        self, name: str, arguments: str | Mapping[str, Any], *, replay: Sequence[HostCall] | None = None
    ) -> Outcome:
        """`call` for asyncio."""
        step = as_call(name, arguments)
        ties = self._tie(replay, loop=asyncio.get_running_loop())
        return await wait_for(lambda done: self._core.spawn(step, done, ties))

    def start_call(
        self, name: str, arguments: str | Mapping[str, Any], done: Callable[[Outcome | None, Any], object]
    ) -> Callable[[], None]:
        """`call` in the background: ``done(outcome, error)`` is called on a thread of the sandbox.

        Returns:
            What stops the call.
        """
        step = as_call(name, arguments)

        def finish(raw: Any, error: Any) -> None:
            done(None if raw is None else read_outcome(raw), error)

        return self._core.spawn(step, finish, self._tie(None)).cancel

    def save(self) -> SavedState:
        """Save the state: a copy of the pages that were changed.

        `rebuild` goes back to it, and `Sandbox.restore` starts other sessions from it.

        Raises:
            SandboxError: The session has ended with a fault, is closed, or belongs to another process.
        """
        return SavedState(self._core.save(), _names(self._functions))

    def fork(self, count: int) -> list[Session]:
        """Sessions that go on from the present state, each on its own, such as one per rollout of a group.

        Args:
            count: How many.

        Raises:
            TypeError: `count` is no int.
            InputError: `count` is negative.
            SandboxError: As in `save`.

        Example:
            >>> import mentor
            >>> with mentor.Sandbox().session() as session:
            ...     _ = session.run("x = 1")
            ...     first, second = session.fork(2)
            ...     _ = first.run("x += 1")
            ...     first.run("x").value, second.run("x").value, session.run("x").value
            (2, 1, 1)
        """
        if isinstance(count, bool) or not isinstance(count, int):
            raise TypeError(f"count must be an int, not {type(count).__name__}")
        if count < 0:
            raise InputError(f"count must not be negative, but is {count}")
        return [Session(core, self._functions) for core in self._core.fork(count)]

    def restore(self, state: SavedState) -> None:
        """Go to a saved state of this process.

        Raises:
            TypeError: `state` is no `SavedState`.
            InputError: It was saved with other host functions granted.
            SandboxError: The session is closed, or belongs to another process.
        """
        self._core.restore(core_state(state, self._functions))

    def rebuild(self) -> None:
        """Go back to the last state that was saved, forked or restored, or to the beginning.

        Also after a fault that ended the session.

        Raises:
            SandboxError: The session is closed, or belongs to another process.
        """
        self._core.rebuild()

    @property
    def files(self) -> SessionFiles:
        """The files of the session, to read and to change: paths to contents, sorted.

        They are kept from run to run, and forked, saved and restored with the session. What is put here does not count
        against ``files_kb``; text is written as UTF-8 and read as bytes.

        Raises:
            InputError: A path that is set is absolute, has ``..``, empty parts or backslashes, or is that of a folder.
            SandboxError: As in `run`, at each access.
        """
        return SessionFiles(self._free)

    @property
    def ended(self) -> FaultKind | None:
        """Kind of the fault that ended the session; ``None`` while it lives."""
        return cast("FaultKind | None", self._core.ended())

    def close(self) -> None:
        """End the session and free its instance. Closing twice does nothing."""
        self._core.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _tie(
        self,
        replay: Sequence[HostCall] | None,
        on_output: OnOutput | None = None,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> Ties | None:
        return tie(self._functions, replay, on_output, loop=loop, session=id(self._home))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a session is a live instance and cannot be pickled; pickle its Sandbox")


def _names(functions: HostFunctions | None) -> tuple[str, ...]:
    return () if functions is None else tuple(sorted(functions))


def core_state(state: SavedState, functions: HostFunctions | None) -> _core.State:
    """A state as the extension takes it."""
    if not isinstance(state, SavedState):
        raise TypeError(f"state must be a SavedState, not {type(state).__name__}")
    if state._names != _names(functions):
        raise InputError(
            f"this state was saved with the host functions {list(state._names)}, not {list(_names(functions))}; "
            "restore it in a sandbox with the same functions"
        )
    return state._core
