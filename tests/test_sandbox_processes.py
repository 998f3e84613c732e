"""mentor.Sandbox: determinism, sessions, batches, threads, processes and the compile cache."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

import mentor.sandbox
from mentor import Fault, Limits, Outcome, Sandbox
from mentor.errors import SandboxError

PROGRAMS = Path(__file__).parent / "golden" / "sandbox_programs.jsonl"
SHORT = Limits(timeout_ms=300)


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox()


def fault(outcome: Outcome) -> Fault:
    assert outcome.fault is not None, outcome
    assert not outcome.ok
    assert outcome.value is None
    return outcome.fault


# --- determinism -------------------------------------------------------------------------------------------------

RANDOM = """
import os, random, time, uuid, secrets
[random.random(), os.urandom(8).hex(), str(uuid.uuid4()), secrets.token_hex(4), id(object()), list({'a', 'b', 'c'}),
 time.time(), hash('x')]
"""


def test_the_same_seed_gives_the_same_outcome_in_every_process() -> None:
    here = [Sandbox(seed=7).run(RANDOM).value for _ in range(4)]
    assert all(value == here[0] for value in here)
    assert Sandbox(seed=8).run(RANDOM).value != here[0]
    script = f"import json, mentor; print(json.dumps(mentor.Sandbox(seed=7).run({RANDOM!r}).value))"
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(there.stdout) == here[0]


def comparable(outcome: Outcome) -> tuple[Any, ...]:
    return (
        outcome.stdout,
        outcome.stderr,
        outcome.value,
        outcome.value_repr,
        outcome.fault,
        outcome.fuel,
        outcome.truncated,
        outcome.reproducible,
    )


def test_varied_programs_give_the_same_twice_alone_and_in_a_batch() -> None:
    codes = [json.loads(line)["source"] for line in PROGRAMS.read_text().splitlines()]
    sandbox = Sandbox(limits=Limits(fuel=10**11))
    first = sandbox.run_batch(codes)
    assert len(first) == len(codes) == 196
    second = [sandbox.run(code) for code in codes]
    for code, one, two in zip(codes, first, second, strict=True):
        assert comparable(one) == comparable(two), code
        assert one.reproducible, code
    # Two thirds are programs that a plain CPython runs as well; the rest asks for what is not there.
    assert sum(outcome.ok for outcome in first) > len(codes) * 2 // 3


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("import math, statistics\n[math.comb(10, 3), statistics.mean([1, 2, 3])]", [120, 2]),
        ("import decimal, fractions\n[str(decimal.Decimal('0.1') * 3), str(fractions.Fraction(1, 3))]", ["0.3", "1/3"]),
        ("import sqlite3\nsqlite3.connect(':memory:').execute('select 1 + 1').fetchone()", [2]),
        ("import re, collections\ncollections.Counter(re.findall('a+', 'aabaa'))", {"aa": 2}),
        ("import heapq, itertools\nlist(itertools.accumulate(heapq.nsmallest(3, [5, 1, 4, 2])))", [1, 3, 7]),
        ("import xml.etree.ElementTree as e\ne.fromstring('<a><b/></a>')[0].tag", "b"),
        ("import datetime\nstr(datetime.date(2024, 2, 29) + datetime.timedelta(365))", "2025-02-28"),
        ("import difflib, textwrap, string\nstring.capwords('a b')", "A B"),
    ],
)
def test_the_standard_library_is_there(sandbox: Sandbox, code: str, value: Any) -> None:
    assert sandbox.run(code).value == value


# --- sessions ----------------------------------------------------------------------------------------------------


def test_a_session_keeps_its_globals(sandbox: Sandbox) -> None:
    with sandbox.session() as session, sandbox.session() as other:
        assert session.run("x = 20\ndef f(y): return x + y").ok
        assert session.run("f(1)").value == 21
        assert session.call("f", '{"y": 2}').value == 22
        assert fault(session.run("1 / 0")).kind == "exception"
        assert session.run("x").value == 20
        assert fault(session.call("g", "{}")).kind == "unknown_tool"
        assert fault(session.call("f", '{"z": 2}')).type_name == "TypeError"
        assert fault(other.run("x")).type_name == "NameError"
        assert session.run("print('only this')").stdout == "only this\n"


def test_each_run_of_a_session_has_the_whole_limits() -> None:
    with Sandbox(limits=Limits(output_kb=2, fuel=10**9)).session() as session:
        for _ in range(3):
            outcome = session.run("print('x' * 1500)")
            assert outcome.ok
            assert not outcome.truncated
        assert outcome.fuel
        assert fault(session.run("while True: print('x' * 100)")).kind == "output_limit"
        assert session.run("print('again')").stdout == "again\n"


def test_a_session_ends_with_a_stopped_program() -> None:
    with Sandbox(limits=SHORT).session() as session:
        assert fault(session.run("while True: pass")).kind == "timeout"
        found = fault(session.run("1"))
        assert found.kind == "trap"
        assert found.message == "this session ended with an earlier fault (timeout); rebuild it, or start a new one"


def test_a_closed_session_says_so(sandbox: Sandbox) -> None:
    session = sandbox.session()
    assert session.run("1").ok
    session.close()
    session.close()
    with pytest.raises(SandboxError, match="this session is closed"):
        session.run("1")
    with pytest.raises(TypeError, match="a session is a live instance and cannot be pickled; pickle its Sandbox"):
        pickle.dumps(session)


# --- batches, threads, processes -----------------------------------------------------------------------------------


def test_a_batch_keeps_the_order_and_tells_its_progress(sandbox: Sandbox) -> None:
    seen: list[int] = []
    outcomes = sandbox.run_batch((f"{n} * 2" for n in range(40)), progress=seen.append)
    assert [outcome.value for outcome in outcomes] == [2 * n for n in range(40)]
    assert sum(seen) == 40
    assert min(seen) > 0
    assert sandbox.run_batch([]) == []
    mixed = sandbox.run_batch(["f(1)", "1 / 0", "import os\nos._exit(1)", "f(2)"], env="def f(x): return x")
    assert [outcome.fault and outcome.fault.kind for outcome in mixed] == [None, "exception", "trap", None]


def test_an_exception_of_progress_comes_through(sandbox: Sandbox) -> None:
    def stop(done: int) -> None:
        raise RuntimeError(f"stop at {done}")

    with pytest.raises(RuntimeError, match="stop at"):
        sandbox.run_batch(["1"] * 5, progress=stop)


def test_the_gil_is_free_while_a_program_runs() -> None:
    ticks = 0
    done = threading.Event()

    def wait() -> None:
        Sandbox(limits=SHORT).run("while True: pass")
        done.set()

    thread = threading.Thread(target=wait)
    thread.start()
    while not done.wait(0.01):
        ticks += 1
    thread.join()
    assert ticks >= 10


def test_threads_share_a_sandbox_and_a_session(sandbox: Sandbox) -> None:
    results: list[list[Any]] = [[] for _ in range(8)]
    with sandbox.session() as session:
        session.run("n = 0")

        def work(number: int) -> None:
            for _ in range(5):
                results[number].append(sandbox.run(f"{number} + 1").value)
                session.run("n += 1")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert session.run("n").value == 40
    assert results == [[number + 1] * 5 for number in range(8)]


def child(sandbox: Sandbox, code: str) -> Any:
    return sandbox.run(code).value


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_child_processes(sandbox: Sandbox, method: str) -> None:
    assert sandbox.run("1").value == 1
    context = multiprocessing.get_context(method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads: what is tested here
        with context.Pool(2) as pool:
            values = [pool.apply_async(child, (sandbox, f"{n} + 1")) for n in range(6)]
            assert [value.get(timeout=60) for value in values] == [1, 2, 3, 4, 5, 6]
    assert sandbox.run("2").value == 2


def test_a_session_stays_in_its_process(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        session.run("x = 1")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            status = 1
            try:
                session.run("x")
            except SandboxError:
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert session.run("x").value == 1


INTERRUPTED = """
import sys, time, mentor
from mentor import Limits, Sandbox
sandbox = Sandbox(limits=Limits(timeout_ms=60_000))
SOURCE = "def f():\\n    'Never end.'\\n    while True: pass"
sandbox.run("1")
print("ready", flush=True)
try:
    ACTION
except KeyboardInterrupt:
    print("interrupted", flush=True)
print(sandbox.run("1 + 1").value, flush=True)
"""


@pytest.mark.parametrize(
    "action",
    [
        "sandbox.run('while True: pass')",
        "sandbox.run_batch(['while True: pass'] * 8)",
        "sandbox.session().run('while True: pass')",
        "mentor.ToolSet.from_source(SOURCE, limits=Limits(timeout_ms=3_000)).call_batch([('f', {})] * 8)",
    ],
)
def test_ctrl_c_is_answered_at_once(action: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED.replace("ACTION", action)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        started = time.perf_counter()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert time.perf_counter() - started < 1  # 0.1 s on a quiet machine
        assert process.stdout.readline() == "2\n"
        assert process.wait(timeout=20) == 0


# --- the compile cache ---------------------------------------------------------------------------------------------

CACHED = """
import logging, mentor
logging.basicConfig(format="%(name)s: %(message)s")
print(mentor.Sandbox().run("6 * 7").value)
"""


def cached(folder: Path) -> tuple[str, bool]:
    """What a program says in a new process, and whether that found the guest compiled."""
    environment = {**os.environ, "MENTOR_CACHE_DIR": str(folder)}
    result = subprocess.run([sys.executable, "-c", CACHED], capture_output=True, text=True, check=True, env=environment)
    return result.stdout, "compiling the sandbox's guest" not in result.stderr


def the_file(folder: Path) -> Path:
    (file,) = folder.glob("*.cwasm")
    return file


def test_the_compiled_guest_is_cached_and_rebuilt_when_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    assert cached(folder) == ("42\n", False)
    assert folder.stat().st_mode & 0o777 == 0o700
    file = the_file(folder)
    assert file.stat().st_mode & 0o077 == 0
    whole = file.read_bytes()
    assert cached(folder) == ("42\n", True)

    damaged = bytearray(whole)
    damaged[len(damaged) // 2] ^= 0xFF
    file.write_bytes(damaged)
    assert cached(folder)[0] == "42\n"
    assert the_file(folder).read_bytes() == whole


@pytest.mark.slow
def test_a_cut_off_cache_file_is_rebuilt(tmp_path: Path) -> None:
    assert cached(tmp_path)[0] == "42\n"
    file = the_file(tmp_path)
    whole = file.read_bytes()
    for length in (0, 5, len(whole) // 2):
        file.write_bytes(whole[:length])
        assert cached(tmp_path)[0] == "42\n"
        assert the_file(tmp_path).read_bytes() == whole


@pytest.mark.slow
def test_a_cache_folder_that_others_can_write_is_not_used(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert cached(tmp_path) == ("42\n", False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_child_compiles_what_its_parent_did_not(tmp_path: Path) -> None:
    code = """
import os
from mentor import Limits, Sandbox
assert Sandbox().run("1").ok
pid = os.fork()
if pid == 0:
    os._exit(not Sandbox(limits=Limits(fuel=10**9)).run("1").ok)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    environment = {**os.environ, "MENTOR_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=200)
    assert result.stdout == "0\n"


def test_no_cache_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert cached(tmp_path / "file" / "cache") == ("42\n", False)


def test_compiling_is_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mentor.sandbox.sandbox._ready", set())
    monkeypatch.setattr("mentor._core.sandbox_is_compiled", lambda metered, path: False)
    with caplog.at_level(logging.WARNING, "mentor.sandbox"):
        assert mentor.Sandbox().run("1").ok
    assert caplog.messages == ["compiling the sandbox's guest, once; this takes some seconds"]
