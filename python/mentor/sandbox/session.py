"""Instances that keep their globals, and their saved states."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, NoReturn, cast

from mentor import _core
from mentor.errors import InputError
from mentor.sandbox.arguments import as_call, as_source, wait_for
from mentor.sandbox.outcome import FaultKind, Outcome, read_outcome

__all__ = ["SavedState", "Session", "core_state"]


class SavedState:
    """A saved state of a session; made by `Session.save`. It lives in its process."""

    def __init__(self, core: _core.State) -> None:
        self._core = core

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
    back. Runs from several threads take turns.
    """

    def __init__(self, core: _core.Session) -> None:
        self._core = core

    def run(self, code: str, *, filename: str = "<code>") -> Outcome:
        """Run a program in the session's namespace.

        Args:
            code: Python source, as in `Sandbox.run`.
            filename: What tracebacks call the program.

        Raises:
            TypeError: An argument is no str.
            SandboxError: The session is closed, belongs to another process, or the host failed.
        """
        return read_outcome(self._core.run((as_source("code", code), as_source("filename", filename))))

    def call(self, name: str, arguments: str | Mapping[str, Any]) -> Outcome:
        """Call a function of the session's namespace; its result must be JSON.

        Args:
            name: Name of the function.
            arguments: Keyword arguments by name, or the text of a JSON object.

        Raises:
            TypeError: An argument has the wrong type, or `arguments` are no JSON.
            SandboxError: As in `run`.
        """
        return read_outcome(self._core.run(as_call(name, arguments)))

    async def arun(self, code: str, *, filename: str = "<code>") -> Outcome:
        """`run` for asyncio: no thread waits for it. Cancelling the task stops the program."""
        step = (as_source("code", code), as_source("filename", filename))
        return await wait_for(lambda done: self._core.spawn(step, done))

    async def acall(self, name: str, arguments: str | Mapping[str, Any]) -> Outcome:
        """`call` for asyncio."""
        step = as_call(name, arguments)
        return await wait_for(lambda done: self._core.spawn(step, done))

    def save(self) -> SavedState:
        """Save the state: a copy of the pages that were changed.

        `rebuild` goes back to it, and `Sandbox.restore` starts other sessions from it.

        Raises:
            SandboxError: The session has ended with a fault, is closed, or belongs to another process.
        """
        return SavedState(self._core.save())

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
        return [Session(core) for core in self._core.fork(count)]

    def restore(self, state: SavedState) -> None:
        """Go to a saved state of this process.

        Raises:
            TypeError: `state` is no `SavedState`.
            SandboxError: The session is closed, or belongs to another process.
        """
        self._core.restore(core_state(state))

    def rebuild(self) -> None:
        """Go back to the last state that was saved, forked or restored, or to the beginning.

        Also after a fault that ended the session.

        Raises:
            SandboxError: The session is closed, or belongs to another process.
        """
        self._core.rebuild()

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

    def __reduce__(self) -> NoReturn:
        raise TypeError("a session is a live instance and cannot be pickled; pickle its Sandbox")


def core_state(state: SavedState) -> _core.State:
    """A state as the extension takes it."""
    if not isinstance(state, SavedState):
        raise TypeError(f"state must be a SavedState, not {type(state).__name__}")
    return state._core
