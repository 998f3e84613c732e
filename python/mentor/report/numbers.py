"""Intervals, and the rows of the report's tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mentor.errors import ConfigError
from mentor.evaluate.statistics import mean_interval
from mentor.report.run import Run, number

__all__ = [
    "MEASURES",
    "Accuracy",
    "Cell",
    "Measure",
    "accuracies",
    "cell",
    "measures",
    "paired_interval",
    "percent",
    "unpaired_interval",
    "wilson",
]

_Z = 1.959963984540054  # 95 %
_RESAMPLES = 4_000

MEASURES = (
    ("sampled_accuracy", "Sampled accuracy", True),
    ("reward", "Reward", False),
    ("tool_validity", "Tool validity", True),
    ("alignment_f1", "Alignment F1", True),
    ("tool_similarity", "Tool similarity", True),
    ("calls_per_rollout", "Calls per rollout", False),
    ("silent", "Without calls", True),
    ("truncated", "Truncated", True),
)
"""The other measures of an evaluation: key, title, is it a share."""

Interval = tuple[float, float]


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
        paired: whether that interval knows which tasks were right before and after.
    """

    split: str
    tasks: int
    before: float
    after: float
    before_ci: Interval
    after_ci: Interval
    change: float
    change_ci: Interval
    paired: bool = False

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


@dataclass(frozen=True)
class Cell:
    """Accuracy of a method on a split: the mean over its runs, a 95 % interval, and the single runs."""

    mean: float
    ci: Interval
    values: tuple[float, ...]


def wilson(rate: float, n: int) -> Interval:
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


def unpaired_interval(before: float, n_before: int, after: float, n_after: int) -> Interval:
    """Newcombe's 95 % interval of ``after - before`` for independent samples (1998, method 10).

    Example:
        >>> [round(bound, 3) for bound in unpaired_interval(0.25, 40, 0.75, 40)]
        [0.285, 0.653]
    """
    return _around(after - before, before, wilson(before, n_before), after, wilson(after, n_after), 0.0)


def paired_interval(before: Sequence[int], after: Sequence[int]) -> Interval:
    """Newcombe's 95 % interval of the difference of two shares over the same tasks (1998, paired, method 10).

    Args:
        before: 1 for each task that was right before, else 0.
        after: the same tasks afterwards.

    Returns:
        The bounds of ``mean(after) - mean(before)``.

    Example:
        >>> before, after = [1] * 36 + [0] * 12 + [1] * 2, [1] * 36 + [1] * 12 + [0] * 2
        >>> [round(bound, 4) for bound in paired_interval(before, after)]
        [0.0569, 0.3404]
    """
    n = len(before)
    both = sum(1 for old, new in zip(before, after, strict=True) if old and new)
    gone = sum(1 for old, new in zip(before, after, strict=True) if old and not new)
    come = sum(1 for old, new in zip(before, after, strict=True) if new and not old)
    neither = n - both - gone - come
    margins = (both + come) * (gone + neither) * (both + gone) * (come + neither)
    phi = 0.0
    if margins:
        product = both * neither - come * gone
        phi = (max(product - n / 2, 0.0) if product > 0 else product) / math.sqrt(margins)
    old, new = (both + gone) / n, (both + come) / n
    return _around(new - old, old, wilson(old, n), new, wilson(new, n), phi)


def _around(change: float, old: float, old_ci: Interval, new: float, new_ci: Interval, phi: float) -> Interval:
    """Square and add the distances to the single intervals' bounds."""
    down, up = (new - new_ci[0], old_ci[1] - old), (new_ci[1] - new, old - old_ci[0])
    low, high = (math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b)) for a, b in (down, up))
    return change - low, change + high


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
        was, now = _correct(old), _correct(new)
        paired = bool(was) and len(was) == len(now)
        rows.append(
            Accuracy(
                split,
                n_new or n_old,
                before,
                after,
                wilson(before, n_old),
                wilson(after, n_new),
                after - before,
                paired_interval(was, now) if paired else unpaired_interval(before, n_old, after, n_new),
                paired,
            )
        )
    return rows


def _count(row: Mapping[str, Any]) -> int:
    return int(min(max(number(row.get("tasks"), 0.0), 0.0), 1e9))


def _correct(row: Mapping[str, Any]) -> list[int]:
    """Which tasks were right, if the row says so and agrees with its own accuracy."""
    values = row.get("correct")
    if not isinstance(values, list) or not values or any(value not in (0, 1) for value in values):
        return []
    right = [int(value) for value in values]
    return right if abs(sum(right) / len(right) - number(row.get("accuracy"))) < 1e-6 else []


def measures(run: Run) -> tuple[list[str], list[tuple[str, list[Measure]]]]:
    """Titles of the measures that any evaluation has, and for each split its values.

    Example:
        ::

            titles, rows = measures(read_run(folder))
    """
    found = [entry for entry in MEASURES if any(math.isfinite(number(row.get(entry[0]))) for row in _all(run))]
    rows = []
    for split in run.splits:
        old, new = (run.evaluations.get((split, stage), {}) for stage in ("before", "after"))
        rows.append((split, [Measure(number(old.get(k)), number(new.get(k)), share) for k, _, share in found]))
    return [title for _, title, _ in found], rows


def _all(run: Run) -> list[dict[str, Any]]:
    return list(run.evaluations.values())


def cell(rows: Sequence[Mapping[str, Any]], bases: Sequence[str] | None = None) -> Cell:
    """What some runs came to on one split.

    One run: Wilson's interval over its tasks. More: where the rows say which tasks were right, the interval that
    ``mentor compare`` gives; else a bootstrap over the runs and, within each, over as many tasks. Both are seeded, so
    that a page does not change from one report to the next.

    Args:
        rows: one evaluation per run.
        bases: the base model of each run.

    Raises:
        ConfigError: scipy is not installed.

    Example:
        >>> found = cell([{"accuracy": 1.0, "tasks": 50}, {"accuracy": 0.0, "tasks": 50}])
        >>> found.mean, found.ci
        (0.5, (0.0, 1.0))
    """
    kept = [at for at, row in enumerate(rows) if 0 <= number(row.get("accuracy")) <= 1]
    rows = [rows[at] for at in kept]
    pairs = [(number(row.get("accuracy")), _count(row)) for row in rows]
    values = tuple(value for value, _ in pairs)
    if not pairs:
        return Cell(math.nan, (math.nan, math.nan), ())
    if len(pairs) == 1:
        return Cell(values[0], wilson(*pairs[0]), values)
    rates, counts = np.array(values), np.array([count for _, count in pairs])
    if all(tasks := [_correct(row) for row in rows]):
        groups = None if bases is None else [bases[at] for at in kept]
        try:
            found = mean_interval(values, tasks=tasks, groups=groups)
        except ModuleNotFoundError as error:
            raise ConfigError(f"mentor report needs {error.name}: pip install 'mentor-rs[train]'") from None
        return Cell(found.value, (found.low, found.high), values)
    draw = np.random.default_rng(0)
    picks = draw.integers(len(pairs), size=(_RESAMPLES, len(pairs)))
    trials = np.maximum(counts[picks], 1)
    drawn = np.where(counts[picks] > 0, draw.binomial(trials, rates[picks]) / trials, rates[picks])
    low, high = np.quantile(drawn.mean(axis=1), (0.025, 0.975))
    return Cell(float(rates.mean()), (float(low), float(high)), values)


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
