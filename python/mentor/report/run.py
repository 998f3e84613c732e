"""Read a run folder as it is, finished or not, and note what is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mentor.data import BadLine, read_jsonl
from mentor.errors import ConfigError, DataError

__all__ = ["Run", "read_run"]

_PHASES = ("eval_before", "grpo", "eval_after")
_PER_SIDE = 3  # good and bad rollouts kept per phase
_FILES = {
    "config.yaml": "the configuration",
    "metrics.jsonl": "the learning curves",
    "eval.jsonl": "the evaluation before and after",
    "completions.jsonl": "the rollouts",
}


@dataclass
class Run:
    """What a run folder holds, as far as it can be read.

    Attributes:
        folder: the folder.
        config: the resolved configuration, empty when the file is missing.
        metrics: the logged steps in order.
        evaluations: (split, stage) -> the evaluation's row; the last one counts.
        rollouts: (phase, is it good) -> some rollouts of it.
        notes: what is missing or unreadable, as sentences.
    """

    folder: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    evaluations: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    rollouts: dict[tuple[str, bool], list[dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def splits(self) -> list[str]:
        """The evaluated splits in the file's order."""
        return list(dict.fromkeys(split for split, _ in self.evaluations))


def read_run(folder: Path) -> Run:
    """Read a run folder by its contract; missing and half-written files become notes.

    Raises:
        DataError: there is no folder, or nothing of a run in it; the message says what to do.
        ConfigError: pyyaml is not installed.

    Example:
        ::

            run = read_run(Path("runs/tiny-mentor-dense"))
            print(run.splits, run.notes)
    """
    if not folder.is_dir():
        what = "this is a file, the run's folder is wanted" if folder.exists() else "no such folder"
        raise DataError(f"{folder}: {what}; train one first: python -m mentor.train")
    if not any((folder / name).is_file() for name in _FILES):
        raise DataError(
            f"{folder}: no run is in this folder ({', '.join(_FILES)} are missing); "
            "pass the folder that python -m mentor.train printed"
        )
    run = Run(folder)
    run.config = _config(folder / "config.yaml", run.notes)
    run.metrics = list(_rows(folder / "metrics.jsonl", run.notes))
    for row in _rows(folder / "eval.jsonl", run.notes):
        if isinstance(row.get("split"), str) and row.get("stage") in ("before", "after"):
            run.evaluations[row["split"], row["stage"]] = row
    _choose(_rows(folder / "completions.jsonl", run.notes), run)
    if (folder / "eval.jsonl").is_file():
        for stage in ("before", "after"):
            if not any(found == stage for _, found in run.evaluations):
                run.notes.append(f"No evaluation {stage} training: was the run interrupted?")
    return run


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
    except (yaml.YAMLError, OSError, ValueError) as error:
        notes.append(f"{path.name} cannot be read: {' '.join(str(error).split())}")
        return {}
    if not isinstance(config, dict):
        notes.append(f"{path.name} holds no settings.")
        return {}
    return config


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


def _choose(rows: Iterator[dict[str, Any]], run: Run) -> None:
    """Keep, in one pass, the best and the worst rollouts of each phase; of training the latest ones."""
    for row in rows:
        phase = row.get("phase")
        if phase not in _PHASES:
            continue
        good = bool(row.get("correct"))
        kept = run.rollouts.setdefault((phase, good), [])
        kept.append(row)
        if len(kept) > _PER_SIDE:
            kept.remove(_dullest(kept, phase, good))


def _dullest(kept: list[dict[str, Any]], phase: str, good: bool) -> dict[str, Any]:
    """The row that shows least: the oldest in training, else the one of middling reward, splits kept apart."""
    if phase == "grpo":
        return kept[0]
    splits = [row.get("split") for row in kept]
    crowded = [row for row in kept if splits.count(row.get("split")) > 1] or kept
    return (min if good else max)(crowded, key=lambda row: number(row.get("reward"), 0.0))


def number(value: Any, default: float = math.nan) -> float:
    """A finite number as float, ``default`` for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    try:
        return float(value) if math.isfinite(value) else default
    except OverflowError:
        return default
