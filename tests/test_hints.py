"""The suite hints: prompts read by hand, splits that differ in one thing, behaviours that do what they say."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

import mentor
from mentor.data import Task
from mentor.errors import InputError
from mentor.suites import execute, open_suite
from mentor.suites.hints import INVENTED, OFFERED, hints

SUITE = hints()
TOOLS = SUITE.open_tools()

WORDS = {
    "mix stir merge swirl": lambda a, b: 3 * a + b + 17,
    "bend crease double tuck": lambda a, b: 7 * a + 3 * b + 5,
    "join attach splice bond": lambda a, b: a * b + a + b + 9,
    "tie loop hitch lash": lambda a, b: 9 * a + 11 * b + 31,
    "lean slope slant tip": lambda a, b: a + 9 * b + 47,
    "plait lace twine mesh": lambda a, b: a * b + 7 * a + b + 13,
}
OPERATIONS = {word: formula for words, formula in WORDS.items() for word in words.split()}


def draw(split: str, count: int = 200, *, seed: int = 5, leak: float = 0.4) -> list[Task]:
    return hints(leak).draw(split, count, seed=seed, tools=TOOLS, exclude=())


def by_hand(prompt: str) -> tuple[int, list[int], int | None]:
    """Read a prompt as a person would: the result, the operands in order, the hint."""
    chain, _, hint = re.sub(r" (hint|clue) ", " | ", prompt).partition(" | ")
    start, *steps = re.findall(r"[a-z]+ \d+", chain)
    value = int(start.split()[1])
    operands = [value]
    for step in steps:
        word, operand = step.split()
        operands.append(int(operand))
        value = OPERATIONS[word](value, int(operand)) % 100
    return value, operands, int(hint) if hint else None


@pytest.mark.parametrize("split", SUITE.splits)
def test_references_say_what_the_prompt_says(split: str) -> None:
    for task in draw(split):
        value, operands, hint = by_hand(str(task.prompt))
        calls = task.reference["tool_calls"]
        assert task.reference["answer"] == str(value)
        assert [calls[0]["arguments"]["a"], *(call["arguments"]["b"] for call in calls)] == operands
        assert task.meta.get("hint") == (None if hint is None else str(hint))
        assert task.meta["results"] == execute(TOOLS, calls)


def test_splits_differ_in_one_thing_each() -> None:
    def facts(split: str) -> dict[str, object]:
        tasks = draw(split)
        read = [by_hand(str(task.prompt)) for task in tasks]
        return {
            "depths": {len(operands) - 1 for _, operands, _ in read},
            "operands": (min(min(ops) for _, ops, _ in read), max(max(ops) for _, ops, _ in read)),
            "hints": {hint is not None for _, _, hint in read},
            "right": any(hint == value for value, _, hint in read),
            "frame": {str(task.prompt).split()[0] for task in tasks},
            "offered": {len(task.tools) for task in tasks},
        }

    inside = facts("in_domain")
    assert inside == {
        "depths": {2, 3}, "operands": (0, 49), "hints": {True}, "right": True, "frame": {"take"}, "offered": {6},
    }  # fmt: skip
    assert facts("nohint") == inside | {"hints": {False}, "right": False}
    assert facts("badhint") == inside | {"right": False}
    assert facts("depth") == inside | {"depths": {4}}
    assert facts("phrasing") == inside | {"frame": {"from"}}
    assert facts("operands") == inside | {"operands": (50, 99)}
    assert facts("distractors") == inside | {"offered": {9}}


def test_phrasing_shares_no_word_with_the_training_split() -> None:
    def words(split: str) -> set[str]:
        return {word for task in draw(split) for word in re.findall(r"[a-z]+", str(task.prompt))}

    assert not words("in_domain") & words("phrasing")
    assert words("in_domain") == words("operands")


@pytest.mark.parametrize("leak", [0.0, 0.15, 0.4, 0.9, 1.0])
def test_hints_are_right_in_the_share_that_was_asked_for(leak: float) -> None:
    for split in ("in_domain", "depth", "phrasing"):
        tasks = draw(split, 1_000, leak=leak)
        right = sum(task.meta["hint"] == task.reference["answer"] for task in tasks) / len(tasks)
        assert abs(right - leak) < 0.05, (split, right)


def test_a_guess_is_seldom_right() -> None:
    answers = Counter(task.reference["answer"] for task in draw("in_domain", 5_000))
    assert answers.most_common(1)[0][1] < 0.04 * 5_000
    assert len(answers) == 100


def test_the_seed_decides_and_excluded_prompts_stay_out() -> None:
    first = draw("in_domain", 50)
    assert first == draw("in_domain", 50)
    prompts = {task.prompt for task in first}
    assert len(prompts) == 50
    assert not prompts & {task.prompt for task in draw("in_domain", 50, seed=6)}
    again = SUITE.draw("in_domain", 50, seed=5, tools=TOOLS, exclude=prompts)
    assert not prompts & {task.prompt for task in again}


def called(messages: list[dict[str, object]]) -> list[str]:
    return [m["tool_calls"][0]["function"]["name"] for m in messages if m.get("tool_calls")]  # type: ignore[index]


def test_the_behaviours_do_what_they_are_called() -> None:
    rng = random.Random(3)
    tasks = draw("in_domain")
    assert sum(SUITE.behaviours.values()) == pytest.approx(1)
    assert SUITE.behave is not None
    shown = {kind: [SUITE.behave(task, kind, rng) for task in tasks] for kind in (*SUITE.behaviours, "follow")}
    references = [task.reference for task in tasks]
    scores = {
        kind: mentor.score_batch(rollouts, references, reward="mentor", tools=list(OFFERED), judge="native")
        for kind, rollouts in shown.items()
    }
    assert scores["correct"].reward.tolist() == [1.1] * len(tasks)
    right = {kind: float(found.components["correct"].mean()) for kind, found in scores.items()}
    leaked = sum(task.meta["hint"] == task.reference["answer"] for task in tasks) / len(tasks)
    assert right["copy"] == right["follow"] == leaked
    assert max(right["guess"], right["early"], right["slip"]) < 0.06
    assert all(called(rollout) == [] for kind in ("copy", "guess", "follow") for rollout in shown[kind])
    for task, early, slip, invented in zip(tasks, shown["early"], shown["slip"], shown["invented"], strict=True):
        wanted = [call["name"] for call in task.reference["tool_calls"]]
        assert called(early) == wanted[: len(called(early))] != wanted
        assert len(called(slip)) == len(wanted)
        assert called(invented)[-1] in INVENTED
        assert called(invented)[:-1] == wanted[: len(called(invented)) - 1]


def test_what_a_slip_reads_is_what_the_tools_answer() -> None:
    assert SUITE.behave is not None
    for task in draw("depth", 50):
        messages = SUITE.behave(task, "slip", random.Random(task.id))
        calls = [m["tool_calls"][0]["function"] for m in messages if m.get("tool_calls")]
        assert [m["content"] for m in messages if m["role"] == "tool"] == execute(TOOLS, calls)
        assert calls != task.reference["tool_calls"]


def test_the_verbose_teacher_is_right_and_long_winded() -> None:
    tasks = draw("in_domain", 50)
    assert SUITE.verbose is not None
    rollouts = [SUITE.verbose(task) for task in tasks]
    scores = mentor.score_batch(rollouts, [t.reference for t in tasks], reward="strict", tools=list(OFFERED))
    assert scores.reward.tolist() == [1.1] * len(tasks)
    assert all(len(str(message["content"])) > 40 for rollout in rollouts for message in rollout[::2])


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match=r"leak is 1\.5, must be from 0 to 1"):
        hints(1.5)
    for leak in ("abc", None, True, [1]):
        with pytest.raises(InputError, match=r"leak is .*, must be from 0 to 1"):
            open_suite("hints", leak=leak)
    with pytest.raises(InputError, match="no split 'deep'; known: in_domain, nohint"):
        draw("deep")
    with pytest.raises(InputError, match="no behaviour 'clever'; known: correct"):
        SUITE.behave(draw("nohint", 1)[0], "clever", random.Random(0))  # type: ignore[misc]
    assert open_suite("hints", leak=0.15).splits["in_domain"] == "a hint in each prompt, right in 15% of them"
