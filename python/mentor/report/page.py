"""The report: one HTML file with nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from mentor.data.atomic import atomic_file
from mentor.errors import ConfigError, InputError
from mentor.report.curves import Phase, Series, draw_phases, look
from mentor.report.judged import judge_rows, reward_of, weights
from mentor.report.numbers import accuracies, measures, percent
from mentor.report.rollouts import Shared, view
from mentor.report.run import Run, find_runs, name_runs, read_run
from mentor.report.tables import Group, config_lines, facts, group_runs, measure_rows, method_rows, run_rows, versions
from mentor.report.text import clean
from mentor.report.timing import PARTS, step_time

__all__ = ["write_report"]

MAX_MB = 12.0
"""Megabytes of rollouts in a page; more opens slowly."""

_SCRIPTS = ("shared.js", "curves.js", "detail.js", "list.js", "browser.js")
_DETAILED = 24  # with more runs than that, the page leaves out each run's own tables


def write_report(
    runs: str | Path | Sequence[str | Path], *, output: str | Path | None = None, max_mb: float = MAX_MB
) -> Path:
    """Write one HTML file about one run, or about several side by side.

    It says what was trained, what it brought, where the time went, and lets one browse the rollouts beside their
    references. An interrupted run, or one that is still going, gets a report as well; it says what is missing. The
    file needs no network, everything that a model wrote is escaped, and no script but its own can run in it.

    Args:
        runs: a folder that ``python -m mentor.train`` left (DESIGN.md, "The run folder"), a folder of such folders
            (``mentor compare``), or a list of those.
        output: the file. Default: ``report.html`` in the folder, of several in the present one.
        max_mb: megabytes of rollouts in the page; evaluations come first, then training steps spread over the run.

    Returns:
        The path of the report.

    Raises:
        DataError: there is no such folder, or no run in it.
        ConfigError: jinja2, matplotlib or pyyaml is missing; they come with ``mentor-rs[train]``.
        InputError: ``runs`` is empty, or ``max_mb`` is negative or no number.
        OSError: the file cannot be written.

    Example:
        ::

            print(mentor.report.write_report("runs/tiny-mentor-dense"))
            mentor.report.write_report(["runs/mentor-0", "runs/sparse-0"], output="both.html")
    """
    paths = [runs] if isinstance(runs, str | Path) else list(runs)
    if not paths:
        raise InputError("write_report: name at least one run folder")
    if not (math.isfinite(max_mb) and max_mb >= 0):
        raise InputError(f"write_report: max_mb is {max_mb}, must be a number that is not negative")
    folders = find_runs(paths)
    share = int(max_mb * 1e6 / len(folders))
    found = [read_run(folder, max_bytes=share) for folder in folders]
    for run, label in zip(found, name_runs(folders), strict=True):
        run.label = label
    page = _render(found, title=_title(paths, found))
    path = Path(output) if output is not None else Path(paths[0] if len(paths) == 1 else "") / "report.html"
    with atomic_file(path) as file:
        file.write(page.encode("utf-8", "backslashreplace"))
    return path


def _title(paths: Sequence[str | Path], runs: Sequence[Run]) -> str:
    if len(runs) == 1:
        return runs[0].label
    return Path(paths[0]).resolve().name if len(paths) == 1 else f"{len(runs)} runs"


def _render(runs: list[Run], *, title: str) -> str:
    try:
        import jinja2
    except ImportError:
        raise ConfigError("mentor report needs jinja2: pip install 'mentor-rs[train]'") from None
    from markupsafe import Markup

    def finish(value: Any) -> Any:
        """Every value that the template prints comes through here before it is escaped."""
        if value is None or isinstance(value, Markup):
            return "" if value is None else value
        return clean(value if isinstance(value, str) else str(value))

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=finish
    )
    environment.filters |= {"percent": percent, "plain": _plain, "look": look}
    environment.tests["known"] = math.isfinite
    assets = files("mentor.report").joinpath("assets")
    script = "\n".join(assets.joinpath(name).read_text("utf-8") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}}})();\n'
    groups = group_runs(runs)
    splits = list(dict.fromkeys(split for run in runs for split in run.splits))
    phases = draw_phases([Series(group.name, group.colour, [run.metrics for run in group.runs]) for group in groups])
    keys, run_list = run_rows(groups)
    titles, other = measure_rows(groups, splits)
    context = {
        "css": Markup(assets.joinpath("report.css").read_text("utf-8")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "data": Markup(_embedded(_data(runs, groups, phases))),
        "name": title,
        "several": len(runs) > 1,
        "runs": [(run, accuracies(run), *measures(run)) for run in runs[:_DETAILED]],
        "undetailed": max(0, len(runs) - _DETAILED),
        "facts": facts(runs[0]) if len(runs) == 1 else [],
        "versions": versions(runs[0].config) if len(runs) == 1 else [],
        "configs": config_lines([run for run in runs if run.config]),
        "notes": [(run.label, run.notes) for run in runs if run.notes],
        "groups": groups,
        "splits": splits,
        "method_rows": method_rows(groups, splits) if splits else [],
        "measure_titles": titles,
        "measure_rows": other,
        "keys": keys,
        "run_rows": run_list,
        "phases": [(phase, [Markup(curve.svg) for curve in phase.curves]) for phase in phases],
        "timings": _timings(groups),
        "parts": [title for _, title in PARTS] + ["Other"],
        "rollouts": sum(len(run.rollouts) for run in runs),
    }
    template = environment.from_string(assets.joinpath("report.html.j2").read_text("utf-8"))
    return template.render(context)


def _timings(groups: Sequence[Group]) -> list[tuple[str, Any]]:
    """The step-time split of each series that has one, over all its runs' steps."""
    found = []
    for group in groups:
        timing = step_time([row for run in group.runs for row in run.metrics])
        if timing is not None:
            found.append((group.name, timing))
    return found


def _data(runs: Sequence[Run], groups: Sequence[Group], phases: Sequence[Phase]) -> dict[str, Any]:
    """What the page's script works with: plain JSON of clean texts."""
    shared = Shared()
    looks = {run.label: look(group.colour) for group in groups for run in group.runs}
    rollouts: list[dict[str, Any]] = []
    for index, run in enumerate(runs):
        reward = reward_of(run.method)
        most = weights(reward) if run.rollouts else {}
        judged = judge_rows([kept.row for kept in run.rollouts], reward)
        for kept, one in zip(run.rollouts, judged, strict=True):
            shown = view(kept.row, one, shared, weights=most)
            name = kept.name if len(runs) == 1 else f"{run.label}-{kept.name}"
            rollouts.append({"id": clean(name, 300), "run": index, **shown})
    return {
        "runs": [
            {"label": clean(run.label, 200), "method": clean(run.method, 200), "look": looks[run.label]} for run in runs
        ],
        "prompts": shared.prompts,
        "references": shared.references,
        "rollouts": rollouts,
        "curves": [[_hover(curve.hover) for curve in phase.curves] for phase in phases],
    }


def _hover(hover: dict[str, Any]) -> dict[str, Any]:
    return {**hover, "series": [{**one, "label": clean(one["label"], 200)} for one in hover["series"]]}


def _embedded(data: dict[str, Any]) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element or open a comment."""
    return orjson.dumps(data).decode().replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _plain(value: float, digits: int = 2, sign: bool = False) -> str:
    """A number with few digits, a dash for NaN."""
    if not math.isfinite(value):
        return "\N{EN DASH}"
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "\N{MINUS SIGN}")
