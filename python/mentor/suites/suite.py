"""What a suite is: tools, tasks in and out of domain, and the references that a teacher would leave."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mentor.data import Task
from mentor.errors import InputError
from mentor.tools import ToolSet
from mentor.tools.functions import as_text

__all__ = ["Behave", "Draw", "Suite", "check_split", "execute"]


class Draw(Protocol):
    """Draws tasks of a split."""

    def __call__(self, split: str, count: int, *, seed: int, tools: ToolSet, exclude: Collection[str]) -> list[Task]:
        """Return ``count`` tasks with different prompts, none of them in ``exclude``; references are executed."""


Behave = Callable[[Task, str, random.Random], list[dict[str, Any]]]
"""Writes the messages with which a student of a behaviour answers a task: (task, behaviour, random source)."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Tasks that are executed: tools, a generator with a verifying reference maker, and splits.

    A task's ``tools`` are names of the suite's tools; what a split leaves out is not offered. ``meta`` may hold
    ``setup``, calls ``{name, arguments}`` that put the session into the state that the task begins with, and
    ``paths``, other ways to the answer; it holds ``split``, ``tools_suite``, the suite's name, and ``results``, the
    texts that the reference's calls gave when they were executed.

    Attributes:
        name: The suite's name, as ``--suite`` takes it.
        summary: What its tasks are, in one line.
        splits: Split -> what is different in it, in one line; ``in_domain`` comes first, each other one differs from
            it in one thing (arXiv 2510.18383, section 4).
        open_tools: Opens the tools in the sandbox.
        draw: Draws the tasks of a split; the same seed gives the same tasks.
        behaviours: Behaviour -> its share in the warm start of a model that is built on the spot; empty where the suite
            is for models that come from elsewhere.
        behave: Writes demonstrations of these behaviours.
        verbose: Writes a teacher's long-winded trajectory for a task, for ``sft-verbose``.
    """

    name: str
    summary: str
    splits: Mapping[str, str]
    open_tools: Callable[[], ToolSet]
    draw: Draw
    behaviours: Mapping[str, float] = field(default_factory=dict)
    behave: Behave | None = None
    verbose: Callable[[Task], list[dict[str, Any]]] | None = None


def execute(
    tools: ToolSet, calls: Iterable[Mapping[str, Any]], *, setup: Sequence[Mapping[str, Any]] = (), where: str = "task"
) -> list[str]:
    """Execute a reference's calls in a session of its own.

    Args:
        tools: The tools.
        calls: The reference's calls, ``{name, arguments}``.
        setup: Calls that come before, to make the task's state.
        where: Start of an error's message, such as the task's id.

    Returns:
        What a model would read after each call of ``calls``.

    Raises:
        InputError: A call fails; the message names it.

    Example:
        >>> import mentor
        >>> execute(mentor.tools.arithmetic(), [{"name": "add", "arguments": {"a": 1, "b": 2}}])
        ['3']
    """
    texts = []
    with tools.session() as session:
        for number, call in enumerate([*setup, *calls]):
            outcome = session.call(call["name"], call["arguments"])
            if outcome.fault is not None:
                kind = f"setup[{number}]" if number < len(setup) else f"tool_calls[{number - len(setup)}]"
                raise InputError(f"{where}: {kind}: {call['name']}: {outcome.fault.message}")
            texts.append(as_text(outcome))
    return texts[len(setup) :]


def check_split(suite: str, splits: Mapping[str, Any], split: str) -> None:
    """Refuse a split that there is not.

    Raises:
        InputError: The message names those there are.
    """
    if split not in splits:
        raise InputError(f"the suite {suite!r} has no split {split!r}; it has {', '.join(splits)}")
