"""``python -m mentor.train`` end to end, through the real command line, at a size that takes seconds."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("trl")

from mentor.config import METHODS

pytestmark = pytest.mark.train

MICRO = {
    "base_steps": 4,
    "warmup_steps": 2,
    "max_steps": 3,
    "rollouts_per_step": 8,
    "num_generations": 4,
    "eval_tasks": 3,
    "train_tasks": 20,
    "max_completion_length": 48,
    "save_steps": 1,
    "threads": 1,
    "splits": "in_domain,depth,operands",
}
SPLITS = ("in_domain", "depth", "operands")
MEASURED = ("reward", "grad_norm", "entropy")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the tests' own, with the sandbox's guest compiled; the first run builds the base into it."""
    folder = tmp_path_factory.mktemp("cache")
    code = "import mentor; assert mentor.Sandbox().run('1').ok"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment(folder))
    return folder


def options(**changes: Any) -> list[str]:
    values = {**MICRO, **changes}
    return [word for name, value in values.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "MENTOR_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def train(cache: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mentor.train", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(cache),
        cwd=cwd,
        timeout=240,
    )


def start(cache: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mentor.train", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(cache),
    )


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def rows(run: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / name).read_bytes().split(b"\n")[:-1]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[tuple[Path, str]]:
    run = tmp_path_factory.mktemp("runs") / "mentor"
    done = train(cache, *options(), "--output-dir", str(run))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    yield run, done.stdout


def test_the_run_folder_holds_what_it_promises(finished: tuple[Path, str]) -> None:
    run, _ = finished
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert {name: config[name] for name in MICRO} == {**MICRO, "splits": list(SPLITS)}
    assert set(config["versions"]) >= {"mentor", "torch", "transformers", "trl", "guest"}
    assert (run / "model" / "model.safetensors").is_file()
    assert (run / "model" / "chat_template.jinja").is_file()
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert names == ["checkpoint-2", "checkpoint-3", "start"]
    page = (run / "report.html").read_text()
    assert "<svg" in page or "data:image" in page
    assert not list(run.rglob("*.partial"))


def test_metrics_cover_every_step_of_every_phase(finished: tuple[Path, str]) -> None:
    found = rows(finished[0], "metrics.jsonl")
    steps = [(row["phase"], row["step"]) for row in found]
    wanted = {"base": 4, "warmup": 2, "grpo": 3}
    assert steps == [(phase, step) for phase, count in wanted.items() for step in range(1, count + 1)]
    for row in found:
        assert row["time_s"] >= 0
        assert "loss" in row
    for row in found[-3:]:
        assert 0 <= row["accuracy"] <= 1
        assert 0 <= row["tool_validity"] <= 1
        assert 0 <= row["zero_variance_groups"] <= 1
        assert 0 <= row["reward"] <= 1.1
        assert row["step_time"] > 0


def test_evaluation_before_and_after_on_every_split(finished: tuple[Path, str]) -> None:
    found = rows(finished[0], "eval.jsonl")
    assert [(row["stage"], row["split"]) for row in found] == [(s, n) for s in ("before", "after") for n in SPLITS]
    for row in found:
        assert row["tasks"] == 3
        assert all(0 <= row[name] <= 1 for name in ("accuracy", "sampled_accuracy", "tool_similarity", "truncated"))


def test_kept_rollouts_carry_their_references(finished: tuple[Path, str]) -> None:
    found = rows(finished[0], "completions.jsonl")
    assert {row["phase"] for row in found} == {"grpo", "eval_before", "eval_after"}
    assert {row["split"] for row in found if row["phase"] != "grpo"} == set(SPLITS)
    assert len([row for row in found if row["phase"] == "grpo" and row["step"] == 1]) == 4
    for row in found:
        assert row["prompt"][0]["role"] == "user"
        assert set(row["reference"]) == {"answer", "tool_calls"}
        assert isinstance(row["correct"], bool)
        assert all(set(defect) == {"kind", "message"} for defect in row["defects"])


def test_the_console_shows_every_phase_and_the_table(finished: tuple[Path, str]) -> None:
    _, said = finished
    for words in ("base 4/4", "warm-up 2/2", "eval before", "grpo 3/3", "reward", "validity", "eval after", "report:"):
        assert words in said
    for split in SPLITS:
        assert split in said


def test_resuming_a_finished_run_does_nothing(finished: tuple[Path, str], cache: Path) -> None:
    run, _ = finished
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    done = train(cache, "--resume", str(run))
    assert (done.returncode, done.stderr) == (0, "")
    assert "this run is finished; nothing to resume" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_a_stopped_run_goes_on_to_the_same_end(finished: tuple[Path, str], cache: Path, tmp_path: Path) -> None:
    run = tmp_path / "stopped"
    process = start(cache, *options(), "--output-dir", str(run))
    wait_for(run / "checkpoints" / "checkpoint-1", process)
    process.send_signal(signal.SIGINT)
    said, complained = process.communicate(timeout=120)
    assert process.returncode == 130, complained
    assert complained.endswith(f"stopped; go on with: python -m mentor.train --resume {run}\n")
    assert "Traceback" not in complained
    assert "base model: from the cache" in said
    assert not (run / "model").exists()
    done = train(cache, "--resume", str(run))
    assert done.returncode == 0, done.stderr
    assert f"going on from {run / 'checkpoints' / 'checkpoint-'}" in done.stdout
    unbroken, _ = finished
    curve, wanted = ([r for r in rows(at, "metrics.jsonl") if r["phase"] == "grpo"] for at in (run, unbroken))
    assert [row["step"] for row in curve] == [1, 2, 3]
    for found, row in zip(curve, wanted, strict=True):
        assert found["reward"] == pytest.approx(row["reward"])
        assert found["loss"] == pytest.approx(row["loss"], abs=1e-5)
    after = [[row for row in rows(at, "eval.jsonl") if row["stage"] == "after"] for at in (run, unbroken)]
    assert after[0] == after[1]


def test_a_full_disk_keeps_the_last_good_checkpoint(cache: Path, tmp_path: Path) -> None:
    run = tmp_path / "full"
    process = start(cache, *options(max_steps=500), "--output-dir", str(run))
    wait_for(run / "checkpoints" / "checkpoint-1", process)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    _, complained = process.communicate(timeout=120)
    assert process.returncode == 1
    line = complained.splitlines()[-1]
    assert line.startswith(f"error: cannot write {run}/"), complained
    assert line.endswith("; earlier checkpoints are kept")
    assert "Traceback" not in complained
    kept = sorted((run / "checkpoints").glob("checkpoint-*"))
    assert kept
    assert all((folder / "trainer_state.json").is_file() and (folder / "optimizer.pt").is_file() for folder in kept)
    assert not list((run / "checkpoints").glob(".*"))


def test_another_reward_with_a_reference_model(cache: Path, tmp_path: Path) -> None:
    run = tmp_path / "strict"
    changes = options(max_steps=2, method="strict", beta=0.02, scale_rewards="group")
    done = train(cache, *changes, "--output-dir", str(run))
    assert done.returncode == 0, done.stderr
    steps = [row for row in rows(run, "metrics.jsonl") if row["phase"] == "grpo"]
    assert [row["step"] for row in steps] == [1, 2]
    assert steps[0]["kl"] == pytest.approx(0, abs=1e-6)  # the reference is the policy at the start, not the base
    assert len(rows(run, "eval.jsonl")) == 6


def test_sft_resumes(cache: Path, tmp_path: Path) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    common = options(max_steps=12)
    assert train(cache, *common, "--method", "sft", "--output-dir", str(straight)).returncode == 0
    process = start(cache, *common, "--method", "sft", "--output-dir", str(broken))
    wait_for(broken / "checkpoints" / "checkpoint-2", process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert train(cache, "--resume", str(broken)).returncode == 0
    losses = [[r["loss"] for r in rows(at, "metrics.jsonl") if r["phase"] == "sft"] for at in (broken, straight)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_a_dataset_and_a_model_of_ones_own(finished: tuple[Path, str], cache: Path, tmp_path: Path) -> None:
    data = tmp_path / "tasks.jsonl"
    lines = [
        {
            "prompt": f"Tom has {n} pens and buys {n + 1} more. How many?",
            "tools": ["add"] if n % 2 else ["add", "subtract"],
            "reference": {"answer": str(2 * n + 1), "tool_calls": [{"name": "add", "arguments": {"a": n, "b": n + 1}}]},
        }
        for n in range(30)
    ]
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = tmp_path / "own"
    arguments = ["--model", str(finished[0] / "model"), "--dataset", str(data), "--lora-r", "2", "--micro-batch", "4"]
    done = train(cache, *options(max_steps=2, splits="in_domain"), *arguments, "--output-dir", str(run))
    assert done.returncode == 0, done.stderr
    assert {row["phase"] for row in rows(run, "metrics.jsonl")} == {"grpo"}
    kept = [row for row in rows(run, "completions.jsonl") if row["split"] == "in_domain"]
    assert all(row["prompt"][0]["content"].startswith("Tom has") for row in kept)


def test_a_dry_run_checks_and_leaves_nothing(cache: Path, tmp_path: Path) -> None:
    done = train(cache, *options(), "--dry-run", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("dry run: mentor, tiny\n") or done.stdout.startswith("dry run: mentor, tiny ")
    assert "in_domain 3, depth 3, operands 3" in done.stdout
    assert done.stdout.endswith("\nall usable; nothing was started\n")
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_a_model_reads_its_template_and_its_needs(
    finished: tuple[Path, str], cache: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(finished[0] / "model", model)
    done = train(cache, *options(), "--dry-run", "--model", "model", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for words in ("calls are read back", "weights (0.", "keys and values", "activations and logits", "free"):
        assert words in done.stdout
    (model / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    done = train(cache, *options(), "--dry-run", "--model", "model", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: model 'model': its chat template cannot show tool calls and their results\n"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["mentor", "sft"])
def test_two_processes_give_the_losses_of_one(cache: Path, tmp_path: Path, method: str) -> None:
    common = options(learning_rate=1e-3, rollouts_per_step=16, threads=1, method=method)
    found = []
    for name, launch in (("one", ()), ("two", ("--accelerate", "multi_cpu", "--num_processes", "2"))):
        done = train(cache, *launch, *common, "--output-dir", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
        kept = [row for row in rows(tmp_path / name, "metrics.jsonl") if row["phase"] in ("grpo", "sft")]
        found.append([[row[key] for key in ("step", "loss", *MEASURED) if key in row] for row in kept])
        assert len(rows(tmp_path / name, "eval.jsonl")) == 6
    assert len(found[0]) == 3
    assert any(loss for _, loss, *_ in found[0])
    for one, two in zip(*found, strict=True):
        assert one == pytest.approx(two, rel=1e-4, abs=1e-7)
    assert rows(tmp_path / "one", "eval.jsonl") == rows(tmp_path / "two", "eval.jsonl")


def test_the_base_is_evaluated_alone(cache: Path, tmp_path: Path) -> None:
    run = tmp_path / "base"
    done = train(cache, *options(method="base"), "--output-dir", str(run))
    assert done.returncode == 0, done.stderr
    before, after = ([row for row in rows(run, "eval.jsonl") if row["stage"] == s] for s in ("before", "after"))
    assert [{**row, "stage": "after"} for row in before] == after
    assert not (run / "model").exists()


def test_few_and_long_winded_demonstrations(cache: Path, tmp_path: Path) -> None:
    for method in ("sft-few", "sft-verbose"):
        run = tmp_path / method
        done = train(cache, *options(method=method, max_steps=1, splits="in_domain"), "--output-dir", str(run))
        assert done.returncode == 0, done.stderr
    config = yaml.safe_load((tmp_path / "sft-few" / "config.yaml").read_text())
    assert config["demonstrations"] == 8


def test_refusals_are_one_line_and_leave_nothing(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    (tmp_path / "bad.jsonl").write_text('{"prompt": "?", "reference": {"tool_calls": []}}\n')
    task = {"prompt": "?", "tools": ["fly"], "reference": {"answer": "1", "tool_calls": []}}
    (tmp_path / "fly.jsonl").write_text(json.dumps(task) + "\n")
    tasks = [{"prompt": x * 4000, "tools": [], "reference": {"answer": "1", "tool_calls": []}} for x in "xy"]
    (tmp_path / "long.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    known = "add, subtract, multiply, divide, sum_numbers, floor, ceil, round_number, power, sqrt, abs_value, modulo"
    refused = {
        (
            "--method",
            "magic",
        ): f"unknown method 'magic'; known: {', '.join(METHODS)}",
        ("--output-dir", "used"): "output_dir 'used' is not empty; choose another, or go on with --resume used",
        ("--resume", "nowhere"): "nothing to resume in 'nowhere': config.yaml: No such file or directory",
        ("--resume",): "nothing to resume: no run folder under 'runs'; name one with --resume DIR",
        ("--dataset", "bad.jsonl"): "bad.jsonl:1: reference.answer: missing",
        ("--dataset", "fly.jsonl"): (
            f"fly.jsonl: task '1' offers the tool 'fly', which nothing can run; known: {known}"
        ),
        ("--dataset", "long.jsonl"): (
            "long.jsonl: task '1' has a prompt of 4100 tokens; the model's context leaves 1848 beside "
            "max_completion_length"
        ),
        ("--model", "used"): "model 'used': no config.json there; a folder saved by save_pretrained is wanted",
    }
    late = ("bad.jsonl", "fly.jsonl", "long.jsonl")  # what is in a file and a model is looked at after the first line
    before = sorted(tmp_path.rglob("*"))
    for arguments, message in refused.items():
        done = train(cache, *arguments, cwd=tmp_path)
        said = "checking the configuration and the tasks\n" if arguments[-1] in late or "--model" in arguments else ""
        assert (done.returncode, done.stdout, done.stderr) == (2, said, f"error: {message}\n")
    assert sorted(tmp_path.rglob("*")) == before
