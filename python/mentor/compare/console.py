"""A comparison on the terminal."""

from __future__ import annotations

import math

from rich import box
from rich.table import Table

from mentor.compare.summary import Cell, Comparison
from mentor.compare.values import INSIDE, OOD

__all__ = ["summary_table"]


def summary_table(comparison: Comparison) -> Table:
    """The methods on the mean over the out-of-domain splits, beside the in-domain split."""
    split = OOD if OOD in comparison.splits else next(iter([*comparison.outside, *comparison.splits]))
    level = f"{comparison.confidence:.0%}"
    title = f"{split}: greedy accuracy with {level} intervals, {len(comparison.runs)} runs"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("method", no_wrap=True)
    for head in ("in\ndomain", split, "solved", "if\nsolved", "silent", "no\nvariance"):
        table.add_column(head, justify="right", no_wrap=True)
    for label in comparison.labels:
        cell, inside = comparison.cell(label, split), comparison.cell(label, INSIDE)
        if cell is None:
            continue
        table.add_row(
            label,
            _mean(inside, "accuracy"),
            _interval(cell),
            f"{round(cell.solved.value * cell.solved.n)}/{cell.solved.n}",
            _number(cell.accuracy_if_solved),
            _mean(cell, "silent"),
            _number(cell.zero_variance),
        )
    return table


def _interval(cell: Cell) -> str:
    found = cell.measures["accuracy"]
    if math.isnan(found.low):
        return f"{found.value:.2f}"
    return f"{found.value:.2f} ({found.low:.2f}, {found.high:.2f})"


def _mean(cell: Cell | None, key: str) -> str:
    return _number(cell.measures[key].value) if cell is not None and key in cell.measures else ""


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else ""
