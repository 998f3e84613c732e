"""What the page's tables say of one run, and of several side by side."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from mentor.report.numbers import MEASURES, Cell, cell
from mentor.report.run import Run, number
from mentor.report.text import show

__all__ = [
    "Group",
    "MeasureRow",
    "RunRow",
    "config_lines",
    "facts",
    "group_runs",
    "measure_rows",
    "method_rows",
    "run_rows",
    "versions",
]

_LONGEST_S = 1e9  # a longer duration is a mistake of the file
_FACTS = (
    ("method", "Method"),
    ("reward", "Reward"),
    ("preset", "Preset"),
    ("suite", "Suite"),
    ("model", "Model"),
    ("model_name", "Model"),
    ("seed", "Seed"),
)
_PLACES = ("output_dir", "guest", "guest_hash", "guest_sha256")  # differ without a meaning, or stand elsewhere


@dataclass(frozen=True)
class Group:
    """Runs of one method, drawn as one series.

    Attributes:
        name: the method, or of runs that each have their own the run's label.
        colour: the number of its colour.
        runs: the runs.
    """

    name: str
    colour: int
    runs: list[Run]


@dataclass(frozen=True)
class RunRow:
    """One run in the list of runs: (value, is it unlike most) for each key in which runs differ."""

    label: str
    colour: int
    state: str
    duration: str
    cells: list[tuple[str, bool]]


@dataclass(frozen=True)
class MeasureRow:
    """The other measures of a method on a split: the means over its runs."""

    split: str
    group: Group
    values: list[tuple[float, bool]]


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Runs by method, in the order in which methods first occur; without two of one method each by itself.

    Example:
        >>> from pathlib import Path
        >>> runs = [Run(Path(name), config={"method": name[0]}) for name in ("a0", "b0", "a1")]
        >>> [(group.name, len(group.runs)) for group in group_runs(runs)]
        [('a', 2), ('b', 1)]
    """
    methods = list(dict.fromkeys(run.method for run in runs))
    if len(methods) == 1:
        return [Group(run.label, index, [run]) for index, run in enumerate(runs)]
    return [Group(name, at, [run for run in runs if run.method == name]) for at, name in enumerate(methods)]


def method_rows(groups: Sequence[Group], splits: Sequence[str]) -> list[tuple[str, int | None, int, list[Cell]]]:
    """(name, colour, runs, a cell per split): each group after training, and the policies before it.

    Runs with one start share their evaluation before training: it counts once. Where ``base`` was run, that says it.

    Example:
        ::

            for name, _, runs, cells in method_rows(group_runs(runs), splits):
                print(name, runs, [cell.mean for cell in cells])
    """
    runs = [run for group in groups for run in group.runs]
    starts = {run.start: run for run in reversed(runs) if run.evaluated("before")}
    first = [] if any(run.method == "base" for run in runs) else list(starts.values())
    before = [
        cell([run.evaluations.get((split, "before"), {}) for run in first], [run.base for run in first])
        for split in splits
    ]
    rows: list[tuple[str, int | None, int, list[Cell]]] = []
    if any(one.values for one in before):
        rows.append(("before training", None, max(len(one.values) for one in before), before))
    for group in groups:
        bases = [run.base for run in group.runs]
        cells = [cell([run.result(split) for run in group.runs], bases) for split in splits]
        rows.append((group.name, group.colour, len(group.runs), cells))
    return rows


def measure_rows(groups: Sequence[Group], splits: Sequence[str]) -> tuple[list[str], list[MeasureRow]]:
    """Titles of the measures that any run has, and for each split and group the means after training.

    Example:
        ::

            titles, rows = measure_rows(group_runs(runs), splits)
    """
    results = [run.result(split) for group in groups for run in group.runs for split in splits]
    found = [entry for entry in MEASURES if any(math.isfinite(number(row.get(entry[0]))) for row in results)]
    rows = []
    for split in splits:
        for group in groups:
            own = [run.result(split) for run in group.runs]
            values = [(_mean([number(row.get(key)) for row in own]), share) for key, _, share in found]
            if any(math.isfinite(value) for value, _ in values):
                rows.append(MeasureRow(split, group, values))
    return [title for _, title, _ in found], rows


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else math.nan


def run_rows(groups: Sequence[Group]) -> tuple[list[str], list[RunRow]]:
    """The keys in which the runs' configurations differ, and one row per run.

    Example:
        ::

            keys, rows = run_rows(group_runs(runs))
    """
    runs = [run for group in groups for run in group.runs]
    flat = [_flat(run.config) for run in runs]
    keys = [key for key in dict.fromkeys(key for one in flat for key in one) if len({one.get(key) for one in flat}) > 1]
    common = {key: Counter(one.get(key) for one in flat).most_common(1)[0] for key in keys}
    colours = [group.colour for group in groups for _ in group.runs]
    rows = []
    for run, config, colour in zip(runs, flat, colours, strict=True):
        cells = [
            (config.get(key, "\N{EN DASH}"), 2 * common[key][1] > len(runs) and config.get(key) != common[key][0])
            for key in keys
        ]
        rows.append(RunRow(run.label, colour, state(run), duration(run), cells))
    return keys, rows


def _flat(config: Mapping[str, Any]) -> dict[str, str]:
    """Dotted keys and their values as text, but for those that say where, not what; null is as good as nothing."""
    found: dict[str, str] = {}
    for key, value in config.items():
        if key in _PLACES or value is None:
            continue
        if isinstance(value, dict):
            found |= {f"{key}.{inner}": show(item) for inner, item in value.items()}
        else:
            found[key] = show(value)
    return found


def state(run: Run) -> str:
    """How far a run is.

    Example:
        >>> from pathlib import Path
        >>> state(Run(Path("r"), config={"max_steps": 40}, metrics=[{"phase": "grpo", "step": 12}]))
        'step 12 of 40'
    """
    if run.finished:
        return "finished"
    steps = [number(row.get("step")) for row in run.metrics if row.get("phase") in ("grpo", "sft")]
    known = [step for step in steps if 0 <= step < 1e12]
    whole = number(run.config.get("max_steps"))
    if known:
        return f"step {max(known):,.0f}" + (f" of {whole:,.0f}" if whole > 0 else "")
    return "before training" if run.metrics or run.evaluations else "nothing logged yet"


def duration(run: Run) -> str:
    """The time that the logged steps took, empty where it is unknown.

    Each phase's clock starts anew or goes on, so only what it advances is counted.

    Example:
        >>> from pathlib import Path
        >>> duration(Run(Path("r"), metrics=[{"time_s": 60}, {"time_s": 75}, {"time_s": 5}]))
        '0:01:20'
    """
    last = seconds = 0.0
    for row in run.metrics:
        now = number(row.get("time_s"))
        if now == now:
            seconds += now - last if now >= last else now
            last = now
    return str(timedelta(seconds=round(seconds))) if 0 < seconds < _LONGEST_S else ""


def facts(run: Run) -> list[tuple[str, str]]:
    """The header's facts; settings may stand at the top level or one level down.

    Example:
        >>> from pathlib import Path
        >>> facts(Run(Path("r"), config={"method": "mentor", "seed": 3}))
        [('Method', 'mentor'), ('Seed', '3'), ('State', 'nothing logged yet')]
    """
    found = {}
    for key, title in _FACTS:
        value = _find(run.config, key)
        if value is not None and title not in found:
            found[title] = str(value)
    if "model" in run.config and "Model" not in found:
        found["Model"] = "the preset's"
    found["State"] = state(run)
    if took := duration(run):
        found["Duration"] = took
    if run.metrics:
        found["Logged steps"] = f"{len(run.metrics):,}"
    return list(found.items())


def _find(config: Mapping[str, Any], key: str) -> Any:
    for place in [config, *(value for value in config.values() if isinstance(value, dict))]:
        value = place.get(key)
        if isinstance(value, dict):
            value = value.get("name") or value.get("path")
        if isinstance(value, str | int | float):
            return value
    return None


def versions(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The versions that a configuration names, the guest's hash shortened.

    Example:
        >>> versions({"versions": {"trl": "1.16.0"}, "guest": "3f8a9c1e77aa00bb11cc"})
        [('trl', '1.16.0'), ('guest', '3f8a9c1e77aa00bb')]
    """
    named = config.get("versions")
    found = {str(key): str(value) for key, value in named.items()} if isinstance(named, dict) else {}
    for key in ("guest", "guest_hash", "guest_sha256"):
        if isinstance(config.get(key), str):
            found["guest"] = config[key]
    if "guest" in found:
        found["guest"] = found["guest"][:16]
    return list(found.items())


def config_lines(runs: Sequence[Run]) -> list[tuple[str, list[tuple[str, bool]]]]:
    """For each run its configuration as YAML lines, each with whether its key differs between the runs.

    Example:
        ::

            for label, lines in config_lines(runs):
                print(label, [line for line, differs in lines if differs])
    """
    import yaml

    keys = {key.partition(".")[0] for key in run_rows(group_runs(runs))[0]} if len(runs) > 1 else set()
    found = []
    for run in runs:
        lines = []
        for key, value in run.config.items():
            text = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=110)
            lines += [(line, key in keys) for line in text.rstrip("\n").split("\n")]
        found.append((run.label, lines))
    return found
