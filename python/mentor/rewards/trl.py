"""The reward function that TRL's ``GRPOTrainer`` calls, and the numbers that a step leaves behind.

TRL hands over message lists and the dataset's columns; references and tool lists arrive as JSON text, because Arrow
would unify their structs and fill every absent argument with ``None``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import orjson

from mentor.rewards.schedules import Schedule
from mentor.score import Reward, ScoreBatch, reward_name, score_batch

__all__ = ["Judge", "RewardFunction", "StepSummary", "mark_truncated", "portable", "summarize"]

Messages = list[dict[str, Any]]
Judge = Literal["auto", "native", "math-verify"]


@dataclass(frozen=True, kw_only=True)
class StepSummary:
    """What one batch of rollouts came to.

    Attributes:
        reward: Mean reward.
        accuracy: Share of right answers.
        tool_validity: Share of rollouts that called a tool and whose calls were all valid. Rollouts whose reference
            calls nothing need no call. Silence earns nothing, else a policy that never calls would look flawless.
        alignment_f1: Mean F1 of the calls against the reference's, arguments included.
        calls: Calls per rollout.
        truncated: Share of rollouts cut off by the budget.
        silent: Share of rollouts that called nothing.
    """

    reward: float
    accuracy: float
    tool_validity: float
    alignment_f1: float
    calls: float
    truncated: float
    silent: float = 0.0


def summarize(scores: ScoreBatch) -> StepSummary:
    """Average a batch's components; see :class:`StepSummary`."""
    parts = scores.components
    needs_call = parts["reference_calls"] > 0
    valid = (parts["valid"] > 0) & (parts["bad_calls"] == 0) & ((parts["calls"] > 0) | ~needs_call)
    return StepSummary(
        reward=float(np.mean(scores.reward)),
        accuracy=float(np.mean(parts["correct"])),
        tool_validity=float(np.mean(valid)),
        alignment_f1=float(np.mean(parts["alignment_f1"])),
        calls=float(np.mean(parts["calls"])),
        truncated=1.0 - float(np.mean(parts["finished"])),
        silent=float(np.mean(parts["calls"] == 0)),
    )


def mark_truncated(messages: Messages, *, truncated: bool) -> Messages:
    """Return the messages, with the last assistant message marked ``finish_reason: length`` if it was cut off."""
    if not truncated:
        return messages
    marked = list(messages)
    for at in range(len(marked) - 1, -1, -1):
        if marked[at].get("role") == "assistant":
            marked[at] = {**marked[at], "finish_reason": "length"}
            return marked
    return [*marked, {"role": "assistant", "content": "", "finish_reason": "length"}]


def portable(messages: Messages) -> Messages:
    """Return messages that any JSON writer takes, whatever a model put into its calls.

    Python reads more than JSON holds: integers beyond 64 bits, ``NaN``, lone surrogates. Arguments with such values go
    on as the text that the model wrote, which the scorer judges; surrogates in other texts are replaced.
    """
    return [_portable_message(message) for message in messages]


def _portable_message(message: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {key: _clean(value) if isinstance(value, str) else value for key, value in message.items()}
    if found.get("tool_calls"):
        found["tool_calls"] = [_portable_call(call) for call in found["tool_calls"]]
    return found


def _portable_call(call: dict[str, Any]) -> dict[str, Any]:
    function = dict(call["function"])
    function["name"] = _clean(function["name"])
    arguments = function.get("arguments")
    try:
        orjson.dumps(arguments)
        json.dumps(arguments, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        try:
            function["arguments"] = json.dumps(arguments, default=str)
        except (ValueError, RecursionError):
            function["arguments"] = "{"
    return {**call, "function": function}


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


@dataclass
class RewardFunction:
    """A reward of :func:`mentor.score_batch` in the shape that TRL calls.

    The dataset needs the columns ``reference`` (JSON of ``{answer, tool_calls}``) and ``offered`` (JSON list of tool
    names or schemas); a call of a tool that its own row does not offer is invalid, even if another row offers it.

    Attributes:
        reward: The reward: a name, a config, or a schedule, which gives one for each training step.
        judge: Who compares answers; ``native`` starts no process and is all that plain numbers need.
        ends: Token ids that end a completion; one that ends otherwise was cut off.
        on_scores: Called with (scores, messages, the dataset's columns) after every batch.
        log_components: Give the mean of each component to the trainer's metrics.
        last: Summary of the last batch.
    """

    reward: Reward | Schedule = "mentor-dense"
    judge: Judge = "auto"
    ends: Collection[int] = ()
    on_scores: Callable[[ScoreBatch, list[Messages], dict[str, Any]], None] | None = None
    log_components: bool = True
    last: StepSummary | None = field(default=None, init=False)

    @property
    def __name__(self) -> str:
        """TRL's name of the reward column."""
        return "scheduled_reward" if callable(self.reward) else f"{reward_name(self.reward)}_reward"

    def __call__(
        self,
        completions: list[Messages],
        reference: Sequence[str],
        offered: Sequence[str],
        completion_ids: Sequence[Sequence[int]] | None = None,
        truncated: Sequence[bool] | None = None,
        **columns: Any,
    ) -> list[float]:
        """Score one batch.

        Args:
            completions: Message lists, as TRL parsed them.
            reference: One JSON text per rollout.
            offered: One JSON text per rollout.
            completion_ids: Token ids, to tell finished from cut off; without them every rollout counts as finished.
            truncated: Whether each rollout was cut off; without it ``completion_ids`` tell.
            columns: Whatever else TRL passes: its state tells the step to a schedule.

        Returns:
            One reward per rollout.
        """
        rollouts = [portable(messages) for messages in completions]
        cut = truncated
        if cut is None and completion_ids is not None and self.ends:
            cut = [not ids or ids[-1] not in self.ends for ids in completion_ids]
        if cut is not None:
            rollouts = [mark_truncated(m, truncated=flag) for m, flag in zip(rollouts, cut, strict=True)]
        step = getattr(columns.get("trainer_state"), "global_step", 0)
        scores = score_batch(
            rollouts,
            list(reference),
            reward=self.reward(step) if callable(self.reward) else self.reward,
            tools=[json.loads(text) for text in offered],
            judge=self.judge,
        )
        self.last = summarize(scores)
        log_metric = columns.get("log_metric")
        if self.log_components and log_metric is not None:
            for name, values in scores.components.items():
                log_metric(f"components/{name}", float(np.mean(values)))
        if self.on_scores is not None:
            self.on_scores(scores, rollouts, {"reference": reference, **columns})
        return [float(value) for value in scores.reward]
