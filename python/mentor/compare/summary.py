"""What the runs of a comparison say: per method and split the measures with intervals, and paired tests."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mentor.compare.runs import Missing, RunRecord, differing_settings
from mentor.compare.values import CROSS, INSIDE, OOD, number, splits_of, tasks_of, value_of
from mentor.config import METHODS
from mentor.errors import DataError, InputError
from mentor.evaluate.statistics import Interval, PairedTest, holm, mean_interval, paired_test, share_interval

__all__ = ["CROSS", "MEASURES", "OOD", "UNTRAINED", "Cell", "Comparison", "Contrast", "compare_runs"]

UNTRAINED = "before training"
"""Label of the runs' own evaluations before training, where no run of the method ``base`` is there."""

MEASURES: Mapping[str, str] = {
    "accuracy": "accuracy, greedy",
    "sampled_accuracy": "accuracy, sampled",
    "tool_validity": "tool validity",
    "alignment_f1": "alignment F1",
    "tool_similarity": "1 - JSD of tools",
    "calls_per_rollout": "calls per rollout",
    "silent": "rollouts without a call",
    "truncated": "truncated",
}
"""Measures of an evaluation, greedy but for ``sampled_accuracy``."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One method on one split.

    Attributes:
        label: Method or variant.
        split: The split, or ``OOD`` or ``cross-domain`` for a mean over splits.
        accuracies: Greedy accuracy of each run.
        measures: Measure -> mean over runs with its interval; measures that no run has are left out.
        solved: Share of runs whose greedy accuracy here reaches the threshold, with Wilson's interval.
        accuracy_if_solved: Mean greedy accuracy of these runs; NaN where there are none.
        zero_variance: Share of groups without variance, mean over training; NaN where nothing was logged.
    """

    label: str
    split: str
    accuracies: Sequence[float]
    measures: Mapping[str, Interval]
    solved: Interval
    accuracy_if_solved: float
    zero_variance: float


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A paired test of two methods' greedy accuracy on one split.

    Attributes:
        split: The split.
        first: The method that is asked about.
        second: The method that it is set against.
        family: ``claim`` or ``further``; p-values are adjusted within a split's family.
        test: The test.
        adjusted_p: p after Holm's correction.
    """

    split: str
    first: str
    second: str
    family: str
    test: PairedTest
    adjusted_p: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All that a comparison has to say.

    Attributes:
        labels: Methods in the order of the tables.
        splits: Splits in order, the means over splits last.
        cells: One for each method and split that was evaluated.
        contrasts: The paired tests.
        runs: The finished runs.
        missing: Planned runs without a result.
        threshold: Greedy accuracy from which a run counts as solved.
        confidence: Of all intervals.
        seeds: Number of different seeds.
        bases: Number of different base models.
        notes: What a reader should know.
    """

    labels: Sequence[str]
    splits: Sequence[str]
    cells: Sequence[Cell]
    contrasts: Sequence[Contrast]
    runs: Sequence[RunRecord]
    missing: Sequence[Missing]
    threshold: float
    confidence: float
    seeds: int
    bases: int
    notes: Sequence[str]

    def cell(self, label: str, split: str) -> Cell | None:
        """The cell of a method and a split, if there is one."""
        return next((cell for cell in self.cells if (cell.label, cell.split) == (label, split)), None)

    @property
    def outside(self) -> list[str]:
        """The single splits out of domain."""
        return [split for split in self.splits if split not in (INSIDE, OOD, CROSS)]


def compare_runs(
    runs: Sequence[RunRecord],
    *,
    missing: Sequence[Missing] = (),
    focus: Sequence[str] = ("mentor", "mentor-dense"),
    against: Sequence[str] = ("sparse", "strict"),
    threshold: float = 0.5,
    confidence: float = 0.95,
) -> Comparison:
    """Summarise finished runs.

    The claim that is tested is that each method of ``focus`` differs from each of ``against``; these tests are one
    family per split. The other tests, of ``focus`` against everything else, are a second one. Where none of these
    methods is there, each pair of methods is tested in one family.

    Args:
        runs: Finished runs.
        missing: Planned runs without a result, for the record.
        focus: Methods that the comparison is about.
        against: Methods that they are set against first.
        threshold: Greedy accuracy from which a run counts as solved.
        confidence: Of the intervals.

    Returns:
        The summary.

    Raises:
        DataError: There is no finished run.
        InputError: ``threshold`` is not between 0 and 1.
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold is {threshold}, must be between 0 and 1")
    if not runs:
        raise DataError("no run is finished yet; nothing to compare")
    everything = _with_untrained(runs)
    labels = _ordered({run.label for run in everything})
    splits = splits_of(everything)
    cells = []
    for label in labels:
        mine = [run for run in everything if run.label == label]
        zero = _mean([_mean([number(row.get("zero_variance_groups")) for row in run.curve]) for run in mine])
        for split in splits:
            having = [run for run in mine if value_of(run, split, "accuracy", splits) is not None]
            cells += [_cell(label, split, having, splits, zero, threshold, confidence)] if having else []
    contrasts: list[Contrast] = []
    for split in splits:
        for family, pairs in _families(labels, focus, against).items():
            contrasts += _contrasts(split, family, pairs, everything, splits, confidence)
    return Comparison(
        labels=labels,
        splits=splits,
        cells=cells,
        contrasts=contrasts,
        runs=runs,
        missing=missing,
        threshold=threshold,
        confidence=confidence,
        seeds=len({run.seed for run in runs}),
        bases=len({run.base for run in runs}),
        notes=_notes(runs, labels, missing, contrasts),
    )


def _with_untrained(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Add the policy before training as a method of its own, once per base and seed, unless ``base`` was run."""
    if any(run.method == "base" for run in runs):
        return list(runs)
    found: dict[Hashable, RunRecord] = {}
    for run in runs:
        if run.before and run.pair not in found:
            values = {**vars(run), "label": UNTRAINED, "method": "base", "after": run.before, "before": {}, "curve": ()}
            found[run.pair] = RunRecord(**values)
    return [*found.values(), *runs]


_ORDER = (UNTRAINED, "base", "sft", "sft-few", "sft-verbose", "sparse", "sparse-valid", "strict", "overlap", "valid")


def _ordered(labels: set[str]) -> list[str]:
    """Known methods first: untrained, imitated, rewarded; variants and the rest after them by name."""
    known = [*dict.fromkeys((*_ORDER, "f1", "mentor", "mentor-dense", *METHODS))]
    return sorted(labels, key=lambda label: (known.index(label) if label in known else len(known), label))


def _cell(
    label: str,
    split: str,
    runs: Sequence[RunRecord],
    splits: Sequence[str],
    zero_variance: float,
    threshold: float,
    confidence: float,
) -> Cell:
    measures: dict[str, Interval] = {}
    for key in MEASURES:
        having = [(run, value) for run in runs if (value := value_of(run, split, key, splits)) is not None]
        if not having:
            continue
        rows = [tasks_of(run, split, key, splits) for run, _ in having]
        measures[key] = mean_interval(
            [value for _, value in having],
            tasks=rows if all(rows) else None,
            groups=[run.base for run, _ in having],
            confidence=confidence,
        )
    accuracies = [value for run in runs if (value := value_of(run, split, "accuracy", splits)) is not None]
    solved = [value for value in accuracies if value >= threshold]
    return Cell(
        label=label,
        split=split,
        accuracies=accuracies,
        measures=measures,
        solved=share_interval(len(solved), len(accuracies), confidence=confidence),
        accuracy_if_solved=_mean(solved),
        zero_variance=zero_variance,
    )


def _families(labels: Sequence[str], focus: Sequence[str], against: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    ours, theirs = [name for name in focus if name in labels], [name for name in against if name in labels]
    if not ours:
        trained = [name for name in labels if name != UNTRAINED]
        return {"claim": [(b, a) for at, a in enumerate(trained) for b in trained[at + 1 :]]}
    rest = [name for name in labels if name not in theirs and name not in ours]
    further = [(name, other) for name in ours for other in rest]
    further += [(b, a) for at, a in enumerate(ours) for b in ours[at + 1 :]]
    return {"claim": [(name, other) for name in ours for other in theirs], "further": further}


def _contrasts(
    split: str,
    family: str,
    pairs: Sequence[tuple[str, str]],
    runs: Sequence[RunRecord],
    splits: Sequence[str],
    confidence: float,
) -> list[Contrast]:
    tests = []
    for first, second in pairs:
        values: list[dict[Hashable, float]] = []
        rows: list[dict[Hashable, Sequence[float]]] = []
        for label in (first, second):
            mine = [run for run in runs if run.label == label]
            scored = {
                run.pair: value for run in mine if (value := value_of(run, split, "accuracy", splits)) is not None
            }
            values.append(dict(scored))
            rows.append({run.pair: tasks_of(run, split, "accuracy", splits) for run in mine})
        test = paired_test(
            *values,
            first_tasks=rows[0],
            second_tasks=rows[1],
            groups={run.pair: run.base for run in runs},
            confidence=confidence,
        )
        if test.n:
            tests.append((first, second, test))
    adjusted = holm([test.p for _, _, test in tests])
    return [
        Contrast(split=split, first=first, second=second, family=family, test=test, adjusted_p=p)
        for (first, second, test), p in zip(tests, adjusted, strict=True)
    ]


def _notes(
    runs: Sequence[RunRecord], labels: Sequence[str], missing: Sequence[Missing], contrasts: Sequence[Contrast]
) -> list[str]:
    notes = [note for run in runs for note in run.notes]
    for key, values in differing_settings(runs).items():
        told = "; ".join(f"{value} ({', '.join(names)})" for value, names in [*values.items()][:6])
        notes.append(f"Besides the method, runs differ in {key}: {told}{'; ...' if len(values) > 6 else ''}.")
    seeds = {run.seed for run in runs}
    for label in labels:
        here = {run.seed for run in runs if run.label == label} | {gap.seed for gap in missing if gap.label == label}
        if label != UNTRAINED and (absent := seeds - here):
            wanted = ", ".join(map(str, sorted(absent)))
            notes.append(f"{label} has no run with seed {wanted}, which other methods have.")
    for family in ("claim", "further"):
        mine = [found for found in contrasts if found.family == family]
        tests = max(Counter(found.split for found in mine).values(), default=0)
        pairs = max((found.test.n for found in mine), default=0)
        if tests and (least := tests * 2.0 ** (1 - pairs)) > 0.05:
            notes.append(
                f"Pairs: {pairs}, tests in the family '{family}': {tests}. So no adjusted p can be below "
                f"{min(1.0, least):.2g}: read the intervals and the plain p there."
            )
    return notes


def _mean(values: Iterable[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan
