"""mentor.rewards: what TRL hands over becomes the published reward, and the step's summary."""

from __future__ import annotations

import json
from typing import Any

import pytest

import mentor
from mentor.errors import InputError
from mentor.rewards import RewardFunction, StepSummary, mark_truncated, summarize

REFERENCE = {"answer": "21", "tool_calls": [{"name": "add", "arguments": {"a": 5, "b": 16}}]}
TOOLS = ["add", "multiply"]
END = 7


def call(name: str, arguments: dict[str, Any], result: str) -> list[dict[str, Any]]:
    asked = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return [
        {"role": "assistant", "content": "", "tool_calls": [asked]},
        {"role": "tool", "name": name, "content": result},
    ]


def answer(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": f"The answer is \\boxed{{{text}}}."}


ROLLOUTS = {
    "solved": [*call("add", {"a": 5, "b": 16}, "21"), answer("21")],
    "guessed": [answer("21")],
    "wrong": [*call("add", {"a": 5, "b": 16}, "21"), answer("20")],
    "invented": [*call("plus", {"a": 5, "b": 16}, "{'error': 'Tool plus not found.'}"), answer("20")],
    "other arguments": [*call("add", {"a": 16, "b": 4}, "20"), answer("21")],
    "silent": [{"role": "assistant", "content": "I do not know."}],
}
# REWARD tables of the paper (section 3): m = 0.3 * set match, h = 0.1 * no invented tool.
EXPECTED = {
    "mentor": [0.7 + (0.3 + 0.1), 0.7 + (0.0 + 0.1), 0.2 * 0.3 + 0.1, 0.0, 0.7 + (0.3 + 0.1), 0.1],
    "sparse": [1.0, 1.0, 0.1, 0.1, 1.0, 0.1],
    "valid": [0.7 + 0.1, 0.7 + 0.1, 0.1, 0.0, 0.7 + 0.1, 0.1],
    "overlap": [1.0, 0.7, 0.2 * 0.3, 0.0, 1.0, 0.1],
    "f1": [0.7 + (0.3 + 0.1), 0.7 + (0.0 + 0.1), 0.2 * 0.3 + 0.1, 0.0, 0.7 + (0.3 + 0.1), 0.1],
    "strict": [0.7 + (0.3 + 0.1), 0.7 + (0.0 + 0.1), 0.2 * 0.3 + 0.1, 0.0, 0.7 + (0.0 + 0.1), 0.1],
}


def columns(count: int) -> dict[str, list[str]]:
    return {"reference": [json.dumps(REFERENCE)] * count, "offered": [json.dumps(TOOLS)] * count}


@pytest.mark.parametrize("preset", EXPECTED)
def test_the_published_values(preset: str) -> None:
    reward = RewardFunction(preset, ends={END})
    found = reward(
        prompts=[[]] * len(ROLLOUTS),
        completions=list(ROLLOUTS.values()),
        completion_ids=[[1, END]] * len(ROLLOUTS),
        **columns(len(ROLLOUTS)),
    )
    assert found == EXPECTED[preset]
    assert reward.__name__ == f"{preset}_reward"


def test_a_cut_off_rollout_earns_nothing() -> None:
    reward = RewardFunction("mentor", ends={END})
    found = reward(completions=[ROLLOUTS["solved"]] * 2, completion_ids=[[1, END], [1, 2]], **columns(2))
    assert found == [1.1, 0.0]
    assert reward.last is not None
    assert reward.last.truncated == 0.5


def test_each_row_has_its_own_tools() -> None:
    rows = {"reference": [json.dumps(REFERENCE)] * 2, "offered": [json.dumps(["add"]), json.dumps(["multiply"])]}
    found = RewardFunction("mentor")(completions=[ROLLOUTS["solved"]] * 2, **rows)
    assert found == [1.1, 0.7]


def test_the_summary_by_hand() -> None:
    scores = mentor.score_batch(
        list(ROLLOUTS.values()), [REFERENCE] * len(ROLLOUTS), reward="mentor", tools=[TOOLS] * len(ROLLOUTS)
    )
    found = summarize(scores)
    assert found.reward == pytest.approx(sum(EXPECTED["mentor"]) / 6)
    assert found.accuracy == pytest.approx(3 / 6)
    assert found.tool_validity == pytest.approx(
        3 / 6
    )  # solved, wrong, other arguments; silence and a guess do not count
    assert found.calls == pytest.approx(4 / 6)
    assert found.truncated == 0.0
    assert isinstance(found, StepSummary)


def test_a_task_without_calls_needs_none() -> None:
    bare = {"answer": "21", "tool_calls": []}
    scores = mentor.score_batch([ROLLOUTS["guessed"]], [bare], reward="sparse", tools=TOOLS)
    assert summarize(scores).tool_validity == 1.0


def test_marking_leaves_the_original_alone() -> None:
    messages = ROLLOUTS["solved"]
    before = json.dumps(messages)
    marked = mark_truncated(messages, truncated=True)
    assert marked[-1]["finish_reason"] == "length"
    assert json.dumps(messages) == before
    assert mark_truncated(messages, truncated=False) is messages
    assert mark_truncated([], truncated=True) == [{"role": "assistant", "content": "", "finish_reason": "length"}]


ODD: list[Any] = [
    {"a": 10**30, "b": 1},
    {"a": float("nan"), "b": float("inf")},
    {"a": "\ud800", "b": 1},
    [1, 2],
    None,
    {"\udfff": 1},
]


@pytest.mark.parametrize("arguments", ODD, ids=range(len(ODD)))
def test_whatever_a_model_puts_into_a_call_is_scored_and_can_be_written(arguments: Any) -> None:
    kept: list[Any] = []
    reward = RewardFunction("mentor", on_scores=lambda scores, messages, _: kept.append((scores, messages)))
    rollout = [*call("add", arguments, "Tool \ud800 failed"), answer("21")]
    found = reward(completions=[rollout], **columns(1))
    assert 0 <= found[0] <= 1.1
    _, messages = kept[0]
    text = json.dumps(messages, allow_nan=False, ensure_ascii=False)
    assert json.loads(text.encode()) == messages[0:1]


def test_what_was_scored_can_be_watched() -> None:
    seen: list[Any] = []
    reward = RewardFunction("mentor", on_scores=lambda scores, messages, cols: seen.append((len(scores), cols)))
    reward(completions=[ROLLOUTS["solved"]], task_id=["t"], **columns(1))
    assert seen[0][0] == 1
    assert seen[0][1]["task_id"] == ["t"]


def test_a_bad_reference_is_the_callers_mistake() -> None:
    with pytest.raises(InputError):
        RewardFunction("mentor")(completions=[ROLLOUTS["solved"]], reference=['{"tool_calls": []}'], offered=["[]"])
