"""Samples judged: the answer by the judge of rewards, the calls by executing them once more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mentor.errors import InputError
from mentor.sandbox import Outcome
from mentor.score import judge_batch, score_batch
from mentor.teach.assignments import Assignment
from mentor.teach.conversation import Sample
from mentor.teach.execution import Executor
from mentor.teach.settings import TeachSettings
from mentor.tools.functions import as_text
from mentor.types import Score

__all__ = ["Verdict", "verify"]

_FLAWS = frozenset({"malformed_call", "unclosed_call", "bad_name", "bad_arguments"})
_SPELLED = "tool calls are in the text: start the server with a parser for this model's tool calls"


@dataclass(kw_only=True)
class Verdict:
    """What is to be said of a sample.

    Attributes:
        sample: The sample.
        reason: Why it cannot be a reference; empty where it can.
        detail: More about the reason.
        answer: Its final answer; empty where it has none.
        calls: Its calls that succeeded, ``{name, arguments}``.
        results: What they gave.
        faults: Calls that failed, and other defects.
    """

    sample: Sample
    reason: str = ""
    detail: str = ""
    answer: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    faults: int = 0

    @property
    def right(self) -> bool:
        """Whether it can be a reference."""
        return not self.reason


async def verify(
    assignment: Assignment, samples: Sequence[Sample], executor: Executor, settings: TeachSettings
) -> list[Verdict]:
    """Judge the samples of a task.

    The answer is found and judged as in rewards (`mentor.score_batch`). The calls that succeeded are executed in a new
    session, and have to give the results that the teacher was shown: a reference stands on its own.

    Returns:
        One verdict per sample, in order.
    """
    verdicts = [Verdict(sample=sample, reason=sample.failure, detail=sample.detail) for sample in samples]
    ended = [verdict for verdict in verdicts if verdict.right and verdict.sample.messages]
    for verdict in verdicts:
        if verdict.right and not verdict.sample.messages:
            verdict.reason = "no answer"
    if ended:
        scores = await asyncio.to_thread(_scores, assignment, ended, executor)
        for verdict, score in zip(ended, scores, strict=True):
            if isinstance(score, Score):
                await _look(verdict, score, assignment, executor, settings)
            else:
                verdict.reason, verdict.detail = "unreadable", str(score)
    if assignment.answer is None and settings.accept == "majority":
        await asyncio.to_thread(_vote, verdicts, len(samples))
    return verdicts


def _scores(assignment: Assignment, verdicts: Sequence[Verdict], executor: Executor) -> list[Score | InputError]:
    schemas = executor.offered(assignment.tools).schemas
    return [_score(verdict.sample.messages, assignment.answer, schemas) for verdict in verdicts]


def _score(messages: list[dict[str, Any]], answer: str | None, schemas: list[dict[str, Any]]) -> Score | InputError:
    # Only the answer counts here; where none is known, any text stands for it.
    try:
        return score_batch([messages], [{"answer": answer or "?", "tool_calls": []}], tools=schemas)[0]
    except InputError as error:  # arguments of a depth that no reader takes
        return error


async def _look(
    verdict: Verdict, score: Score, assignment: Assignment, executor: Executor, settings: TeachSettings
) -> None:
    verdict.answer = (score.answer or "").strip()
    if not verdict.answer:
        spelled = score.calls and not any(message.get("tool_calls") for message in verdict.sample.messages)
        verdict.reason, verdict.detail = (
            ("calls as text", _SPELLED) if spelled else ("no answer", "no \\boxed{} answer")
        )
        return
    if assignment.answer is not None and not score.correct:
        verdict.reason = "wrong answer" if score.verdict == "different" else "undecided answer"
        verdict.detail = f"{verdict.answer} instead of {assignment.answer}"
        return
    exchanges = [(call.name, dict(call.arguments), call.result) for call in score.calls if call.result is not None]
    outcomes = await _again(assignment, exchanges, executor)
    good = [at for at, outcome in enumerate(outcomes) if outcome.fault is None]
    flaws = len(score.calls) - len(exchanges) + sum(defect.kind in _FLAWS for defect in score.defects)
    verdict.faults = len(outcomes) - len(good) + flaws
    if len(good) < len(outcomes):
        # Alone, without those that failed: what they left in the session is not there for who follows the reference.
        exchanges = [exchanges[at] for at in good]
        outcomes = await _again(assignment, exchanges, executor)
    verdict.calls = [{"name": name, "arguments": arguments} for name, arguments, _ in exchanges]
    verdict.results = [as_text(outcome) for outcome in outcomes]
    for (name, _, shown), text in zip(exchanges, verdict.results, strict=True):
        if text != shown:
            verdict.reason = "results differ"
            verdict.detail = f"{name} gave {_short(shown)}, and {_short(text)} when it was executed again"
            return
    if len(exchanges) < settings.min_calls:
        verdict.reason, verdict.detail = "too few calls", f"{len(exchanges)} instead of {settings.min_calls} at least"
    elif verdict.faults and settings.only_valid:
        verdict.reason, verdict.detail = "a call failed", f"{verdict.faults} of {verdict.faults + len(exchanges)}"


async def _again(
    assignment: Assignment, exchanges: Sequence[tuple[str, Any, str]], executor: Executor
) -> list[Outcome]:
    """Execute calls in a session of their own."""
    with executor.tools.session() as session:
        await executor.run(session, [(call["name"], call.get("arguments", {})) for call in assignment.setup])
        calls: list[tuple[str, Mapping[str, Any] | str]] = [(name, arguments) for name, arguments, _ in exchanges]
        return await executor.run(session, calls, offered=executor.offered(assignment.tools))


def _vote(verdicts: Sequence[Verdict], samples: int) -> None:
    """Keep the answer that more than half of the samples gave."""
    voters = [verdict for verdict in verdicts if verdict.right]
    camps: list[list[Verdict]] = []
    for voter in voters:
        same = judge_batch([voter.answer] * len(camps), [camp[0].answer for camp in camps])
        camp = next((camp for camp, verdict in zip(camps, same, strict=True) if verdict == "equal"), None)
        camp.append(voter) if camp is not None else camps.append([voter])
    winner = max(camps, key=len, default=[])
    won = 2 * len(winner) > samples
    for voter in voters:
        if not (won and voter in winner):
            voter.reason = "outvoted" if won else "no majority"
            voter.detail = f"{voter.answer}: {len(next(c for c in camps if voter in c))} of {samples} samples"


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
