"""One rollout beside its reference, as the data that the page's browser shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from mentor.report.judged import Judged, messages
from mentor.report.run import number
from mentor.report.text import clean, show
from mentor.types import Call, Score

__all__ = ["Shared", "view"]

_MAX_CALLS = 40  # shown per side
_MAX_ITEMS = 200  # messages, defects and components shown
_SHORT = 600  # characters of a name or a reason


@dataclass
class Shared:
    """Prompts and references, which many rollouts have in common: each is in the page once.

    Attributes:
        prompts: the prompts' texts.
        references: ``answer`` and ``calls`` of each reference.
    """

    prompts: list[str] = field(default_factory=list)
    references: list[dict[str, Any]] = field(default_factory=list)
    _known: dict[tuple[str, bytes], int] = field(default_factory=dict)

    def prompt(self, text: str) -> int:
        """The number of a prompt."""
        return self._number("prompt", text, self.prompts)

    def reference(self, reference: dict[str, Any]) -> int:
        """The number of a reference."""
        return self._number("reference", reference, self.references)

    def _number(self, kind: str, value: Any, values: list[Any]) -> int:
        key = (kind, orjson.dumps(value))
        if key not in self._known:
            self._known[key] = len(values)
            values.append(value)
        return self._known[key]


def view(row: Mapping[str, Any], judged: Judged, shared: Shared, *, weights: Mapping[str, float]) -> dict[str, Any]:
    """Make a row of ``completions.jsonl`` presentable; whatever is missing or of a wrong kind is left empty.

    Args:
        row: the row.
        judged: what scoring it found.
        shared: where its prompt and reference go.
        weights: what each term of the reward is worth at most.

    Returns:
        Plain JSON: texts are clean, numbers finite or ``None``.

    Example:
        >>> call = {"name": "add", "arguments": {"a": 1, "b": 2}}
        >>> messages = [{"role": "assistant", "tool_calls": [{"function": call}]}, {"role": "tool", "content": "3"}]
        >>> row = {"completion": messages, "reference": {"answer": "3", "tool_calls": [call]}}
        >>> from mentor.report.judged import judge_rows
        >>> shown = view(row, judge_rows([row], "mentor")[0], Shared(), weights={})
        >>> shown["turns"][0]["parts"][0]["match"]["exact"]
        True
    """
    score = judged.score
    calls = _reference_calls(row)
    defects = _defects(row)
    turns = _turns(row, judged)
    reward = number(row.get("reward"))
    reference = row.get("reference")
    answer = reference.get("answer", "") if isinstance(reference, dict) else ""
    shown = sum(part["kind"] == "call" for turn in turns for part in turn["parts"])
    made = len(score.calls) if score else shown
    components = row.get("components")
    components = components if isinstance(components, dict) else {}
    found: dict[str, Any] = {
        "phase": str(row.get("phase", "")),
        "split": _short(row.get("split")),
        "step": _short(row.get("step")),
        "task": _short(row.get("task_id")),
        "correct": bool(row.get("correct")),
        "reward": _json_number(reward),
        "prompt": shared.prompt(clean("\n\n".join(_text(message) for message in messages(row.get("prompt"), "user")))),
        "reference": shared.reference({"answer": clean(show(answer)), "calls": calls[:_MAX_CALLS]}),
        "turns": turns,
        "answer": clean(score.answer) if score and score.answer is not None else None,
        "components": [[_short(k), _json_number(number(v))] for k, v in list(components.items())[:_MAX_ITEMS]],
        "defects": [[kind, message] for kind, message in defects],
        "calls": made,
        "hidden": max(0, made - shown) + max(0, len(calls) - _MAX_CALLS),
    }
    if score and abs(score.reward - reward) < 1e-6:
        found["terms"] = [[name, value, weights.get(name)] for name, value in score.terms]
        found["rewarded"] = score.reward_name
    elif score and not math.isnan(reward):
        found["note"] = (
            f"Scored again with {score.reward_name} it earns {score.reward:.4g}; the run recorded the above."
        )
    if not score:
        found["note"] = clean(f"It cannot be scored again, so no matches are shown: {judged.why}", _SHORT)
    return found


def _reference_calls(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The teacher's calls in order; of a reference that cannot be scored, what looks like calls."""
    reference = row.get("reference")
    calls = reference.get("tool_calls") if isinstance(reference, dict) else None
    found = []
    for call in messages(calls if isinstance(calls, list) else None, ""):
        name, arguments = _raw(call)
        entry = {"name": clean(name, _SHORT), "arguments": _arguments(arguments)}
        if isinstance(call.get("result"), str):
            entry["result"] = clean(call["result"])
        found.append(entry)
    return found


def _defects(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = messages(row.get("defects") if isinstance(row.get("defects"), list) else None, "")
    return [(_short(one.get("kind")), _short(one.get("message"))) for one in found[:_MAX_ITEMS]]


def _turns(row: Mapping[str, Any], judged: Judged) -> list[dict[str, Any]]:
    """What was said in order: each assistant message with its calls and their results, and what else there is."""
    score = judged.score
    found: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    room = _MAX_CALLS
    for at, message in enumerate(messages(row.get("completion"), "assistant")[:_MAX_ITEMS]):
        role = str(message.get("role"))
        if role == "tool":
            result = _text(message)
            taker = next((call for call in waiting if call.get("expects") == result), None)
            taker = taker or next((call for call in waiting if call.get("expects") is None), None)
            if taker is not None:
                waiting.remove(taker)
                taker.pop("expects")
                taker["result"] = clean(result)
            elif found and found[-1]["role"] == "assistant":
                found[-1]["parts"].append({"kind": "result", "text": clean(result)})
            else:
                found.append({"role": "tool", "parts": [{"kind": "text", "text": clean(result)}]})
            continue
        for call in waiting:
            call.pop("expects", None)
        parts = _parts(at, message, judged) if role == "assistant" else _plain(message)
        calls = [part for part in parts if part["kind"] == "call"]
        for part in calls[room:] if role == "assistant" else []:
            parts.remove(part)
        calls = calls[:room]
        room -= len(calls)
        waiting = list(calls)
        turn: dict[str, Any] = {"role": _short(role), "parts": parts}
        credit = next((one.credit for one in score.turns if one.message == at), None) if score else None
        if role == "assistant" and credit is not None:
            turn["credit"] = credit
        if message.get("finish_reason") == "length":
            turn["cut"] = True
        if parts or turn.get("cut"):
            found.append(turn)
    for call in waiting:
        call.pop("expects", None)
    return found


def _plain(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    text = _text(message).strip()
    return [{"kind": "text", "text": clean(text)}] if text else []


def _parts(at: int, message: Mapping[str, Any], judged: Judged) -> list[dict[str, Any]]:
    """Texts, marked passages and calls of one assistant message, in the order in which they were written."""
    text, score = _text(message), judged.score
    turn = next((index for index, one in enumerate(score.turns) if one.message == at), -1) if score else -1
    own = [(index, call) for index, call in enumerate(score.calls) if call.turn == turn] if score else []
    cuts = {call.span: _call(index, call, score) for index, call in own if call.span is not None}
    for defect, place in zip(score.defects if score else (), judged.places, strict=True):
        if place != at or defect.span is None:
            continue
        why = [_short(defect.kind), _short(defect.message)]
        cuts.setdefault(defect.span, {"kind": "flaw", "flaws": []})["flaws"].append(why)
    parts: list[dict[str, Any]] = _plain(message) if not cuts else []
    data = text.encode("utf-8", "replace") if cuts else b""  # spans count the bytes of what was scored
    last = 0
    for (start, end), part in sorted(cuts.items(), key=lambda cut: cut[0]):
        if start < last:
            continue
        _add_text(parts, data[last:start])
        if part["kind"] == "flaw":
            part["text"] = clean(data[start:end].decode("utf-8", "replace"))
        parts.append(part)
        last = end
    _add_text(parts, data[last:])
    scored = [(index, call) for index, call in own if call.span is None]
    raw_calls = message.get("tool_calls")
    for raw in messages(raw_calls if isinstance(raw_calls, list) else None, ""):
        name, arguments = _raw(raw)
        if scored and scored[0][1].name == name:
            parts.append(_call(*scored.pop(0), score))
        else:
            entry = {"kind": "call", "name": clean(name, _SHORT), "arguments": _arguments(arguments), "expects": None}
            parts.append(entry | ({"broken": True} if score else {}))
    return parts


def _add_text(parts: list[dict[str, Any]], data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    if text.strip():
        parts.append({"kind": "text", "text": clean(text.strip("\n"))})


def _call(index: int, call: Call, score: Score | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": "call",
        "name": clean(call.name, _SHORT),
        "arguments": _arguments(call.arguments),
        "expects": call.result,
        "flaws": [],
    }
    match = next((one for one in score.matches if one.call == index), None) if score else None
    if match is not None:
        found["match"] = {
            "reference": match.reference,
            "exact": match.exact,
            "similarity": match.similarity,
            "reasons": [_short(reason) for reason in match.reasons],
        }
    elif score:
        found["match"] = None
    return found


def _raw(call: Mapping[str, Any]) -> tuple[str, Any]:
    """Name and arguments of a call as a message or a reference writes it."""
    function = call.get("function", call)
    function = function if isinstance(function, dict) else {}
    return str(function.get("name", "")), function.get("arguments", {})


def _arguments(value: Any) -> list[list[str]] | str:
    """Pairs of name and value; what is no object as text."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except ValueError:
            return clean(value)
    if not isinstance(value, Mapping):
        return clean(show(value))
    return [[clean(str(key), _SHORT), clean(_value(item))] for key, item in list(value.items())[:_MAX_ITEMS]]


def _value(value: Any) -> str:
    """As JSON, so that the text "3" and the number 3 differ."""
    return f'"{value}"' if isinstance(value, str) else show(value)


def _text(message: Mapping[str, Any]) -> str:
    """A message's text; of a list of parts the texts."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in messages(content, ""))
    return content if isinstance(content, str) else "" if content is None else show(content)


def _short(value: Any) -> str:
    return "" if value is None else clean(str(value), _SHORT)


def _json_number(value: float) -> float | None:
    return value if math.isfinite(value) else None
