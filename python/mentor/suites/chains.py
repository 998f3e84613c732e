"""Chains of arithmetic in words, with teacher references that a solver plans and executes.

A task names a start value and one to four operations; the twelve arithmetic tools are offered, four are needed. The
reference is what a perfect teacher does: one call per operation, each taking the result before it. Its values are not
computed here but by the tools themselves, through the ``call`` that the caller hands in (the sandbox, in training).

In domain and out of domain follow arXiv 2510.18383, section 4: the policy trains on one split and is judged on others,
each of which differs from it in exactly one thing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

from mentor.errors import InputError

__all__ = ["OPERATIONS", "SPLITS", "Reference", "Split", "Task", "ToolCall", "make_tasks", "reference_for"]

MAX_VALUE = 9_999
"""Largest value anywhere in a task; larger ones are drawn again."""


class ToolCall(TypedDict):
    """One call of a reference: the tool's name and its arguments by name."""

    name: str
    arguments: dict[str, Any]


class Reference(TypedDict):
    """What the teacher did: the final answer and the calls in order."""

    answer: str
    tool_calls: list[ToolCall]


class Task(TypedDict):
    """One dataset row; ``python -m mentor.train --dataset`` reads the same keys."""

    id: str
    prompt: str
    tools: list[str]
    reference: Reference


@dataclass(frozen=True, kw_only=True)
class Split:
    """What the tasks of a split look like.

    Attributes:
        depths: Numbers of operations, drawn evenly.
        low: Smallest operand.
        high: Largest operand of addition and subtraction, and of the start value.
    """

    depths: tuple[int, ...] = (1, 2, 3)
    low: int = 2
    high: int = 99


SPLITS: dict[str, Split] = {
    "in_domain": Split(),
    "ood_depth": Split(depths=(4,)),
    "ood_operands": Split(low=100, high=999),
}
"""The tiny preset's splits. ``ood_depth`` has one operation more, ``ood_operands`` one digit more, nothing else."""

OPERATIONS: dict[str, tuple[str, ...]] = {
    "add": ("add {n}", "plus {n}", "increase by {n}"),
    "subtract": ("subtract {n}", "minus {n}", "decrease by {n}"),
    "multiply": ("multiply by {n}", "times {n}"),
    "modulo": ("modulo {n}", "take the remainder by {n}"),
}
"""The tools that tasks need, each with its wordings."""

_FRAMES: tuple[tuple[str, str, str], ...] = (
    ("Start with {n}, ", ", then ", ". What is the result?"),
    ("Take {n}: ", "; ", ". Result?"),
    ("What is {n} ", ", ", "?"),
)


def reference_for(plan: list[tuple[str, int]], start: int, call: Callable[[str, dict[str, Any]], Any]) -> Reference:
    """Execute a plan the way a teacher would.

    Args:
        plan: Operations as (tool name, operand), in order.
        start: The value that the first operation takes.
        call: Runs one tool and returns its value.

    Returns:
        The calls with the arguments they were executed with, and the last value as the answer.

    Examples:
        >>> tools = {"add": lambda a, b: a + b, "multiply": lambda a, b: a * b}
        >>> reference_for([("add", 2), ("multiply", 3)], 5, lambda name, arguments: tools[name](**arguments))["answer"]
        '21'
    """
    value: Any = start
    calls: list[ToolCall] = []
    for name, operand in plan:
        arguments = {"a": value, "b": operand}
        calls.append({"name": name, "arguments": arguments})
        value = call(name, arguments)
    return {"answer": str(value), "tool_calls": calls}


def make_tasks(
    split: Split,
    count: int,
    *,
    seed: int,
    tools: list[str],
    call: Callable[[str, dict[str, Any]], Any],
    exclude: Collection[str] = (),
    prefix: str = "task",
) -> list[Task]:
    """Draw tasks of a split, each prompt at most once.

    Args:
        split: What to draw.
        count: How many tasks.
        seed: Seed of the draw; the same seed gives the same tasks.
        tools: Names of the tools that every task offers.
        call: Runs one tool and returns its value.
        exclude: Prompts that must not appear, for example those of another split.
        prefix: Start of the tasks' ids.

    Returns:
        ``count`` tasks.

    Raises:
        InputError: The split holds too few different tasks.
    """
    seen = set(exclude)
    tasks: list[Task] = []
    for prompt, plan, start in _draws(split, random.Random(f"{seed}-{split}"), limit=200 * count + 1_000):
        if len(tasks) == count:
            return tasks
        if prompt in seen:
            continue
        reference = reference_for(plan, start, call)
        values = [step["arguments"]["a"] for step in reference["tool_calls"]] + [float(reference["answer"])]
        if not all(0 <= value <= MAX_VALUE for value in values):
            continue
        seen.add(prompt)
        tasks.append({"id": f"{prefix}-{len(tasks)}", "prompt": prompt, "tools": list(tools), "reference": reference})
    raise InputError(f"split {split}: only {len(tasks)} different tasks found, {count} wanted")


def _draws(split: Split, rng: random.Random, *, limit: int) -> Iterator[tuple[str, list[tuple[str, int]], int]]:
    """Yield (prompt, plan, start) without end, but for ``limit``; values are not yet checked."""
    names = list(OPERATIONS)
    for _ in range(limit):
        start = rng.randint(split.low, split.high)
        plan = []
        for _ in range(rng.choice(split.depths)):
            name = rng.choice(names)
            high = {"multiply": 9, "modulo": 29}.get(name, split.high)
            low = {"multiply": 2, "modulo": 5}.get(name, split.low)
            plan.append((name, rng.randint(low, high)))
        opening, joint, ending = rng.choice(_FRAMES)
        words = [rng.choice(OPERATIONS[name]).format(n=operand) for name, operand in plan]
        yield opening.format(n=start) + joint.join(words) + ending, plan, start
