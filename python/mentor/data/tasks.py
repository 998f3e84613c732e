"""Tasks: the rows of a training or evaluation set, checked field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from mentor.data.jsonl import BadLine, OnError, Skipped, json_type
from mentor.data.rows import read_rows
from mentor.data.tables import write_table
from mentor.errors import InputError

__all__ = ["Task", "read_tasks", "write_tasks"]

_FIELDS = ("id", "prompt", "tools", "reference", "meta")


@dataclass(frozen=True)
class Task:
    """One row of a dataset: what the policy is asked, what it may call, and what the teacher did.

    Attributes:
        id: unique within its file.
        prompt: the user's text, or a tuple of message objects (``role``, ``content``).
        tools: names of tools, or OpenAI tool schemas.
        reference: ``answer`` (text or number) and ``tool_calls`` (a list of ``{name, arguments}``); a teacher's
            ``messages`` and other keys are kept.
        meta: anything else about the row.

    Example:
        >>> task = Task(id="1", prompt="What is 2 + 2?", tools=("add",), reference={"answer": "4", "tool_calls": []})
        >>> task.messages
        [{'role': 'user', 'content': 'What is 2 + 2?'}]
    """

    id: str
    prompt: str | tuple[Mapping[str, Any], ...]
    tools: tuple[str | Mapping[str, Any], ...]
    reference: Mapping[str, Any]
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The prompt as a list of messages."""
        if isinstance(self.prompt, str):
            return [{"role": "user", "content": self.prompt}]
        return [dict(message) for message in self.prompt]

    @classmethod
    def from_dict(cls, row: Mapping[str, Any], *, default_id: str = "") -> Task:
        """Check a row and make it a task.

        Args:
            row: an object with ``prompt`` and ``reference``; ``id``, ``tools`` and ``meta`` are optional, and keys
                with other names go to ``meta``.
            default_id: the id of a row that has none.

        Raises:
            InputError: a field is missing or of the wrong kind; the message starts with the field's path.

        Example:
            >>> Task.from_dict({"id": "1", "prompt": "2 + 2?", "reference": {"tool_calls": []}})
            Traceback (most recent call last):
            mentor.errors.InputError: reference.answer: missing
        """
        name = row.get("id")
        if name is None:
            name = default_id
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise InputError(f"id: a string is wanted, found {json_type(name)}")
        meta = {} if row.get("meta") is None else _expect(row["meta"], dict, "meta", "an object")
        extra = {key: value for key, value in row.items() if key not in _FIELDS}
        return cls(
            id=str(name),
            prompt=_prompt(_required(row, "prompt", "prompt")),
            tools=tuple(_tool(tool, i) for i, tool in enumerate(_list(row.get("tools"), "tools"))),
            reference=_reference(_required(row, "reference", "reference")),
            meta={**extra, **meta},
        )

    def to_dict(self) -> dict[str, Any]:
        """The row as ``write_tasks`` writes it; ``Task.from_dict`` reads it back."""
        prompt = self.prompt if isinstance(self.prompt, str) else [dict(message) for message in self.prompt]
        row = {"id": self.id, "prompt": prompt, "tools": list(self.tools), "reference": dict(self.reference)}
        return row | ({"meta": dict(self.meta)} if self.meta else {})


def read_tasks(
    path: str | Path,
    *,
    on_error: OnError = "stop",
    on_bad: Callable[[BadLine], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Task]:
    """Read tasks from JSON lines, from a JSON list, or from Parquet when the name ends in ``.parquet``, one at a time.

    A row without ``id`` gets its line number. Two rows with one id are an error.

    Args:
        path: the file.
        on_error: ``stop`` raises at the first bad row; ``skip`` leaves bad rows out and goes on.
        on_bad: with ``skip``, called with each bad row; without it one warning at the end gives their number.
        progress: called with the number of bytes (Parquet: rows) read since the last call.

    Raises:
        DataError: the file cannot be read, or, with ``stop``, a row is bad: ``FILE:LINE: field: what is wrong``.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "tasks.jsonl")
        >>> _ = file.write_text('{"prompt": "2 + 2?", "reference": {"answer": "4", "tool_calls": {}}}')
        >>> list(read_tasks(file))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        mentor.errors.DataError: ...tasks.jsonl:1: reference.tool_calls: a list is wanted, found an object
    """
    path = Path(path)
    skipped = Skipped(path, on_error, on_bad)
    return _tasks(read_rows(path, on_error=on_error, on_bad=skipped.add, progress=progress), path, skipped)


def _tasks(rows: Iterator[tuple[int, dict[str, Any]]], path: Path, skipped: Skipped) -> Iterator[Task]:
    seen: dict[str, int] = {}
    for line, row in rows:
        try:
            task = Task.from_dict(row, default_id=str(line))
            if task.id in seen:
                raise InputError(f"id: {task.id!r} is the id of line {seen[task.id]} as well")
        except InputError as error:
            skipped.add(BadLine(str(path), line, str(error)), error)
            continue
        seen[task.id] = line
        yield task
    skipped.close()


def write_tasks(path: str | Path, tasks: Iterable[Task]) -> int:
    """Write tasks to ``.jsonl`` or ``.parquet``, complete or not at all; ``read_tasks`` reads them back.

    Raises:
        InputError: the ending is unknown, or a task holds something that is no JSON.
        DataError: the folder is missing.

    Example:
        >>> import tempfile
        >>> task = Task(id="1", prompt="2 + 2?", tools=("add",), reference={"answer": "4", "tool_calls": []})
        >>> file = Path(tempfile.mkdtemp(), "tasks.parquet")
        >>> write_tasks(file, [task]), list(read_tasks(file)) == [task]
        (1, True)
    """
    return write_table(path, (task.to_dict() for task in tasks))


def is_answer(value: Any) -> bool:
    """Whether a value is a text or a number, as answers are; the NaN of a table's empty cell is none."""
    return isinstance(value, str | int | float) and not isinstance(value, bool) and value == value


def _expect(value: Any, kind: type, where: str, wanted: str) -> Any:
    if not isinstance(value, kind):
        raise InputError(f"{where}: {wanted} is wanted, found {json_type(value)}")
    return value


def _required(row: Mapping[str, Any], key: str, where: str) -> Any:
    if row.get(key) is None:
        raise InputError(f"{where}: {'missing' if key not in row else 'null'}")
    return row[key]


def _list(value: Any, where: str) -> list[Any]:
    return [] if value is None else list(_expect(value, list, where, "a list"))


def _prompt(value: Any) -> str | tuple[Mapping[str, Any], ...]:
    if isinstance(value, str):
        if not value.strip():
            raise InputError("prompt: empty")
        return value
    messages = _expect(value, list, "prompt", "a text or a list of messages")
    if not messages:
        raise InputError("prompt: empty")
    for i, message in enumerate(messages):
        _expect(message, dict, f"prompt[{i}]", "an object")
        _expect(_required(message, "role", f"prompt[{i}].role"), str, f"prompt[{i}].role", "a string")
    return tuple(messages)


def _tool(value: Any, i: int) -> str | Mapping[str, Any]:
    if isinstance(value, str):
        return value
    schema = _expect(value, dict, f"tools[{i}]", "a name or a schema")
    function = schema.get("function", schema)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise InputError(f"tools[{i}]: the schema has no name")
    return dict(schema)


def _reference(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = _from_json(value, "reference")
    reference = dict(_expect(value, dict, "reference", "an object"))
    answer = _required(reference, "answer", "reference.answer")
    if not is_answer(answer):
        raise InputError(f"reference.answer: a text or a number is wanted, found {json_type(answer)}")
    if isinstance(answer, str) and not answer.strip():
        raise InputError("reference.answer: empty")
    calls = _list(reference.get("tool_calls"), "reference.tool_calls")
    reference["tool_calls"] = [_call(call, f"reference.tool_calls[{i}]") for i, call in enumerate(calls)]
    return reference


def _call(value: Any, where: str) -> dict[str, Any]:
    """``{name, arguments}``, also out of OpenAI's ``{"function": {...}}`` with its arguments as JSON text."""
    call = _expect(value, dict, where, "an object")
    call = _expect(call.get("function", call), dict, f"{where}.function", "an object")
    name = _expect(_required(call, "name", f"{where}.name"), str, f"{where}.name", "a string")
    arguments = call.get("arguments", {})
    if isinstance(arguments, str):
        arguments = _from_json(arguments, f"{where}.arguments")
    return {"name": name, "arguments": _expect(arguments, dict, f"{where}.arguments", "an object")}


def _from_json(text: str, where: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{where}: the text is not JSON: {error}") from None
