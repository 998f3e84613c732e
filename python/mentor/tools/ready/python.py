"""A Python interpreter as a tool."""

from __future__ import annotations

from mentor.sandbox import Limits
from mentor.tools.ready import cells
from mentor.tools.toolset import ToolSet

__all__ = ["python"]


def python(*, guest: str | None = None, limits: Limits | None = None) -> ToolSet:
    r"""One tool, ``python``: cells that share their names for a rollout; what is printed and the last value come back.

    Errors of the code are no faults but text: the end of the traceback, after what was printed before. Limits that stop
    the code are faults.

    Args:
        guest: Which guest, such as ``sympy``, as for `mentor.Sandbox`; the built-in one has the standard library alone.
        limits: What one call may use; without it 10 seconds, 256 MB and 256 KB.

    Example:
        >>> tools = python()
        >>> tools.call("python", {"code": "x = 6\nprint('hi')\nx * 7"}).value
        'hi\n42'
        >>> tools.call("python", {"code": "1 / 0"}).value.splitlines()[-1]
        'ZeroDivisionError: division by zero'
    """
    limits = Limits(timeout_ms=10_000, memory_mb=256, output_kb=256) if limits is None else limits
    return ToolSet.from_functions([cells.python], limits=limits, guest=guest, check=False)
