"""Numbers of one run on one split, or on the splits that a name such as ``OOD`` stands for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from mentor.compare.runs import RunRecord

__all__ = ["CROSS", "INSIDE", "OOD", "number", "splits_of", "tasks_of", "value_of"]

INSIDE = "in_domain"
OOD = "OOD"
"""Name of the mean over the out-of-domain splits of the trained suite, run by run."""
CROSS = "cross-domain"
"""Name of the mean over the splits of other suites."""

_OUTCOMES = {"accuracy": "correct", "sampled_accuracy": "sampled_correct"}
"""Measures of which ``eval.jsonl`` has the single tasks."""


def splits_of(runs: Iterable[RunRecord]) -> list[str]:
    """The splits of runs in the order of tables: in domain, out of domain, other suites, then the means."""
    found = list(dict.fromkeys(split for run in runs for split in run.after))
    found.sort(key=lambda split: (split != INSIDE, "/" in split))
    outside = [split for split in found if split != INSIDE and "/" not in split]
    foreign = [split for split in found if "/" in split]
    return found + [OOD] * (len(outside) > 1) + [CROSS] * (len(foreign) > 1)


def _parts(split: str, splits: Sequence[str]) -> list[str]:
    """The splits that a name stands for."""
    single = [name for name in splits if name not in (INSIDE, OOD, CROSS)]
    if split == OOD:
        return [name for name in single if "/" not in name]
    return [name for name in single if "/" in name] if split == CROSS else [split]


def value_of(run: RunRecord, split: str, key: str, splits: Sequence[str]) -> float | None:
    """A measure of a run on a split, or its mean over the splits that the name stands for."""
    values = [number(run.after.get(part, {}).get(key)) for part in _parts(split, splits)]
    mean = sum(values) / len(values)
    return mean if math.isfinite(mean) else None


def tasks_of(run: RunRecord, split: str, key: str, splits: Sequence[str]) -> list[float]:
    """The run's outcomes task by task; empty where they were not written or do not give the value."""
    found = [run.after.get(part, {}).get(_OUTCOMES.get(key, "")) for part in _parts(split, splits)]
    rows = [row for row in found if isinstance(row, list) and row]
    if len(rows) < len(found) or len({len(row) for row in rows}) > 1:
        return []
    outcomes = [number(value) for row in rows for value in row]
    mean, value = sum(outcomes) / len(outcomes), value_of(run, split, key, splits)
    return outcomes if value is not None and abs(mean - value) < 1e-6 else []


def number(value: Any) -> float:
    """A number as float, NaN for everything else."""
    if isinstance(value, int | float):  # True and False count as 1 and 0
        return float(value)
    return math.nan
