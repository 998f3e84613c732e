"""The answer judge: native verdicts against the tables, the workers' budget, threads and accidents."""

from __future__ import annotations

import asyncio
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


CASES = orjson.loads((Path(__file__).parent / "cases" / "judge.json").read_bytes())

# Pairs on which the native judge decides other than the reference code's judge, and is right: docs/judge.md says why.
DIFFERENCES = [
    ("0.50", "50\\%", "equal"),
    ("1024", "2^{10}", "equal"),
    ("1\\frac{1}{2}", "0.5", "different"),
    ("50\\%", "\\sin 30^\\circ", "equal"),
    ("\\binom{5}{2}", "10^{3}", "different"),
    ("\\frac{1}{2}", "1\\frac{1}{2}", "different"),
    ("\\log 2", "2:30", "different"),
    ("\\sin 30^\\circ", "0.5", "equal"),
    ("\\sqrt{4}", "\\ln 2", "different"),
    ("\\{3,2,1\\}", "1,2,3", "equal"),
]


def equal_pair(n: int) -> tuple[str, str]:
    """A prediction and a gold answer that the native judge leaves to math-verify, which finds them equal."""
    return f"2\\sin x\\cos x+{n}", f"\\sin 2x+{n}"


PATIENT = 120_000  # milliseconds: enough to start workers on a busy machine


def warm() -> None:
    """Starts the workers, all of them."""
    predictions, golds = zip(*(equal_pair(n) for n in range(1000, 1000 + 2 * judge_module.MAX_WORKERS)), strict=True)
    judge_module._cache.clear()
    mentor.judge_batch(predictions, golds, budget_ms=PATIENT)


def test_native_verdicts_agree_with_the_official_judge() -> None:
    verdicts = mentor.judge_batch([row["pred"] for row in TABLE], [row["gold"] for row in TABLE], fallback=None)
    decided = [(verdict, row) for verdict, row in zip(verdicts, TABLE, strict=True) if verdict != "undecided"]
    assert len(decided) >= 0.99 * len(TABLE)
    other = [
        (row["gold"], row["pred"], verdict) for verdict, row in decided if (verdict == "equal") != row["official_judge"]
    ]
    assert sorted(other) == DIFFERENCES


def test_the_native_judge_decides_nine_in_ten_latex_answers() -> None:
    plain = {"different", "equal"}
    rows = [row for row in TABLE if not row["gold"].replace(",", "").replace(".", "").lstrip("-").isalnum()]
    verdicts = mentor.judge_batch([row["pred"] for row in rows], [row["gold"] for row in rows], fallback=None)
    assert len(rows) > 500
    assert sum(verdict in plain for verdict in verdicts) >= 0.9 * len(rows)


def test_written_cases() -> None:
    assert len(CASES) >= 400
    verdicts = mentor.judge_batch([p for _, p, _ in CASES], [g for g, _, _ in CASES], fallback=None)
    assert [(case, verdict) for case, verdict in zip(CASES, verdicts, strict=True) if case[2] != verdict] == []
    assert [(v, r) for v, r in zip(verdicts, verdicts.rules, strict=True) if (v == "undecided") != (r == "none")] == []


@pytest.mark.slow
def test_math_verify_says_otherwise_on_the_listed_cases_only() -> None:
    listed = orjson.loads((Path(__file__).parent / "cases" / "judge_math_verify.json").read_bytes())
    decided = [case for case in CASES if case[2] != "undecided"]
    theirs = judge_module.library_verdicts([(gold, predicted) for gold, predicted, _ in decided], 10 * PATIENT)
    names = {True: "equal", False: "different"}
    other = [
        [*case, names[v]] for case, v in zip(decided, theirs, strict=True) if v is not None and names[v] != case[2]
    ]
    assert other == listed


def test_the_fallback_agrees_with_the_official_judge_nearly_always() -> None:
    verdicts = mentor.judge_batch([row["pred"] for row in TABLE], [row["gold"] for row in TABLE], budget_ms=PATIENT)
    other = [
        (row["gold"], row["pred"], verdict)
        for verdict, row in zip(verdicts, TABLE, strict=True)
        if (verdict == "equal") != row["official_judge"]
    ]
    assert sorted(other) == DIFFERENCES


def test_rules_say_who_decided() -> None:
    predictions, golds = zip(("1,000", "1000"), ("x+1", "1+x"), ("7", "8"), equal_pair(1), ("3:5", "3:4"), strict=True)
    verdicts = mentor.judge_batch(predictions, golds, budget_ms=PATIENT)
    assert list(verdicts) == ["equal", "equal", "different", "equal", "different"]
    assert verdicts.rules == ("integer", "polynomial", "integer", "math-verify", "ratio")
    assert (len(verdicts), verdicts[1]) == (5, "equal")
    assert mentor.judge_batch(*map(list, zip(equal_pair(1), strict=True)), fallback=None).rules == ("none",)


HANGING = "9^{9^{9^{9}}}"  # math-verify tries to calculate it


def test_a_pair_that_takes_too_long_is_undecided_and_the_next_ones_are_judged() -> None:
    warm()
    predictions, golds = zip((HANGING, "9"), equal_pair(2), ("x+3", "n+3"), strict=True)
    verdicts = mentor.judge_batch(predictions, golds, budget_ms=8000)
    assert list(verdicts) == ["undecided", "equal", "different"]
    assert verdicts.rules == ("none", "math-verify", "math-verify")


@pytest.mark.parametrize("cold", [False, True])
def test_a_call_never_takes_longer_than_its_budget(cold: bool) -> None:
    if cold:
        judge_module._close()
    else:
        warm()
    predictions = [f"{HANGING}+{n}" for n in range(40)]
    started = time.monotonic()
    verdicts = mentor.judge_batch(predictions, ["9"] * 40, budget_ms=1500)
    elapsed = time.monotonic() - started
    assert list(verdicts) == ["undecided"] * 40
    # The budget is used up, and nothing beyond it but the killing of four processes.
    assert 1.5 <= elapsed < 2.5
    assert list(mentor.judge_batch(*[[text] for text in equal_pair(3)], budget_ms=PATIENT)) == ["equal"]


def test_score_batch_keeps_the_budget_too() -> None:
    warm()
    references = [{"answer": "9", "tool_calls": []}] * 30
    rollouts = [f"\\boxed{{{HANGING}+{n}}}<|im_end|>" for n in range(100, 130)]
    started = time.monotonic()
    scores = mentor.score_batch(rollouts, references, reward="sparse", budget_ms=1000)
    assert 1.0 <= time.monotonic() - started < 2.0
    assert scores.defects == {"undecided": 30}


def test_a_waiting_call_ends_in_time_when_others_have_all_workers() -> None:
    warm()
    hog = threading.Thread(
        target=mentor.judge_batch,
        args=([f"{HANGING}+{n}" for n in range(200, 216)], ["9"] * 16),
        kwargs={"budget_ms": 3000},
    )
    hog.start()
    time.sleep(0.3)
    started = time.monotonic()
    verdicts = mentor.judge_batch([f"{HANGING}+300"], ["9"], budget_ms=500)
    assert list(verdicts) == ["undecided"]
    assert time.monotonic() - started < 1.2
    hog.join()


def test_ctrl_c_is_answered_at_once_and_leaves_no_process() -> None:
    code = (
        "import mentor, os, signal, sys, threading, time\n"
        "from mentor.score import judge\n"
        f"mentor.judge_batch([{equal_pair(4)[0]!r}], [{equal_pair(4)[1]!r}], budget_ms=120_000)\n"
        "sent = []\n"
        "def interrupt():\n"
        "    time.sleep(0.5)\n"
        "    sent.append(time.monotonic())\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Thread(target=interrupt).start()\n"
        "try:\n"
        f"    mentor.judge_batch(['{HANGING}+%d' % n for n in range(9)], ['9'] * 9, budget_ms=60_000)\n"
        "except KeyboardInterrupt:\n"
        "    took = time.monotonic() - sent[0]\n"
        "    children = open(f'/proc/{os.getpid()}/task/{os.getpid()}/children').read().split()\n"
        "    states = [open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[0] for pid in children]\n"
        "    print(took, 'Z' in states)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    took, zombies = done.stdout.split()
    assert float(took) < 0.1
    assert zombies == "False"


def test_a_slow_answer_costs_its_own_row_only() -> None:
    reference = {"answer": "9", "tool_calls": [{"name": "add"}]}
    rollouts = [f"\\boxed{{{answer}}}<|im_end|>" for answer in (f"{HANGING}-1", "9.0", "18/2")]
    scores = mentor.score_batch(rollouts, [reference] * 3, reward="sparse", budget_ms=500)
    assert scores.reward.tolist() == [0.1, 1.0, 1.0]
    assert [defect.kind for defect in scores[0].defects] == ["undecided"]


def test_an_undecided_answer_scores_as_wrong_with_a_defect() -> None:
    predicted, gold = equal_pair(5)
    reference = {"answer": gold, "tool_calls": [{"name": "add"}]}
    rollout = f"\\boxed{{{predicted}}}<|im_end|>"
    score = mentor.score_batch([rollout], [reference], judge="native")[0]
    assert (score.correct, score.verdict, [d.kind for d in score.defects]) == (False, "undecided", ["undecided"])
    score = mentor.score_batch([rollout], [reference], budget_ms=PATIENT)[0]
    assert (score.correct, score.verdict, score.defects) == (True, "equal", ())


def test_math_verify_can_judge_everything() -> None:
    row = ["\\boxed{1,000}<|im_end|>"], [{"answer": "1000", "tool_calls": []}]
    assert mentor.score_batch(*row, reward="sparse", judge="math-verify").reward.tolist() == [1.0]


def test_any_thread_gets_true_verdicts() -> None:
    results: list[list[str]] = []

    def ask(n: int) -> None:
        predicted, gold = equal_pair(n)
        results.append(list(mentor.judge_batch([predicted, predicted], [gold, gold + "+1"], budget_ms=PATIENT)))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(100, 108)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [["equal", "different"]] * 8


def _in_daemon(queue: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    predicted, gold = equal_pair(6)
    queue.put(list(mentor.judge_batch([predicted], [gold], budget_ms=PATIENT).rules))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_daemonic_processes_judge_too(method: str) -> None:
    warm()  # the parent has workers of its own
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=_in_daemon, args=(queue,), daemon=True)
    process.start()
    assert queue.get(timeout=120) == ["math-verify"]
    process.join()


def test_an_asyncio_executor_gets_true_verdicts() -> None:
    async def ask() -> list[list[str]]:
        calls = [
            asyncio.to_thread(mentor.judge_batch, *[[text] for text in equal_pair(n)], budget_ms=PATIENT)
            for n in (70, 71)
        ]
        return [list(verdicts) for verdicts in await asyncio.gather(*calls)]

    assert asyncio.run(ask()) == [["equal"], ["equal"]]


def test_a_script_without_a_main_guard_works(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    predicted, gold = equal_pair(7)
    call = f"mentor.judge_batch([{predicted!r}], [{gold!r}], budget_ms={PATIENT})"
    script.write_text(f"import mentor\nprint(list({call}))\n")
    done = subprocess.run([sys.executable, "-W", "error", script], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("['equal']\n", "")


def test_a_killed_worker_costs_one_pair_at_most() -> None:
    warm()
    for worker in judge_module._pool().idle:
        if worker is not None:
            os.kill(worker.process.pid, signal.SIGKILL)
    time.sleep(0.2)
    predictions, golds = zip(*(equal_pair(n) for n in range(40, 50)), strict=True)
    verdicts = mentor.judge_batch(predictions, golds, budget_ms=PATIENT)
    assert verdicts.verdicts.count("equal") >= 10 - judge_module.MAX_WORKERS
    assert list(mentor.judge_batch(*[[text] for text in equal_pair(51)], budget_ms=PATIENT)) == ["equal"]


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    code = (
        "import mentor, os, signal, sys\n"
        "from mentor.score import judge\n"
        f"mentor.judge_batch([{equal_pair(8)[0]!r}], [{equal_pair(8)[1]!r}], budget_ms={PATIENT})\n"
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
        mentor.judge_batch(*[[text] for text in equal_pair(61)])


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
    warm()
    started = time.monotonic()
    long = ["9" * (judge_module.MAX_ANSWER + 1), "x+" * judge_module.MAX_ANSWER + "1"]
    assert list(mentor.judge_batch(long, ["3", "3"])) == ["undecided", "undecided"]
    assert time.monotonic() - started < 1
