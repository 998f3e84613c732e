"""One pass of a policy over tasks: every rollout with its numbers, for intervals and tests over tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mentor.evaluate.measure import tool_similarity
from mentor.rewards import Judge, mark_truncated, portable
from mentor.rollouts import Budget, Chat, run_rollouts
from mentor.score import Reward, score_batch
from mentor.tools import ToolSet

__all__ = ["Pass", "run_pass"]


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One rollout per task.

    Attributes:
        task_ids: The tasks, in order.
        values: Number -> one value per task: ``correct``, ``reward``, ``tool_validity``, ``alignment_f1``,
            ``calls_per_rollout``, ``silent``, ``truncated``, ``tokens``.
        tool_similarity: 1 - JSD between the names that were called and those of the references.
        completions: The rollouts' messages.
        defects: The kinds of defects that each rollout has.
    """

    task_ids: Sequence[str]
    values: Mapping[str, Sequence[float]]
    tool_similarity: float
    completions: Sequence[list[dict[str, Any]]]
    defects: Sequence[Sequence[str]]


def run_pass(
    model: Any,
    tokenizer: Any,
    tasks: Sequence[Mapping[str, Any]],
    *,
    tools: ToolSet,
    budget: Budget,
    temperature: float = 0.0,
    seed: int = 0,
    reward: Reward = "mentor",
    judge: Judge = "auto",
    chat: Chat | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> Pass:
    """Roll a policy out once on each task and score the rollouts.

    Args:
        model: The policy.
        tokenizer: Its tokenizer.
        tasks: Rows with ``id``, ``messages``, ``tools`` (names), ``reference`` and optionally ``setup``.
        tools: The tools.
        budget: Limits of a rollout.
        temperature: 0 decodes greedily.
        seed: Seed of the sampling.
        reward: The reported reward.
        judge: Who compares answers.
        chat: The template with the tools, where it is used again.
        on_batch: Called with the number of rollouts finished, after each batch.

    Returns:
        The pass.
    """
    rollouts = run_rollouts(
        model,
        tokenizer,
        tasks,
        tools=tools,
        budget=budget,
        temperature=temperature,
        seed=seed,
        on_batch=on_batch,
        chat=chat,
    )
    texts = [mark_truncated(portable(rollout.messages), truncated=rollout.truncated) for rollout in rollouts]
    references = [task["reference"] for task in tasks]
    offered = [list(task["tools"]) for task in tasks]
    scores = score_batch(texts, references, reward=reward, tools=offered, judge=judge)
    parts = scores.components
    needed = parts["reference_calls"] > 0
    valid = (parts["valid"] > 0) & (parts["bad_calls"] == 0) & ((parts["calls"] > 0) | ~needed)
    called = [call.name for score in scores for call in score.calls]
    wanted = [call["name"] for reference in references for call in reference["tool_calls"]]
    return Pass(
        task_ids=[str(task["id"]) for task in tasks],
        values={
            "correct": [float(value) for value in parts["correct"]],
            "reward": [float(value) for value in scores.reward],
            "tool_validity": [float(value) for value in valid],
            "alignment_f1": [float(value) for value in parts["alignment_f1"]],
            "calls_per_rollout": [float(value) for value in parts["calls"]],
            "silent": [float(value) for value in parts["calls"] == 0],
            "truncated": [1.0 - float(value) for value in parts["finished"]],
            "tokens": [float(rollout.tokens) for rollout in rollouts],
        },
        tool_similarity=tool_similarity(called, wanted),
        completions=texts,
        defects=scores.defect_kinds,
    )
