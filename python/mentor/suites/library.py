"""Questions about documents: find one, read a fact, and use it to find the next or to compute.

The teacher reads what it needs out of the documents that the tools give it, and what it reads is compared with what the
invented world is.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import mentor.tools
from mentor.data import Task
from mentor.errors import InputError
from mentor.suites.behaviours import BEHAVIOURS, behave, verbose
from mentor.suites.drafts import Call, Draft, Solve, finish
from mentor.suites.encyclopedia import RELATIONS, Entity, encyclopedia
from mentor.suites.suite import Suite, check_split
from mentor.tools import ToolSet

__all__ = ["library"]

_RESULTS = 3
"""Documents that the teacher lets search list."""

_TODAY = 2025
_ARITHMETIC = ("add", "subtract", "multiply", "divide")

_HELD_OUT = frozenset({("birthplace", "inhabitants"), ("employer", "staff"), ("seat", "founded")})
"""Facts that are asked for right after another one, which only the split ``combinations`` has."""

Read = Generator[Call, Any, Any]


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What the tasks of a split look like; the defaults are in domain."""

    summary: str
    hops: tuple[int, ...] = (1, 2)
    reworded: bool = False
    held_out: bool = False
    namesakes: bool = False


_IN_DOMAIN = _Kind(summary="1 or 2 documents to read one after the other, perhaps a difference of two facts")
_SPLITS: dict[str, _Kind] = {
    "in_domain": _IN_DOMAIN,
    "depth": replace(_IN_DOMAIN, summary="3 documents to read one after the other", hops=(3,)),
    "phrasing": replace(_IN_DOMAIN, summary="every wording is another one", reworded=True),
    "combinations": replace(
        _IN_DOMAIN, summary="two facts that are never asked for one after the other in domain", hops=(2,), held_out=True
    ),
    "namesakes": replace(_IN_DOMAIN, summary="the first document has a namesake of another kind", namesakes=True),
}


def library() -> Suite:
    """Questions about an invented encyclopedia; needs the extra ``mentor-rs[search]``.

    Example:
        >>> suite = library()
        >>> task = suite.draw("in_domain", 1, seed=0, tools=suite.open_tools(), exclude=())[0]
        >>> [call["name"] for call in task.reference["tool_calls"]][:2]
        ['search', 'open_document']
    """
    return Suite(
        name="library",
        summary="questions about documents, of which one leads to the next",
        splits={name: kind.summary for name, kind in _SPLITS.items()},
        open_tools=_open,
        draw=_draw,
        behaviours={kind.value: share for kind, share in BEHAVIOURS.items()},
        behave=behave,
        verbose=lambda task: verbose(task, again=_again),
    )


def _open() -> ToolSet:
    return mentor.tools.search(encyclopedia()[1]) + mentor.tools.arithmetic().only(*_ARITHMETIC)


def _again(call: Mapping[str, Any]) -> Mapping[str, Any]:
    return call


def _draw(split: str, count: int, *, seed: int, tools: ToolSet, exclude: Collection[str]) -> list[Task]:
    check_split("library", _SPLITS, split)
    drafts = _drafts(_SPLITS[split], random.Random(f"library-{split}-{seed}"))
    return finish(drafts, count, suite="library", split=split, seed=seed, tools=tools, exclude=exclude)


@dataclass(frozen=True)
class _Path:
    """From an entity by relations to a number."""

    start: Entity
    relations: tuple[str, ...]

    @property
    def entities(self) -> list[Entity]:
        """The entities whose documents have to be read, in order."""
        found = [self.start]
        for relation in self.relations[:-1]:
            target = found[-1].facts[relation]
            assert isinstance(target, Entity)
            found.append(target)
        return found

    @property
    def value(self) -> Any:
        """The number at the end."""
        return self.entities[-1].facts[self.relations[-1]]


def _drafts(kind: _Kind, rng: random.Random) -> Iterator[Draft]:
    while True:
        path = _path(kind, rng)
        if path is None:
            continue
        target = RELATIONS[path.relations[-1]].to
        how = rng.choice(("plain", "until", "older") if target == "year" else ("plain", "together"))
        if how in ("older", "together") and (len(path.relations) > 1 or kind.hops == (3,)):
            how = "plain"
        yield _draft(path, how, kind, rng)


def _path(kind: _Kind, rng: random.Random) -> _Path | None:
    entities, _ = encyclopedia()
    start = rng.choice([entity for entity in entities if entity.shared == kind.namesakes])
    relations: list[str] = []
    at = start
    for left in reversed(range(rng.choice(kind.hops))):
        fitting = [
            name
            for name, fact in at.facts.items()
            if isinstance(fact, Entity) == bool(left)
            # What is read on the way has one name only.
            and not (isinstance(fact, Entity) and (fact.shared or fact is start))
        ]
        if not fitting:
            return None
        relations.append(rng.choice(fitting))
        if isinstance(fact := at.facts[relations[-1]], Entity):
            at = fact
    held_out = any(pair in _HELD_OUT for pair in pairwise(relations))
    return _Path(start, tuple(relations)) if held_out == kind.held_out else None


def _draft(path: _Path, how: str, kind: _Kind, rng: random.Random) -> Draft:
    question = _question(path, kind)
    if how == "plain":
        return _make(question, lambda: _follow(path), path.value)
    if how == "until":
        question += f" How many years lie between that year and {_TODAY}?"
        return _make(question, lambda: _subtract(_TODAY, path), _TODAY - path.value)
    entities, _ = encyclopedia()
    relation = path.relations[-1]
    others = [
        other
        for other in entities
        if other.kind == path.start.kind
        and other is not path.start
        and not other.shared
        and other.facts[relation] != path.value
    ]
    second = _Path(rng.choice(others), path.relations)
    if how == "together":
        question += f" And {_question(second, kind)[0].lower()}{_question(second, kind)[1:]} Add both numbers."
        return _make(question, lambda: _combine("add", path, second), path.value + second.value)
    first, second = sorted((path, second), key=lambda one: -one.value)
    question = (
        f"{_question(first, kind)} And {_question(second, kind)[0].lower()}{_question(second, kind)[1:]} "
        f"How many years lie between?"
    )
    return _make(question, lambda: _combine("subtract", first, second), first.value - second.value)


def _make(question: str, solve: Callable[[], Read], planned: Any) -> Draft:
    def checked() -> Solve:
        value = yield from solve()
        if value != planned:
            raise InputError(f"reference: {question}: the documents say {value}, planned was {planned}")
        return str(value)

    return Draft(prompt=question, tools=("search", "open_document", *_ARITHMETIC), solve=checked)


def _question(path: _Path, kind: _Kind) -> str:
    shown = path.start.name
    if path.start.shared:
        shown = f"the {path.start.kind} {shown}"
    for name in path.relations:
        relation = RELATIONS[name]
        shown = (relation.other if kind.reworded else relation.phrase).format(x=shown)
    return shown


def _subtract(year: int, path: _Path) -> Read:
    found = yield from _follow(path)
    return (yield "subtract", {"a": year, "b": found})


def _combine(tool: str, first: _Path, second: _Path) -> Read:
    one = yield from _follow(first)
    two = yield from _follow(second)
    return (yield tool, {"a": one, "b": two})


def _follow(path: _Path) -> Read:
    """Read document after document; each gives the title of the next."""
    title = path.start.title
    for relation, entity in zip(path.relations, path.entities, strict=True):
        found = yield "search", {"query": title.replace("(", "").replace(")", ""), "k": _RESULTS}
        listed = [row["id"] for row in found if row["title"] == title]
        if not listed:
            raise InputError(f"reference: no search result has the title {title!r}")
        document = yield "open_document", {"id": listed[0]}
        title = _read(document["text"], relation, entity.name)
    return int(title)


def _read(text: str, relation: str, name: str) -> str:
    """What a document tells about its entity."""
    before, after = RELATIONS[relation].sentence.replace("{x}", name).split("{y}")
    match = re.search(re.escape(before) + r"(.+?)" + re.escape(after), text)
    if match is None:
        raise InputError(f"reference: the document on {name} does not tell its {relation}")
    return match[1]
