"""Output as it comes, and runs in the background."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mentor import Limits, Outcome, Sandbox, Session
from mentor.errors import SandboxError

SMALL = Limits(output_kb=4, timeout_ms=2_000)


class Ear:
    """Keeps what it hears, and when."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.times: list[float] = []

    def __call__(self, stream: str, text: str) -> None:
        self.heard.append((stream, text))
        self.times.append(time.monotonic())

    def text(self, stream: str) -> str:
        return "".join(text for name, text in self.heard if name == stream)


def run(code: str, ear: Any, *, how: str = "run", env: str | None = None, limits: Limits | None = None) -> Outcome:
    sandbox = Sandbox(limits=limits)
    if how == "session":
        with sandbox.session() as session:
            if env is not None:
                session.run(env)
            return session.run(code, on_output=ear)
    if how == "start":
        return sandbox.start(code, env, on_output=ear).result(60)
    return sandbox.run(code, env, on_output=ear)


HOW = pytest.mark.parametrize("how", ["run", "session", "start"])


@HOW
@pytest.mark.parametrize(
    "code",
    [
        "1",
        "print('a')\nimport sys\nprint('b', file=sys.stderr)\nprint('c')",
        "for n in range(500): print(n)",
        "print('é€😀' * 5000)",
        "print('x', end='')\n1 / 0",
        "while True: print('y' * 50)",
        "import os\nfor b in '😀'.encode(): os.write(1, bytes([b]))",
        "import os\nos.write(1, b'\\xff\\xe2\\x82')\nos.write(2, b'\\xf0\\x9f')",
        "import os\nprint('a')\nos._exit(1)",
    ],
)
def test_what_is_heard_is_the_output(code: str, how: str) -> None:
    ear = Ear()
    outcome = run(code, ear, how=how, limits=SMALL)
    assert (ear.text("stdout"), ear.text("stderr")) == (outcome.stdout, outcome.stderr)
    silent = Sandbox(limits=SMALL).run(code)
    assert (silent.stdout, silent.stderr, silent.value) == (outcome.stdout, outcome.stderr, outcome.value)
    assert {stream for stream, _ in ear.heard} <= {"stdout", "stderr"}
    assert all(text for _, text in ear.heard)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=6)), max_size=12))
def test_any_bytes_are_heard_as_they_end_up(writes: list[tuple[int, bytes]]) -> None:
    ear = Ear()
    outcome = run(f"import os\nfor fd, data in {writes!r}: os.write(fd, data)", ear)
    assert (ear.text("stdout"), ear.text("stderr")) == (outcome.stdout, outcome.stderr)


@HOW
def test_it_is_heard_before_the_run_ends(how: str) -> None:
    ear = Ear()
    busy = "import time\ndef busy():\n    n = 0\n    for _ in range(1_500_000): n += 1\n"
    outcome = run("print('first')\nbusy()\nprint('second')\nbusy()", ear, how=how, env=busy)
    ended = time.monotonic()
    assert outcome.ok, outcome.fault
    assert [text for _, text in ear.heard] == ["first\n", "second\n"]
    first, second = ear.times
    assert second - first > 0.02
    assert ended - second > 0.02


def test_it_is_heard_before_a_function_of_the_host_answers() -> None:
    ear = Ear()
    seen: list[list[tuple[str, str]]] = []

    def look() -> None:
        time.sleep(0.05)
        seen.append(list(ear.heard))

    Sandbox(functions={"look": look}).run("print('a')\nlook()\nprint('b')\nlook()", on_output=ear)
    assert seen == [[("stdout", "a\n")], [("stdout", "a\n"), ("stdout", "b\n")]]


def test_the_listener_of_a_run_is_called_on_its_thread() -> None:
    threads: set[int] = set()

    def listen(stream: str, text: str) -> None:
        threads.add(threading.get_ident())

    Sandbox().run("for n in range(100): print(n)", on_output=listen)
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
@HOW
def test_what_a_listener_raises_stops_the_run(how: str, kind: type[BaseException]) -> None:
    heard: list[str] = []

    def listen(stream: str, text: str) -> None:
        heard.append(text)
        raise kind("enough")

    began = time.monotonic()
    with pytest.raises(kind, match="enough"):
        run("while True: print('x')", listen, how=how, limits=Limits(timeout_ms=20_000, output_kb=100_000))
    assert time.monotonic() - began < 5
    assert len(heard) == 1


def test_a_listener_that_raises_at_the_very_end() -> None:
    def listen(stream: str, text: str) -> None:
        raise ValueError("late")

    for how in ("run", "session", "start"):
        with pytest.raises(ValueError, match="late"):
            run("print('x')", listen, how=how)


USES: dict[str, Callable[[Session], object]] = {
    "run": lambda session: session.run("1"),
    "call": lambda session: session.call("f", {}),
    "files": lambda session: len(session.files),
    "ended": lambda session: session.ended,
    "save": Session.save,
    "fork": lambda session: session.fork(1),
    "rebuild": Session.rebuild,
    "close": Session.close,
}


def aside(work: Callable[[], None]) -> None:
    """Does it on a thread that may get stuck."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "stuck"


@pytest.mark.parametrize("functions", [None, {"add": int.__add__}])
@pytest.mark.parametrize("use", USES)
def test_a_listener_cannot_use_its_own_session(use: str, functions: dict[str, Any] | None) -> None:
    session = Sandbox(functions=functions).session()
    raised: list[Exception] = []

    def listen(stream: str, text: str) -> None:
        try:
            USES[use](session)
        except SandboxError as error:
            raised.append(error)

    def work() -> None:
        outcome = session.run("print('a')\nfor _ in range(500_000): pass\n2", on_output=listen)
        assert (outcome.value, outcome.stdout) == (2, "a\n")

    aside(work)
    assert "this session is in the midst of a step" in str(raised[0])
    assert session.run("3").value == 3


def test_a_listener_cannot_use_its_own_session_by_a_function_of_another() -> None:
    session = Sandbox().session()
    other = Sandbox(functions={"again": lambda: session.run("1").value}, limits=Limits(timeout_ms=3_000)).session()
    outcomes: list[Outcome] = []
    aside(lambda: void(session.run("print('a')", on_output=lambda *_: outcomes.append(other.run("again()")))))
    assert "SandboxError: this session is in the midst of a step" in str(outcomes[0].fault)


def test_what_a_listener_leaves_to_later_may_use_its_session() -> None:
    session = Sandbox().session()
    values: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        session.run("x = 2\nprint(x)", on_output=lambda *_: void(loop.call_soon(use)))
        assert values == []
        await asyncio.sleep(0)

    def use() -> None:
        values.append(session.run("x").value)

    asyncio.run(main())
    assert values == [2]


def void(_: object) -> None:
    """Nothing."""


def test_an_environment_is_heard_only_where_it_fails() -> None:
    for how in ("run", "start"):
        ear = Ear()
        assert run("print('code')", ear, how=how, env="print('env')").stdout == ear.text("stdout") == "code\n"
        ear = Ear()
        assert run("1", ear, how=how, env="print('env')\n1 / 0").stdout == ear.text("stdout") == "env\n"


def test_a_listener_hears_kept_outcomes_too() -> None:
    sandbox = Sandbox(cache_mb=1)
    for _ in range(3):
        ear = Ear()
        sandbox.run("print('x')", on_output=ear)
        assert ear.text("stdout") == "x\n"


def test_a_listener_can_run_programs() -> None:
    sandbox = Sandbox()
    values: list[Any] = []
    sandbox.run("print(1)\nprint(2)", on_output=lambda stream, text: values.append(sandbox.run(text).value))
    assert sum(values) in (2, 3)  # lines that come together are one text, whose last line is the value


def test_a_listener_must_be_callable() -> None:
    for start in (Sandbox().run, Sandbox().start, Sandbox().session().run):
        with pytest.raises(TypeError, match="on_output must be callable, not int"):
            start("1", on_output=5)  # type: ignore[operator]


# Runs in the background.


def test_a_run_has_an_outcome() -> None:
    run = Sandbox(seed=5).start("import random\nprint('x')\nrandom.random()", "import random")
    outcome = run.result(60)
    expected = Sandbox(seed=5).run("import random\nprint('x')\nrandom.random()", "import random")
    assert (outcome.value, outcome.stdout, outcome.reproducible) == (expected.value, "x\n", True)
    assert run.done()
    assert run.result() is outcome
    run.cancel()
    assert run.result() is outcome
    assert repr(run) == "<Run done>"


def test_a_run_that_is_not_finished() -> None:
    run = Sandbox().start("while True: pass")
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"the program has not finished within 0\.05 seconds"):
        run.result(0.05)
    assert time.monotonic() - began < 2
    assert not run.done()
    assert repr(run) == "<Run under way>"
    run.cancel()
    assert run.result(60).fault is not None


@pytest.mark.parametrize(
    "code", ["while True: pass", "f(60)", "while True:\n    try: f(60)\n    except BaseException: 5"]
)
def test_a_run_can_be_cancelled(code: str) -> None:
    run = Sandbox(functions={"f": time.sleep}).start(code)
    time.sleep(0.05)
    began = time.monotonic()
    run.cancel()
    outcome = run.result(60)
    assert time.monotonic() - began < 2
    assert outcome.fault is not None
    assert (outcome.fault.kind, outcome.fault.message, outcome.reproducible) == (
        "cancelled",
        "cancelled by the host",
        False,
    )


def test_a_run_can_be_cancelled_before_its_turn() -> None:
    sandbox = Sandbox(limits=Limits(timeout_ms=60_000))
    runs = [sandbox.start("while True: pass") for _ in range(200)]
    began = time.monotonic()
    runs[-1].cancel()
    outcome = runs[-1].result(60)
    assert time.monotonic() - began < 3
    assert outcome.fault is not None
    assert outcome.fault.kind == "cancelled"
    for run in runs:
        run.cancel()
    assert {str(run.result(60).fault) for run in runs} == {"cancelled by the host"}


def test_a_run_is_usable_from_any_thread() -> None:
    run = Sandbox().start("while True: pass")
    outcomes: list[Outcome] = []
    threads = [threading.Thread(target=lambda: outcomes.append(run.result(60))) for _ in range(4)]
    for thread in threads:
        thread.start()
    threading.Thread(target=run.cancel).start()
    for thread in threads:
        thread.join(60)
    assert len(outcomes) == 4
    assert all(outcome is outcomes[0] for outcome in outcomes)


def test_a_run_that_nobody_holds_goes_on() -> None:
    ended = threading.Event()
    Sandbox(functions={"end": ended.set}).start("n = 0\nfor _ in range(200_000): n += 1\nend()")
    gc.collect()
    assert ended.wait(60)


def test_mistakes_are_raised_at_once() -> None:
    for wrong in (5, b"1", None):
        with pytest.raises(TypeError, match="code must be a str"):
            Sandbox().start(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="replay must be a list of HostCall"):
        Sandbox().start("1", replay=5)  # type: ignore[arg-type]


def test_runs_do_not_keep_the_process() -> None:
    script = (
        "import mentor\nsandbox = mentor.Sandbox()\nsandbox.run('1')\n"
        "run = sandbox.start('while True: print(1)', on_output=lambda stream, text: None)\nprint('end')"
    )
    for _ in range(3):
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
        assert (result.returncode, result.stdout, result.stderr) == (0, "end\n", "")
