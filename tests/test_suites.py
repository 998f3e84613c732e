"""mentor.suites: tasks, executed references, splits that differ in one thing, demonstrations."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mentor
from mentor.errors import InputError
from mentor.suites import BEHAVIOURS, SPLITS, Behaviour, Split, Task, demonstrate, make_tasks
from mentor.suites.behaviours import INVENTED_TOOLS
from mentor.suites.chains import MAX_VALUE, OPERATIONS, reference_for

OPERATORS = {"add": "+", "subtract": "-", "multiply": "*", "modulo": "%"}


@pytest.fixture(scope="module")
def toolset() -> mentor.ToolSet:
    return mentor.tools.arithmetic()


@pytest.fixture(scope="module")
def functions(toolset: mentor.ToolSet) -> dict[str, object]:
    return {function.__name__: function for function in toolset.functions()}


@pytest.fixture(scope="module")
def tasks(functions: dict[str, object]) -> dict[str, list[Task]]:
    return {name: draw(split, functions) for name, split in SPLITS.items()}


def draw(split: Split, functions: dict[str, object], count: int = 40, seed: int = 3, **options: object) -> list[Task]:
    return make_tasks(
        split, count, seed=seed, tools=list(functions), call=lambda name, args: functions[name](**args), **options
    )


def by_hand(prompt: str) -> tuple[int, int]:
    """Read a prompt as a person would: (value, number of operations), with Python's own arithmetic."""
    start = int(re.search(r"\d+", prompt)[0])
    words = {form.split("{")[0].strip(): name for name, forms in OPERATIONS.items() for form in forms}
    pattern = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
    value, count = start, 0
    for match in re.finditer(rf"({pattern}) (\d+)", prompt):
        operand = int(match[2])
        name = words[match[1]]
        value = {"add": value + operand, "subtract": value - operand, "multiply": value * operand}.get(
            name, value % operand
        )
        count += 1
    return value, count


@pytest.mark.parametrize("name", SPLITS)
def test_references_say_what_the_prompt_says(tasks: dict[str, list[Task]], name: str) -> None:
    for task in tasks[name]:
        value, count = by_hand(task["prompt"])
        assert task["reference"]["answer"] == str(value), task
        assert len(task["reference"]["tool_calls"]) == count
        assert count in SPLITS[name].depths
        assert 0 <= value <= MAX_VALUE


def test_the_reference_earns_the_full_reward(tasks: dict[str, list[Task]]) -> None:
    for rows in tasks.values():
        rollouts = [demonstrate(task, Behaviour.CORRECT, random.Random(0)) for task in rows]
        scores = mentor.score_batch(
            rollouts, [task["reference"] for task in rows], reward="mentor", tools=rows[0]["tools"]
        )
        assert scores.reward.tolist() == [1.1] * len(rows)


def test_splits_differ_in_one_thing_each(tasks: dict[str, list[Task]]) -> None:
    def numbers(task: Task) -> list[int]:
        return [int(text) for text in re.findall(r"\d+", task["prompt"])]

    assert {len(task["reference"]["tool_calls"]) for task in tasks["in_domain"]} == {1, 2, 3}
    assert {len(task["reference"]["tool_calls"]) for task in tasks["ood_operands"]} == {1, 2, 3}
    assert {len(task["reference"]["tool_calls"]) for task in tasks["ood_depth"]} == {4}
    for name in ("in_domain", "ood_depth"):
        assert all(max(numbers(task)) <= 99 for task in tasks[name])
    assert all(numbers(task)[0] >= 100 for task in tasks["ood_operands"])


def test_the_seed_decides(functions: dict[str, object]) -> None:
    split = SPLITS["in_domain"]
    assert draw(split, functions, seed=1) == draw(split, functions, seed=1)
    assert draw(split, functions, seed=1) != draw(split, functions, seed=2)


def test_prompts_are_new_and_excluded_ones_stay_out(functions: dict[str, object]) -> None:
    first = draw(SPLITS["in_domain"], functions)
    prompts = {task["prompt"] for task in first}
    assert len(prompts) == len(first)
    again = draw(SPLITS["in_domain"], functions, exclude=prompts)
    assert not prompts & {task["prompt"] for task in again}


def test_a_split_that_holds_too_little_says_so(functions: dict[str, object]) -> None:
    narrow = Split(depths=(1,), low=2, high=2)
    with pytest.raises(InputError, match=r"only \d+ different tasks found, 500 wanted"):
        draw(narrow, functions, count=500)


@given(
    start=st.integers(0, 99),
    plan=st.lists(st.tuples(st.sampled_from(sorted(OPERATORS)), st.integers(1, 99)), min_size=1, max_size=4),
)
def test_a_reference_chains_its_results(start: int, plan: list[tuple[str, int]]) -> None:
    def call(name: str, arguments: dict[str, int]) -> int:
        return eval(f"{arguments['a']} {OPERATORS[name]} {arguments['b']}")

    reference = reference_for(plan, start, call)
    value = start
    for (name, operand), step in zip(plan, reference["tool_calls"], strict=True):
        assert step == {"name": name, "arguments": {"a": value, "b": operand}}
        value = call(name, step["arguments"])
    assert reference["answer"] == str(value)


def test_the_behaviours_do_what_they_are_called(tasks: dict[str, list[Task]]) -> None:
    rng = random.Random(1)
    assert sum(BEHAVIOURS.values()) == pytest.approx(1)
    for task in tasks["in_domain"]:
        wanted = len(task["reference"]["tool_calls"])
        for behaviour in Behaviour:
            messages = demonstrate(task, behaviour, rng)
            names = [m["tool_calls"][0]["function"]["name"] for m in messages if m.get("tool_calls")]
            invented = [name for name in names if name in INVENTED_TOOLS]
            assert "boxed" in messages[-1]["content"]
            assert len(invented) == (behaviour is Behaviour.INVENTED)
            if behaviour is Behaviour.CORRECT:
                assert len(names) == wanted
            elif behaviour is Behaviour.EARLY:
                assert len(names) < wanted
            elif behaviour is Behaviour.GUESS:
                assert names == []


def test_all_wordings_of_all_operations_occur(tasks: dict[str, list[Task]]) -> None:
    text = " ".join(task["prompt"] for rows in tasks.values() for task in rows)
    seen = Counter(form for forms in OPERATIONS.values() for form in forms if form.split("{")[0] in text)
    assert len(seen) == sum(map(len, OPERATIONS.values()))
