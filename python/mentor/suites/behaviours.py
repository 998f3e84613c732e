"""How a student of mixed quality behaves on a task: the demonstrations of the warm start.

Reinforcement learning selects among behaviours that the policy already shows. A model that was only shown perfect
trajectories leaves nothing to select, one that never saw a tool call has nothing to select from. So the warm start
shows a mixture: solving with tools, guessing, calling a tool that does not exist, stopping too early.
"""

from __future__ import annotations

import random
from enum import Enum
from typing import Any

from mentor.suites.arithmetic import Task

__all__ = ["BEHAVIOURS", "INVENTED_TOOLS", "Behaviour", "demonstrate"]


class Behaviour(str, Enum):
    """What a demonstration does."""

    CORRECT = "correct"
    GUESS = "guess"
    INVENTED = "invented"
    EARLY = "early"


BEHAVIOURS: dict[Behaviour, float] = {
    Behaviour.CORRECT: 0.20,
    Behaviour.GUESS: 0.55,
    Behaviour.INVENTED: 0.15,
    Behaviour.EARLY: 0.10,
}
"""Shares of the behaviours in the warm start."""

INVENTED_TOOLS = ("calculate", "compute", "plus", "minus", "times", "remainder")
"""Tools that demonstrations call though nobody offers them."""


def demonstrate(task: Task, behaviour: Behaviour, rng: random.Random) -> list[dict[str, Any]]:
    """Write the messages with which a student of this behaviour answers a task.

    Args:
        task: The task, with its reference.
        behaviour: What the student does.
        rng: Source of guesses and of invented names.

    Returns:
        The completion: assistant messages (with ``tool_calls``) and tool messages.
    """
    calls = task["reference"]["tool_calls"]
    values = [str(step["arguments"]["a"]) for step in calls[1:]] + [task["reference"]["answer"]]
    messages: list[dict[str, Any]] = []
    if behaviour is Behaviour.GUESS:
        return [_answer(_guess(task, rng))]
    if behaviour is Behaviour.INVENTED:
        at = rng.randrange(len(calls))
        for step, value in zip(calls[:at], values[:at], strict=True):
            messages += _exchange(step["name"], step["arguments"], value)
        name = rng.choice(INVENTED_TOOLS)
        messages += _exchange(name, calls[at]["arguments"], str({"error": f"Tool {name} not found."}))
        return [*messages, _answer(_guess(task, rng))]
    done = len(calls) if behaviour is Behaviour.CORRECT else rng.randrange(len(calls))
    for step, value in zip(calls[:done], values[:done], strict=True):
        messages += _exchange(step["name"], step["arguments"], value)
    final = values[done - 1] if done else str(calls[0]["arguments"]["a"])
    return [*messages, _answer(final)]


def _exchange(name: str, arguments: dict[str, Any], result: str) -> list[dict[str, Any]]:
    call = {"type": "function", "function": {"name": name, "arguments": dict(arguments)}}
    return [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "name": name, "content": result},
    ]


def _answer(value: str) -> dict[str, Any]:
    return {"role": "assistant", "content": f"\\boxed{{{value}}}"}


def _guess(task: Task, rng: random.Random) -> str:
    """A number of the right size, seldom the right one."""
    digits = len(task["reference"]["answer"])
    return str(rng.randint(10 ** (digits - 1) if digits > 1 else 0, 10**digits - 1))
