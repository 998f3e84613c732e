"""``mentor mcp``: tools over the Model Context Protocol."""

from __future__ import annotations

from pathlib import Path

import click

from mentor.cli.toolsets import source_tools, suite_tools

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
        toolsets = [suite_tools(suite) for suite in suites]
        toolsets += [source_tools(file, limits, seed) for file in sources]
        serve(toolsets, name=name)
    except InputError as error:
        raise click.UsageError(str(error)) from error
    except KeyboardInterrupt:
        raise click.exceptions.Exit(130) from None
