"""Of a task's samples the best one, as a row of the reference format; else the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mentor.data import Task
from mentor.teach.assignments import Assignment
from mentor.teach.verify import Verdict

__all__ = ["best", "reference_task", "rejection"]


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
        "answer": assignment.answer if assignment.answer is not None else chosen.answer,
        "tool_calls": chosen.calls,
        "messages": [_message(message) for message in chosen.sample.messages],
    }
    meta: dict[str, Any] = {
        **task.meta,
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
    """Why a task has no reference, sample by sample."""
    prompt = assignment.task.prompt
    return {
        "id": assignment.id,
        "prompt": prompt if isinstance(prompt, str) else [dict(message) for message in prompt],
        "answer": assignment.answer,
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


def _message(message: dict[str, Any]) -> dict[str, Any]:
    """Without the calls' ids, which differ from server to server and teach nothing."""
    kept = {key: value for key, value in message.items() if key not in ("tool_calls", "tool_call_id")}
    if message.get("tool_calls"):
        kept["tool_calls"] = [
            {"type": "function", "function": dict(call["function"])} for call in message["tool_calls"]
        ]
    return kept
