"""Scoring: rollouts and references in, rewards and reasons out."""

from mentor.score.batch import REWARDS, ScoreBatch, score_batch
from mentor.score.judge import Verdicts, judge_batch
from mentor.score.reference import Reference

__all__ = ["REWARDS", "Reference", "ScoreBatch", "Verdicts", "judge_batch", "score_batch"]
