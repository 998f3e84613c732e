"""What ``mentor teach`` shows: a plan, a bar, a table."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from mentor.teach import Assignment, Player, Progress, Request, Teacher, TeachReport, TeachSettings
from mentor.teach.conversation import opening
from mentor.tools import ToolSet

__all__ = ["Watch", "dry", "summary"]

_EVERY = 30.0  # seconds between lines where there is no terminal
_GUESSED_CALLS = 3  # of a task whose reference is not known
_GUESSED_TOKENS = 60  # that a teacher writes in a turn


class Watch:
    """A bar on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console, settings: TeachSettings) -> None:
        self._console, self._settings = console, settings
        self._bar: Bar | None = None
        self._told = time.monotonic()
        self._stopping = False

    def __enter__(self) -> Watch:
        if self._console.is_terminal:
            columns = (TextColumn("teaching"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
            more = (TimeRemainingColumn(), TextColumn("{task.fields[numbers]}"))
            self._bar = Bar(*columns, *more, console=self._console)
            self._bar.add_task("teaching", total=None, numbers="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Show the numbers."""
        if progress.stopping and not self._stopping:
            self._stopping = True
            self._console.print("stopping when what is under way has come back; Ctrl-C again gives it up")
        if self._bar is not None:
            task = self._bar.task_ids[0]
            self._bar.update(task, total=progress.tasks, completed=progress.done, numbers=self._numbers(progress))
        elif time.monotonic() - self._told >= _EVERY:
            self._told = time.monotonic()
            line = f"{progress.done}/{progress.tasks} tasks  {self._numbers(progress)}  {progress.seconds:.0f} s"
            self._console.print(line, highlight=False, soft_wrap=True)

    def _numbers(self, progress: Progress) -> str:
        share = progress.kept / progress.done if progress.done else 0.0
        cost = f"  cost {progress.cost:.4f}" if self._settings.price_in is not None else ""
        rate = progress.asked / progress.seconds if progress.seconds else 0.0
        return (
            f"verified {share:.0%}  tokens {_short(progress.tokens_in)} in {_short(progress.tokens_out)} out{cost}  "
            f"{rate:.1f} requests/s"
        )


def summary(console: Console, report: TeachReport, settings: TeachSettings) -> None:
    """The table at the end."""
    progress = report.progress
    table = Table(title="references", title_justify="left", show_header=False)
    table.add_column("what", no_wrap=True)
    table.add_column("number", justify="right", no_wrap=True)
    table.add_column("more", overflow="fold")
    rejected = progress.tasks - len(report.tasks) - report.open
    table.add_row("tasks", f"{progress.tasks:,}", "")
    table.add_row("with a reference", Text(f"{len(report.tasks):,}", style="green"), Text(str(report.output)))
    if rejected:
        table.add_row("without a right sample", Text(f"{rejected:,}", style="yellow"), Text(str(report.rejected)))
    if report.open:
        table.add_row("not decided yet", f"{report.open:,}", "samples are missing")
    for reason, count in report.reasons.most_common():
        table.add_row(Text(f"  samples: {reason}"), f"{count:,}", "")
    table.add_section()
    table.add_row("requests", f"{progress.asked:,}", Text(f"{progress.replayed:,} replies out of the journal"))
    told = f"{progress.tokens_in:,} in, {progress.tokens_out:,} out"
    if report.estimated:
        told += f"; estimated for {report.estimated:,} replies, whose endpoint did not say"
    table.add_row("tokens, all runs", f"{progress.tokens_in + progress.tokens_out:,}", told)
    if settings.price_in is not None:
        table.add_row("cost, all runs", f"{progress.cost:.4f}", "")
    table.add_row("seconds", f"{progress.seconds:.1f}", "")
    console.print(table)


def dry(
    console: Console,
    assignments: Sequence[Assignment],
    teacher: Teacher | Player,
    tools: ToolSet,
    settings: TeachSettings,
) -> None:
    """The first request, and what all of it may come to."""
    first = assignments[0]
    bodies = [_first_body(assignment, teacher, tools, settings) for assignment in assignments]
    print_json = json.dumps(bodies[0], indent=2, ensure_ascii=False)
    console.print(f"first request, to {teacher.name}, for task {first.id}:", highlight=False, markup=False)
    console.print(print_json, highlight=False, markup=False, soft_wrap=True)
    requests = tokens_in = tokens_out = 0
    for assignment, body in zip(assignments, bodies, strict=True):
        calls = len(assignment.task.reference["tool_calls"]) or _GUESSED_CALLS
        start = len(json.dumps(body)) / 4
        requests += calls + 1
        # Each turn sends all before it once more.
        tokens_in += sum(round(start + turn * 2 * _GUESSED_TOKENS) for turn in range(calls + 1))
        tokens_out += (calls + 1) * _GUESSED_TOKENS
    requests, tokens_in, tokens_out = (number * settings.samples for number in (requests, tokens_in, tokens_out))
    line = (
        f"{len(assignments):,} tasks, {settings.samples} samples each: about {requests:,} requests, {tokens_in:,} "
        f"tokens in, {tokens_out:,} out (4 characters a token, {_GUESSED_TOKENS} tokens a reply)"
    )
    if settings.price_in is not None:
        line += f", cost {settings.cost(tokens_in, tokens_out):.2f}"
    console.print(line, highlight=False, soft_wrap=True)
    console.print("dry run: nothing was asked", highlight=False)


def _first_body(
    assignment: Assignment, teacher: Teacher | Player, tools: ToolSet, settings: TeachSettings
) -> dict[str, object]:
    messages = opening(assignment, settings.system)
    schemas = tools.only(*assignment.tools).schemas
    return teacher.body(
        Request(
            assignment=assignment,
            sample=0,
            turn=0,
            messages=messages,
            tools=schemas,
            max_tokens=settings.max_tokens,
        )
    )


def _short(number: int) -> str:
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.1f}{letter}"
    return str(number)
