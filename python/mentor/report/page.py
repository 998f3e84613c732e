"""The report: one HTML file without scripts, fonts or pictures from elsewhere."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from mentor.data.atomic import atomic_file
from mentor.errors import ConfigError
from mentor.report.curves import draw_phases
from mentor.report.numbers import accuracies, measures, percent
from mentor.report.rollouts import View, view
from mentor.report.run import Run, number, read_run

__all__ = ["write_report"]

_LONGEST_S = 1e9  # a longer duration is a mistake of the file
_MAX_TEXT = 6_000  # characters shown of one text
_GROUPS = (
    ("eval_before", "Before training"),
    ("grpo", "During training (the latest kept)"),
    ("eval_after", "After training"),
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_FACTS = (
    ("method", "Method"),
    ("reward", "Reward"),
    ("preset", "Preset"),
    ("model", "Model"),
    ("model_name", "Model"),
    ("seed", "Seed"),
)


def write_report(run_dir: str | Path) -> Path:
    """Write ``report.html`` into a run folder: what was trained, what it brought, and rollouts to look at.

    An interrupted run gets a report as well; it says what is missing. The file needs no network and no JavaScript,
    and everything that a model wrote is escaped.

    Args:
        run_dir: the folder that ``python -m mentor.train`` left (DESIGN.md, "The run folder").

    Returns:
        The path of the report.

    Raises:
        DataError: there is no such folder, or no run in it.
        ConfigError: jinja2, matplotlib or pyyaml is missing; they come with ``mentor-rs[train]``.
        OSError: the folder cannot be written.

    Example:
        ::

            print(mentor.report.write_report("runs/tiny-mentor-dense"))
    """
    folder = Path(run_dir)
    page = _render(read_run(folder))
    path = folder / "report.html"
    with atomic_file(path) as file:
        file.write(page.encode("utf-8", "backslashreplace"))
    return path


def _render(run: Run) -> str:
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
    environment.filters |= {"percent": percent, "show": _show, "plain": _plain}
    environment.tests["known"] = math.isfinite
    package = files("mentor.report")
    titles, rows = measures(run)
    phases = draw_phases(run.metrics)
    context = {
        "css": Markup(package.joinpath("report.css").read_text("utf-8")),
        "name": run.folder.resolve().name,
        "facts": _facts(run),
        "versions": _versions(run.config),
        "config": _as_yaml(run.config),
        "notes": run.notes,
        "accuracies": accuracies(run),
        "measure_titles": titles,
        "measure_rows": rows,
        "phases": [(phase, [Markup(curve.svg) for curve in phase.curves]) for phase in phases],
        "groups": _groups(run),
    }
    template = environment.from_string(package.joinpath("report.html.j2").read_text("utf-8"))
    return template.render(context)


def clean(text: str, limit: int = _MAX_TEXT) -> str:
    r"""A text made fit for a page: cut with a note, invisible and lone halves of characters shown as escapes.

    Example:
        >>> clean("a" + chr(0) + "b"), clean("abcdef", limit=4)
        ('a\\x00b', 'abcd [... 2 of 6 characters not shown]')
    """
    rest = len(text) - limit
    if rest > 0:
        text = f"{text[:limit]} [... {rest:,} of {len(text):,} characters not shown]"
    text = text.replace("\r\n", "\n").encode("utf-8", "backslashreplace").decode()
    return _CONTROL.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _show(value: Any) -> str:
    """Arguments of a call as compact text."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):
        return "(nested too deeply to be shown)"


def _plain(value: float, digits: int = 2, sign: bool = False) -> str:
    """A number with few digits, a dash for NaN."""
    if not math.isfinite(value):
        return "\N{EN DASH}"
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _facts(run: Run) -> list[tuple[str, str]]:
    """The header's facts; settings may stand at the top level or one level down."""
    facts = {}
    for key, title in _FACTS:
        value = _find(run.config, key)
        if value is not None and title not in facts:
            facts[title] = str(value)
    if "model" in run.config and "Model" not in facts:
        facts["Model"] = "the preset's"
    seconds = sum(_phase_seconds(run).values())
    if 0 < seconds < _LONGEST_S:
        facts["Duration"] = str(timedelta(seconds=round(seconds)))
    if run.metrics:
        facts["Logged steps"] = f"{len(run.metrics):,}"
    return list(facts.items())


def _phase_seconds(run: Run) -> dict[str, float]:
    """Seconds of each phase: its clock starts anew or goes on, so only what it advances is counted."""
    last = 0.0
    seconds: dict[str, float] = {}
    for row in run.metrics:
        now = number(row.get("time_s"))
        if now == now:
            phase = str(row.get("phase"))
            seconds[phase] = seconds.get(phase, 0.0) + (now - last if now >= last else now)
            last = now
    return seconds


def _find(config: Mapping[str, Any], key: str) -> Any:
    places = [config, *(value for value in config.values() if isinstance(value, dict))]
    for place in places:
        value = place.get(key)
        if isinstance(value, dict):
            value = value.get("name") or value.get("path")
        if isinstance(value, str | int | float):
            return value
    return None


def _versions(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    versions = config.get("versions")
    found = dict(versions) if isinstance(versions, dict) else {}
    for key in ("guest", "guest_hash", "guest_sha256"):
        if isinstance(config.get(key), str):
            found["guest"] = config[key][:16]
    return [(str(key), str(value)) for key, value in found.items()]


def _as_yaml(config: Mapping[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)) if config else ""


def _groups(run: Run) -> list[tuple[str, list[View]]]:
    groups = []
    for phase, title in _GROUPS:
        rows = [*run.rollouts.get((phase, True), []), *run.rollouts.get((phase, False), [])]
        if rows:
            groups.append((title, [view(row) for row in rows]))
    return groups
