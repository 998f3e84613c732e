"""score_batch among threads and processes: fork, spawn, forkserver, daemons, asyncio, sub-interpreters."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

import mentor

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'
END = "<|im_end|>"
REF = {"answer": "3", "tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}
ROLLOUTS = [
    f"{n} {CALL}{END}\n<|im_start|>user\n<tool_response>\n3\n</tool_response>{END}\n"
    f"<|im_start|>assistant\nso \\boxed{{{n % 5}}}{END}"
    for n in range(600)  # above what is scored on the calling thread
]
PATIENCE_S = 60


def score(threads: int | None = None) -> bytes:
    """The rewards' bits."""
    return mentor.score_batch(ROLLOUTS, [REF] * len(ROLLOUTS), judge="native", threads=threads).reward.tobytes()


@pytest.fixture(scope="module")
def want() -> bytes:
    return score(1)


@pytest.fixture
def busy() -> Iterator[Callable[[], int]]:
    """Four threads that score all the time; gives how many batches they have done."""
    stop = threading.Event()
    done = [0] * 4

    def work(number: int) -> None:
        while not stop.is_set():
            score(2)
            done[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield lambda: sum(done)
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in threads)


def exit_code(pid: int) -> int:
    """Waits for a child; kills one that hangs."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError("the child hangs")


def fork(child: Callable[[], bool]) -> int:
    """Runs a function in a forked child, which ends with 0 where the function is true."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads: what is tested here
        pid = os.fork()
    if pid == 0:
        code = 3
        try:
            code = 0 if child() else 2
        finally:
            os._exit(code)
    return pid


def test_a_child_of_a_process_with_a_warm_pool_scores(want: bytes) -> None:
    assert score(4) == want
    assert exit_code(fork(lambda: score(4) == want and score(2) == want)) == 0
    assert score(4) == want


def test_children_forked_while_other_threads_score(want: bytes, busy: Callable[[], int]) -> None:
    children = []
    for _ in range(10):
        before = busy()
        while busy() == before:
            time.sleep(0.001)
        children.append(fork(lambda: score(2) == want and score(4) == want))
    assert [exit_code(pid) for pid in children] == [0] * len(children)


def test_a_child_of_a_child_scores(want: bytes) -> None:
    assert score(2) == want
    assert exit_code(fork(lambda: score(2) == want and exit_code(fork(lambda: score(2) == want)) == 0)) == 0


def test_a_forked_child_ends_by_itself() -> None:
    """Without os._exit: the interpreter is shut down, and with it whatever the extension holds."""
    script = (
        "import os, sys, mentor\n"
        "rollouts, refs = ['\\\\boxed{3}<|im_end|>' * 9_000] * 20, [{'answer': '3'}] * 20\n"
        "mentor.score_batch(rollouts, refs, judge='native')\n"
        "pid = os.fork()\n"
        "mentor.score_batch(rollouts, refs, judge='native')\n"
        "print('child' if pid == 0 else os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)\n"
    )
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "child\n0\n", "")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_process_pools(method: str, want: bytes) -> None:
    assert score(2) == want
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
            results = [pool.submit(score, threads) for threads in (1, 2, None, 3)]
            assert [result.result(timeout=PATIENCE_S) == want for result in results] == [True] * 4


def put_score(queue: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    queue.put(score(2))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_daemonic_processes(method: str, want: bytes) -> None:
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=put_score, args=(queue,), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    assert queue.get(timeout=PATIENCE_S) == want
    process.join(PATIENCE_S)
    assert process.exitcode == 0


def test_sixteen_threads_at_once(want: bytes) -> None:
    start = threading.Barrier(16)

    def work(number: int) -> bytes:
        start.wait(PATIENCE_S)
        return score(1 + number % 4)

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(work, range(16), timeout=PATIENCE_S)) == {want}


def test_threads_share_a_reference_that_none_has_used_yet() -> None:
    rollout = f"\\boxed{{\\sqrt{{2}}}}{END}"
    for n in range(2, 40):
        reference = mentor.Reference({"answer": f"\\sqrt{{{n}}}", "tool_calls": [{"name": "add"}]})
        start = threading.Barrier(4)

        def work(reference: mentor.Reference = reference, start: threading.Barrier = start) -> float:
            start.wait(PATIENCE_S)
            return float(mentor.score_batch([rollout], [reference], reward="sparse", judge="native").reward[0])

        with ThreadPoolExecutor(4) as pool:
            rewards = {future.result(PATIENCE_S) for future in [pool.submit(work) for _ in range(4)]}
        assert rewards == {1.0 if n == 2 else 0.1}


def test_one_batch_is_read_by_many_threads(want: bytes) -> None:
    scores = mentor.score_batch(ROLLOUTS[:50], [REF] * 50, judge="native")
    alone = list(scores)
    with ThreadPoolExecutor(8) as pool:
        for got in pool.map(lambda _: (list(scores), scores.components["correct"].sum()), range(16)):
            assert got == (alone, 10.0)


def test_asyncio_goes_on_while_a_batch_is_scored(want: bytes) -> None:
    async def main() -> tuple[list[bytes], int]:
        ticks, over = 0, asyncio.Event()

        async def tick() -> None:
            nonlocal ticks
            while not over.is_set():
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        batches = await asyncio.gather(*(asyncio.to_thread(score, threads) for threads in (1, 2, 3, None)))
        over.set()
        await ticking
        return batches, ticks

    batches, ticks = asyncio.run(asyncio.wait_for(main(), PATIENCE_S))
    assert batches == [want] * 4
    assert ticks > 1


SUB_INTERPRETER = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
CODE = '''
try:
    import mentor._core
except ImportError as error:
    print(error, flush=True)
'''
interpreters.run_string(interpreters.create(), CODE)
import mentor
print(mentor.score_batch(["3"], [{"answer": "3"}], judge="native").reward.shape)
"""


def test_a_sub_interpreter_is_refused_with_a_word_on_what_to_do() -> None:
    done = subprocess.run([sys.executable, "-c", SUB_INTERPRETER], capture_output=True, text=True, timeout=PATIENCE_S)
    refusal, after = done.stdout.splitlines()
    assert refusal.startswith("mentor cannot be used in a sub-interpreter: ")
    assert refusal.endswith(
        "threads (scoring releases the GIL) or processes (multiprocessing, concurrent.futures.ProcessPoolExecutor)"
    )
    assert (done.returncode, after) == (0, "(1,)")
