"""mentor compare, running: order, shared bases, failures, Ctrl-C, going on; and real runs of a few steps."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

pytest.importorskip("scipy")
pytest.importorskip("yaml")

from mentor.compare import Outcome, Plan, read_plan, run_plan, runner
from mentor.compare.plan import parse_seeds
from mentor.compare.progress import Display
from mentor.errors import ConfigError

pytestmark = pytest.mark.train

SCRIPTED = Path(__file__).with_name("scripted_trainer.py")


@pytest.fixture(autouse=True)
def scripted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A trainer that trains nothing, but for the slow tests, which run the real one."""
    if "slow" not in request.keywords:
        monkeypatch.setattr(runner, "TRAIN", (sys.executable, str(SCRIPTED)))
    yield


def run(plan: Plan, output: Path, *, jobs: int = 2) -> tuple[Outcome, str]:
    console = Console(record=True, width=200, file=io.StringIO())
    with Display(console) as display:
        outcome = run_plan(plan, output, jobs=jobs, watcher=display)
    return outcome, console.export_text()


def events(output: Path) -> list[tuple[float, str, str]]:
    rows = [line.split() for line in (output / "events.txt").read_text().splitlines()]
    return [(float(at), arm, what) for at, arm, what in rows]


def plan_of(*methods: str, seeds: tuple[int, ...] = (0, 1), **options: object) -> Plan:
    return Plan.of(methods, seeds=seeds, options={"threads": 1, "learning_rate": 0.2, **options})


def test_arms_run_seed_by_seed_side_by_side_and_build_no_base_twice(tmp_path: Path) -> None:
    outcome, text = run(plan_of("sparse", "strict", "mentor"), tmp_path)
    assert sorted(outcome.finished) == sorted(f"{m}-{s}" for m in ("sparse", "strict", "mentor") for s in (0, 1))
    assert (outcome.failed, outcome.left, outcome.interrupted) == ({}, [], False)
    rows = events(tmp_path)
    began = {arm: at for at, arm, what in rows if what == "began"}
    order = sorted(began, key=lambda arm: began[arm])
    assert set(order[:2]) == {"sparse-0", "sparse-1"}  # one base each, built side by side
    for seed in (0, 1):
        built = next(at for at, arm, what in rows if (arm, what) == (f"sparse-{seed}", "base"))
        assert min(began[f"strict-{seed}"], began[f"mentor-{seed}"]) > built
    running = most = 0
    for _, _, what in rows:
        running += {"began": 1, "ended": -1}.get(what, 0)
        most = max(most, running)
    assert most == 2
    assert "6 arms, 2 at a time" in text
    assert "6/6" in text
    assert "left" in text
    assert read_plan(tmp_path / "comparison.yaml")[0] == plan_of("sparse", "strict", "mentor")
    before = len(rows)
    again, text = run(plan_of("sparse", "strict", "mentor", "sft"), tmp_path)
    assert again.ran == ["sft-0", "sft-1"]
    assert "6 finished before" in text
    assert len(events(tmp_path)) == before + 6


def test_what_failed_is_named_and_tried_again(tmp_path: Path) -> None:
    variants = {"broken": {"method": "strict", "warmup_steps": 7}}
    options = {"learning_rate": 0.1}
    plan = Plan.of(["sparse"], variants=variants, seeds=[0], options=options)
    outcome, _ = run(plan, tmp_path)
    assert outcome.ran == ["sparse-0"]
    assert outcome.failed == {"broken-0": "exit code 1: something / went wrong / in the middle"}
    fixed = Plan.of(["sparse"], variants={"broken": {"method": "strict"}}, seeds=[0], options=options)
    again, _ = run(fixed, tmp_path)
    assert again.ran == ["broken-0"]
    assert not again.failed


def test_where_everything_fails_it_stops_early(tmp_path: Path) -> None:
    outcome, _ = run(plan_of("sparse", seeds=tuple(range(9)), warmup_steps=9), tmp_path, jobs=1)
    assert len(outcome.failed) == 3
    assert len(outcome.left) == 6
    assert all("the data cannot be used" in reason for reason in outcome.failed.values())


def test_a_folder_with_other_settings_is_refused(tmp_path: Path) -> None:
    run(plan_of("sparse", seeds=(0,), beta=0.1), tmp_path)
    with pytest.raises(ConfigError, match=r"other settings \(beta: 0\.1 there, 0\.5 now\)"):
        run(plan_of("sparse", seeds=(0,), beta=0.5), tmp_path)
    with pytest.raises(ConfigError, match="jobs is 0"):
        run(plan_of("sparse", seeds=(0,)), tmp_path, jobs=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"Not a directory|File exists"):
        run(plan_of("sparse", seeds=(0,)), tmp_path / "file")


def test_plans_are_written_and_read(tmp_path: Path) -> None:
    plan = Plan.of(["mentor"], seeds=[0, 1, 2, 9], options={"beta": 0.1}, variants={"x": {"method": "f1", "beta": 0.0}})
    (tmp_path / "c.yaml").write_text(plan.to_yaml() + "output: there\njobs: 3\n")
    assert read_plan(tmp_path / "c.yaml") == (plan, {"output": "there", "jobs": 3})
    assert plan.arms()[1].options == {"beta": 0.0, "method": "f1", "seed": 0, "threads": 1}
    assert plan.command(Path("o")) == "mentor compare o/comparison.yaml --output o"
    plain = Plan.of(["f1"], seeds=[0, 1, 2, 9], options={"preset": "tiny", "beta": 0.1})
    command = "mentor compare --methods f1 --seeds 0-2,9 --preset tiny --threads 1 --set beta=0.1 --output o"
    assert plain.command(Path("o")) == command
    special = Plan.of(["f1"], seeds=[0], variants={"sft": {"method": "sft", "learning_rate": 0.001}})
    assert special.command(Path("o")).endswith("--seeds 0 --threads 1 --set sft:learning_rate=0.001 --output o")
    assert parse_seeds([1, "3-4"]) == (1, 3, 4)


CODE = """
import sys
from mentor.cli import main
from mentor.compare import runner
runner.TRAIN = (sys.executable, {script!r})
main(prog_name="mentor")
"""


def command(output: Path, *words: str, script: Path | None = SCRIPTED) -> list[str]:
    code = CODE.format(script=str(script)) if script else "from mentor.cli import main; main(prog_name='mentor')"
    return [sys.executable, "-c", code, "compare", *words, "-o", str(output), "--no-figures"]


def wait_for(output: Path, wanted: int, what: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if (output / "events.txt").is_file() and sum(row[2] == what for row in events(output)) >= wanted:
            return
        time.sleep(0.05)
    raise AssertionError(f"{wanted} times {what!r} did not happen")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_stops_all_and_the_next_call_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    words = ("-m", "sparse,mentor", "-s", "0-1", "-j", "2", "--set", "*:learning_rate=60")
    process = subprocess.Popen(command(tmp_path, *words), stderr=subprocess.PIPE, text=True)
    wait_for(tmp_path, 2, "base")
    time.sleep(0.3)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "stopping: 2 arms finish their step" in told
    assert "go on with: mentor compare" in told
    assert [what for _, _, what in events(tmp_path)].count("stopped") == 2
    (tmp_path / "comparison.yaml").write_text("methods: [sparse, mentor]\nseeds: [0]\nthreads: 1\nlearning_rate: 0.1\n")
    again = subprocess.run(command(tmp_path, str(tmp_path)), capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert [(arm, what) for _, arm, what in events(tmp_path) if what == "resumed"] == [("sparse-0", "resumed")]
    assert "mentor-0: finished" in again.stderr


def test_an_arm_that_outlives_its_parent_is_not_started_twice(tmp_path: Path) -> None:
    words = ("-m", "sparse", "-s", "0", "--set", "learning_rate=4")
    process = subprocess.Popen(command(tmp_path, *words), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for(tmp_path, 1, "base")
    process.kill()
    process.wait()
    second = subprocess.run(command(tmp_path, *words), capture_output=True, text=True, timeout=120)
    assert "another process runs it" in second.stderr
    assert second.returncode != 0
    wait_for(tmp_path, 1, "ended")
    time.sleep(0.3)
    third = subprocess.run(command(tmp_path, *words), capture_output=True, text=True, timeout=120)
    assert third.returncode == 0, third.stderr
    assert [what for _, _, what in events(tmp_path)].count("began") == 1


@pytest.mark.slow
def test_real_runs_are_stopped_and_go_on(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    micro = {"base_steps": 4, "warmup_steps": 2, "max_steps": 6, "rollouts_per_step": 8, "num_generations": 4}
    micro |= {"eval_tasks": 3, "train_tasks": 20, "max_completion_length": 48, "save_steps": 1}
    words = [word for key, value in micro.items() for word in ("--set", f"{key}={value}")]
    words += ["-m", "sparse,mentor", "-s", "0", "-j", "2"]
    environment = {**os.environ, "MENTOR_CACHE_DIR": str(tmp_path / "cache")}
    output = tmp_path / "real"
    process = subprocess.Popen(command(output, *words, script=None), env=environment, stderr=subprocess.DEVNULL)
    metrics = output / "runs" / "sparse-0" / "metrics.jsonl"
    end = time.monotonic() + 240
    while time.monotonic() < end and not (metrics.is_file() and '"grpo"' in metrics.read_text()):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 130
    log = (output / "logs" / "sparse-0.log").read_text()
    assert "stopped; go on with" in log
    again = subprocess.run(
        command(output, str(output), script=None), env=environment, capture_output=True, text=True, timeout=400
    )
    assert again.returncode == 0, again.stderr
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert [row["step"] for row in rows if row["phase"] == "grpo"] == list(range(1, 7))
    table = json.loads((output / "table.json").read_text())
    assert {row["method"] for row in table["rows"]} >= {"sparse", "mentor"}
    assert table["about"]["missing"] == []
    assert "--methods sparse,mentor --seeds 0" in table["about"]["command"]
