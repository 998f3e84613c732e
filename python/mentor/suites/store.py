"""A small stockroom: tasks that change a store of amounts and lists, and then ask what it holds.

What the store holds at first is made by the task's ``setup`` and is not in the prompt, so nothing can be answered
without calls; and each question is about something that the task has changed. What every value must be is worked out
beside the tools, on a plain dictionary, and compared with what they give.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import mentor.tools
from mentor.data import Task
from mentor.errors import InputError
from mentor.suites.behaviours import BEHAVIOURS, behave, verbose
from mentor.suites.drafts import Draft, Solve, finish
from mentor.suites.suite import Suite, check_split
from mentor.tools import ToolSet

__all__ = ["store"]

_GOODS = (
    "tea", "coffee", "sugar", "flour", "rice", "salt", "oats", "beans", "honey", "cocoa", "pepper", "lentils", "barley",
    "raisins", "almonds", "noodles", "vinegar", "mustard", "saffron", "walnuts", "candles", "matches", "ropes", "nails",
    "lamps", "brushes", "buckets", "blankets", "ink", "paper", "chalk", "soap",
)  # fmt: skip
_LISTS = ("orders", "returns", "repairs", "visitors")
_ITEMS = ("Ada", "Boris", "Chen", "Dora", "Emil", "Fatou", "Goran", "Hana", "Ivo", "Jun", "Kaya", "Luis")

State = dict[str, Any]
Names = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Change:
    """One thing that a task asks to be done.

    Attributes:
        words: Wordings in domain.
        others: Wordings of the split ``phrasing``.
        fill: Draws what the wordings name, given the state.
        calls: Does it: yields calls, as a teacher does.
        apply: Does it to the state.
        asks: Names, among those filled, whose values a question may then ask for.
    """

    words: tuple[str, ...]
    others: tuple[str, ...]
    fill: Callable[[random.Random, State], Names]
    calls: Callable[[Names], Solve]
    apply: Callable[[Names, State], None]
    asks: tuple[str, ...]


def _goods(state: State) -> list[str]:
    return [key for key, value in state.items() if isinstance(value, int)]


def _one(rng: random.Random, state: State) -> Names:
    return {"k": rng.choice(_goods(state)), "n": rng.randint(2, 40)}


def _two(rng: random.Random, state: State) -> Names:
    first, second = rng.sample(_goods(state), 2)
    return {"k": first, "l": second, "n": rng.randint(2, 40)}


def _new(rng: random.Random, state: State) -> Names:
    fresh = [name for name in _GOODS if name not in state]
    return {"k": rng.choice(_goods(state)), "l": rng.choice(fresh)}


def _entry(rng: random.Random, state: State) -> Names:
    return {"k": rng.choice([key for key in state if key in _LISTS]), "item": rng.choice(_ITEMS)}


def _call(name: str, **arguments: Any) -> tuple[str, dict[str, Any]]:
    return name, arguments


def _add(names: Names) -> Solve:
    yield _call("increment_value", key=names["k"], by=names["n"])
    return ""


def _take(names: Names) -> Solve:
    yield _call("increment_value", key=names["k"], by=-names["n"])
    return ""


def _move(names: Names) -> Solve:
    yield _call("increment_value", key=names["k"], by=-names["n"])
    yield _call("increment_value", key=names["l"], by=names["n"])
    return ""


def _copy(names: Names) -> Solve:
    value = yield _call("get_value", key=names["k"])
    yield _call("set_value", key=names["l"], value=value)
    return ""


def _rename(names: Names) -> Solve:
    value = yield _call("get_value", key=names["k"])
    yield _call("set_value", key=names["l"], value=value)
    yield _call("delete_value", key=names["k"])
    return ""


def _drop(names: Names) -> Solve:
    yield _call("delete_value", key=names["k"])
    return ""


def _append(names: Names) -> Solve:
    yield _call("append_value", key=names["k"], item=names["item"])
    return ""


def _shift(state: State, key: str, by: int) -> None:
    state[key] += by


def _carry(state: State, names: Names) -> None:
    state[names["k"]] -= names["n"]
    state[names["l"]] += names["n"]


def _strike(state: State, key: str) -> None:
    del state[key]


_CHANGES: dict[str, _Change] = {
    "add": _Change(
        words=("add {n} to {k}", "put {n} more into {k}", "raise {k} by {n}"),
        others=("{n} more come in for {k}", "top {k} up with {n}"),
        fill=_one,
        calls=_add,
        apply=lambda names, state: _shift(state, names["k"], names["n"]),
        asks=("k",),
    ),
    "take": _Change(
        words=("take {n} from {k}", "remove {n} of {k}", "lower {k} by {n}"),
        others=("{n} of {k} are sold", "{k} loses {n}"),
        fill=_one,
        calls=_take,
        apply=lambda names, state: _shift(state, names["k"], -names["n"]),
        asks=("k",),
    ),
    "move": _Change(
        words=("move {n} from {k} to {l}", "shift {n} of {k} over to {l}"),
        others=("{l} gets {n} that {k} gives", "carry {n} out of {k} into {l}"),
        fill=_two,
        calls=_move,
        apply=lambda names, state: _carry(state, names),
        asks=("k", "l"),
    ),
    "copy": _Change(
        words=("set {l} to what {k} has", "copy the value of {k} to {l}"),
        others=("let {l} hold the same as {k}", "make {l} equal to {k}"),
        fill=_two,
        calls=_copy,
        apply=lambda names, state: state.update({names["l"]: state[names["k"]]}),
        asks=("l",),
    ),
    "rename": _Change(
        words=("rename {k} to {l}", "keep {k} under the name {l} instead"),
        others=("call {k} from now on {l}", "{k} gets the new name {l}"),
        fill=_new,
        calls=_rename,
        apply=lambda names, state: state.update({names["l"]: state.pop(names["k"])}),
        asks=("l",),
    ),
    "drop": _Change(
        words=("delete {k}", "remove the entry {k}"),
        others=("strike {k} out", "get rid of the entry {k}"),
        fill=_one,
        calls=_drop,
        apply=lambda names, state: _strike(state, names["k"]),
        asks=("",),
    ),
    "append": _Change(
        words=("append {item} to {k}", "add {item} to the list {k}"),
        others=("write {item} at the end of {k}", "{item} joins the list {k}"),
        fill=_entry,
        calls=_append,
        apply=lambda names, state: state.update({names["k"]: [*state[names["k"]], names["item"]]}),
        asks=("k",),
    ),
}

_HELD_OUT = frozenset(
    map(frozenset, (("add", "move"), ("take", "copy"), ("rename", "move"), ("drop", "append"), ("add", "rename")))
)
"""Pairs of changes that no task asks for together but those of the split ``combinations``."""

_VALUE = (("What does {k} hold then?", "What is the value of {k} then?"), ("How much is in {k} at the end?",))
_LENGTH = (("How many items does {k} have then?",), ("How long is {k} at the end?",))
_KEYS = (("How many entries does the store have then?",), ("At the end, how many names are in the store?",))
_FRAMES = (
    (("In the store, ", ", then ", ". "), ("Please ", ", and then ", ". ")),
    (("Here is what to do with the store: ", "; after that, ", ". "), ("Do this: ", " - next: ", ". ")),
)


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What the tasks of a split look like; the defaults are in domain."""

    summary: str
    depths: tuple[int, ...] = (1, 2)
    entries: tuple[int, int] = (4, 6)
    largest: int = 99
    reworded: bool = False
    held_out: bool = False


_IN_DOMAIN = _Kind(summary="1 or 2 changes, 4 to 6 amounts of up to 99 beside two lists")
_SPLITS: dict[str, _Kind] = {
    "in_domain": _IN_DOMAIN,
    "depth": replace(_IN_DOMAIN, summary="3 changes", depths=(3,)),
    "state": replace(_IN_DOMAIN, summary="20 to 24 amounts", entries=(20, 24)),
    "operands": replace(_IN_DOMAIN, summary="amounts of four digits", largest=9_999),
    "phrasing": replace(_IN_DOMAIN, summary="every wording is another one", reworded=True),
    "combinations": replace(
        _IN_DOMAIN, summary="2 changes that are never together in domain", depths=(2,), held_out=True
    ),
}


def store() -> Suite:
    """Changes to a store of amounts and lists, with the tools of :func:`mentor.tools.store`.

    Example:
        >>> suite = store()
        >>> task = suite.draw("in_domain", 1, seed=0, tools=suite.open_tools(), exclude=())[0]
        >>> task.meta["setup"][0]["name"]
        'set_value'
    """
    return Suite(
        name="store",
        summary="changes to a store of amounts and lists, whose contents only tools can tell",
        splits={name: kind.summary for name, kind in _SPLITS.items()},
        open_tools=mentor.tools.store,
        draw=_draw,
        behaviours={kind.value: share for kind, share in BEHAVIOURS.items()},
        behave=behave,
        verbose=lambda task: verbose(task, again=_again),
    )


def _again(call: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Reading twice gives the same; changing twice does not."""
    return call if call["name"] in ("get_value", "list_keys") else None


def _draw(split: str, count: int, *, seed: int, tools: ToolSet, exclude: Collection[str]) -> list[Task]:
    check_split("store", _SPLITS, split)
    drafts = _drafts(_SPLITS[split], random.Random(f"store-{split}-{seed}"))
    return finish(drafts, count, suite="store", split=split, seed=seed, tools=tools, exclude=exclude)


@dataclass
class _Plan:
    """The changes of a task, in order, and the state that they leave."""

    state: State
    changes: list[tuple[str, Names]] = field(default_factory=list)


def _drafts(kind: _Kind, rng: random.Random) -> Iterator[Draft]:
    while True:
        names = rng.choices(list(_CHANGES), k=rng.choice(kind.depths))
        if any(pair <= set(names) for pair in _HELD_OUT) != kind.held_out:
            continue
        begin = _begin(kind, rng)
        plan = _Plan(state=dict(begin))
        for name in names:
            filled = _CHANGES[name].fill(rng, plan.state)
            _CHANGES[name].apply(filled, plan.state)
            plan.changes.append((name, filled))
        if all(value >= 0 for value in plan.state.values() if isinstance(value, int)):
            yield _draft(begin, plan, kind, rng)


def _begin(kind: _Kind, rng: random.Random) -> State:
    low = 41 if kind.largest < 1_000 else 1_000  # enough to take from
    goods = rng.sample(_GOODS, rng.randint(*kind.entries))
    state: State = {name: rng.randint(low, kind.largest) for name in goods}
    for name in rng.sample(_LISTS, 2):
        state[name] = rng.sample(_ITEMS, rng.randint(1, 4))
    return state


def _draft(begin: State, plan: _Plan, kind: _Kind, rng: random.Random) -> Draft:
    opening, joint, ending = rng.choice(_FRAMES[kind.reworded])
    clauses = []
    for name, filled in plan.changes:
        change = _CHANGES[name]
        clauses.append(rng.choice(change.others if kind.reworded else change.words).format(**filled))
    asked = _asked(plan, rng)
    if asked == "":
        question, read, right = rng.choice(_KEYS[kind.reworded]), _call("list_keys"), len(plan.state)
    else:
        value = plan.state[asked]
        forms = _LENGTH if isinstance(value, list) else _VALUE
        question = rng.choice(forms[kind.reworded]).format(k=asked)
        read, right = _call("get_value", key=asked), len(value) if isinstance(value, list) else value

    def solve() -> Solve:
        for name, filled in plan.changes:
            yield from _CHANGES[name].calls(filled)
        found = yield read
        answer = len(found) if isinstance(found, list) else found
        if answer != right:
            raise InputError(f"reference: {read} gave {found}, planned was {right}")
        return str(answer)

    prompt = opening + joint.join(clauses) + ending + question
    tools = ("set_value", "get_value", "delete_value", "list_keys", "increment_value", "append_value")
    return Draft(prompt=prompt, tools=tools, solve=solve, setup=_setup(begin, rng))


def _asked(plan: _Plan, rng: random.Random) -> str:
    """A name that was changed and is still there; empty to ask for the number of names."""
    choices = [
        "" if ask == "" else filled[ask]
        for name, filled in plan.changes
        for ask in _CHANGES[name].asks
        if ask == "" or filled[ask] in plan.state
    ]
    return rng.choice(choices)


def _setup(begin: State, rng: random.Random) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"name": "set_value", "arguments": {"key": key, "value": begin[key]}}
        for key in rng.sample(list(begin), len(begin))
    )
