"""What ``mentor eval`` prints and writes."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from mentor.data.atomic import atomic_file
from mentor.data.columns import Kind, column_writer
from mentor.evaluate import Interval, Pass, holm, mean_interval, paired_test, share_interval

__all__ = ["Evaluation", "summary", "tables", "write_rows"]

_SHOWN = {
    "accuracy": "accuracy",
    "sampled_accuracy": "sampled",
    "tool_validity": "valid",
    "alignment_f1": "F1",
    "calls_per_rollout": "calls",
    "silent": "silent",
    "truncated": "cut",
}
_INTERVALS = ("accuracy", "sampled_accuracy")
_COLUMNS: dict[str, Kind] = {
    "model": "text",
    "split": "text",
    "task_id": "text",
    "sample": "text",
    "correct": "integer",
    "reward": "number",
    "tool_validity": "integer",
    "alignment_f1": "number",
    "calls": "integer",
    "truncated": "integer",
    "tokens": "integer",
    "defects": "texts",
    "completion": "text",
    "reference": "text",
    "tools": "texts",
}


@dataclass
class Evaluation:
    """Passes of models over splits.

    Attributes:
        rows: Split -> its tasks.
        passes: (model, split, sample) -> the pass; ``None`` for the greedy one.
    """

    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    passes: dict[tuple[str, str, int | None], Pass] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        """The models that have a pass, in order."""
        return list(dict.fromkeys(model for model, _, _ in self.passes))

    @property
    def rollouts(self) -> int:
        """How many rollouts there are."""
        return sum(len(found.task_ids) for found in self.passes.values())

    def of(self, model: str, split: str) -> tuple[Pass | None, list[Pass]]:
        """The greedy pass and the sampled ones."""
        sampled = [found for (m, s, at), found in self.passes.items() if (m, s) == (model, split) and at is not None]
        return self.passes.get((model, split, None)), sampled

    def correct(self, model: str, split: str) -> list[float]:
        """What models are compared by: greedy outcomes, or without them the mean over samples; one per task."""
        greedy, sampled = self.of(model, split)
        return list(greedy.values["correct"]) if greedy is not None else _means(sampled, "correct")


def summary(found: Evaluation) -> list[dict[str, Any]]:
    """One row per model and split: each measure with its interval over tasks."""
    rows = []
    for split in found.rows:
        for model in found.models:
            greedy, sampled = found.of(model, split)
            if greedy is None and not sampled:
                continue
            measures: dict[str, Interval] = {}
            if greedy is not None:
                right = [int(value) for value in greedy.values["correct"]]
                measures["accuracy"] = share_interval(sum(right), len(right))  # at 0 and 1 the bootstrap is blind
            if sampled:
                measures["sampled_accuracy"] = mean_interval(_means(sampled, "correct"))
            main = [greedy] if greedy is not None else sampled
            for key in ("reward", "tool_validity", "alignment_f1", "calls_per_rollout", "silent", "truncated"):
                measures[key] = mean_interval(_means(main, key))
            likeness = sum(part.tool_similarity for part in main) / len(main)
            measures["tool_similarity"] = Interval(
                value=likeness, low=math.nan, high=math.nan, n=len(found.rows[split])
            )
            rows.append({"model": model, "split": split, "tasks": len(found.rows[split]), "measures": measures})
    return rows


def contrasts(found: Evaluation) -> list[dict[str, Any]]:
    """Each model against the first, task by task; Holm's correction within a split."""
    rows: list[dict[str, Any]] = []
    for split in found.rows:
        first, *others = [model for model in found.models if found.correct(model, split)] or [""]
        tests = []
        for other in others:
            mine: dict[Hashable, float] = dict(enumerate(found.correct(other, split)))
            theirs: dict[Hashable, float] = dict(enumerate(found.correct(first, split)))
            tests.append(paired_test(mine, theirs))
        for other, test, adjusted in zip(others, tests, holm([test.p for test in tests]), strict=True):
            rows.append({"split": split, "first": other, "second": first, "test": test, "holm_p": adjusted})
    return rows


def tables(found: Evaluation) -> Iterator[Table]:
    """The tables that are printed."""
    rows = summary(found)
    keys = [key for key in _SHOWN if any(key in row["measures"] for row in rows)]
    sizes = dict.fromkeys(row["tasks"] for row in rows)
    title = f"{' or '.join(map(str, sizes))} tasks per split, greedy unless it says sampled"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    several = len(found.models) > 1
    for head in ["split"] + ["model"] * several:
        table.add_column(head, overflow="fold")
    for key in keys:
        table.add_column(_SHOWN[key], justify="right", no_wrap=True)
    for row in rows:
        cells = [_cell(row["measures"].get(key), interval=key in _INTERVALS) for key in keys]
        table.add_row(row["split"], *([row["model"]] * several), *cells)
    yield table
    if pairs := contrasts(found):
        table = Table(title="paired over tasks", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for head in ("split", "model", "against", "difference", "better / worse", "p", "Holm"):
            table.add_column(head, justify="left" if head in ("split", "model", "against") else "right")
        for pair in pairs:
            test = pair["test"]
            difference = _cell(test.difference, interval=True, sign=True)
            counts = f"{test.wins} / {test.losses}"
            table.add_row(
                pair["split"], pair["first"], pair["second"], difference, counts, _p(test.p), _p(pair["holm_p"])
            )
        yield table


def write_rows(path: Path, found: Evaluation) -> None:
    """Write every rollout with its numbers; ``.json`` holds the summary and the tests as well."""
    ending = path.suffix.lower()
    rows = list(_rows(found))
    if ending in (".csv", ".parquet"):
        flat = [{**row, "completion": _json(row["completion"]), "reference": _json(row["reference"])} for row in rows]
        with column_writer(path, _COLUMNS) as write:
            write({name: [row[name] for row in flat] for name in _COLUMNS})
        return
    with atomic_file(path) as file:
        if ending == ".jsonl":
            file.writelines(_json(row).encode() + b"\n" for row in rows)
            return
        told = {
            "summary": [_plain_row(row) for row in summary(found)],
            "tests": [_plain_test(c) for c in contrasts(found)],
        }
        file.write(json.dumps({**told, "rollouts": rows}, indent=1, ensure_ascii=False).encode() + b"\n")


def _rows(found: Evaluation) -> Iterator[dict[str, Any]]:
    for (model, split, sample), part in found.passes.items():
        for at, task in enumerate(found.rows[split]):
            value = {key: values[at] for key, values in part.values.items()}
            yield {
                "model": model,
                "split": split,
                "task_id": part.task_ids[at],
                "sample": "greedy" if sample is None else str(sample),
                "correct": int(value["correct"]),
                "reward": value["reward"],
                "tool_validity": int(value["tool_validity"]),
                "alignment_f1": value["alignment_f1"],
                "calls": int(value["calls_per_rollout"]),
                "truncated": int(value["truncated"]),
                "tokens": int(value["tokens"]),
                "defects": list(part.defects[at]),
                "completion": part.completions[at],
                "reference": task["reference"],
                "tools": list(task["tools"]),
            }


def _plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in row.items() if key != "measures"}
    for key, interval in row["measures"].items():
        plain |= {
            key: _number(interval.value),
            f"{key}_low": _number(interval.low),
            f"{key}_high": _number(interval.high),
        }
    return plain


def _plain_test(row: Mapping[str, Any]) -> dict[str, Any]:
    test = row["test"]
    plain = {key: row[key] for key in ("split", "first", "second")}
    plain |= {"tasks": test.n, "difference": _number(test.difference.value), "p": _number(test.p)}
    plain |= {"difference_low": _number(test.difference.low), "difference_high": _number(test.difference.high)}
    return plain | {"holm_p": _number(row["holm_p"]), "better": test.wins, "worse": test.losses}


def _means(parts: Sequence[Pass], key: str) -> list[float]:
    return [sum(values) / len(values) for values in zip(*(part.values[key] for part in parts), strict=True)]


def _cell(found: Interval | None, *, interval: bool = False, sign: bool = False) -> str:
    if found is None or math.isnan(found.value):
        return ""
    shown = [_short(value, sign=sign) for value in (found.value, found.low, found.high)]
    return f"{shown[0]} ({shown[1]}, {shown[2]})" if interval and not math.isnan(found.low) else shown[0]


def _short(value: float, *, sign: bool) -> str:
    """Two digits, without the zero in front: the table has many columns."""
    text = f"{value:+.2f}" if sign else f"{value:.2f}"
    return "0" if float(text) == 0 else text.replace("0.", ".", 1)


def _p(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}" if value < 0.1 else f"{value:.2f}"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
