"""ToolRL's data as tasks: the gold turn becomes the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mentor.data.calls import ToolChecks
from mentor.data.imports import ImportReport, import_rows, text_of
from mentor.data.jsonl import OnError
from mentor.data.rlla import gold_task, gold_turn
from mentor.data.tasks import Task
from mentor.errors import InputError

__all__ = ["import_toolrl"]


def import_toolrl(
    path: str | Path,
    *,
    keep_prompt: bool = False,
    limit: int | None = None,
    on_error: OnError = "stop",
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Task], ImportReport]:
    """Turn ToolRL's sets into tasks.

    Understood are rows of ``instruction``, ``input`` and ``output`` (the SFT set), and those of ``prompt`` (messages)
    and ``reward_model`` with a ``ground_truth`` (the RL set). The gold turn is kept as the reference's ``output``,
    which the reward ``toolrl`` compares with. Nothing executes the tools.

    Args:
        path: JSON, JSON lines or Parquet.
        keep_prompt: whether the prompt stays as it is, with the tools and the output format in its text, as the reward
            ``toolrl`` wants it; else it is made messages, and tools are offered the way the model's template does.
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
        system, user, output = _texts(row)
        calls, response = gold_turn(output)
        name = f"toolrl-{path.stem}-{line}"
        task = gold_task(
            name, system, user, calls, response, source="toolrl", checks=checks, output=output, keep_prompt=keep_prompt
        )
        return task, False

    return import_rows(path, convert, limit=limit, on_error=on_error, progress=progress)


def _texts(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """System text, user text and gold turn of either layout."""
    if "instruction" in row or "prompt" not in row:
        return text_of(row, "instruction"), text_of(row, "input"), text_of(row, "output")
    prompt, truth = row["prompt"], row.get("reward_model")
    if not isinstance(prompt, list) or not all(isinstance(message, dict) for message in prompt):
        raise InputError("prompt: a list of messages is wanted")
    if not isinstance(truth, dict):
        raise InputError("reward_model: an object with a ground_truth is wanted")
    by_role = {str(message.get("role")): str(message.get("content")) for message in prompt}
    if not {"system", "user"} <= by_role.keys():
        raise InputError("prompt: messages of system and user are wanted")
    return by_role["system"], by_role["user"], text_of(truth, "ground_truth")
