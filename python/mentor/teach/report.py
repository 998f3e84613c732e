"""What a run of a teacher came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mentor.data import Task

__all__ = ["Progress", "TeachReport"]


@dataclass(kw_only=True)
class Progress:
    """Where a run is, for who watches.

    Attributes:
        tasks: Tasks in all.
        done: Tasks of which all samples are judged.
        kept: Tasks that have a reference.
        asked: Requests of this run.
        replayed: Replies that came out of the journal.
        tokens_in: Tokens of all prompts, those of earlier runs on the same journal included.
        tokens_out: Tokens of all replies, likewise.
        cost: What they cost; 0 without prices.
        seconds: Seconds since the run began.
        stopping: Whether the user stopped it, so that it only waits for what is under way.
    """

    tasks: int
    done: int = 0
    kept: int = 0
    asked: int = 0
    replayed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    stopping: bool = False


@dataclass(frozen=True, kw_only=True)
class TeachReport:
    """What a run came to.

    Attributes:
        output: The file of references.
        rejected: The file of tasks without one; ``None`` where there are none.
        journal: The file of paid replies; ``None`` for a teacher that costs nothing.
        tasks: The tasks with references, in the order of the assignments.
        stopped: Why not all was asked: ``interrupted``, ``limit``; empty where all was.
        progress: The last numbers.
        reasons: Why samples cannot be references, with how many.
        open: Tasks that are not decided, as samples are missing.
        estimated: Replies whose tokens are estimates.
    """

    output: Path
    rejected: Path | None
    journal: Path | None
    tasks: Sequence[Task]
    stopped: str
    progress: Progress
    reasons: Counter[str] = field(default_factory=Counter)
    open: int = 0
    estimated: int = 0
