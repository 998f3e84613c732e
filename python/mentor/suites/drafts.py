"""Drafts of tasks become tasks: many references are executed at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mentor.data import Task
from mentor.errors import InputError
from mentor.sandbox import Outcome
from mentor.tools import ToolSession, ToolSet, call_batch
from mentor.tools.functions import as_text

__all__ = ["Call", "Draft", "Solve", "finish"]

Call: TypeAlias = "tuple[str, dict[str, Any]]"
Solve: TypeAlias = "Generator[Call, Any, str]"
"""A teacher at work: yields a call, is sent the value that the tool gave, returns the answer."""

_SESSIONS, _BATCH = 16, 256
"""Rollouts at a time: with sessions, each of which has guests of its own, and without."""

_REPEATS = 2_000
"""Earlier prompts in a row, after which a split counts as exhausted."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A task whose reference is not executed yet.

    Attributes:
        prompt: What the policy is asked.
        tools: Names of the tools that are offered.
        solve: Starts the teacher; what it yields is executed.
        setup: Calls that make the state before.
        others: Further teachers, who go other ways to the same answer.
        meta: What else is known of the task.
    """

    prompt: str
    tools: tuple[str, ...]
    solve: Callable[[], Solve]
    setup: tuple[Mapping[str, Any], ...] = ()
    others: tuple[Callable[[], Solve], ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)


def finish(
    drafts: Iterator[Draft], count: int, *, suite: str, split: str, seed: int, tools: ToolSet, exclude: Collection[str]
) -> list[Task]:
    """Execute drafts until there are enough tasks with different prompts; the same seed gives the same tasks.

    Raises:
        InputError: The split holds too few different tasks, or a reference cannot be executed.
    """
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"count must be an int, not {type(count).__name__}")
    if count < 0:
        raise InputError(f"count must not be negative, but is {count}")
    name = f"{suite}-{split}-{seed}"
    seen, repeats = set(exclude), 0
    chosen: list[Draft] = []
    while len(chosen) < count and repeats < _REPEATS:
        draft = next(drafts)
        repeats = repeats + 1 if draft.prompt in seen else 0
        if not repeats:
            seen.add(draft.prompt)
            chosen.append(draft)
    if len(chosen) < count:
        raise InputError(f"{name}: only {len(chosen)} different tasks found, {count} wanted")
    tasks: list[Task] = []
    size = _BATCH if tools.pure else _SESSIONS
    for start in range(0, count, size):
        part = chosen[start : start + size]
        ways = _solve(tools, [(draft.setup, solve) for draft in part for solve in (draft.solve, *draft.others)])
        tasks += [
            _task(draft, ways, f"{name}-{start + at}", {"split": split, "tools_suite": suite})
            for at, draft in enumerate(part)
        ]
    return tasks


@dataclass
class _Way:
    """One teacher's trajectory, as far as it is."""

    solve: Solve
    calls: list[dict[str, Any]] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    answer: str = ""


def _task(draft: Draft, ways: Iterator[_Way], name: str, known: Mapping[str, Any]) -> Task:
    first, *others = (next(ways) for _ in range(1 + len(draft.others)))
    if wrong := next((way for way in others if way.answer != first.answer), None):
        raise InputError(f"{name}: two ways lead to {first.answer!r} and {wrong.answer!r}")
    meta: dict[str, Any] = {**known, "results": first.results, **draft.meta}
    if draft.setup:
        meta["setup"] = [dict(call) for call in draft.setup]
    if others:
        meta["paths"] = [{"tool_calls": way.calls, "results": way.results} for way in others]
    reference = {"answer": first.answer, "tool_calls": first.calls}
    return Task(id=name, prompt=draft.prompt, tools=draft.tools, reference=reference, meta=meta)


def _solve(tools: ToolSet, jobs: Sequence[tuple[Sequence[Mapping[str, Any]], Callable[[], Solve]]]) -> Iterator[_Way]:
    """Run the teachers side by side, one call of each at a time."""
    ways = [_Way(solve()) for _, solve in jobs]
    with ExitStack() as stack:
        sessions = None
        if not tools.pure:
            sessions = [stack.enter_context(tools.session()) for _ in jobs]
            setup = [
                (session, call["name"], call["arguments"])
                for session, (calls, _) in zip(sessions, jobs, strict=True)
                for call in calls
            ]
            for (_, name, arguments), outcome in zip(setup, call_batch(setup), strict=True):
                _check(f"setup: {name}({arguments})", outcome)
        waiting: list[tuple[int, Call]] = []
        for at, way in enumerate(ways):
            _advance(way, at, None, waiting)
        while waiting:
            due, waiting = waiting, []
            for (at, (name, arguments)), outcome in zip(due, _call(tools, sessions, due), strict=True):
                _check(f"{name}({arguments})", outcome)
                ways[at].calls.append({"name": name, "arguments": arguments})
                ways[at].results.append(as_text(outcome))
                _advance(ways[at], at, outcome.value, waiting)
    return iter(ways)


def _advance(way: _Way, at: int, value: Any, waiting: list[tuple[int, Call]]) -> None:
    try:
        waiting.append((at, way.solve.send(value)))
    except StopIteration as end:
        way.answer = end.value


def _call(tools: ToolSet, sessions: list[ToolSession] | None, due: list[tuple[int, Call]]) -> list[Outcome]:
    if sessions is None:
        return tools.call_batch([call for _, call in due])
    return call_batch([(sessions[at], *call) for at, call in due])


def _check(what: str, outcome: Outcome) -> None:
    if outcome.fault is not None:
        raise InputError(f"reference: {what}: {outcome.fault.message}")
