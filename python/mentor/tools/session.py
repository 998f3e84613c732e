"""The state of tools in one rollout."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, NoReturn

from mentor.errors import InputError, SandboxError
from mentor.sandbox import Outcome
from mentor.tools.part import Part, PartSession
from mentor.tools.toolset import ToolSet

__all__ = ["ToolSession", "ToolState"]


class ToolState:
    """A saved state of a `ToolSession`; made by its `save`. It lives in its process."""

    def __init__(self, states: Mapping[Part, Any]) -> None:
        self._states = dict(states)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a saved state belongs to its process and cannot be pickled")


class ToolSession:
    """Tools whose guests keep their globals from call to call; made by `ToolSet.session`.

    Host functions keep what they keep in the caller's process, for all sessions together. After a fault that ends a
    guest (``timeout``, ``trap``, ``out_of_fuel``) the guest begins anew, or goes back to the last saved state, and the
    fault's message says so: the rollout can go on. Calls of a guest from several threads take turns.
    """

    def __init__(self, tools: ToolSet, files: Mapping[str, bytes | str] | None = None) -> None:
        if files is not None and not isinstance(files, Mapping):
            raise TypeError(f"files must be a mapping of paths to contents, not {type(files).__name__}")
        self._tools = tools
        self._files = None if files is None else dict(files)
        self._open: dict[Part, PartSession] = {}
        self._lock = threading.RLock()
        self._closed = False

    @property
    def tools(self) -> ToolSet:
        """The tools."""
        return self._tools

    def call(self, name: str, arguments: Mapping[str, Any] | str) -> Outcome:
        """Call one tool; it sees what the calls before it left.

        Raises:
            TypeError: `name` is no str.
            SandboxError: The session is closed, belongs to another process, or the host failed.
        """
        found = self._find(name, arguments)
        if isinstance(found, Outcome):
            return found
        return self._part(found[0]).call(name, found[1])

    def call_batch(self, calls: Iterable[tuple[str, Mapping[str, Any] | str]]) -> list[Outcome]:
        """Call many tools, one after the other; `mentor.tools.call_batch` works on many sessions side by side.

        Raises:
            TypeError: A call is no pair, or its name no str.
            SandboxError: As in `call`.
        """
        pairs = list(calls)
        for index, pair in enumerate(pairs):
            if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str)):
                raise TypeError(f"calls[{index}] must be a pair (name, arguments)")
        return [self.call(name, arguments) for name, arguments in pairs]

    def fork(self, count: int) -> list[ToolSession]:
        """Sessions that go on from the present state, each on its own, such as one per rollout of a group.

        Raises:
            TypeError: `count` is no int.
            InputError: `count` is negative.
            SandboxError: As in `call`.
        """
        if isinstance(count, bool) or not isinstance(count, int):
            raise TypeError(f"count must be an int, not {type(count).__name__}")
        if count < 0:
            raise InputError(f"count must not be negative, but is {count}")
        branches = [ToolSession(self._tools, self._files) for _ in range(count)]
        with self._lock:
            self._check_open()
            for part, place in self._open.items():
                for branch, forked in zip(branches, place.fork(count), strict=True):
                    branch._open[part] = forked
        return branches

    def save(self) -> ToolState:
        """Save the present state, for `restore`; after a fault that ends a guest it goes back to it as well.

        Raises:
            SandboxError: As in `call`.
        """
        with self._lock:
            self._check_open()
            return ToolState({part: place.save() for part, place in self._open.items()})

    def restore(self, state: ToolState) -> None:
        """Go to a saved state of this process, also one of another session of the same tools.

        Raises:
            TypeError: `state` is no `ToolState`.
            SandboxError: As in `call`.
        """
        if not isinstance(state, ToolState):
            raise TypeError(f"state must be a ToolState, not {type(state).__name__}")
        with self._lock:
            self._check_open()
            for part in [part for part in self._open if part not in state._states]:
                self._open.pop(part).close()  # was not used when the state was saved
            known = self._tools._parts()
            for part, saved in state._states.items():
                if part in known:
                    self._part(part).restore(saved)

    def close(self) -> None:
        """End the session and free its guests. Closing twice does nothing."""
        with self._lock:
            self._closed = True
            while self._open:
                self._open.popitem()[1].close()

    def _find(self, name: str, arguments: Mapping[str, Any] | str) -> tuple[Part, str] | Outcome:
        self._check_open()
        return self._tools._find(name, arguments)

    def _part(self, part: Part) -> PartSession:
        with self._lock:
            self._check_open()
            place = self._open.get(part)
            if place is None:
                place = self._open[part] = part.open(self._files)
            return place

    def _check_open(self) -> None:
        if self._closed:
            raise SandboxError("this session is closed; start a new one")

    def __enter__(self) -> ToolSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a session is live and cannot be pickled; pickle its ToolSet")

    def __repr__(self) -> str:
        return f"ToolSession({', '.join(self._tools)})"
