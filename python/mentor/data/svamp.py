"""SVAMP as tasks: its equations become tool calls, each executed and checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from mentor.data.imports import ImportReport, text_of
from mentor.data.jsonl import BadLine, OnError, Skipped, json_type
from mentor.data.marks import as_argument
from mentor.data.rows import read_rows
from mentor.data.solving import Tools, Worked, parameters_of, solve_rows
from mentor.data.tasks import Task
from mentor.errors import InputError

__all__ = ["import_svamp"]


def import_svamp(
    path: str | Path,
    tools: Tools,
    *,
    limit: int | None = None,
    on_error: OnError = "stop",
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Task], ImportReport]:
    """Turn SVAMP (rows of ``Body``, ``Question``, ``Equation`` and ``Answer``) into tasks with verified references.

    The equation is taken apart into calls, inside out, and every call is executed; a row becomes a task when the last
    call gives the stated answer.

    Args:
        path: SVAMP.json, or rows with these fields as JSON lines or Parquet.
        tools: the twelve arithmetic tools.
        limit: read this many rows only.
        on_error: ``skip`` leaves rows of another format out and lists them in the report; ``stop`` raises at the first.
        progress: called with the number of rows just finished.

    Returns:
        The tasks in the file's order, and the report.

    Raises:
        DataError: the file cannot be read, or, with ``stop``, a row is none of SVAMP's.
        InputError: a tool is missing.

    Example:
        ::

            tasks, report = import_svamp("SVAMP.json", mentor.tools.arithmetic())
    """
    path = Path(path)
    parameters_of(tools)
    report = ImportReport()
    rows = islice(_rows(path, on_error, report), limit)
    return solve_rows(rows, tools, report, source="svamp", progress=progress), report


def _rows(path: Path, on_error: OnError, report: ImportReport) -> Iterator[Worked]:
    skipped = Skipped(path, on_error, report.unreadable.append)
    for line, row in read_rows(path, on_error=on_error, on_bad=report.unreadable.append):
        try:
            worked = _worked(line, row)
        except InputError as error:
            skipped.add(BadLine(str(path), line, str(error)))
            continue
        yield worked


def _worked(line: int, row: Mapping[str, Any]) -> Worked:
    body, question, equation = (text_of(row, key).strip() for key in ("Body", "Question", "Equation"))
    answer = row.get("Answer")
    if isinstance(answer, bool) or not isinstance(answer, int | float | str):
        raise InputError(
            f"Answer: {f'a number is wanted, found {json_type(answer)}' if 'Answer' in row else 'missing'}"
        )
    stated = answer if isinstance(answer, str) else str(as_argument(answer))
    name = f"svamp-{row['ID']}" if isinstance(row.get("ID"), str) else f"svamp-{line}"
    return Worked(line, name, _joined(body, question), f"<<{equation}={stated}>>\n#### {stated}")


def _joined(body: str, question: str) -> str:
    """The two as a text: bodies that end in a condition have lost their comma, most others their full stop."""
    if not body or body[-1] in ".!?:;,":
        return f"{body} {question}".strip()
    if re.split(r"[.!?]\s+", body)[-1].lower().startswith("if "):
        return f"{body}, {question[:1].lower()}{question[1:]}"
    return f"{body}. {question}"
