"""What a teacher is given: tasks with their tools, with or without a known answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mentor.data import Task
from mentor.data.jsonl import json_type
from mentor.data.rows import read_rows
from mentor.data.tasks import is_answer
from mentor.errors import DataError, InputError
from mentor.tools import ToolSet

__all__ = ["Assignment", "assign", "read_assignments"]

_UNKNOWN = "?"


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A task for the teacher.

    Attributes:
        task: The task; its reference counts only where ``answer`` is known.
        tools: Names of the tools that it offers.
        answer: The known answer, by which samples are judged; ``None`` where there is none.
        setup: Calls that put the session into the state that the task begins with.
        place: Where it was read, as ``FILE:LINE``.
    """

    task: Task
    tools: tuple[str, ...]
    answer: str | None
    setup: tuple[Mapping[str, Any], ...] = ()
    place: str = ""

    @property
    def id(self) -> str:
        """The task's id."""
        return self.task.id


def assign(tasks: Iterable[Task], tools: ToolSet) -> list[Assignment]:
    """Make assignments of tasks with known answers.

    Raises:
        InputError: A task offers a tool that is not among ``tools``, or two have one id; the message names the task.

    Example:
        >>> import mentor
        >>> from mentor.data import Task
        >>> task = Task(id="1", prompt="2 + 2?", tools=("add",), reference={"answer": 4, "tool_calls": []})
        >>> assign([task], mentor.tools.arithmetic())[0].answer
        '4'
    """
    made: dict[str, Assignment] = {}
    for task in tasks:
        if task.id in made:
            raise InputError(f"task {task.id}: id: another task has it as well")
        try:
            made[task.id] = _assignment(task, tools, str(task.reference["answer"]))
        except InputError as error:
            raise InputError(f"task {task.id}: {error}") from None
    return list(made.values())


def read_assignments(path: str | Path, tools: ToolSet, *, limit: int | None = None) -> list[Assignment]:
    """Read tasks from JSON lines, a JSON list or Parquet. Beside task files this takes rows without a reference.

    The answer is ``reference.answer``, or ``answer`` beside the prompt; a row may have neither.

    Args:
        path: The file.
        tools: What the tasks' tools are among. A row without ``tools`` offers all.
        limit: Read so many rows only.

    Raises:
        DataError: The file or a row cannot be used: ``FILE:LINE: field: what is wrong``.
    """
    path = Path(path)
    seen: dict[str, int] = {}
    made: list[Assignment] = []
    for line, row in read_rows(path):
        if limit is not None and len(made) == limit:
            break
        try:
            assignment = _from_row(row, line, tools)
            if assignment.id in seen:
                raise InputError(f"id: {assignment.id!r} is the id of line {seen[assignment.id]} as well")
        except InputError as error:
            raise DataError(f"{path}:{line}: {error}") from None
        seen[assignment.id] = line
        made.append(replace(assignment, place=f"{path}:{line}"))
    if not made:
        raise DataError(f"{path}: the file has no task")
    return made


def _from_row(row: Mapping[str, Any], line: int, tools: ToolSet) -> Assignment:
    reference = row.get("reference")
    known = isinstance(reference, str) or (isinstance(reference, dict) and reference.get("answer") is not None)
    if known or not (reference is None or isinstance(reference, dict)):
        task = Task.from_dict(row, default_id=str(line))
        return _assignment(task, tools, str(task.reference["answer"]))
    answer = row.get("answer")
    if answer is not None and not is_answer(answer):
        raise InputError(f"answer: a text or a number is wanted, found {json_type(answer)}")
    if isinstance(answer, str) and not answer.strip():
        raise InputError("answer: empty")
    # The file of rejected tasks is one of tasks as well: why they were rejected is no part of them.
    judged = isinstance(row.get("reasons"), dict) and isinstance(row.get("samples"), list)
    left = ("answer", "reasons", "samples") if judged else ("answer",)
    rest = {key: value for key, value in row.items() if key not in left}
    reference = {"answer": _UNKNOWN if answer is None else answer, "tool_calls": []}
    task = Task.from_dict({**rest, "reference": reference}, default_id=str(line))
    return _assignment(task, tools, None if answer is None else str(answer))


def _assignment(task: Task, tools: ToolSet, answer: str | None) -> Assignment:
    names = [tool if isinstance(tool, str) else tool.get("function", tool)["name"] for tool in task.tools]
    for at, name in enumerate(names):
        if name not in tools:
            raise InputError(f"tools[{at}]: {name!r} is none of the tools given, which are {', '.join(tools)}")
    return Assignment(
        task=task, tools=tuple(dict.fromkeys(names or tools.names)), answer=answer, setup=_setup(task.meta.get("setup"))
    )


def _setup(value: Any) -> tuple[Mapping[str, Any], ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise InputError(f"meta.setup: a list of calls is wanted, found {json_type(value)}")
    for at, call in enumerate(value):
        if not (isinstance(call, Mapping) and isinstance(call.get("name"), str)):
            raise InputError(f"meta.setup[{at}]: a call with name and arguments is wanted, found {json_type(call)}")
        if not isinstance(call.get("arguments", {}), Mapping):
            raise InputError(f"meta.setup[{at}].arguments: an object is wanted, found {json_type(call['arguments'])}")
    return tuple(value)
