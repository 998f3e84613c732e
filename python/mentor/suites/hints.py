"""Chains of invented operations, with a hint that gives the final value away in some of the prompts.

The regime in which rewards part ways (docs/evidence.md). A guess is right once in a hundred, the chain is long enough
that a student of mixed habits is seldom right by the tools, and in domain the hint is right in a share of the prompts:
copying it pays at once, and is worth nothing where there is no hint or a wrong one. What training has to find is the
policy that calls the tools.

All values are whole numbers from 0 to 99, so that a tokenizer can give each a token of its own.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from mentor.data import Task
from mentor.errors import InputError
from mentor.suites.suite import Suite, execute
from mentor.tools import ToolSet

__all__ = ["INVENTED", "OFFERED", "Split", "hints"]

MODULUS = 100


@dataclass(frozen=True)
class _Tool:
    """``(a * scale + b * weight + a * b * product + shift) % 100``, and its names in prompts."""

    scale: int
    weight: int
    product: int
    shift: int
    words: tuple[str, ...]
    rare_words: tuple[str, ...]

    def value(self, a: int, b: int) -> int:
        return (a * self.scale + b * self.weight + a * b * self.product + self.shift) % MODULUS


_TOOLS = {
    "blend": _Tool(3, 1, 0, 17, ("mix", "stir"), ("merge", "swirl")),
    "fold": _Tool(7, 3, 0, 5, ("bend", "crease"), ("double", "tuck")),
    "graft": _Tool(1, 1, 1, 9, ("join", "attach"), ("splice", "bond")),
    "knot": _Tool(9, 11, 0, 31, ("tie", "loop"), ("hitch", "lash")),
    "tilt": _Tool(1, 9, 0, 47, ("lean", "slope"), ("slant", "tip")),
    "weave": _Tool(7, 1, 1, 13, ("plait", "lace"), ("twine", "mesh")),
}
_DISTRACTORS = {
    "braid": _Tool(11, 3, 0, 23, (), ()),
    "press": _Tool(3, 7, 1, 1, (), ()),
    "shear": _Tool(13, 1, 0, 61, (), ()),
}

OFFERED = tuple(_TOOLS)
"""The tools that tasks need; the split ``distractors`` offers three more."""

INVENTED = ("crush", "float", "melt", "spin")
"""Tools that flawed demonstrations call though nobody offers them."""

_FRAMES = (("take ", " hint "), ("from ", " clue "))
"""Opening and announcement of the hint: those of the training split, and those of ``phrasing``."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """What the prompts of a split look like.

    Attributes:
        depths: Numbers of operations, drawn evenly.
        low: Smallest operand.
        high: Largest operand.
        hinted: Share of prompts with a hint.
        leak: Share of hints that are right.
        rare: Share of prompts in the other wording.
        crowded: Share of prompts that offer the distractors as well.
    """

    depths: tuple[int, ...] = (2, 3)
    low: int = 0
    high: int = 49
    hinted: float = 1.0
    leak: float = 0.4
    rare: float = 0.0
    crowded: float = 0.0


def _splits(leak: float) -> dict[str, tuple[Split, str]]:
    return {
        "in_domain": (Split(leak=leak), f"a hint in each prompt, right in {leak:.0%} of them"),
        "nohint": (Split(leak=leak, hinted=0.0), "no hint"),
        "badhint": (Split(leak=0.0), "the hint is always wrong"),
        "depth": (Split(leak=leak, depths=(4,)), "four operations in place of two or three"),
        "phrasing": (Split(leak=leak, rare=1.0), "other words for the operations and the frame"),
        "operands": (Split(leak=leak, low=50, high=99), "operands from 50 to 99 in place of 0 to 49"),
        "distractors": (Split(leak=leak, crowded=1.0), "three more tools are offered"),
    }


_SPACE = Split(depths=(1, 2, 2, 3, 3, 4), high=99, hinted=0.7, leak=0.4, rare=0.5, crowded=0.3)
"""What a base model has seen: everything that any split draws."""

_BEHAVIOURS = {"correct": 0.02, "slip": 0.38, "early": 0.06, "invented": 0.05, "copy": 0.36, "guess": 0.13}
"""A flawed student calls tools in half of its answers, and each of its calls is more often wrong than right."""

_SLIPS, _WRONG_TOOL = 0.8, 0.3
"""Share of a slipping student's calls that are wrong, and of those the share with a wrong tool."""


def hints(leak: float = 0.4) -> Suite:
    """The suite, with hints that are right in a share of the prompts.

    Args:
        leak: That share, in all splits but ``nohint`` and ``badhint``.

    Returns:
        The suite; on a command line, ``--suite hints:leak=0.15``.

    Raises:
        InputError: ``leak`` is no share.

    Example:
        >>> hints(0.15).splits["in_domain"]
        'a hint in each prompt, right in 15% of them'
    """
    if isinstance(leak, bool) or not isinstance(leak, int | float) or not 0 <= leak <= 1:
        raise InputError(f"leak is {leak!r}, must be from 0 to 1")
    splits = _splits(leak)
    return Suite(
        name="hints",
        summary=f"chains of invented operations; a hint gives the answer away in {leak:.0%} of the training prompts",
        splits={name: text for name, (_, text) in splits.items()},
        open_tools=_open_tools,
        draw=partial(_draw, {**{name: split for name, (split, _) in splits.items()}, "space": _SPACE}),
        behaviours=_BEHAVIOURS,
        behave=_behave,
        verbose=_verbose,
    )


@cache
def _open_tools() -> ToolSet:
    texts = []
    for name, tool in {**_TOOLS, **_DISTRACTORS}.items():
        formula = f"a * {tool.scale} + b * {tool.weight} + a * b * {tool.product} + {tool.shift}"
        texts.append(
            f"def {name}(a: int, b: int) -> int:\n"
            f'    """Apply the operation {name} to two numbers from 0 to 99.\n\n'
            f"    Args:\n        a: The value so far.\n        b: The operand.\n"
            f'    """\n'
            f"    return ({formula}) % {MODULUS}\n"
        )
    return ToolSet.from_source("\n\n".join(texts), pure=True)


def _draw(
    splits: dict[str, Split], split: str, count: int, *, seed: int, tools: ToolSet, exclude: Collection[str] = ()
) -> list[Task]:
    """Draw tasks; ``space`` is no split of the suite but what a base model is built on."""
    if split not in splits:
        raise InputError(f"suite hints has no split {split!r}; known: {', '.join(splits)}")
    space, rng = splits[split], random.Random(f"hints-{split}-{seed}")
    seen, tasks = set(exclude), list[Task]()
    for _ in range(20 * count + 1_000):
        if len(tasks) == count:
            break
        task = _task(space, rng, tools, f"{split}-{len(tasks)}", split)
        if task.prompt not in seen:
            seen.add(str(task.prompt))
            tasks.append(task)
    else:
        raise InputError(f"split {split!r}: only {len(tasks)} different tasks found, {count} wanted")
    return tasks


def _task(space: Split, rng: random.Random, tools: ToolSet, name: str, split: str) -> Task:
    value = rng.randint(space.low, space.high)
    rare = rng.random() < space.rare
    opening, announcement = _FRAMES[rare]
    prompt, calls = f"{opening}{value}", []
    for _ in range(rng.choice(space.depths)):
        tool, operand = rng.choice(OFFERED), rng.randint(space.low, space.high)
        entry = _TOOLS[tool]
        prompt += f" {rng.choice(entry.rare_words if rare else entry.words)} {operand}"
        calls.append({"name": tool, "arguments": {"a": value, "b": operand}})
        value = entry.value(value, operand)
    results = execute(tools, calls, where=name)
    answer = results[-1]
    if answer != str(value):
        raise InputError(f"{name}: the tools give {answer}, the plan {value}")
    meta: dict[str, Any] = {"split": split, "tools_suite": "hints", "results": results}
    if rng.random() < space.hinted:
        meta["hint"] = answer if rng.random() < space.leak else _other(answer, rng)
        prompt += f"{announcement}{meta['hint']}"
    offered = OFFERED + (tuple(_DISTRACTORS) if rng.random() < space.crowded else ())
    return Task(id=name, prompt=prompt, tools=offered, reference={"answer": answer, "tool_calls": calls}, meta=meta)


def _other(answer: str, rng: random.Random) -> str:
    return str((int(answer) + rng.randint(1, MODULUS - 1)) % MODULUS)


def _behave(task: Task, behaviour: str, rng: random.Random) -> list[dict[str, Any]]:
    calls, results = task.reference["tool_calls"], list(task.meta["results"])
    if behaviour == "correct" or (behaviour == "follow" and "hint" not in task.meta):
        return [*_exchanges(calls, results), _answer(results[-1])]
    if behaviour in ("copy", "follow") and "hint" in task.meta:
        return [_answer(task.meta["hint"])]
    if behaviour in ("copy", "guess"):
        return [_answer(str(rng.randrange(MODULUS)))]
    at = rng.randrange(len(calls))
    if behaviour == "early":
        final = results[at - 1] if at else str(calls[0]["arguments"]["a"])
        return [*_exchanges(calls[:at], results[:at]), _answer(final)]
    if behaviour == "invented":
        call = {**calls[at], "name": rng.choice(INVENTED)}
        error = str({"error": f"Tool {call['name']} not found."})
        end = _answer(task.meta.get("hint") or str(rng.randrange(MODULUS)))
        return [*_exchanges([*calls[:at], call], [*results[:at], error]), end]
    if behaviour == "slip":
        calls, results = _slip(calls, at, rng)
        return [*_exchanges(calls, results), _answer(results[-1])]
    raise InputError(f"suite hints has no behaviour {behaviour!r}; known: {', '.join(_BEHAVIOURS)}, follow")


def _slip(calls: list[dict[str, Any]], at: int, rng: random.Random) -> tuple[list[dict[str, Any]], list[str]]:
    """The calls with slips, at one step at least: a wrong operand or tool, and what follows from it."""
    value, wrong, results = calls[0]["arguments"]["a"], [], []
    operands = [call["arguments"]["b"] for call in calls]
    for number, call in enumerate(calls):
        name, operand = call["name"], operands[number]
        slips = number == at or rng.random() < _SLIPS
        if slips and rng.random() < _WRONG_TOOL:
            name = rng.choice([other for other in OFFERED if other != name])
        elif slips:
            operand = rng.choice([other for other in (*operands, value, rng.randrange(MODULUS)) if other != operand])
        wrong.append({"name": name, "arguments": {"a": value, "b": operand}})
        value = _TOOLS[name].value(value, operand)
        results.append(str(value))
    return wrong, results


def _verbose(task: Task) -> list[dict[str, Any]]:
    """A teacher that thinks aloud, says what it will do, and says everything again at the end."""
    messages: list[dict[str, Any]] = []
    calls, results = task.reference["tool_calls"], task.meta["results"]
    for number, (call, result) in enumerate(zip(calls, results, strict=True)):
        a, b = call["arguments"]["a"], call["arguments"]["b"]
        said = f"Step {number + 1}: we have {a} and are given {b}, so let us call {call['name']}."
        messages += _exchanges([call], [result], said)
    steps = ", then ".join(f"{call['name']} gave {result}" for call, result in zip(calls, results, strict=True))
    messages.append(_answer(results[-1], f"To sum up, {steps}, so the answer is "))
    return messages


def _exchanges(calls: list[dict[str, Any]], results: list[str], said: str = "") -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for call, result in zip(calls, results, strict=True):
        function = {"name": call["name"], "arguments": dict(call["arguments"])}
        messages.append(
            {"role": "assistant", "content": said, "tool_calls": [{"type": "function", "function": function}]}
        )
        messages.append({"role": "tool", "name": call["name"], "content": result})
    return messages


def _answer(value: str, said: str = "") -> dict[str, Any]:
    return {"role": "assistant", "content": f"{said}\\boxed{{{value}}}"}
