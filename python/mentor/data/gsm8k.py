"""GSM8K as tasks: the calculator marks of its solutions become tool calls, each executed and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from mentor.data.imports import INSTRUCTION, ImportReport, text_of
from mentor.data.jsonl import BadLine, OnError, Skipped
from mentor.data.rows import read_rows
from mentor.data.solving import Tools, Worked, parameters_of, solve_rows
from mentor.data.tasks import Task
from mentor.errors import InputError

__all__ = ["INSTRUCTION", "ImportReport", "Tools", "import_gsm8k"]


def import_gsm8k(
    path: str | Path,
    tools: Tools,
    *,
    limit: int | None = None,
    on_error: OnError = "stop",
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Task], ImportReport]:
    r"""Turn a GSM8K file (rows of ``question`` and ``answer``) into tasks with verified references.

    Each calculator mark is parsed, taken apart into calls, and every call is executed with ``tools``; later calls get
    executed values, also where the text goes on with a rounded one. A row becomes a task when each mark's result is
    what the calls gave (up to the decimals stated; a whole number that is a rounded fraction gets an explicit
    ``round_number``, ``floor`` or ``ceil``) and the last call gives the final answer. Other rows are left out and
    counted by reason. A task's reference holds ``answer``, ``tool_calls`` and the teacher's ``messages``.

    Args:
        path: the file.
        tools: the twelve arithmetic tools.
        limit: read this many rows only.
        on_error: ``skip`` leaves unreadable lines out and lists them in the report; ``stop`` raises at the first.
        progress: called with the number of rows just finished.

    Returns:
        The tasks in the file's order, and the report.

    Raises:
        DataError: the file cannot be read, or, with ``stop``, a line is no GSM8K row.
        InputError: a tool is missing.

    Example:
        ::

            tasks, report = import_gsm8k("train.jsonl", mentor.tools.arithmetic())
            print(report.verified, report.left_out.most_common())
    """
    path = Path(path)
    parameters_of(tools)
    report = ImportReport()
    rows = islice(_rows(path, on_error, report), limit)
    return solve_rows(rows, tools, report, source="gsm8k", progress=progress), report


def _rows(path: Path, on_error: OnError, report: ImportReport) -> Iterator[Worked]:
    skipped = Skipped(path, on_error, report.unreadable.append)
    for line, row in read_rows(path, on_error=on_error, on_bad=report.unreadable.append):
        try:
            question, solution = text_of(row, "question").strip(), text_of(row, "answer")
        except InputError as error:
            skipped.add(BadLine(str(path), line, str(error)))
            continue
        yield Worked(line, f"gsm8k-{path.stem}-{line}", question, solution)
