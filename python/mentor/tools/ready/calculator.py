"""A calculator for expressions as models write them.

The expression is read as a syntax tree and computed node by node: nothing of it is executed. Numbers are fractions
until a function such as ``sin`` needs a float, so that ``0.1 + 0.2`` is 0.3 and ``1/3*3`` is 1.
"""

from __future__ import annotations

import ast
import difflib
import math
import re
from collections.abc import Callable
from fractions import Fraction

from mentor.sandbox import Limits
from mentor.tools.toolset import ToolSet

__all__ = ["calculator"]

_MAX_CHARACTERS = 2_000
_MAX_DIGITS = 4_000
_MAX_BITS = 13_287  # as many digits
_CONSTANTS = {"pi": math.pi, "e": math.e, "tau": math.tau}
_ALIASES = {
    "ln": "log", "abs_value": "abs", "absolute": "abs", "average": "mean", "avg": "mean", "arcsin": "asin",
    "arccos": "acos", "arctan": "atan", "choose": "comb", "ncr": "comb", "npr": "perm", "ceiling": "ceil",
    "fact": "factorial",
}  # fmt: skip
# Fewest and most arguments.
_FUNCTIONS = {
    "sqrt": (1, 1), "cbrt": (1, 1), "exp": (1, 1), "log": (1, 2), "log2": (1, 1), "log10": (1, 1), "pow": (2, 2),
    "sin": (1, 1), "cos": (1, 1), "tan": (1, 1), "asin": (1, 1), "acos": (1, 1), "atan": (1, 1), "atan2": (2, 2),
    "sinh": (1, 1), "cosh": (1, 1), "tanh": (1, 1), "degrees": (1, 1), "radians": (1, 1), "hypot": (1, 99),
    "abs": (1, 1), "round": (1, 2), "floor": (1, 1), "ceil": (1, 1), "trunc": (1, 1), "min": (1, 99), "max": (1, 99),
    "sum": (1, 99), "mean": (1, 99), "median": (1, 99), "factorial": (1, 1), "comb": (2, 2), "perm": (1, 2),
    "gcd": (1, 99), "lcm": (1, 99),
}  # fmt: skip
_SPELLINGS = {
    "\u00d7": "*", "\u00b7": "*", "\u2219": "*", "\u00f7": "/", "\u2212": "-", "\u2013": "-", "^": "**",
    "²": "**2", "³": "**3", "π": "pi", "\n": " ", "math.": "",
}  # fmt: skip
# Compiled once, as each call starts from the state after the definitions.
_TIMES = re.compile(r"(?<=[\d)])\s+[xX]\s+(?=[\d(.])")
_MODULO = re.compile(r"\bmod\b")
_CURRENCY = re.compile(r"[$€£](?=\s*[\d.])")
_ROOT = re.compile(r"√\s*(\d(?:[\d.,]*\d)?)")
_FACTORIAL = re.compile(r"\b(\d+)!(?!=)")
_PERCENT_OF = re.compile(r"%\s*of\b")
_PERCENT_SIGN = re.compile(r"%(?=\s*(?:$|[-+*/),%\]]))")  # with an operand after it, it is a remainder
_THOUSANDS = re.compile(r"(?<![\w.])\d{1,3}(?:,\d{3})+(?![\d,])")
_ZEROS = re.compile(r",0\d\d(?!\d)")
_CALLED = re.compile(r"[A-Za-z]\w*\s*$")
# Right operands of ** that stand for a sign after a number, which binds as tightly.
_PERCENT = "__percent__"
_DEGREE = "__degree__"


def calculate(expression: str) -> float:
    """Compute an arithmetic expression, such as "15% of 1,240 + sqrt(2) * (3 - 1)^2".

    Knows + - * / // % ** ^ and parentheses, percents (15% of 80), factorials (5!), pi, e, tau, and sqrt, cbrt, exp,
    log, log2, log10, pow, sin, cos, tan, asin, acos, atan, atan2, sinh, cosh, tanh, degrees, radians, hypot, abs,
    round, floor, ceil, trunc, min, max, sum, mean, median, factorial, comb, perm, gcd, lcm. Angles are radians unless
    written 30°.

    Args:
        expression: The expression, numbers and functions only. Numbers may have thousands commas, but not between a
            function's parentheses, where commas separate arguments.

    Returns:
        The result: exact for the basic operations, to 15 digits for functions. round takes halves to the even number.
    """
    if len(expression) > _MAX_CHARACTERS:
        raise ValueError(f"the expression has {len(expression)} characters; at most {_MAX_CHARACTERS} are computed")
    text = _python_text(expression)
    if not text:
        raise ValueError("the expression is empty")
    try:
        return _result(_value(ast.parse(text, mode="eval").body, text))
    except SyntaxError as error:
        at = (error.offset or 1) - 1
        near = f"{_as_written(text[:at])[-10:]}{_as_written(text[at:])[:10]}".strip()
        reason = str(error.msg).partition(".")[0].partition(" (")[0]
        raise ValueError(f"the expression cannot be read near {near!r}: {reason}") from None
    except (RecursionError, MemoryError):
        raise ValueError("the expression is nested too deeply") from None
    except OverflowError:
        raise ValueError("a number on the way is too large for a function") from None


def _python_text(expression: str) -> str:
    """The expression in Python's spelling."""
    text = expression.strip().rstrip("=").strip()
    for old, new in _SPELLINGS.items():
        text = text.replace(old, new)
    text = _MODULO.sub("%", _TIMES.sub("*", text))
    text = _ROOT.sub(lambda match: f"sqrt({match[1].replace(',', '')})", _CURRENCY.sub("", text)).replace("√", "sqrt")
    text = _FACTORIAL.sub(r"factorial(\1)", _without_commas(text))
    if "!" in text:
        raise ValueError("write factorial(...) instead of !")
    text = _PERCENT_OF.sub(f"**{_PERCENT} * ", text.replace("°", f"**{_DEGREE}"))
    return _PERCENT_SIGN.sub(f"**{_PERCENT}", text).strip()


def _as_written(text: str) -> str:
    return text.replace(f"**{_PERCENT}", "%").replace(f"**{_DEGREE}", "°")


def _without_commas(text: str) -> str:
    """Without thousands commas; those between the parentheses of a function stay."""
    if "," not in text:
        return text
    parts: list[str] = []
    within: list[bool] = []
    at = 0
    while at < len(text):
        number = None if any(within) else _THOUSANDS.match(text, at)
        if number:
            parts.append(number[0].replace(",", ""))
            at = number.end()
            continue
        letter = text[at]
        if letter in "([":
            within.append(letter == "[" or bool(_CALLED.search(text[max(0, at - 20) : at])))
        elif letter in ")]" and within:
            within.pop()
        elif letter == "," and not any(within):
            raise ValueError(f"the comma near {text[max(0, at - 8) : at + 8].strip()!r} separates no thousands")
        elif letter == "," and _ZEROS.match(text, at):
            raise ValueError("between a function's parentheses, write 1000 instead of 1,000")
        parts.append(letter)
        at += 1
    return "".join(parts)


def _value(node: ast.expr, text: str) -> Fraction | float:
    if isinstance(node, ast.Constant):
        return _literal(node, text)
    if isinstance(node, ast.Name):
        if node.id in (_PERCENT, _DEGREE):
            raise ValueError("put parentheses around the number with its % or °, such as (10%)**2")
        if node.id not in _CONSTANTS:
            raise ValueError(_unknown(node.id))
        return _CONSTANTS[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _value(node.operand, text)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        return _operation(node, text)
    if isinstance(node, ast.Call):
        return _call(node, text)
    if isinstance(node, ast.Compare):
        raise ValueError("comparisons are not computed; give one expression whose value is a number")
    raise ValueError(f"{ast.unparse(node)[:60]!r} is no arithmetic; write numbers, operators and functions only")


def _literal(node: ast.Constant, text: str) -> Fraction | float:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        raise ValueError(f"{str(node.value)[:60]!r} is no number")
    if isinstance(node.value, int):
        return _bounded(Fraction(node.value))
    if math.isinf(node.value):
        raise ValueError("a number is too large")
    # The digits as they are written, not the nearest binary number.
    return _bounded(Fraction((ast.get_source_segment(text, node) or "").replace("_", "")))


def _operation(node: ast.BinOp, text: str) -> Fraction | float:
    if isinstance(node.op, ast.Pow) and isinstance(node.right, ast.Name) and node.right.id in (_PERCENT, _DEGREE):
        value = _value(node.left, text)
        return value / 100 if node.right.id == _PERCENT else float(value) * (math.pi / 180)
    left, right = _value(node.left, text), _value(node.right, text)
    if isinstance(node.op, ast.Add | ast.Sub):
        # A percentage of 1 is that percentage.
        if _is_percent(node.right) and left != 1 and not _is_percent(node.left):
            raise ValueError("a percentage of what? Write 200 * (1 + 10%), or 200 + 10% of 200")
        return _bounded(left + right if isinstance(node.op, ast.Add) else left - right)
    if isinstance(node.op, ast.Mult):
        return _bounded(left * right)
    if isinstance(node.op, ast.Pow):
        return _power(left, right)
    if not isinstance(node.op, ast.Div | ast.FloorDiv | ast.Mod):
        raise ValueError("only the operators + - * / // % ** and ^ are computed")
    if right == 0:
        raise ZeroDivisionError("division by zero")
    if isinstance(node.op, ast.Div):
        return _bounded(left / right)
    quotient = left // right
    return _bounded(Fraction(quotient) if isinstance(node.op, ast.FloorDiv) else left - right * quotient)


def _is_percent(node: ast.expr) -> bool:
    if not isinstance(node, ast.BinOp):
        return False
    if isinstance(node.op, ast.Add | ast.Sub):
        return _is_percent(node.left) and _is_percent(node.right)
    return isinstance(node.op, ast.Pow) and isinstance(node.right, ast.Name) and node.right.id == _PERCENT


def _power(base: Fraction | float, exponent: Fraction | float) -> Fraction | float:
    if base == 0 and exponent < 0:
        raise ZeroDivisionError("zero to a negative power")
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        if exponent.denominator == 1:
            if abs(base) == 1 or not base:
                return base ** (exponent.numerator % 2) if base else Fraction(not exponent)
            # Known to be too long before it is computed.
            if (max(abs(base.numerator), base.denominator).bit_length() - 1) * abs(exponent.numerator) > _MAX_BITS:
                raise ValueError(f"the power has more than {_MAX_DIGITS} digits")
            return _bounded(base**exponent.numerator)
        if exponent == Fraction(1, 2):
            return _sqrt(base)
    if base < 0 and exponent != int(exponent):
        raise ValueError("a negative number to a fractional power is not real")
    return math.pow(base, exponent)


def _sqrt(x: Fraction | float) -> Fraction | float:
    if x < 0:
        raise ValueError("the square root of a negative number is not real")
    if isinstance(x, Fraction):
        root = Fraction(math.isqrt(x.numerator), math.isqrt(x.denominator))
        return root if root * root == x else math.sqrt(x)
    return math.sqrt(x)


def _call(node: ast.Call, text: str) -> Fraction | float:
    if not isinstance(node.func, ast.Name):
        raise ValueError("write * between a number and a parenthesis")
    name = _ALIASES.get(node.func.id.lower(), node.func.id)
    if name in _CONSTANTS:
        raise ValueError(f"write * between {name} and a parenthesis")
    if name not in _FUNCTIONS:
        raise ValueError(_unknown(name))
    if node.keywords:
        raise ValueError(f"{name} takes its arguments without names")
    lists = [argument.elts if isinstance(argument, ast.List | ast.Tuple) else [argument] for argument in node.args]
    values = [_value(item, text) for items in lists for item in items]
    least, most = _FUNCTIONS[name]
    if not least <= len(values) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise ValueError(
            f"{name} takes {wanted} argument{'' if wanted == '1' else 's'}, not {len(values)}; "
            "between its parentheses a comma separates arguments, not thousands"
        )
    return _apply(name, values)


def _apply(name: str, values: list[Fraction | float]) -> Fraction | float:
    x = values[0]
    if name == "sqrt":
        return _sqrt(x)
    if name == "pow":
        return _power(x, values[1])
    if name == "abs":
        return x if x >= 0 else -x
    if name in ("min", "max"):
        return min(values) if name == "min" else max(values)
    if name in ("sum", "mean", "median"):
        return _bounded(_summary(name, values))
    if name in ("floor", "ceil", "trunc"):
        whole: Callable[[Fraction | float], int] = getattr(math, name)
        return Fraction(whole(x))
    if name == "round":
        digits = _whole("round", values[1]) if len(values) == 2 else 0
        return Fraction(round(Fraction(x), max(-_MAX_DIGITS, min(digits, 100))))
    if name in ("factorial", "comb", "perm", "gcd", "lcm"):
        return _bounded(Fraction(_counted(name, [_whole(name, value) for value in values])))
    if name in ("log", "log2", "log10"):
        return _logarithm(name, values)
    if name in ("asin", "acos") and not -1 <= x <= 1:
        raise ValueError(f"{name} takes a number from -1 to 1")
    function: Callable[..., float] = getattr(math, name)
    return function(*map(float, values))


def _summary(name: str, values: list[Fraction | float]) -> Fraction | float:
    if name != "median":
        total: Fraction | float = Fraction(0)
        for value in values:
            total = _bounded(total + value)
        return total if name == "sum" else total / len(values)
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _counted(name: str, numbers: list[int]) -> int:
    if name == "gcd":
        return math.gcd(*numbers)
    if name == "lcm":
        least = 1
        for number in numbers:
            _bounded(Fraction(least := math.lcm(least, number)))
        return least
    if min(numbers) < 0:
        raise ValueError(f"{name} takes numbers that are not negative")
    n, k = numbers[0], numbers[-1]
    # Fewest bits of a product of so many factors, known before it is computed.
    factors = min(k, n - k) if name == "comb" else min(n, k)
    each = n.bit_length() - (factors.bit_length() + 1 if name == "comb" else 3)
    if k <= n and (factors > _MAX_BITS or factors * each > _MAX_BITS):
        raise ValueError(f"{name} has more than {_MAX_DIGITS} digits")
    if name == "factorial":
        return math.factorial(n)
    return math.comb(n, k) if name == "comb" else math.perm(n, k)


def _logarithm(name: str, values: list[Fraction | float]) -> float:
    if min(values) <= 0 or values[1:] == [1]:
        raise ValueError("a logarithm takes a positive number, and a positive base that is not 1")
    if name == "log" and len(values) == 1:
        return _log(values[0])
    base = values[1] if len(values) == 2 else 2 if name == "log2" else 10
    return _log(values[0]) / _log(base)


def _log(x: Fraction | float) -> float:
    # The logarithm of an int may be of any size.
    return math.log(x.numerator) - math.log(x.denominator) if isinstance(x, Fraction) else math.log(x)


def _whole(name: str, x: Fraction | float) -> int:
    if x != int(x):
        raise ValueError(f"{name} takes whole numbers, not {float(x)}")
    return int(x)


def _bounded(x: Fraction | float) -> Fraction | float:
    if isinstance(x, Fraction) and max(abs(x.numerator), x.denominator).bit_length() > _MAX_BITS:
        raise ValueError(f"a number has more than {_MAX_DIGITS} digits")
    return x


def _result(x: Fraction | float) -> float:
    """An int where the value is whole; a float from a function without the noise of its last bits."""
    if isinstance(x, Fraction):
        return x.numerator if x.denominator == 1 else float(x)
    if not math.isfinite(x):
        raise ValueError("the result is too large")
    rounded = float(f"{x:.15g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name.lower(), [*_FUNCTIONS, *_CONSTANTS], n=1)
    hint = f"did you mean {close[0]!r}?" if close else "variables are not known; write numbers"
    return f"unknown name {name[:60]!r}; {hint}"


def calculator(*, limits: Limits | None = None) -> ToolSet:
    """One tool, ``calculate``: expressions with functions, percents, thousands commas, exact where that is possible.

    Args:
        limits: What one call may use; without it 1 second, 128 MB and 16 KB.

    Example:
        >>> tools = calculator()
        >>> tools.call("calculate", {"expression": "15% of 1,240 + 2^10"}).value
        1210
        >>> tools.call("calculate", {"expression": "sqr(2)"}).fault.message
        "ValueError: unknown name 'sqr'; did you mean 'sqrt'?"
    """
    limits = Limits(timeout_ms=1_000, memory_mb=128, output_kb=16) if limits is None else limits
    return ToolSet.from_functions([calculate], limits=limits, pure=True, check=False)
