"""One rollout beside its reference, ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from mentor.report.run import number

__all__ = ["View", "view"]

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_MAX_CALLS = 40  # shown per side
_MAX_DEPTH = 64


@dataclass
class Call:
    """A call as shown: ``match`` is ``same`` (name and arguments), ``name`` (the name only) or ``none``."""

    name: str
    arguments: Any
    result: str | None = None
    match: str = "none"


@dataclass
class Step:
    """What the student wrote in one message, and its calls."""

    text: str
    calls: list[Call]


@dataclass
class View:
    """Everything that the page shows of a rollout; ``hidden`` counts calls beyond the shown ones."""

    phase: str
    split: str
    step: str
    task_id: str
    correct: bool
    reward: float
    prompt: str
    steps: list[Step]
    teacher: list[Call]
    gold: str
    answer: str
    components: list[tuple[str, float]]
    defects: list[tuple[str, str]]
    hidden: int = field(default=0)


def view(row: Mapping[str, Any]) -> View:
    """Make a row of ``completions.jsonl`` presentable; whatever is missing or of a wrong kind is left empty.

    Matches are for the eye: equal calls are paired first, then calls of one name, each once, in order. The reward's
    own alignment stands in its components.

    Example:
        >>> call = {"name": "add", "arguments": {"a": 1, "b": 2}}
        >>> message = {"role": "assistant", "content": "", "tool_calls": [{"function": call}]}
        >>> shown = view({"completion": [message], "reference": {"answer": "3", "tool_calls": [call]}})
        >>> shown.steps[0].calls[0].match, shown.gold
        ('same', '3')
    """
    reference = row.get("reference")
    reference = reference if isinstance(reference, dict) else {}
    steps, hidden = _steps(_messages(row.get("completion"), "assistant"))
    teacher = [_call(call) for call in _dicts(reference.get("tool_calls"))]
    _match([call for step in steps for call in step.calls], teacher)
    components = row.get("components")
    texts = [step.text for step in steps if step.text.strip()]
    return View(
        phase=str(row.get("phase", "")),
        split=str(row.get("split") or ""),
        step=str(row.get("step") if row.get("step") is not None else ""),
        task_id=str(row.get("task_id") or ""),
        correct=bool(row.get("correct")),
        reward=number(row.get("reward")),
        prompt="\n\n".join(_text(message) for message in _messages(row.get("prompt"), "user")),
        steps=steps,
        teacher=teacher[:_MAX_CALLS],
        gold=str(reference.get("answer", "")),
        answer=_boxed(texts[-1]) if texts else "",
        components=[(str(key), number(value)) for key, value in components.items()]
        if isinstance(components, dict)
        else [],
        defects=[(str(d.get("kind", "")), str(d.get("message", ""))) for d in _dicts(row.get("defects"))],
        hidden=hidden + max(0, len(teacher) - _MAX_CALLS),
    )


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _messages(value: Any, role: str) -> list[dict[str, Any]]:
    return [{"role": role, "content": value}] if isinstance(value, str) else _dicts(value)


def _text(message: Mapping[str, Any]) -> str:
    """A message's text; of a list of parts the texts."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in _dicts(content))
    return "" if content is None else str(content)


def _call(call: Mapping[str, Any]) -> Call:
    function = call.get("function", call)
    function = function if isinstance(function, dict) else {}
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        with suppress(orjson.JSONDecodeError):  # else shown as the model wrote it
            arguments = orjson.loads(arguments)
    return Call(str(function.get("name", "")), arguments)


def _steps(messages: Sequence[Mapping[str, Any]]) -> tuple[list[Step], int]:
    steps: list[Step] = []
    waiting: list[Call] = []
    shown = hidden = 0
    for message in messages:
        if message.get("role") == "tool":
            if waiting:
                waiting.pop(0).result = _text(message)
            continue
        text, calls = _inline_calls(_text(message))
        calls = [_call(call) for call in _dicts(message.get("tool_calls"))] or calls
        waiting = list(calls)
        kept = calls[: max(0, _MAX_CALLS - shown)]
        shown, hidden = shown + len(kept), hidden + len(calls) - len(kept)
        if kept or text.strip():
            steps.append(Step(text.strip(), kept))
    return steps, hidden


def _inline_calls(text: str) -> tuple[str, list[Call]]:
    """Calls in <tool_call> tags taken out of a text; what is no JSON object stays where it is."""
    head, *blocks = text.split(_OPEN)
    calls = []
    for block in blocks:
        body, close, rest = block.partition(_CLOSE)
        try:
            call = orjson.loads(body) if close else None
        except orjson.JSONDecodeError:
            call = None
        if isinstance(call, dict) and isinstance(call.get("name"), str):
            calls.append(_call(call))
            head += rest
        else:
            head += _OPEN + block
    return head, calls


def _match(student: Sequence[Call], teacher: Sequence[Call]) -> None:
    """Pair equal calls, then calls of one name."""
    for kind in ("same", "name"):
        free: dict[Any, list[Call]] = {}
        for call in reversed(teacher):
            if call.match == "none":
                free.setdefault(_key(call, kind), []).append(call)
        for call in student:
            partners = free.get(_key(call, kind))
            if call.match == "none" and partners:
                call.match = partners.pop().match = kind


def _key(call: Call, kind: str) -> Any:
    return (call.name, _canonical(call.arguments)) if kind == "same" else call.name


def _canonical(value: Any, depth: int = 0) -> Any:
    """A hashable form in which 24 and 24.0 are one and keys have no order; very deep parts count as equal."""
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return frozenset((key, _canonical(item, depth + 1)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(_canonical(item, depth + 1) for item in value)
    return (isinstance(value, bool), value)


def _boxed(text: str) -> str:
    """What stands in the last box, its braces balanced; empty without one."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return ""
    depth = 0
    for index in range(start + 6, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return text[start + 7 : index]
    return text[start + 7 :]
