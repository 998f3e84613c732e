"""Attacks through functions of the host: what a program passes, when it calls, and what it does with the way there."""

from __future__ import annotations

import json
import threading
import time
from typing import Any
from unittest.mock import ANY

import pytest
from attack import MEMORY, USUAL, Attack, assert_clean, each, end, endure, well_formed

from mentor import HostFunctions, Limits, Outcome, Sandbox

BRIEF = Limits(timeout_ms=200, memory_mb=96, output_kb=64)
CALL = "from wit_world.imports import host\ndef call(name, text): return host.call(name, text)\n"


def echo(*args: Any, **kwargs: Any) -> Any:
    return kwargs if kwargs else args[0] if args else None


def big(size: int) -> str:
    return "x" * min(size, 20_000_000)


def nest(code: str) -> Any:
    return Sandbox(limits=USUAL, functions=FUNCTIONS).run(code).value


class Liar(Exception):
    """An error whose own methods fail."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


def lie() -> None:
    raise Liar(1, 2)


def shout() -> None:
    raise ValueError("x" * 10_000_000)


def surrogate() -> str:
    return "\ud800"


def junk() -> object:
    return object()


def deep() -> Any:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


FUNCTIONS = HostFunctions(
    {f.__name__: f for f in (echo, big, nest, lie, shout, surrogate, junk, deep)} | {"sleep": time.sleep},
    max_calls=1_000,
    max_kb=64,
)


def calls(name: str, tries: str, code: str, *ends: str, value: object = None, out: str | None = "") -> Attack:
    limits = BRIEF if "timeout" in ends else USUAL
    return Attack(
        name=name, tries=tries, code=code, ends=ends or ("ok",), prints=out, value=value, limits=limits,
        functions=FUNCTIONS,
    )  # fmt: skip


ARGUMENTS = [
    calls("huge", "ten megabytes in one argument", "echo('x' * 10_000_000)", "RuntimeError"),
    calls("huge-many", "a thousand arguments of a kilobyte", "for _ in range(1000): echo('x' * 1000)", "RuntimeError"),
    calls("huge-caught", "goes on when it is refused", "n = 0\nfor _ in range(50):\n    try: echo('x' * 100_000)\n    except RuntimeError: n += 1\nn", value=50),
    calls("huge-name", "a name of ten megabytes", CALL + "call('x' * 10_000_000, '[[], {}]')[0]", value=False),
    calls("huge-number", "a number of 5,000 digits, which the host does not read", "echo(10 ** 5000)", "TypeError", "ValueError"),
    calls("huge-result", "a result of twenty megabytes", "big(20_000_000)", "RuntimeError"),
    calls("huge-result-many", "results until nothing is left", "while True: big(10_000)", "RuntimeError"),
    calls("huge-error", "an error of ten megabytes", "shout()", "ValueError"),
    calls("surrogate", "half a character", "echo('\\ud800') == '\\ud800'", value=True),
    calls("surrogate-key", "half a character as a name", "echo(**{'\\ud800': 1}) == {'\\ud800': 1}", value=True),
    calls("surrogate-result", "half a character comes back", "surrogate() == '\\ud800'", value=True),
    calls("surrogate-name", "half a character as the function's name", CALL + "call('\\ud800', '[[], {}]')", "ok", "UnicodeEncodeError", "trap", value=ANY),
    calls("nul", "a NUL in all places", CALL + "[call('\\0', '[[], {}]')[0], echo('\\0'), call('echo', '\\0')[0]]", value=[False, "\0", False]),
    calls("deep", "lists in lists", "x = []\nfor _ in range(100_000): x = [x]\necho(x)", "TypeError", "RecursionError"),
    calls("deep-text", "lists in lists, as text", CALL + "call('echo', '[' * 20_000)[0]", value=False),
    calls("deep-pairs", "lists in lists that end", CALL + "call('echo', '[[' + '[' * 20_000 + ']' * 20_000 + '], {}]')[0]", value=False),
    calls("deep-result", "lists in lists come back", "deep()", "TypeError"),
    calls("circle", "a list in itself", "x = []\nx.append(x)\necho(x)", "TypeError"),
    calls("nan", "no number", "echo(float('nan'))", "TypeError"),
    calls("nan-text", "no number, as text", CALL + "call('echo', '[[NaN], {}]')[1]", "ok", value=ANY),
    calls("objects", "objects of its own", "class A:\n    def __repr__(self): return '[1]'\necho(A())", "TypeError"),
    calls("lying-list", "a list whose methods lie", "class L(list):\n    def __iter__(self): return iter([1, 2, 3])\n    def __len__(self): return 10 ** 9\necho(L([5]))", "ok", "TypeError", "MemoryError", "ValueError", value=ANY),
    calls("lying-dict", "a dictionary whose items raise", "class D(dict):\n    def items(self): raise SystemExit(3)\necho(D(a=1))", "SystemExit"),
    calls("lying-str", "a text whose methods lie", "class S(str):\n    def encode(self, *a): return b'\\xff'\n    def __str__(self): return '[['\necho(S('x'))", value="x"),
    calls("keywords", "keyword arguments named like parameters", "echo(**{'self': 1, 'name': 2, 'args': 3, '__class__': 4, '': 5})", value={"self": 1, "name": 2, "args": 3, "__class__": 4, "": 5}),
    calls("junk-result", "an object of the host", "junk()", "TypeError"),
    calls("liar", "an error of the host that cannot be shown", "lie()", "RuntimeError"),
] + [
    calls(f"text-{number}", f"arguments that are {text[:30]!r}", CALL + f"call('echo', {text!r})", value=[False, "TypeError: echo: the arguments are no JSON of a list and an object"])
    for number, text in enumerate(["", "null", "[]", "[1, 2]", "[[], []]", "[{}, {}]", "[[], {}, 3]", "{}", "[[], {}", "[[], {}]x", "\x00", '"[[], {}]"', "[[], null]", "[[1], {2: 3}]"])
]  # fmt: skip

NAMES = [
    calls(f"name-{number}", f"calls {name!r}", CALL + f"call({name!r}, '[[], {{}}]')[1].split(':')[0]", value="NameError")
    for number, name in enumerate(["", "eval", "__import__", "os.system", "echo ", "ECHO", "echo\n", "é", "__class__", "echo\0", "../echo", "run", "call"])
]  # fmt: skip

MOMENTS = [
    calls("destructor", "calls from a destructor", "class A:\n    def __del__(self): found.append(echo(5))\nfound = []\nA()\nfound", value=[5]),
    calls("destructor-fails", "a call from a destructor that fails", "class A:\n    def __del__(self): lie()\nA()\n5", value=5),
    calls("destructor-cycle", "calls while garbage is collected", "import gc\nfound = []\nclass A:\n    def __del__(self): found.append(echo(1))\nfor _ in range(50):\n    a = A()\n    a.a = a\ndel a\ngc.collect()\nlen(found)", value=50),
    calls("repr", "calls while its value is shown", "class A:\n    def __repr__(self): return str(echo(5))\nA()", value=None),
    calls("repr-of-error", "calls while its error is shown", "class E(Exception):\n    def __str__(self): return str(echo(5))\nraise E", "E"),
    calls("handler", "calls while it handles a call's error", "try: lie()\nexcept RuntimeError:\n    try: lie()\n    except RuntimeError: found = echo(5)\nfound", value=5),
    calls("finally", "calls when it is stopped", "try:\n    sleep(60)\nfinally: echo(5)", "timeout"),
    calls("catches-stop", "catches what stops it", "while True:\n    try: sleep(60)\n    except BaseException: pass", "timeout"),
    calls("generator", "calls when a generator is closed", "def g():\n    try: yield 1\n    finally: found.append(echo(5))\nfound = []\nnext(g())\nfound", value=[5]),
    calls("trace", "calls at every line", "import sys\ndef trace(*a):\n    sys.settrace(None)\n    found.append(echo(5))\nfound = []\nsys.settrace(trace)\n(lambda: 1)()\nfound", value=[5]),
    calls("hook", "calls from the hook of unraisable errors", "import sys\nfound = []\nsys.unraisablehook = lambda e: found.append(echo(5))\nclass A:\n    def __del__(self): 1 / 0\nA()\nfound", value=[5]),
    calls("atexit", "calls at the interpreter's end", "import atexit\natexit.register(echo, 5)\nraise SystemExit", value=None),
    calls("atexit-run", "runs what is registered for the end", "import atexit\natexit.register(lambda: found.append(echo(5)))\nfound = []\natexit._run_exitfuncs()\nfound", value=[5]),
    calls("exit", "ends its process between calls", "import os\necho(1)\nos._exit(0)", "trap"),
    calls("abort", "aborts between calls", "import os\necho(1)\nos.abort()", "trap"),
    calls("recursion", "calls at the end of the stack", "def f(n):\n    try: return f(n + 1)\n    except RecursionError: return echo(5)\nf(0)", "ok", "RecursionError", "RuntimeError", value=5),
    calls("async", "calls from asyncio", "import asyncio\nasync def f(): return echo(5)\nasync def g(): return await asyncio.gather(*(f() for _ in range(9)))\nasyncio.run(g())", value=[5] * 9),
    calls("memory", "calls when its memory is full", "x = []\ntry:\n    while True: x.append(bytes(1 << 16))\nexcept MemoryError: pass\ntry: echo('x' * 1000)\nexcept MemoryError: pass\ndel x\necho(5)", "ok", "memory_limit", "trap", value=5),
    calls("nested", "a program in a program", "nest('nest(\"echo(5)\")')", value=5),
    calls("nested-deep", "programs in programs without end", "def f(n): return nest(f'nest({n!r} * 2)')\nnest('x = \"nest(x)\"\\nnest(\"nest(nest)\")')", value=None),
]  # fmt: skip

NUMBERS = [
    calls("hundred-thousand", "a hundred thousand calls", "n = 0\nfor _ in range(100_000):\n    try: echo(n)\n    except RuntimeError: n += 1\nn", "ok", "timeout", value=99_000),
    calls("thousand", "as many calls as it may", "for n in range(1_000): echo(n)\nn", value=999),
    calls("one-more", "one call more than it may", "for n in range(1_001): echo(n)", "RuntimeError"),
    calls("sleep", "a function that never returns", "sleep(10 ** 6)", "timeout"),
    calls("sleep-many", "short sleeps without end", "while True: sleep(0.01)", "timeout"),
    calls("sleep-wrong", "a time that is none", "sleep(-1)", "ValueError"),
    calls("sleep-endless", "a time without end", "sleep(1e300)", "OverflowError"),
]  # fmt: skip

WAYS = [
    calls("replaced-call", "replaces the way to the host", "from wit_world.imports import host\nhost.call = lambda n, a: (True, '7')\necho(1)", value=7),
    calls("replaced-codec", "replaces what writes arguments", "import functions\nfunctions._encode = lambda x: 'junk'\necho(1)", "TypeError"),
    calls("replaced-reader", "replaces what reads results", "import functions\nfunctions._decode = eval\necho('__import__(\"os\").getcwd()')", "ok", value='__import__("os").getcwd()'),
    calls("replaced-json", "replaces the module of JSON", "import json\njson.JSONEncoder.encode = json.JSONDecoder.decode = None\necho([1])", value=[1]),
    calls("replaced-errors", "replaces the classes of errors", "import functions\nfunctions._ERRORS.clear()\ntry: shout()\nexcept RuntimeError: 5", value=None),
    calls("replaced-builtins", "replaces builtins", "import builtins\nbuiltins.TypeError = builtins.RecursionError = 5\ntry: echo({1})\nexcept Exception as e: found = type(e).__name__\nfound", value="TypeError"),
    calls("deleted", "deletes its functions", "del echo\nfrom host import echo\necho(5)", value=5),
    calls("deleted-module", "deletes the module", "import sys\ndel sys.modules['host']\ntry: import host\nexcept ModuleNotFoundError: found = echo(5)\nfound", value=5),
    calls("granted-again", "grants itself more", "import functions\nfunctions.grant(['eval'], globals())\neval('1')", "NameError"),
    calls("runner", "calls the guest's own entry", "import app\napp.Runner().grant('eval')\nimport __main__\n__main__.eval('1')", "NameError"),
    calls("runner-run", "runs a program in its program", "import app\napp.Runner().run('echo(5)', '').value_json", "ok", value="5", out=None),
    calls("types", "passes wrong types", CALL + "found = []\nfor args in [(1, 2), (None, None), (b'echo', b'[[], {}]'), ([], {}), ('echo', 5)]:\n    try: call(*args)\n    except Exception as e: found.append('error')\nfound", "ok", "trap", value=ANY),
    calls("code", "replaces the function's code", "echo.__code__ = (lambda *a, **k: 5).__code__", "ValueError"),
    calls("closure", "renames the function", "echo.__closure__[0].cell_contents = 'eval'\necho(1)", "NameError"),
]  # fmt: skip

DAMAGE = [
    calls(f"{what}-{at}-{value:x}", f"damages the {what} that it passes: {why}", MEMORY + CALL + f"s = ('echo' if {what == 'name'} else '[[1], {{}}]') + str(len(MORE))[:0]\ns = ''.join([s[:2], s[2:]])\nword(id(s) + {at}, {value})\ncall(*((s, '[[1], {{}}]') if {what == 'name'} else ('echo', s)))\n5".replace("len(MORE)", "0"), "ok", "trap", "MemoryError", "memory_limit", "SystemError", "UnicodeDecodeError", "TypeError", "ValueError", value=5)
    for what in ("name", "arguments")
    for at, value, why in [
        (8, 0x7FFFFFFF, "its length is beyond the memory"),
        (8, 0xFFFFFFFF, "its length is negative"),
        (8, 0, "its length is nothing"),
        (8, 4_000_000, "its length covers other objects"),
        (16, 0, "its state is another"),
        (16, 0xFFFFFFFF, "its state is nonsense"),
        (20, 0xFFFFFFFF, "its text is no UTF-8"),
        (4, 0, "it has no class"),
    ]
]  # fmt: skip


@each(ARGUMENTS)
def test_arguments_are_data(attack: Attack) -> None:
    bounded(endure(attack))


@each(NAMES)
def test_only_what_is_granted_is_called(attack: Attack) -> None:
    assert endure(attack).calls == ()


@each(MOMENTS)
def test_calls_at_bad_moments(attack: Attack) -> None:
    bounded(endure(attack))


@each(NUMBERS)
def test_floods_of_calls_end(attack: Attack) -> None:
    began = time.monotonic()
    bounded(endure(attack))
    assert time.monotonic() - began < 30


@each(WAYS)
def test_who_breaks_the_way_to_the_host_breaks_his_own(attack: Attack) -> None:
    bounded(endure(attack))


@each(DAMAGE)
def test_damaged_arguments_break_the_instance_alone(attack: Attack) -> None:
    bounded(endure(attack))


def bounded(outcome: Outcome) -> None:
    """The record is as small as the grant says, and what it holds is text of granted functions."""
    assert len(outcome.calls) <= FUNCTIONS.max_calls
    size = sum(len((c.name + c.arguments + (c.result or c.error or "")).encode()) for c in outcome.calls)
    assert size <= FUNCTIONS.max_kb * 1024 + 2_200 * len(outcome.calls)
    assert {call.name for call in outcome.calls} <= set(FUNCTIONS)
    for call in outcome.calls:
        assert (call.result is None) != (call.error is None)
        assert isinstance(call.args, list)
        assert isinstance(call.kwargs, dict)
        if call.result is not None:
            json.loads(call.result)


# Hostile or broken functions of the host's own.


def test_a_late_answer_goes_to_nobody() -> None:
    sandbox = Sandbox(limits=BRIEF, functions={"late": lambda: time.sleep(0.5) or "late", "echo": echo})
    for _ in range(3):
        assert end(sandbox.run("late()")) == "timeout"
        assert sandbox.run("echo(5)").value == 5
    time.sleep(0.6)
    assert_clean(sandbox)


def test_answers_that_come_together_go_where_they_belong() -> None:
    gate = threading.Barrier(8, timeout=20)

    def meet(n: int) -> int:
        gate.wait()
        return n

    runs = [Sandbox(functions={"meet": meet}).start(f"[meet({n}), meet({n})]") for n in range(8)]
    assert [run.result(60).value for run in runs] == [[n, n] for n in range(8)]


@pytest.mark.parametrize("code", ["1", "echo(1)", "sleep(0.01)", "sleep(60)", "print('x')\necho('y' * 9000)", "1 / 0"])
def test_cancelled_at_any_moment(code: str) -> None:
    sandbox = Sandbox(limits=USUAL, functions=FUNCTIONS)
    for number in range(40):
        run = sandbox.start(f"while True:\n    {code.splitlines()[-1]}\n" if number % 2 else code)
        time.sleep(0.0007 * (number % 10))
        run.cancel()
        outcome = run.result(30)
        well_formed_or_cancelled(outcome)
    assert_clean(Sandbox(limits=USUAL))


def well_formed_or_cancelled(outcome: Outcome) -> None:
    if end(outcome) == "cancelled":
        assert not outcome.reproducible
    else:
        well_formed(outcome, USUAL)


def test_what_a_session_called_is_not_in_its_next_step() -> None:
    with Sandbox(limits=USUAL, functions=FUNCTIONS).session() as session:
        assert len(session.run("[echo(n) for n in range(1_000)]").calls) == 1_000
        assert session.run("5").calls == ()
        assert session.run("5").reproducible
        assert len(session.run("[echo(n) for n in range(1_000)]").calls) == 1_000
