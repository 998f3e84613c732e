"""Functions of the host: what programs call, what they get, what is recorded, and how it is repeated."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mentor import HostCall, HostFunctions, Limits, Outcome, Sandbox, Session
from mentor.errors import InputError

METERED = Limits(fuel=10**10)


def add(x: int, y: int = 1) -> int:
    return x + y


async def later(x: int) -> int:
    await asyncio.sleep(0.001)
    return 2 * x


def fail(kind: str, message: str) -> None:
    raise {"ValueError": ValueError, "KeyError": KeyError, "OSError": OSError, "Own": Own}[kind](message)


class Own(Exception):
    """Not builtin."""


def granting(*functions: Callable[..., Any], **others: Any) -> Sandbox:
    return Sandbox(functions={function.__name__: function for function in functions}, **others)


def value(outcome: Outcome) -> Any:
    assert outcome.ok, outcome.fault
    return outcome.value


# Every way to run.


def test_globals_and_module() -> None:
    sandbox = granting(add)
    assert value(sandbox.run("add(1) + add(1, 2) + add(y=3, x=4)")) == 12
    assert value(sandbox.run("from host import add as plus\nplus(1)")) == 2
    assert value(sandbox.run("import host\nhost.add(1), host.__all__, host.add.__name__")) == [2, ["add"], "add"]
    assert value(sandbox.run("from host import *\nadd(5)")) == 6


@pytest.mark.parametrize("isolation", ["auto", "fresh"])
def test_every_way_to_run(isolation: str) -> None:
    sandbox = granting(add, later, isolation=isolation)
    env = "def f(x): return add(x) + later(x)"
    assert value(sandbox.run("f(1)", env)) == 4
    assert value(sandbox.call("f", {"x": 2}, env=env)) == 7
    assert [value(outcome) for outcome in sandbox.run_batch([f"f({n})" for n in range(40)], env)] == [
        3 * n + 1 for n in range(40)
    ]
    assert [value(outcome) for outcome in sandbox.call_batch([("f", {"x": n}) for n in range(9)], env)] == [
        3 * n + 1 for n in range(9)
    ]
    assert [value(outcome) for outcome in sandbox.stream((f"f({n})" for n in range(9)), env)] == [
        3 * n + 1 for n in range(9)
    ]
    assert value(sandbox.start("f(3)", env).result(60)) == 10
    with sandbox.session() as session:
        session.run(env)
        assert value(session.run("f(1)")) == 4
        assert value(session.call("f", {"x": 1})) == 4
        for branch in session.fork(2):
            assert value(branch.run("f(2)")) == 7

    async def main() -> None:
        outcomes = await asyncio.gather(*(sandbox.arun(f"f({n})", env) for n in range(40)))
        assert [value(outcome) for outcome in outcomes] == [3 * n + 1 for n in range(40)]
        assert value(await sandbox.acall("f", {"x": 1}, env)) == 4
        with sandbox.session() as session:
            await session.arun(env)
            assert value(await session.acall("f", {"x": 1})) == 4

    asyncio.run(main())


def test_tools_can_be_called_from_threads() -> None:
    sandbox = granting(add)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda n=n: results.append(sandbox.run(f"add({n})").value)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(1, 17))


# What crosses.

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(args=st.lists(_JSON, max_size=3), kwargs=st.dictionaries(st.sampled_from(["a", "b", "self"]), _JSON, max_size=2))
def test_json_crosses_both_ways(args: list[Any], kwargs: dict[str, Any]) -> None:
    seen: list[Any] = []

    def echo(*args: Any, **kwargs: Any) -> Any:
        seen.append([list(args), kwargs])
        return [list(args), kwargs]

    outcome = granting(echo).run(
        f"import json\na, k = json.loads({json.dumps([args, kwargs])!r})\necho(*a, **k) == [a, k]"
    )
    assert value(outcome) is True
    assert seen == [[args, kwargs]]
    call = outcome.calls[0]
    assert (call.name, call.args, call.kwargs, call.value, call.error) == ("echo", args, kwargs, [args, kwargs], None)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("add({1})", "TypeError: add: the arguments are no JSON: Object of type set is not JSON serializable"),
        ("add(1e999)", "TypeError: add: the arguments are no JSON: Out of range float values are not JSON compliant"),
        ("x = []\nx.append(x)\nadd(x)", "TypeError: add: the arguments are no JSON: Circular reference detected"),
        ("add()", "TypeError: add() missing 1 required positional argument: 'x'"),
        ("add(1, z=2)", "TypeError: add() got an unexpected keyword argument 'z'"),
        ("junk()", "TypeError: junk: the result is no JSON: Object of type set is not JSON serializable"),
        ("infinite()", "TypeError: infinite: the result is no JSON: Out of range float values are not JSON compliant"),
        ("fail('ValueError', 'no')", "ValueError: no"),
        ("fail('KeyError', 'no')", "KeyError: 'no'"),
        ("fail('OSError', 'no')", "OSError: no"),
        ("fail('Own', 'no')", "RuntimeError: Own: no"),
        ("fail('Own', 'x' * 9000)", "RuntimeError: Own: " + "x" * 1997 + "..."),
        ("from host import nothing", "ImportError: cannot import name 'nothing' from 'host' (unknown location)"),
        ("import host\nhost.nothing", "AttributeError: the host grants no 'nothing', but: add, fail, infinite, junk"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_an_exception_of_the_program(code: str, message: str) -> None:
    def junk() -> set[int]:
        return {1}

    def infinite() -> float:
        return float("inf")

    outcome = granting(add, fail, junk, infinite).run(code)
    assert outcome.fault is not None
    assert outcome.fault.kind == "exception"
    assert outcome.fault.message.removesuffix(": inf") == message


def test_an_exception_has_no_traceback_or_path_of_the_host() -> None:
    def read() -> str:
        return open("/nonexistent/secret-path").read()  # noqa: PTH123

    outcome = granting(read).run("def f():\n    return read()\n\nf()")
    assert outcome.fault is not None
    assert outcome.fault.message == "FileNotFoundError: [Errno 2] No such file or directory"
    assert "secret-path" not in repr(outcome)
    assert re.fullmatch(
        'Traceback \\(most recent call last\\):\n  File "<code>", line 4, in <module>\n    f\\(\\)\n    ~\\^\\^\n'
        '  File "<code>", line 2, in f\n    return read\\(\\)\n(?: +[~^]+\n)?  File "<host>", line [0-9]+, in read\n'
        "FileNotFoundError: \\[Errno 2\\] No such file or directory\n",
        outcome.fault.traceback,
    ), outcome.fault.traceback


def test_programs_can_catch_it() -> None:
    code = "try:\n    fail('KeyError', 'apple')\nexcept KeyError as error:\n    found = error.args[0]\nfound"
    assert value(granting(fail).run(code)) == "apple"


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError])
def test_a_function_cannot_end_the_program_by_its_own_exit(kind: type[BaseException]) -> None:
    def leave() -> None:
        raise kind("now")

    outcome = granting(leave).run("leave()")
    assert outcome.fault is not None
    assert outcome.fault.message == f"RuntimeError: {kind.__name__}: now"


def test_what_is_not_granted_is_not_there() -> None:
    assert "name 'add' is not defined" in str(Sandbox().run("add(1)").fault)
    assert "No module named 'host'" in str(Sandbox().run("import host").fault)
    direct = "from wit_world.imports import host\nhost.call('add', '[[1], {}]')"
    # Not even by the import itself.
    assert Sandbox().run(f"{direct}[1]").value == "RuntimeError: the host grants no functions here"
    assert granting(fail).run(f"{direct}[1]").value == 'NameError: the host grants no function "add"'


def test_the_caller_s_context_is_the_function_s() -> None:
    user = contextvars.ContextVar("user", default="nobody")

    def who() -> str:
        return user.get()

    async def who_later() -> str:
        return user.get()

    user.set("me")
    sandbox = granting(who, who_later)
    assert value(sandbox.run("[who(), who_later()]")) == ["me", "me"]


# Async functions.


def test_an_async_function_runs_in_the_loop_of_its_caller() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def same() -> bool:
            return asyncio.get_running_loop() is loop

        sandbox = granting(same)
        assert value(await sandbox.arun("same()")) is True
        assert value(await asyncio.to_thread(sandbox.run, "same()")) is False

    asyncio.run(main())


def test_an_async_function_is_cancelled_when_nobody_waits_any_more() -> None:
    cancelled = threading.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    outcome = granting(forever, limits=Limits(timeout_ms=50)).run("forever()")
    assert outcome.fault is not None
    assert outcome.fault.kind == "timeout"
    assert cancelled.wait(5)

    cancelled.clear()
    sandbox = Sandbox(functions=HostFunctions({"forever": forever}, timeout_ms=30))
    assert "TimeoutError: forever: no answer within 30 ms" in str(sandbox.run("forever()").fault)
    assert cancelled.wait(5)

    async def main() -> None:
        task = asyncio.create_task(granting(forever).arun("forever()"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(cancelled.wait, 5)

    cancelled.clear()
    asyncio.run(main())


def test_many_async_calls_wait_side_by_side() -> None:
    async def slow() -> int:
        await asyncio.sleep(0.2)
        return 1

    async def main() -> float:
        sandbox = granting(slow)
        await sandbox.arun("slow()")
        began = time.monotonic()
        outcomes = await asyncio.gather(*(sandbox.arun("slow()") for _ in range(64)))
        assert [value(outcome) for outcome in outcomes] == [1] * 64
        return time.monotonic() - began

    # More than may be under way at a time: those that wait for the host make room.
    assert asyncio.run(main()) < 64 / (8 * (os.cpu_count() or 1)) * 0.2


# Limits.


def test_time_in_the_host_counts() -> None:
    sandbox = granting(time.sleep, limits=Limits(timeout_ms=100))
    began = time.monotonic()
    outcome = sandbox.run("sleep(3)")
    assert time.monotonic() - began < 1.5
    assert outcome.fault is not None
    assert (outcome.fault.kind, outcome.reproducible) == ("timeout", False)
    assert sandbox.run("for _ in range(9): sleep(0.03)").fault is not None
    assert sandbox.run("sleep(0.01)").ok


def test_a_call_has_a_time_limit_of_its_own() -> None:
    sandbox = Sandbox(functions=HostFunctions({"sleep": time.sleep}, timeout_ms=50))
    code = "try:\n    sleep(2)\nexcept TimeoutError as error:\n    found = str(error)\nfound"
    outcome = sandbox.run(code)
    assert value(outcome) == "sleep: no answer within 50 ms (timeout_ms)"
    assert outcome.calls[0].error == "TimeoutError: sleep: no answer within 50 ms (timeout_ms)"
    assert sandbox.run(code, replay=outcome.calls).value == outcome.value


def test_the_number_of_calls_is_limited() -> None:
    sandbox = Sandbox(functions=HostFunctions({"add": add}, max_calls=3))
    code = "n = 0\ntry:\n    while True: n = add(n)\nexcept RuntimeError as error:\n    found = str(error)\n[n, found]"
    outcome = sandbox.run(code)
    assert value(outcome) == [3, "add: more than 3 calls of the host's functions (max_calls)"]
    assert len(outcome.calls) == 3
    assert sandbox.run(code, replay=outcome.calls).value == outcome.value
    with sandbox.session() as session:  # each step has the whole limits
        assert [session.run("add(1) + add(1) + add(1)").ok for _ in range(3)] == [True] * 3


def test_the_size_of_what_crosses_is_limited() -> None:
    sandbox = Sandbox(functions={"f": lambda x, n=0: "x" * n})
    small = Sandbox(functions=HostFunctions(dict(sandbox.functions or {}), max_kb=10))
    assert small.run("f('x' * 5_000, 4_000)").ok
    outcome = small.run("f('x' * 11_000)")
    assert str(outcome.fault) == "RuntimeError: f: 11010 bytes of arguments, of 10 KB 10240 bytes are left (max_kb)"
    assert outcome.calls == ()
    outcome = small.run("f(1, 11_000)")
    assert str(outcome.fault) == "RuntimeError: f: 11002 bytes of results, of 10 KB 10223 bytes are left (max_kb)"
    assert small.run("for _ in range(3): f('x' * 5_000)").fault is not None


# The record, and the same again.


def test_the_record() -> None:
    outcome = granting(add, fail).run("add(1, y=2)\ntry: fail('KeyError', 'é')\nexcept KeyError: pass\nadd(x=4)")
    assert outcome.calls == (
        HostCall("add", '[[1], {"y": 2}]', "3"),
        HostCall("fail", '[["KeyError", "\\u00e9"], {}]', None, "KeyError: é"),
        HostCall("add", '[[], {"x": 4}]', "5"),
    )
    assert not outcome.reproducible
    assert granting(add).run("1").calls == ()
    assert granting(add).run("1").reproducible


PROGRAM = """
import random, time
found = []
for n in range(20):
    try:
        found.append(roll(n) if n % 3 else add(n, y=random.randint(0, 9)))
    except ValueError as error:
        print('no', error)
print(time.time(), id(object()))
found
"""


@pytest.mark.parametrize("env", [None, "start = roll(100)\nprint('env')"])
@pytest.mark.parametrize("isolation", ["auto", "fresh"])
def test_a_replay_is_the_same_run(env: str | None, isolation: str) -> None:
    rolls = iter(range(10**6))

    def roll(n: int) -> Any:
        if n % 5 == 4:
            raise ValueError(n)
        return [next(rolls), "x" * n]

    sandbox = granting(add, roll, limits=METERED, isolation=isolation)
    live = sandbox.run(PROGRAM, env)
    assert live.ok, live.fault
    assert not live.reproducible
    count = next(rolls)
    for _ in range(3):
        again = sandbox.run(PROGRAM, env, replay=live.calls)
        assert again.reproducible
        for name in ("stdout", "stderr", "value", "value_repr", "fault", "fuel", "truncated", "calls"):
            assert getattr(again, name) == getattr(live, name), name
    assert next(rolls) == count + 1  # no function ran
    assert sandbox.run(PROGRAM, env).value != live.value


def test_a_refused_result_is_refused_in_the_same_words_when_repeated() -> None:
    texts = iter(["x" * 960, "y" * 900])
    sandbox = Sandbox(functions=HostFunctions({"f": lambda: next(texts)}, max_kb=1))
    code = "f()\ntry: f()\nexcept RuntimeError as error: said = str(error)\nsaid"
    live = sandbox.run(code)
    assert "max_kb" in live.value
    assert sandbox.run(code, replay=live.calls).value == live.value


def test_a_replay_in_every_way_to_run() -> None:
    sandbox = granting(add, limits=METERED)
    env = "def f(x): return add(x)"
    live = sandbox.run("f(2)", env)
    assert sandbox.call("f", {"x": 2}, env=env, replay=live.calls).value == 3
    assert sandbox.start("f(2)", env, replay=live.calls).result(60).value == 3
    with sandbox.session() as session:
        session.run(env)
        assert session.run("f(2)", replay=live.calls).reproducible
        assert session.call("f", {"x": 2}, replay=live.calls).reproducible

    async def main() -> None:
        assert (await sandbox.arun("f(2)", env, replay=live.calls)).reproducible
        assert (await sandbox.acall("f", {"x": 2}, env, replay=live.calls)).reproducible

    asyncio.run(main())
    assert pickle.loads(pickle.dumps(live)) == live


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("add(2)", "call 0 is add [[2], {}], but the record has add [[1], {}]"),
        ("fail('a', 'b')", 'call 0 is fail [["a", "b"], {}], but the record has add [[1], {}]'),
        ("add(1)\nadd(1)", "call 1 is add [[1], {}], but the record ends before it"),
        ("try:\n    add(2)\nexcept BaseException: 5", "call 0 is add [[2], {}], but the record has add [[1], {}]"),
    ],
)
def test_a_program_that_asks_something_else_is_stopped(code: str, message: str) -> None:
    sandbox = granting(add, fail)
    outcome = sandbox.run(code, replay=sandbox.run("add(1)").calls)
    assert outcome.fault is not None
    assert (outcome.fault.kind, outcome.fault.message) == ("replay", message)
    with sandbox.session() as session:
        session.run(code, replay=[HostCall("add", "[[1], {}]", "2")])
        assert session.ended == "replay"


def test_an_environment_that_calls_is_not_kept() -> None:
    count = iter(range(100))
    sandbox = Sandbox(functions={"tick": lambda: next(count)})
    assert [sandbox.run("x", "x = tick()").value for _ in range(4)] == [0, 1, 2, 3]
    assert [len(sandbox.run("x", "x = tick()").calls) for _ in range(2)] == [1, 1]


def test_states_are_kept_by_what_is_granted() -> None:
    env = "names = sorted(n for n in globals() if n in ('add', 'later'))"
    for _ in range(3):
        assert value(granting(add).run("names", env)) == ["add"]
        assert value(granting(add, later).run("names", env)) == ["add", "later"]
        assert value(Sandbox().run("names", env)) == []


def test_kept_outcomes_are_not_used() -> None:
    count = iter(range(100))
    sandbox = Sandbox(functions={"tick": lambda: next(count)}, cache_mb=1)
    assert [sandbox.run("tick()").value for _ in range(3)] == [0, 1, 2]
    assert [outcome.value for outcome in sandbox.run_batch(["tick()"])] == [3]
    assert asyncio.run(sandbox.arun("tick()")).value == 4


def test_calls_that_no_thread_took_are_forgotten() -> None:
    free = threading.Event()
    waiting = HostFunctions({"wait": free.wait}, timeout_ms=10)
    try:
        tried = "for _ in range({}):\n    try: wait(60)\n    except TimeoutError: pass"
        assert Sandbox(functions=waiting, limits=Limits(timeout_ms=30_000)).run(tried.format(80)).ok  # all threads

        def never() -> None:
            raise AssertionError

        gone = weakref.ref(never)
        sandbox = Sandbox(functions=HostFunctions({"never": never}, timeout_ms=10))
        assert "no answer within 10 ms" in str(sandbox.run("never()").fault)
        del sandbox, never
        deadline = time.monotonic() + 2
        while gone() is not None and time.monotonic() < deadline:
            Sandbox().run("1")  # what was dropped without the GIL goes now
            gc.collect()
        assert gone() is None
    finally:
        free.set()


# Sessions.


def test_a_session_s_own_function_cannot_use_it() -> None:
    sessions: list[Session] = []

    def again(how: str) -> Any:
        session = sessions[0]
        if how == "run":
            return session.run("1").value
        return getattr(session, how)()

    sandbox = granting(again)
    sessions.append(sandbox.session())
    for how in ("run", "save", "close", "rebuild"):
        outcome = sessions[0].run(f"again({how!r})")
        assert outcome.fault is not None
        assert outcome.fault.message.startswith("RuntimeError: SandboxError: this session is in the midst of a step")
    sessions.append(sessions.pop().fork(1)[0])
    assert sessions[0].run("1").ok


def test_a_saved_state_wants_the_same_functions() -> None:
    sandbox = granting(add)
    with sandbox.session() as session:
        session.run("x = add(1)")
        state = session.save()
    with granting(add).restore(state) as session:
        assert value(session.run("add(x)")) == 3
    with pytest.raises(InputError, match=r"saved with the host functions \['add'\], not \[\]"):
        Sandbox().restore(state)
    with granting(fail).session() as other, pytest.raises(InputError, match=r"not \['fail'\]"):
        other.restore(state)


# Programs in programs.


def test_a_function_can_run_programs() -> None:
    def inner(depth: int) -> Any:
        return value(sandbox.run(f"inner({depth - 1})" if depth else "'deep'"))

    sandbox = granting(inner)
    assert value(sandbox.run("inner(5)")) == "deep"
    assert [value(outcome) for outcome in sandbox.run_batch(["inner(2)"] * 20)] == ["deep"] * 20


def test_async_functions_can_run_programs() -> None:
    async def inner(depth: int) -> Any:
        return value(await sandbox.arun(f"inner({depth - 1})" if depth else "'deep'"))

    sandbox = granting(inner)

    async def main() -> None:
        # More outer programs than may be under way: they must not keep the inner ones from running.
        outcomes = await asyncio.gather(*(sandbox.arun("inner(2)") for _ in range(20 * (os.cpu_count() or 1))))
        assert {value(outcome) for outcome in outcomes} == {"deep"}

    asyncio.run(main())


# Processes.


def test_pickling() -> None:
    sandbox = pickle.loads(pickle.dumps(Sandbox(functions=HostFunctions({"add": add}, max_calls=7), seed=3)))
    assert value(sandbox.run("add(1)")) == 2
    assert (sandbox.functions.max_calls, sandbox.seed) == (7, 3)
    with pytest.raises(TypeError, match="the host function 'f' cannot be pickled"):
        pickle.dumps(Sandbox(functions={"f": lambda: 1}))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_threads_of_its_own() -> None:
    sandbox = granting(add, later)
    assert value(sandbox.run("add(1) + later(1)")) == 4
    child = os.fork()
    if child == 0:
        os._exit(0 if sandbox.run("add(1) + later(2)").value == 6 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)


FORKS = """
import os, mentor

def fork():
    child = os.fork()
    if child == 0:
        return 0  # comes back in the child, where nothing waits: the child ends
    return os.waitpid(child, 0)[1]

sandbox = mentor.Sandbox(functions={"fork": fork})
print([sandbox.run("fork()").value for _ in range(5)])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_function_can_fork() -> None:
    """In a process that runs nothing else: what other threads of Python hold at a fork is not the sandbox's matter."""
    done = python(FORKS)
    assert (done.stdout, done.stderr) == ("[0, 0, 0, 0, 0]\n", ""), done


@pytest.mark.parametrize("function", ["time.sleep", "asyncio.sleep", "threading.Event().wait"])
def test_a_slow_function_does_not_keep_the_process(function: str) -> None:
    limits = "mentor.Limits(timeout_ms=100)"
    result = python(
        "import asyncio, mentor, threading, time\n"
        f"sandbox = mentor.Sandbox(functions={{'f': {function}}}, limits={limits})\n"
        "print(sandbox.run('f(60)').fault.kind)\nbegan = time.monotonic()\n"
        "import atexit\natexit.register(lambda: print(time.monotonic() - began < 5))\n"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "timeout\nTrue\n", "")


def test_a_process_can_end_amid_a_call() -> None:
    script = (
        "import mentor, time\nsandbox = mentor.Sandbox(functions={'f': time.sleep})\n"
        "run = sandbox.start('while True: f(0.001)')\nslow = sandbox.start('f(60)')\ntime.sleep(0.3)\nprint('end')"
    )
    for _ in range(3):
        result = python(script)
        assert (result.returncode, result.stdout, result.stderr) == (0, "end\n", "")


def test_ctrl_c_stops_a_run_whose_function_sleeps() -> None:
    result = python(
        "import mentor, signal, threading, time, os\n"
        "sandbox = mentor.Sandbox(functions={'f': time.sleep})\nsandbox.run('f(0)')\n"
        "threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\nbegan = time.monotonic()\n"
        "try: sandbox.run('f(60)')\nexcept KeyboardInterrupt: print(time.monotonic() - began < 3)\n"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "True\n", "")


def test_slow_functions_do_not_block_others() -> None:
    sandbox = granting(time.sleep, add)
    slow = [sandbox.start("sleep(1)") for _ in range(8)]
    time.sleep(0.05)
    began = time.monotonic()
    assert value(sandbox.run("add(1)")) == 2
    assert time.monotonic() - began < 0.8
    assert [value(run.result(60)) for run in slow] == [None] * 8


# Mistakes of the caller.


@pytest.mark.parametrize(
    ("functions", "kind", "message"),
    [
        ([add], TypeError, "functions must be a mapping of names to callables, not list"),
        ({"add": 5}, TypeError, r"functions\['add'\] must be callable, not int"),
        ({5: add}, TypeError, "names of functions must be str, not int"),
        (
            {"not a name": add},
            InputError,
            "a function cannot be called 'not a name': a name must be a Python identifier",
        ),
        ({"for": add}, InputError, "a function cannot be called 'for'"),
        ({"__builtins__": add}, InputError, "a function cannot be called '__builtins__'"),
        ({"ﬁ": add}, InputError, "a function cannot be called 'ﬁ'"),
        ({"x" * 300: add}, InputError, "at most 200 bytes"),
    ],
)
def test_wrong_functions_are_refused(functions: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        Sandbox(functions=functions)


@pytest.mark.parametrize("name", ["timeout_ms", "max_calls", "max_kb"])
def test_wrong_limits_are_refused(name: str) -> None:
    for wrong in (0, -1, 2**40):
        with pytest.raises(InputError, match=f"{name} must be from 1 to"):
            HostFunctions({"add": add}, **{name: wrong})
    for other in (True, 1.5, "1", None):
        with pytest.raises(TypeError, match=f"{name} must be an int"):
            HostFunctions({"add": add}, **{name: other})  # type: ignore[arg-type]


def test_wrong_replays_are_refused() -> None:
    calls = granting(add).run("add(1)").calls
    with pytest.raises(InputError, match="replay: this sandbox grants no functions"):
        Sandbox().run("1", replay=calls)
    for wrong in (5, "calls", calls[0]):
        with pytest.raises(TypeError, match="replay must be a list of HostCall"):
            granting(add).run("1", replay=wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"replay\[0\] must be a HostCall, not str"):
        granting(add).run("1", replay=["x"])  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"replay\[0\] has neither a result nor an error"):
        granting(add).run("1", replay=[HostCall("add", "[[1], {}]")])
    assert Sandbox().run("1", replay=()).ok


def test_nothing_to_call_is_no_grant() -> None:
    assert Sandbox(functions={}).functions is None
    assert "No module named 'host'" in str(Sandbox(functions={}).run("import host").fault)
    tools = HostFunctions({"add": add})
    assert (list(tools), len(tools), tools["add"]) == (["add"], 1, add)
    assert repr(tools) == "HostFunctions(add; timeout_ms=10000, max_calls=1000, max_kb=1024)"
