"""API-Bank as tasks: the gold call becomes the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from mentor.data.calls import ToolChecks
from mentor.data.imports import ImportReport, import_rows, text_of
from mentor.data.jsonl import OnError
from mentor.data.rlla import gold_calls, gold_task
from mentor.data.tasks import Task
from mentor.errors import InputError

__all__ = ["import_apibank"]


def import_apibank(
    path: str | Path,
    *,
    keep_prompt: bool = False,
    limit: int | None = None,
    on_error: OnError = "stop",
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Task], ImportReport]:
    """Turn API-Bank (rows of ``system``, ``user`` and ``answer``, the gold call or a list of them) into tasks.

    This is the layout of ``level-1-api_processed.json``, in which the tools stand in the system text. Nothing executes
    the tools.

    Args:
        path: JSON, JSON lines or Parquet.
        keep_prompt: whether the prompt stays as it is, with the tools in its text; else it is made messages.
        limit: read this many rows only.
        on_error: ``skip`` leaves rows of another format out and lists them in the report; ``stop`` raises at the first.
        progress: called with the number of rows just finished.

    Returns:
        The tasks in the file's order, and the report.

    Raises:
        DataError: the file cannot be read, or, with ``stop``, a row is none of this format.
    """
    path = Path(path)
    checks = ToolChecks()

    def convert(line: int, row: Mapping[str, Any]) -> tuple[Task, bool]:
        system, user = text_of(row, "system"), text_of(row, "user")
        answer = row.get("answer")
        if isinstance(answer, str):
            calls = gold_calls(answer)
        elif isinstance(answer, dict | list) and answer:
            calls = gold_calls(orjson.dumps(answer).decode())
        else:
            raise InputError("answer: a call, or a list of calls, is wanted")
        name = f"apibank-{path.stem}-{line}"
        task = gold_task(name, system, user, calls, "", source="apibank", checks=checks, keep_prompt=keep_prompt)
        return task, False

    return import_rows(path, convert, limit=limit, on_error=on_error, progress=progress)
