"""How a student of mixed quality behaves on a task, and how a long-winded teacher does.

Reinforcement learning selects among behaviours that the policy already shows. A model that was only shown perfect
trajectories leaves nothing to select, one that never saw a tool call has nothing to select from. So the warm start
shows a mixture: solving with tools, guessing, calling a tool that does not exist, stopping too early.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from mentor.data import Task
from mentor.errors import InputError

__all__ = [
    "BEHAVIOURS",
    "INVENTED_TOOLS",
    "Behaviour",
    "answer",
    "behave",
    "commuted",
    "exchange",
    "verbose",
]


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


def behave(task: Task, behaviour: str, rng: random.Random) -> list[dict[str, Any]]:
    """Write the messages with which a student of this behaviour answers a task.

    Args:
        task: The task, with its reference and the results of its calls (``meta["results"]``).
        behaviour: What the student does, a key of ``BEHAVIOURS``.
        rng: Source of guesses and of invented names.

    Returns:
        The completion: assistant messages (with ``tool_calls``) and tool messages.

    Raises:
        InputError: There is no such behaviour.
    """
    try:
        kind = Behaviour(behaviour)
    except ValueError:
        names = ", ".join(each.value for each in Behaviour)
        raise InputError(f"unknown behaviour {behaviour!r}; known are {names}") from None
    calls, results = task.reference["tool_calls"], task.meta["results"]
    messages: list[dict[str, Any]] = []
    if kind is Behaviour.GUESS or not calls:
        return [answer(_guess(str(task.reference["answer"]), rng))]
    done = len(calls) if kind is Behaviour.CORRECT else rng.randrange(len(calls))
    for call, result in zip(calls[:done], results[:done], strict=True):
        messages += exchange(call["name"], call["arguments"], result)
    if kind is Behaviour.CORRECT:
        return [*messages, answer(str(task.reference["answer"]))]
    if kind is Behaviour.EARLY:
        return [*messages, answer(results[done - 1] if done else _first(calls[0]["arguments"]))]
    name = rng.choice(INVENTED_TOOLS)
    messages += exchange(name, calls[done]["arguments"], str({"error": f"Tool {name} not found."}))
    return [*messages, answer(_guess(str(task.reference["answer"]), rng))]


def verbose(task: Task, *, again: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]) -> list[dict[str, Any]]:
    """Write a teacher's long-winded trajectory: it says what it does, and does it twice.

    Args:
        task: The task, with its reference and the results of its calls.
        again: The call that checks another one, with the same result; ``None`` where there is none.

    Returns:
        The completion, with the right answer.
    """
    rng = random.Random(f"verbose-{task.prompt}")
    messages: list[dict[str, Any]] = []
    calls, results = task.reference["tool_calls"], task.meta["results"]
    for number, (call, result) in enumerate(zip(calls, results, strict=True), 1):
        text = rng.choice(_BEFORE).format(number=number, tool=call["name"])
        messages += exchange(call["name"], call["arguments"], result, text=text)
        if check := again(call):
            messages += exchange(check["name"], check["arguments"], result, text=rng.choice(_CHECKS))
    return [*messages, answer(str(task.reference["answer"]), text=rng.choice(_AFTER))]


_BEFORE = (
    "Let me think about this step by step. For step {number} I will use {tool}.",
    "Alright, step {number}. The right tool for this is {tool}, so I call it now.",
    "Next comes step {number} of my plan, and I need {tool} for it.",
)
_CHECKS = (
    "Let me double-check that before I go on.",
    "To be on the safe side I compute the same once more.",
    "I want to verify this result first.",
)
_AFTER = (
    "Both computations agree, so I am confident. The final answer is",
    "Everything checks out. After all these steps the answer is",
)


def commuted(call: Mapping[str, Any]) -> dict[str, Any]:
    """The same call of an arithmetic tool, with its arguments the other way round where their order does not matter."""
    arguments = dict(call["arguments"])
    if call["name"] in ("add", "multiply"):
        arguments = {"a": arguments["b"], "b": arguments["a"]}
    elif call["name"] == "sum_numbers":
        arguments = {"numbers": arguments["numbers"][::-1]}
    return {"name": call["name"], "arguments": arguments}


def exchange(name: str, arguments: Mapping[str, Any], result: str, *, text: str = "") -> list[dict[str, Any]]:
    """An assistant message with one call, and the tool message that answers it."""
    call = {"type": "function", "function": {"name": name, "arguments": dict(arguments)}}
    return [
        {"role": "assistant", "content": text, "tool_calls": [call]},
        {"role": "tool", "name": name, "content": result},
    ]


def answer(value: str, *, text: str = "") -> dict[str, Any]:
    """The last assistant message."""
    return {"role": "assistant", "content": f"{text} \\boxed{{{value}}}".strip()}


def _first(arguments: Mapping[str, Any]) -> str:
    """What a student says who did nothing: the first thing that it read."""
    value = next(iter(arguments.values()), "")
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if value else ""
    return value if isinstance(value, str) else json.dumps(value)


def _guess(right: str, rng: random.Random) -> str:
    """A number of the right size, seldom the right one; for words, a word."""
    if not re.fullmatch(r"-?\d+(\.\d+)?", right):
        return rng.choice(_WORDS)
    digits = len(right.lstrip("-").split(".")[0])
    return str(rng.randint(10 ** (digits - 1) if digits > 1 else 0, 10**digits - 1))


_WORDS = ("Monday", "Wednesday", "Friday", "January", "April", "October", "yes", "none", "unknown")
