"""The Berkeley Function Calling Leaderboard (version 4) as tasks: its ground truth becomes the reference."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mentor.data.bfcl_match import first_allowed, matches
from mentor.data.calls import ToolChecks, call_text, read_call
from mentor.data.imports import ImportReport, LeftOut, import_rows
from mentor.data.jsonl import OnError, json_type
from mentor.data.rows import read_rows
from mentor.data.schemas import tool_schema
from mentor.data.tasks import Task
from mentor.errors import DataError, InputError

__all__ = ["CATEGORIES", "NO_CALL", "import_bfcl", "matches"]

CATEGORIES = ("simple_python", "multiple", "parallel", "parallel_multiple", "irrelevance", "multi_turn_base")
"""The categories that are understood: those judged by their calls, and the multi-turn ones of the base set."""

NO_CALL = "none"
"""The answer of tasks in which no tool fits."""

_DOCS = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "TwitterAPI": "posting_api",
    "VehicleControlAPI": "vehicle_control",
}


def import_bfcl(
    path: str | Path,
    *,
    category: str | None = None,
    answers: str | Path | None = None,
    docs: str | Path | None = None,
    limit: int | None = None,
    on_error: OnError = "stop",
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Task], ImportReport]:
    """Turn a file of BFCL into tasks.

    What counts in these tasks are the calls: their ``meta.verifier`` is ``calls``, the reference's ``answer`` is the
    calls as text (``none`` where no tool fits), its ``tool_calls`` take the first allowed value of each argument, and
    its ``alternatives`` are all that are allowed, as ``matches`` judges them. Nothing executes the tools.

    Args:
        path: ``BFCL_v4_CATEGORY.json``.
        category: one of ``CATEGORIES``; None takes it from the file's name.
        answers: the file of possible answers; None looks in ``possible_answer`` beside the file.
        docs: the folder of function descriptions for multi-turn tasks; None looks for ``multi_turn_func_doc``.
        limit: read this many rows only.
        on_error: ``skip`` leaves rows of another format out and lists them in the report; ``stop`` raises at the first.
        progress: called with the number of rows just finished.

    Returns:
        The tasks in the file's order, and the report.

    Raises:
        DataError: a file is missing or cannot be read, or, with ``stop``, a row is none of BFCL's.
        InputError: the category is unknown.

    Example:
        ::

            tasks, report = import_bfcl("BFCL_v4_simple_python.json")
            matches([{"name": "math.factorial", "arguments": {"number": 5}}], tasks[1].reference["alternatives"])
    """
    path = Path(path)
    category = _category(path, category)
    truth = {} if category == "irrelevance" else _answers(path, answers)
    checks = ToolChecks()
    if category == "multi_turn_base":
        known = _Docs(Path(docs) if docs is not None else path.parent / "multi_turn_func_doc")
        return import_rows(
            path,
            lambda line, row: (_multi_turn(row, category, truth, known, checks), False),
            limit=limit,
            on_error=on_error,
            progress=progress,
        )
    return import_rows(
        path,
        lambda line, row: (_single_turn(row, category, truth, checks), False),
        limit=limit,
        on_error=on_error,
        progress=progress,
    )


def _category(path: Path, category: str | None) -> str:
    if category is None:
        match = re.search(r"BFCL_v\d+_(\w+)", path.name)
        category = match[1] if match else path.stem
    if category not in CATEGORIES:
        raise InputError(f"category: {category!r} is unknown; known are {', '.join(CATEGORIES)}")
    return category


def _answers(path: Path, answers: str | Path | None) -> dict[str, Any]:
    file = Path(answers) if answers is not None else path.parent / "possible_answer" / path.name
    if not file.exists():
        raise DataError(f"{file}: no such file; it holds the possible answers: name it with answers= or --answers")
    return {str(row.get("id")): row.get("ground_truth") for _, row in read_rows(file)}


def _single_turn(row: Mapping[str, Any], category: str, truth: Mapping[str, Any], checks: ToolChecks) -> Task:
    name = _name(row)
    turns = _turns(row)
    if len(turns) != 1:
        raise LeftOut("not a single turn", f"{name}: {len(turns)} turns")
    tools = [_tool(function, i) for i, function in enumerate(_list(row, "function"))]
    if category == "irrelevance":
        return _task(name, category, turns[0], tools, checks.fitted(tools, []), [])
    allowed = truth.get(name)
    if not isinstance(allowed, list) or not allowed or not all(map(_is_allowed, allowed)):
        raise LeftOut("no possible answer", name)
    calls = checks.fitted(tools, (first_allowed(call, tools) for call in allowed))
    if not matches(calls, allowed):
        raise LeftOut("the reference is none of the possible answers", f"{name}: {call_text(calls)[:200]}")
    return _task(name, category, turns[0], tools, calls, allowed)


def _is_allowed(call: Any) -> bool:
    """Whether this is ``{name: {argument: [allowed values]}}``."""
    return (
        isinstance(call, dict)
        and len(call) == 1
        and all(isinstance(values, dict) for values in call.values())
        and all(isinstance(options, list) for values in call.values() for options in values.values())
    )


def _task(
    name: str,
    category: str,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]],
    calls: Sequence[Mapping[str, Any]],
    alternatives: Sequence[Mapping[str, Any]],
    **meta: Any,
) -> Task:
    reference: dict[str, Any] = {"answer": call_text(calls) or NO_CALL, "tool_calls": list(calls)}
    if alternatives:
        reference["alternatives"] = list(alternatives)
    return Task(
        id=f"bfcl-{name}",
        prompt=tuple(messages),
        tools=tuple(tools),
        reference=reference,
        meta={"source": "bfcl", "category": category, "executable": False, "verifier": "calls", **meta},
    )


class _Docs:
    """The descriptions of the multi-turn functions, read when a row needs them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, list[dict[str, Any]]] = {}
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; it describes the functions: name it with docs= or --docs")

    def tools(self, classes: Iterable[Any], excluded: Sequence[Any]) -> list[dict[str, Any]]:
        """The tools of some classes."""
        found = []
        for name in classes:
            if not isinstance(name, str) or name not in _DOCS:
                raise LeftOut("a class without descriptions", str(name))
            if name not in self._known:
                file = self._folder / f"{_DOCS[name]}.json"
                self._known[name] = [_tool(function, i) for i, (_, function) in enumerate(read_rows(file))]
            found += [tool for tool in self._known[name] if tool["function"]["name"] not in excluded]
        return found


def _multi_turn(
    row: Mapping[str, Any], category: str, truth: Mapping[str, Any], docs: _Docs, checks: ToolChecks
) -> Task:
    name = _name(row)
    turns = _turns(row)
    excluded = _list(row, "excluded_function") if row.get("excluded_function") is not None else []
    tools = docs.tools(_list(row, "involved_classes"), excluded)
    parameters = {tool["function"]["name"]: list(tool["function"]["parameters"]["properties"]) for tool in tools}
    stated = truth.get(name)
    if not isinstance(stated, list) or len(stated) != len(turns) or not all(map(_is_code, stated)):
        raise LeftOut("no possible answer", name)
    calls = [checks.fitted(tools, (read_call(code, parameters) for code in turn)) for turn in stated]
    flat = [call for turn in calls for call in turn]
    requests = ["\n".join(str(message.get("content", "")) for message in turn) for turn in turns]
    text = "\n".join(f"{number}. {request}" for number, request in enumerate(requests, start=1))
    prompt = requests[0] if len(turns) == 1 else f"Do these one after the other:\n{text}"
    messages = [{"role": "user", "content": prompt}]
    state = {
        "turns": [{"request": request, "tool_calls": turn} for request, turn in zip(requests, calls, strict=True)],
        "initial_config": row.get("initial_config"),
        "involved_classes": row["involved_classes"],
    }
    return _task(name, category, messages, tools, flat, [], **state)


def _is_code(turn: Any) -> bool:
    return isinstance(turn, list) and all(isinstance(code, str) for code in turn)


def _name(row: Mapping[str, Any]) -> str:
    if not isinstance(row.get("id"), str):
        raise InputError(f"id: {'a string is wanted, found ' + json_type(row['id']) if 'id' in row else 'missing'}")
    name: str = row["id"]
    return name


def _list(row: Mapping[str, Any], key: str) -> list[Any]:
    if not isinstance(row.get(key), list):
        raise InputError(f"{key}: {'a list is wanted, found ' + json_type(row[key]) if key in row else 'missing'}")
    found: list[Any] = row[key]
    return found


def _turns(row: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    turns = _list(row, "question")
    for i, turn in enumerate(turns):
        if not isinstance(turn, list) or not turn or not all(isinstance(message, dict) for message in turn):
            raise InputError(f"question[{i}]: a list of messages is wanted, found {json_type(turn)}")
        if not all(isinstance(message.get("role"), str) for message in turn):
            raise InputError(f"question[{i}]: each message needs a role")
    return turns


def _tool(function: Any, i: int) -> dict[str, Any]:
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise InputError(f"function[{i}]: an object with a name is wanted")
    return tool_schema(function["name"], str(function.get("description", "")), function.get("parameters") or {})
