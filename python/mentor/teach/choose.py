"""Of a task's samples the best one, as a row of the reference format; else the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from mentor.data import Task
from mentor.teach.assignments import Assignment
from mentor.teach.verify import Verdict

__all__ = ["best", "reference_task", "rejection"]

_OF_ANOTHER = ("failed_calls", "names_only", "executable")  # what meta says of the reference that the task came with


def best(verdicts: Sequence[Verdict]) -> Verdict | None:
    """The right sample with the fewest failed calls, then the fewest calls, the fewest tokens, the lowest number."""
    right = [verdict for verdict in verdicts if verdict.right]
    return min(right, key=_rank, default=None)


def _rank(verdict: Verdict) -> tuple[int, int, int, int]:
    return verdict.faults, len(verdict.calls), verdict.sample.tokens, verdict.sample.number


def reference_task(assignment: Assignment, verdicts: Sequence[Verdict], chosen: Verdict, teacher: str) -> Task:
    """The task with the chosen sample as its reference."""
    task = assignment.task
    reference = {
        # Other right answers stay so.
        **({"answers": task.reference["answers"]} if "answers" in task.reference else {}),
        "answer": assignment.answer if assignment.answer is not None else chosen.answer,
        "tool_calls": chosen.calls,
        "messages": [_message(message) for message in _kept(chosen)],
    }
    meta: dict[str, Any] = {
        **{key: value for key, value in task.meta.items() if key not in _OF_ANOTHER},
        "teacher": teacher,
        "samples": len(verdicts),
        "right": sum(verdict.right for verdict in verdicts),
        "tokens": chosen.sample.tokens,
        "results": chosen.results,
    }
    if chosen.faults:
        meta["failed_calls"] = chosen.faults
    return Task(id=task.id, prompt=task.prompt, tools=task.tools or assignment.tools, reference=reference, meta=meta)


def rejection(assignment: Assignment, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Why a task has no reference, sample by sample; `read_assignments` reads it as the task again."""
    task = assignment.task
    return {
        "id": task.id,
        "prompt": task.prompt if isinstance(task.prompt, str) else [dict(message) for message in task.prompt],
        "tools": list(task.tools or assignment.tools),
        "answer": assignment.answer,
        **({"meta": dict(task.meta)} if task.meta else {}),
        "reasons": dict(Counter(verdict.reason for verdict in verdicts).most_common()),
        "samples": [
            {
                "sample": verdict.sample.number,
                "reason": verdict.reason,
                "detail": verdict.detail,
                "messages": [_message(message) for message in verdict.sample.messages],
            }
            for verdict in verdicts
        ],
    }


def _kept(chosen: Verdict) -> list[dict[str, Any]]:
    """The trajectory without its failed calls, which nobody should imitate; whole where they cannot be cut out."""
    messages = chosen.sample.messages
    if not chosen.faults:
        return messages
    good = [(call["name"], call["arguments"], text) for call, text in zip(chosen.calls, chosen.results, strict=True)]
    kept: list[dict[str, Any]] = []
    found = 0
    for message, told in _turns(messages):
        made = [call["function"] for call in message.get("tool_calls") or ()]
        if told and made and len(made) != len(told):
            return messages
        mine = []
        for at, result in enumerate(told):
            # A call that a model wrote as text has its name in the result alone.
            name, arguments = (made[at]["name"], made[at]["arguments"]) if made else (result["name"], None)
            wanted = good[found] if found < len(good) else None
            if wanted == (name, wanted[1] if wanted and arguments is None else arguments, result["content"]):
                mine.append(at)
                found += 1
        if told and not made and 0 < len(mine) < len(told):
            return messages
        if mine or not told:
            calls = {"tool_calls": [message["tool_calls"][at] for at in mine]} if made and told else {}
            kept += [{**message, **calls}, *(told[at] for at in mine)]
    return kept if found == len(good) else messages


def _turns(messages: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each assistant message with the results that follow it."""
    at = 0
    while at < len(messages):
        end = at + 1
        while end < len(messages) and messages[end]["role"] == "tool":
            end += 1
        yield messages[at], list(messages[at + 1 : end])
        at = end


def _message(message: dict[str, Any]) -> dict[str, Any]:
    """Without the calls' ids, which differ from server to server and teach nothing."""
    kept = {key: value for key, value in message.items() if key not in ("tool_calls", "tool_call_id")}
    if message.get("tool_calls"):
        kept["tool_calls"] = [
            {"type": "function", "function": dict(call["function"])} for call in message["tool_calls"]
        ]
    return kept
