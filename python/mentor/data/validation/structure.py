"""The shape of a row: every field that is missing or of the wrong kind, not only the first."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mentor.data.calls import read_literal
from mentor.data.jsonl import json_type
from mentor.data.tasks import Task, is_answer
from mentor.errors import InputError

__all__ = ["Add", "Parts", "read_parts"]

Add = Callable[[str, str, str], None]
"""Takes a problem: field, kind, message."""

_FIELDS = ("id", "prompt", "tools", "reference", "meta")
_META: dict[str, tuple[type, str]] = {
    "split": (str, "a text"),
    "setup": (list, "a list of calls"),
    "results": (list, "a list of texts"),
    "executable": (bool, "true or false"),
    "verifier": (str, "a text"),
    "names_only": (bool, "true or false"),
    "source": (str, "a text"),
    "tools_suite": (str, "a name"),
    "tools_source": (str, "a text"),
}
_VERIFIERS = ("answer", "calls", "text")
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


@dataclass
class Parts:
    """What of a row can be used, whatever else is wrong with it.

    Attributes:
        id: the id, or the number of the row.
        prompt: messages of the prompt.
        tools: names and schemas of the offered tools.
        calls: the reference's calls by their place.
        answer: the answer as text; None where it is missing.
        reference: the reference, None unless all of it is in order.
        messages: the teacher's messages.
        meta: the row's meta.
        setup: the calls of ``meta.setup``.
        startable: whether all of them can be made.
    """

    id: str
    prompt: list[Mapping[str, Any]] = field(default_factory=list)
    tools: list[Any] = field(default_factory=list)
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    answer: str | None = None
    reference: Mapping[str, Any] | None = None
    messages: list[Any] = field(default_factory=list)
    meta: Mapping[str, Any] = field(default_factory=dict)
    setup: list[dict[str, Any]] = field(default_factory=list)
    startable: bool = True

    @property
    def text(self) -> str:
        """The prompt's text."""
        return "\n".join(str(message.get("content") or "") for message in self.prompt)

    @property
    def verifier(self) -> str:
        """What decides whether a rollout is right: ``answer``, ``calls`` or ``text``."""
        return str(self.meta.get("verifier", "answer"))


def read_parts(row: Mapping[str, Any], number: int, add: Add) -> Parts:
    """Check a row's shape, as reading it as a task would, and give what of it can be used."""
    try:
        task = Task.from_dict(row, default_id=str(number))
    except InputError as error:
        found = _broken(row, number, add)
        if not found[1]:  # a rule of the reader that is not spelled out here
            where, _, message = str(error).partition(": ")
            add(where, "wrong_type", message)
        parts = found[0]
    else:
        parts = Parts(
            id=task.id,
            prompt=list(task.messages),
            tools=list(task.tools),
            calls=dict(enumerate(task.reference["tool_calls"])),
            answer=str(task.reference["answer"]),
            reference=task.reference,
            messages=_messages(task.reference.get("messages"), add),
            meta=task.meta,
        )
    _known_meta(parts, add)
    _prompt_roles(parts.prompt, add)
    for key in row:
        if key not in _FIELDS and (near := difflib.get_close_matches(key.lower(), _FIELDS, 1, 0.75)):
            add(key, "unknown_field", f"not a field of a task; is {near[0]!r} meant?")
    meta = row.get("meta")
    for key in meta if isinstance(meta, Mapping) else ():
        if key not in _META and (near := difflib.get_close_matches(str(key).lower(), _META, 1, 0.9)):
            add(f"meta.{str(key)[:40]}", "unknown_field", f"no command reads it; is {near[0]!r} meant?")
    return parts


def _messages(value: Any, add: Add) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        add("reference.messages", "wrong_type", f"a list of messages is wanted, found {json_type(value)}")
        return []
    return value


def _known_meta(parts: Parts, add: Add) -> None:
    """The fields of meta that mean something to commands: of the wrong kind they would be passed over in silence."""
    for name, (kind, wanted) in _META.items():
        value = parts.meta.get(name)
        if value is not None and not isinstance(value, kind):
            add(f"meta.{name}", "wrong_type", f"{wanted} is wanted, found {json_type(value)}")
    verifier = parts.meta.get("verifier")
    if isinstance(verifier, str) and verifier not in _VERIFIERS:
        add("meta.verifier", "wrong_type", f"{verifier[:40]!r} is none of {', '.join(_VERIFIERS)}")
    setup = parts.meta.get("setup")
    calls = setup if isinstance(setup, list) else []
    for i, call in enumerate(calls):
        if not (isinstance(call, dict) and isinstance(call.get("name"), str)):
            add(f"meta.setup[{i}]", "wrong_type", f"a call with name and arguments is wanted, found {json_type(call)}")
        elif not isinstance(call.get("arguments", {}), dict):
            found = json_type(call["arguments"])
            add(f"meta.setup[{i}].arguments", "wrong_type", f"an object is wanted, found {found}")
        else:
            parts.setup.append({"name": call["name"], "arguments": call.get("arguments", {})})
    parts.startable = setup is None or (isinstance(setup, list) and len(parts.setup) == len(setup))


def _prompt_roles(prompt: list[Mapping[str, Any]], add: Add) -> None:
    for i, message in enumerate(prompt):
        role = message.get("role")
        if isinstance(role, str) and role not in _ROLES:
            add(f"prompt[{i}].role", "odd_role", f"{role[:40]!r} is none of {', '.join(sorted(_ROLES))}")
    if prompt and prompt[-1].get("role") == "assistant":
        add(
            f"prompt[{len(prompt) - 1}]",
            "prompt_ends",
            "the prompt ends with the assistant: there is nothing to answer",
        )


class _Counted:
    """Passes problems on, and knows whether there were any."""

    def __init__(self, add: Add) -> None:
        self._add, self.any = add, False

    def __call__(self, where: str, kind: str, message: str) -> None:
        self.any = True
        self._add(where, kind, message)


def _broken(row: Mapping[str, Any], number: int, given: Add) -> tuple[Parts, bool]:
    """A row that is no task: all that is wrong with its shape."""
    add = _Counted(given)
    parts = Parts(id=str(number))
    name = row.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int | None):
        add("id", "wrong_type", f"a string is wanted, found {json_type(name)}")
    elif name is not None:
        parts.id = str(name)
    meta = row.get("meta")
    if isinstance(meta, Mapping):
        parts.meta = meta
    elif meta is not None:
        add("meta", "wrong_type", f"an object is wanted, found {json_type(meta)}")
    parts.prompt = list(_prompt(row, add))
    parts.tools = list(_tools(row, add))
    _reference(row, parts, add)
    return parts, add.any


def _given(holder: Mapping[str, Any], key: str, where: str, add: Add) -> Any:
    if holder.get(key) is None:
        add(where, "missing", "null" if key in holder else "missing")
    return holder.get(key)


def _prompt(row: Mapping[str, Any], add: Add) -> Iterator[Mapping[str, Any]]:
    value = _given(row, "prompt", "prompt", add)
    if isinstance(value, str):
        if not value.strip():
            add("prompt", "empty", "empty")
        yield {"role": "user", "content": value}
        return
    if value is not None and not isinstance(value, list):
        add("prompt", "wrong_type", f"a text or a list of messages is wanted, found {json_type(value)}")
        return
    if value == []:
        add("prompt", "empty", "empty")
    for i, message in enumerate(value or []):
        if not isinstance(message, dict):
            add(f"prompt[{i}]", "wrong_type", f"an object is wanted, found {json_type(message)}")
            continue
        role = _given(message, "role", f"prompt[{i}].role", add)
        if role is not None and not isinstance(role, str):
            add(f"prompt[{i}].role", "wrong_type", f"a string is wanted, found {json_type(role)}")
        yield message


def _tools(row: Mapping[str, Any], add: Add) -> Iterator[Any]:
    value = row.get("tools")
    if value is not None and not isinstance(value, list):
        add("tools", "wrong_type", f"a list is wanted, found {json_type(value)}")
        return
    for i, tool in enumerate(value or []):
        if isinstance(tool, str):
            yield tool
        elif not isinstance(tool, dict):
            add(f"tools[{i}]", "wrong_type", f"a name or a schema is wanted, found {json_type(tool)}")
        else:
            function = tool.get("function", tool)
            if isinstance(function, dict) and isinstance(function.get("name"), str):
                yield tool
            else:
                add(f"tools[{i}]", "missing", "the schema has no name")


def _reference(row: Mapping[str, Any], parts: Parts, add: Add) -> None:
    value = _given(row, "reference", "reference", add)
    if isinstance(value, str):
        text, value = value, read_literal(value)
        if not isinstance(value, dict):
            add("reference", "wrong_type", f"the text is no JSON object: {text[:40]!r}")
            return
    if value is None:
        return
    if not isinstance(value, dict):
        add("reference", "wrong_type", f"an object is wanted, found {json_type(value)}")
        return
    answer = _given(value, "answer", "reference.answer", add)
    if answer is not None and not is_answer(answer):
        add("reference.answer", "wrong_type", f"a text or a number is wanted, found {json_type(answer)}")
    elif isinstance(answer, str) and not answer.strip():
        add("reference.answer", "empty", "empty")
    elif answer is not None:
        parts.answer = str(answer)
    calls = value.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        add("reference.tool_calls", "wrong_type", f"a list is wanted, found {json_type(calls)}")
        calls = None
    for i, call in enumerate(calls or []):
        usable = _call(call, f"reference.tool_calls[{i}]", add)
        if usable is not None:
            parts.calls[i] = usable
    parts.messages = _messages(value.get("messages"), add)


def _call(call: Any, where: str, add: Add) -> dict[str, Any] | None:
    if not isinstance(call, dict):
        add(where, "wrong_type", f"an object is wanted, found {json_type(call)}")
        return None
    function = call.get("function", call)
    if not isinstance(function, dict):
        add(f"{where}.function", "wrong_type", f"an object is wanted, found {json_type(function)}")
        return None
    name = _given(function, "name", f"{where}.name", add)
    if name is not None and not isinstance(name, str):
        add(f"{where}.name", "wrong_type", f"a string is wanted, found {json_type(name)}")
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        text, arguments = arguments, read_literal(arguments)
        if not isinstance(arguments, dict):
            add(f"{where}.arguments", "wrong_type", f"the text is no JSON object: {text[:40]!r}")
            return None
    if not isinstance(arguments, dict):
        add(f"{where}.arguments", "wrong_type", f"an object is wanted, found {json_type(arguments)}")
        return None
    return {"name": name, "arguments": arguments} if isinstance(name, str) else None
