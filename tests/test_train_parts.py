"""Parts of ``mentor.train`` that need no training: tasks, the run folder, memory, what is refused at the start."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from datasets import Dataset

from mentor.config import TrainConfig, resolve
from mentor.data import write_tasks
from mentor.errors import ConfigError, DataError, MentorError
from mentor.models.tiny import ModelShape, build_model, build_tokenizer
from mentor.rollouts import Budget
from mentor.suites import open_suite
from mentor.train.app import main
from mentor.train.folder import RunFolder
from mentor.train.grpo import budget_of
from mentor.train.memory import exhausted
from mentor.train.tasks import load_tasks, to_columns

pytestmark = pytest.mark.train


def task(prompt: Any, **more: Any) -> dict[str, Any]:
    return {"prompt": prompt, "tools": ["add"], "reference": {"answer": "3", "tool_calls": []}, **more}


def written(file: Path, tasks: list[dict[str, Any]]) -> str:
    file.write_text("".join(json.dumps(each) + "\n" for each in tasks))
    return str(file)


def prompts(rows: list[dict[str, Any]]) -> set[str]:
    return {row["messages"][-1]["content"] for row in rows}


def test_what_is_trained_on_is_not_evaluated_in_other_suites_either(tmp_path: Path) -> None:
    """A dataset that a suite wrote, and the same suite's splits as out of domain."""
    suite = open_suite("hints")
    tools = suite.open_tools()
    evaluated = suite.draw("in_domain", 40, seed=1_000_003, tools=tools, exclude=())  # what evaluation would draw
    others = suite.draw("in_domain", 40, seed=1, tools=tools, exclude={str(each.prompt) for each in evaluated})
    file = tmp_path / "tasks.jsonl"
    mixed = [each for pair in zip(evaluated, others, strict=True) for each in pair]
    write_tasks(file, (replace(each, id=str(at)) for at, each in enumerate(mixed)))
    tasks = load_tasks(resolve(TrainConfig(dataset=str(file), eval_suites=("hints",), eval_tasks=20)))
    trained = prompts(tasks.train)
    assert len(trained) == 72
    assert not any(trained & prompts(split.rows) for split in tasks.splits.values())
    assert {len(split.rows) for name, split in tasks.splits.items() if "/" in name} == {20}


def test_splits_that_leave_nothing_of_an_eval_suite_are_refused() -> None:
    few = TrainConfig(eval_suites=("hints",), eval_tasks=2, train_tasks=2, splits=("in_domain",))
    with pytest.raises(ConfigError, match=r"none is of the eval suite 'hints'; add some of hints/in_domain, "):
        load_tasks(resolve(few))
    found = load_tasks(resolve(replace(few, splits=("in_domain", "hints/badhint"))))
    assert list(found.splits) == ["in_domain", "hints/badhint"]


def test_rows_that_ask_what_is_held_out_are_not_trained_on(tmp_path: Path) -> None:
    file = written(tmp_path / "tasks.jsonl", [task(f"What is {at % 15}?") for at in range(20)])
    tasks = load_tasks(resolve(TrainConfig(dataset=file)))
    held = prompts(tasks.splits["in_domain"].rows)
    assert held == {"What is 3?", "What is 4?"}
    assert len(tasks.train) == 16
    assert not held & prompts(tasks.train)
    file = written(tmp_path / "same.jsonl", [task("What is 1?")] * 3)
    with pytest.raises(DataError, match=r"same\.jsonl: all rows ask the same as those that are held out"):
        load_tasks(resolve(TrainConfig(dataset=file)))


def test_prompts_of_several_turns_fit_into_one_table() -> None:
    """Their calls have arguments of different kinds, which Arrow would not put into one column."""
    rows = [
        {
            "id": str(at),
            "messages": [
                {"role": "user", "content": "?"},
                {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"a": value}}}]},
                {"role": "tool", "name": "f", "content": [{"type": "text", "text": "1"}]},
                {"role": "user", "content": "And now?"},
            ],
            "tools": ["f"],
            "reference": {"answer": "1", "tool_calls": []},
        }
        for at, value in enumerate((1, "x", [1]))
    ]
    table = Dataset.from_list(to_columns(rows))
    assert table[0]["prompt"][0] == {"role": "user", "content": "?"}
    assert json.loads(table[1]["prompt"][1]["content"])["tool_calls"][0]["function"]["arguments"] == {"a": "x"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--train-tasks", "5"),
            "5 training tasks are too few: a step takes 12 prompts (rollouts_per_step / num_generations); "
            "give more tasks, or lower rollouts_per_step",
        ),
        (("--suite", "hints:leak=abc"), "leak is 'abc', must be from 0 to 1"),
        (("--resume", "{}"), "nothing to resume in '{}': config.yaml holds no configuration"),
    ],
)
def test_refusals_before_any_work(
    arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_bytes(b"method: \xff\n")
    before = sorted(tmp_path.iterdir())
    assert main([word.format(tmp_path) for word in arguments]) == 2
    assert capsys.readouterr().err == f"error: {message.format(tmp_path)}\n"
    assert sorted(tmp_path.iterdir()) == before


def test_a_context_that_a_prompt_fills_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = ModelShape(hidden=16, layers=1, heads=2, vocabulary=420, context=64)
    tokenizer = build_tokenizer(["Take 1 plus 2"] * 3, shape)
    build_model(tokenizer, shape, seed=0).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    capsys.readouterr()  # transformers shows a bar while it saves
    assert main(["--model", str(tmp_path), "--dry-run", "--splits", "in_domain", "--eval-tasks", "2"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: model {str(tmp_path)!r} has a context of 64 tokens, which the prompt of task ")
    assert len(told.splitlines()) == 1


def test_what_is_cheap_is_refused_before_torch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for words in (["--splits", "deep"], ["--output-dir", str(tmp_path), "--dry-run"], ["--suite", "hints:lek=1"]):
        code = (
            "import sys\nfrom mentor.train.app import main\n"
            f"assert main({words!r}) == 2\nassert not {{'torch', 'transformers', 'trl'}} & set(sys.modules)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert done.stderr.startswith("error: ")


def test_a_stop_while_the_base_is_made_says_that_it_starts_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mentor.train.pipeline.start_model", stop)
    words = "--train-tasks 12 --eval-tasks 2 --splits in_domain --output-dir"
    assert main([*words.split(), str(tmp_path / "run")]) == 130
    printed = capsys.readouterr()
    assert printed.out.startswith("checking the configuration and the tasks\n")
    told = f"stopped; go on with: python -m mentor.train --resume {tmp_path / 'run'} "
    assert printed.err == f"{told}(nothing of the base model is kept: it starts over)\n"


def test_few_tasks_are_enough_for_what_takes_no_groups() -> None:
    words = "--train-tasks 5 --eval-tasks 2 --splits in_domain --method sft --dry-run"
    assert main(words.split()) == 0


def test_a_number_that_is_not_finite_ends_the_run_with_a_word(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append("metrics.jsonl", {"step": 1, "loss": 2.0})
    with pytest.raises(MentorError, match=r"^the policy diverged: loss is no longer finite; lower learning_rate$"):
        folder.append("metrics.jsonl", {"step": 2, "loss": math.nan})
    assert folder.rows("metrics.jsonl") == [{"step": 1, "loss": 2.0}]


def test_evaluation_takes_no_more_at_a_time_than_a_step_does() -> None:
    """The memory that the dry run counts is that of a step's rollouts."""
    large = resolve(TrainConfig(preset="qwen2.5-7b"))
    assert (budget_of(large).batch, budget_of(large, processes=4).batch) == (40, 10)
    assert budget_of(resolve(TrainConfig())).batch == Budget().batch


def test_memory_that_is_exhausted_is_told_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert exhausted(caught.value)
    assert exhausted(MemoryError())
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2) @ torch.empty(3)
    assert not exhausted(caught.value)
