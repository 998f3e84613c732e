"""mentor.Sandbox: what comes back, limits, isolation, arguments."""

from __future__ import annotations

import math
import pickle
import time
from pathlib import Path
from typing import Any

import pytest

from mentor import Fault, Limits, Outcome, Sandbox
from mentor.errors import InputError

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


# --- what comes back ---------------------------------------------------------------------------------------------


def test_streams_and_value_come_back(sandbox: Sandbox) -> None:
    outcome = sandbox.run("import sys\nprint('out')\nprint('err', file=sys.stderr)\n{'a': [1, 2.5, None, True, 'é']}")
    assert (outcome.stdout, outcome.stderr) == ("out\n", "err\n")
    assert outcome.value == {"a": [1, 2.5, None, True, "é"]}
    assert outcome.value_repr == "{'a': [1, 2.5, None, True, 'é']}"
    assert (outcome.ok, outcome.fault, outcome.fuel, outcome.truncated, outcome.reproducible) == (
        True,
        None,
        None,
        False,
        True,
    )
    assert outcome.wall_ms > 0


@pytest.mark.parametrize("value", [0, False, "", [], {}, 1, 1.0, -0.0, 2**200, 1e300, "\ud800", "x" * 1000, [[[0]]]])
def test_values_keep_their_type(sandbox: Sandbox, value: Any) -> None:
    outcome = sandbox.run(repr(value))
    assert outcome.ok
    assert type(outcome.value) is type(value)
    assert repr(outcome.value) == repr(value)


@pytest.mark.parametrize(
    "code", ["{1, 2}", "float('nan')", "float('inf')", "1j", "b'x'", "object", "10**5000", "globals()"]
)
def test_a_value_that_is_no_json_has_a_repr_only(sandbox: Sandbox, code: str) -> None:
    outcome = sandbox.run(code)
    assert outcome.ok
    assert outcome.value is None
    assert outcome.value_repr


@pytest.mark.parametrize("code", ["", "x = 1", "None", "def f(): pass", "# nothing"])
def test_no_value(sandbox: Sandbox, code: str) -> None:
    outcome = sandbox.run(code)
    assert outcome.ok
    assert (outcome.value, outcome.value_repr) == (None, None)


def test_an_exception_has_the_line_numbers_of_the_program(sandbox: Sandbox) -> None:
    found = fault(sandbox.run("def f(x):\n    return 1 / x\n\nf(0)", filename="mine.py"))
    assert found == Fault("exception", "ZeroDivisionError: division by zero", found.traceback, "ZeroDivisionError")
    assert str(found) == found.message
    assert found.traceback.startswith(
        'Traceback (most recent call last):\n  File "mine.py", line 4, in <module>\n    f(0)\n'
    )
    assert 'File "mine.py", line 2, in f\n    return 1 / x\n' in found.traceback
    assert "app.py" not in found.traceback


def test_env_runs_first_and_fails_under_its_own_name(sandbox: Sandbox) -> None:
    assert sandbox.run("double(4)", env="def double(x):\n    return 2 * x").value == 8
    found = fault(sandbox.run("print('never')", env="\nboom"))
    assert found.type_name == "NameError"
    assert 'File "<env>", line 2' in found.traceback


def test_output_before_a_fault_is_kept(sandbox: Sandbox) -> None:
    for end in ("1 / 0", "import os\nos._exit(1)"):
        outcome = sandbox.run(f"print('before')\n{end}")
        assert outcome.stdout == "before\n"
        assert not outcome.ok
    outcome = Sandbox(limits=SHORT).run("print('before')\nwhile True: pass")
    assert outcome.stdout == "before\n"


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("1 +", "exception", "SyntaxError: invalid syntax (<code>, line 1)"),
        ("raise KeyError('k')", "exception", "KeyError: 'k'"),
        ("assert False", "exception", "AssertionError"),
        ("import sys\nsys.exit(3)", "exception", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "exception", "KeyboardInterrupt"),
        ("x = 'a\x00b'", "exception", "SyntaxError: source code string cannot contain null bytes"),
        ("class E(Exception):\n    def __str__(self): raise self\nraise E", "exception", "E"),
    ],
)
def test_faults(sandbox: Sandbox, code: str, kind: str, message: str | None) -> None:
    found = fault(sandbox.run(code))
    assert found.kind == kind
    assert message is None or found.message == message


def test_the_end_of_a_program_is_no_fault(sandbox: Sandbox) -> None:
    assert sandbox.run("import sys\nsys.exit()").ok


def test_a_program_cannot_replace_the_way_its_value_is_written(sandbox: Sandbox) -> None:
    for text in ("'?'", "'[' * 100_000 + ']' * 100_000"):
        assert sandbox.run(f"import json\njson.dumps = lambda *a, **k: {text}\n1").value == 1


# --- limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')",
        "10 ** (10 ** 8)",
        "def f():\n    try: f()\n    finally: f()\nf()",
        "sum(1 for _ in iter(int, 1))",
    ],
)
def test_timeout(code: str) -> None:
    started = time.perf_counter()
    outcome = Sandbox(limits=SHORT).run(code)
    assert fault(outcome) == Fault("timeout", "stopped after 300 ms (timeout_ms)")
    assert not outcome.reproducible
    assert time.perf_counter() - started < 5


def test_sleeping_takes_no_time(sandbox: Sandbox) -> None:
    started = time.perf_counter()
    outcome = sandbox.run("import time\nt = time.time()\ntime.sleep(3600)\ntime.time() - t")
    assert outcome.value == pytest.approx(3600, abs=1)
    assert (
        sandbox.run("import asyncio\nasync def f():\n    await asyncio.sleep(60)\n    return 5\nasyncio.run(f())").value
        == 5
    )
    assert sandbox.run("import time\nt = time.time()\nwhile time.time() < t + 0.01: pass\n1").value == 1
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("code", ["'a' * 10**9", "x = []\nwhile True: x.append('x' * 10**6)", "bytearray(2**30)"])
def test_memory_limit(code: str) -> None:
    outcome = Sandbox(limits=Limits(memory_mb=64)).run(code)
    assert fault(outcome).kind == "memory_limit"
    assert outcome.reproducible
    assert Sandbox(limits=Limits(memory_mb=64)).run("len('a' * 10**6)").value == 10**6


def test_a_program_may_handle_its_memory_error() -> None:
    code = "try:\n    'a' * 10**9\nexcept MemoryError:\n    r = 'handled'\nr"
    assert Sandbox(limits=Limits(memory_mb=64)).run(code).value == "handled"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_limit(stream: str) -> None:
    outcome = Sandbox(limits=Limits(output_kb=2)).run(f"import sys\nwhile True: print('x' * 99, file=sys.{stream})")
    assert fault(outcome) == Fault("output_limit", "printed more than 2 KB (output_kb)")
    assert outcome.truncated
    assert len(getattr(outcome, stream)) == 2048


def test_output_limit_cannot_be_caught_away() -> None:
    code = "while True:\n    try: print('x' * 99)\n    except BaseException: break\n5"
    outcome = Sandbox(limits=Limits(output_kb=2)).run(code)
    assert fault(outcome).kind == "output_limit"
    assert len(outcome.stdout) == 2048


def test_the_value_keeps_to_the_output_limit() -> None:
    outcome = Sandbox(limits=Limits(output_kb=2)).run("'x' * 5000")
    assert outcome.ok
    assert outcome.value is None
    assert outcome.value_repr is not None
    assert len(outcome.value_repr) <= 4096


def test_fuel_is_a_budget_and_always_the_same() -> None:
    roomy = Sandbox(limits=Limits(fuel=10**10))
    used = [roomy.run("sum(i * i for i in range(1000))").fuel for _ in range(5)]
    assert used[0]
    assert len(set(used)) == 1
    outcome = Sandbox(limits=Limits(fuel=used[0] // 2)).run("sum(i * i for i in range(1000))")
    assert fault(outcome) == Fault("out_of_fuel", f"stopped after {used[0] // 2} operations (fuel)")
    assert outcome.reproducible
    assert Sandbox(limits=Limits(fuel=used[0])).run("sum(i * i for i in range(1000))").ok


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        ("def f(n): return f(n + 1)\nf(0)", {"exception"}),
        ("import json\njson.loads('[' * 100_000)", {"exception", "trap"}),
        ("import pickle\nx = []\nfor i in range(100_000): x = [x]\npickle.dumps(x)", {"exception", "trap"}),
        ("x = []\nfor i in range(100_000): x = [x]\nrepr(x)", {"exception", "trap", "timeout"}),
        (
            "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1)\nf(0)",
            {"exception", "trap", "timeout", "memory_limit"},
        ),
        ("eval('(' * 10_000 + ')' * 10_000)", {"exception", "memory_limit"}),
    ],
)
def test_deep_recursion_ends_that_run_only(code: str, kinds: set[str]) -> None:
    sandbox = Sandbox(limits=Limits(timeout_ms=1000))
    assert fault(sandbox.run(code)).kind in kinds
    assert sandbox.run("1 + 1").value == 2


# --- isolation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("open('/etc/passwd').read()", "FileNotFoundError"),
        ("import pathlib\npathlib.Path('/proc/self/environ').read_text()", "FileNotFoundError"),
        ("import os\nos.system('true')", "AttributeError"),
        ("import os\nos.fork()", "AttributeError"),
        ("import os\nos.kill(1, 9)", "AttributeError"),
        ("import subprocess\nsubprocess.run(['true'])", "OSError"),
        ("import socket\nsocket.socket()", "PermissionError"),
        ("import threading\nthreading.Thread(target=print).start()", "RuntimeError"),
        ("import ctypes", "ModuleNotFoundError"),
        ("import mentor", "ModuleNotFoundError"),
        ("input()", "EOFError"),
    ],
)
def test_the_host_is_out_of_reach(sandbox: Sandbox, code: str, error: str) -> None:
    assert fault(sandbox.run(code)).type_name == error


@pytest.mark.parametrize(
    "code",
    ["open('x', 'w')", "import os\nos.listdir('/')", "import tempfile\ntempfile.mkstemp()", "open('/etc/passwd')"],
)
def test_without_room_for_files_there_are_none(code: str) -> None:
    assert fault(Sandbox(limits=Limits(files_kb=0)).run(code)).type_name == "FileNotFoundError"


def test_the_network_is_out_of_reach(sandbox: Sandbox) -> None:
    with_server = "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:1')"
    assert fault(sandbox.run(with_server)).kind == "exception"


def test_no_environment_no_arguments_no_clock_of_the_host(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENTOR_TEST_SECRET", "secret")
    assert sandbox.run("import os\ndict(os.environ)").value == {}
    assert sandbox.run("import sys\nsys.argv").value == ["<code>"]
    assert sandbox.run("import datetime\ndatetime.datetime.now().year").value == 2026
    assert abs(sandbox.run("import time\ntime.time()").value - time.time()) > 60


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos._exit(3)",
        "import os\nos.abort()",
        "import builtins\nbuiltins.len = None\nbuiltins.print = None",
        "import sys\nsys.modules.clear()",
        "import sys\nsys._getframe(1).f_globals.clear()",
        "import sys\nsys.stdout.close()\nsys.stderr = None",
        "import faulthandler\nfaulthandler._sigsegv()",
        "import gc\nfor o in gc.get_objects():\n  if type(o) is dict:\n    try: o.clear()\n    except Exception: pass",
        "import json\njson.dumps = None\nimport traceback\ntraceback.format_exception = None\n1 / 0",
        "import random\nrandom.seed = None",
    ],
)
def test_damage_ends_with_its_instance(sandbox: Sandbox, code: str) -> None:
    sandbox.run(code)
    assert sandbox.run("import json, os, sys, random\nrandom.seed(1)\nlen(json.dumps([1]))").value == 3


def test_runs_share_nothing(sandbox: Sandbox) -> None:
    sandbox.run("import builtins, math\nx = 1\nbuiltins.leak = 1\nmath.leak = 1")
    code = "import builtins, math\n['x' in globals(), hasattr(builtins, 'leak'), hasattr(math, 'leak')]"
    assert sandbox.run(code).value == [False, False, False]


# --- arguments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timeout_ms": 0}, "timeout_ms must be from 1 to 2**32 - 1, not 0"),
        ({"timeout_ms": -5}, "timeout_ms must be from 1 to 2**32 - 1, not -5"),
        ({"fuel": 0}, "fuel must be from 1 to 2**64 - 1, not 0"),
        ({"output_kb": 2**40}, "output_kb must be from 1 to 2**32 - 1, not 1099511627776"),
    ],
)
def test_limits_out_of_range(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(InputError) as error:
        Limits(**arguments)
    assert str(error.value) == message


def test_limits_that_no_guest_can_keep() -> None:
    with pytest.raises(
        InputError, match=r"memory_mb must be between 48 \(the interpreter's own need\) and 4096, not 5"
    ):
        Sandbox(limits=Limits(memory_mb=5))


@pytest.mark.parametrize("name", ["timeout_ms", "memory_mb", "output_kb", "fuel"])
@pytest.mark.parametrize("value", [1.5, "1", True, math.inf])
def test_limits_are_whole_numbers(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} must be an int, not {type(value).__name__}"):
        Limits(**{name: value})


def test_wrong_types_are_the_callers_mistake(sandbox: Sandbox) -> None:
    for call, message in (
        (lambda: sandbox.run(b"1"), "code must be a str, not bytes"),  # type: ignore[arg-type]
        (lambda: sandbox.run("1", env=1), "env must be a str, not int"),  # type: ignore[arg-type]
        (lambda: sandbox.run_batch("1"), "codes must be a list of str; for one program use `run`"),
        (lambda: sandbox.run_batch(["1", None]), r"codes\[1\] must be a str, not NoneType"),  # type: ignore[list-item]
        (lambda: sandbox.run_batch(["1"], progress=1), "progress must be callable, not int"),  # type: ignore[arg-type]
        (lambda: Sandbox(limits={"timeout_ms": 5}), "limits must be mentor.Limits, not dict"),  # type: ignore[arg-type]
        (lambda: Sandbox(seed="x"), "seed must be an int, not str"),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError, match=message):
            call()
    with pytest.raises(InputError, match="seed must be from 0 to 2\\*\\*64 - 1, not -1"):
        Sandbox(seed=-1)


def test_sandboxes_pickle() -> None:
    sandbox = pickle.loads(pickle.dumps(Sandbox(limits=SHORT, seed=3)))
    assert (sandbox.limits, sandbox.seed) == (SHORT, 3)
    assert sandbox.run("1").value == 1
    outcome = sandbox.run("[1]")
    assert pickle.loads(pickle.dumps(outcome)) == outcome
    assert len(sandbox.guest) == 64


def test_lone_surrogates_in_a_program_are_no_error(sandbox: Sandbox) -> None:
    assert sandbox.run("'\ud800'").value == "\ud800"
    assert sandbox.run("print('\ud800')").stdout == "\\ud800\n"
