"""What the tasks of the arithmetic suite ask for: operations, their wordings, and chains of them.

A chain is planned with exact fractions, apart from the tools; the reference's calls are then executed, and each value
has to be the planned one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mentor.errors import InputError
from mentor.suites.drafts import Solve

__all__ = ["OPERATIONS", "Chain", "Operation", "Step", "one_by_one", "plan_chain"]

Number = int | Fraction


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One tool, and how a task asks for it.

    Attributes:
        words: Wordings in domain; ``{n}`` stands for the operands.
        others: Wordings of the split ``phrasing``.
        takes: Whether it can be applied to a value.
        operands: Draws the operands, given the split's smallest and largest one.
        apply: The exact result.
        arguments: The call's arguments, given the value that a tool gave and the operands.
    """

    words: tuple[str, ...]
    others: tuple[str, ...]
    takes: Callable[[Number], bool]
    operands: Callable[[random.Random, int, int], tuple[int, ...]]
    apply: Callable[[Number, tuple[int, ...]], Number]
    arguments: Callable[[Any, tuple[int, ...]], dict[str, Any]]


def _whole(value: Number) -> bool:
    return value > 0 and value == int(value)


def _fractional(value: Number) -> bool:
    return value >= 0 and value != int(value)


def _none(rng: random.Random, low: int, high: int) -> tuple[int, ...]:
    return ()


def _one(rng: random.Random, low: int, high: int) -> tuple[int, ...]:
    return (rng.randint(low, high),)


def _several(rng: random.Random, low: int, high: int) -> tuple[int, ...]:
    return tuple(rng.randint(low, high) for _ in range(rng.choice((2, 3))))


def _of(*numbers: int) -> Callable[[random.Random, int, int], tuple[int, ...]]:
    return lambda rng, low, high: (rng.choice(numbers),)


def _pair(value: Any, operands: tuple[int, ...]) -> dict[str, Any]:
    return {"a": value, "b": operands[0]}


def _single(value: Any, operands: tuple[int, ...]) -> dict[str, Any]:
    return {"x": value}


OPERATIONS: dict[str, Operation] = {
    "add": Operation(
        words=("add {n}", "plus {n}", "increase by {n}"),
        others=("put {n} on top", "and {n} more"),
        takes=_whole,
        operands=_one,
        apply=lambda value, n: value + n[0],
        arguments=_pair,
    ),
    "subtract": Operation(
        words=("subtract {n}", "minus {n}", "decrease by {n}"),
        others=("take {n} away", "and {n} less"),
        takes=_whole,
        operands=_one,
        apply=lambda value, n: value - n[0],
        arguments=_pair,
    ),
    "multiply": Operation(
        words=("multiply by {n}", "times {n}"),
        others=("scale by {n}", "make it {n} times as much"),
        takes=_whole,
        operands=_of(*range(2, 10)),
        apply=lambda value, n: value * n[0],
        arguments=_pair,
    ),
    "divide": Operation(
        words=("divide by {n}", "over {n}"),
        others=("split into {n} parts", "share among {n}"),
        takes=_whole,
        operands=_of(2, 4, 5, 8),
        apply=lambda value, n: Fraction(value, n[0]),
        arguments=_pair,
    ),
    "sum_numbers": Operation(
        words=("add all of {n}", "plus the sum of {n}"),
        others=("put all of {n} on top", "and the whole of {n} more"),
        takes=_whole,
        operands=_several,
        apply=lambda value, n: value + sum(n),
        arguments=lambda value, n: {"numbers": [value, *n]},
    ),
    "floor": Operation(
        words=("round down", "take the floor"),
        others=("cut the decimals off", "go down to a whole number"),
        takes=_fractional,
        operands=_none,
        apply=lambda value, n: math.floor(value),
        arguments=_single,
    ),
    "ceil": Operation(
        words=("round up", "take the ceiling"),
        others=("go up to a whole number", "fill up to the next whole"),
        takes=_fractional,
        operands=_none,
        apply=lambda value, n: math.ceil(value),
        arguments=_single,
    ),
    "round_number": Operation(
        words=("round", "round to the nearest"),
        others=("go to the closest whole number", "make it the nearest whole"),
        takes=lambda value: _fractional(value) and (value * 2).denominator != 1,  # no halves
        operands=_none,
        apply=lambda value, n: round(value),
        arguments=_single,
    ),
    "power": Operation(
        words=("raise to the power {n}", "to the power {n}"),
        others=("take its power {n}", "use {n} as exponent"),
        takes=lambda value: _whole(value) and value > 1,
        operands=_of(2, 2, 3),
        apply=lambda value, n: int(value) ** n[0],
        arguments=lambda value, n: {"base": value, "exponent": n[0]},
    ),
    "sqrt": Operation(
        words=("take the square root", "square root"),
        others=("find its root", "go to the side of that square"),
        takes=lambda value: _whole(value) and value > 1 and math.isqrt(int(value)) ** 2 == value,
        operands=_none,
        apply=lambda value, n: math.isqrt(int(value)),
        arguments=_single,
    ),
    "abs_value": Operation(
        words=("take the absolute value", "absolute value"),
        others=("drop the sign", "ignore the minus"),
        takes=lambda value: value < 0,
        operands=_none,
        apply=lambda value, n: -value,
        arguments=_single,
    ),
    "modulo": Operation(
        words=("modulo {n}", "take the remainder by {n}"),
        others=("keep what {n} leaves over", "drop all full groups of {n}"),
        takes=_whole,
        operands=_of(*range(5, 30)),
        apply=lambda value, n: value % n[0],
        arguments=_pair,
    ),
}
"""Operations by the name of their tool, in the tools' order."""


@dataclass(frozen=True)
class Step:
    """One operation of a chain, its operands, and the value that it has to give."""

    tool: str
    operands: tuple[int, ...]
    value: Number


@dataclass(frozen=True)
class Chain:
    """A start value and operations, each of which takes the value before it."""

    start: Number
    steps: tuple[Step, ...]

    @property
    def result(self) -> Number:
        """The last value."""
        return self.steps[-1].value

    def solve(self) -> Solve:
        """Do it with tools.

        Raises:
            InputError: A tool gives another value than the planned one.
        """
        value = _plain(self.start)
        for step in self.steps:
            arguments = OPERATIONS[step.tool].arguments(value, step.operands)
            value = yield step.tool, arguments
            if Fraction(str(value)) != step.value:
                raise InputError(f"reference: {step.tool}({arguments}) gave {value}, planned was {step.value}")
        return str(value)


def one_by_one(chain: Chain, *, turned: bool = False) -> Callable[[], Solve]:
    """The same chain with each sum as additions one after the other; `turned` swaps their arguments."""

    def solve() -> Solve:
        value = _plain(chain.start)
        for step in chain.steps:
            if step.tool != "sum_numbers":
                value = yield step.tool, OPERATIONS[step.tool].arguments(value, step.operands)
                continue
            for number in step.operands:
                value = yield "add", {"a": number, "b": value} if turned else {"a": value, "b": number}
        return str(value)

    return solve


def plan_chain(rng: random.Random, names: tuple[str, ...], *, low: int, high: int, largest: int) -> Chain | None:
    """Find a start value and operands with which these operations can follow one another.

    Args:
        rng: Source of the numbers.
        names: The tools, in order.
        low: Smallest operand of sums and differences, and of the start value.
        high: Largest one.
        largest: Largest value on the way.

    Returns:
        The chain, or ``None`` where none was found.
    """
    start = value = _start(rng, names[0], low, high)
    steps = []
    for at, name in enumerate(names):
        following = OPERATIONS[names[at + 1]].takes if at + 1 < len(names) else _final
        operation = OPERATIONS[name]
        if not operation.takes(value):
            return None
        for _ in range(24):
            operands = operation.operands(rng, low, high)
            result = operation.apply(value, operands)
            if -largest <= result <= largest and result != value and following(result):
                break
        else:
            return None
        value = int(result) if result == int(result) else result
        steps.append(Step(name, operands, value))
    return Chain(start, tuple(steps))


def _final(value: Number) -> bool:
    return value >= 0


def _start(rng: random.Random, name: str, low: int, high: int) -> Number:
    """A value that the first operation can take."""
    if name in ("floor", "ceil", "round_number"):
        return rng.randint(low, high) + Fraction(rng.choice((1, 2, 3, 4, 6, 7, 8, 9)), 10)
    if name == "abs_value":
        return -rng.randint(low, high)
    if name == "sqrt":
        return rng.randint(math.isqrt(low - 1) + 1, math.isqrt(high)) ** 2
    return rng.randint(low, high)


def _plain(value: Number) -> int | float:
    return int(value) if value == int(value) else float(value)
