"""Progress of a run: one bar per phase on a terminal, one line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

__all__ = ["Bar", "Reporter", "results_table"]


class Bar:
    """One phase's progress; ``update`` moves it and shows numbers beside it."""

    def __init__(self, console: Console, name: str, total: int, progress: Progress | None) -> None:
        self._console, self._name, self._total, self._progress = console, name, total, progress
        self._done, self._told, self._start = 0, 0, time.monotonic()
        self._task = progress.add_task(name, total=total, numbers="") if progress is not None else None

    def update(self, done: int, **numbers: float) -> None:
        """Show that ``done`` steps are done, with numbers such as ``reward=0.8``."""
        self._done = done
        text = "  ".join(f"{name} {value:.3f}" for name, value in numbers.items())
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, numbers=text)
        elif done >= self._total or done - self._told >= max(1, self._total // 10):
            self._told = done
            seconds = time.monotonic() - self._start
            self._console.print(f"{self._name} {done}/{self._total}  {text}  {seconds:.0f} s", highlight=False)

    def advance(self, count: int, **numbers: float) -> None:
        """Move on by ``count`` steps."""
        self.update(self._done + count, **numbers)


class Reporter:
    """Everything that a run says while it runs.

    Attributes:
        console: Where it is said.
        folder: The run's folder, once there is one to go on with.
        building: Whether a base model is being made, which keeps no checkpoint.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.folder: Path | None = None
        self.building = False

    def say(self, text: str) -> None:
        """Print one line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Bar]:
        """Show a bar for the length of a block."""
        if not self.console.is_terminal:
            yield Bar(self.console, name, total, None)
            return
        with Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=self.console,
        ) as progress:
            yield Bar(self.console, name, total, progress)


_COLUMNS = (
    ("accuracy", "accuracy"),
    ("sampled_accuracy", "accuracy\nat T = 1"),
    ("sampled_tool_validity", "tool validity\nat T = 1"),
    ("alignment_f1", "alignment\nF1"),
)


def results_table(rows: list[dict[str, Any]], title: str) -> Table:
    """Set before beside after, one line per split; numbers are greedy unless marked otherwise."""
    table = Table(title=title, title_justify="left")
    table.add_column("split", no_wrap=True)
    for _, name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    by_key = {(row["stage"], row["split"]): row for row in rows}
    for split in dict.fromkeys(row["split"] for row in rows):
        pair = [by_key.get((stage, split)) for stage in ("before", "after")]
        cells = [" > ".join("?" if row is None else f"{row[key]:.2f}" for row in pair) for key, _ in _COLUMNS]
        table.add_row(split, *cells)
    return table
