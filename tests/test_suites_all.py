"""What every task suite keeps: seeds, different prompts, references that hold when they are executed and scored."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

import mentor
from mentor.data import Task, read_tasks, write_tasks
from mentor.errors import InputError
from mentor.suites import SUITES, Suite, check_tasks, execute, open_suite, verify
from mentor.suites.behaviours import INVENTED_TOOLS
from mentor.suites.verify import FULL_MARKS, perfect_rollout

NAMES = ("arithmetic", "store", "everyday", "library")
SPLITS = [(name, split) for name in NAMES for split in open_suite(name).splits]
SAME_TOOLS = [
    *(("arithmetic", split) for split in ("operands", "phrasing", "distractors", "hint")),
    *(("store", split) for split in ("state", "operands", "phrasing")),
    *(("everyday", split) for split in ("operands", "phrasing", "distractors")),
    *(("library", split) for split in ("phrasing", "namesakes")),
]


@pytest.fixture(scope="module")
def opened() -> dict[str, tuple[Suite, mentor.ToolSet]]:
    suites = {name: open_suite(name) for name in NAMES}
    return {name: (suite, suite.open_tools()) for name, suite in suites.items()}


@pytest.fixture(scope="module")
def many(opened: Any) -> dict[tuple[str, str], list[Task]]:
    return {(name, split): draw(opened, name, split, count=200) for name, split in SPLITS}


def draw(opened: Any, name: str, split: str, count: int = 30, seed: int = 5, exclude: Any = ()) -> list[Task]:
    suite, tools = opened[name]
    return suite.draw(split, count, seed=seed, tools=tools, exclude=exclude)


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_references_hold(opened: Any, name: str, split: str) -> None:
    suite, tools = opened[name]
    assert verify(suite, split, 40, seed=11, tools=tools) == []


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_the_seed_decides_and_prompts_are_new(opened: Any, name: str, split: str) -> None:
    first = draw(opened, name, split)
    assert first == draw(opened, name, split)
    prompts = {task.prompt for task in first}
    assert len(prompts) == len({task.id for task in first}) == len(first)
    assert all(task.meta["split"] == split for task in first)
    other = draw(opened, name, split, seed=6, exclude=prompts)
    assert not prompts & {task.prompt for task in other}
    assert not {task.id for task in first} & {task.id for task in other}


def test_draws_do_not_depend_on_the_process() -> None:
    code = (
        "import hashlib; from mentor.suites import open_suite\n"
        f"for name in {NAMES}:\n"
        "    suite = open_suite(name); tools = suite.open_tools()\n"
        "    for split in suite.splits:\n"
        "        tasks = suite.draw(split, 6, seed=1, tools=tools, exclude=())\n"
        "        print(name, split, hashlib.sha256(repr(tasks).encode()).hexdigest())\n"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, check=True,
            capture_output=True, text=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert printed[0] == printed[1]
    assert len(printed[0].splitlines()) == len(SPLITS)


def test_there_are_hundreds_of_tasks(many: Any) -> None:
    assert {key: len({task.prompt for task in tasks}) for key, tasks in many.items()} == dict.fromkeys(SPLITS, 200)


@pytest.mark.parametrize(("name", "split"), SAME_TOOLS)
def test_tools_are_needed_as_often_as_in_domain(opened: Any, many: Any, name: str, split: str) -> None:
    def shares(tasks: list[Task]) -> dict[str, float]:
        used = Counter(call["name"] for task in tasks for call in task.reference["tool_calls"])
        return {tool: count / used.total() for tool, count in used.items()}

    if name == "arithmetic":  # which takes no time
        inside, outside = (shares(draw(opened, name, each, count=1_500)) for each in ("in_domain", split))
    else:
        inside, outside = (shares(many[name, each]) for each in ("in_domain", split))
    distance = sum(abs(inside.get(tool, 0) - outside.get(tool, 0)) for tool in inside.keys() | outside.keys()) / 2
    # Two draws of the very same kind differ by .02 to .06 and by .03 to .10.
    assert distance < (0.07 if name == "arithmetic" else 0.14)
    assert inside.keys() == outside.keys()


@pytest.mark.parametrize("name", NAMES)
def test_behaviours_do_what_they_are_called(opened: Any, name: str) -> None:
    suite, _ = opened[name]
    assert sum(suite.behaviours.values()) == pytest.approx(1)
    rng = random.Random(1)
    for task in draw(opened, name, "in_domain"):
        calls = task.reference["tool_calls"]
        for behaviour in suite.behaviours:
            messages = suite.behave(task, behaviour, rng)
            names = [m["tool_calls"][0]["function"]["name"] for m in messages if m.get("tool_calls")]
            assert "boxed" in messages[-1]["content"]
            assert (len([each for each in names if each in INVENTED_TOOLS]) == 1) == (behaviour == "invented")
            if behaviour == "correct":
                assert messages == perfect_rollout(task, task.meta["results"])
            elif behaviour == "early":
                assert names == [call["name"] for call in calls[: len(names)]]
                assert len(names) < len(calls)
            elif behaviour == "guess":
                assert names == []
    with pytest.raises(InputError, match="unknown behaviour 'lazy'; known are correct, guess, invented, early"):
        suite.behave(task, "lazy", rng)


@pytest.mark.parametrize("name", NAMES)
def test_guesses_are_seldom_right(opened: Any, many: Any, name: str) -> None:
    suite, _ = opened[name]
    tasks = many[name, "in_domain"]
    rng = random.Random(2)
    rollouts = [suite.behave(task, "guess", rng) for task in tasks]
    right = mentor.score_batch(rollouts, [task.reference for task in tasks], reward="sparse", judge="native").reward
    assert right.mean() < 0.15


@pytest.mark.parametrize("name", NAMES)
def test_a_verbose_teacher_says_more_calls_more_and_is_right(opened: Any, name: str) -> None:
    suite, tools = opened[name]
    tasks = draw(opened, name, "in_domain")
    longer = 0
    for task in tasks:
        messages = suite.verbose(task)
        assert messages == suite.verbose(task)
        calls = [call["function"] for m in messages for call in m.get("tool_calls", ())]
        told = [m["content"] for m in messages if m["role"] == "tool"]
        assert all(len(m["content"]) > 20 for m in messages if m["role"] == "assistant")
        # What it claims to have read is what the tools say, state and all.
        assert execute(tools, calls, setup=task.meta.get("setup", ())) == told
        assert {call["name"] for call in calls} <= set(task.tools)
        longer += len(calls) > len(task.reference["tool_calls"])
        score = mentor.score_batch([messages], [task.reference], reward="mentor", tools=list(task.tools))[0]
        assert score.components["correct"] == score.components["valid"] == 1
    assert longer > len(tasks) / 2


@pytest.mark.parametrize("name", NAMES)
def test_tasks_are_written_and_read_back(opened: Any, name: str, tmp_path: Any) -> None:
    tasks = draw(opened, name, "in_domain", count=10)
    for ending in ("jsonl", "parquet"):
        write_tasks(tmp_path / f"tasks.{ending}", tasks)
        again = list(read_tasks(tmp_path / f"tasks.{ending}"))
        assert again == tasks
        assert check_tasks(opened[name][1], again) == []


def test_what_is_wrong_is_named(opened: Any) -> None:
    tools = opened["store"][1]
    task = next(task for task in draw(opened, "store", "in_domain") if len(task.reference["tool_calls"]) == 2)

    def problems(**changes: Any) -> str:
        return "; ".join(map(str, check_tasks(tools, [replace(task, id="t", **changes)])))

    first, _ = task.reference["tool_calls"]
    wrong = {**task.reference, "answer": "123456"}
    assert "t: reference.answer: '123456' is not what the last call gave" in problems(reference=wrong)
    assert "t: tools[1]: nothing can run 'fly'" in problems(tools=("set_value", "fly"))
    assert f"t: reference.tool_calls[0]: the task does not offer {first['name']!r}" in problems(tools=("list_keys",))
    assert "t: meta.results[0]: '7x' now is" in problems(meta={**task.meta, "results": ["7x", task.meta["results"][1]]})
    assert "t: meta.results: 1 for 2 calls" in problems(meta={**task.meta, "results": task.meta["results"][:1]})
    lost = {**task.meta, "setup": []}
    assert "LookupError" in problems(meta=lost) or "now is" in problems(meta=lost)
    fault = {**task.reference, "tool_calls": [first, {"name": "get_value", "arguments": {}}]}
    assert "t: reference: tool_calls[1]: get_value" in problems(reference=fault)


def test_full_marks_are_the_most_that_there_is(opened: Any) -> None:
    task = draw(opened, "arithmetic", "in_domain", count=1)[0]
    for name, full in FULL_MARKS.items():
        rollouts = [perfect_rollout(task, task.meta["results"]), opened["arithmetic"][0].verbose(task)]
        rewards = mentor.score_batch(rollouts, [task.reference] * 2, reward=name, tools=list(task.tools)).reward
        assert rewards.max() == pytest.approx(full)


def test_suites_by_name() -> None:
    assert set(NAMES) <= set(SUITES)
    for name, opener in SUITES.items():
        suite = opener()
        assert suite.name == name
        assert next(iter(suite.splits)) == "in_domain"
        assert suite.summary
        assert all(suite.splits.values())
    with pytest.raises(InputError, match=r"unknown suite 'libary'; did you mean 'library'\?"):
        open_suite("libary")
    with pytest.raises(InputError, match="unknown suite 'zzz'; the suites are arithmetic"):
        open_suite("zzz")
    with pytest.raises(InputError, match="the suite 'store' has no option 'size'; it has none"):
        open_suite("store", size=3)
    with pytest.raises(TypeError, match="name must be a str, not int"):
        open_suite(3)


@pytest.mark.parametrize("name", NAMES)
def test_mistakes_of_the_caller(opened: Any, name: str) -> None:
    with pytest.raises(InputError, match=f"the suite '{name}' has no split 'dephts'; it has in_domain, depth"):
        draw(opened, name, "dephts")
    with pytest.raises(InputError, match="count must not be negative"):
        draw(opened, name, "depth", count=-1)
    with pytest.raises(TypeError, match="count must be an int, not float"):
        draw(opened, name, "depth", count=1.5)
    assert draw(opened, name, "depth", count=0) == []


def test_a_split_that_holds_too_little_says_so(opened: Any) -> None:
    with pytest.raises(InputError, match=r"library-combinations-5: only \d+ different tasks found, 5000 wanted"):
        draw(opened, "library", "combinations", count=5_000)
