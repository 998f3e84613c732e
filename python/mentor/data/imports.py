"""What the importers share: rows become tasks, or are left out for a named reason and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from mentor.data.jsonl import BadLine, OnError, Skipped, encode, json_type
from mentor.data.rows import read_rows
from mentor.data.tasks import Task
from mentor.errors import InputError

__all__ = ["INSTRUCTION", "ImportReport", "LeftOut", "import_rows", "text_of"]

INSTRUCTION = "Use the tools for every calculation, then put the final answer in \\boxed{}."


class LeftOut(Exception):
    """A row that cannot become a task: the reason that is counted, and what it was in this row."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass
class ImportReport:
    """What became of the rows: ``rows == verified + checked + sum(left_out.values())``; unreadable lines come on top.

    Attributes:
        rows: readable rows.
        verified: rows that became tasks and whose calls were executed, with the results that the row states.
        checked: rows that became tasks though nothing executes their tools; their calls fit the tools' schemas.
        calls: tool calls of these tasks.
        rounded: verified rows in which a stated result is the executed one rounded or cut.
        left_out: reason -> number of rows.
        examples: reason -> the first row left out for it, as ``line N: detail``.
        unreadable: lines that could not be read (``on_error="skip"``).
    """

    rows: int = 0
    verified: int = 0
    checked: int = 0
    calls: int = 0
    rounded: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    unreadable: list[BadLine] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set, repr=False)

    def check(self, task: Task) -> None:
        """See that a task can stand in a file beside those before it.

        Raises:
            LeftOut: one of them has its id, or it holds what no file takes.
        """
        if task.id in self._ids:
            raise LeftOut("another row has the same id", task.id)
        try:
            encode(task.to_dict(), task.id)
        except InputError as error:
            raise LeftOut("the task is no JSON", str(error)) from None
        self._ids.add(task.id)

    def leave_out(self, line: int, why: LeftOut) -> None:
        """Count a row that becomes no task."""
        self.left_out[why.reason] += 1
        self.examples.setdefault(why.reason, f"line {line}: {why.detail}")

    def take(self, task: Task, *, executed: bool) -> None:
        """Count a row that became a task."""
        self.verified += executed
        self.checked += not executed
        self.calls += len(task.reference["tool_calls"])


def import_rows(
    path: str | Path,
    convert: Callable[[int, Mapping[str, Any]], tuple[Task, bool]],
    *,
    limit: int | None = None,
    on_error: OnError = "stop",
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Task], ImportReport]:
    """Make tasks of a file's rows, one by one.

    Args:
        path: JSON lines, a JSON list of objects, or Parquet.
        convert: makes a task of a row (counted from 1) and says whether its calls were executed; raises ``LeftOut``
            where it cannot, ``InputError`` where the row is none of this format.
        limit: read this many rows only.
        on_error: what to do with rows that are unreadable or none of this format.
        progress: called with the number of rows just finished.

    Raises:
        DataError: the file cannot be read, or, with ``stop``, a row.
    """
    path = Path(path)
    report = ImportReport()
    skipped = Skipped(path, on_error, report.unreadable.append)
    tasks = []
    for line, row in islice(_readable(path, on_error, report), limit):
        try:
            task, executed = convert(line, row)
            report.check(task)
        except LeftOut as why:
            report.leave_out(line, why)
        except InputError as error:
            skipped.add(BadLine(str(path), line, str(error)), error)
            continue
        else:
            report.take(task, executed=executed)
            tasks.append(task)
        finally:
            if progress is not None:
                progress(1)
        report.rows += 1
    return tasks, report


def _readable(path: Path, on_error: OnError, report: ImportReport) -> Iterator[tuple[int, dict[str, Any]]]:
    return read_rows(path, on_error=on_error, on_bad=report.unreadable.append)


def text_of(row: Mapping[str, Any], key: str) -> str:
    """A field that has to be a text.

    Raises:
        InputError: it is missing or something else.
    """
    if not isinstance(row.get(key), str):
        raise InputError(f"{key}: {_found(row, key, 'a string')}")
    text: str = row[key]
    return text


def _found(row: Mapping[str, Any], key: str, wanted: str) -> str:
    return f"{wanted} is wanted, found {json_type(row[key])}" if key in row else "missing"
