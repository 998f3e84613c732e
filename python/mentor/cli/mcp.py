"""``mentor mcp``: tools over the Model Context Protocol."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mentor.sandbox import Limits
    from mentor.tools import ToolSet

__all__ = ["mcp"]


@click.command()
@click.option("--suite", "suites", multiple=True, help="Tools of mentor.tools by name, such as arithmetic.")
@click.option("--source", "sources", multiple=True, type=click.Path(path_type=Path), help="Python file of tools.")
@click.option("--name", default="mentor", show_default=True, help="What the server calls itself.")
@click.option("--timeout-ms", type=click.IntRange(min=1), default=10_000, show_default=True, help="Limit of a call.")
@click.option("--memory-mb", type=click.IntRange(min=1), default=256, show_default=True, help="Memory of a call.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of each call.")
def mcp(
    suites: tuple[str, ...], sources: tuple[Path, ...], name: str, timeout_ms: int, memory_mb: int, seed: int
) -> None:
    """Serve tools over the Model Context Protocol, on standard input and output.

    Each public function of a --source file is a tool: its type hints and docstring make the schema, and it runs in the
    sandbox only. Limits and seed are those of --source tools. Both options may be given several times. Example:
    mentor mcp --suite arithmetic --source tools.py
    """
    from mentor.cli.extras import needs
    from mentor.errors import InputError
    from mentor.sandbox import Limits

    with needs("mcp"):
        from mentor.mcp import serve
    if not (suites or sources):
        raise click.UsageError("say what to serve: --suite NAME, --source FILE, or both")
    try:
        limits = Limits(timeout_ms=timeout_ms, memory_mb=memory_mb)
        toolsets = [_suite(suite) for suite in suites]
        toolsets += [_source(file, limits, seed) for file in sources]
        serve(toolsets, name=name)
    except InputError as error:
        raise click.UsageError(str(error)) from error
    except KeyboardInterrupt:
        raise click.exceptions.Exit(130) from None


def _suite(name: str) -> ToolSet:
    from mentor import tools

    makers = {word: getattr(tools, word) for word in tools.__all__ if _makes_tools(getattr(tools, word))}
    if name not in makers:
        raise click.UsageError(f"--suite: there is no {name!r}; there are: {', '.join(sorted(makers))}")
    suite: ToolSet = makers[name]()
    return suite


def _makes_tools(thing: object) -> bool:
    """Whether this is a function that gives a tool set without being given anything."""
    from mentor.tools import ToolSet

    if not inspect.isfunction(thing):
        return False
    signature = inspect.signature(thing)
    return signature.return_annotation in ("ToolSet", ToolSet) and all(
        parameter.default is not parameter.empty for parameter in signature.parameters.values()
    )


def _source(file: Path, limits: Limits, seed: int) -> ToolSet:
    from mentor.cli.run import read_script
    from mentor.errors import InputError
    from mentor.tools import ToolSet

    text, name = read_script(file)
    try:
        return ToolSet.from_source(text, limits=limits, seed=seed)
    except InputError as error:
        raise click.UsageError(f"{name}: {error}") from error
