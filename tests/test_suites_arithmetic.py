"""The arithmetic suite: prompts say what references do, and each split differs from in domain in one thing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mentor
from mentor.data import Task
from mentor.errors import InputError
from mentor.suites import execute, open_suite
from mentor.suites.arithmetic import HELD_OUT, OFFERED
from mentor.suites.operations import OPERATIONS, Chain, Step
from mentor.suites.verify import perfect_rollout

# A person's reading of the wordings, written without the suite's own table.
READ: dict[str, Callable[[Fraction, list[int]], Any]] = {
    r"(?:add|plus|increase by|and) N(?: more)?": lambda value, n: value + n[0],
    r"put N on top": lambda value, n: value + n[0],
    r"(?:subtract|minus|decrease by) N|take N away|and N less": lambda value, n: value - n[0],
    r"(?:multiply by|times|scale by) N|make it N times as much": lambda value, n: value * n[0],
    r"(?:divide by|over|share among) N|split into N parts": lambda value, n: value / n[0],
    r"modulo N|take the remainder by N|keep what N leaves over|drop all full groups of N": lambda value, n: (
        value % n[0]
    ),
    r"(?:add all of|plus the sum of) L|put all of L on top|and the whole of L more": lambda value, n: value + sum(n),
    r"round down|take the floor|cut the decimals off|go down to a whole number": lambda value, n: math.floor(value),
    r"round up|take the ceiling|go up to a whole number|fill up to the next whole": lambda value, n: math.ceil(value),
    r"round(?: to the nearest)?|go to the closest whole number|make it the nearest whole": lambda value, n: math.floor(
        value + Fraction(1, 2)
    ),
    r"(?:raise )?to the power N|take its power N|use N as exponent": lambda value, n: value ** n[0],
    r"(?:take the )?square root|find its root|go to the side of that square": lambda value, n: math.isqrt(int(value)),
    r"(?:take the )?absolute value|drop the sign|ignore the minus": lambda value, n: abs(value),
}
FORMS = [
    (re.compile(form.replace("N", r"\d+").replace("L", r"\d+(?:, \d+)* and \d+")), compute)
    for form, compute in READ.items()
]
FRAMES = {
    "in": (r"Start with @, (.*)\. What is the result\?", ", then "),
    "in2": (r"Take @: (.*)\. Result\?", "; "),
    "in3": (r"What is @, (.*)\?", ", "),
    "new": (r"Here is @\. Now (.*)\. What do you get\?", " and next "),
    "new2": (r"From @: (.*)\. Answer\?", " - after that "),
}


def by_hand(prompt: str) -> tuple[Fraction, list[str], str]:
    """The result, the clauses, and the frame of a prompt."""
    for frame, (pattern, joint) in FRAMES.items():
        match = re.fullmatch(pattern.replace("@", r"(-?\d+(?:\.\d+)?)") + r"(?: Hint: \d+\.)?", prompt)
        if match:
            clauses = clauses_of(match[2], joint)
            value = Fraction(match[1])
            for clause in clauses:
                numbers = [int(text) for text in re.findall(r"\d+", clause)]
                value = Fraction(next(compute for form, compute in FORMS if form.fullmatch(clause))(value, numbers))
            return value, clauses, frame
    raise AssertionError(prompt)


def clauses_of(text: str, joint: str) -> list[str]:
    """Split at the joint, where what stands between is a wording (sums hold commas themselves)."""
    done: list[str] = []
    for part in text.split(joint):
        if (done and not any(form.fullmatch(done[-1]) for form, _ in FORMS)) or (done and re.match(r"\d", part)):
            done[-1] += joint + part
        else:
            done.append(part)
    return done


@pytest.fixture(scope="module")
def tools() -> mentor.ToolSet:
    return open_suite("arithmetic").open_tools()


@pytest.fixture(scope="module")
def splits(tools: mentor.ToolSet) -> dict[str, list[Task]]:
    suite = open_suite("arithmetic")
    return {name: suite.draw(name, 300, seed=17, tools=tools, exclude=()) for name in suite.splits}


NAMES = list(open_suite("arithmetic").splits)


def names(task: Task) -> list[str]:
    return [call["name"] for call in task.reference["tool_calls"]]


def test_the_splits_are_those_of_the_documentation() -> None:
    assert NAMES == [
        "in_domain", "depth", "operands", "phrasing", "combinations", "paths", "distractors", "hint",
    ]  # fmt: skip


@pytest.mark.parametrize("split", NAMES)
def test_references_say_what_the_prompt_says(splits: dict[str, list[Task]], split: str) -> None:
    for task in splits[split]:
        value, clauses, _ = by_hand(task.prompt)
        assert Fraction(task.reference["answer"]) == value, task
        if split != "paths":
            assert len(task.reference["tool_calls"]) == len(clauses)


@pytest.mark.parametrize("split", NAMES)
def test_each_split_differs_in_one_thing(splits: dict[str, list[Task]], split: str) -> None:
    def differs(task: Task) -> dict[str, bool]:
        used = names(task)
        start = abs(float(re.search(r"-?\d+(?:\.\d+)?", task.prompt)[0]))
        either = {"add", "sum_numbers"}
        return {
            "depth": len(used) > 3,
            "operands": start >= 100,
            "phrasing": by_hand(task.prompt)[2].startswith("new"),
            "combinations": any(pair <= set(used) for pair in HELD_OUT),
            "paths": either <= set(task.tools) and len(task.tools) == OFFERED,
            "distractors": set(task.tools) == set(OPERATIONS),
            "hint": "Hint" in task.prompt,
        }

    wanted = {name: name == split for name in NAMES if name != "in_domain"}
    for task in splits[split]:
        assert differs(task) == wanted, task


@pytest.mark.parametrize("split", [name for name in NAMES if name not in ("depth", "combinations")])
def test_depths_are_drawn_evenly(splits: dict[str, list[Task]], split: str) -> None:
    depths = [len(names(task)) for task in splits[split]]
    assert set(depths) == {1, 2, 3}
    assert all(0.22 < depths.count(depth) / len(depths) < 0.45 for depth in (1, 2, 3))


def test_all_tools_are_needed_in_domain_and_in_every_place(splits: dict[str, list[Task]]) -> None:
    assert {name for task in splits["in_domain"] for name in names(task)} == set(OPERATIONS)
    for split in ("in_domain", "phrasing"):
        text = "\n".join(task.prompt for task in splits[split])
        for name, operation in OPERATIONS.items():
            for form in operation.others if split == "phrasing" else operation.words:
                assert form.split("{")[0].strip() in text, (name, form)


def test_wordings_of_phrasing_are_new() -> None:
    old = {form for operation in OPERATIONS.values() for form in operation.words}
    new = {form for operation in OPERATIONS.values() for form in operation.others}
    assert len(new) == sum(len(operation.others) for operation in OPERATIONS.values())
    assert not old & new


def test_offers(splits: dict[str, list[Task]]) -> None:
    order = list(OPERATIONS)
    for split, tasks in splits.items():
        for task in tasks:
            assert list(task.tools) == [name for name in order if name in task.tools]
            assert len(task.tools) == (len(OPERATIONS) if split == "distractors" else OFFERED)
    # Tools that are offered without need are as often needed elsewhere.
    assert {name for task in splits["in_domain"] for name in task.tools} == set(OPERATIONS)


def test_hints_are_wrong(splits: dict[str, list[Task]]) -> None:
    for task in splits["hint"]:
        hint = re.search(r"Hint: (\d+)\.$", task.prompt)[1]
        assert task.meta["hint"] == hint
        assert float(hint) != float(task.reference["answer"])
        assert len(hint) == len(str(int(float(task.reference["answer"]))))


def test_other_paths_are_right_and_their_alignment_is_lower(
    splits: dict[str, list[Task]], tools: mentor.ToolSet
) -> None:
    tasks = splits["paths"]
    for task in tasks:
        one, turned = task.meta["paths"]
        assert [call["name"] for call in one["tool_calls"]].count("add") >= 2
        for path in (one, turned):
            assert "sum_numbers" not in [call["name"] for call in path["tool_calls"]]
            assert {call["name"] for call in path["tool_calls"]} <= set(task.tools)
            assert execute(tools, path["tool_calls"]) == path["results"]
            assert path["results"][-1] == task.reference["answer"]
        assert one["results"] == turned["results"]
        assert one["tool_calls"] != turned["tool_calls"]
    rollouts = [
        perfect_rollout(
            Task(task.id, task.prompt, task.tools, {**task.reference, "tool_calls": path["tool_calls"]}),
            path["results"],
        )
        for task in tasks
        for path in task.meta["paths"]
    ]
    references = [task.reference for task in tasks for _ in task.meta["paths"]]
    scores = mentor.score_batch(rollouts, references, reward="sparse", tools=tools.names)
    assert scores.reward.tolist() == [1.0] * len(rollouts)
    alignment = scores.components["alignment_f1"]
    assert alignment.max() < 1
    single = [len(task.reference["tool_calls"]) == 1 for task in tasks for _ in task.meta["paths"]]
    assert all(value == 0 for value, alone in zip(alignment, single, strict=True) if alone)
    assert any(value > 0.3 for value in alignment)


def test_in_domain_there_is_one_way_to_add(splits: dict[str, list[Task]]) -> None:
    for split in ("in_domain", "depth", "operands", "phrasing", "combinations", "hint"):
        for task in splits[split]:
            assert not {"add", "sum_numbers"} <= set(task.tools)
            assert not any(one == two == "add" for one, two in pairwise(names(task)))


@given(st.data())
def test_what_tools_give_is_compared_with_the_plan(data: st.DataObject) -> None:
    start = data.draw(st.integers(1, 99))
    operand = data.draw(st.integers(2, 99))
    wrong = data.draw(st.integers(1, 9))
    chain = Chain(start, (Step("add", (operand,), start + operand),))
    teacher = chain.solve()
    assert next(teacher) == ("add", {"a": start, "b": operand})
    with pytest.raises(StopIteration) as end:
        teacher.send(start + operand)
    assert end.value.value == str(start + operand)
    teacher = chain.solve()
    next(teacher)
    with pytest.raises(InputError, match="planned was"):
        teacher.send(start + operand + wrong)


def test_prompts_and_calls_are_short(splits: dict[str, list[Task]]) -> None:
    for tasks in splits.values():
        assert max(len(task.prompt) for task in tasks) < 220
        assert max(len(json.dumps(call)) for task in tasks for call in task.reference["tool_calls"]) < 110
        assert all(len(result) <= 9 for task in tasks for result in task.meta["results"])
