"""Attacks on and through sessions: state between them, hostile names and arguments, and what is left after a fault."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from attack import MEMORY, USUAL, assert_clean, end, well_formed

from mentor import Limits, Sandbox
from mentor.errors import SandboxError

BRIEF = Limits(timeout_ms=150, memory_mb=96, output_kb=64)
DEFINED = "def f(**k): return sorted(k)\ndef g(x=1): return x\nclass C:\n    def __call__(self): return 'called'\nc = C()\n_x = 5"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(limits=USUAL)


@pytest.mark.parametrize(
    ("name", "ends", "value"),
    [
        ("f", "ok", []),
        ("c", "ok", "called"),
        ("_x", "unknown_tool", None),
        ("", "unknown_tool", None),
        ("nothing", "unknown_tool", None),
        ("f()", "unknown_tool", None),
        ("f.__globals__", "unknown_tool", None),
        ("__builtins__", "unknown_tool", None),
        ("print", "unknown_tool", None),
        ("__import__", "unknown_tool", None),
        ("f\0", "unknown_tool", None),
        ("\ud800", "unknown_tool", None),
        ("f" * 1_000_000, "unknown_tool", None),
        ("'; import os; os._exit(1) #", "unknown_tool", None),
    ],
    ids=[
        "f",
        "c",
        "number",
        "empty",
        "missing",
        "call",
        "path",
        "builtins",
        "print",
        "import",
        "nul",
        "surrogate",
        "huge",
        "quote",
    ],
)
def test_names_of_calls(sandbox: Sandbox, name: str, ends: str, value: object) -> None:
    with sandbox.session() as session:
        session.run(DEFINED)
        outcome = session.call(name, "{}")
        assert (end(outcome), outcome.value) == (ends, value)
        well_formed(outcome, USUAL)
        assert session.call("g", '{"x": 7}').value == 7
    assert_clean(sandbox)


@pytest.mark.parametrize(
    ("arguments", "ends"),
    [
        ("", "JSONDecodeError"),
        ("[]", "TypeError"),
        ("5", "TypeError"),
        ("null", "TypeError"),
        ('"x"', "TypeError"),
        ('{"x": 1', "JSONDecodeError"),
        ('{"x": NaN}', "bad_result"),
        ('{"x": 1, "x": 2}', "ok"),
        ('{"y": 1}', "TypeError"),
        ('{"self": 1}', "TypeError"),
        ('{"": 1}', "TypeError"),
        ('{"x": "\\ud800"}', "ok"),
        ('{"x": ' + "9" * 10_000 + "}", "ValueError"),
        ('{"x": 1e999}', "bad_result"),
        ("\x00", "JSONDecodeError"),
        ("{" * 100_000, "JSONDecodeError"),
        ('{"x": ' + '"' + "y" * 1_000_000 + '"}', "bad_result"),
        ('{"x": ' + "[" * 500 + "]" * 500 + "}", "ok"),
    ],
)
def test_arguments_of_calls(sandbox: Sandbox, arguments: str, ends: str) -> None:
    with sandbox.session() as session:
        session.run(DEFINED)
        outcome = session.call("g", arguments)
        assert end(outcome) == ends
        well_formed(outcome, USUAL)
        assert session.call("g", '{"x": 7}').value == 7
    assert_clean(sandbox)


def test_arguments_nested_deeper_than_the_stack_end_that_session_only(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        session.run(DEFINED)
        assert end(session.call("g", '{"x": ' + "[" * 200_000)) in ("RecursionError", "trap")
    assert_clean(sandbox)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        ("while True: pass", "timeout"),
        ("import os\nos._exit(0)", "trap"),
        (MEMORY + "view(1 << 31, 1)[0]", "trap"),
    ],
    ids=["timeout", "exit", "outside"],
)
def test_a_session_that_was_stopped_says_so_for_ever(damage: str, kind: str) -> None:
    sandbox = Sandbox(limits=BRIEF)
    with sandbox.session() as session:
        session.run("def g(x=1): return x")
        assert end(session.run(damage)) == kind
        for _ in range(3):
            for outcome in (session.run("1"), session.call("g", "{}")):
                assert end(outcome) == "trap"
                assert outcome.fault is not None
                assert outcome.fault.message.startswith("this session ended with an earlier fault")
    assert_clean(sandbox)


def test_faults_that_leave_the_instance_alive(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        session.run("x = 5\ndef f(): return {1}")
        for code, ends in (
            ("1 / 0", "ZeroDivisionError"),
            ("'a' * 10**9", "memory_limit"),
            ("while True: print('x' * 99)", "output_limit"),
            ("def r(): r()\nr()", "RecursionError"),
            ("1 +", "SyntaxError"),
            ("raise SystemExit(3)", "SystemExit"),
        ):
            assert end(session.run(code)) == ends
            assert session.run("x").value == 5
        assert end(session.call("f", "{}")) == "bad_result"
        assert session.run("x").value == 5


def test_a_step_cannot_spend_the_limits_of_the_next(sandbox: Sandbox) -> None:
    small = Sandbox(limits=Limits(timeout_ms=400, memory_mb=96, output_kb=1, fuel=2 * 10**9))
    with small.session() as session:
        for _ in range(4):
            outcome = session.run("print('x' * 1000)\nfor _ in range(10**5): pass")
            assert (end(outcome), len(outcome.stdout), outcome.truncated) == ("ok", 1001, False)


def test_a_step_leaves_no_trap_for_the_next_that_the_host_feels(sandbox: Sandbox) -> None:
    """Hooks that a step leaves may spoil the session; they stay in it, and keep to its limits."""
    hooks = (
        "import sys\nsys.settrace(lambda *a: 1 / 0)",
        "import sys\nsys.setprofile(lambda *a: print('x' * 99))",
        "import gc\ngc.set_threshold(1)\ngc.callbacks.append(lambda *a: [0] * 10**6)",
        "import json\ndef d(*a, **k):\n    while True: pass\njson.loads = json.dumps = d",
        "import ast\nast.parse = lambda *a: 5",
        "import sys\nsys.modules['app']._main.__dict__.clear()",
        "import sys\nsys.modules['app']._streams = None",
        "import builtins\nbuiltins.compile = builtins.exec = builtins.eval = lambda *a, **k: 'forged'",
    )
    sandbox = Sandbox(limits=BRIEF)
    for hook in hooks:
        with sandbox.session() as session:
            session.run("def f(): return 1")
            session.run(hook)
            for outcome in (session.run("print('x')\n6 * 7"), session.call("f", "{}")):
                well_formed(outcome, BRIEF)
    assert_clean(sandbox)


def test_many_sessions_at_once_do_not_mix(sandbox: Sandbox) -> None:
    sessions = [sandbox.session() for _ in range(12)]
    for number, session in enumerate(sessions):
        session.run(f"mine = {number}")
    for number, session in reversed(list(enumerate(sessions))):
        assert session.run("mine").value == number
    for session in sessions[::2]:
        session.close()
    later = [sandbox.session() for _ in range(6)]
    assert all(end(session.run("mine")) == "NameError" for session in later)
    assert [session.run("mine").value for session in sessions[1::2]] == [1, 3, 5, 7, 9, 11]
    for session in sessions + later:
        session.close()
    assert_clean(sandbox)


def test_closing_while_a_step_runs(sandbox: Sandbox) -> None:
    sandbox = Sandbox(limits=BRIEF)
    session = sandbox.session()
    session.run("1")
    ended: list[str] = []

    def run() -> None:
        try:
            ended.append(end(session.run("while True: pass")))
        except SandboxError:
            ended.append("closed before")

    runner = threading.Thread(target=run)
    runner.start()
    session.close()
    runner.join(10)
    assert ended in (["timeout"], ["closed before"])
    with pytest.raises(SandboxError):
        session.run("1")
    assert_clean(sandbox)


def test_threads_of_one_session_take_turns_with_hostile_steps(sandbox: Sandbox) -> None:
    counts: list[Any] = []
    with sandbox.session() as session:
        session.run("n = 0")

        def work(code: str) -> None:
            counts.extend(end(session.run(code)) for _ in range(10))

        threads = [
            threading.Thread(target=work, args=(code,))
            for code in ("n += 1", "n += 1\n1 / 0", "n += 1\nprint('x' * 10**6)")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert session.run("n").value == 30
    assert sorted(set(counts)) == ["ZeroDivisionError", "ok", "output_limit"]
    assert_clean(sandbox)


def test_a_session_is_like_a_fresh_run(sandbox: Sandbox) -> None:
    codes = ["import random\nrandom.random()", "id(object())", "import time\ntime.time()", "hash('x')", "x = 1\nx"]
    for code in codes:
        with sandbox.session() as session:
            assert session.run(code).value == sandbox.run(code).value, json.dumps(code)
