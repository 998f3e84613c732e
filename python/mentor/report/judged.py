"""Rollouts scored once more, for what a run folder does not keep: matches, places of defects, credit of turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from mentor.errors import MentorError
from mentor.score import PublishedReward, Reward, score_batch
from mentor.types import Defect, Score

__all__ = ["Judged", "judge_rows", "messages", "reward_of", "weights"]

_REWARDS: Mapping[str, Reward] = {
    "mentor": "mentor",
    "mentor-dense": "mentor-dense",
    "sparse": "sparse",
    "sparse-valid": PublishedReward("valid", require_call=True),
    "strict": "strict",
    "overlap": "overlap",
    "valid": "valid",
    "f1": "f1",
}


@dataclass(frozen=True)
class Judged:
    """What scoring found out about a row.

    Attributes:
        score: the score, ``None`` where the row cannot be scored.
        places: of each defect of the score the index of the message that has it, ``None`` where it has no place.
        why: why there is no score.
    """

    score: Score | None
    places: tuple[int | None, ...] = field(default=())
    why: str = ""


def reward_of(method: str) -> Reward:
    """The reward that a method is evaluated with; methods without one of their own take the paper's.

    Example:
        >>> reward_of("sft"), reward_of("strict")
        ('mentor', 'strict')
    """
    return _REWARDS.get(method, "mentor")


def weights(reward: Reward) -> dict[str, float]:
    """What each term of a reward is worth at most: what a flawless rollout earns.

    Example:
        >>> weights("mentor-dense")
        {'outcome': 0.6, 'process': 0.3, 'validity': 0.1}
    """
    call = {"name": "add", "arguments": {"a": 1, "b": 2}}
    flawless: list[dict[str, Any]] = [
        {"role": "assistant", "content": "", "tool_calls": [{"function": call}]},
        {"role": "tool", "content": "3"},
        {"role": "assistant", "content": "\\boxed{3}"},
    ]
    reference = {"answer": "3", "tool_calls": [call]}
    return dict(score_batch([flawless], [reference], reward=reward, judge="native")[0].terms)


def messages(value: Any, role: str) -> list[dict[str, Any]]:
    """A list of messages out of whatever stands in a row: a text is one message, what is no object is left out.

    Example:
        >>> messages("hello", "user")
        [{'role': 'user', 'content': 'hello'}]
    """
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def judge_rows(rows: Sequence[Mapping[str, Any]], reward: Reward) -> list[Judged]:
    """Score rows of ``completions.jsonl``; one that cannot be scored says why and spoils no other.

    Args:
        rows: the rows.
        reward: a reward of :func:`mentor.score_batch`.

    Returns:
        One result per row, in their order.

    Example:
        >>> call = {"name": "add", "arguments": {"a": 1, "b": 2}}
        >>> done = [{"role": "assistant", "tool_calls": [{"function": call}]}, {"role": "tool", "content": "3"}]
        >>> found = judge_rows([{"completion": done, "reference": {"answer": "3", "tool_calls": [call]}}], "mentor")
        >>> found[0].score.matches[0].exact
        True
    """
    rollouts = [messages(row.get("completion"), "assistant") for row in rows]
    references = [_reference(row) for row in rows]
    offered = [_offered(row) for row in rows]
    try:
        scores: list[Score | str] = list(_scored(rollouts, references, offered, reward))
    except MentorError:
        scores = [_alone(*one, reward) for one in zip(rollouts, references, offered, strict=True)]
    found = []
    for rollout, reference, tools, score in zip(rollouts, references, offered, scores, strict=True):
        if isinstance(score, str):
            found.append(Judged(None, why=score))
        else:
            found.append(Judged(score, _places(rollout, reference, tools, score, reward)))
    return found


def _scored(rollouts: list[Any], references: list[Any], offered: list[Any], reward: Reward) -> list[Score]:
    return list(score_batch(rollouts, references, reward=reward, tools=offered, judge="native"))


def _alone(rollout: Any, reference: Any, offered: Any, reward: Reward) -> Score | str:
    try:
        return _scored([rollout], [reference], [offered], reward)[0]
    except MentorError as error:
        return str(error).removeprefix("score_batch: ")


def _reference(row: Mapping[str, Any]) -> dict[str, Any]:
    """The reference; an answer that is a number becomes text, as a reference wants it."""
    reference = row.get("reference")
    found = dict(reference) if isinstance(reference, dict) else {}
    if isinstance(found.get("answer"), int | float) and not isinstance(found["answer"], bool):
        found["answer"] = str(found["answer"])
    return found


def _offered(row: Mapping[str, Any]) -> list[Any] | None:
    """The offered tools, where the row says so and the scorer takes them."""
    tools = row.get("tools")
    if not isinstance(tools, list) or not all(isinstance(tool, str | dict) for tool in tools):
        return None
    try:
        orjson.dumps(tools)
    except TypeError:
        return None
    return tools


def _places(
    rollout: list[dict[str, Any]], reference: dict[str, Any], tools: Any, score: Score, reward: Reward
) -> tuple[int | None, ...]:
    """The message of each defect that has a span: the first after which scoring finds it."""
    if not any(defect.span for defect in score.defects):
        return (None,) * len(score.defects)
    turns = [turn.message for turn in score.turns if turn.message is not None]
    ends: list[tuple[int, Counter[Defect]]] = []
    if len(turns) > 1:
        cut = [rollout[: at + 1] for at in turns]
        scores = _scored(cut, [reference] * len(cut), [tools] * len(cut), reward)
        ends = [(at, Counter(one.defects)) for at, one in zip(turns, scores, strict=True)]
    elif turns:
        ends = [(turns[0], Counter(score.defects))]
    seen: Counter[Defect] = Counter()
    places: list[int | None] = []
    for defect in score.defects:
        seen[defect] += 1
        found = [at for at, defects in ends if defects[defect] >= seen[defect]]
        places.append(found[0] if defect.span and found else None)
    return tuple(places)
