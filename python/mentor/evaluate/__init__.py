"""Evaluation of a policy on splits, greedy and sampled, through the same tool loop as in training; and its statistics.

What needs torch is imported when it is first used: reading the numbers of finished runs needs none of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mentor.evaluate.measure import Measurement, evaluate_split, tool_similarity
    from mentor.evaluate.passes import Pass, run_pass
    from mentor.evaluate.statistics import Interval, PairedTest, holm, mean_interval, paired_test, share_interval
    from mentor.rollouts import Budget, Rollout, run_rollouts

__all__ = [
    "Budget",
    "Interval",
    "Measurement",
    "PairedTest",
    "Pass",
    "Rollout",
    "evaluate_split",
    "holm",
    "mean_interval",
    "paired_test",
    "run_pass",
    "run_rollouts",
    "share_interval",
    "tool_similarity",
]

_HOME = {
    "Budget": "mentor.rollouts",
    "Rollout": "mentor.rollouts",
    "run_rollouts": "mentor.rollouts",
    "Pass": "mentor.evaluate.passes",
    "run_pass": "mentor.evaluate.passes",
    "Measurement": "mentor.evaluate.measure",
    "evaluate_split": "mentor.evaluate.measure",
    "tool_similarity": "mentor.evaluate.measure",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME.get(name, "mentor.evaluate.statistics")), name)
