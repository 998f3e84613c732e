"""The training methods and their rewards (arXiv 2510.18383, sections 3 and 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from mentor.score import PublishedReward, Reward

__all__ = ["METHODS", "Method"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to train.

    Attributes:
        summary: What it does, in a few words.
        phase: ``grpo``, ``sft``, or ``base`` for no training at all.
        reward: What GRPO earns, and what the evaluation reports.
        demonstrations: How many references ``sft`` sees; ``None`` for all.
        verbose: Whether ``sft`` imitates a long-winded teacher instead of the plain references.
    """

    summary: str
    phase: Literal["base", "sft", "grpo"] = "grpo"
    reward: Reward = "mentor"
    demonstrations: int | None = None
    verbose: bool = False


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "mentor": Method(summary="the paper's reward: answer, gated tool-set match, validity"),
        "mentor-dense": Method(
            summary="this project's reward: answer, alignment of executed calls with their arguments, validity",
            reward="mentor-dense",
        ),
        "sparse": Method(summary="the answer alone", reward="sparse"),
        "sparse-valid": Method(
            summary="a control: the answer, and validity only for rollouts that call a tool where the reference does",
            reward=PublishedReward("valid", require_call=True),
        ),
        "strict": Method(
            summary="as mentor, but the calls must be the teacher's, in order and with their arguments", reward="strict"
        ),
        "overlap": Method(summary="as mentor, but one shared tool is enough; no validity term", reward="overlap"),
        "valid": Method(summary="answer and validity, no tool-set match", reward="valid"),
        "f1": Method(summary="as mentor, with the F1 of the tool sets in place of the exact match", reward="f1"),
        "sft": Method(summary="no reward: imitate the references", phase="sft"),
        "sft-few": Method(summary="as sft, with 8 demonstrations", phase="sft", demonstrations=8),
        "sft-verbose": Method(summary="as sft, but of a long-winded teacher", phase="sft", verbose=True),
        "base": Method(summary="no training: the policy as it is", phase="base"),
    }
)
"""Methods by name. Tasks, splits, budget, seeds and evaluation are the same for all."""
