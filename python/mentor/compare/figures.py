"""The figures of a comparison, as SVG and PNG: accuracy out of domain, learning curves, likeness to the teacher."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mentor.compare.runs import RunRecord
from mentor.compare.summary import UNTRAINED, Cell, Comparison
from mentor.compare.values import CROSS, INSIDE, OOD, number, splits_of, value_of

__all__ = ["draw_figures"]

# Okabe and Ito's colours, which people with any kind of colour vision tell apart; greys for what is no reward.
_COLOURS: Mapping[str, str] = {
    UNTRAINED: "#b0b0b0",
    "base": "#b0b0b0",
    "sft": "#6f6f6f",
    "sft-few": "#8c8c8c",
    "sft-verbose": "#525252",
    "sparse": "#d55e00",
    "sparse-valid": "#e69f00",
    "strict": "#cc79a7",
    "overlap": "#8f7f00",
    "valid": "#a6761d",
    "f1": "#56b4e9",
    "mentor": "#0072b2",
    "mentor-dense": "#009e73",
}
_MORE = ("#000000", "#7570b3", "#66a61e", "#a6cee3", "#fb9a99", "#b15928")
_DASHES: Mapping[str, Any] = {"strict": "--", "sparse-valid": "-.", "overlap": ":", "valid": "--", "f1": "-."}
_MARKERS: Mapping[str, str] = {
    "sft": "s",
    "sft-few": "D",
    "sft-verbose": "^",
    "sparse": "v",
    "sparse-valid": ">",
    "strict": "X",
    "overlap": "P",
    "valid": "h",
    "f1": "p",
    "mentor-dense": "s",
}
_INK, _RULE = "#333333", "#e3e3e3"
_SETTINGS: Any = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.edgecolor": "#9a9a9a",
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "text.parse_math": False,  # labels may hold the paths of models
    "svg.hashsalt": "mentor",
    "savefig.facecolor": "white",
}
_CURVES = {
    "reward": "mean reward (each method's own)",
    "accuracy": "accuracy of the rollouts",
    "silent": "rollouts without a call",
    "zero_variance_groups": "groups without variance",
}


def draw_figures(comparison: Comparison, folder: Path) -> list[Path]:
    """Draw what the runs allow, as SVG and PNG.

    Args:
        comparison: What to draw.
        folder: Where to.

    Returns:
        The files: ``accuracy`` (each split), ``runs`` (the single runs), ``curves`` and ``similarity``, those for which
        there is anything to draw.
    """
    drawn: dict[str, Callable[[Comparison], Figure | None]] = {
        "accuracy": _accuracy,
        "runs": _distribution,
        "curves": _curves,
        "similarity": _similarity,
    }
    files = []
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_SETTINGS):
        for name, draw in drawn.items():
            if (figure := draw(comparison)) is None:
                continue
            for ending in ("svg", "png"):
                path = folder / f"{name}.{ending}"
                figure.savefig(path, dpi=144, metadata={"Date": None} if ending == "svg" else None)
                files.append(path)
    return files


def _accuracy(comparison: Comparison) -> Figure:
    """Greedy accuracy with intervals, a panel per split, the single runs as dots."""
    splits = sorted(comparison.splits, key=lambda split: split not in (INSIDE, OOD, CROSS))
    columns = min(4, len(splits))
    rows = math.ceil(len(splits) / columns)
    height = 0.9 + 0.26 * len(comparison.labels)
    figure = Figure(figsize=(2.0 + 2.35 * columns, 0.5 + height * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes, split in zip(panels, splits, strict=False):
        axes.set_title(
            _title(split), loc="left", fontsize=9.5, fontweight="bold" if split in (OOD, CROSS) else "normal"
        )
        for at, label in enumerate(comparison.labels):
            if (cell := comparison.cell(label, split)) is not None:
                _row(axes, at, cell, _colour(comparison, label))
        _share_axis(axes, "x")
        _method_axis(axes, comparison.labels)
    for axes in panels[len(splits) :]:
        axes.set_visible(False)
    figure.suptitle(f"Greedy accuracy after training: means with {comparison.confidence:.0%} intervals, dots are runs")
    return figure


def _distribution(comparison: Comparison) -> Figure:
    """Every run: in domain and out of domain; what is solved, and how well."""
    splits = [split for split in (INSIDE, OOD, CROSS) if split in comparison.splits]
    if OOD not in splits:
        splits += comparison.outside[:1]
    figure = Figure(figsize=(1.6 + 3.3 * len(splits), 1.2 + 0.3 * len(comparison.labels)), layout="constrained")
    panels = figure.subplots(1, len(splits), sharey=True, squeeze=False).ravel()
    for axes, split in zip(panels, splits, strict=True):
        axes.set_title(_title(split), loc="left", fontsize=9.5)
        axes.axvline(comparison.threshold, color="#9a9a9a", linewidth=0.8, linestyle=(0, (4, 3)))
        for at, label in enumerate(comparison.labels):
            if (cell := comparison.cell(label, split)) is None:
                continue
            values = np.asarray(cell.accuracies)
            axes.scatter(values, at + _swarm(values), s=22, color=_colour(comparison, label), alpha=0.8, linewidths=0)
            hits = round(cell.solved.value * cell.solved.n)
            axes.text(1.05, at, f"{hits}/{cell.solved.n}", va="center", fontsize=8.5)
        axes.text(1.05, -0.95, "solved", va="center", fontsize=8)
        _share_axis(axes, "x")
        _method_axis(axes, comparison.labels)
        axes.set_xlabel("greedy accuracy")
    figure.set_layout_engine("constrained", wspace=0.06)
    figure.suptitle(f"Single runs; solved from {comparison.threshold:g} on (dashed)")
    return figure


def _curves(comparison: Comparison) -> Figure | None:
    """Learning curves of what is rewarded: the mean over runs, and the middle half of them."""
    trained = {label: [run for run in comparison.runs if run.label == label] for label in comparison.labels}
    keys = [key for key in _CURVES if any(_series(runs, key)[0].size > 1 for runs in trained.values())]
    if not keys:
        return None
    columns = min(2, len(keys))
    rows = math.ceil(len(keys) / columns)
    figure = Figure(figsize=(4.4 * columns, 0.8 + 2.5 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    named: dict[str, Any] = {}
    for axes, key in zip(panels, keys, strict=False):
        axes.set_title(_CURVES[key], loc="left", fontsize=9.5)
        for label, runs in trained.items():
            steps, table = _series(runs, key)
            if steps.size < 2:
                continue
            colour = _colour(comparison, label)
            if len(table) > 2:
                low, high = np.nanquantile(table, [0.25, 0.75], axis=0)
                axes.fill_between(steps, low, high, color=colour, alpha=0.11, linewidth=0)
            line = axes.plot(
                steps, np.nanmean(table, axis=0), color=colour, linestyle=_DASHES.get(label, "-"), linewidth=1.7
            )
            named.setdefault(label, line[0])
        axes.grid(axis="y", color=_RULE, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.set_xlabel("step")
        axes.locator_params(axis="x", integer=True)
        axes.margins(x=0.01)
        if key != "reward":
            axes.set_ylim(-0.02, 1.02)
    for axes in panels[len(keys) :]:
        axes.set_visible(False)
    settings: Any = {"loc": "outside lower center", "ncols": min(5, len(named)), "frameon": False, "handlelength": 3}
    figure.legend(named.values(), named.keys(), **settings)
    figure.suptitle("Learning curves: mean over runs, band from the first to the third quarter")
    return figure


def _similarity(comparison: Comparison) -> Figure | None:
    """Likeness to the teacher against accuracy out of domain: a small mark per run, a large one per method's mean."""
    split = OOD if OOD in comparison.splits else next(iter(comparison.outside), INSIDE)
    splits = splits_of(comparison.runs)
    keys = {"alignment_f1": "alignment F1 with the teacher's calls", "tool_similarity": "1 - JSD of tool names"}
    found = {key: _points(comparison.runs, split, key, splits) for key in keys}
    found = {key: points for key, points in found.items() if len(points) > 1}
    if not found:
        return None
    figure = Figure(figsize=(4.2 * len(found), 4.5), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False).ravel()
    named: dict[str, Any] = {}
    for axes, (key, points) in zip(panels, found.items(), strict=True):
        for label in comparison.labels:
            mine = np.array([point[1:] for point in points if point[0] == label])
            if not mine.size:
                continue
            colour = _colour(comparison, label)
            axes.scatter(*mine.T, s=16, color=colour, marker=_MARKERS.get(label, "o"), alpha=0.5, linewidths=0)
            style: Any = {"facecolors": colour, "edgecolors": "white", "marker": _MARKERS.get(label, "o")}
            ring = axes.scatter(*mine.mean(axis=0), s=75, linewidths=1.2, zorder=3, **style)
            named.setdefault(label, ring)
        axes.set_xlabel(keys[key])
        axes.set_title(_correlation(points), loc="left", fontsize=9)
        _share_axis(axes, "x")
        _share_axis(axes, "y")
    panels[0].set_ylabel(f"greedy accuracy, {_title(split)}")
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=min(5, len(named)), frameon=False)
    figure.suptitle("Likeness to the teacher against accuracy: small marks are runs, large ones are means")
    return figure


def _row(axes: Axes, at: int, cell: Cell, colour: str) -> None:
    values = np.asarray(cell.accuracies)
    axes.scatter(values, at + 0.26 + 0.6 * _swarm(values), s=8, color=colour, alpha=0.55, linewidths=0)
    found = cell.measures["accuracy"]
    if math.isfinite(found.low):
        axes.plot([found.low, found.high], [at, at], color=colour, linewidth=1.6, solid_capstyle="round")
    axes.scatter([found.value], [at], s=34, color=colour, edgecolors="white", linewidths=0.9, zorder=3)


def _swarm(values: Any) -> Any:
    """Offsets that keep equal values apart: what falls into one hundredth is stacked around the row."""
    offsets = np.zeros(len(values))
    for place in set(np.round(values, 2)):
        members = np.flatnonzero(np.round(values, 2) == place)
        offsets[members] = (np.arange(len(members)) - (len(members) - 1) / 2) * min(0.12, 0.6 / len(members))
    return offsets


def _series(runs: Sequence[RunRecord], key: str) -> tuple[Any, Any]:
    """Steps, and one row of values per run; NaN where a run has none."""
    logged = [{number(row.get("step")): number(row.get(key)) for row in run.curve} for run in runs]
    logged = [{step: value for step, value in run.items() if math.isfinite(step + value)} for run in logged]
    logged = [run for run in logged if run]
    steps = sorted({step for run in logged for step in run})
    steps = [step for step in steps if sum(step in run for run in logged) == len(logged)]  # else the mean jumps
    return np.array(steps), np.array([[run[step] for step in steps] for run in logged])


def _points(runs: Sequence[RunRecord], split: str, key: str, splits: Sequence[str]) -> list[tuple[str, float, float]]:
    points = []
    for run in runs:
        x, y = value_of(run, split, key, splits), value_of(run, split, "accuracy", splits)
        if x is not None and y is not None:
            points.append((run.label, x, y))
    return points


def _correlation(points: Sequence[tuple[str, float, float]]) -> str:
    from scipy.stats import spearmanr

    table = np.array([point[1:] for point in points])
    if len(table) < 3 or np.ptp(table[:, 0]) == 0 or np.ptp(table[:, 1]) == 0:
        return f"{len(points)} runs"
    rho = float(spearmanr(table[:, 0], table[:, 1]).statistic)
    return f"{len(points)} runs, Spearman's rho {rho:.2f}".replace("-", "\N{MINUS SIGN}")


def _share_axis(axes: Axes, which: str) -> None:
    (axes.set_xlim if which == "x" else axes.set_ylim)(-0.03, 1.03)
    (axes.set_xticks if which == "x" else axes.set_yticks)([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
    axes.grid(axis="x" if which == "x" else "y", color=_RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def _method_axis(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.6)
    axes.spines["left"].set_visible(False)


def _colour(comparison: Comparison, label: str) -> str:
    unknown = [name for name in comparison.labels if name not in _COLOURS]
    return _COLOURS.get(label) or _MORE[unknown.index(label) % len(_MORE)]


def _title(split: str) -> str:
    return {OOD: "mean out of domain", CROSS: "mean cross-domain", INSIDE: "in domain"}.get(split, split)
