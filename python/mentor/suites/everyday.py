"""Dates, words and measures: chains of everyday steps over three suites of tools."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mentor.tools
from mentor.data import Task
from mentor.errors import InputError
from mentor.suites.behaviours import BEHAVIOURS, behave, verbose
from mentor.suites.drafts import Draft, Solve, finish
from mentor.suites.skills import SKILLS, Era, Skill, Taken, any_date, written
from mentor.suites.suite import Suite, check_split
from mentor.tools import ToolSet

__all__ = ["everyday"]

_OFFERED = 8
"""Tools that a task offers: those it needs and some that it does not."""

_HELD_OUT = frozenset({("dates", "text"), ("units", "dates")})
"""Steps of one family right after another one's, which only the split ``combinations`` has."""

_NOUNS = (
    "strawberry", "mississippi", "balloon", "committee", "bookkeeper", "pineapple", "cinnamon", "alphabet", "banana",
    "coconut", "elephant", "grasshopper", "harmonica", "kangaroo", "lollipop", "marmalade", "tennessee", "umbrella",
    "village", "zeppelin", "waterfall", "pepper", "raccoon", "saxophone",
)  # fmt: skip
_SUBJECTS = ("the old sailor", "a small bird", "my neighbour", "the tall gardener", "our teacher", "the quiet cook")
_VERBS = ("carried", "painted", "found", "counted", "sold", "kept")
_OBJECTS = ("three red apples", "a wooden chair", "two letters", "the blue kite", "some warm bread", "an empty box")
_PLACES = ("near the harbour", "before noon", "behind the mill", "in the rain", "on the bridge", "without a word")

_FRAMES = (
    (("Take {x}, ", ", then ", ". What is the result?"), ("Start with {x}: ", "; ", ". Result?")),
    (("Here is {x}. Now ", " and next ", ". What do you get?"), ("From {x}: ", " - after that ", ". Answer?")),
)


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What the tasks of a split look like; the defaults are in domain."""

    summary: str
    depths: tuple[int, ...] = (1, 2, 3)
    era: Era = field(default_factory=Era)
    offered: int | None = _OFFERED
    reworded: bool = False
    held_out: bool = False


_IN_DOMAIN = _Kind(summary="1 to 3 steps, dates of 2024 to 2029, numbers up to 60, 8 tools offered")
_SPLITS: dict[str, _Kind] = {
    "in_domain": _IN_DOMAIN,
    "depth": replace(_IN_DOMAIN, summary="4 steps", depths=(4,)),
    "operands": replace(
        _IN_DOMAIN, summary="dates of 1900 to 1999, numbers of 100 to 900", era=Era(years=(1900, 1999), span=(100, 900))
    ),
    "phrasing": replace(_IN_DOMAIN, summary="every wording is another one", reworded=True),
    "combinations": replace(
        _IN_DOMAIN,
        summary="2 or 3 steps, two of which never follow each other in domain",
        depths=(2, 3),
        held_out=True,
    ),
    "distractors": replace(_IN_DOMAIN, summary="all 26 tools offered", offered=None),
}


def everyday() -> Suite:
    """Dates, words and measures, with the tools of ``mentor.tools.dates``, ``text`` and ``units``.

    Example:
        >>> suite = everyday()
        >>> task = suite.draw("in_domain", 1, seed=0, tools=suite.open_tools(), exclude=())[0]
        >>> len(task.tools)
        8
    """
    return Suite(
        name="everyday",
        summary="dates, words and measures: chains of steps over three suites of tools",
        splits={name: kind.summary for name, kind in _SPLITS.items()},
        open_tools=_open,
        draw=_draw,
        behaviours={kind.value: share for kind, share in BEHAVIOURS.items()},
        behave=behave,
        verbose=lambda task: verbose(task, again=_again),
    )


def _open() -> ToolSet:
    return mentor.tools.dates(now="2026-03-05") + mentor.tools.text() + mentor.tools.units()


def _again(call: Mapping[str, Any]) -> Mapping[str, Any]:
    return call


def _draw(split: str, count: int, *, seed: int, tools: ToolSet, exclude: Collection[str]) -> list[Task]:
    check_split("everyday", _SPLITS, split)
    drafts = _drafts(_SPLITS[split], random.Random(f"everyday-{split}-{seed}"), tools.names)
    return finish(drafts, count, suite="everyday", split=split, seed=seed, tools=tools, exclude=exclude)


def _drafts(kind: _Kind, rng: random.Random, known: list[str]) -> Iterator[Draft]:
    while True:
        depth, skills = rng.choice(kind.depths), None
        while skills is None:
            skills = _skills(rng, depth, kind)
        yield _draft(skills, kind, rng, known)


def _skills(rng: random.Random, depth: int, kind: _Kind) -> list[Skill] | None:
    """A chain in which each step takes what the one before gives, and whose end a judge can compare."""
    takes = rng.choice(("written", "date", "date", "word", "sentence", "number"))
    chain: list[Skill] = []
    for _ in range(depth):
        before = chain[-1] if chain else None
        fitting = [skill for skill in SKILLS if skill.takes == takes and _may_follow(before, skill)]
        if not fitting:
            return None
        chain.append(rng.choice(fitting))
        takes = chain[-1].gives
    if takes in ("date", "sentence"):
        return None
    held_out = any((one.family, two.family) in _HELD_OUT for one, two in pairwise(chain))
    return chain if held_out == kind.held_out else None


def _may_follow(before: Skill | None, skill: Skill) -> bool:
    """Nothing is done twice in a row, and only days that were counted are converted once more."""
    if before is None:
        return True
    return before is not skill and not (before.family == skill.family == "units" and skill.takes != "days")


def _draft(skills: list[Skill], kind: _Kind, rng: random.Random, known: list[str]) -> Draft:
    shown, start = _start(skills[0].takes, rng, kind.era)
    value, taken, clauses = start, [], []
    for skill in skills:
        step = skill.take(rng, value, kind.era)
        value = step.value
        taken.append((skill.tool, step))
        if words := rng.choice(skill.others if kind.reworded else skill.words):
            clauses.append(words.format(**step.names))
    opening, joint, ending = rng.choice(_FRAMES[kind.reworded])
    needed = {skill.tool for skill in skills}
    spare = rng.sample([name for name in known if name not in needed], len(known) - len(needed))
    offered = needed | set(spare[: (kind.offered or len(known)) - len(needed)])
    return Draft(
        prompt=opening.format(x=shown) + joint.join(clauses) + ending,
        tools=tuple(name for name in known if name in offered),
        solve=lambda: _solve(start, taken),
    )


def _start(takes: str, rng: random.Random, era: Era) -> tuple[str, Any]:
    """How the prompt shows the start value, and the value."""
    if takes in ("date", "written"):
        iso = any_date(rng, era)
        text = iso if takes == "date" else written(rng, iso)
        return text, text
    if takes == "number":
        number = rng.randint(*era.span)
        return f"the number {number}", number
    if takes == "word":
        word = rng.choice(_NOUNS)
        return f"the word {word}", word
    sentence = " ".join(rng.choice(part) for part in (_SUBJECTS, _VERBS, _OBJECTS, _PLACES))
    return f'the text "{sentence}"', sentence


def _solve(start: Any, taken: list[tuple[str, Taken]]) -> Solve:
    value = start
    for tool, step in taken:
        arguments = step.arguments(value)
        value = yield tool, arguments
        if not _same(value, step.value):
            raise InputError(f"reference: {tool}({arguments}) gave {value!r}, planned was {step.value!r}")
    return str(value)


def _same(value: Any, planned: Any) -> bool:
    if isinstance(planned, str):
        return bool(value == planned)
    return not isinstance(value, str) and Fraction(str(value)) == Fraction(str(planned))
