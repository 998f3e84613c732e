"""``mentor validate``: every problem of a task file."""

from __future__ import annotations

import signal
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from mentor.cli.failing import Unusable, keep_inputs, shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from mentor.data.validation import ValidationReport

__all__ = ["validate"]

_SHOWN = 20  # problems that are printed one by one


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--tools", "tools_name", metavar="SUITE|FILE.py", help="The tools that are there; else the rows' schemas."
)
@click.option("--execute", is_flag=True, help="Execute the references' calls (with --tools).")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="All problems, as .jsonl or .parquet.")
@click.option("--max-errors", type=click.IntRange(min=1), help="Stop after so many errors.")
@click.option("--strict", is_flag=True, help="Warnings count as errors for the exit code.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a task, and stop.")
def validate(
    files: tuple[Path, ...],
    tools_name: str | None,
    execute: bool,
    output: Path | None,
    max_errors: int | None,
    strict: bool,
    schema: bool,
) -> None:
    """Check task files and name every problem by row and field (docs/data.md lists the kinds).

    FILE is JSON lines, a JSON list or Parquet. With several files, prompts that stand in more than one of them are
    problems as well. The exit code is 0 without errors, 1 with some, 2 where a file or the tools cannot be used, 130
    after Ctrl-C. Example: mentor validate train.jsonl eval.jsonl --tools arithmetic --execute
    """
    import orjson
    from rich.console import Console

    from mentor.cli.toolsets import open_tools
    from mentor.data.atomic import check_place
    from mentor.data.tables import check_ending, write_table
    from mentor.data.validation import task_schema, validate_tasks
    from mentor.errors import MentorError

    if schema:
        click.echo(orjson.dumps(task_schema(), option=orjson.OPT_INDENT_2))
        return
    if not files:
        raise click.UsageError("Missing argument 'FILE...'.")
    if execute and tools_name is None:
        raise click.UsageError("--execute needs --tools, what the calls are executed with")
    console = Console(stderr=True)
    try:
        if output is not None:
            check_ending(output)
            check_place(output)
            keep_inputs(output, files)
        tools = None if tools_name is None else open_tools(tools_name)
        with _Checking(console, files) as checking:
            report = validate_tasks(
                files,
                tools=tools,
                execute=execute,
                max_errors=max_errors,
                openable=lru_cache(_openable),
                progress=checking.advance,
            )
        if output is not None:
            write_table(output, (problem.to_dict() for problem in report.problems))
    except MentorError as error:
        raise Unusable(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename or output}: {error.strerror or error}") from error
    _show(console, report)
    click.echo(_counts(report))
    Console().print(_summary(report))
    if checking.interrupted:
        console.print(f"interrupted after {report.rows:,} rows", style="yellow")
        raise click.exceptions.Exit(130)
    if report.stopped:
        console.print(f"stopped after {report.errors:,} errors: --max-errors", style="yellow")
    raise click.exceptions.Exit(1 if report.errors or (strict and report.problems) else 0)


def _openable(key: str, value: str) -> str | None:
    """Why the tools that a row names cannot be opened, as training would."""
    from mentor.cli.toolsets import suite_tools
    from mentor.errors import MentorError
    from mentor.suites import SUITES
    from mentor.tools import ToolSet

    try:
        if key == "tools_source":
            ToolSet.from_source(value)
        elif value.partition(":")[0] not in SUITES:
            suite_tools(value)
    except click.UsageError as error:
        return error.message.removeprefix("--suite: ")
    except MentorError as error:
        return f"cannot be loaded: {' '.join(str(error).split())[:300]}"
    return None


class _Checking:
    """A progress bar on a terminal; the first Ctrl-C ends the check after the current row, the second at once."""

    def __init__(self, console: Console, files: tuple[Path, ...]) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("checking"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._total = _size(files)
        self._waiting, self._step = 0, max((self._total or 0) // 200, 1)
        self.interrupted = False

    def __enter__(self) -> _Checking:
        self._before = signal.signal(signal.SIGINT, self._stop)
        self._bar.__enter__()
        self._task = self._bar.add_task("checking", total=self._total)
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.__exit__(None, None, None)
        signal.signal(signal.SIGINT, self._before)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def advance(self, size: int) -> None:
        from mentor.data.validation import StopChecking

        if self.interrupted:
            raise StopChecking
        self._waiting += size
        if self._waiting >= self._step:
            self._bar.advance(self._task, self._waiting)
            self._waiting = 0


def _size(files: tuple[Path, ...]) -> int | None:
    """What progress counts: bytes, and rows of Parquet; None where that cannot be told before reading."""
    from mentor.data.rows import count_rows

    total = 0
    for file in files:
        if not file.is_file():
            return None
        total += (count_rows(file) or 0) if file.suffix.lower() == ".parquet" else file.stat().st_size
    return total


def _show(console: Console, report: ValidationReport) -> None:
    from rich.text import Text

    ordered = sorted(report.problems, key=lambda problem: problem.level)  # errors first, else as they stand
    for problem in ordered[:_SHOWN]:
        style = "red" if problem.level == "error" else "yellow"
        console.print(Text.assemble((problem.level, style), shown(f" {problem}")), soft_wrap=True)
    if len(ordered) > _SHOWN:
        console.print(f"... and {len(ordered) - _SHOWN:,} more; --output FILE.jsonl has them all", style="yellow")


def _counts(report: ValidationReport) -> str:
    text = f"{report.rows:,} rows, {report.rows - report.bad_rows:,} without errors; {report.calls:,} reference calls"
    if report.executed or report.not_executed:
        text += f"; references of {report.executed:,} rows executed, of {report.not_executed:,} not"
    return text


def _summary(report: ValidationReport) -> Table:
    from rich.table import Table
    from rich.text import Text

    from mentor.data.validation import KINDS

    table = Table()
    for name, justify in (("problems", "right"), ("level", "left"), ("kind", "left"), ("first of them", "left")):
        table.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
    firsts = {problem.kind: problem for problem in reversed(report.problems)}
    for kind, number in sorted(report.kinds.items(), key=lambda item: (KINDS[item[0]][0], -item[1])):
        level = KINDS[kind][0]
        style = "red" if level == "error" else "yellow"
        table.add_row(f"{number:,}", Text(level, style=style), kind, Text(shown(str(firsts[kind]))))
    if not report.problems:
        table.add_row("0", Text("no problems", style="green"), "", "")
    return table
