"""Rewards for TRL's trainers, computed by :func:`mentor.score_batch`."""

from mentor.rewards.schedules import LinearSchedule, Schedule
from mentor.rewards.trl import Judge, RewardFunction, StepSummary, mark_truncated, portable, summarize

__all__ = [
    "Judge",
    "LinearSchedule",
    "RewardFunction",
    "Schedule",
    "StepSummary",
    "mark_truncated",
    "portable",
    "summarize",
]
