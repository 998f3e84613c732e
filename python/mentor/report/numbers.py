"""Intervals and number formats of the report's tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mentor.report.run import Run, number

__all__ = ["MEASURES", "Accuracy", "Measure", "accuracies", "measures", "percent", "wilson"]

_Z = 1.959963984540054  # 95 %

MEASURES = (
    ("sampled_accuracy", "Sampled accuracy", True),
    ("tool_validity", "Tool validity", True),
    ("alignment_f1", "Alignment F1", True),
    ("tool_similarity", "Tool similarity", True),
    ("calls_per_rollout", "Calls per rollout", False),
    ("truncated", "Truncated", True),
)
"""The other measures of an evaluation: key, title, is it a share."""


@dataclass(frozen=True)
class Accuracy:
    """Greedy accuracy of one split; NaN where a stage is missing.

    Attributes:
        split: the split's name.
        tasks: the sample size (of the later stage).
        before: accuracy before training.
        after: accuracy after training.
        before_ci: its 95 % Wilson interval.
        after_ci: its 95 % Wilson interval.
        change: after minus before.
        change_ci: Newcombe's 95 % interval of the difference.
    """

    split: str
    tasks: int
    before: float
    after: float
    before_ci: tuple[float, float]
    after_ci: tuple[float, float]
    change: float
    change_ci: tuple[float, float]

    @property
    def verdict(self) -> str:
        """``up`` or ``down`` when the change's interval leaves zero out, ``same`` otherwise."""
        low, high = self.change_ci
        return "up" if low > 0 else "down" if high < 0 else "same"


@dataclass(frozen=True)
class Measure:
    """One other measure of a split, before and after."""

    before: float
    after: float
    share: bool


def wilson(rate: float, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share among ``n`` trials; NaNs without trials.

    Example:
        >>> [round(bound, 3) for bound in wilson(0.5, 100)]
        [0.404, 0.596]
    """
    if n <= 0 or not 0 <= rate <= 1:
        return math.nan, math.nan
    centre = rate + _Z * _Z / (2 * n)
    spread = _Z * math.sqrt(rate * (1 - rate) / n + _Z * _Z / (4 * n * n))
    scale = 1 + _Z * _Z / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def accuracies(run: Run) -> list[Accuracy]:
    """The accuracy of each evaluated split.

    Example:
        ::

            for row in accuracies(read_run(folder)):
                print(row.split, row.change, row.verdict)
    """
    rows = []
    for split in run.splits:
        old, new = (run.evaluations.get((split, stage), {}) for stage in ("before", "after"))
        before, after = number(old.get("accuracy")), number(new.get("accuracy"))
        n_old, n_new = _count(old), _count(new)
        low_b, high_b = wilson(before, n_old)
        low_a, high_a = wilson(after, n_new)
        change = after - before
        change_ci = (
            change - math.hypot(after - low_a, high_b - before),
            change + math.hypot(high_a - after, before - low_b),
        )
        rows.append(Accuracy(split, n_new or n_old, before, after, (low_b, high_b), (low_a, high_a), change, change_ci))
    return rows


def _count(row: Mapping[str, Any]) -> int:
    return int(min(max(number(row.get("tasks"), 0.0), 0.0), 1e9))


def measures(run: Run) -> tuple[list[str], list[tuple[str, list[Measure]]]]:
    """Titles of the measures that any evaluation has, and for each split its values.

    Example:
        ::

            titles, rows = measures(read_run(folder))
    """
    found = [(k, t, s) for k, t, s in MEASURES if any(number(row.get(k)) == number(row.get(k)) for row in _all(run))]
    rows = []
    for split in run.splits:
        old, new = (run.evaluations.get((split, stage), {}) for stage in ("before", "after"))
        rows.append((split, [Measure(number(old.get(k)), number(new.get(k)), share) for k, _, share in found]))
    return [title for _, title, _ in found], rows


def _all(run: Run) -> list[dict[str, Any]]:
    return list(run.evaluations.values())


def percent(value: float, *, digits: int = 1) -> str:
    """A share as per cent, a dash for NaN.

    Example:
        >>> [percent(value).split() for value in (0.125, 0.5)]
        [['12.5', '%'], ['50.0', '%']]
    """
    if not math.isfinite(value):
        return "\N{EN DASH}"
    text = f"{100 * value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
    return f"{text}\N{NO-BREAK SPACE}%"
