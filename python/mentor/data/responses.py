"""Rollouts in the format of OpenAI's Responses, as NeMo-Gym stores them, as tasks: what earned a reward is taught."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mentor.data.calls import ToolChecks, call_text, read_literal
from mentor.data.imports import ImportReport, LeftOut, import_rows
from mentor.data.jsonl import OnError, json_type
from mentor.data.tasks import Task
from mentor.errors import InputError
from mentor.score import score_batch

__all__ = ["import_responses"]


def import_responses(
    path: str | Path,
    *,
    min_reward: float = 1.0,
    limit: int | None = None,
    on_error: OnError = "stop",
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Task], ImportReport]:
    """Turn rollouts (``responses_create_params``, ``response`` and ``reward``) into tasks.

    The rollout becomes the reference: its calls, its messages, and as its answer the row's ``expected_answer``, else
    what the last message boxes, else the calls as text (then ``meta.verifier`` is ``calls``).

    Args:
        path: JSON lines, a JSON list or Parquet.
        min_reward: rollouts that earned less are left out; those without a reward are kept.
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
        return _task(f"{path.stem}-{line}", row, min_reward, checks), False

    return import_rows(path, convert, limit=limit, on_error=on_error, progress=progress)


def _task(name: str, row: Mapping[str, Any], min_reward: float, checks: ToolChecks) -> Task:
    asked, response = _object(row, "responses_create_params"), _object(row, "response")
    reward = row.get("reward")
    if isinstance(reward, int | float) and reward < min_reward:
        raise LeftOut(f"the rollout earned less than {min_reward:g}", f"{reward:g}")
    prompt = _prompt(asked.get("input"))
    output = response.get("output")
    if not isinstance(output, list):
        raise InputError(f"response.output: a list is wanted, found {json_type(output)}")
    messages = _messages(output)
    if not messages:
        raise LeftOut("the rollout is empty", "response.output has no message and no call")
    calls = [dict(call["function"]) for message in messages for call in message.get("tool_calls", ())]
    offered = asked.get("tools")
    if not isinstance(offered, list | None):
        raise InputError(f"responses_create_params.tools: a list is wanted, found {json_type(offered)}")
    tools = [_tool(tool, i) for i, tool in enumerate(offered or [])]
    fitted = checks.fitted(tools, calls)
    answer, verifier = _answer(row, messages, fitted)
    return Task(
        id=f"{name}-{row['id']}" if isinstance(row.get("id"), str) else name,
        prompt=prompt,
        tools=tuple(tools),
        reference={"answer": answer, "tool_calls": fitted, "messages": messages},
        meta={"source": "responses", "executable": False, "verifier": verifier},
    )


def _object(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = row.get(key)
    value = read_literal(value) if isinstance(value, str) else value
    if not isinstance(value, Mapping):
        raise InputError(f"{key}: {'an object is wanted, found ' + json_type(value) if key in row else 'missing'}")
    return value


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _prompt(value: Any) -> str | tuple[Mapping[str, Any], ...]:
    if isinstance(value, str) and value.strip():
        return value
    found = [
        {"role": str(message["role"]), "content": _text(message.get("content"))}
        for message in (value if isinstance(value, list) else [])
        if isinstance(message, dict) and "role" in message
    ]
    if not found:
        raise InputError("responses_create_params.input: a text or a list of messages is wanted")
    return tuple(found)


def _messages(output: Sequence[Any]) -> list[dict[str, Any]]:
    """Chat messages of the items; calls that follow one another are one turn."""
    messages: list[dict[str, Any]] = []
    for item in output:
        if not isinstance(item, dict):
            continue
        kind = item.get("type")
        if kind == "message":
            messages.append({"role": "assistant", "content": _text(item.get("content"))})
        elif kind == "function_call":
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": ""})
            messages[-1].setdefault("tool_calls", []).append(_call(item))
        elif kind == "function_call_output":
            result = {"role": "tool", "tool_call_id": str(item.get("call_id")), "content": _text(item.get("output"))}
            messages.append(result)
    return messages


def _call(item: Mapping[str, Any]) -> dict[str, Any]:
    arguments = item.get("arguments")
    arguments = read_literal(arguments) if isinstance(arguments, str) else arguments
    if not isinstance(item.get("name"), str) or not isinstance(arguments, dict):
        raise LeftOut("a call cannot be read", str(item)[:120])
    return {
        "id": str(item.get("call_id")),
        "type": "function",
        "function": {"name": item["name"], "arguments": arguments},
    }


def _tool(tool: Any, i: int) -> dict[str, Any]:
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise InputError(f"responses_create_params.tools[{i}]: a schema with a name is wanted")
    kept = {key: function[key] for key in ("name", "description", "parameters") if function.get(key) is not None}
    return {"type": "function", "function": kept}


def _answer(
    row: Mapping[str, Any], messages: list[dict[str, Any]], calls: Sequence[Mapping[str, Any]]
) -> tuple[str, str]:
    expected = row.get("expected_answer")
    if isinstance(expected, str | int | float) and not isinstance(expected, bool) and str(expected).strip():
        return str(expected), "answer"
    boxed = score_batch([messages], [{"answer": "0"}], judge="native").answers[0]
    if boxed and boxed.strip():
        return boxed, "answer"
    if calls:
        return call_text(calls), "calls"
    text = next((m["content"] for m in reversed(messages) if m["role"] == "assistant" and m["content"].strip()), "")
    if not text:
        raise LeftOut("the rollout has no answer", str(messages[-1])[:120])
    return text, "text"
