"""``mentor teach``: references from a teacher."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mentor.cli.extras import needs
from mentor.cli.failing import Unusable, keep_inputs, shown
from mentor.cli.toolsets import open_tools

if TYPE_CHECKING:
    from mentor.teach import Assignment, Player, Teacher, TeachSettings
    from mentor.tools import ToolSet

__all__ = ["teach"]

_AT_LEAST_1 = click.IntRange(min=1)
_NOT_NEGATIVE = click.FloatRange(min=0)


@click.command()
@click.argument("tasks", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="References: .jsonl or .parquet.")
@click.option("--suite", help="Draw tasks of this suite instead of reading TASKS.")
@click.option("--split", default="in_domain", show_default=True, help="Split of the suite.")
@click.option("--count", type=_AT_LEAST_1, help="Tasks to draw or to read.  [default: 100 of a suite, all of a file]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draw, and of --local.")
@click.option("--tools", "toolbox", help="Tools of TASKS: a suite's name, or a Python file.")
@click.option("--model", help="Teacher: this model of an OpenAI-compatible endpoint.")
@click.option("--base-url", help="Address of the endpoint, such as http://127.0.0.1:8000/v1.  [default: OpenAI's]")
@click.option("--api-key-env", default="OPENAI_API_KEY", show_default=True, help="Variable that holds the key.")
@click.option("--stream", is_flag=True, help="Have replies streamed.")
@click.option("--local", type=click.Path(path_type=Path), help="Teacher: the transformers model in this folder.")
@click.option("--solver", is_flag=True, help="Teacher: the reference that a task has, executed anew (the default).")
@click.option("--samples", type=_AT_LEAST_1, default=1, show_default=True, help="Samples per task.")
@click.option("--temperature", type=_NOT_NEGATIVE, help="Of the sampling.  [default: the endpoint's]")
@click.option("--system", help="What the teacher is told before a task; '' for nothing.  [default: to use the tools]")
@click.option("--max-turns", type=_AT_LEAST_1, default=8, show_default=True, help="Rounds of tool calls in a sample.")
@click.option("--max-calls", type=_AT_LEAST_1, default=16, show_default=True, help="Tool calls in a sample.")
@click.option("--max-tokens", type=_AT_LEAST_1, default=4096, show_default=True, help="Tokens written in a sample.")
@click.option("--concurrency", type=_AT_LEAST_1, default=8, show_default=True, help="Samples under way at once.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=120,
    show_default=True,
    help="Seconds that the server may be silent, or a streamed reply take.",
)
@click.option("--retries", type=click.IntRange(min=0), default=5, show_default=True, help="Of a request that failed.")
@click.option("--token-field", help="Name of the limit of tokens.  [default: max_tokens; of OpenAI's, the new name]")
@click.option("--extra-body", help="Further fields of each request, as a JSON object.")
@click.option(
    "--accept",
    type=click.Choice(["known", "majority", "any"]),
    default="known",
    show_default=True,
    help="Tasks without a known answer: refuse them, take what most samples say, take any answer.",
)
@click.option("--min-calls", type=click.IntRange(min=0), default=1, show_default=True, help="Calls of a reference.")
@click.option("--only-valid", is_flag=True, help="Leave out right samples of which a call failed.")
@click.option("--max-failures", type=_AT_LEAST_1, default=20, show_default=True, help="In a row; more end the run.")
@click.option("--price-in", type=_NOT_NEGATIVE, help="Price of a million tokens of prompt.")
@click.option("--price-out", type=_NOT_NEGATIVE, help="Price of a million tokens of reply.")
@click.option("--max-cost", type=_NOT_NEGATIVE, help="Stop before all runs on this output cost more.")
@click.option("--max-requests", type=click.IntRange(min=0), help="Stop before all runs on this output ask more.")
@click.option("--ask-again", is_flag=True, help="The settings have changed: ask again what differs.")
@click.option("--dry-run", is_flag=True, help="Show the first request and an estimate, ask nothing.")
def teach(output: Path, dry_run: bool, ask_again: bool, **options: Any) -> None:
    """Get references from a teacher: ask, execute its tool calls, verify, keep the best of each task.

    TASKS is a file of tasks (JSON lines or Parquet: prompt, optionally tools, answer or reference); or --suite draws
    them. The teacher's calls run in the sandbox. What it replied is in OUTPUT.journal.jsonl before it is used: after a
    stop of any kind the same command goes on and pays for nothing twice. Tasks without a right sample go to
    OUTPUT.rejected.jsonl. Example:

    mentor teach tasks.jsonl --tools arithmetic --model gpt-5-mini --samples 4 -o references.jsonl

    Exit status: 0; 1 if it broke off or nothing could be kept; 2 for wrong usage; 130 after Ctrl-C.
    """
    from rich.console import Console

    from mentor.cli.teach_view import Watch, dry, summary
    from mentor.errors import ConfigError, DataError, InputError, MentorError, ModelError
    from mentor.teach import Solver
    from mentor.teach import teach as ask
    from mentor.teach.run import check_output, check_work, files_of

    console = Console(stderr=True)
    try:
        settings = _settings(options)
        check_output(output)
        for file in files_of(output):
            keep_inputs(file, [options["tasks"]])
        work = _work(options) if options["local"] else None  # a model takes long to load
        teacher = _teacher(options, dry_run=dry_run)
        tools, assignments = work or _work(options)
        check_work(assignments, settings)
        if isinstance(teacher, Solver) and not any(each.task.reference["tool_calls"] for each in assignments):
            raise InputError("no teacher is named, and no task has calls of its own: give --model or --local")
    except (ConfigError, DataError, InputError, ModelError) as error:
        raise Unusable(str(error)) from error
    if dry_run:
        dry(console, assignments, teacher, tools, settings)
        return
    try:
        with Watch(console, settings) as watch:
            report = ask(
                assignments,
                teacher,
                tools=tools,
                output=output,
                settings=settings,
                ask_again=ask_again,
                watch=watch,
            )
    except (ConfigError, InputError) as error:
        raise Unusable(str(error)) from error
    except (MentorError, OSError) as error:
        raise click.ClickException(shown(str(error))) from error
    summary(console, report, settings)
    if report.stopped == "interrupted":
        console.print("stopped; nothing paid is lost: the same command goes on from here", style="yellow")
        raise click.exceptions.Exit(130)
    if report.stopped:
        console.print("stopped at the limit; a higher one goes on from here", style="yellow")
    if not report.tasks and not report.stopped:
        raise click.ClickException(f"no task has a reference; {report.rejected} says why")
    click.echo(output)


def _settings(options: dict[str, Any]) -> TeachSettings:
    from mentor.teach import SYSTEM, TeachSettings

    names = TeachSettings.__dataclass_fields__
    given = {name: options[name] for name in names if name in options}
    return TeachSettings(**{**given, "system": SYSTEM if options["system"] is None else options["system"]})


def _teacher(options: dict[str, Any], *, dry_run: bool) -> Teacher | Player:
    chosen = [name for name in ("model", "local", "solver") if options[name]]
    if len(chosen) > 1:
        raise click.UsageError(f"one teacher is wanted, but {' and '.join('--' + name for name in chosen)} are given")
    if options["local"]:
        if len(options["local"].parts) == 1 and not options["local"].is_dir():  # no name on the hub either
            raise click.UsageError(f"--local: model {str(options['local'])!r}: no such folder")
        with needs("train"):
            from mentor.teach import Local
        return Local(options["local"], temperature=options["temperature"], seed=options["seed"])
    if not options["model"]:
        if options["base_url"]:
            raise click.UsageError("--base-url: --model is wanted as well, the name of the model there")
        from mentor.teach import Solver

        return Solver()
    with needs("teach"):
        from mentor.teach import Endpoint
    from mentor.teach.endpoint import parse_extra

    key = os.environ.get(options["api_key_env"], "")
    if not key:
        if options["base_url"] is None and not dry_run:
            raise click.UsageError(
                f"--api-key-env: the variable {options['api_key_env']} is not set; put the key there"
            )
        key = "none"  # most local servers want no key, the client wants some
    teacher: Teacher = Endpoint(
        options["model"],
        base_url=options["base_url"],
        api_key=key,
        stream=options["stream"],
        timeout=options["timeout"],
        retries=options["retries"],
        temperature=options["temperature"],
        token_field=options["token_field"],
        extra=parse_extra(options["extra_body"]) if options["extra_body"] else None,
    )
    return teacher


def _work(options: dict[str, Any]) -> tuple[ToolSet, list[Assignment]]:
    """The tools and the tasks."""
    from mentor.suites import open_suite
    from mentor.teach import assign, read_assignments

    if (options["suite"] is None) == (options["tasks"] is None):
        raise click.UsageError("say what to teach: a file of TASKS, or --suite NAME")
    if options["suite"] is not None:
        suite = open_suite(options["suite"])
        if options["split"] not in suite.splits:
            raise click.UsageError(f"--split: there is no {options['split']!r}; there are: {', '.join(suite.splits)}")
        tools = suite.open_tools()
        count = options["count"] or 100
        drawn = suite.draw(options["split"], count, seed=options["seed"], tools=tools, exclude=())
        return tools, assign(drawn, tools)
    if options["toolbox"] is None:
        raise click.UsageError("--tools: say which tools the tasks offer: a suite's name, or a Python file")
    tools = open_tools(options["toolbox"])
    given = {"tools_suite": options["toolbox"]}
    if options["toolbox"].endswith(".py") or Path(options["toolbox"]).is_file():
        given = {"tools_source": tools.source}
    assignments = read_assignments(options["tasks"], tools, limit=options["count"])
    return tools, [_with_tools(assignment, given) for assignment in assignments]


def _with_tools(assignment: Assignment, given: dict[str, str]) -> Assignment:
    """The assignment with what training has to know of its tools: it reads nothing but the references."""
    kept = {key: value for key, value in assignment.task.meta.items() if key not in ("tools_suite", "tools_source")}
    return replace(assignment, task=replace(assignment.task, meta={**kept, **given}))
