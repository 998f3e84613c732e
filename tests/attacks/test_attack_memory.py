"""Attacks on other instances' memory: secrets that one run leaves, and scans of the whole linear memory for them.

A forged bytearray covers all of the guest's memory. A secret is found by a short prefix and the checksum of what follows,
so that the scan itself does not hold it.
"""

from __future__ import annotations

import hashlib
import re

import pytest
from attack import MEMORY, USUAL, Attack, assert_clean, each, end, endure, memory_size

from mentor import Limits, Sandbox

SECRET = "qzjw" + hashlib.sha256(b"of one run").hexdigest()
CHECK = hashlib.sha256(SECRET.encode()).hexdigest()
SCAN = (
    MEMORY
    + f"""
import hashlib
def scan(start, size):
    memory, found, at = view(start, size), 0, -1
    while (at := memory.find(b'qzjw', at + 1)) >= 0:
        part = memory[at:at + {len(SECRET)}]
        found += hashlib.sha256(part).hexdigest() == '{CHECK}'
        wide = memory[at:at + 1]
    return found
scan(1, SIZE - 1)
"""
)

#: Ways to leave a secret in memory; `SECRET` stands for a string literal.
HIDEOUTS = {
    "source": "SECRET\n1",
    "freed-string": "s = ''.join(chr(ord(c)) for c in SECRET)\ndel s\n1",
    "freed-heap": "x = [bytearray(SECRET.encode()) * 50 for _ in range(2000)]\ndel x\n1",
    "kept-heap": "import builtins\nbuiltins.x = [SECRET + str(i) for i in range(20_000)]\n1",
    "interned": "import sys\nsys.x = sys.intern(SECRET + '_')\n1",
    "attribute-name": "class A: pass\na = A()\nsetattr(a, SECRET, 1)\ngetattr(a, SECRET)",
    "type-cache": "class A: pass\nfor i in range(9): setattr(A, SECRET, i); getattr(A, SECRET)\n1",
    "type-name": "type(SECRET, (dict,), {})\n1",
    "module-name": "import sys, types\nsys.modules[SECRET] = types.ModuleType(SECRET)\n1",
    "failed-import": "try: __import__(SECRET)\nexcept ImportError: pass\n1",
    "regex-cache": "import re\nre.match(SECRET, SECRET) is None or 1",
    "dictionary-key": "d = {SECRET + str(i): i for i in range(500)}\nd.clear()\n1",
    "environment": "import os\nos.environ[SECRET] = SECRET\nos.putenv('x', SECRET)\n1",
    "output": "print(SECRET)\n1",
    "unflushed-output": "import sys, io\nio.TextIOWrapper(io.BufferedWriter(sys.stdout.buffer.raw)).write(SECRET)\n1",
    "traceback": "def f(s): raise KeyError(s)\nf(SECRET)",
    "deep-stack": "def f(n, s): return s if n == 0 else f(n - 1, s[:])\nlen(f(300, SECRET)) > 0 and 1",
    "c-stack": "x = SECRET\nfor _ in range(200): x = [x]\nlen(repr(x)) > 1 and 1",
    "generator-frame": "import builtins\ndef g(s): yield s; yield 1\nbuiltins.g = g(SECRET)\nnext(builtins.g)\n1",
    "compressor": "import zlib\nc = zlib.compressobj()\nc.compress(SECRET.encode() * 100)\n1",
    "hash-state": "import hashlib\nh = hashlib.sha256(SECRET.encode())\n1",
    "database": "import sqlite3\nc = sqlite3.connect(':memory:')\nc.execute('create table t(x)')\nc.execute('insert into t values (?)', [SECRET])\n1",
    "code-constants": "f = eval('lambda: ' + repr(SECRET))\ndel f\n1",
    "syntax-error": "eval(SECRET + ' +')",
    "large-block": "b = bytearray(SECRET.encode() * 20_000)\ndel b\n1",
    "grown-memory": "b = [bytearray(SECRET.encode()) * 10_000 for _ in range(40)]\n1",
    "random-state": "import random\nrandom.seed(SECRET)\n1",
    "exit": "print(SECRET)\nimport os\nos._exit(1)",
    "timeout": "x = [SECRET * 10] * 10\ny = [SECRET + str(i) for i in range(999)]\nwhile True: pass",
    "stray-write": MEMORY + "m = view(16, 900)\nm[:len(SECRET)] = SECRET.encode()\n1",
    "holes": MEMORY
    + "for at in range(1 << 20, SIZE - 100, 1 << 20):\n    view(at, 80)[:len(SECRET)] = SECRET.encode()\n1",
    "last-page": MEMORY + "view(SIZE - 80, 80)[:len(SECRET)] = SECRET.encode()\n1",
    "stack-area": MEMORY + "for at in range(4096, 900_000, 4096): view(at, 80)[:len(SECRET)] = SECRET.encode()\n1",
}


def sized(code: str) -> str:
    return code.replace("SIZE", str(memory_size()))


def hiding(place: str) -> str:
    return re.sub(r"\bSECRET\b", repr(SECRET), sized(HIDEOUTS[place]))


@pytest.mark.parametrize("place", HIDEOUTS)
def test_no_run_finds_the_secret_of_an_earlier_one(place: str) -> None:
    sandbox = Sandbox(limits=Limits(timeout_ms=150 if place == "timeout" else 3000, memory_mb=96, output_kb=64))
    sandbox.run(hiding(place))
    sandbox = Sandbox(limits=USUAL)
    for outcome in (sandbox.run(sized(SCAN)), *sandbox.run_batch([sized(SCAN)] * 3)):
        assert (end(outcome), outcome.value) == ("ok", 0)
    assert_clean(sandbox)


@pytest.mark.parametrize("place", ["source", "interned", "kept-heap", "attribute-name", "output", "database"])
def test_the_scan_finds_what_is_there(place: str) -> None:
    with Sandbox(limits=USUAL).session() as session:
        session.run(hiding(place))
        if place in ("kept-heap",):  # lies where the memory has grown
            scan = sized(SCAN).replace(f"scan(1, {memory_size() - 1})", "scan(1, id(x[-1]))")
        else:
            scan = sized(SCAN)
        outcome = session.run(scan)
    assert outcome.value is not None, outcome
    assert outcome.value > 0


def test_no_session_finds_the_secret_of_another() -> None:
    sandbox = Sandbox(limits=USUAL)
    with sandbox.session() as one, sandbox.session() as other:
        for place in ("source", "interned", "database", "environment", "large-block"):
            one.run(hiding(place))
        assert other.run(sized(SCAN)).value == 0
        one.close()
        with sandbox.session() as later:
            assert later.run(sized(SCAN)).value == 0


def test_arguments_of_calls_are_not_left() -> None:
    sandbox = Sandbox(limits=USUAL)
    for _ in range(5):
        with sandbox.session() as session:
            session.run("def f(s): return len(s)")
            assert session.call("f", f'{{"s": "{SECRET}"}}').value == len(SECRET)
            assert session.call(SECRET, "{}").fault is not None
        sandbox.run("len(S)", env=f"S = {SECRET!r}")
        sandbox.run("1", SECRET)
        sandbox.run("1 / 0", filename=SECRET)
        assert sandbox.run(sized(SCAN)).value == 0


def test_the_host_is_not_in_the_guest() -> None:
    secret = SECRET[::-1][::-1]  # lives in this process
    assert secret
    assert Sandbox(limits=USUAL).run(sized(SCAN)).value == 0


OUTSIDE = [
    Attack(
        name=f"beyond-{address:#x}",
        tries="reads behind the end of linear memory",
        code=f"{MEMORY}\nprint('reading')\nview({address}, 1)[0]",
        ends=("trap",),
        prints="reading\n",
    )
    for address in (1 << 27, 1 << 28, 1 << 30, 1 << 31, 3 << 30, (1 << 32) - 65536, (1 << 32) - 1)
] + [
    Attack(
        name="write-beyond",
        tries="writes behind the end of linear memory",
        code=f"{MEMORY}\nprint('writing')\nview(1 << 31, 1)[0] = 1",
        ends=("trap",),
        prints="writing\n",
    ),
    Attack(
        name="across-the-end",
        tries="copies a range that begins inside and ends outside",
        code=f"{MEMORY}\nm = view(1 << 20, (1 << 31) - (1 << 21))\nlen(bytes(m))",
        ends=("trap", "memory_limit"),
    ),
    Attack(
        name="wraps-around",
        tries="a length that wraps the address around",
        code=f"{MEMORY}\nm = view(0xFFFFFFF0, 0x7FFFFFFF)\nm[0x20:0x30]",
        ends=("ok", "trap"),
        value=None,
    ),
    Attack(
        name="negative-size",
        tries="a size below zero",
        code=f"{MEMORY}\nm = view(1024, 0xFFFFFFFF)\nprint('x')\nlen(m)",
        ends=("SystemError",),
        prints="x\n",
    ),
    Attack(
        name="print-all-memory",
        tries="sends the whole memory as output",
        code=f"{MEMORY}\nimport sys\nsys.stdout.buffer.write(view(1024, 20 << 20))",
        ends=("output_limit",),
        prints=None,
    ),
]


@each(OUTSIDE)
def test_the_memory_has_an_end(attack: Attack) -> None:
    endure(attack)


@pytest.mark.parametrize("grow", ["b = bytearray(40 << 20)", "b = [bytearray(1 << 20) for _ in range(40)]"])
def test_grown_memory_starts_empty(grow: str) -> None:
    """What lies behind the first size of the memory is zero in each run that grows it, whatever was there before."""
    sandbox = Sandbox(limits=USUAL)
    fill = "import builtins\nbuiltins.keep = [bytearray(b'\\xee') * (1 << 20) for _ in range(40)]\n1"
    look = sized(f"{MEMORY}\n{grow}\nm = view(SIZE, 30 << 20)\nlen(m) - m.count(0) < 100_000 and m.count(238) < 1000")
    for _ in range(3):
        assert sandbox.run(fill).value == 1
        outcome = sandbox.run(look)
        assert (end(outcome), outcome.value) == ("ok", True)
    assert_clean(sandbox)
