"""How a teacher is asked, and what is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mentor.errors import ConfigError

__all__ = ["SYSTEM", "Accept", "TeachSettings"]

Accept = Literal["known", "majority", "any"]

SYSTEM = (
    "Solve the task with the tools you are given. Let the tools work out every value, one step at a time; "
    "do not work values out yourself. End with one line that holds the final answer alone, as \\boxed{answer}."
)
"""What the teacher is told before the task; the student never sees it."""


@dataclass(frozen=True, kw_only=True)
class TeachSettings:
    """How a teacher is asked, and what is kept.

    Attributes:
        samples: Samples per task.
        temperature: Of the sampling; ``None`` leaves it to the teacher.
        system: What the teacher is told before the task; empty for nothing.
        max_turns: Rounds of tool calls in a sample.
        max_calls: Tool calls in a sample.
        max_tokens: Tokens that the teacher may write in a sample, all turns together.
        concurrency: Samples under way at once.
        accept: What counts as right for tasks without a known answer: ``known`` refuses such tasks, ``majority`` takes
            the answer of more than half of the task's samples, ``any`` takes each answer.
        min_calls: Calls that a reference needs at least; 0 takes answers without any.
        only_valid: Leave out right samples of which a call failed. Otherwise they are kept where no other is right,
            without the failed calls.
        max_failures: So many failed samples in a row end the run: the endpoint is down, or refuses what it is sent.
        price_in: Price of a million tokens of prompt.
        price_out: Price of a million tokens of reply.
        max_cost: Ask no more when the next reply could bring the cost of all runs above this.
        max_requests: Ask no more than this, all runs together.

    Raises:
        ConfigError: A value is out of its range.
    """

    samples: int = 1
    temperature: float | None = None
    system: str = SYSTEM
    max_turns: int = 8
    max_calls: int = 16
    max_tokens: int = 4096
    concurrency: int = 8
    accept: Accept = "known"
    min_calls: int = 1
    only_valid: bool = False
    max_failures: int = 20
    price_in: float | None = None
    price_out: float | None = None
    max_cost: float | None = None
    max_requests: int | None = None

    def __post_init__(self) -> None:
        least = {"samples": 1, "max_turns": 1, "max_calls": 1, "max_tokens": 1, "concurrency": 1, "max_failures": 1}
        for name, low in {**least, "min_calls": 0}.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ConfigError(f"{name}: a whole number from {low} on is wanted, found {value!r}")
        if self.accept not in get_args(Accept):
            raise ConfigError(f"accept: known, majority or any is wanted, found {self.accept!r}")
        for name in ("temperature", "price_in", "price_out", "max_cost", "max_requests"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ConfigError(f"{name}: a number from 0 on is wanted, found {value!r}")
        if (self.price_in is None) != (self.price_out is None):
            raise ConfigError("price_in, price_out: give both or none; one may be 0")
        if self.max_cost is not None and self.price_in is None:
            raise ConfigError("max_cost: the prices are needed as well, price_in and price_out per million tokens")

    def asked(self) -> dict[str, Any]:
        """What changes the requests; the rest may change between runs on one journal."""
        names = ("temperature", "system", "max_turns", "max_calls", "max_tokens")
        return {name: getattr(self, name) for name in names}

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """Price of so many tokens; 0 without prices."""
        return (tokens_in * (self.price_in or 0) + tokens_out * (self.price_out or 0)) / 1e6
