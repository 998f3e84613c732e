"""Rewards for TRL's trainers, computed by :func:`mentor.score_batch`."""

from mentor.rewards.trl import RewardFunction, StepSummary, mark_truncated, summarize

__all__ = ["RewardFunction", "StepSummary", "mark_truncated", "summarize"]
