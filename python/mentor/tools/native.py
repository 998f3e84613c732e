"""The arithmetic tools at the host's own speed, where that gives what the guest would give.

A call of the guest takes four times as long as all the rest of it. So plain numbers are added on the host, by code of
this package. Whatever could end otherwise is left to the guest: errors, numbers beyond the exact integers of a float,
powers that need a C library, sums of floats, which differ between versions of Python.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from mentor.sandbox import Outcome
from mentor.tools.part import Done, Part
from mentor.tools.schema import Tool

__all__ = ["NATIVE", "NativePart", "answer"]

_Number: TypeAlias = "int | float"
_EXACT = 2**53
_MOST_EXPONENT = 64


def _divide(a: _Number, b: _Number) -> _Number | None:
    return a / b if b else None


def _modulo(a: _Number, b: _Number) -> _Number | None:
    return a % b if b else None


def _sum_numbers(numbers: list[_Number]) -> _Number | None:
    return sum(numbers) if all(type(number) is int for number in numbers) else None


def _round_number(x: _Number, digits: int = 0) -> _Number | None:
    if type(digits) is not int or abs(digits) > 300:
        return None
    return round(x, digits) if digits else round(x)


def _power(base: _Number, exponent: _Number) -> _Number | None:
    if type(base) is int and type(exponent) is int and 0 <= exponent <= _MOST_EXPONENT:
        return int(base**exponent)
    return None


def _sqrt(x: _Number) -> _Number | None:
    return math.sqrt(x) if x >= 0 else None


#: What the tools give, or ``None`` where the guest is to be asked.
NATIVE: Mapping[str, Callable[..., _Number | None]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": _divide,
    "sum_numbers": _sum_numbers,
    "floor": lambda x: math.floor(x),
    "ceil": lambda x: math.ceil(x),
    "round_number": _round_number,
    "power": _power,
    "sqrt": _sqrt,
    "abs_value": lambda x: abs(x),
    "modulo": _modulo,
}


class NativePart(Part):
    """The arithmetic tools, on the host where that is the same, else in the guest."""

    def __init__(self, guest: Part) -> None:
        self._guest = guest

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools by name."""
        return self._guest.tools

    @property
    def pure(self) -> bool:
        """Whether one guest serves many calls."""
        return self._guest.pure

    @property
    def source(self) -> str:
        """The text that defines them in the guest."""
        return self._guest.source

    def call(self, name: str, arguments: str) -> Outcome:
        """One call."""
        return answer(name, arguments) or self._guest.call(name, arguments)

    def call_batch(self, calls: Sequence[tuple[str, str]]) -> list[Outcome]:
        """Many calls; those for the guest go there together."""
        outcomes = [answer(name, arguments) for name, arguments in calls]
        left = [call for call, outcome in zip(calls, outcomes, strict=True) if outcome is None]
        asked = iter(self._guest.call_batch(left))
        return [next(asked) if outcome is None else outcome for outcome in outcomes]

    def start(self, name: str, arguments: str, done: Done) -> Callable[[], object] | None:
        """Starts a call in the guest; what the host answers is not worth a thread."""
        return None if answer(name, arguments) else self._guest.start(name, arguments, done)


def answer(name: str, arguments: str) -> Outcome | None:
    """What the guest would answer.

    Args:
        name: Name of one of the twelve tools.
        arguments: Arguments that fit its schema, as JSON.

    Returns:
        The outcome, or ``None`` where the guest has to be asked.

    Example:
        >>> answer("add", '{"a": 19, "b": 23}').value
        42
        >>> answer("divide", '{"a": 1, "b": 0}') is None
        True
    """
    began = time.perf_counter()
    native = NATIVE.get(name)
    if native is None:
        return None
    given = json.loads(arguments)
    if not all(map(_is_plain, given.values())):
        return None
    try:
        value = native(**given)
    except (ArithmeticError, ValueError):  # the guest's own words are wanted
        return None
    if value is None or (type(value) is float and not math.isfinite(value)):
        return None
    return Outcome(value=value, wall_ms=(time.perf_counter() - began) * 1e3)


def _is_plain(value: Any) -> bool:
    """A number that a float holds exactly if it is whole, or a list of such."""
    if type(value) is int:
        return -_EXACT <= value <= _EXACT
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is list and all(type(item) is not list and _is_plain(item) for item in value)
