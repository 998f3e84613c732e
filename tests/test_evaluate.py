"""mentor.evaluate: the tool loop against a memorised trajectory, and numbers against hand-computed ones."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("trl")

import torch

import mentor
from mentor.evaluate import Budget, evaluate_split, run_rollouts, tool_similarity
from mentor.models.tiny import ModelShape, build_model, build_tokenizer
from mentor.train.supervised import Fit, encode, fit

pytestmark = pytest.mark.train

QUESTION = "What is 34 plus 12, times 3?"
REFERENCE = {
    "answer": "138",
    "tool_calls": [
        {"name": "add", "arguments": {"a": 34, "b": 12}},
        {"name": "multiply", "arguments": {"a": 46, "b": 3}},
    ],
}


def asked(name: str, a: int, b: int) -> dict[str, Any]:
    call = {"type": "function", "function": {"name": name, "arguments": {"a": a, "b": b}}}
    return {"role": "assistant", "content": "", "tool_calls": [call]}


SOLVED = [
    asked("add", 34, 12),
    {"role": "tool", "name": "add", "content": "46"},
    asked("multiply", 46, 3),
    {"role": "tool", "name": "multiply", "content": "138"},
    {"role": "assistant", "content": "The answer is \\boxed{138}."},
]
INVENTED = [
    asked("plus", 5, 6),
    {"role": "tool", "name": "plus", "content": "error: unknown tool 'plus'; the tools are add, multiply"},
    {"role": "assistant", "content": "The answer is \\boxed{7}."},
]
OTHER = "Add 5 to 6!"


@pytest.fixture(scope="module")
def toolset() -> mentor.ToolSet:
    return mentor.tools.arithmetic().only("add", "multiply")


@pytest.fixture(scope="module")
def policy(toolset: mentor.ToolSet) -> tuple[Any, Any]:
    """A real model that has learned two trajectories by heart."""
    shape = ModelShape(hidden=64, layers=2, heads=2, vocabulary=420)
    tokenizer = build_tokenizer(
        [f"{QUESTION} add multiply plus The answer is . {OTHER} error: unknown tool; the tools are"] * 3, shape
    )
    model = build_model(tokenizer, shape, seed=0)
    learned = [
        [{"role": "user", "content": QUESTION}, *SOLVED],
        [{"role": "user", "content": OTHER}, *INVENTED],
    ]
    examples = encode(tokenizer, learned, tools=toolset.schemas)
    losses: list[float] = []
    settings = Fit(steps=200, batch=2, window=1, learning_rate=1e-2, muon_rate=0.04)
    fit(model, examples, settings, pad=tokenizer.pad_token_id, on_step=lambda step, loss, _: losses.append(loss))
    assert losses[-1] < 0.01 < losses[0]
    return model, tokenizer


def roll(policy: tuple[Any, Any], toolset: mentor.ToolSet, prompts: list[str], **options: Any) -> list[Any]:
    budget = Budget(**{"max_tokens": 200, **options.pop("budget", {})})
    rows = [{"messages": [{"role": "user", "content": prompt}], "tools": toolset.names} for prompt in prompts]
    return run_rollouts(*policy, rows, tools=toolset, budget=budget, **options)


def test_the_loop_runs_the_tools_and_stops_at_the_answer(policy: tuple[Any, Any], toolset: mentor.ToolSet) -> None:
    first, second = roll(policy, toolset, [QUESTION, OTHER])
    assert first.messages == SOLVED
    assert second.messages == INVENTED
    assert not first.truncated
    assert first.tokens > second.tokens


def test_batches_change_nothing(policy: tuple[Any, Any], toolset: mentor.ToolSet) -> None:
    prompts = [QUESTION, OTHER, QUESTION]
    together = roll(policy, toolset, prompts)
    apart = roll(policy, toolset, prompts, budget={"batch": 1})
    assert [r.messages for r in together] == [r.messages for r in apart]


def test_the_budgets_cut(policy: tuple[Any, Any], toolset: mentor.ToolSet) -> None:
    whole = roll(policy, toolset, [QUESTION])[0]
    for tokens in range(1, whole.tokens):
        cut = roll(policy, toolset, [QUESTION], budget={"max_tokens": tokens})[0]
        assert cut.truncated
        assert cut.tokens <= tokens
    exact = roll(policy, toolset, [QUESTION], budget={"max_tokens": whole.tokens})[0]
    assert (exact.truncated, exact.messages) == (False, SOLVED)
    assert roll(policy, toolset, [QUESTION], budget={"max_turns": 1})[0].messages == SOLVED[:3]


def test_sampling_is_seeded_and_leaves_the_global_generator_alone(
    policy: tuple[Any, Any], toolset: mentor.ToolSet
) -> None:
    before = torch.random.get_rng_state()
    prompts = [QUESTION] * 4
    first = roll(policy, toolset, prompts, temperature=2.0, seed=1)
    same = roll(policy, toolset, prompts, temperature=2.0, seed=1)
    other = roll(policy, toolset, prompts, temperature=2.0, seed=2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert [r.messages for r in first] == [r.messages for r in same]
    assert [r.messages for r in first] != [r.messages for r in other]


def test_the_numbers_of_a_split_by_hand(policy: tuple[Any, Any], toolset: mentor.ToolSet) -> None:
    wanted = {"answer": "11", "tool_calls": [{"name": "add", "arguments": {"a": 5, "b": 6}}]}
    tasks = [
        {
            "id": "1",
            "messages": [{"role": "user", "content": QUESTION}],
            "tools": toolset.names,
            "reference": REFERENCE,
        },
        {"id": "2", "messages": [{"role": "user", "content": OTHER}], "tools": toolset.names, "reference": wanted},
    ]
    seen: list[int] = []
    found = evaluate_split(
        *policy,
        tasks,
        tools=toolset,
        reward="mentor",
        budget=Budget(max_tokens=200, batch=1),
        seed=0,
        on_batch=seen.append,
    )
    numbers = found.numbers
    assert seen == [1, 1, 1, 1]
    assert numbers["tasks"] == 2
    assert numbers["accuracy"] == 0.5
    assert numbers["reward"] == pytest.approx((1.1 + 0.0) / 2)
    assert numbers["tool_validity"] == 0.5
    assert numbers["alignment_f1"] == 0.5
    assert numbers["calls_per_rollout"] == 1.5
    assert numbers["truncated"] == 0.0
    assert numbers["silent"] == 0.0
    assert numbers["correct"] == [1, 0]
    # student: add 1/3, multiply 1/3, plus 1/3; teacher: add 2/3, multiply 1/3
    assert numbers["tool_similarity"] == pytest.approx(tool_similarity("amp", "aam"))
    assert [row["correct"] for row in found.rollouts] == [True, False]
    assert [defect["kind"] for defect in found.rollouts[1]["defects"]] == ["unknown_tool"]
    assert found.rollouts[0]["completion"] == SOLVED
    assert found.rollouts[0]["tools"] == list(toolset.names)


def test_similarity_of_distributions() -> None:
    assert tool_similarity([], []) == 1.0
    assert tool_similarity(["a"], []) == 0.0
    assert tool_similarity("ab", "ba") == 1.0
    assert tool_similarity("a", "b") == 0.0
    # p = (1, 0), q = (1/2, 1/2): JSD = H(3/4, 1/4) - H(1/2, 1/2) / 2 = 0.8112781 - 0.5
    assert tool_similarity("a", "ab") == pytest.approx(1 - 0.3112781244591328)
    assert tool_similarity("ab", "a") == tool_similarity("a", "ab")
