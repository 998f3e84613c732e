"""Tools named on the command line: a suite of ``mentor.tools``, or a Python file."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mentor.sandbox import Limits
    from mentor.tools import ToolSet

__all__ = ["open_tools", "source_tools", "suite_tools"]


def open_tools(name: str, *, option: str = "--tools") -> ToolSet:
    """The tools of a Python file, of a task suite, or of ``mentor.tools``, whichever the name means."""
    from mentor.suites import SUITES, open_suite

    if name.endswith(".py") or Path(name).is_file():
        return source_tools(Path(name))
    return open_suite(name).open_tools() if name in SUITES else suite_tools(name, option=option, file=True)


def suite_tools(name: str, *, option: str = "--suite", file: bool = False) -> ToolSet:
    """The tools of a suite by its name in `mentor.tools`."""
    from mentor import tools

    makers = {word: getattr(tools, word) for word in tools.__all__ if _makes_tools(getattr(tools, word))}
    if name not in makers:
        others = ", and Python files (.py)" if file else ""
        raise click.UsageError(f"{option}: there is no {name!r}; there are: {', '.join(sorted(makers))}{others}")
    suite: ToolSet = makers[name]()
    return suite


def source_tools(file: Path, limits: Limits | None = None, seed: int = 0) -> ToolSet:
    """The public functions of a Python file, which run in the sandbox only."""
    from mentor.cli.run import read_script
    from mentor.errors import InputError
    from mentor.tools import ToolSet

    text, name = read_script(file)
    try:
        return ToolSet.from_source(text, limits=limits, seed=seed)
    except InputError as error:
        raise click.UsageError(f"{name}: {error}") from error


def _makes_tools(thing: object) -> bool:
    """Whether this is a function that gives a tool set without being given anything."""
    from mentor.tools import ToolSet

    if not inspect.isfunction(thing):
        return False
    signature = inspect.signature(thing)
    return signature.return_annotation in ("ToolSet", ToolSet) and all(
        parameter.default is not parameter.empty for parameter in signature.parameters.values()
    )
