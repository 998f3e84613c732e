"""Rewards that change over a training run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from mentor.errors import InputError
from mentor.score import DenseReward, Reward

__all__ = ["LinearSchedule", "Schedule"]

Schedule = Callable[[int], Reward]
"""The reward of a training step, from 0; a plain function will do."""

_WEIGHTS = ("outcome", "process", "validity", "wrong_scale")


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearSchedule:
    """Weights that move in a straight line from one config to another, and stay there.

    The process term shows the way while answers are mostly wrong; once they are right, it can shrink, so that the
    student may find better ways than the teacher's.

    Attributes:
        start: The config of step 0.
        end: The config from step ``steps`` on. Only ``outcome``, ``process``, ``validity`` and ``wrong_scale`` may
            differ from ``start``.
        steps: How many training steps the way takes.

    Raises:
        InputError: The configs differ in something else, or ``steps`` is not positive.

    Example:
        >>> schedule = LinearSchedule(start=DenseReward(), end=DenseReward(outcome=0.8, process=0.1), steps=100)
        >>> round(schedule(50).process, 6)
        0.2
    """

    start: DenseReward
    end: DenseReward
    steps: int

    def __post_init__(self) -> None:
        """Checks the values."""
        if self.steps <= 0:
            raise InputError(f"LinearSchedule: steps must be positive, got {self.steps}")
        for option in fields(DenseReward):
            if option.name not in _WEIGHTS and getattr(self.start, option.name) != getattr(self.end, option.name):
                raise InputError(f"LinearSchedule: start and end must have the same {option.name}")

    def __call__(self, step: int) -> DenseReward:
        """Return the config of a training step."""
        way = min(max(step, 0), self.steps) / self.steps
        weights = {name: (1 - way) * getattr(self.start, name) + way * getattr(self.end, name) for name in _WEIGHTS}
        return replace(self.start, **weights)
