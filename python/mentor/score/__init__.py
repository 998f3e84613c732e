"""Scoring: rollouts and references in, rewards and reasons out."""

from mentor.score.batch import ScoreBatch, score_batch
from mentor.score.formats import FORMATS, detect_format
from mentor.score.judge import Verdicts, judge_batch
from mentor.score.reference import Reference
from mentor.score.rewards import REWARDS, DenseReward, PublishedReward, Reward, reward_name

__all__ = [
    "FORMATS",
    "REWARDS",
    "DenseReward",
    "PublishedReward",
    "Reference",
    "Reward",
    "ScoreBatch",
    "Verdicts",
    "detect_format",
    "judge_batch",
    "reward_name",
    "score_batch",
]
