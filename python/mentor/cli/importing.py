"""``mentor import``: published data sets as task files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mentor.cli.failing import Unusable, keep_inputs, shown
from mentor.cli.options import on_error_option

if TYPE_CHECKING:
    from rich.table import Table

    from mentor.data.imports import ImportReport
    from mentor.data.jsonl import OnError
    from mentor.data.tasks import Task

__all__ = ["import_group"]


@click.group(name="import")
def import_group() -> None:
    """Turn published data sets into task files (see docs/data.md)."""


def _common(command: Callable[..., None]) -> Callable[..., None]:
    """What all imports take."""
    options = (
        click.argument("file", type=click.Path(path_type=Path)),
        click.option(
            "-o", "--output", type=click.Path(path_type=Path), required=True, help="Task file: .jsonl or .parquet."
        ),
        click.option("--limit", type=click.IntRange(min=1), help="Read this many rows only."),
        on_error_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


_keep_prompt = click.option(
    "--keep-prompt", is_flag=True, help="Leave the prompt's text as it is, with the tools in it; the toolrl reward."
)


@import_group.command()
@_common
def gsm8k(file: Path, output: Path, limit: int | None, on_error: OnError) -> None:
    """Make tasks with verified tool calls of GSM8K's calculator marks.

    FILE is GSM8K's train.jsonl or test.jsonl, or any rows of question and answer with <<expression=result>>
    marks and a last line "#### answer". Every call is executed in the sandbox; rows that do not verify are left out
    and counted by reason. Example: mentor import gsm8k train.jsonl -o tasks.jsonl
    """
    from mentor.data.gsm8k import import_gsm8k
    from mentor.tools import arithmetic

    _run("GSM8K", file, output, limit, lambda **how: import_gsm8k(file, arithmetic(), on_error=on_error, **how))


@import_group.command()
@_common
def svamp(file: Path, output: Path, limit: int | None, on_error: OnError) -> None:
    """Make tasks with verified tool calls of SVAMP's equations.

    FILE is SVAMP.json. Every call is executed in the sandbox. Example: mentor import svamp SVAMP.json -o tasks.jsonl
    """
    from mentor.data.svamp import import_svamp
    from mentor.tools import arithmetic

    _run("SVAMP", file, output, limit, lambda **how: import_svamp(file, arithmetic(), on_error=on_error, **how))


@import_group.command()
@_common
@click.option("--category", help="Such as parallel; else it is taken from the file's name.")
@click.option("--answers", type=click.Path(path_type=Path), help="Possible answers; else possible_answer/ beside FILE.")
@click.option("--docs", type=click.Path(path_type=Path), help="Functions; else multi_turn_func_doc/ beside FILE.")
def bfcl(
    file: Path,
    output: Path,
    limit: int | None,
    on_error: OnError,
    category: str | None,
    answers: Path | None,
    docs: Path | None,
) -> None:
    """Make tasks of a file of the Berkeley Function Calling Leaderboard.

    FILE is BFCL_v4_CATEGORY.json, where CATEGORY is simple_python, multiple, parallel, parallel_multiple, irrelevance
    or multi_turn_base. Calls are checked against the tools' schemas, not executed. Example: mentor import bfcl
    BFCL_v4_parallel.json -o tasks.jsonl
    """
    from mentor.data.bfcl import import_bfcl

    given: dict[str, Any] = {"category": category, "answers": answers, "docs": docs, "on_error": on_error}
    _run("BFCL", file, output, limit, lambda **how: import_bfcl(file, **given, **how))


@import_group.command()
@_common
@_keep_prompt
def toolrl(file: Path, output: Path, limit: int | None, on_error: OnError, keep_prompt: bool) -> None:
    """Make tasks of ToolRL's data; the gold turn is the reference.

    FILE holds rows of instruction, input and output, or of prompt and reward_model. Calls are checked against the
    tools' schemas, not executed. Example: mentor import toolrl rlla_sft.json -o tasks.jsonl
    """
    from mentor.data.toolrl import import_toolrl

    _run(
        "ToolRL",
        file,
        output,
        limit,
        lambda **how: import_toolrl(file, keep_prompt=keep_prompt, on_error=on_error, **how),
    )


@import_group.command()
@_common
@_keep_prompt
def apibank(file: Path, output: Path, limit: int | None, on_error: OnError, keep_prompt: bool) -> None:
    """Make tasks of API-Bank; the gold call is the reference.

    FILE holds rows of system, user and answer, as level-1-api_processed.json does. Calls are checked against the
    tools' schemas, not executed. Example: mentor import apibank level-1-api_processed.json -o tasks.jsonl
    """
    from mentor.data.apibank import import_apibank

    _run(
        "API-Bank",
        file,
        output,
        limit,
        lambda **how: import_apibank(file, keep_prompt=keep_prompt, on_error=on_error, **how),
    )


@import_group.command("mentor-data")
@_common
def mentor_data(file: Path, output: Path, limit: int | None, on_error: OnError) -> None:
    """Make tasks of MENTOR's own training data; the teacher's calls are the reference.

    FILE is its train.parquet, or has rows of question, reward_model, extra_info and tool_calls_used. Calls whose
    arguments are known are executed in the sandbox. Example: mentor import mentor-data train.parquet -o tasks.jsonl
    """
    from mentor.data.mentor_data import import_mentor_data
    from mentor.tools import arithmetic

    _run(
        "MENTOR-data",
        file,
        output,
        limit,
        lambda **how: import_mentor_data(file, arithmetic(), on_error=on_error, **how),
    )


@import_group.command()
@_common
@click.option("--min-reward", type=float, default=1.0, show_default=True, help="Leave out rollouts that earned less.")
def responses(file: Path, output: Path, limit: int | None, on_error: OnError, min_reward: float) -> None:
    """Make tasks of rollouts in the format of OpenAI's Responses, such as NeMo-Gym's.

    FILE holds rows of responses_create_params, response and reward. Calls are checked against the tools' schemas, not
    executed. Example: mentor import responses rollouts.jsonl -o tasks.jsonl
    """
    from mentor.data.responses import import_responses

    _run(
        "Responses",
        file,
        output,
        limit,
        lambda **how: import_responses(file, min_reward=min_reward, on_error=on_error, **how),
    )


def _run(
    name: str, file: Path, output: Path, limit: int | None, work: Callable[..., tuple[list[Task], ImportReport]]
) -> None:
    """Import with a progress bar, write the tasks, and say what became of the rows."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from mentor.data.atomic import check_place
    from mentor.data.rows import count_rows
    from mentor.data.tables import check_ending
    from mentor.data.tasks import write_tasks
    from mentor.errors import MentorError

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        check_ending(output)
        check_place(output)
        keep_inputs(output, [file])
        total = count_rows(file)
        total = total if limit is None or total is None else min(total, limit)
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task(f"reading {name}", total=total)
            tasks, report = work(limit=limit, progress=lambda rows: progress.advance(bar, rows))
        if tasks:
            write_tasks(output, tasks)
    except MentorError as error:
        raise Unusable(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename or output}: {error.strerror or error}") from error
    except KeyboardInterrupt:
        console.print(f"interrupted; {output} was not written", style="yellow", markup=False)
        raise click.exceptions.Exit(130) from None
    console.print(_summary(name, report))
    for bad in report.unreadable[:5]:
        console.print(shown(f"left out: {bad}"), style="yellow", markup=False, soft_wrap=True)
    if len(report.unreadable) > 5:
        console.print(f"... and {len(report.unreadable) - 5} more unreadable lines", style="yellow")
    if not tasks:
        raise click.ClickException(f"no row became a task; {output} was not written")
    click.echo(output)


def _summary(name: str, report: ImportReport) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{name} import", title_justify="left")
    table.add_column("rows", justify="right")
    table.add_column("what became of them")
    table.add_column("first of them", overflow="fold")
    detail = f"{report.calls:,} tool calls"
    if report.rounded:
        detail += f"; {report.rounded:,} rows state a rounded result"
    if report.verified or not report.checked:
        table.add_row(f"{report.verified:,}", Text("verified: written as tasks", style="green"), detail)
        detail = ""
    if report.checked:
        table.add_row(f"{report.checked:,}", Text("checked, not executed: written as tasks", style="green"), detail)
    for reason, rows in report.left_out.most_common():
        table.add_row(f"{rows:,}", Text(f"left out: {reason}"), Text(shown(report.examples[reason])))
    if report.unreadable:
        table.add_row(
            f"{len(report.unreadable):,}", "left out: unreadable line", Text(shown(str(report.unreadable[0])))
        )
    table.add_section()
    table.add_row(f"{report.rows + len(report.unreadable):,}", "read", "")
    return table
