"""The reference's answer and trajectory, many rows at once: what the judge and scoring make of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mentor.data.validation.structure import Add, Parts
from mentor.errors import InputError
from mentor.score import Reference, score_batch
from mentor.score.judge import judge_batch

__all__ = ["check_answers", "check_prompt", "check_trajectories", "prepare"]

_PROBES = ("0", "Q")  # a number and a word: an answer that is read at all differs from one of them for a reason
_MIN_LEAK = 3  # characters; shorter answers stand in most prompts by chance


def check_prompt(parts: Parts, add: Add) -> None:
    """Name an answer that the prompt gives away."""
    if parts.answer is None or parts.verifier != "answer":
        return
    answer = parts.answer.strip()
    text = parts.text
    if f"\\boxed{{{answer}}}" in text:
        add("prompt", "answer_in_prompt", f"the prompt holds \\boxed{{{answer[:60]}}}")
    elif len(answer) >= _MIN_LEAK and answer in text and re.search(rf"(?<![\w.]){re.escape(answer)}(?!\w|\.\d)", text):
        add("prompt", "answer_in_prompt", f"the prompt holds the answer {answer[:60]!r}")


def prepare(parts: Parts, add: Add) -> Reference | None:
    """The reference as scoring takes it."""
    if parts.reference is None:
        return None
    try:
        return Reference({key: parts.reference[key] for key in ("answer", "tool_calls")})
    except InputError as error:
        where, _, message = str(error).removeprefix("reference: ").partition(": ")
        add(f"reference.{where}" if message else "reference", "refused", message or where)
        return None


def check_answers(rows: Sequence[tuple[Parts, Add]]) -> None:
    """Name answers that the judge cannot read."""
    asked = [(parts.answer, add) for parts, add in rows if parts.answer is not None and parts.verifier == "answer"]
    answers = [answer for answer, _ in asked]
    read = [False] * len(answers)
    for probe in _PROBES:
        verdicts = judge_batch([probe] * len(answers), answers, fallback=None)
        read = [known or rule != "none" for known, rule in zip(read, verdicts.rules, strict=True)]
    for (answer, add), known in zip(asked, read, strict=True):
        if not known:
            add("reference.answer", "unreadable_answer", f"the judge cannot read {answer[:60]!r}")


def check_trajectories(rows: Sequence[tuple[Parts, Add, Reference | None]]) -> None:
    """Name teacher's messages that would not earn full marks against their own reference."""
    asked = [
        (parts, add, reference)
        for parts, add, reference in rows
        if parts.messages and reference is not None and parts.verifier == "answer"
    ]
    if not asked:
        return
    tools = [parts.tools or None for parts, _, _ in asked]
    try:
        scores = score_batch(
            [parts.messages for parts, _, _ in asked], [row[2] for row in asked], tools=tools, judge="native"
        )
    except InputError as error:
        if len(asked) == 1:  # its tools or messages cannot be scored at all
            asked[0][1]("reference.messages", "trajectory_defect", str(error).removeprefix("score_batch: "))
            return
        for row in asked:
            check_trajectories([row])
        return
    where = "reference.messages"
    columns = (scores.components[name] for name in ("correct", "exact_f1", "calls", "reference_calls"))
    found = zip(asked, scores.answers, scores.verdicts, scores.defect_kinds, *columns, strict=True)
    for (parts, add, _), answer, verdict, defects, correct, exact, calls, expected in found:
        if answer is None:
            add(where, "trajectory_answer", "the last message boxes no answer: write it as \\boxed{...}")
        elif not correct and verdict != "undecided":
            message = f"the last message boxes {answer[:60]!r}, the reference's answer is {str(parts.answer)[:60]!r}"
            add(where, "trajectory_answer", message)
        if parts.meta.get("names_only") is not True and exact < 1 and calls + expected > 0:
            message = f"its {calls:.0f} calls are not the {expected:.0f} of reference.tool_calls"
            add(where, "trajectory_calls", message)
        named = [kind for kind in defects if kind not in ("no_answer", "undecided", "repeated_call")]
        if named:
            add(where, "trajectory_defect", ", ".join(named))
