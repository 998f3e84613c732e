"""ToolSet.environment in TRL's GRPOTrainer: a small model that knows its calls by heart, and real training steps."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mentor
from mentor import ToolSet

pytest.importorskip("trl")

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from mentor.models.tiny import ModelShape, build_model, build_tokenizer
from mentor.train.supervised import Fit, encode, fit

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*"),
    pytest.mark.filterwarnings("ignore:.*experimental feature.*"),
]

SOURCE = '''
total = 0

def count(by: int) -> int:
    """Count.

    Args:
        by: How much.
    """
    global total
    total += by
    return total

def crash() -> None:
    """Break the guest."""
    import os
    os._exit(1)
'''
ADD, BREAK = "Count two and three.", "Do it wrong."


def asked(name: str, **arguments: Any) -> dict[str, Any]:
    call = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": "", "tool_calls": [call]}


def told(name: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "name": name, "content": content}


MALFORMED = 'error: count: by must be an integer, not a string ("x")'
NOT_OFFERED = "error: this task does not offer 'crash'; it offers count"
CAPPED = "error: no calls are left: this task allows 3 calls; answer with what you have"
ANSWER = {"role": "assistant", "content": "The answer is \\boxed{5}."}
ROLLOUTS = {
    ADD: [asked("count", by=2), told("count", "2"), asked("count", by=3), told("count", "5"), ANSWER],
    BREAK: [
        asked("count", by="x"), told("count", MALFORMED),
        asked("crash"), told("crash", NOT_OFFERED),
        asked("count", by=3), told("count", "3"),
        asked("count", by=3), told("count", CAPPED),
        ANSWER,
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def tools() -> ToolSet:
    return ToolSet.from_source(SOURCE)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Matrices this small are quicker without threads that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def policy(tools: ToolSet) -> tuple[Any, Any]:
    shape = ModelShape(hidden=64, layers=2, heads=2, vocabulary=640)
    tokenizer = build_tokenizer(
        [" ".join((ADD, BREAK, MALFORMED, NOT_OFFERED, CAPPED, "The answer is . by"))] * 3, shape
    )
    model = build_model(tokenizer, shape, seed=0)
    learned = [[{"role": "user", "content": prompt}, *rollout] for prompt, rollout in ROLLOUTS.items()]
    losses: list[float] = []
    settings = Fit(steps=120, batch=2, window=1, learning_rate=1e-2, muon_rate=0.04)
    examples = encode(tokenizer, learned, tools=tools.schemas)
    fit(model, examples, settings, pad=tokenizer.pad_token_id, on_step=lambda step, loss, _: losses.append(loss))
    assert losses[-1] < 0.01 < losses[0]
    return model, tokenizer


def test_state_is_per_rollout_and_mistakes_are_answered(
    policy: tuple[Any, Any], tools: ToolSet, tmp_path: Path
) -> None:
    seen: list[dict[str, Any]] = []

    def reward(completions: list[Any], environments: list[Any], offered: list[str], **columns: Any) -> list[float]:
        for prompt, completion, environment, cell in zip(
            columns["prompts"], completions, environments, offered, strict=True
        ):
            seen.append(
                {
                    "prompt": prompt[-1]["content"],
                    "told": [m["content"] for m in completion if m["role"] == "tool"],
                    "calls": environment.calls,
                    "total": environment.session.call("count", {"by": 0}).value,
                    "offered": cell,
                    "instance": id(environment),
                }
            )
        scores = mentor.score_batch(completions, [json.loads(cell) for cell in columns["reference"]])
        return [float(value) + at / 100 for at, value in enumerate(scores.reward)]

    reference = json.dumps({"answer": "5", "tool_calls": [{"name": "count", "arguments": {"by": 2}}]})
    rows = [
        {"prompt": [{"role": "user", "content": prompt}], "reference": reference, "offered": ["count"]}
        for prompt in (ADD, BREAK)
    ]
    model, tokenizer = policy
    settings = GRPOConfig(
        output_dir=str(tmp_path),
        max_steps=2,
        per_device_train_batch_size=8,
        num_generations=4,
        max_completion_length=400,
        max_tool_calling_iterations=6,
        temperature=0.2,
        learning_rate=1e-6,
        use_cpu=True,
        dataloader_pin_memory=False,
        report_to="none",
        logging_steps=1,
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = GRPOTrainer(
        model=model,
        args=settings,
        reward_funcs=reward,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        environment_factory=tools.environment(max_calls=3, column="offered"),
    )
    trainer.train()

    assert len(seen) == 16
    adding = [rollout for rollout in seen if rollout["prompt"] == ADD]
    breaking = [rollout for rollout in seen if rollout["prompt"] == BREAK]
    assert len(adding) == len(breaking) == 8
    # All eight rollouts of a step run in one process; a shared total would go on from one to the next.
    assert [rollout["told"] for rollout in adding] == [["2", "5"]] * 8
    assert [rollout["total"] for rollout in adding] == [5] * 8
    assert [rollout["told"] for rollout in breaking] == [[MALFORMED, NOT_OFFERED, "3", CAPPED]] * 8
    assert [call.name for call in breaking[0]["calls"]] == ["count", "crash", "count", "count"]
    assert len({rollout["instance"] for rollout in seen}) == 8  # TRL uses them again, `reset` begins anew
    logs = [row for row in trainer.state.log_history if "loss" in row]
    assert len(logs) == 2
    assert all(math.isfinite(row["loss"]) for row in logs)
    assert all(row["tools/call_frequency"] == 3.0 for row in logs)  # two calls and four
    assert all(row["tools/failure_frequency"] == 0.0 for row in logs)  # every call was answered
