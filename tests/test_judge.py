"""The answer judge: native verdicts against the tables, the workers' budget, threads and accidents."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import orjson
import pytest

import mentor
from mentor.errors import InputError, InputTypeError, JudgeError
from mentor.score import judge as judge_module

TABLE = [
    orjson.loads(line)
    for line in (Path(__file__).parent / "golden" / "answer_equivalence.jsonl").read_bytes().splitlines()
]


def test_native_verdicts_agree_with_the_official_judge() -> None:
    verdicts = mentor.judge_batch([row["pred"] for row in TABLE], [row["gold"] for row in TABLE], fallback=None)
    decided = [(verdict, row) for verdict, row in zip(verdicts, TABLE, strict=True) if verdict != "undecided"]
    assert len(decided) > 200
    assert [row for verdict, row in decided if (verdict == "equal") != row["official_judge"]] == []


def test_the_fallback_agrees_with_the_official_judge_nearly_always() -> None:
    verdicts = mentor.judge_batch([row["pred"] for row in TABLE], [row["gold"] for row in TABLE])
    other = [
        (r["gold"], r["pred"]) for v, r in zip(verdicts, TABLE, strict=True) if (v == "equal") != r["official_judge"]
    ]
    # Where the official judge takes the last number of a text, or misses an equality, we do not follow it.
    assert sorted(other) == [
        ("0.50", "50\\%"),
        ("1024", "2^{10}"),
        ("1\\frac{1}{2}", "0.5"),
        ("\\binom{5}{2}", "10^{3}"),
        ("\\frac{1}{2}", "1\\frac{1}{2}"),
        ("\\log 2", "2:30"),
        ("\\sqrt{4}", "\\ln 2"),
        ("\\{3,2,1\\}", "1,2,3"),
    ]


def test_rules_say_who_decided() -> None:
    verdicts = mentor.judge_batch(["1,000", "x+1", "7"], ["1000", "1+x", "8"])
    assert list(verdicts) == ["equal", "equal", "different"]
    assert verdicts.rules == ("native", "math-verify", "native")
    assert (len(verdicts), verdicts[1]) == (3, "equal")


def test_a_pair_that_takes_too_long_is_undecided_and_the_next_ones_are_judged() -> None:
    mentor.judge_batch(["x+3"], ["3+x"])  # starting a worker is not part of a pair's budget
    budget_ms, slow = 500, 4
    started = time.monotonic()
    predictions = [f"9^{{9^{{9^{{9}}}}}}+{n}" for n in range(slow)] + ["\\frac{x}{2}", "z"]
    verdicts = mentor.judge_batch(predictions, ["9"] * slow + ["x/2", "y"], budget_ms=budget_ms)
    elapsed = time.monotonic() - started
    assert list(verdicts) == ["undecided"] * slow + ["equal", "different"]
    assert verdicts.rules[:slow] == ("none",) * slow
    # The budgets of all slow pairs one after another, and a new worker after each: far from for ever.
    assert slow * budget_ms / 1000 / judge_module.MAX_WORKERS <= elapsed < 60


def test_a_slow_answer_costs_its_own_row_only() -> None:
    reference = {"answer": "9", "tool_calls": [{"name": "add"}]}
    rollouts = [f"\\boxed{{{answer}}}<|im_end|>" for answer in ("9^{9^{9^{9}}}", "9.0", "18/2")]
    scores = mentor.score_batch(rollouts, [reference] * 3, reward="sparse", budget_ms=500)
    assert scores.reward.tolist() == [0.1, 1.0, 1.0]
    assert [defect.kind for defect in scores[0].defects] == ["undecided"]


def test_an_undecided_answer_scores_as_wrong_with_a_defect() -> None:
    reference = {"answer": "x+1", "tool_calls": [{"name": "add"}]}
    score = mentor.score_batch(["\\boxed{1+x}<|im_end|>"], [reference], judge="native")[0]
    assert (score.correct, score.verdict, [d.kind for d in score.defects]) == (False, "undecided", ["undecided"])
    score = mentor.score_batch(["\\boxed{1+x}<|im_end|>"], [reference])[0]
    assert (score.correct, score.verdict, score.defects) == (True, "equal", ())


def test_math_verify_can_judge_everything() -> None:
    row = ["\\boxed{1,000}<|im_end|>"], [{"answer": "1000", "tool_calls": []}]
    assert mentor.score_batch(*row, reward="sparse", judge="math-verify").reward.tolist() == [1.0]


def test_any_thread_gets_true_verdicts() -> None:
    results: list[list[str]] = []

    def ask(n: int) -> None:
        results.append(list(mentor.judge_batch([f"x+{n}", f"x+{n}"], [f"{n}+x", f"{n}-x"])))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(100, 108)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [["equal", "different"]] * 8


def _in_daemon(queue: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    queue.put(list(mentor.judge_batch(["x+5"], ["5+x"])))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_daemonic_processes_judge_too(method: str) -> None:
    mentor.judge_batch(["x+6"], ["6+x"])  # the parent has workers of its own
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=_in_daemon, args=(queue,), daemon=True)
    process.start()
    assert queue.get(timeout=120) == ["equal"]
    process.join()


def test_a_script_without_a_main_guard_works(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import mentor\nprint(list(mentor.judge_batch(['x+1'], ['1+x'])))\n")
    done = subprocess.run([sys.executable, "-W", "error", script], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("['equal']\n", "")


def test_a_killed_worker_costs_one_pair_at_most() -> None:
    mentor.judge_batch(["x+7"], ["7+x"])
    for worker in judge_module._pool().idle:
        if worker is not None:
            os.kill(worker.process.pid, signal.SIGKILL)
    time.sleep(0.2)
    verdicts = mentor.judge_batch([f"x+{n}" for n in range(40, 50)], [f"{n}+x" for n in range(40, 50)])
    assert verdicts.verdicts.count("equal") >= 8
    assert list(mentor.judge_batch(["x+51"], ["51+x"])) == ["equal"]


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    code = (
        "import mentor, os, signal, sys\n"
        "from mentor.score import judge\n"
        "mentor.judge_batch(['x+1'], ['1+x'])\n"
        "print(*[w.process.pid for w in judge._pool().idle if w], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    pids = [int(pid) for pid in done.stdout.split()]
    assert pids
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids):
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids)


def test_no_worker_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_module, "_state", {})
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(JudgeError, match=r"judge: cannot start a worker process \(/nowhere/python\): .*No such file"):
        mentor.judge_batch(["x+61"], ["61+x"])


def test_bad_input() -> None:
    with pytest.raises(InputError, match=r"^judge_batch: 1 predictions but 2 golds$"):
        mentor.judge_batch(["1"], ["1", "2"])
    with pytest.raises(InputTypeError, match=r"^judge_batch: golds\[0\] must be a str, got int$"):
        mentor.judge_batch(["1"], [1])  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"unknown fallback 'sympy'; known: 'math-verify', None"):
        mentor.judge_batch(["1"], ["1"], fallback="sympy")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="budget_ms must be a positive number of milliseconds, got 0"):
        mentor.judge_batch(["x"], ["y"], budget_ms=0)


def test_odd_texts_are_judged() -> None:
    verdicts = mentor.judge_batch(["\ud800", "", "x\ny"], ["3", "3", "3"])
    assert list(verdicts) == ["different"] * 3


def test_answers_too_long_to_ask_about_are_undecided_at_once() -> None:
    mentor.judge_batch(["x+4"], ["4+x"])
    started = time.monotonic()
    long = ["9" * (judge_module.MAX_ANSWER + 1), "x+" * judge_module.MAX_ANSWER + "1"]
    assert list(mentor.judge_batch(long, ["3", "3"])) == ["undecided", "undecided"]
    assert time.monotonic() - started < 1
