"""Tools that the tests of tools share."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Literal, Optional

from mentor import Outcome

NAMES = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "sum_numbers",
    "floor",
    "ceil",
    "round_number",
    "power",
    "sqrt",
    "abs_value",
    "modulo",
]
BASE = 10  # used by `scaled`, brought along


def scaled(x: float, factor: int = BASE) -> float:
    """Scale a number.

    Longer text.

    Args:
        x: The number,
            in any unit.
        factor: By how much.

    Returns:
        The product.
    """
    return _times(x, factor)


def _times(a: float, b: float) -> float:
    return math.prod([a, b])


def is_even(n: int) -> bool:
    """Tell whether a number is even.

    Args:
        n: The number.
    """
    return n == 0 or _is_odd(n - 1)


def _is_odd(n: int) -> bool:
    return n != 0 and is_even(n - 1)


def letters(text: str, at_most: Optional[int] = None, kind: Literal["all", "vowels"] = "all") -> dict[str, int]:  # noqa: UP045
    """Count the letters of a text.

    Args:
        text: The text.
        at_most: Number of letters to keep.
        kind: Which letters. (choices: ["all", "vowels"])
    """
    found = Counter(letter for letter in text if kind == "all" or letter in "aeiou")
    return dict(found.most_common(at_most))


def shapes(
    items: list[dict[str, float]], pair: tuple[int, str], flag: bool, extra: Any, either: int | list[int] | None = None
) -> None:
    """Take arguments of many shapes.

    Args:
        items: Rows.
        pair: A pair.
        flag: A flag.
        extra: Anything.
        either: One or many.
    """


def source_of(body: str, name: str = "f") -> str:
    return f'def {name}():\n    """Do it."""\n    {body}\n'


def message(outcome: Outcome, kind: str) -> str:
    assert outcome.fault is not None, outcome
    assert (outcome.fault.kind, outcome.value) == (kind, None)
    return outcome.fault.message
