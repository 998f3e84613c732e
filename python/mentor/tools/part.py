"""What a tool set is made of: tools that run in the same place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from mentor.sandbox import Outcome
from mentor.tools.schema import Tool

__all__ = ["Done", "Part", "PartSession"]

Done: TypeAlias = Callable[[Outcome | None, Any], object]
"""Called with the outcome or an exception, on any thread."""


class Part(ABC):
    """Tools that run in the same place, such as one guest. Shared by the sets that contain it, and never changed.

    Arguments come as JSON text that was checked. Implementations pickle, and work from several threads.
    """

    @property
    @abstractmethod
    def tools(self) -> Mapping[str, Tool]:
        """The tools by name, in their order."""

    @abstractmethod
    def call(self, name: str, arguments: str) -> Outcome:
        """One call that knows of no other."""

    @abstractmethod
    def call_batch(self, calls: Sequence[tuple[str, str]]) -> list[Outcome]:
        """Many calls that know of no other, in order."""

    def start(self, name: str, arguments: str, done: Done) -> Callable[[], object] | None:
        """Starts a call in the background.

        Returns:
            What stops it; ``None`` where the part has no background, and `call` has to be used.
        """
        return None

    def open(self, files: Mapping[str, bytes | str] | None = None) -> PartSession:
        """A place whose state is kept from call to call; the part itself where its tools keep none.

        Args:
            files: What the tools find in their file system, where they have one.
        """
        return _Stateless(self)

    @property
    def pure(self) -> bool:
        """Whether the tools were declared to keep no state."""
        return False

    @property
    def source(self) -> str:
        """The text that runs in a guest, if that is where the tools run."""
        return ""


class PartSession(ABC):
    """The state of a part's tools in one rollout. Calls come one at a time."""

    @abstractmethod
    def call(self, name: str, arguments: str) -> Outcome:
        """A call that sees what those before it left."""

    def start(self, name: str, arguments: str, done: Done) -> Callable[[], object] | None:
        """Starts a call in the background, as `Part.start` does."""
        return None

    def finish(self, outcome: Outcome) -> Outcome:
        """What `call` would have returned for the outcome that `done` got."""
        return outcome

    def fork(self, count: int) -> list[PartSession]:
        """Sessions that go on from here; what keeps no state is its own copy."""
        return [self] * count

    def save(self) -> Any:
        """The present state."""
        return None

    def restore(self, state: Any) -> None:
        """Goes to a saved state."""
        return

    def close(self) -> None:
        """Frees what it holds. Closing twice does nothing."""
        return


class _Stateless(PartSession):
    """A part in a rollout, where its calls know of no other or keep their state elsewhere."""

    def __init__(self, part: Part) -> None:
        self._part = part

    def call(self, name: str, arguments: str) -> Outcome:
        return self._part.call(name, arguments)

    def start(self, name: str, arguments: str, done: Done) -> Callable[[], object] | None:
        return self._part.start(name, arguments, done)
