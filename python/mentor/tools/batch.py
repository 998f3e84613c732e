"""Calls of many sessions at once, such as those of a whole training step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from queue import SimpleQueue
from typing import Any

from mentor.sandbox import Outcome
from mentor.tools.part import PartSession
from mentor.tools.session import ToolSession

__all__ = ["call_batch"]


def call_batch(calls: Iterable[tuple[ToolSession, str, Mapping[str, Any] | str]]) -> list[Outcome]:
    """Calls tools of many sessions side by side, on all cores.

    The calls of one session stay in their order, each sees what those before it left. Host functions run one after the
    other in the thread that calls, while guests run on the sandbox's threads.

    Args:
        calls: Session, name of the tool, and its arguments.

    Returns:
        One outcome per call, in order.

    Raises:
        TypeError: A call is no such triple.
        SandboxError: A session is closed, or the host failed to do its part.
        KeyboardInterrupt: Ctrl-C; what runs is stopped.

    Example:
        >>> import mentor
        >>> tools = mentor.tools.arithmetic()
        >>> with tools.session() as one, tools.session() as two:
        ...     outcomes = call_batch([(one, "add", {"a": 1, "b": 2}), (two, "sqrt", {"x": 9})])
        >>> [outcome.value for outcome in outcomes]
        [3, 3.0]
    """
    chains: dict[int, deque[_Call]] = {}
    outcomes: list[Outcome | None] = []
    for index, triple in enumerate(calls):
        if not (isinstance(triple, tuple | list) and len(triple) == 3):
            raise TypeError(f"calls[{index}] must be a triple (session, name, arguments)")
        session, name, arguments = triple
        if not isinstance(session, ToolSession):
            raise TypeError(f"calls[{index}]: the session must be a ToolSession, not {type(session).__name__}")
        if not isinstance(name, str):
            raise TypeError(f"calls[{index}]: the name must be a str, not {type(name).__name__}")
        chains.setdefault(id(session), deque()).append(_Call(index, session, name, arguments))
        outcomes.append(None)
    _Work(chains.values(), outcomes).run()
    return [outcome for outcome in outcomes if outcome is not None]


class _Call:
    """One call, and where its answer goes."""

    __slots__ = ("arguments", "index", "name", "place", "session", "stop", "text")

    def __init__(self, index: int, session: ToolSession, name: str, arguments: Mapping[str, Any] | str) -> None:
        self.index, self.session, self.name, self.arguments = index, session, name, arguments
        self.text = ""
        self.place: PartSession
        self.stop: Callable[[], object] | None = None


class _Work:
    """The calls, by session; one of each session is under way at a time."""

    def __init__(self, chains: Iterable[deque[_Call]], outcomes: list[Outcome | None]) -> None:
        self._ready = deque(chains)
        self._here: deque[tuple[deque[_Call], _Call]] = deque()  # calls that this thread has to do itself
        self._running: dict[int, tuple[deque[_Call], _Call]] = {}
        self._done: SimpleQueue[tuple[int, Outcome | None, Any]] = SimpleQueue()
        self._outcomes = outcomes

    def run(self) -> None:
        try:
            while self._ready or self._here or self._running:
                while self._ready:
                    self._begin(self._ready.popleft())
                if self._here and self._done.empty():
                    chain, call = self._here.popleft()
                    # Calls that were quick may have become slow since it was put here.
                    if not self._start(chain, call):
                        self._outcomes[call.index] = call.place.call(call.name, call.text)
                        self._ready.append(chain)
                elif self._running:
                    self._take(*self._done.get())
        finally:
            for _, call in self._running.values():
                if call.stop is not None:
                    call.stop()

    def _begin(self, chain: deque[_Call]) -> None:
        """Starts the next call of a session; those that start nothing are answered at once."""
        while chain:
            call = chain.popleft()
            found = call.session._find(call.name, call.arguments)
            if isinstance(found, Outcome):
                self._outcomes[call.index] = found
                continue
            call.place, call.text = call.session._part(found[0]), found[1]
            if not self._start(chain, call):
                self._here.append((chain, call))
            return

    def _start(self, chain: deque[_Call], call: _Call) -> bool:
        """Starts a call in the background, where its part has one."""
        self._running[call.index] = (chain, call)
        call.stop = call.place.start(call.name, call.text, _report(self._done, call.index))
        if call.stop is None:
            del self._running[call.index]
        return call.stop is not None

    def _take(self, index: int, outcome: Outcome | None, error: Any) -> None:
        chain, call = self._running.pop(index)
        if outcome is None:
            raise error
        self._outcomes[index] = call.place.finish(outcome)
        self._ready.append(chain)


def _report(done: SimpleQueue[tuple[int, Outcome | None, Any]], index: int) -> Callable[[Outcome | None, Any], object]:
    return lambda outcome, error: done.put((index, outcome, error))
