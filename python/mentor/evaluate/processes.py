"""The processes that share an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Processes"]


@dataclass(frozen=True, kw_only=True)
class Processes:
    """This process among those that were launched together; alone by default.

    Attributes:
        index: Which one this is.
        count: How many there are.
    """

    index: int = 0
    count: int = 1

    @property
    def main(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.index == 0

    def part(self, size: int) -> tuple[int, int]:
        """Begin and end of this process's share of ``size`` items."""
        return size * self.index // self.count, size * (self.index + 1) // self.count

    def gather(self, items: list[Any]) -> list[Any]:
        """All processes' items, in their order."""
        if self.count == 1:
            return items
        from accelerate.utils import gather_object

        return list(gather_object(items))

    def wait(self) -> None:
        """Wait until all are here."""
        if self.count > 1:
            from accelerate.state import PartialState

            PartialState().wait_for_everyone()
