"""MENTOR's own training data (arXiv 2510.18383) as tasks: the calls that the teacher made become the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mentor.data.calls import NOT_OFFERED, ToolChecks, read_literal
from mentor.data.imports import INSTRUCTION, ImportReport, LeftOut, import_rows
from mentor.data.jsonl import OnError, json_type
from mentor.data.schemas import tool_schema
from mentor.data.solving import Tools, as_result
from mentor.data.tasks import Task
from mentor.errors import InputError
from mentor.score import score_batch

__all__ = ["import_mentor_data"]

_QUESTIONS = ("question", "prompt", "problem", "query")
_ANSWERS = ("ground_truth", "answer", "golden_answers", "final_answer")
_CALLS = ("tool_calls_used", "tool_calls", "teacher_tool_calls", "teacher_tools", "tools_used")
_SCHEMAS = ("func_schemas", "tools", "functions")
_TRAJECTORIES = ("messages", "trajectory", "teacher_response", "response", "completion")
_NESTED = ("extra_info", "reward_model", "reference")


def import_mentor_data(
    path: str | Path,
    tools: Tools,
    *,
    limit: int | None = None,
    on_error: OnError = "stop",
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Task], ImportReport]:
    """Turn the published training data of MENTOR, or data laid out like it, into tasks.

    Its rows hold ``question``, ``reward_model`` (with ``ground_truth``), ``extra_info`` (with ``func_schemas`` and
    ``env``, the tools' source) and ``tool_calls_used``; structs may be JSON text. Columns may have other usual names
    (docs/data.md lists them), and the fields of ``extra_info`` and ``reward_model`` may stand at the top. A teacher's
    trajectory gives the calls where no column does. Calls whose arguments are known are executed where ``tools`` has
    their tools; where only names are known, as in the published files, arguments stay empty and ``meta.names_only`` is
    set: the rewards on tool sets (``mentor``, ``overlap``, ``f1``) need no more.

    Args:
        path: Parquet, JSON lines or a JSON list.
        tools: the tools that calls are executed with, such as the twelve arithmetic ones.
        limit: read this many rows only.
        on_error: ``skip`` leaves rows of another format out and lists them in the report; ``stop`` raises at the first.
        progress: called with the number of rows just finished.

    Returns:
        The tasks in the file's order, and the report.

    Raises:
        DataError: the file cannot be read, or, with ``stop``, a row lacks a question or an answer; the message says
            where they were looked for.
    """
    path = Path(path)
    checks = ToolChecks()

    def convert(line: int, row: Mapping[str, Any]) -> tuple[Task, bool]:
        return _task(f"mentor-{path.stem}-{line}", row, tools, checks)

    return import_rows(path, convert, limit=limit, on_error=on_error, progress=progress)


def _task(name: str, row: Mapping[str, Any], tools: Tools, checks: ToolChecks) -> tuple[Task, bool]:
    flat = _flat(row)
    answers = _answers(flat)
    schemas = _schemas(_first(flat, _SCHEMAS))
    messages = _trajectory(_first(flat, _TRAJECTORIES))
    calls, names_only = _calls(_first(flat, _CALLS), messages)
    if not calls:
        raise LeftOut("the teacher called no tool", f"none of {', '.join(_CALLS)}, nor a trajectory, has a call")
    offered = schemas or [dict(schema) for schema in tools.schemas if _called(schema, calls)]
    meta: dict[str, Any] = {"source": str(flat.get("data_source") or "mentor-data"), "names_only": names_only}
    known = {call["name"] for call in calls} <= set(tools.names)
    if offered:
        listed = {schema.get("function", schema)["name"] for schema in offered}
        for call in calls if names_only else ():
            if call["name"] not in listed:
                raise LeftOut(NOT_OFFERED, call["name"])
        calls = calls if names_only else checks.fitted(offered, calls)
    executed = known and not names_only
    if executed:
        meta["results"] = _execute(calls, tools)
    meta["executable"] = known
    if isinstance(flat.get("env"), str) and flat["env"].strip():
        meta["env"] = flat["env"]
    reference: dict[str, Any] = {"answer": answers[0], "tool_calls": calls}
    if len(answers) > 1:
        reference["answers"] = answers
    if messages:
        reference["messages"] = messages
    index = flat.get("index", flat.get("id"))
    task = Task(
        id=f"{name}-{index}" if isinstance(index, str) and index else name,
        prompt=_prompt(_first(flat, _QUESTIONS)),
        tools=tuple(offered),
        reference=reference,
        meta=meta,
    )
    return task, executed


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with the fields of its nested columns beside its own, which win; nulls are left out."""
    own = {key: _lean(value) for key, value in row.items() if value is not None}
    found: dict[str, Any] = {}
    for key in _NESTED:
        inner = own.get(key)
        inner = read_literal(inner) if isinstance(inner, str) else inner
        if isinstance(inner, dict):
            found |= {name: value for name, value in inner.items() if value is not None}
    return found | own


def _lean(value: Any) -> Any:
    """Without the nulls that Arrow fills structs with."""
    if isinstance(value, dict):
        return {key: _lean(inner) for key, inner in value.items() if inner is not None}
    return [_lean(inner) for inner in value] if isinstance(value, list) else value


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "", [])), None)


def _missing(what: str, names: Iterable[str]) -> InputError:
    return InputError(f"no {what}: looked for {', '.join(names)}, also in {', '.join(_NESTED)}")


def _prompt(value: Any) -> str | tuple[Mapping[str, Any], ...]:
    if value is None:
        raise _missing("question", _QUESTIONS)
    if isinstance(value, str):
        return value if "\\boxed" in value else f"{value.strip()}\n\n{INSTRUCTION}"
    if isinstance(value, list) and value and all(isinstance(one, dict) and "role" in one for one in value):
        return tuple(value)
    raise InputError(f"question: a text or a list of messages is wanted, found {json_type(value)}")


def _answers(row: Mapping[str, Any]) -> list[str]:
    value = _first(row, _ANSWERS)
    found = value if isinstance(value, list) else [value]
    answers = [str(one) for one in found if isinstance(one, str | int | float) and str(one).strip()]
    if not answers:
        raise _missing("answer", _ANSWERS)
    return answers


def _schemas(value: Any) -> list[dict[str, Any]]:
    value = read_literal(value) if isinstance(value, str) else value
    found = []
    for schema in value if isinstance(value, list) else []:
        function = schema.get("function", schema) if isinstance(schema, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise InputError("func_schemas: a list of tool schemas with names is wanted")
        parameters = read_literal(function["parameters"]) if isinstance(function.get("parameters"), str) else None
        parameters = parameters or function.get("parameters") or {}
        description = str(function.get("description", ""))
        found.append(tool_schema(function["name"], description, parameters if isinstance(parameters, dict) else {}))
    return found


def _trajectory(value: Any) -> list[dict[str, Any]]:
    """The teacher's messages; of a text in chat markup, its calls and its answer."""
    if isinstance(value, str):
        listed = read_literal(value)
        if not isinstance(listed, list):
            return _read_text(value)
        value = listed
    if not isinstance(value, list) or not all(isinstance(one, dict) and "role" in one for one in value):
        return []
    return [message for message in value if message["role"] in ("assistant", "tool")]


def _read_text(text: str) -> list[dict[str, Any]]:
    score = score_batch([text], [{"answer": "0"}], judge="native")[0]
    messages: list[dict[str, Any]] = []
    for call in score.calls:
        arguments = read_literal(call.arguments) if isinstance(call.arguments, str) else call.arguments
        function = {"name": call.name, "arguments": arguments or {}}
        messages.append(
            {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}
        )
        if call.result is not None:
            messages.append({"role": "tool", "name": call.name, "content": call.result})
    return [*messages, {"role": "assistant", "content": f"\\boxed{{{score.answer}}}"}] if score.answer else messages


def _calls(value: Any, messages: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    """The teacher's calls, and whether only their names are known."""
    value = read_literal(value) if isinstance(value, str) else value
    found = value if isinstance(value, list) else []
    if not found or all(isinstance(one, str) for one in found):
        made = [call for message in messages for call in message.get("tool_calls") or []]
        found = made or found
    calls = [_call(one) for one in found]
    names_only = bool(calls) and not any("arguments" in call for call in calls)
    return [{"name": call["name"], "arguments": call.get("arguments", {})} for call in calls], names_only


def _call(value: Any) -> dict[str, Any]:
    """A call; without ``arguments`` where the row does not have them."""
    if isinstance(value, str):
        whole = read_literal(value)
        if not isinstance(whole, dict):
            return {"name": value.strip()}
        value = whole
    function = value.get("function", value) if isinstance(value, dict) else None
    function = {"name": function, **value} if isinstance(function, str) else function
    name = function.get("name", function.get("tool")) if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str):
        raise LeftOut("a call of the teacher cannot be read", str(value)[:120])
    given = next((function[key] for key in ("arguments", "args", "parameters") if key in function), None)
    given = read_literal(given) if isinstance(given, str) else given
    if given is None:
        return {"name": name}
    if not isinstance(given, dict):
        raise LeftOut("a call of the teacher cannot be read", str(value)[:120])
    return {"name": name, "arguments": given}


def _called(schema: Mapping[str, Any], calls: Iterable[Mapping[str, Any]]) -> bool:
    names = {call["name"] for call in calls}
    return schema.get("function", schema)["name"] in names


def _execute(calls: list[dict[str, Any]], tools: Tools) -> list[str]:
    outcomes = tools.call_batch([(call["name"], call["arguments"]) for call in calls])
    for call, outcome in zip(calls, outcomes, strict=True):
        if not outcome.ok:
            raise LeftOut("a tool call failed", f"{call['name']}: {outcome.fault.message}")
    return [as_result(outcome.value) for outcome in outcomes]
