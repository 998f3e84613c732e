"""Where a training step's time goes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mentor.report.run import number

__all__ = ["PARTS", "StepTime", "step_time"]

PARTS = (
    ("generate_s", "Generation"),
    ("update_s", "Update"),
    ("tools_s", "Tools"),
    ("reward_s", "Reward"),
    ("text_s", "Text"),
)
"""What the trainer measures of a step: key, title. ``Text`` is templates, tokens and parsing."""


@dataclass(frozen=True)
class StepTime:
    """The mean step.

    Attributes:
        steps: how many steps it is the mean of.
        seconds: its whole time.
        parts: title -> seconds; ``Other`` is what no part measured.
    """

    steps: int
    seconds: float
    parts: Mapping[str, float]

    @property
    def shares(self) -> list[tuple[str, float, float]]:
        """Title, seconds and share of the whole, in order."""
        return [(title, seconds, seconds / self.seconds) for title, seconds in self.parts.items()]


def step_time(rows: Sequence[Mapping[str, Any]]) -> StepTime | None:
    """Average the timed steps of reinforcement learning; ``None`` where nothing was timed.

    Example:
        >>> found = step_time([{"phase": "grpo", "step_time": 2.0, "generate_s": 1.0, "update_s": 0.5}])
        >>> [(title, share) for title, _, share in found.shares]
        [('Generation', 0.5), ('Update', 0.25), ('Other', 0.25)]
    """
    sums: dict[str, float] = {}
    steps, whole = 0, 0.0
    for row in rows:
        timing = row.get("timing")
        nested: Mapping[str, Any] = timing if isinstance(timing, dict) else {}
        found = {title: number(row.get(key, nested.get(key))) for key, title in PARTS}
        found = {title: seconds for title, seconds in found.items() if 0 <= seconds < 1e9}
        if row.get("phase") != "grpo" or not found:
            continue
        steps += 1
        total = number(row.get("step_time_s", row.get("step_time")))
        whole += max(sum(found.values()), total if 0 <= total < 1e9 else 0.0)
        for title, seconds in found.items():
            sums[title] = sums.get(title, 0.0) + seconds
    if not steps or not whole > 0 or not math.isfinite(whole):
        return None
    parts = {title: sums[title] / steps for _, title in PARTS if title in sums}
    other = whole / steps - sum(parts.values())
    if other > 1e-9:
        parts["Other"] = other
    return StepTime(steps, whole / steps, parts)
