"""Calculator marks of GSM8K (``<<48/2=24>>``) as plans of tool calls. Nothing is evaluated here."""

from __future__ import annotations

import ast
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass

__all__ = ["Mark", "MarkError", "Operation", "operations", "split_marks"]

_MARK = re.compile(r"<<([^\n]{0,1000}?)>>")
_MAX_EXPRESSION = 400  # characters; bounds the depth of the tree as well
_MAX_NUMBER = 2**53  # up to here a JSON reader that knows only doubles keeps integers
_STRANGE = re.compile(r"[^\d\s.+*/%^()-]")  # seen before ast.parse, which warns about the likes of `1and 2`
_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.FloorDiv: "divide",
    ast.Mod: "modulo",
    ast.Pow: "power",
}


class MarkError(ValueError):
    """A mark that is no arithmetic expression with a number as its result."""


@dataclass(frozen=True)
class Operation:
    """One tool call: the tool's name, and its operands as numbers, ready to be sent."""

    tool: str
    operands: tuple[int | float, ...]


@dataclass(frozen=True)
class Mark:
    """One calculator mark: the text between the previous mark and this one, the expression, the stated result."""

    before: str
    expression: ast.expr
    stated: str

    @property
    def result(self) -> int | float:
        """The stated result as a number."""
        return number(self.stated)

    @property
    def decimals(self) -> int:
        """The digits behind the point of the stated result."""
        return len(self.stated.partition(".")[2].rstrip("0"))


def split_marks(text: str) -> tuple[list[Mark], str]:
    """Split a GSM8K solution into its marks and the text behind the last one.

    Raises:
        MarkError: a mark has no ``=``, or a side of it cannot be read; the message quotes the mark.

    Example:
        >>> marks, rest = split_marks("In May 48/2 = <<48/2=24>>24 clips.")
        >>> marks[0].before, marks[0].stated, rest
        ('In May 48/2 = ', '24', '24 clips.')
    """
    marks = []
    start = 0
    for match in _MARK.finditer(text):
        expression, equals, stated = match[1].rpartition("=")
        if not equals:
            raise MarkError(f"<<{match[1]}>>: no =")
        try:
            number(stated)
            tree = _expression(expression)
        except ValueError as error:
            raise MarkError(f"<<{match[1]}>>: {error}") from None
        marks.append(Mark(text[start : match.start()], tree, stated.strip()))
        start = match.end()
    return marks, text[start:]


def number(text: str) -> int | float:
    """A decimal number, thousands separators allowed.

    Raises:
        MarkError: the text is no decimal number of at most 40 characters and 2**53.

    Example:
        >>> number("1,250"), number(".5")
        (1250, 0.5)
    """
    plain = text.strip().replace(",", "").removeprefix("$")
    if len(plain) > 40 or not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)", plain):
        raise MarkError(f"{text[:60]!r} is no number")
    value = as_argument(float(plain)) if "." in plain else int(plain)
    if abs(value) > _MAX_NUMBER:
        raise MarkError(f"{plain} is too large")
    return value


def as_argument(value: int | float) -> int | float:
    """A whole number as an integer: 24.0 is sent as 24."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _expression(text: str) -> ast.expr:
    if len(text) > _MAX_EXPRESSION:
        raise MarkError(f"the expression is longer than {_MAX_EXPRESSION} characters")
    strange = _STRANGE.search(text)
    if strange:
        raise MarkError(f"{strange[0]!r} is no arithmetic")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise MarkError("no arithmetic expression") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if isinstance(node.value, bool) or not isinstance(node.value, int | float):
                raise MarkError(f"{ast.unparse(node)[:60]} is no number")
            if abs(node.value) > _MAX_NUMBER:
                raise MarkError("a number is too large")
        elif isinstance(node, ast.BinOp):
            if type(node.op) not in _BINARY:
                raise MarkError(f"no tool for the operator {type(node.op).__name__}")
        elif not isinstance(node, ast.UnaryOp | ast.operator | ast.unaryop):
            raise MarkError(f"{type(node).__name__} is no arithmetic")
    return tree


def operations(
    tree: ast.expr, known: Mapping[int | float, int | float]
) -> Generator[Operation, int | float, int | float]:
    """Walk an expression inside out: yield each operation, be sent its executed result, return the value.

    Three or more addends become one ``sum_numbers``; ``//`` becomes ``divide`` and ``floor``.

    Args:
        tree: the expression of a mark.
        known: numbers that stand for an earlier result which the text gives rounded, and that result unrounded.

    Raises:
        MarkError: an operator has no tool.

    Example:
        >>> marks, _ = split_marks("<<(2+3)*4=20>>")
        >>> steps = operations(marks[0].expression, {})
        >>> next(steps), steps.send(5)
        (Operation(tool='add', operands=(2, 3)), Operation(tool='multiply', operands=(5, 4)))
    """
    if isinstance(tree, ast.Constant):
        if not isinstance(tree.value, int | float):
            raise MarkError(f"{type(tree.value).__name__} is no number")
        literal = as_argument(tree.value)
        return known.get(literal, literal)
    if isinstance(tree, ast.UnaryOp):
        value: int | float = yield from operations(tree.operand, known)
        if isinstance(tree.op, ast.UAdd):
            return value
        if isinstance(tree.op, ast.USub):
            return -value
        raise MarkError(f"no tool for the operator {type(tree.op).__name__}")
    if not isinstance(tree, ast.BinOp):
        raise MarkError(f"{type(tree).__name__} is no arithmetic")
    addends = _addends(tree)
    if len(addends) > 2:
        values = []
        for addend in addends:
            values.append((yield from operations(addend, known)))  # noqa: PERF401 - a generator cannot yield inside
        total: int | float = yield Operation("sum_numbers", tuple(values))
        return total
    left = yield from operations(tree.left, known)
    right = yield from operations(tree.right, known)
    result: int | float = yield Operation(_BINARY[type(tree.op)], (left, right))
    if isinstance(tree.op, ast.FloorDiv):
        result = yield Operation("floor", (result,))
    return result


def _addends(tree: ast.expr) -> list[ast.expr]:
    """The terms of a chain of additions as written: ``a + b + c`` gives three."""
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add):
        return [*_addends(tree.left), *_addends(tree.right)]
    return [tree]
