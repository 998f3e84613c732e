"""The twelve arithmetic tools of the MENTOR paper (arXiv 2510.18383).

Integers stay exact integers; a result that is no finite number is a fault.
"""

from __future__ import annotations

import math

from mentor.sandbox import Limits, Sandbox
from mentor.tools.guest import GuestPart
from mentor.tools.native import NativePart
from mentor.tools.schema import read_tools
from mentor.tools.sources import collect
from mentor.tools.toolset import ToolSet

__all__ = ["arithmetic"]


def add(a: float, b: float) -> float:
    """Add two numbers.

    Args:
        a: First summand.
        b: Second summand.

    Returns:
        a + b
    """
    return a + b


def subtract(a: float, b: float) -> float:
    """Subtract the second number from the first.

    Args:
        a: Number to subtract from.
        b: Number to subtract.

    Returns:
        a - b
    """
    return a - b


def multiply(a: float, b: float) -> float:
    """Multiply two numbers.

    Args:
        a: First factor.
        b: Second factor.

    Returns:
        a * b
    """
    return a * b


def divide(a: float, b: float) -> float:
    """Divide the first number by the second.

    Args:
        a: Dividend.
        b: Divisor, not zero.

    Returns:
        a / b
    """
    return a / b


def sum_numbers(numbers: list[float]) -> float:
    """Add up all numbers of a list.

    Args:
        numbers: The numbers.

    Returns:
        Their sum; 0 for an empty list.
    """
    return sum(numbers)


def floor(x: float) -> int:
    """Round a number down to an integer.

    Args:
        x: The number.

    Returns:
        The largest integer that is not greater.
    """
    return math.floor(x)


def ceil(x: float) -> int:
    """Round a number up to an integer.

    Args:
        x: The number.

    Returns:
        The smallest integer that is not less.
    """
    return math.ceil(x)


def round_number(x: float, digits: int = 0) -> float:
    """Round a number; halves go to the even neighbour.

    Args:
        x: The number.
        digits: Digits to keep after the decimal point.

    Returns:
        The rounded number, an integer for 0 digits.
    """
    return round(x, digits) if digits else round(x)


def power(base: float, exponent: float) -> float:
    """Raise a number to a power.

    Args:
        base: The number.
        exponent: The power; a whole number where the base is negative.

    Returns:
        base ** exponent
    """
    try:
        # Longer whole numbers could not be sent, and some would take for ever.
        whole = isinstance(base, int) and isinstance(exponent, int) and abs(base) > 1
        if whole and exponent * math.log10(abs(base)) >= 4_300:
            raise OverflowError
        result: float | complex = base**exponent
    except OverflowError:
        raise OverflowError("the result is too large") from None
    if isinstance(result, complex):
        raise ValueError("a negative number to a fractional power is not real")
    return result


def sqrt(x: float) -> float:
    """Take the square root of a number.

    Args:
        x: The number, not negative.

    Returns:
        The square root.
    """
    return math.sqrt(x)


def abs_value(x: float) -> float:
    """Take the absolute value of a number.

    Args:
        x: The number.

    Returns:
        The number without its sign.
    """
    return abs(x)


def modulo(a: float, b: float) -> float:
    """Take the remainder of a division; it has the divisor's sign.

    Args:
        a: Dividend.
        b: Divisor, not zero.

    Returns:
        a modulo b
    """
    return a % b


_TOOLS = (
    add,
    subtract,
    multiply,
    divide,
    sum_numbers,
    floor,
    ceil,
    round_number,
    power,
    sqrt,
    abs_value,
    modulo,
)


def arithmetic(*, limits: Limits | None = None) -> ToolSet:
    """The twelve arithmetic tools.

    They keep no state, so one warm guest serves many calls. Plain numbers, for which the host's result is the guest's,
    are not even sent there (unless fuel is counted): that is four times as fast.

    Args:
        limits: What one call may use; without it 1 second, 128 MB and 16 KB.

    Example:
        >>> tools = arithmetic()
        >>> tools.call("multiply", {"a": 6, "b": 7}).value
        42
        >>> tools.call("divide", '{"a": 1, "b": 0}').fault.message
        'ZeroDivisionError: division by zero'
    """
    limits = Limits(timeout_ms=1_000, memory_mb=128, output_kb=16) if limits is None else limits
    source, names = collect(_TOOLS)
    guest = GuestPart(source, read_tools(source, names), Sandbox(limits=limits), pure=True)
    # The host counts no fuel.
    return ToolSet.from_part(guest if limits.fuel is not None else NativePart(guest))
