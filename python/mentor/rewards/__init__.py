"""Rewards for TRL's trainers, computed by :func:`mentor.score_batch`."""

from mentor.rewards.accuracy import accuracy_reward
from mentor.rewards.schedules import LinearSchedule, Schedule
from mentor.rewards.trl import Judge, RewardFunction, StepSummary, mark_truncated, portable, summarize

__all__ = [
    "Judge",
    "LinearSchedule",
    "RewardFunction",
    "Schedule",
    "StepSummary",
    "accuracy_reward",
    "mark_truncated",
    "portable",
    "summarize",
]
