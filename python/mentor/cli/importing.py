"""``mentor import``: published data sets as task files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mentor.cli.options import on_error_option

if TYPE_CHECKING:
    from rich.table import Table

    from mentor.data.gsm8k import ImportReport

__all__ = ["import_group"]


@click.group(name="import")
def import_group() -> None:
    """Turn published data sets into task files (see docs/data.md)."""


@import_group.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Task file: .jsonl or .parquet.")
@click.option("--limit", type=click.IntRange(min=1), help="Read this many rows only.")
@on_error_option
def gsm8k(file: Path, output: Path, limit: int | None, on_error: str) -> None:
    """Make tasks with verified tool calls of GSM8K's calculator marks.

    FILE is GSM8K's train.jsonl or test.jsonl, or any JSON lines of question and answer with <<expression=result>>
    marks and a last line "#### answer". Every call is executed in the sandbox; rows that do not verify are left out
    and counted by reason. Example: mentor import gsm8k train.jsonl -o tasks.jsonl
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from mentor.data.gsm8k import import_gsm8k
    from mentor.data.jsonl import read_jsonl
    from mentor.data.tables import check_ending
    from mentor.data.tasks import write_tasks
    from mentor.errors import MentorError
    from mentor.tools import arithmetic

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        check_ending(output)
        total = sum(1 for _ in read_jsonl(file, on_error="skip", on_bad=lambda bad: None))
        total = total if limit is None else min(total, limit)
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task("executing the marks", total=total)
            tasks, report = import_gsm8k(
                file,
                arithmetic(),
                limit=limit,
                on_error="skip" if on_error == "skip" else "stop",
                progress=lambda rows: progress.advance(bar, rows),
            )
        write_tasks(output, tasks)
    except (MentorError, OSError) as error:
        raise click.ClickException(str(error)) from error
    console.print(_summary(report))
    for bad in report.unreadable[:5]:
        console.print(f"left out: {bad}", style="yellow", markup=False, soft_wrap=True)
    if len(report.unreadable) > 5:
        console.print(f"... and {len(report.unreadable) - 5} more unreadable lines", style="yellow")
    click.echo(output)


def _summary(report: ImportReport) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="GSM8K import", title_justify="left")
    table.add_column("rows", justify="right")
    table.add_column("what became of them")
    table.add_column("first of them", overflow="fold")
    detail = f"{report.calls:,} tool calls"
    if report.rounded:
        detail += f"; {report.rounded:,} rows state a rounded result"
    table.add_row(f"{report.verified:,}", Text("verified: written as tasks", style="green"), detail)
    for reason, rows in report.left_out.most_common():
        table.add_row(f"{rows:,}", f"left out: {reason}", Text(report.examples[reason]))
    if report.unreadable:
        table.add_row(f"{len(report.unreadable):,}", "left out: unreadable line", Text(str(report.unreadable[0])))
    table.add_section()
    table.add_row(f"{report.rows + len(report.unreadable):,}", "read", "")
    return table
