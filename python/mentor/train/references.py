"""References of a user's dataset: whether their calls could be made, and whether they run."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from mentor.errors import DataError
from mentor.tools import ToolSet, call_batch

__all__ = ["EXECUTED", "check_references", "execute_references"]

EXECUTED = 200
"""Rows of a file whose references a dry run executes: a guest of their own each takes time."""

_AT_ONCE = 32


def check_references(rows: Iterable[Mapping[str, Any]], tools: ToolSet, *, where: str = "") -> None:
    """Check that each call of the references is one that the row offers, with arguments that fit; nothing runs.

    Args:
        rows: Rows of the rollout loop.
        tools: Their tools.
        where: Start of the message, the file's name.

    Raises:
        DataError: A call could not be made; the message names the task and the call.
    """
    for row in rows:
        for at, call in enumerate(row["reference"]["tool_calls"]):
            name, place = call["name"], f"{where}task {row['id']!r}: reference.tool_calls[{at}]"
            if name not in row["tools"]:
                close = difflib.get_close_matches(str(name)[:60], row["tools"], n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"it offers {', '.join(row['tools'])}"
                raise DataError(f"{place} calls {str(name)[:60]!r}, which the task does not offer; {hint}")
            if (fault := tools.misfit(name, call["arguments"])) is not None:
                raise DataError(f"{place}: {fault.message}")


def execute_references(rows: Sequence[Mapping[str, Any]], tools: ToolSet, *, where: str = "") -> int:
    """Execute what makes the tasks' state and then the references, each task in a session of its own.

    Args:
        rows: Rows of the rollout loop.
        tools: Their tools.
        where: Start of the message, the file's or the split's name.

    Returns:
        How many calls of references were made.

    Raises:
        DataError: A call fails; the message names the task and the call.
    """
    made = 0
    for start in range(0, len(rows), _AT_ONCE):
        with ExitStack() as open_sessions:
            calls, places = [], []
            for row in rows[start : start + _AT_ONCE]:
                session = open_sessions.enter_context(tools.session())
                wanted = row["reference"]["tool_calls"]
                made += len(wanted)
                for kind, part in (("meta.setup", row["setup"]), ("reference.tool_calls", wanted)):
                    for at, call in enumerate(part):
                        calls.append((session, call["name"], call["arguments"]))
                        places.append(f"{where}task {row['id']!r}: {kind}[{at}]: {call['name']}")
            for place, outcome in zip(places, call_batch(calls), strict=True):
                if outcome.fault is not None:
                    raise DataError(f"{place}: {outcome.fault.message}")
    return made
