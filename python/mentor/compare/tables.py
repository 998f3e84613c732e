"""The tables of a comparison: Markdown to read, CSV and JSON to reckon with."""

from __future__ import annotations

import csv
import io
import json
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from mentor.compare.summary import MEASURES, Cell, Comparison, Contrast
from mentor.compare.values import CROSS, INSIDE, OOD
from mentor.data.atomic import atomic_file
from mentor.evaluate.statistics import Interval

__all__ = ["about", "table_csv", "table_json", "table_markdown", "tests_json", "tests_markdown", "write_tables"]

_PACKAGES = ("mentor-rs", "torch", "transformers", "trl", "numpy", "scipy")


def write_tables(comparison: Comparison, folder: Path, *, command: str | None = None) -> list[Path]:
    """Write ``table.md``, ``table.csv``, ``table.json``, ``tests.md`` and ``tests.json``.

    Args:
        comparison: What to write.
        folder: Where to; made if it is not there.
        command: The command that made the runs.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = about(comparison, command=command)
    texts = {
        "table.md": table_markdown(comparison, facts),
        "table.csv": table_csv(comparison),
        "table.json": table_json(comparison, facts),
        "tests.md": tests_markdown(comparison, facts),
        "tests.json": tests_json(comparison, facts),
    }
    for name, text in texts.items():
        with atomic_file(folder / name) as file:
            file.write(text.encode())
    return [folder / name for name in texts]


def about(comparison: Comparison, *, command: str | None = None) -> dict[str, Any]:
    """What the tables were made of: command, versions, numbers of runs, what is missing."""
    saved = [run.config.get("versions") for run in comparison.runs]
    versions = next((dict(found) for found in saved if isinstance(found, Mapping)), {})
    here = {name: _version(name) for name in _PACKAGES}
    return {
        "command": command,
        "versions": {**{name: version for name, version in here.items() if version}, **versions},
        "python": platform.python_version(),
        "runs": len(comparison.runs),
        "seeds": comparison.seeds,
        "bases": comparison.bases,
        "confidence": comparison.confidence,
        "solved_threshold": comparison.threshold,
        "missing": [{"label": gap.label, "seed": gap.seed, "reason": gap.reason} for gap in comparison.missing],
        "notes": list(comparison.notes),
    }


def table_markdown(comparison: Comparison, facts: Mapping[str, Any]) -> str:
    """The whole comparison to read: what it is, the summary, each split."""
    level = f"{comparison.confidence:.0%}"
    parts = [
        "# Comparison of training methods\n",
        _header(facts),
        f"Numbers are means over runs with {level} bootstrap intervals over bases, seeds and (of accuracy) tasks. "
        "Runs often fall into two kinds, those that found the tool policy and those that did not, and then a mean "
        "describes none of them: read the share of solved runs (greedy accuracy at least "
        f"{comparison.threshold:g}, with Wilson's interval) and the accuracy given solved beside it.\n",
    ]
    for split in (OOD, CROSS):
        if split in comparison.splits:
            inside = f"`{split}` is the mean over " + ", ".join(f"`{name}`" for name in _members(comparison, split))
            parts.append(f"## Summary: {split}\n\n{inside}.\n\n{_summary(comparison, split)}")
    single = [split for split in comparison.splits if split not in (OOD, CROSS)]
    parts += [f"## {split}\n\n{_split_table(comparison, split)}" for split in single]
    if comparison.notes:
        parts.append("## Notes\n\n" + "".join(f"- {note}\n" for note in comparison.notes))
    return "\n".join(parts)


def tests_markdown(comparison: Comparison, facts: Mapping[str, Any]) -> str:
    """The paired tests to read, split by split."""
    parts = [
        "# Paired tests of greedy accuracy\n",
        _header(facts),
        "Runs are paired by base and seed. `p` is of the sign-flip permutation test of the mean difference (two-sided, "
        "exact up to 14 pairs); Wilcoxon's signed-rank test stands beside it. Holm's correction is over the tests of a "
        "split within a family. Differences have bootstrap intervals over bases, seeds and tasks; d_z is the mean "
        "difference over its standard deviation between pairs. n pairs cannot give a p below 2 / 2^n.\n",
    ]
    for split in comparison.splits:
        for family in ("claim", "further"):
            mine = [found for found in comparison.contrasts if (found.split, found.family) == (split, family)]
            if mine:
                parts.append(f"## {split}: {family}\n\n{_tests(mine)}")
    return "\n".join(parts)


def table_csv(comparison: Comparison) -> str:
    """One row per method and split."""
    out = io.StringIO()
    rows = [_flat(cell) for cell in comparison.cells]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if _absent(value) else value for key, value in row.items()} for row in rows)
    return out.getvalue()


def table_json(comparison: Comparison, facts: Mapping[str, Any]) -> str:
    """Everything of ``table.csv``, the single runs' accuracies, and what the table was made of."""
    rows = [{**_flat(cell), "accuracies": [round(value, 6) for value in cell.accuracies]} for cell in comparison.cells]
    return _json({"about": dict(facts), "rows": rows})


def tests_json(comparison: Comparison, facts: Mapping[str, Any]) -> str:
    """The paired tests with all their numbers."""
    rows = []
    for found in comparison.contrasts:
        test = found.test
        row: dict[str, Any] = {"split": found.split, "family": found.family}
        row |= {"first": found.first, "second": found.second, "pairs": test.n}
        row |= _ends("difference", test.difference)
        row |= {"p": test.p, "holm_p": found.adjusted_p, "wilcoxon_p": test.wilcoxon_p, "smallest_p": test.smallest_p}
        row |= {**_ends("effect", test.effect), "wins": test.wins, "losses": test.losses}
        rows.append(row)
    return _json({"about": dict(facts), "tests": rows})


def _header(facts: Mapping[str, Any]) -> str:
    lines = []
    if facts["command"]:
        lines.append(f"Command: `{facts['command']}`")
    lines.append(f"{facts['runs']} runs, {facts['seeds']} seeds, {facts['bases']} base models.")
    lines.append("Versions: " + ", ".join(f"{name} {version}" for name, version in facts["versions"].items()) + ".")
    if missing := facts["missing"]:
        named = "; ".join(f"{gap['label']}, seed {gap['seed']} ({gap['reason']})" for gap in missing)
        lines.append(f"**Without a result: {named}.**")
    return "\n\n".join(lines) + "\n"


def _summary(comparison: Comparison, split: str) -> str:
    heads = ["method", "runs", INSIDE, "greedy", "sampled", "solved", "accuracy if solved"]
    heads += ["silent", "zero-variance groups", "alignment F1"]
    rows = []
    for label in comparison.labels:
        cell, inside = comparison.cell(label, split), comparison.cell(label, INSIDE)
        if cell is None:
            continue
        rows.append(
            [
                label,
                str(len(cell.accuracies)),
                _shown(inside.measures.get("accuracy")) if inside else "",
                f"**{_shown(cell.measures.get('accuracy'))}**",
                _shown(cell.measures.get("sampled_accuracy")),
                _solved(cell),
                _bare(cell.accuracy_if_solved),
                _mean_of(cell, "silent"),
                _bare(cell.zero_variance),
                _mean_of(cell, "alignment_f1"),
            ]
        )
    return _markdown(heads, rows)


def _split_table(comparison: Comparison, split: str) -> str:
    cells = [cell for label in comparison.labels if (cell := comparison.cell(label, split)) is not None]
    keys = [key for key in MEASURES if any(key in cell.measures for cell in cells)]
    heads = ["method", "runs", *(MEASURES[key] for key in keys), "solved", "accuracy if solved"]
    rows = []
    for cell in cells:
        shown = [_shown(cell.measures.get(key)) for key in keys]
        rows.append(
            [cell.label, str(len(cell.accuracies)), *shown, _solved(cell), _bare(cell.accuracy_if_solved)],
        )
    return _markdown(heads, rows)


def _tests(contrasts: Sequence[Contrast]) -> str:
    heads = ["first", "second", "pairs", "difference", "p", "Holm", "Wilcoxon", "d_z", "above / below"]
    rows = []
    for found in contrasts:
        test = found.test
        mark = "**" if found.adjusted_p < 0.05 else ""
        rows.append(
            [
                found.first,
                found.second,
                str(test.n),
                _shown(test.difference, sign=True),
                _p(test.p),
                f"{mark}{_p(found.adjusted_p)}{mark}",
                _p(test.wilcoxon_p),
                _shown(test.effect, sign=True),
                f"{test.wins} / {test.losses}",
            ]
        )
    return _markdown(heads, rows)


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _members(comparison: Comparison, split: str) -> list[str]:
    return [name for name in comparison.outside if ("/" in name) == (split == CROSS)]


def _flat(cell: Cell) -> dict[str, Any]:
    row: dict[str, Any] = {"method": cell.label, "split": cell.split, "runs": len(cell.accuracies)}
    for key, interval in cell.measures.items():
        row |= _ends(key, interval)
    row |= {
        "solved_runs": round(cell.solved.value * cell.solved.n) if cell.solved.n else 0,
        **_ends("solved", cell.solved),
    }
    return row | {"accuracy_if_solved": _round(cell.accuracy_if_solved), "zero_variance": _round(cell.zero_variance)}


def _ends(name: str, interval: Interval) -> dict[str, float]:
    ends = {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return {key: _round(value) for key, value in ends.items()}


def _round(value: float) -> float:
    return round(value, 6) if math.isfinite(value) else value


def _absent(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _json(value: Any) -> str:
    return json.dumps(_strict(value), indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def _strict(value: Any) -> Any:
    """JSON knows no NaN and no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("infinity" if value > 0 else "-infinity")
    if isinstance(value, Mapping):
        return {str(key): _strict(entry) for key, entry in value.items()}
    return [_strict(entry) for entry in value] if isinstance(value, list | tuple) else value


def _shown(interval: Interval | None, *, sign: bool = False) -> str:
    if interval is None or math.isnan(interval.value):
        return ""
    number = f"{interval.value:+.2f}" if sign else f"{interval.value:.2f}"
    if math.isnan(interval.low):
        return _tidy(number)
    form = "+.2f" if sign else ".2f"
    return _tidy(f"{number} [{interval.low:{form}}, {interval.high:{form}}]")


def _tidy(text: str) -> str:
    return text.replace("-0.00", "0.00").replace("+0.00", "0.00").replace("-", "\N{MINUS SIGN}")


def _bare(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else ""


def _mean_of(cell: Cell, key: str) -> str:
    return _bare(cell.measures[key].value) if key in cell.measures else ""


def _solved(cell: Cell) -> str:
    share = cell.solved
    return f"{_hits(share)}/{share.n} [{share.low:.2f}, {share.high:.2f}]" if share.n else ""


def _hits(share: Interval) -> int:
    return round(share.value * share.n) if share.n else 0


def _p(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.4f}" if value < 0.1 else f"{value:.2f}"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
