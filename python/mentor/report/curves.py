"""Learning curves as inline SVG whose colours are the page's CSS variables, so that they follow light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mentor.errors import ConfigError
from mentor.report.run import number

__all__ = ["Curve", "Phase", "draw_phases"]

_PANELS = (
    ("reward", "Reward", "mean of the step's rollouts"),
    ("accuracy", "Accuracy", "share of right answers"),
    ("tool_validity", "Tool validity", "share of calls that could run"),
    ("alignment_f1", "Alignment F1", "calls against the teacher's"),
    ("loss", "Loss", ""),
    ("zero_variance_groups", "Zero-variance groups", "groups that teach nothing"),
    ("step_time_s", "Step time", "seconds"),
)
_RATES = ("accuracy", "tool_validity", "alignment_f1")
_ALIASES = {"step_time_s": "step_time"}  # TRL's own name, without the unit
_TITLES = {
    "grpo": "Reinforcement learning (GRPO)",
    "sft": "Supervised fine-tuning",
    "warmup": "Warm-up",
    "base": "Base model",
}
# Drawn in colours that nothing else uses, then replaced by the page's variables.
_INK, _GRID, _LINE = "#010203", "#040506", "#070809"
_VARIABLES = {_INK: "var(--muted)", _GRID: "var(--rule)", _LINE: "var(--accent)"}
_DRAWN = 1e100  # a larger number overflows while the axis is laid out; NaN is not below it either
_POINTS = 2000  # above it, a curve is thinned: a page of megabytes opens slowly


@dataclass(frozen=True)
class Curve:
    """One panel: its title, a remark on the measure, the last value, and the SVG element."""

    title: str
    remark: str
    last: float
    svg: str


@dataclass(frozen=True)
class Phase:
    """The curves of one phase of the training."""

    name: str
    title: str
    steps: int
    curves: list[Curve]


def draw_phases(metrics: Sequence[Mapping[str, Any]]) -> list[Phase]:
    """Draw the curves of each phase, the one that the run is about first.

    Raises:
        ConfigError: matplotlib is not installed.

    Example:
        >>> phases = draw_phases([{"phase": "grpo", "step": i, "reward": i / 10} for i in range(10)])
        >>> phases[0].curves[0].title, phases[0].curves[0].svg.startswith("<svg")
        ('Reward', True)
    """
    found = {str(row.get("phase")) for row in metrics}
    phases: list[Phase] = []
    for name in [*_TITLES, *sorted(found - set(_TITLES))]:
        rows = [row for row in metrics if str(row.get("phase")) == name]
        curves = []
        for key, title, remark in _PANELS:
            points = _points(rows, key)
            if len(points) > 1:
                curves.append(Curve(title, remark, points[-1][1], _draw(points, key, f"p{len(phases)}-{key}")))
        if curves:
            phases.append(Phase(name, _TITLES.get(name, name), len(rows), curves))
    return phases


def _points(rows: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    """(step, value) where both can be drawn; of a step logged twice (after a resume) the later one."""
    points = {}
    for index, row in enumerate(rows):
        step, value = number(row.get("step"), float(index)), number(row.get(key, row.get(_ALIASES.get(key, key))))
        if abs(step) < _DRAWN and abs(value) < _DRAWN:
            points[step] = value
    ordered = sorted(points.items())
    return ordered[:: max(1, len(ordered) // _POINTS)]


def _draw(points: list[tuple[float, float]], key: str, salt: str) -> str:
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("mentor report needs matplotlib: pip install 'mentor-rs[train]'") from None
    steps, values = [list(axis) for axis in zip(*points, strict=True)]
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif", "font.size": 10}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(4.2, 2.25), layout="constrained")
        axes = figure.add_subplot()
        smooth = _moving_mean(values)
        axes.plot(steps, values, color=_LINE, linewidth=1.0 if smooth else 1.8, alpha=0.35 if smooth else 1.0)
        if smooth:
            axes.plot(steps, smooth, color=_LINE, linewidth=1.9)
        axes.grid(axis="y", color=_GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(_GRID)
        axes.tick_params(colors=_INK, length=0, labelsize=10)
        axes.locator_params(axis="y", nbins=4)
        axes.locator_params(axis="x", nbins=6, integer=True)
        axes.margins(x=0.01)
        if key in _RATES and min(values) >= 0 and max(values) <= 1:
            axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("step", color=_INK, fontsize=10)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(out.getvalue(), salt)


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
