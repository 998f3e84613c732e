"""mentor.Sandbox: calls and batches, kept outcomes, isolation, clock, numbers, neighbours that never end."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from mentor import Limits, Outcome, Sandbox, _core
from mentor.errors import InputError, SandboxError

ISOLATIONS: list[str] = _core.sandbox_isolations()
ENV = "import json\ndef double(x): return 2 * x\ndef fail(): return 1 / 0\ndef pair(a, b=7): return [a, b]"
LOOP = "while True: pass"
SLOW = "sum(range(10**6))\n'slow'"


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox()


def kind(outcome: Outcome) -> str | None:
    return outcome.fault and outcome.fault.kind


# --- calls ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_calls(isolation: str) -> None:
    sandbox = Sandbox(isolation=isolation)
    for _ in range(3):
        assert sandbox.call("double", {"x": 21}, ENV).value == 42
        assert sandbox.call("double", '{"x": [1]}', ENV).value == [1, 1]
        assert sandbox.call("pair", {"a": "é"}, ENV).value == ["é", 7]
        assert kind(sandbox.call("nothing", {}, ENV)) == "unknown_tool"
        assert kind(sandbox.call("double", "[1", ENV)) in ("bad_arguments", "exception")
        failed = sandbox.call("fail", {}, ENV, env_filename="tools.py").fault
        assert failed is not None
        assert 'File "tools.py", line 3, in fail' in failed.traceback


def test_a_batch_of_calls(sandbox: Sandbox) -> None:
    calls: list[tuple[str, Any]] = [("double", {"x": n}) for n in range(100)] + [("fail", {}), ("pair", '{"a": 1}')]
    outcomes = sandbox.call_batch(calls, ENV)
    assert [outcome.value for outcome in outcomes] == [n * 2 for n in range(100)] + [None, [1, 7]]
    assert sandbox.call_batch([], ENV) == []
    assert sandbox.call_batch(iter([["double", {"x": 1}]]), ENV)[0].value == 2  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        (["double"], r"calls\[0\] must be a pair"),
        ([("double", {}), ("double",)], r"calls\[1\] must be a pair"),
        ([("double", 5)], r"calls\[0\]: arguments must be a mapping or JSON text, not int"),
        ([(None, {})], r"calls\[0\]: name must be a str, not NoneType"),
        ([("double", {"x": {1}})], r"calls\[0\]: the arguments are no JSON"),
        ([("double", {"x": float("nan")})], r"calls\[0\]: the arguments are no JSON"),
    ],
)
def test_calls_of_the_wrong_type(sandbox: Sandbox, calls: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        sandbox.call_batch(calls, ENV)


# --- batches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_a_long_batch_keeps_its_order(isolation: str) -> None:
    sandbox = Sandbox(isolation=isolation)
    seen: list[int] = []
    outcomes = sandbox.run_batch([f"x = {n}\nx * x" for n in range(500)], progress=seen.append)
    assert [outcome.value for outcome in outcomes] == [n * n for n in range(500)]
    assert sum(seen) == 500
    assert all(step > 0 for step in seen)


def test_slow_programs_do_not_hold_up_the_others() -> None:
    sandbox = Sandbox(limits=Limits(timeout_ms=1_000))
    sandbox.run_batch(["1"] * 20)
    finished: list[tuple[float, int]] = []
    began = time.monotonic()
    codes = [LOOP, *("1 + 1" for _ in range(60)), LOOP]
    outcomes = sandbox.run_batch(codes, progress=lambda count: finished.append((time.monotonic() - began, count)))
    assert [kind(outcomes[0]), kind(outcomes[-1])] == ["timeout"] * 2
    assert [outcome.value for outcome in outcomes[1:-1]] == [2] * 60
    early = sum(count for at, count in finished if at < 0.9)
    assert early == 60, finished


def test_endless_loops_do_not_time_out_a_neighbour() -> None:
    """Only the time that a guest has a thread for itself counts."""
    patient, strict = Sandbox(limits=Limits(timeout_ms=1_000)), Sandbox(limits=Limits(timeout_ms=700))
    strict.run(SLOW)
    alone = min(strict.run(SLOW).wall_ms for _ in range(3))
    work = SLOW.replace("10**6", str(int(200 / max(alone, 1) * 10**6)))
    outcomes = patient.run_batch([LOOP] * 8 + [work] * 2)
    assert [kind(outcome) for outcome in outcomes[:8]] == ["timeout"] * 8
    assert [outcome.value for outcome in outcomes[8:]] == ["slow"] * 2
    background = threading.Thread(target=lambda: patient.run_batch([LOOP] * 8))
    background.start()
    time.sleep(0.05)
    assert strict.run_batch([work])[0].value == "slow"
    background.join()


# --- kept outcomes -------------------------------------------------------------------------------------------------


def test_what_is_kept_does_not_run_again() -> None:
    sandbox = Sandbox(cache_mb=4)
    before = sandbox.stats()["reset"]
    first = sandbox.run(SLOW)
    assert sandbox.stats()["reset"] == before + 1
    for _ in range(50):
        assert sandbox.run(SLOW) == first
    assert sandbox.run_batch([SLOW] * 50) == [first] * 50
    assert sandbox.stats()["reset"] == before + 1
    for other in (SLOW + "\n", "\n" + SLOW):
        sandbox.run(other)
    sandbox.run(SLOW, "x = 1")
    sandbox.run(SLOW, filename="other.py")
    assert sandbox.stats()["reset"] == before + 5


def test_kept_values_are_copies() -> None:
    sandbox = Sandbox(cache_mb=1)
    for act in (
        lambda: sandbox.run("{'a': [1, 2]}"),
        lambda: sandbox.run_batch(["{'a': [1, 2]}"])[0],
        lambda: sandbox.call("f", {}, "def f(): return {'a': [1, 2]}"),
    ):
        for _ in range(3):
            outcome = act()
            assert outcome.value == {"a": [1, 2]}
            outcome.value["a"].append(3)
            outcome.value["b"] = 1


def test_values_of_a_batch_are_copies_too() -> None:
    sandbox = Sandbox(cache_mb=1)
    for _ in range(2):
        first, second, third = sandbox.run_batch(["[1]", "[1]", "[2]"])
        first.value.append(9)
        third.value.append(9)
        assert second.value == [1]


def test_what_the_clock_decided_is_not_kept() -> None:
    sandbox = Sandbox(limits=Limits(timeout_ms=50), cache_mb=1)
    for _ in range(3):
        outcome = sandbox.run(LOOP)
        assert kind(outcome) == "timeout"
        assert outcome.wall_ms >= 50
        began = time.monotonic()
        sandbox.run_batch([LOOP])
        assert time.monotonic() - began > 0.045


def test_faults_are_kept() -> None:
    sandbox = Sandbox(cache_mb=1)
    before = sandbox.stats()["made"], sandbox.stats()["reset"]
    outcomes = [sandbox.run("print('x')\n1 / 0") for _ in range(5)]
    assert outcomes == [outcomes[0]] * 5
    after = sandbox.stats()["made"], sandbox.stats()["reset"]
    assert sum(after) - sum(before) <= 2


def test_a_batch_with_duplicates_keeps_its_order() -> None:
    sandbox = Sandbox(cache_mb=1)
    sandbox.run("3 * 1")
    numbers = [3, 1, 3, 2, 1, 1, 4, 3]
    seen: list[int] = []
    outcomes = sandbox.run_batch([f"{n} * 1" for n in numbers], progress=seen.append)
    assert [outcome.value for outcome in outcomes] == numbers
    assert sum(seen) == len(numbers)
    outcomes = sandbox.call_batch([("f", {"n": n}) for n in numbers], "def f(n): return n")
    assert [outcome.value for outcome in outcomes] == numbers


def test_kept_outcomes_make_room() -> None:
    sandbox = Sandbox(cache_mb=1)
    for n in range(12):
        assert len(sandbox.run(f"print('{n % 10}' * 200_000)").stdout) == 200_001
    before = sandbox.stats()["reset"]
    sandbox.run("print('1' * 200_000)")  # of the eleventh program, still there
    assert sandbox.stats()["reset"] == before
    sandbox.run("print('2' * 200_000)")
    assert sandbox.stats()["reset"] == before + 1


def test_sandboxes_do_not_share_what_they_keep() -> None:
    code = "import random\nrandom.random()"
    assert Sandbox(cache_mb=1, seed=1).run(code).value != Sandbox(cache_mb=1, seed=2).run(code).value


# --- isolation, clock ----------------------------------------------------------------------------------------------


def test_isolations() -> None:
    assert ISOLATIONS[-1] == "fresh"
    code = "import random\nprint('x')\n[random.random(), id(object())]"
    names = [*ISOLATIONS, "auto", *(["reset"] if len(ISOLATIONS) > 1 else [])]
    outcomes = [Sandbox(isolation=name).run(code) for name in names]
    assert all(outcome.value == outcomes[0].value for outcome in outcomes)
    if len(ISOLATIONS) == 1:
        with pytest.raises(SandboxError, match="which pages"):
            Sandbox(isolation="reset")


@pytest.mark.parametrize("isolation", ["", "Fresh", "reset-", "none", "reset-x"])
def test_unknown_isolations(isolation: str) -> None:
    with pytest.raises(InputError, match="isolation must be 'auto', 'reset' or 'fresh', not"):
        Sandbox(isolation=isolation)


@pytest.mark.parametrize("isolation", [None, 1, b"fresh", True])
def test_isolations_of_the_wrong_type(isolation: Any) -> None:
    with pytest.raises(TypeError, match="isolation must be a str"):
        Sandbox(isolation=isolation)


def test_a_fresh_run_uses_no_instance_twice() -> None:
    sandbox = Sandbox(isolation="fresh")
    before = sandbox.stats()["reset"]
    sandbox.run_batch(["1"] * 20)
    assert sandbox.stats()["reset"] == before


@pytest.mark.parametrize("isolation", ISOLATIONS)
@pytest.mark.parametrize("clock", [0, 1, 951_782_400, 4_102_444_800, 2**33 - 1])
def test_clock(isolation: str, clock: int) -> None:
    sandbox = Sandbox(clock=clock, isolation=isolation)
    assert sandbox.clock == clock
    for _ in range(3):
        start, later = sandbox.run("import time\na = time.time()\ntime.sleep(90)\n[a, time.time()]").value
        assert 0 <= start - clock < 1
        assert 90 <= later - start < 91
    with sandbox.session() as session:
        assert 0 <= session.run("import time\ntime.time()").value - clock < 1


@pytest.mark.parametrize("name", ["clock", "cache_mb"])
@pytest.mark.parametrize("value", [-1, 2**33, 1.5, "1", True, None])
def test_clocks_and_sizes_out_of_range(name: str, value: Any) -> None:
    wrong = InputError if type(value) is int else TypeError
    with pytest.raises(wrong, match=f"{name} must be"):
        Sandbox(**{name: value})


def test_everything_survives_pickling() -> None:
    one = Sandbox(limits=Limits(timeout_ms=900, fuel=10**9), seed=5, isolation="fresh", clock=77, cache_mb=3)
    two = pickle.loads(pickle.dumps(one))
    assert (two.limits, two.seed, two.clock) == (one.limits, 5, 77)
    assert pickle.dumps(two) == pickle.dumps(one)
    code = "import random, time\n[random.random(), int(time.time())]"
    assert two.run(code).value == one.run(code).value
    assert two.run(code).value[1] == 77
    before = two.stats()
    two.run(code)
    assert two.stats()["made"] == before["made"], "kept there as well"


# --- numbers -------------------------------------------------------------------------------------------------------


def test_stats(sandbox: Sandbox) -> None:
    names = {"made", "reset", "checked", "idle", "idle_pages", "states", "state_bytes"}
    names |= {f"dropped_{reason}" for reason in ("grown", "pages", "differing", "untracked")}
    sandbox.run("1")
    before = sandbox.stats()
    assert set(before) == names
    sandbox.run("x = bytearray(40 << 20)")
    sandbox.run("x = bytearray(7 << 20)\nx[::4096] = b'x' * len(x[::4096])")
    sandbox.run("f(3)", "def f(x): return x # a definition of this test only")
    after = sandbox.stats()
    assert after["states"] > 0
    assert after["state_bytes"] > 0
    assert after["dropped_differing"] == 0
    if len(ISOLATIONS) > 1:
        assert after["dropped_grown"] == before["dropped_grown"] + 1
        assert after["dropped_pages"] == before["dropped_pages"] + 1
        assert after["reset"] >= before["reset"] + 1
        assert after["idle"] > 0
        assert after["idle_pages"] > 0


def test_a_known_state_is_not_made_again() -> None:
    env = "total = sum(range(10**6))\ndef f(): return total"
    sandbox = Sandbox()
    first = sandbox.call("f", {}, env)
    later = [sandbox.call("f", {}, env) for _ in range(5)]
    assert {outcome.value for outcome in [first, *later]} == {499_999_500_000}
    assert min(outcome.wall_ms for outcome in later) < first.wall_ms / 3


# --- Ctrl-C --------------------------------------------------------------------------------------------------------

INTERRUPTED = """
import asyncio, json, sys, threading, time, mentor
sandbox = mentor.Sandbox(limits=mentor.Limits(timeout_ms=60_000))
sandbox.run_batch(["1"] * 9)
LOOP = "while True: pass"
calls = [("f", {})] * 40
actions = {
    "call": lambda: sandbox.call("f", {}, "def f():\\n    while True: pass"),
    "call_batch": lambda: sandbox.call_batch(calls, "def f():\\n    while True: pass"),
    "stream": lambda: list(sandbox.stream([LOOP] * 40)),
    "arun": lambda: asyncio.run(sandbox.arun(LOOP)),
    "env": lambda: sandbox.run("1", LOOP),
}
print("ready", flush=True)
try:
    actions[sys.argv[1]]()
except KeyboardInterrupt:
    print("interrupted", flush=True)
end = time.monotonic() + 3
while time.monotonic() < end:
    before = time.process_time()
    time.sleep(0.2)
    if time.process_time() - before < 0.05:
        break
else:
    sys.exit("the guests went on")
print(sandbox.run("6 * 7").value, sandbox.stats()["dropped_differing"])
"""


def heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("action", ["call", "call_batch", "stream", "arun", "env"])
def test_ctrl_c_stops_what_runs(action: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED, action]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # A shell's background job ignores the signal, and so would its children.
    with subprocess.Popen(command, text=True, preexec_fn=heed_interrupts, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.4)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert time.monotonic() - began < 1
        out, errors = process.communicate(timeout=30)
    assert (out, process.returncode) == ("42 0\n", 0), errors


def test_lines_of_json_as_programs(sandbox: Sandbox) -> None:
    """What a batch gets may come from a generator that reads a file."""
    lines = [json.dumps({"code": f"{n} + 1"}) for n in range(5)]
    outcomes = sandbox.run_batch(json.loads(line)["code"] for line in lines)
    assert [outcome.value for outcome in outcomes] == [1, 2, 3, 4, 5]


def test_values_nested_deeply_are_given_with_a_cache_too() -> None:
    code = "x = []\nfor _ in range(700): x = [x]\nx"
    plain = Sandbox().run(code)
    assert plain.ok
    cached = Sandbox(cache_mb=1)
    assert [cached.run(code).value for _ in range(2)] == [plain.value] * 2
    assert [outcome.value for outcome in cached.run_batch([code, code])] == [plain.value] * 2
