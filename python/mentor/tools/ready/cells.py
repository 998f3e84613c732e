"""The tool ``python``, as it runs in the guest: cells that share their names, as in a notebook."""

from __future__ import annotations

import ast
import contextlib
import io
import linecache
import sys
import traceback
import types
from typing import Any

__all__ = ["python"]

_MAX_RESULT = 20_000
_TRACEBACK_LINES = 12
_CELLS: dict[str, Any] = {}  # in the guest: the module of the cells, and how many there were


def python(code: str) -> str:
    """Run Python code in a sandbox, such as "import math" on one line and "math.comb(10, 3)" on the next: 120.

    Names stay for later calls. The standard library is there; third-party packages, files of the host and the network
    are not.

    Args:
        code: Python source. The value of a last expression is shown; print what else should be seen.

    Returns:
        What was printed, then the value of the last expression; or the end of the traceback.
    """
    module, filename = _next_cell(code)
    shown = _output()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        try:
            _execute(code, filename, module.__dict__)
        except SystemExit as exit:
            if exit.code not in (None, 0):
                shown.write(f"SystemExit: {exit.code}\n")
        except (Exception, KeyboardInterrupt, GeneratorExit) as error:  # noqa: BLE001
            shown.keep(_last_lines(error))
    return shown.result() or "(no output)"


def _next_cell(code: str) -> tuple[types.ModuleType, str]:
    """The module that cells share, and the next cell's name in tracebacks."""
    if not _CELLS:
        # Its own, so that a cell's names and the tool's do not meet; pickle and dataclasses look classes up there.
        _CELLS["module"] = sys.modules["__main__"] = types.ModuleType("__main__")
        _CELLS["count"] = 0
    _CELLS["count"] += 1
    filename = f"<cell {_CELLS['count']}>"
    linecache.cache[filename] = (len(code), None, code.splitlines(True), filename)
    return _CELLS["module"], filename


def _execute(code: str, filename: str, names: dict[str, Any]) -> None:
    tree = ast.parse(code, filename)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, filename, "exec", dont_inherit=True), names)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), filename, "eval", dont_inherit=True), names)
        if value is not None:
            names["_"] = value
            print(repr(value))  # noqa: T201


def _output() -> Any:
    """A stream that keeps the first and the last that is printed, so that endless printing takes no memory."""

    class Output(io.TextIOBase):
        def __init__(self) -> None:
            self.head = io.StringIO()
            self.tail = ""
            self.left_out = 0
            self.room = _MAX_RESULT // 2

        def writable(self) -> bool:
            return True

        def write(self, text: str) -> int:
            if type(text) is not str:
                raise TypeError(f"write() argument must be str, not {type(text).__name__}")
            kept = text[: self.room]
            self.head.write(kept)
            self.room -= len(kept)
            if len(kept) < len(text):
                self.tail += text[len(kept) :]
                if len(self.tail) > 2 * _MAX_RESULT:
                    self._cut()
            return len(text)

        def _cut(self) -> None:
            more = max(0, len(self.tail) - _MAX_RESULT // 2)
            self.left_out += more
            self.tail = self.tail[more:]

        def keep(self, text: str) -> None:
            head = self.head.getvalue()
            self.write(text if not head or head.endswith("\n") or self.tail else "\n" + text)

        def result(self) -> str:
            self._cut()
            middle = f"\n... {self.left_out} characters left out ...\n" if self.left_out else ""
            return (self.head.getvalue() + middle + self.tail).removesuffix("\n")

    return Output()


def _last_lines(error: BaseException) -> str:
    """The end of a traceback, from the first cell's frame on."""
    frames = error.__traceback__
    while frames is not None and not frames.tb_frame.f_code.co_filename.startswith("<cell "):
        frames = frames.tb_next
    try:
        text = "".join(traceback.format_exception(type(error), error, frames))
    # A program's own exceptions may do anything.
    except Exception as broken:  # noqa: BLE001
        return f"{type(error).__name__} (without a message: {type(broken).__name__})\n"
    lines = text.splitlines()
    cut = lines if len(lines) <= _TRACEBACK_LINES else ["...", *lines[-_TRACEBACK_LINES:]]
    return "\n".join(line if len(line) <= 1_000 else line[:997] + "..." for line in cut) + "\n"
