"""``mentor eval``: real models on tasks of a file and of a suite, through the command line."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet
import pytest
from click.testing import CliRunner

pytest.importorskip("trl")
pytest.importorskip("scipy")

import mentor
from mentor.cli import main
from mentor.cli.eval_result import Evaluation, contrasts, summary
from mentor.data import Task, write_tasks
from mentor.evaluate import Pass
from mentor.models.tiny import ModelShape, build_model, build_tokenizer
from mentor.suites import open_suite
from mentor.train.supervised import Fit, encode, fit

pytestmark = pytest.mark.train

QUESTION, OTHER = "What is 34 plus 12?", "Add 5 to 6!"
CALL = {"name": "add", "arguments": {"a": 34, "b": 12}}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned one trajectory by heart, and the same before it learned anything; and two tasks."""
    folder = tmp_path_factory.mktemp("models")
    tools = mentor.tools.arithmetic().only("add", "multiply")
    shape = ModelShape(hidden=64, layers=2, heads=2, vocabulary=420)
    tokenizer = build_tokenizer([f"{QUESTION} add multiply The answer is . {OTHER}"] * 3, shape)
    model = build_model(tokenizer, shape, seed=0)
    for name in ("raw", "trained"):
        if name == "trained":
            learned = [
                {"role": "user", "content": QUESTION},
                {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": CALL}]},
                {"role": "tool", "name": "add", "content": "46"},
                {"role": "assistant", "content": "The answer is \\boxed{46}."},
            ]
            other = [{"role": "user", "content": OTHER}, {"role": "assistant", "content": "The answer is \\boxed{7}."}]
            examples = encode(tokenizer, [learned, other], tools=tools.schemas)
            settings = Fit(steps=150, batch=2, window=1, learning_rate=1e-2, muon_rate=0.04)
            fit(model, examples, settings, pad=tokenizer.pad_token_id)
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    tasks = [
        Task(id="a", prompt=QUESTION, tools=("add", "multiply"), reference={"answer": "46", "tool_calls": [CALL]}),
        Task(
            id="b",
            prompt=OTHER,
            tools=("add", "multiply"),
            reference={"answer": "11", "tool_calls": [{"name": "add", "arguments": {"a": 5, "b": 6}}]},
        ),
    ]
    write_tasks(folder / "tasks.jsonl", tasks)
    return folder


def invoke(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["eval", *map(str, words)], terminal_width=100)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_two_models_on_the_tasks_of_a_file(models: Path, tmp_path: Path) -> None:
    output = tmp_path / "found.json"
    words = [
        "--dataset",
        models / "tasks.jsonl",
        "--sampled",
        2,
        "--max-tokens",
        60,
        "--system-prompt",
        "",
        "-o",
        output,
    ]
    code, printed = invoke(models / "trained", models / "raw", *words)
    assert code == 0, printed
    assert "2 tasks per split" in printed
    assert "paired over tasks" in printed
    found = json.loads(output.read_text())
    trained, raw = found["summary"]
    assert (trained["model"], trained["split"], trained["tasks"]) == ("trained", "tasks", 2)
    assert (trained["accuracy"], raw["accuracy"]) == (0.5, 0)
    assert trained["accuracy_low"] < 0.5 < trained["accuracy_high"] < 1
    assert 0 < raw["accuracy_high"] < 1  # two wrong answers do not prove that all are wrong
    assert trained["silent"] == 0.5
    assert trained["calls_per_rollout"] == 0.5
    assert trained["tool_similarity"] == 1.0
    (test,) = found["tests"]
    assert (test["first"], test["second"], test["worse"], test["better"]) == ("raw", "trained", 1, 0)
    rows = found["rollouts"]
    assert len(rows) == 2 * 2 * 3
    greedy = next(row for row in rows if (row["model"], row["task_id"], row["sample"]) == ("trained", "a", "greedy"))
    assert greedy["correct"] == greedy["calls"] == 1
    assert greedy["completion"][1]["content"] == "46"
    assert greedy["reference"]["answer"] == "46"


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_rollouts_are_written_for_other_tools_to_read(models: Path, tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"found.{ending}"
    words = ["--dataset", models / "tasks.jsonl", "--sampled", 0, "--max-tokens", 60, "--system-prompt", ""]
    code, printed = invoke(models / "trained", *words, "-o", output)
    assert code == 0, printed
    assert "sampled" not in printed.split("\n", 2)[2]
    if ending == "jsonl":
        rows: list[dict[str, Any]] = [json.loads(line) for line in output.read_text().splitlines()]
        scored = CliRunner().invoke(main, ["score", str(output), "-r", "mentor"])
        assert scored.exit_code == 0, scored.output
    else:
        read = pyarrow.csv.read_csv if ending == "csv" else pyarrow.parquet.read_table
        rows = read(output).to_pylist()
        assert json.loads(rows[0]["completion"])[0]["role"] == "assistant"
    assert [row["correct"] for row in rows] == [1, 0]


def test_a_run_brings_its_suite_and_its_limits(models: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    config: dict[str, Any] = {
        "method": "mentor",
        "suite": "store",
        "max_completion_length": 24,
        "max_tool_turns": 2,
        "seed": 3,
    }
    config |= {"train_tasks": 5}
    (run / "config.yaml").write_text(json.dumps(config))
    code, printed = invoke(run)
    assert code == 2
    assert "is not finished; go on with: python -m mentor.train --resume" in printed
    shutil.copytree(models / "raw", run / "model")
    output = tmp_path / "o.jsonl"
    code, printed = invoke(run, "-n", 3, "--splits", "in_domain", "--sampled", 0, "-o", output)
    assert code == 0, printed
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(rows) == 3
    assert all(row["tokens"] <= 24 for row in rows)
    offered = mentor.suites.open_suite("store").open_tools().names
    assert all(set(row["tools"]) <= set(offered) for row in rows)
    again = tmp_path / "again.jsonl"
    code, printed = invoke(run / "model", "-n", 3, "--splits", "in_domain", "--sampled", 0, "-o", again)
    assert code == 0, printed
    assert again.read_text() == output.read_text().replace('"model": "run"', '"model": "model"')


def make_run(folder: Path, model: Path, **config: Any) -> Path:
    folder.mkdir()
    limits = {"method": "mentor", "max_completion_length": 24, "max_tool_turns": 2, "suite": "library"}
    (folder / "config.yaml").write_text(json.dumps({**limits, **config}))
    shutil.copytree(model, folder / "model")
    return folder


def test_runs_are_evaluated_on_tasks_that_none_of_them_was_trained_on(models: Path, tmp_path: Path) -> None:
    """In a small world the training tasks of one seed are often among the evaluation tasks of another."""

    def key(reference: Any) -> str:
        return json.dumps([[call["name"], call["arguments"]] for call in reference["tool_calls"]])

    runs = [make_run(tmp_path / str(seed), models / "raw", seed=seed, train_tasks=300) for seed in (0, 1)]
    suite = open_suite("library")
    tools = suite.open_tools()
    drawn = [task for seed in (0, 1) for task in suite.draw("in_domain", 300, seed=seed, tools=tools, exclude=())]
    trained = {key(task.reference) for task in drawn}
    for suites, split in (([], "in_domain"), (["--suite", "hints", "--suite", "library"], "library/in_domain")):
        output = tmp_path / "o.jsonl"
        code, printed = invoke(*runs, *suites, "-n", 30, "--splits", split, "--sampled", 0, "-o", output)
        assert code == 0, printed
        evaluated = {key(json.loads(line)["reference"]) for line in output.read_text().splitlines()}
        assert len(evaluated) == 30
        assert not evaluated & trained


def test_a_run_on_a_file_is_evaluated_on_what_the_file_held_out(models: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    tasks = [
        Task(id=f"t{at}", prompt=f"Add {at} to 6!", tools=("add",), reference={"answer": str(at + 6), "tool_calls": []})
        for at in range(60)
    ]
    write_tasks(file, tasks)
    run = make_run(
        tmp_path / "run", models / "raw", suite="arithmetic", dataset=str(file), eval_tasks=4, train_tasks=50
    )
    output = tmp_path / "o.jsonl"
    for count, wanted in ((200, ["t56", "t57", "t58", "t59"]), (2, ["t58", "t59"])):
        code, printed = invoke(run, "-n", count, "--sampled", 0, "-o", output)
        assert code == 0, printed
        assert [json.loads(line)["task_id"] for line in output.read_text().splitlines()] == wanted
    other = make_run(tmp_path / "other", models / "raw")
    code, printed = invoke(run, other, "-n", 2)
    assert code == 2
    assert f"different tasks ({file}, library); name some with --suite or --dataset" in printed
    file.unlink()
    code, printed = invoke(run)
    assert (code, printed) == (2, f"Error: dataset '{file}': no such file\n")


def test_ctrl_c_keeps_what_is_finished(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "o.jsonl"
    output.write_text("of an earlier call")
    words = [models / "raw", "--dataset", models / "tasks.jsonl", "--max-tokens", 20, "-o", output]

    def never(*args: Any, **options: Any) -> Pass:
        raise KeyboardInterrupt

    monkeypatch.setattr(mentor.evaluate, "run_pass", never)
    code, printed = invoke(*words)
    assert (code, printed) == (130, "stopped; nothing was finished\n")
    assert output.read_text() == "of an earlier call"
    monkeypatch.undo()
    real, finished = mentor.evaluate.run_pass, list[Pass]()

    def once(*args: Any, **options: Any) -> Pass:
        if finished:
            raise KeyboardInterrupt
        finished.append(real(*args, **options))
        return finished[0]

    monkeypatch.setattr(mentor.evaluate, "run_pass", once)
    code, printed = invoke(*words)
    assert code == 130
    assert "stopped; what was finished is above" in printed
    assert len(output.read_text().splitlines()) == 2


def test_errors_are_one_line(models: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "none.jsonl").write_text("")
    (tmp_path / "bad.jsonl").write_text('{"prompt": "x"}\n')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}")
    raw, tasks = models / "raw", models / "tasks.jsonl"
    cases: list[tuple[list[object], str]] = [
        ([tmp_path / "empty"], "neither a run (config.yaml) nor a saved model"),
        ([tmp_path / "gone"], "no such folder"),
        ([tmp_path / "broken", "--dataset", tasks], "cannot be loaded"),
        ([raw, "--no-greedy", "--sampled", 0], "nothing to do"),
        ([raw, "-o", "x.txt"], "the ending is unknown"),
        ([raw, "--dataset", tasks, "--suite", "store"], "brings its own tasks"),
        ([raw, "--suite", "stor"], "did you mean 'store'"),
        ([raw, "--splits", "deep", "-n", 2], "there is no 'deep'"),
        ([raw, "--dataset", tmp_path / "none.jsonl"], "no task in it"),
        ([raw, "--dataset", tmp_path / "bad.jsonl"], "bad.jsonl:1: reference: missing"),
        ([raw, "--dataset", tasks, "-r", "best"], "unknown reward 'best'"),
        ([raw, raw, "--dataset", tasks], "named twice"),
    ]
    for words, wanted in cases:
        code, output = invoke(*words)
        assert (code, output.count("\n")) == (2, 1), output
        assert output.startswith("Error: ")
        assert wanted in output


def test_numbers_by_hand() -> None:
    def passed(correct: list[float], **values: list[float]) -> Pass:
        keys = ("reward", "tool_validity", "alignment_f1", "calls_per_rollout", "silent", "truncated", "tokens")
        return Pass(
            task_ids=[str(at) for at in range(len(correct))],
            values={"correct": correct, **{key: values.get(key, correct) for key in keys}},
            tool_similarity=0.5,
            completions=[[] for _ in correct],
            defects=[[] for _ in correct],
        )

    tasks = [{"reference": {}, "tools": []} for _ in range(20)]
    found = Evaluation(rows={"s": tasks, "never run": tasks})
    found.passes = {
        ("m", "s", None): passed([1.0] * 15 + [0.0] * 5),
        ("m", "s", 0): passed([1.0] * 10 + [0.0] * 10),
        ("m", "s", 1): passed([0.0] * 20),
        ("n", "s", None): passed([0.0] * 10 + [1.0] * 5 + [0.0] * 5),
    }
    first, second = summary(found)
    assert first["measures"]["accuracy"].value == 0.75
    assert first["measures"]["sampled_accuracy"].value == 0.25
    assert "sampled_accuracy" not in second["measures"]
    (pair,) = contrasts(found)
    assert (pair["first"], pair["second"]) == ("n", "m")
    assert pair["test"].difference.value == -0.5
    assert pair["test"].p == pytest.approx(2 / 2**10)  # McNemar: ten tasks changed, all to the worse
    assert pair["holm_p"] == pair["test"].p
    assert math.isfinite(pair["test"].difference.low)


def test_a_wrong_suite_is_refused_before_torch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    code = (
        "import sys\nfrom mentor.cli import main\n"
        f"try:\n    main(['eval', {str(tmp_path)!r}, '--suite', 'stor'])\nexcept SystemExit as end:\n"
        "    assert end.code == 2\n"
        "assert not {'torch', 'transformers', 'trl'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "did you mean 'store'" in done.stderr
