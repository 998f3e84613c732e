"""Chains of arithmetic in words, with the twelve tools of arXiv 2510.18383, in domain and out of domain.

The policy trains on one split and is judged on others, each of which differs from it in one thing (section 4 of the
paper). References are what a perfect teacher does: one call per operation, each taking the result before it.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import mentor.tools
from mentor.data import Task
from mentor.suites.behaviours import BEHAVIOURS, behave, commuted, verbose
from mentor.suites.drafts import Draft, finish
from mentor.suites.operations import OPERATIONS, Chain, one_by_one, plan_chain
from mentor.suites.suite import Suite, check_split
from mentor.tools import ToolSet

__all__ = ["HELD_OUT", "OFFERED", "arithmetic"]

OFFERED = 6
"""Tools that a task offers, of the twelve: those it needs and some that it does not."""

HELD_OUT: frozenset[frozenset[str]] = frozenset(
    map(
        frozenset,
        (
            ("add", "modulo"),
            ("subtract", "multiply"),
            ("multiply", "sqrt"),
            ("divide", "power"),
            ("sum_numbers", "divide"),
            ("abs_value", "add"),
        ),
    )
)
"""Pairs of tools that no task needs together but those of the split ``combinations``."""

_FIRST_ONLY = {"floor": "divide", "ceil": "divide", "round_number": "divide", "abs_value": "subtract"}
"""Operations that stand first or right after another one, which alone gives them what they take."""

_FRAMES = (
    ("Start with {n}, ", ", then ", ". What is the result?"),
    ("Take {n}: ", "; ", ". Result?"),
    ("What is {n}, ", ", ", "?"),
)
_OTHER_FRAMES = (
    ("Here is {n}. Now ", " and next ", ". What do you get?"),
    ("From {n}: ", " - after that ", ". Answer?"),
)


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What the tasks of a split look like; the defaults are in domain."""

    summary: str
    depths: tuple[int, ...] = (1, 2, 3)
    low: int = 2
    high: int = 99
    largest: int = 9_999
    reworded: bool = False
    held_out: bool = False
    runs: bool = False
    offered: int = OFFERED
    hint: bool = False


_IN_DOMAIN = _Kind(summary="1 to 3 operations, operands up to 99, 6 of the 12 tools offered")
_SPLITS: dict[str, _Kind] = {
    "in_domain": _IN_DOMAIN,
    "depth": replace(_IN_DOMAIN, summary="4 operations", depths=(4,)),
    "operands": replace(_IN_DOMAIN, summary="operands of three digits", low=100, high=999, largest=999_999),
    "phrasing": replace(_IN_DOMAIN, summary="every wording is another one", reworded=True),
    "combinations": replace(
        _IN_DOMAIN,
        summary="2 or 3 operations, two of which never occur together in domain",
        depths=(2, 3),
        held_out=True,
    ),
    "paths": replace(_IN_DOMAIN, summary="additions in a row: one sum_numbers or many adds", runs=True),
    "distractors": replace(_IN_DOMAIN, summary="all 12 tools offered", offered=len(OPERATIONS)),
    "hint": replace(_IN_DOMAIN, summary="the prompt ends with a hint, which is wrong", hint=True),
}

_SHARES = {kind.value: share for kind, share in BEHAVIOURS.items()}


def arithmetic() -> Suite:
    """Chains of arithmetic in words, for models of any size.

    Example:
        >>> suite = arithmetic()
        >>> tools = suite.open_tools()
        >>> task = suite.draw("in_domain", 1, seed=1, tools=tools, exclude=())[0]
        >>> task.prompt, task.reference["answer"]
        ('Take -25: absolute value; over 5. Result?', '5.0')
    """
    return Suite(
        name="arithmetic",
        summary="chains of arithmetic in words",
        splits={name: kind.summary for name, kind in _SPLITS.items()},
        open_tools=mentor.tools.arithmetic,
        draw=_draw,
        behaviours=_SHARES,
        behave=behave,
        verbose=lambda task: verbose(task, again=commuted),
    )


def _draw(split: str, count: int, *, seed: int, tools: ToolSet, exclude: Collection[str]) -> list[Task]:
    check_split("arithmetic", _SPLITS, split)
    drafts = _drafts(_SPLITS[split], random.Random(f"arithmetic-{split}-{seed}"))
    return finish(drafts, count, suite="arithmetic", split=split, seed=seed, tools=tools, exclude=exclude)


def _drafts(kind: _Kind, rng: random.Random) -> Iterator[Draft]:
    while True:
        depth, chain = rng.choice(kind.depths), None
        while chain is None:
            names = tuple(rng.choices(list(OPERATIONS), k=depth))
            if _fits(names, kind):
                chain = plan_chain(rng, names, low=kind.low, high=kind.high, largest=kind.largest)
        yield _draft(chain, kind, rng)


def _fits(names: tuple[str, ...], kind: _Kind) -> bool:
    """Whether a split has tasks of these operations; in domain only one way leads to the answer."""
    for before, after in pairwise(names):
        if before == after == "add" or _FIRST_ONLY.get(after, before) != before or {before, after} == {"power", "sqrt"}:
            return False
    needed = set(names) | ({"add"} if kind.runs else set())
    if kind.runs:
        # The additions are worded one by one; nothing else may be a sum.
        if names.count("sum_numbers") != 1 or "add" in names:
            return False
    elif {"add", "sum_numbers"} <= needed or names.count("sum_numbers") > 1:
        return False
    return any(pair <= needed for pair in HELD_OUT) == kind.held_out


def _draft(chain: Chain, kind: _Kind, rng: random.Random) -> Draft:
    prompt, meta = _prompt(chain, kind, rng), {}
    if kind.hint:
        hint = _wrong(chain, rng)
        prompt += f" Hint: {hint}."
        meta["hint"] = hint
    needed = {step.tool for step in chain.steps} | ({"add"} if kind.runs else set())
    others = (one_by_one(chain), one_by_one(chain, turned=True)) if kind.runs else ()
    tools = _offered(needed, kind.offered, rng)
    return Draft(prompt=prompt, tools=tools, solve=chain.solve, others=others, meta=meta)


def _offered(needed: set[str], count: int, rng: random.Random) -> tuple[str, ...]:
    """The tools that a task offers, in the tools' order; of two ways to add, the one that it needs."""
    offered = set(needed)
    for name in rng.sample(list(OPERATIONS), len(OPERATIONS)):
        other = {"add": "sum_numbers", "sum_numbers": "add"}.get(name)
        if len(offered) < count and (other not in offered or count == len(OPERATIONS)):
            offered.add(name)
    return tuple(name for name in OPERATIONS if name in offered)


def _prompt(chain: Chain, kind: _Kind, rng: random.Random) -> str:
    opening, joint, ending = rng.choice(_OTHER_FRAMES if kind.reworded else _FRAMES)
    words = []
    for step in chain.steps:
        if kind.runs and step.tool == "sum_numbers":
            words += [rng.choice(OPERATIONS["add"].words).format(n=number) for number in step.operands]
            continue
        operation = OPERATIONS[step.tool]
        form = rng.choice(operation.others if kind.reworded else operation.words)
        words.append(form.format(n=_listed(step.operands)))
    start = float(chain.start) if chain.start != int(chain.start) else int(chain.start)
    return opening.format(n=start) + joint.join(words) + ending


def _listed(numbers: tuple[int, ...]) -> str:
    *first, last = map(str, numbers or ("",))
    return f"{', '.join(first)} and {last}" if first else last


def _wrong(chain: Chain, rng: random.Random) -> str:
    """A whole number about as large as the result, and another one."""
    digits = len(str(int(chain.result)))
    low, high = (0 if digits == 1 else 10 ** (digits - 1)), 10**digits - 1
    return str(rng.choice([number for number in (rng.randint(low, high) for _ in range(9)) if number != chain.result]))
