"""What an evaluation reports (arXiv 2510.18383, section 5): accuracy, validity, likeness to the teacher."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mentor.evaluate.processes import Processes
from mentor.rewards import Judge, mark_truncated, portable, summarize
from mentor.rollouts import Budget, Chat, run_rollouts
from mentor.score import Reward, ScoreBatch, score_batch
from mentor.tools import ToolSet

__all__ = ["Measurement", "evaluate_split", "kept_rollout", "tool_similarity"]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One split's numbers and some of its rollouts.

    Attributes:
        numbers: ``tasks``, ``accuracy`` (greedy), ``sampled_accuracy``, ``reward``, ``tool_validity``,
            ``sampled_tool_validity``, ``alignment_f1``, ``tool_similarity``, ``calls_per_rollout``, ``silent``,
            ``truncated``; and ``correct``, ``sampled_correct``, 0 or 1 per task. Greedy unless the name says otherwise.
        rollouts: Rows for ``completions.jsonl``, greedy rollouts.
    """

    numbers: dict[str, Any]
    rollouts: list[dict[str, Any]]


def tool_similarity(student: Iterable[str], teacher: Iterable[str]) -> float:
    """Return 1 - JSD (base 2) of two distributions of tool names.

    Args:
        student: Names that the student called.
        teacher: Names that the references call.

    Returns:
        1 for equal distributions, 0 for disjoint ones, and 0 when only one of them calls anything.

    Examples:
        >>> tool_similarity(["add", "add"], ["add"])
        1.0
        >>> tool_similarity(["add"], ["multiply"])
        0.0
    """
    left, right = Counter(student), Counter(teacher)
    if not left or not right:
        return 1.0 if not left and not right else 0.0
    total_left, total_right = sum(left.values()), sum(right.values())
    divergence = 0.0
    for name in sorted({*left, *right}):
        p, q = left[name] / total_left, right[name] / total_right
        middle = (p + q) / 2
        divergence += sum(0.5 * part * math.log2(part / middle) for part in (p, q) if part > 0)
    return min(1.0, max(0.0, 1.0 - divergence))


def evaluate_split(
    model: Any,
    tokenizer: Any,
    tasks: Sequence[Mapping[str, Any]],
    *,
    tools: ToolSet,
    reward: Reward,
    budget: Budget,
    seed: int,
    judge: Judge = "auto",
    temperature: float = 1.0,
    keep: int = 24,
    on_batch: Callable[[int], None] | None = None,
    processes: Processes | None = None,
) -> Measurement:
    """Roll a policy out on a split, greedily and sampled, and measure both.

    Args:
        model: The policy.
        tokenizer: Its tokenizer.
        tasks: Rows with ``id``, ``messages``, ``tools`` (names), ``reference`` and optionally ``setup``.
        tools: The tools.
        reward: The reported reward.
        budget: Limits of a rollout.
        seed: Seed of the sampled rollouts.
        judge: Who compares answers.
        temperature: Of the sampled rollouts.
        keep: Rollouts to keep, half of them wrong and half of them right where there are so many.
        on_batch: Called with the number of rollouts just finished.
        processes: Those that share the work; each gets all the numbers.

    Returns:
        The numbers and some rollouts.
    """
    processes = processes or Processes()
    low, high = processes.part(len(tasks))
    chat = Chat(tokenizer, tools)
    done = 0

    def report(finished: int) -> None:
        nonlocal done
        if on_batch is not None:
            on_batch(finished - done)
        done = finished

    scored = []
    for heat in (0.0, temperature):
        done = 0
        mine = run_rollouts(
            model,
            tokenizer,
            tasks[low:high],
            tools=tools,
            budget=budget,
            temperature=heat,
            seed=seed,
            first=low,
            on_batch=report,
            chat=chat,
        )
        texts = processes.gather(
            [mark_truncated(portable(rollout.messages), truncated=rollout.truncated) for rollout in mine]
        )
        offered = [list(task["tools"]) for task in tasks]
        references = [task["reference"] for task in tasks]
        scored.append((texts, score_batch(texts, references, reward=reward, tools=offered, judge=judge)))
    (texts, greedy), (_, sampled) = scored
    mean, warm = summarize(greedy), summarize(sampled)
    called = [call.name for score in greedy for call in score.calls]
    wanted = [call["name"] for task in tasks for call in task["reference"]["tool_calls"]]
    numbers: dict[str, Any] = {
        "tasks": len(tasks),
        "accuracy": mean.accuracy,
        "sampled_accuracy": warm.accuracy,
        "reward": mean.reward,
        "tool_validity": mean.tool_validity,
        "sampled_tool_validity": warm.tool_validity,
        "alignment_f1": mean.alignment_f1,
        "tool_similarity": tool_similarity(called, wanted),
        "calls_per_rollout": mean.calls,
        "silent": mean.silent,
        "truncated": mean.truncated,
        "correct": [int(value) for value in greedy.components["correct"]],
        "sampled_correct": [int(value) for value in sampled.components["correct"]],
    }
    rows = [kept_rollout(greedy, at, texts[at], tasks[at]) for at in _mixed(numbers["correct"], keep)]
    return Measurement(numbers=numbers, rollouts=rows)


def _mixed(correct: Sequence[int], keep: int) -> list[int]:
    """The first wrong and the first right ones, half of each where there are so many, in order."""
    wrong = [at for at, right in enumerate(correct) if not right]
    right = [at for at, right in enumerate(correct) if right]
    half = keep // 2
    few = min(len(right), max(half, keep - len(wrong)))
    return sorted(wrong[: keep - few] + right[:few])


def kept_rollout(
    scores: ScoreBatch, at: int, messages: list[dict[str, Any]], task: Mapping[str, Any]
) -> dict[str, Any]:
    """Write down one rollout as a row of ``completions.jsonl``, but for ``phase``, ``step`` and ``split``."""
    score = scores[at]
    return {
        "task_id": task["id"],
        "prompt": task["messages"],
        "completion": messages,
        "reference": task["reference"],
        "tools": [_tool_name(tool) for tool in task["tools"]],
        "reward": float(score.reward),
        "components": {name: float(value) for name, value in score.components.items()},
        "correct": bool(score.correct),
        "defects": [{"kind": str(defect.kind), "message": str(defect.message)} for defect in score.defects],
    }


def _tool_name(tool: str | Mapping[str, Any]) -> str:
    return tool if isinstance(tool, str) else str(tool.get("function", tool).get("name", ""))
