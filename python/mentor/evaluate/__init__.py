"""Evaluation of a policy on splits, greedy and sampled, through the same tool loop as in training."""

from mentor.evaluate.measure import Measurement, evaluate_split, tool_similarity
from mentor.evaluate.rollouts import Budget, Rollout, run_rollouts

__all__ = ["Budget", "Measurement", "Rollout", "evaluate_split", "run_rollouts", "tool_similarity"]
