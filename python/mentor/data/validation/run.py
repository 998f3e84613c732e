"""The whole check: files in, every problem out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from mentor.data.jsonl import BadLine
from mentor.data.rows import read_rows
from mentor.data.validation.answers import check_answers, check_prompt, check_trajectories, prepare
from mentor.data.validation.execution import Executor, execute_rows
from mentor.data.validation.offered import OfferedTools
from mentor.data.validation.problems import KINDS, Problem, StopChecking, ValidationReport
from mentor.data.validation.structure import Parts, read_parts
from mentor.errors import InputError
from mentor.score import Reference

__all__ = ["task_schema", "validate_tasks"]

_ROWS_AT_ONCE = 2_048  # rows that are judged, scored and executed together


def task_schema() -> dict[str, Any]:
    """The JSON Schema of a task's row.

    Example:
        >>> task_schema()["required"]
        ['prompt', 'reference']
    """
    schema: dict[str, Any] = orjson.loads(files("mentor.data").joinpath("task.schema.json").read_bytes())
    return schema


def validate_tasks(
    paths: Iterable[str | Path],
    *,
    tools: Executor | None = None,
    execute: bool = False,
    max_errors: int | None = None,
    openable: Callable[[str, str], str | None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> ValidationReport:
    """Check task files and name every problem by row and field.

    Args:
        paths: JSON lines, JSON lists or Parquet. Of several, prompts that stand in more than one are problems too.
        tools: the tools that are there; without them calls are checked against the schemas that rows bring along.
        execute: whether the references are executed with ``tools``.
        max_errors: stop after so many errors.
        openable: given ``tools_suite`` or ``tools_source`` and its value in a row's meta, says why nothing can open it.
        progress: called with the number of bytes (Parquet: rows) read since the last call; raises ``StopChecking`` to
            end here and have what was found so far.

    Returns:
        The report.

    Raises:
        DataError: a file is missing or no file.
        InputError: ``execute`` without ``tools``, or no file.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "tasks.jsonl")
        >>> _ = file.write_text('{"prompt": "2 + 2?", "reference": {"answer": "", "tool_calls": [3]}}')
        >>> for problem in validate_tasks([file]).problems:
        ...     print(problem.row, problem.field, problem.message)
        1 reference.answer empty
        1 reference.tool_calls[0] an object is wanted, found a number
    """
    names = [Path(path) for path in paths]
    if not names:
        raise InputError("validate_tasks: give at least one file")
    if execute and tools is None:
        raise InputError("validate_tasks: execute=True needs tools=, what the calls are executed with")
    if max_errors is not None and max_errors < 1:
        raise InputError(f"validate_tasks: max_errors must be at least 1, got {max_errors}")
    run = _Run(tools, execute, max_errors, openable)
    try:
        for path in names:
            run.file(path, progress)
    except StopChecking:
        run.report.stopped = True
    return run.finish([str(path) for path in names])


class _Run:
    def __init__(
        self,
        tools: Executor | None,
        execute: bool,
        max_errors: int | None,
        openable: Callable[[str, str], str | None] | None,
    ) -> None:
        self._openable = openable
        self.report = ValidationReport()
        self._offered = OfferedTools(None if tools is None else tools.schemas)
        self._tools = tools if execute else None
        self._left = max_errors
        self._prompts: dict[bytes, tuple[str, int]] = {}
        self._waiting: list[tuple[Parts, Callable[[str, str, str], None], Reference | None]] = []
        self._bad: set[tuple[str, int]] = set()

    def file(self, path: Path, progress: Callable[[int], None] | None) -> None:
        name = str(path)
        ids: dict[str, int] = {}
        before = self.report.rows
        for number, row in self._rows(path, progress):
            self._row(name, number, row, ids)
            if len(self._waiting) >= _ROWS_AT_ONCE:
                self._together()
        self._together()
        if self.report.rows == before:
            self._add(name, 0, "", "", "empty", "the file has no task")

    def _rows(self, path: Path, progress: Callable[[int], None] | None) -> Iterator[tuple[int, dict[str, Any]]]:
        def unreadable(bad: BadLine) -> None:
            self.report.rows += 1
            self._add(str(path), bad.line, "", "", "unreadable", bad.reason)

        return read_rows(path, on_error="skip", on_bad=unreadable, progress=progress)

    def _row(self, name: str, number: int, row: dict[str, Any], ids: dict[str, int]) -> None:
        self.report.rows += 1
        waiting: list[tuple[str, str, str]] = []
        parts = read_parts(row, number, lambda *problem: waiting.append(problem))
        known = parts.id[:200]

        def add(where: str, kind: str, message: str) -> None:
            self._add(name, number, known, where, kind, message)

        for problem in waiting:
            add(*problem)
        self.report.calls += len(parts.calls)
        if parts.id in ids:
            add("id", "duplicate_id", f"{known!r} is the id of row {ids[parts.id]} as well")
        ids.setdefault(parts.id, number)
        self._prompt(name, number, parts, add)
        for key in ("tools_suite", "tools_source") if self._openable is not None else ():
            value = parts.meta.get(key)
            reason = self._openable(key, value) if self._openable is not None and isinstance(value, str) else None
            if reason is not None:
                add(f"meta.{key}", "unknown_tool", reason)
        fits = self._offered.check(parts, add)
        check_prompt(parts, add)
        if parts.reference is not None and not parts.calls and parts.verifier == "answer":
            add("reference.tool_calls", "no_calls", "no call")
        if parts.meta.get("names_only") is True:
            add("reference.tool_calls", "no_arguments", "only the names of the calls are known")
        reference = prepare(parts, add)
        self._waiting.append((parts if fits else _without_calls(parts), add, reference))

    def _prompt(self, name: str, number: int, parts: Parts, add: Callable[[str, str, str], None]) -> None:
        text = " ".join(parts.text.split()).casefold()
        if not text:
            return
        key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        first = self._prompts.setdefault(key, (name, number))
        if first == (name, number):
            return
        if first[0] == name:
            add("prompt", "duplicate_prompt", f"the prompt of row {first[1]} as well")
        else:
            add("prompt", "overlap", f"the prompt of {first[0]}:{first[1]} as well")

    def _together(self) -> None:
        rows, self._waiting = self._waiting, []
        check_answers([(parts, add) for parts, add, _ in rows])
        check_trajectories(rows)
        if self._tools is not None:
            executed = execute_rows([(parts, add) for parts, add, _ in rows], self._tools)
            self.report.executed += executed
            self.report.not_executed += len(rows) - executed

    def _add(self, name: str, row: int, known: str, where: str, kind: str, message: str) -> None:
        self.report.problems.append(Problem(name, row, known, where, kind, message))
        if KINDS[kind][0] == "error":
            if row:
                self._bad.add((name, row))
            if self._left is not None:
                self._left -= 1
                if self._left == 0:
                    raise StopChecking

    def finish(self, names: list[str]) -> ValidationReport:
        place = {name: index for index, name in enumerate(names)}
        self.report.problems.sort(key=lambda problem: (place[problem.file], problem.row))
        self.report.bad_rows = len(self._bad)
        return self.report


def _without_calls(parts: Parts) -> Parts:
    """The row with nothing to execute: its calls are known to be wrong."""
    return replace(parts, calls={})
