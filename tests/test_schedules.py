"""Configs and schedules of rewards, and the reward function that follows the trainer's step."""

from __future__ import annotations

import json
import pickle
from types import SimpleNamespace

import pytest

import mentor
from mentor.errors import InputError, InputTypeError
from mentor.rewards import LinearSchedule, RewardFunction

REF = {"answer": "3", "tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}
CALL = {"function": {"name": "add", "arguments": {"a": 1, "b": 2}}}
HONEST = [
    {"role": "assistant", "tool_calls": [CALL]},
    {"role": "tool", "content": "3"},
    {"role": "assistant", "content": "\\boxed{3}"},
]
GUESS = HONEST[2:]


def test_weights_are_what_they_say() -> None:
    reward = mentor.DenseReward(outcome=0.5, process=0.4, validity=0.1)
    assert mentor.score_batch([HONEST, GUESS], [REF] * 2, reward=reward).reward.tolist() == pytest.approx([1.0, 0.5])
    assert pickle.loads(pickle.dumps(reward)) == reward
    assert hash(reward) == hash(mentor.DenseReward(outcome=0.5, process=0.4))
    as_dict = {"name": "mentor-dense", "outcome": 0.5, "process": 0.4}
    assert mentor.score_batch([GUESS], [REF], reward=as_dict).reward.tolist() == [0.5]


def test_a_published_reward_can_ask_for_a_call() -> None:
    strict = mentor.PublishedReward("valid", require_call=True)
    assert mentor.score_batch([HONEST, GUESS], [REF] * 2, reward=strict).reward.tolist() == [0.7 + 0.1, 0.7]
    assert mentor.score_batch([GUESS], [REF], reward=mentor.PublishedReward("valid")).reward.tolist() == [0.7 + 0.1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mentor.DenseReward(process=-1.0), "reward: mentor-dense: process: must be a finite number"),
        (lambda: mentor.DenseReward(outcome=0.05), "reward: mentor-dense: outcome: must be above wrong_scale"),
        (lambda: mentor.DenseReward(penalties={"boredom": 1.0}), "unknown field `boredom`"),
        (lambda: mentor.DenseReward(evidence="some"), "unknown variant `some`"),  # type: ignore[arg-type]
        (lambda: mentor.PublishedReward("best"), 'reward: unknown reward "best"'),
        (lambda: mentor.PublishedReward("toolrl", require_call=True), "unknown field `require_call`"),
        (
            lambda: LinearSchedule(start=mentor.DenseReward(), end=mentor.DenseReward(), steps=0),
            "steps must be positive",
        ),
        (
            lambda: LinearSchedule(start=mentor.DenseReward(), end=mentor.DenseReward(equivalent=0.1), steps=9),
            "start and end must have the same equivalent",
        ),
        (lambda: mentor.score_batch([], [], reward={"weights": 1}), "reward: name: is missing"),
    ],
)
def test_bad_configs_name_the_field(make, message: str) -> None:
    with pytest.raises(InputError) as raised:
        make()
    assert message in str(raised.value)


def test_a_reward_must_be_a_reward() -> None:
    with pytest.raises(InputTypeError, match="reward: must be a name, a DenseReward or a PublishedReward, got int"):
        mentor.score_batch([], [], reward=3)  # type: ignore[arg-type]


def test_only_toolrl_does_without_an_answer() -> None:
    gold = {"output": '<think>x</think>\n<tool_call>\n{"name": "f", "parameters": {}}\n</tool_call>'}
    text = gold["output"] + "<|im_end|>"
    assert mentor.score_batch([text], [gold], reward="toolrl").reward.tolist() == [4.0]
    with pytest.raises(InputError, match=r"score_batch: refs\[0\]: answer: is missing"):
        mentor.score_batch([text], [gold])


def test_the_schedule_follows_the_trainers_step() -> None:
    end = mentor.DenseReward(outcome=0.9, process=0.1, validity=0.0)
    schedule = LinearSchedule(start=mentor.DenseReward(), end=end, steps=10)
    assert (schedule(-3), schedule(0)) == (mentor.DenseReward(), mentor.DenseReward())
    assert schedule(10) == schedule(99) == end
    reward = RewardFunction(schedule)
    assert reward.__name__ == "scheduled_reward"
    logged: dict[str, float] = {}
    columns = {"reference": [json.dumps(REF)], "offered": [json.dumps(["add"])], "log_metric": logged.__setitem__}
    found = [
        reward(completions=[GUESS], trainer_state=SimpleNamespace(global_step=step), **columns)[0]
        for step in (0, 5, 10)
    ]
    assert found == pytest.approx([0.6, 0.75, 0.9])
    assert logged["components/correct"] == 1.0
    assert logged["components/process"] == 0.0
    assert RewardFunction().__name__ == "mentor-dense_reward"
