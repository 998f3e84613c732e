"""Learning curves as inline SVG whose colours are the page's CSS variables, so that they follow light and dark."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mentor.errors import ConfigError
from mentor.report.run import number

__all__ = ["COLOURS", "Curve", "Phase", "Series", "draw_phases", "look"]

COLOURS = 10
"""How many colours the style sheet has for series, ``--s0`` and on."""

_PANELS = (
    ("reward", "Reward", "mean of the step's rollouts"),
    ("accuracy", "Accuracy", "share of right answers"),
    ("tool_validity", "Tool validity", "share of rollouts whose calls could run"),
    ("alignment_f1", "Alignment F1", "calls against the teacher's"),
    ("calls_per_rollout", "Calls per rollout", ""),
    ("silent", "Without calls", "share of rollouts that call nothing"),
    ("truncated", "Truncated", "share of rollouts cut off by the budget"),
    ("loss", "Loss", ""),
    ("zero_variance_groups", "Zero-variance groups", "groups that teach nothing"),
    ("step_time_s", "Step time", "seconds"),
)
_RATES = ("accuracy", "tool_validity", "alignment_f1", "silent", "truncated")
_ALIASES = {"step_time_s": "step_time"}  # TRL's own name, without the unit
_TITLES = {
    "grpo": "Reinforcement learning (GRPO)",
    "sft": "Supervised fine-tuning",
    "warmup": "Warm-up",
    "base": "Base model",
}
# Drawn in colours that nothing else uses, then replaced by the page's variables.
_INK, _GRID = "#010203", "#040506"
_LINES = [f"#0708{index:02x}" for index in range(COLOURS)]
_VARIABLES = {
    _INK: "var(--muted)",
    _GRID: "var(--rule)",
    **{line: f"var(--s{at})" for at, line in enumerate(_LINES)},
}
_DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.6)), (0, (1.2, 1.4)))
_DRAWN = 1e100  # a larger number overflows while the axis is laid out; NaN is not below it either
_POINTS = 600  # above it, a curve is thinned: a page of megabytes opens slowly
_FAINT = 150  # points of a single run's curve behind its method's mean
_WIDTH, _HEIGHT = 302.4, 162.0  # points, the SVG's own units

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Series:
    """What one line of each panel stands for.

    Attributes:
        label: its name in legends.
        colour: the number of its colour; beyond the last one they come again, dashed.
        runs: the metrics of its runs; of several, the mean is drawn and the runs faintly behind it.
    """

    label: str
    colour: int
    runs: Sequence[Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Curve:
    """One panel.

    Attributes:
        title: what is measured.
        remark: how.
        last: the last value of each series, NaN where it has none.
        svg: the element.
        hover: what a pointer needs to find values: ``x`` and ``y`` (scale and offset from data to the SVG's units) and
            ``series`` (label, look, points).
    """

    title: str
    remark: str
    last: list[float]
    svg: str
    hover: dict[str, Any]


@dataclass(frozen=True)
class Phase:
    """The curves of one phase of the training."""

    name: str
    title: str
    steps: int
    curves: list[Curve]


def look(colour: int) -> str:
    """The style sheet's classes of a series: its colour, and where colours come again how its lines are dashed.

    Example:
        >>> look(3), look(13)
        ('s3', 's3 d1')
    """
    dash = colour // COLOURS % len(_DASHES)
    return f"s{colour % COLOURS}" + (f" d{dash}" if dash else "")


def draw_phases(series: Sequence[Series]) -> list[Phase]:
    """Draw the curves of each phase, the one that the runs are about first.

    Raises:
        ConfigError: matplotlib is not installed.

    Example:
        >>> rows = [{"phase": "grpo", "step": i, "reward": i / 10} for i in range(10)]
        >>> phases = draw_phases([Series("mentor", 0, [rows])])
        >>> phases[0].curves[0].title, phases[0].curves[0].svg.startswith("<svg")
        ('Reward', True)
    """
    found = {str(row.get("phase")) for one in series for rows in one.runs for row in rows}
    phases: list[Phase] = []
    for name in [*_TITLES, *sorted(found - set(_TITLES))]:
        if name not in found:
            continue
        kept = [[[row for row in rows if str(row.get("phase")) == name] for rows in one.runs] for one in series]
        curves = []
        for key, title, remark in _PANELS:
            lines = [[_points(rows, key) for rows in runs] for runs in kept]
            means = [_mean(runs) for runs in lines]
            if any(len(points) > 1 for points in means):
                salt = f"p{len(phases)}-{key}"
                curves.append(_panel(series, lines, means, key=key, title=title, remark=remark, salt=salt))
        if curves:
            steps = max(len(rows) for runs in kept for rows in runs)
            phases.append(Phase(name, _TITLES.get(name, name), steps, curves))
    return phases


def _points(rows: Sequence[Mapping[str, Any]], key: str) -> Points:
    """(step, value) where both can be drawn; of a step logged twice (after a resume) the later one."""
    points = {}
    for index, row in enumerate(rows):
        step, value = number(row.get("step"), float(index)), number(row.get(key, row.get(_ALIASES.get(key, key))))
        if abs(step) < _DRAWN and abs(value) < _DRAWN:
            points[step] = value
    return sorted(points.items())


def _mean(runs: Sequence[Points]) -> Points:
    """The mean over the runs that have reached a step."""
    if len(runs) == 1:
        return _thinned(runs[0], _POINTS)
    values: dict[float, list[float]] = {}
    for points in runs:
        for step, value in points:
            values.setdefault(step, []).append(value)
    return _thinned([(step, math.fsum(found) / len(found)) for step, found in sorted(values.items())], _POINTS)


def _thinned(points: Points, limit: int) -> Points:
    if len(points) <= limit:
        return points
    stride = -(-len(points) // limit)
    return [*points[:-1:stride], points[-1]]


def _panel(
    series: Sequence[Series],
    lines: Sequence[Sequence[Points]],
    means: Sequence[Points],
    *,
    key: str,
    title: str,
    remark: str,
    salt: str,
) -> Curve:
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("mentor report needs matplotlib: pip install 'mentor-rs[train]'") from None
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif", "font.size": 10}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(_WIDTH / 72, _HEIGHT / 72), dpi=72)
        axes = figure.add_axes((0.125, 0.235, 0.865, 0.725))
        for one, runs, mean in zip(series, lines, means, strict=True):
            line = _LINES[one.colour % COLOURS]
            dash = _DASHES[one.colour // COLOURS % len(_DASHES)]
            if len(runs) > 1:
                for points in runs:
                    axes.plot(*_axes(_thinned(points, _FAINT)), color=line, linewidth=0.7, alpha=0.3)
            smooth = _moving_mean([value for _, value in mean]) if len(runs) == 1 else []
            steps, values = _axes(mean)
            strong = 1.0 if smooth else 1.8
            axes.plot(steps, values, color=line, linewidth=strong, linestyle=dash, alpha=0.35 if smooth else 1.0)
            if smooth:
                axes.plot(steps, smooth, color=line, linewidth=1.9, linestyle=dash)
        axes.grid(axis="y", color=_GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(_GRID)
        axes.tick_params(colors=_INK, length=0, labelsize=10)
        axes.locator_params(axis="y", nbins=4)
        axes.locator_params(axis="x", nbins=6, integer=True)
        axes.margins(x=0.01)
        drawn = [value for runs in lines for points in runs for _, value in points]
        if key in _RATES and min(drawn) >= 0 and max(drawn) <= 1:
            axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("step", color=_INK, fontsize=10)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        (left, bottom), (right, top) = axes.transData.transform([(0.0, 0.0), (1.0, 1.0)])
    hover = {
        "x": [float(right - left), float(left)],
        "y": [float(bottom - top), float(_HEIGHT - bottom)],
        "series": [
            {"label": one.label, "look": look(one.colour), "points": [[x, float(f"{y:.4g}")] for x, y in mean]}
            for one, mean in zip(series, means, strict=True)
        ],
    }
    last = [points[-1][1] if points else math.nan for points in means]
    return Curve(title, remark, last, _inline(out.getvalue(), salt), hover)


def _axes(points: Points) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _moving_mean(values: Sequence[float]) -> list[float]:
    """Mean over a centred window of a tenth of the curve; empty for short curves, which need none."""
    if len(values) < 40:
        return []
    half = max(2, len(values) // 20)
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    spans = [(max(0, i - half), min(len(values), i + half + 1)) for i in range(len(values))]
    return [(sums[end] - sums[start]) / (end - start) for start, end in spans]


def _inline(svg: str, salt: str) -> str:
    """The bare element: no prolog, metadata, namespace, global style or fixed size; ids that are its own."""
    svg = svg[svg.index("<svg") :]
    for pattern in (r"<metadata>.*?</metadata>", r"<style .*?</style>", r'\sxmlns(:xlink)?="[^"]*"'):
        svg = re.sub(pattern, "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?)\s(?:width|height)="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?)\s(?:width|height)="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'\bid="', f'id="{salt}-', svg)
    svg = re.sub(r"(url\(#|xlink:href=\"#)", rf"\g<1>{salt}-", svg)
    svg = svg.replace("<svg", '<svg aria-hidden="true"', 1)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg
