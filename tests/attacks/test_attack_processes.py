"""Attacks in which the host forks, ends or is interrupted while hostile programs run."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
from attack import MEMORY, USUAL, assert_clean, end

from mentor import Limits, Sandbox

BRIEF = Limits(timeout_ms=300, memory_mb=96, output_kb=64)


def fork_and(check: str) -> int:
    """The exit status of a forked child that runs a check with a sandbox of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads: what is tested here
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if Sandbox(limits=USUAL).run(check).value == 42 else 2
        finally:
            os._exit(status)
    return pid


def wait(pid: int) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return -1


@pytest.mark.parametrize(
    "hostile",
    [
        "while True: pass",
        "while True: print('x')",
        "x = []\nwhile True: x.append(bytearray(1000))",
        "import os\nos._exit(1)",
    ],
    ids=["loop", "output", "memory", "exit"],
)
def test_a_fork_while_a_hostile_program_runs(hostile: str) -> None:
    sandbox = Sandbox(limits=BRIEF)
    sandbox.run("1")
    thread = threading.Thread(target=lambda: sandbox.run(hostile))
    thread.start()
    time.sleep(0.02)
    pids = [fork_and("6 * 7") for _ in range(2)]
    thread.join()
    assert [wait(pid) for pid in pids] == [0, 0]
    assert_clean(Sandbox(limits=USUAL), times=8)


def test_forks_in_a_row_while_batches_run() -> None:
    sandbox = Sandbox(limits=BRIEF)
    codes = ["1 + 1", "1 / 0", "import os\nos._exit(1)", "print('x' * 10**6)", MEMORY + "view(1 << 31, 1)[0]"] * 20
    thread = threading.Thread(target=lambda: sandbox.run_batch(codes))
    thread.start()
    pids = []
    while thread.is_alive() and len(pids) < 4:
        pids.append(fork_and("6 * 7"))
        time.sleep(0.02)
    thread.join()
    assert [wait(pid) for pid in pids] == [0] * len(pids)
    assert_clean(Sandbox(limits=USUAL), times=8)


def test_a_child_sees_nothing_of_its_parents_runs() -> None:
    sandbox = Sandbox(limits=USUAL)
    with sandbox.session() as session:
        session.run("secret = 'planted'")
        sandbox.run("import builtins\nbuiltins.secret = 1")
        assert wait(fork_and("42 if 'secret' not in globals() and not hasattr(__builtins__, 'secret') else 1")) == 0
        assert session.run("secret").value == "planted"


def test_a_process_that_ends_while_programs_run() -> None:
    """Daemon threads run guests while the interpreter goes: no hang, no crash."""
    script = """
import threading, time, mentor
sandbox = mentor.Sandbox(limits=mentor.Limits(timeout_ms=5_000))
sandbox.run("1")
for _ in range(3):
    threading.Thread(target=lambda: sandbox.run("while True: pass"), daemon=True).start()
session = sandbox.session()
session.run("x = 1")
time.sleep(0.1)
print("end", flush=True)
"""
    started = time.monotonic()
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (0, "end\n"), result.stderr
    assert time.monotonic() - started < 20


def test_many_threads_with_hostile_programs() -> None:
    sandbox = Sandbox(limits=BRIEF)
    codes = ["6 * 7", "1 / 0", "import os\nos._exit(1)", "print('x' * 10**6)", "'x' * 10**9", "6 * 7"]
    ends: list[list[str]] = [[] for _ in range(16)]

    def work(found: list[str]) -> None:
        found.extend(end(sandbox.run(code)) for code in codes)

    threads = [threading.Thread(target=work, args=(found,)) for found in ends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert ends == [["ok", "ZeroDivisionError", "trap", "output_limit", "memory_limit", "ok"]] * 16
    assert_clean(Sandbox(limits=USUAL), times=8)


def test_the_number_of_threads_and_descriptors_does_not_grow() -> None:
    sandbox = Sandbox(limits=USUAL)

    def count() -> tuple[int, int]:
        return len(list(Path("/proc/self/task").iterdir())), len(list(Path("/proc/self/fd").iterdir()))

    def work() -> None:
        for code in ("1", "1 / 0", "import os\nos._exit(1)", "'x' * 10**9", MEMORY + "view(1 << 31, 1)[0]"):
            for _ in range(8):
                sandbox.run(code)
        for _ in range(8):
            with sandbox.session() as session:
                session.run("1")

    work()
    before = count()
    for _ in range(3):
        work()
    threads, descriptors = count()
    assert threads <= before[0] + 2
    assert descriptors <= before[1] + 4
