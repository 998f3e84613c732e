"""Finished and unfinished runs, as their folders hold them."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mentor.compare.plan import NOT_SETTINGS, PLAN_FILE, Plan, read_plan
from mentor.data import BadLine, read_jsonl
from mentor.errors import ConfigError, DataError

__all__ = ["RUNS", "Missing", "RunRecord", "differing_settings", "read_comparison", "read_run", "read_runs"]

RUNS = "runs"
"""Folder of the runs in a comparison's folder."""

_LABEL_LESS = ("seed", "base_seed", "method", *NOT_SETTINGS)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a comparison reads of a run folder.

    Attributes:
        folder: The folder.
        label: Method or variant.
        method: The run's method.
        seed: Its seed.
        base: Name of its base model: runs with the same one start from the same weights.
        config: ``config.yaml``.
        before: Split -> row of ``eval.jsonl`` before training.
        after: The same after it; of the method ``base``, which trains nothing, the same numbers again.
        curve: Rows of ``metrics.jsonl`` of the training itself.
        finished: Whether every split was evaluated.
        notes: What is unreadable, as sentences.
    """

    folder: Path
    label: str
    method: str
    seed: int
    base: Hashable
    config: Mapping[str, Any]
    before: Mapping[str, Mapping[str, Any]]
    after: Mapping[str, Mapping[str, Any]]
    curve: Sequence[Mapping[str, Any]]
    finished: bool
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def pair(self) -> Hashable:
        """What a run of another method must share to be compared with this one."""
        return (self.base, self.seed)


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A planned run that has no result yet: which one, and why."""

    label: str
    seed: int
    reason: str


def read_run(folder: Path, *, label: str | None = None) -> RunRecord:
    """Read one run folder, finished or not.

    Raises:
        DataError: There is no run in it.
    """
    config = _config(folder)
    notes: list[str] = []
    stages: dict[str, dict[str, Mapping[str, Any]]] = {"before": {}, "after": {}}
    for row in _rows(folder / "eval.jsonl", notes):
        if isinstance(row.get("split"), str) and row.get("stage") in stages:
            stages[row["stage"]][row["split"]] = row
    method, seed = str(config["method"]), config.get("seed") or 0
    if not isinstance(seed, int):
        raise ConfigError(f"{folder / 'config.yaml'}: seed is {seed!r}, must be a whole number")
    base = next(value for value in (config.get("model") or None, config.get("base_seed"), seed) if value is not None)
    before, after = stages["before"], stages["after"]
    finished = bool(after) and set(after) >= set(before)
    curve = [row for row in _rows(folder / "metrics.jsonl", notes) if row.get("phase") in ("grpo", "sft")]
    return RunRecord(
        folder=folder,
        label=label or method,
        method=method,
        seed=seed,
        base=base if isinstance(base, int) else str(base),
        config=config,
        before=before,
        after=after,
        curve=curve,
        finished=finished,
        notes=tuple(notes),
    )


def read_runs(folders: Iterable[Path]) -> tuple[list[RunRecord], list[Missing]]:
    """Read run folders given by name; those of one method with other settings get labels that tell them apart.

    Returns:
        The finished runs, and the unfinished ones.

    Raises:
        DataError: A folder holds no run, or two runs are alike in everything.
    """
    records: list[RunRecord] = []
    for folder in folders:
        if (folder / RUNS).is_dir() and not (folder / "config.yaml").is_file():
            records += [read_run(path.parent) for path in sorted((folder / RUNS).glob("*/config.yaml"))]
        else:
            records.append(read_run(folder))
    records = _told_apart(records)
    seen: dict[Hashable, RunRecord] = {}
    for record in records:
        if (other := seen.setdefault((record.label, record.pair), record)) is not record:
            raise DataError(
                f"{other.folder} and {record.folder}: both are {record.label} with seed {record.seed}; leave one out"
            )
    return _split(records)


def read_comparison(output: Path) -> tuple[Plan | None, list[RunRecord], list[Missing]]:
    """Read the folder of a comparison.

    Returns:
        Its plan (``None`` where the runs were put there by other means), the finished runs, and what is missing.

    Raises:
        DataError: There are no runs in it.
        ConfigError: Its ``comparison.yaml`` cannot be read.
    """
    if not (output / PLAN_FILE).is_file():
        records, missing = read_runs([output])
        return None, records, missing
    plan, _ = read_plan(output / PLAN_FILE)
    planned = {arm.name: arm for arm in plan.arms()}
    found, missing = [], []
    for arm in planned.values():
        folder = output / RUNS / arm.name
        if not (folder / "config.yaml").is_file():
            missing.append(Missing(label=arm.label, seed=arm.seed, reason="not started"))
            continue
        found.append(read_run(folder, label=arm.label))
    for path in sorted((output / RUNS).glob("*/config.yaml")):
        if path.parent.name not in planned:  # of an earlier plan: its results are not dropped
            match = re.fullmatch(r"(.+)-\d+", path.parent.name)
            found.append(read_run(path.parent, label=match[1] if match else None))
    finished, unfinished = _split(found)
    return plan, finished, missing + unfinished


def differing_settings(records: Sequence[RunRecord]) -> dict[str, dict[str, list[str]]]:
    """Settings beside method and seed in which runs differ: key -> value -> labels of the runs that have it.

    Example:
        ::

            {"suite": {"hints": ["mentor"], "arithmetic": ["sparse"]}}
    """
    found: dict[str, dict[str, list[str]]] = {}
    for key in dict.fromkeys(key for record in records for key in record.config):
        values: dict[str, list[str]] = {}
        for record in records:
            labels = values.setdefault(str(record.config.get(key)), [])
            labels += [record.label] if record.label not in labels else []
        if len(values) > 1 and key not in _LABEL_LESS:
            found[key] = values
    return found


def _split(records: Iterable[RunRecord]) -> tuple[list[RunRecord], list[Missing]]:
    finished, missing = [], []
    for record in records:
        if record.finished:
            finished.append(record)
            continue
        logged = [row.get("step") for row in record.curve]
        steps = max((step for step in logged if isinstance(step, int)), default=0)
        total = record.config.get("max_steps")
        reason = f"stopped at step {steps} of {total}" if steps else "stopped before training"
        if record.after:
            reason = f"the last evaluation has {len(record.after)} of {len(record.before)} splits"
        missing.append(Missing(label=record.label, seed=record.seed, reason=reason))
    return finished, missing


def _told_apart(records: list[RunRecord]) -> list[RunRecord]:
    """Where one method ran with several settings, add the settings in which they differ to its label."""
    named = []
    for record in records:
        same = [other for other in records if other.method == record.method]
        keys = [key for key in record.config if key not in _LABEL_LESS]
        differing = [key for key in keys if len({repr(other.config.get(key)) for other in same}) > 1]
        extra = " ".join(f"{key}={record.config.get(key)}" for key in differing)
        named.append(replace(record, label=f"{record.label} {extra}".strip()))
    return named


def _config(folder: Path) -> dict[str, Any]:
    import yaml

    path = folder / "config.yaml"
    try:
        config = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"{folder}: no run is in this folder (config.yaml: {error.strerror}); pass folders that "
            "python -m mentor.train left, or that of a comparison"
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(config, dict) or "method" not in config:
        raise DataError(f"{path}: holds no run's configuration")
    return config


def _rows(path: Path, notes: list[str]) -> list[dict[str, Any]]:
    """The readable rows of a file; the others become a note."""
    if not path.is_file():
        return []
    bad: list[BadLine] = []
    rows = [row for _, row in read_jsonl(path, on_error="skip", on_bad=bad.append, lenient=True)]
    if bad:
        notes.append(f"{path}: {len(bad)} unreadable lines; the first is line {bad[0].line}: {bad[0].reason}")
    return rows
