"""Read run folders as they are, finished or not, and note what is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mentor.data import BadLine, read_jsonl
from mentor.errors import ConfigError, DataError
from mentor.report.choose import Kept, choose

__all__ = ["Run", "find_runs", "name_runs", "number", "read_run"]

_FILES = {
    "config.yaml": "the configuration",
    "metrics.jsonl": "the learning curves",
    "eval.jsonl": "the evaluation before and after",
    "completions.jsonl": "the rollouts",
}
_STAGES = ("before", "after")


@dataclass
class Run:
    """What a run folder holds, as far as it can be read.

    Attributes:
        folder: the folder.
        label: what the page calls it: the folder's name, with the parent's where that alone is not unique.
        config: the resolved configuration, empty when the file is missing.
        metrics: the logged steps in order.
        evaluations: (split, stage) -> the evaluation's row; the last one counts.
        rollouts: the rollouts that fit, in the file's order.
        left_out: how many rollouts did not fit.
        notes: what is missing or unreadable, as sentences.
    """

    folder: Path
    label: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    evaluations: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    rollouts: list[Kept] = field(default_factory=list)
    left_out: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def splits(self) -> list[str]:
        """The evaluated splits in the file's order."""
        return list(dict.fromkeys(split for split, _ in self.evaluations))

    @property
    def method(self) -> str:
        """The training method, ``unknown`` where the configuration does not say."""
        method = self.config.get("method")
        return method if isinstance(method, str) and method else "unknown"

    @property
    def finished(self) -> bool:
        """Whether the last evaluation is there with all its splits; ``base`` has but one."""
        before, after = self.evaluated("before"), self.evaluated("after")
        return bool(after) and after >= before if self.method != "base" else bool(before or after)

    @property
    def start(self) -> tuple[str, ...]:
        """What the policy before training hangs on: runs that agree in it have the same evaluation before training."""
        keys = ("suite", "dataset", "preset", "model", "base_seed", "seed")
        return tuple(str(self.config.get(key)) for key in keys) if self.config else (str(self.folder),)

    @property
    def base(self) -> str:
        """Name of the base model: runs with the same one started from the same weights."""
        keys = ("model", "base_seed", "seed")
        return next((str(self.config[key]) for key in keys if self.config.get(key) is not None), str(self.folder))

    def evaluated(self, stage: str) -> set[str]:
        """The splits that were evaluated at a stage."""
        return {split for split, found in self.evaluations if found == stage}

    def result(self, split: str) -> Mapping[str, Any]:
        """The row that says what the run came to on a split: after training, for ``base`` the only one."""
        row = self.evaluations.get((split, "after"))
        return row or (self.evaluations.get((split, "before"), {}) if self.method == "base" else {})


def find_runs(paths: Sequence[str | Path]) -> list[Path]:
    """The run folders that paths stand for: a run's own, or all below a comparison's folder.

    Raises:
        DataError: a path is no folder, or holds no run; the message says what to do.

    Example:
        ::

            find_runs(["runs/tiny-mentor-0", "comparisons/leak"])
    """
    found: list[Path] = []
    for folder in map(Path, paths):
        if not folder.is_dir():
            what = "this is a file, the run's folder is wanted" if folder.exists() else "no such folder"
            raise DataError(f"{folder}: {what}; train one first: python -m mentor.train")
        if _is_run(folder):
            found.append(folder)
            continue
        below = [entry for place in (folder / "runs", folder) if place.is_dir() for entry in sorted(place.iterdir())]
        runs = [entry for entry in below if not entry.name.startswith(".") and _is_run(entry)]
        if not runs:
            raise DataError(
                f"{folder}: no run is in this folder ({', '.join(_FILES)} are missing); "
                "pass the folder that python -m mentor.train printed, or one of mentor compare"
            )
        found += runs
    return list({folder.resolve(): folder for folder in found}.values())


def _is_run(folder: Path) -> bool:
    return folder.is_dir() and any((folder / name).is_file() for name in _FILES)


def name_runs(folders: Sequence[Path]) -> list[str]:
    """Names that tell folders apart: the last parts of their paths, as many as that takes.

    Example:
        >>> name_runs([Path("/a/x/mentor-0"), Path("/a/y/mentor-0")])
        ['x/mentor-0', 'y/mentor-0']
    """
    parts = [folder.resolve().parts for folder in folders]
    for count in range(1, max(map(len, parts), default=1) + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def read_run(folder: Path, *, max_bytes: int = 12_000_000) -> Run:
    """Read a run folder by its contract; missing and half-written files become notes.

    Args:
        folder: the folder.
        max_bytes: of the rollouts to keep.

    Raises:
        ConfigError: pyyaml is not installed.

    Example:
        ::

            run = read_run(Path("runs/tiny-mentor-dense"))
            print(run.splits, run.notes)
    """
    run = Run(folder, label=name_runs([folder])[0])
    run.config = _config(folder / "config.yaml", run.notes)
    curves = folder / "metrics.jsonl"
    if curves.is_file() or run.method != "base":  # which trains nothing
        run.metrics = list(_rows(curves, run.notes))
    for row in _rows(folder / "eval.jsonl", run.notes):
        if isinstance(row.get("split"), str) and row.get("stage") in _STAGES:
            run.evaluations[row["split"], row["stage"]] = row
    path, unheard = folder / "completions.jsonl", list[str]()
    run.rollouts, total = choose(_rows(path, run.notes), lambda: _rows(path, unheard), max_bytes=max_bytes)
    run.left_out = total - len(run.rollouts)
    if run.left_out:
        run.notes.append(
            f"completions.jsonl: {run.left_out:,} of {total:,} rollouts are not in this page, for its size; "
            "--max-mb changes that."
        )
    if (folder / "eval.jsonl").is_file():
        run.notes += _unfinished(run)
    return run


def _unfinished(run: Run) -> list[str]:
    before, after = run.evaluated("before"), run.evaluated("after")
    found = [
        f"No evaluation {stage} training" for stage, splits in zip(_STAGES, (before, after), strict=True) if not splits
    ]
    if after and not after >= before:
        found.append(f"The evaluation after training has {len(before & after)} of {len(before)} splits")
    asked = "was the run interrupted, or is it still going?"
    return [f"{text}: {asked}" for text in found if run.method != "base"]


def _config(path: Path, notes: list[str]) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError:
        raise ConfigError("mentor report needs pyyaml: pip install 'mentor-rs[train]'") from None
    try:
        config = yaml.safe_load(path.read_bytes())
    except FileNotFoundError:
        notes.append(f"{path.name} is missing: {_FILES[path.name]} cannot be shown.")
        return {}
    except (yaml.YAMLError, OSError, ValueError, RecursionError) as error:
        notes.append(f"{path.name} cannot be read: {' '.join(str(error).split())}")
        return {}
    if not isinstance(config, dict):
        notes.append(f"{path.name} holds no settings.")
        return {}
    return {str(key): value for key, value in config.items()}


def _rows(path: Path, notes: list[str]) -> Iterator[dict[str, Any]]:
    """The readable rows of a file; a note for a missing file, and one for the unreadable lines of a file."""
    if not path.is_file():
        notes.append(f"{path.name} is missing: {_FILES[path.name]} cannot be shown.")
        return
    bad: list[BadLine] = []
    keep: Callable[[BadLine], None] = bad.append
    for _, row in read_jsonl(path, on_error="skip", on_bad=keep, lenient=True):
        yield row
    if bad:
        rows = "1 line" if len(bad) == 1 else f"{len(bad)} lines"
        notes.append(f"{path.name}: {rows} left out; the first is line {bad[0].line}: {bad[0].reason}")


def number(value: Any, default: float = math.nan) -> float:
    """A finite number as float, ``default`` for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    try:
        return float(value) if math.isfinite(value) else default
    except OverflowError:
        return default
