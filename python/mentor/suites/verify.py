"""Are the references of tasks what they claim to be? They are executed again and scored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from mentor.data import Task
from mentor.errors import InputError
from mentor.score import judge_batch, score_batch
from mentor.suites.behaviours import answer, exchange
from mentor.suites.suite import Suite, execute
from mentor.tools import ToolSet

__all__ = ["FULL_MARKS", "Problem", "check_tasks", "perfect_rollout", "verify"]

FULL_MARKS = {
    "mentor": 1.1,
    "mentor-dense": 1.0,
    "overlap": 1.0,
    "valid": 0.8,
    "f1": 1.1,
    "sparse": 1.0,
    "strict": 1.1,
}
"""What a perfect rollout earns. ToolRL's reward is left out: it wants ToolRL's own markup."""

_TOLERANCE = 1e-9
_GAP = 0.1
"""Least difference between the rewards of a right and a wrong answer."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with a task.

    Attributes:
        task: The task's id.
        field: Where it is, such as ``reference.tool_calls[1]``.
        message: What it is.
    """

    task: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.task}: {self.field}: {self.message}"


def verify(suite: Suite, split: str, count: int = 50, *, seed: int = 0, tools: ToolSet | None = None) -> list[Problem]:
    """Draw tasks of a split and check them.

    Args:
        suite: The suite.
        split: One of its splits.
        count: How many tasks.
        seed: Seed of the draw.
        tools: The suite's tools, where they are open already.

    Returns:
        What is wrong; nothing in a sound suite.

    Raises:
        InputError: There is no such split, or it holds too few tasks.

    Example:
        >>> from mentor.suites import open_suite
        >>> verify(open_suite("arithmetic"), "depth", 20)
        []
    """
    tools = suite.open_tools() if tools is None else tools
    return check_tasks(tools, suite.draw(split, count, seed=seed, tools=tools, exclude=()))


def check_tasks(tools: ToolSet, tasks: Iterable[Task]) -> list[Problem]:
    """Check tasks whose tools are at hand.

    Each reference calls only tools that its task offers. Executed again, after the task's ``setup``, its calls give
    ``meta["results"]`` where the task has them. A rollout that does what the reference does earns full marks under
    every reward, and one that ends in another answer does not.

    Args:
        tools: The tools.
        tasks: The tasks.

    Returns:
        What is wrong, in the tasks' order.

    Example:
        >>> import mentor
        >>> calls = [{"name": "add", "arguments": {"a": 2, "b": 2}}]
        >>> task = Task(id="1", prompt="2 + 2?", tools=("add",), reference={"answer": "5", "tool_calls": calls})
        >>> [str(problem) for problem in check_tasks(mentor.tools.arithmetic(), [task])]
        ["1: reference.answer: '5' is not what the last call gave: '4'"]
    """
    sound: list[tuple[Task, list[str]]] = []
    problems: list[Problem] = []
    for task in tasks:
        found, results = _execute(tools, task)
        problems += found
        if not found:
            sound.append((task, results))
    return problems + _score(sound)


def perfect_rollout(task: Task, results: Iterable[str], *, ending: str | None = None) -> list[dict[str, Any]]:
    """The messages of a rollout that calls what the reference calls, and then answers (`ending`: something else)."""
    messages: list[dict[str, Any]] = []
    for call, result in zip(task.reference["tool_calls"], results, strict=True):
        messages += exchange(call["name"], call["arguments"], result)
    return [*messages, answer(str(task.reference["answer"]) if ending is None else ending)]


def _execute(tools: ToolSet, task: Task) -> tuple[list[Problem], list[str]]:
    calls = task.reference["tool_calls"]
    offered = [tool if isinstance(tool, str) else str(tool.get("function", tool).get("name")) for tool in task.tools]
    problems = [
        Problem(task.id, f"tools[{at}]", f"nothing can run {name!r}")
        for at, name in enumerate(offered)
        if name not in tools
    ]
    problems += [
        Problem(task.id, f"reference.tool_calls[{at}]", f"the task does not offer {call['name']!r}")
        for at, call in enumerate(calls)
        if offered and call["name"] not in offered
    ]
    if problems:
        return problems, []
    try:
        results = execute(tools, calls, setup=task.meta.get("setup", ()), where="reference")
    except InputError as error:
        return [Problem(task.id, "reference", str(error).removeprefix("reference: "))], []
    known = task.meta.get("results", results)
    for at, (was, now) in enumerate(zip(known, results, strict=False)):
        if was != now:
            problems.append(Problem(task.id, f"meta.results[{at}]", f"{was[:60]!r} now is {now[:60]!r}"))
    if len(known) != len(results):
        problems.append(Problem(task.id, "meta.results", f"{len(known)} for {len(results)} calls"))
    if results and not _follows(str(task.reference["answer"]), results):
        problems.append(
            Problem(
                task.id,
                "reference.answer",
                f"{str(task.reference['answer'])[:60]!r} is not what the last call gave: {results[-1][:60]!r}",
            )
        )
    return problems, results


def _follows(answer: str, results: list[str]) -> bool:
    """Whether the last result is the answer, names it, or is a list of so many items."""
    last = results[-1]
    if judge_batch([last], [answer], fallback=None)[0] == "equal":
        return True
    if re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", last):
        return True
    return last.startswith("[") and str(_length(last)) == answer


def _length(text: str) -> int:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return -1
    return len(value) if isinstance(value, list) else -1


def _score(sound: list[tuple[Task, list[str]]]) -> list[Problem]:
    """Score a perfect rollout of each task, and one that ends in a wrong answer."""
    rollouts, references, offers = [], [], []
    for task, results in sound:
        names = [tool if isinstance(tool, str) else str(tool.get("function", tool)["name"]) for tool in task.tools]
        wrong = perfect_rollout(task, results, ending=_other(str(task.reference["answer"])))
        rollouts += [perfect_rollout(task, results), wrong]
        references += [task.reference] * 2
        offers += [names or [call["name"] for call in task.reference["tool_calls"]]] * 2
    problems = []
    for name, full in FULL_MARKS.items() if sound else ():
        scores = score_batch(rollouts, references, reward=name, tools=offers, judge="native").reward.tolist()
        for (task, _), earned, flawed in zip(sound, scores[::2], scores[1::2], strict=True):
            if abs(earned - full) > _TOLERANCE:
                problems.append(Problem(task.id, "reference", f"{name}: a perfect rollout earns {earned}, not {full}"))
            if flawed > full - _GAP:
                problems.append(Problem(task.id, "reference.answer", f"{name}: a wrong answer earns {flawed}"))
    return problems


def _other(answer: str) -> str:
    """An answer that is wrong."""
    if re.fullmatch(r"-?\d+(\.\d+)?", answer):
        return str(int(float(answer)) + 1)
    return "Sunday" if answer != "Sunday" else "Monday"
