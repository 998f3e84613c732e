"""The prompt format of ToolRL: tools listed in the system text, the dialogue so far between tags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from mentor.data.calls import ToolChecks, call_text, read_literal
from mentor.data.imports import LeftOut
from mentor.data.schemas import tool_schema
from mentor.data.tasks import Task

__all__ = ["dialogue", "gold_calls", "gold_task", "gold_turn", "listed_tools"]

_TOOLS = re.compile(r"\*\*Available Tools\*\*(.*?)(?:\n\*\*Steps for Each Turn\*\*|\Z)", re.DOTALL)
_TOOL = re.compile(r"^\d+\. Name: ", re.MULTILINE)
_HISTORY = re.compile(r"^\s*\*{2,3}Dialogue Records History\*\*\s*")
_TURN = re.compile(r"<(user|response|tool_call|obs|think)>(.*?)</\1>", re.DOTALL)
_MAX_TEXT = 1_000_000  # characters


def listed_tools(system: str) -> list[dict[str, Any]]:
    r"""The tools that a system text lists, as schemas.

    Raises:
        LeftOut: it lists none, or one that cannot be read.

    Example:
        >>> text = "**Available Tools**\n1. Name: f\nDescription: F.\nParameters: {'a': {'type': 'int'}}\n"
        >>> listed_tools(text)[0]["function"]["parameters"]["properties"]
        {'a': {'type': 'integer'}}
    """
    section = _TOOLS.search(system[:_MAX_TEXT])
    parts = _TOOL.split(section[1])[1:] if section else []
    if not parts:
        raise LeftOut("no list of tools", "no **Available Tools** with 'Name: ...' lines")
    return [_tool(part) for part in parts]


def _tool(part: str) -> dict[str, Any]:
    head, _, text = part.rpartition("\nParameters: ")
    name, _, description = head.partition("\nDescription:")
    parameters = read_literal(text.strip())
    if not name.strip() or not isinstance(parameters, dict):
        raise LeftOut("a tool's description cannot be read", part[:120])
    if not isinstance(parameters.get("properties"), dict):
        properties = {key: value for key, value in parameters.items() if isinstance(value, dict)}
        # "" stands for "no default" in this format
        parameters = {"properties": {key: _without_default(value) for key, value in properties.items()}}
    return tool_schema(name.strip(), description.strip(), parameters)


def _without_default(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if key != "default" or inner != ""}


def dialogue(text: str) -> list[dict[str, Any]]:
    r"""The dialogue so far as messages; of a text without readable tags, one message of the user.

    Example:
        >>> dialogue("**Dialogue Records History**\n<user> Hi </user>\n<response>Yes?</response>")
        [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Yes?'}]
    """
    body = _HISTORY.sub("", text[:_MAX_TEXT])
    if _TURN.sub("", body).strip():
        return [{"role": "user", "content": body.strip()}]
    messages: list[dict[str, Any]] = []
    for kind, content in _TURN.findall(body):
        content = content.strip()
        if kind == "user":
            messages.append({"role": "user", "content": content})
        elif kind == "response":
            messages.append({"role": "assistant", "content": content})
        elif kind == "tool_call":
            calls = gold_calls(content)
            messages.append({"role": "assistant", "content": "", "tool_calls": _structured(calls)})
        elif kind == "obs":
            messages.append({"role": "tool", "content": content})
    return messages or [{"role": "user", "content": body.strip()}]


def _structured(calls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "function", "function": dict(call)} for call in calls]


def gold_calls(text: str) -> list[dict[str, Any]]:
    """The calls of a block: one JSON object a line, or a JSON list of them.

    Raises:
        LeftOut: one cannot be read.
    """
    try:
        whole = orjson.loads(text)
        found = whole if isinstance(whole, list) else [whole]
    except orjson.JSONDecodeError:
        found = [read_literal(line.strip()) for line in text.splitlines() if line.strip()]
    return [_call(call) for call in found]


def _call(call: Any) -> dict[str, Any]:
    arguments = call.get("parameters", call.get("arguments", {})) if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str) or not isinstance(arguments, dict):
        raise LeftOut("the gold call cannot be read", str(call)[:120])
    return {"name": call["name"], "arguments": arguments}


def gold_turn(output: str) -> tuple[list[dict[str, Any]], str]:
    """The calls and the response of a gold turn.

    Raises:
        LeftOut: it has neither, or its calls cannot be read.
    """
    body = re.sub(r"^\s*<think>.*?</think>", "", output[:_MAX_TEXT], count=1, flags=re.DOTALL)
    block = re.search(r"<tool_call>(.*?)</tool_call>", body, re.DOTALL)
    response = re.search(r"<response>(.*?)</response>", body, re.DOTALL)
    calls = gold_calls(block[1]) if block else []
    text = response[1].strip() if response else ""
    if not calls and not text:
        raise LeftOut("the gold turn has neither call nor response", output[-120:])
    return calls, text


def gold_task(
    name: str,
    system: str,
    user: str,
    calls: list[dict[str, Any]],
    response: str,
    *,
    source: str,
    checks: ToolChecks,
    output: str = "",
    keep_prompt: bool = False,
) -> Task:
    """A task whose reference is one turn of the teacher: calls, a response, or both.

    Raises:
        LeftOut: the tools or the dialogue cannot be read, or a call does not fit its tool.
    """
    if not calls and not response:
        raise LeftOut("the gold turn has neither call nor response", output[-120:])
    tools = listed_tools(system)
    calls = checks.fitted(tools, calls)
    if keep_prompt:
        prompt = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    else:
        prompt = dialogue(user)
    if prompt[-1]["role"] == "assistant":
        raise LeftOut("the dialogue ends with the assistant", str(prompt[-1].get("content"))[:120])
    turn: dict[str, Any] = {"role": "assistant", "content": response}
    if calls:
        turn["tool_calls"] = _structured(calls)
    reference = {"answer": call_text(calls) or response, "tool_calls": calls, "messages": [turn]}
    if output:
        reference["output"] = output
    verifier = "calls" if calls else "text"
    meta = {"source": source, "executable": False, "verifier": verifier}
    return Task(id=name, prompt=tuple(prompt), tools=tuple(tools), reference=reference, meta=meta)
