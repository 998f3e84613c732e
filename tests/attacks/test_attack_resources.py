"""Attacks on time and memory: loops in C and in Python that only the clock stops, and allocations of every kind."""

from __future__ import annotations

from unittest.mock import ANY

import pytest
from attack import BRIEF, USUAL, Attack, assert_clean, each, end, endure

from mentor import Limits, Sandbox

SMALL = Limits(timeout_ms=5_000, memory_mb=64, output_kb=64)


def loops(name: str, tries: str, code: str, *ends: str, value: object = ANY) -> Attack:
    code = f"print('begin')\n{code}"
    return Attack(
        name=name, tries=tries, code=code, ends=ends or ("timeout",), prints="begin\n", limits=BRIEF, value=value
    )


def fills(name: str, tries: str, code: str, *ends: str, value: object = ANY) -> Attack:
    code = f"print('begin')\n{code}"
    return Attack(
        name=name, tries=tries, code=code, ends=ends or ("memory_limit",), prints="begin\n", limits=SMALL, value=value
    )


LOOPS = [
    loops("loop", "an endless loop", "while True: pass"),
    loops("loop-that-catches", "a loop that catches everything", "while True:\n    try:\n        while True: pass\n    except BaseException: pass"),
    loops("power", "a power with a hundred million digits", "10 ** (10 ** 8)"),
    loops("power-modulo", "a modular power of huge numbers", "pow(3, 2**200_000, 2**200_000 - 1)"),
    loops("factorial", "a factorial", "import math\nmath.factorial(10**7)"),
    loops("int-to-text", "an integer as text", "import sys\nsys.set_int_max_str_digits(0)\nstr(1 << 10_000_000)"),
    loops("text-to-int", "text as an integer", "import sys\nsys.set_int_max_str_digits(0)\nint('7' * 3_000_000)"),
    loops("multiplication", "products of huge integers", "x = 3**500_000\nwhile True: x * x"),
    loops("replace", "str.replace on a large text", "s = 'ab' * 10**6\nwhile True: s.replace('a', 'a')"),
    loops("find", "str.find at its worst", "s = 'a' * 10**7\nfor i in range(10**6): s.count('a' * 5000 + 'b' + 'a' * 5000)"),
    loops("regex", "a regular expression with nested repetition", "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')"),
    loops("regex-lookaround", "one with lookahead and back references", "import re\nre.match(r'(?=(a|aa|aaa)*\\1*b)(a*)*$', 'a' * 60)"),
    loops("regex-catches", "one inside of a handler of everything", "import re\nwhile True:\n    try: re.match(r'(a|a)*$', 'a' * 40 + 'b')\n    except BaseException: pass"),
    loops("sort", "sorting with a comparison that never ends", "class A:\n    def __lt__(self, o):\n        while True: pass\nsorted([A(), A()])"),
    loops("sort-inconsistent", "sorting with a comparison that contradicts itself", "import random\nclass A:\n    def __lt__(self, o): return random.random() < 0.5\nwhile True: sorted(A() for _ in range(1000))"),
    loops("sort-in-c", "sorting in C", "import random\nx = [random.random() for _ in range(10**5)]\nwhile True: sorted(x)"),
    loops("collisions", "a dictionary whose keys all have one hash", "class A:\n    def __hash__(self): return 1\n    def __eq__(self, o): return self is o\n{A(): 1 for _ in range(10**5)}"),
    loops("int-collisions", "integers with one hash", "p = 2**61 - 1 if hash(2**61) == 1 else 2**31 - 1\nd = {}\nfor i in range(10**6): d[i * p] = 1"),
    loops("decimal", "a decimal with a million digits", "from decimal import *\ngetcontext().prec = 1_000_000\nDecimal(2).sqrt().exp()"),
    loops("decimal-power", "a decimal power", "from decimal import *\ngetcontext().prec = 500_000\nwhile True: Decimal(7) ** 98_765"),
    loops("fraction", "fractions that grow", "from fractions import Fraction\nx = Fraction(1, 3)\nwhile True: x = x * x + 1"),
    loops("sum-in-c", "an iterator that never ends, in C", "sum(1 for _ in iter(int, 1))"),
    loops("itertools", "itertools alone", "import itertools, collections\ncollections.deque(itertools.repeat(0), maxlen=0)"),
    loops("any-in-c", "a search that finds nothing", "import itertools\n1.5 in itertools.count()"),
    loops("product", "a product of products", "import itertools, collections\ncollections.deque(itertools.product(range(99), repeat=9), maxlen=0)"),
    loops("range-sum", "an arithmetic loop in C", "max(range(10**12))"),
    loops("zip", "compresses without end", "import zlib\nb = bytes(10**6)\nwhile True: zlib.compress(b, 9)"),
    loops("hash", "a slow hash function", "import hashlib\nb = bytes(10**6)\nwhile True: hashlib.sha3_512(b)"),
    loops("database", "a recursive query", "import sqlite3\nsqlite3.connect(':memory:').execute('with recursive t(x) as (select 1 union all select x + 1 from t) select count(*) from t').fetchone()"),
    loops("json-floats", "JSON with endless repetition", "import json\ns = '[' + '1.5,' * 10**5 + '1]'\nwhile True: json.loads(s)"),
    loops("unicode", "normalization of combining characters", "import unicodedata\nunicodedata.normalize('NFC', 'a' + '\\u0301\\u0323' * 200_000)"),
    loops("compile", "compiles without end", "s = 'x = ' + '+'.join(['1'] * 300)\nwhile True: compile(s, 'x', 'exec')"),
    loops("finally-recursion", "exponential recursion through finally", "def f():\n    try: f()\n    finally: f()\nf()"),
    loops("exit-caught", "swallows its own exit", "while True:\n    try: raise SystemExit\n    except BaseException: continue"),
    loops("garbage", "garbage collection without end", "import gc\nx = [[i] for i in range(10**5)]\nwhile True: gc.collect()"),
    loops("destructor", "a destructor that never returns", "class A:\n    def __del__(self):\n        while True: pass\nA()"),
    loops("descriptor", "an attribute that never comes", "class A:\n    @property\n    def x(self):\n        while True: pass\nA().x"),
    loops("import-hook", "an import that never ends", "import sys\nclass F:\n    def find_spec(*a):\n        while True: pass\nsys.meta_path.insert(0, F())\nimport planted"),
    loops("trace", "a trace function that never returns", "import sys\ndef t(*a):\n    while True: pass\nsys.settrace(t)\ndef f(): pass\nf()"),
    loops("wait-for-the-clock", "waits for the host's clock", "import time\nt = time.monotonic()\nwhile time.monotonic() - t < 10**6: pass"),
    loops("wait-for-a-lock", "waits for a lock that nobody frees", "import threading\nl = threading.Lock()\nl.acquire()\nl.acquire()", "trap"),
    loops("wait-for-a-queue", "waits for a queue that nobody fills", "import queue\nqueue.Queue().get()", "trap"),
    loops("wait-for-an-event", "waits for a future that nobody sets", "import asyncio\nasync def f(): await asyncio.get_running_loop().create_future()\nasyncio.run(f())", "RuntimeError"),
    loops("wait-in-a-loop", "an event loop that runs for ever", "import asyncio\nasyncio.new_event_loop().run_forever()", "RuntimeError"),
    loops("asyncio-sleep", "tasks that sleep for ever", "import asyncio\nasync def f():\n    while True: await asyncio.sleep(10**6)\nasyncio.run(f())", "timeout"),
    loops("asyncio-spin", "tasks that never rest", "import asyncio\nasync def f():\n    while True: await asyncio.sleep(0)\nasyncio.run(f())"),
    loops("waits-for-input", "reads what nobody types", "import sys\nsys.stdin.buffer.read()", "AttributeError"),
    loops("generator-close", "a generator that refuses to be closed", "def g():\n    while True:\n        try: yield 1\n        except GeneratorExit: pass\nx = g()\nnext(x)\nx.close()", "RuntimeError"),
]  # fmt: skip

ALLOCATIONS = [
    fills("text", "one large text", "'a' * 10**9"),
    fills("bytes", "a large array", "bytearray(2**30)"),
    fills("list", "a list that grows", "x = []\nwhile True: x.append('x' * 10**6)"),
    fills("list-doubles", "a list that doubles", "x = [0]\nwhile True: x += x"),
    fills("list-repeat", "a list of two thousand million", "[None] * (2**31 - 1)"),
    fills("list-too-long", "a list longer than an address", "[0] * 2**40", "OverflowError"),
    fills("dictionary", "a dictionary that grows", "d = {}\ni = 0\nwhile True: d[i] = i; i += 1"),
    fills("set", "a set that grows", "s = set()\nwhile True: s.add(len(s) + 10**9)"),
    fills("text-doubles", "a text that doubles", "s = 'xy'\nwhile True: s += s"),
    fills("shift", "an integer of a gigabyte", "1 << 2**33"),
    fills("format", "a padded text", "f'{1:>1000000000}'"),
    fills("percent", "a precision that is a size", "'%.1000000000f' % 1.5", "memory_limit"),
    fills("join", "a join that multiplies", "s = 'x' * 10**6\n''.join([s] * 10**3)"),
    fills("replace", "a replacement that multiplies", "('a' * 10**4).replace('a', 'b' * 10**5)"),
    fills("expandtabs", "tabs that become spaces", "('\\t' * 1000).expandtabs(10**7)", "OverflowError"),
    fills("tuple-nested", "tuples in tuples, eight bytes a time", "x = ()\nwhile True: x = (x, x)"),
    fills("objects", "instances", "class A: pass\nx = []\nwhile True: x.append(A())"),
    fills("closures", "closures that hold closures", "f = None\nwhile True: f = (lambda g: lambda: g)(f)"),
    fills("generators", "generators in generators", "def g(x): yield from x\nx = iter(())\nwhile True: x = g(x)"),
    fills("exceptions", "exceptions that hold one another", "e = None\nwhile True:\n    n = ValueError('x' * 1000)\n    n.__context__ = e\n    e = n"),
    fills("cache", "a cache without bound", "import functools\n@functools.cache\ndef f(x): return 'x' * 10_000 + str(x)\ni = 0\nwhile True: f(i); i += 1"),
    fills("interned", "interned names", "import sys\nx = [sys.intern('n%d' % i * 100) for i in range(10**7)]"),
    fills("classes", "classes", "x = []\nwhile True: x.append(type('A', (), {}))"),
    fills("source", "a program of many megabytes", "exec('x = 1\\n' * 2_000_000)"),
    fills("constants", "a tuple display of a million numbers", "eval('(' + ','.join(map(str, range(10**6))) + ',)')", "memory_limit"),
    fills("f-string", "an expression that folds into a gigabyte", "eval(\"'x' * 4000 * 4000 * 64\")"),
    fills("decompress", "a bomb of zeros", "import zlib\nc = zlib.compressobj(9)\nb = b''.join(c.compress(bytes(10**6)) for _ in range(70)) + c.flush()\nzlib.decompress(b)"),
    fills("xml", "entities that multiply", "import xml.dom.minidom as m\nd = ''.join(f'<!ENTITY a{i} \"' + f'&a{i - 1};' * 10 + '\">' for i in range(1, 9))\nm.parseString(f'<!DOCTYPE x [<!ENTITY a0 \"0123456789\">{d}]><x>&a8;</x>')", "ExpatError"),
    fills("pickle", "a pickle that claims a gigabyte", "import pickle\npickle.loads(b'\\x80\\x04\\x8e\\x00\\x00\\x00\\x40\\x00\\x00\\x00\\x00')", "memory_limit"),
    fills("struct", "a struct of a gigabyte", "import struct\nstruct.pack('1000000000x')"),
    fills("array", "an array that grows", "import array\na = array.array('d', [0.0])\nwhile True: a.extend(a)"),
    fills("database", "a table that grows", "import sqlite3\nc = sqlite3.connect(':memory:')\nc.execute('select zeroblob(900000000)').fetchone()"),
    fills("deque", "a deque that grows", "import collections, itertools\ncollections.deque(itertools.repeat(0))", "memory_limit", "SystemError"),
    fills("random", "random bits", "import random\nrandom.getrandbits(2**33)", "memory_limit"),
    fills("caught", "a program that handles its memory error may go on", "try:\n    'a' * 10**9\nexcept MemoryError: r = 'handled'\nr", "ok", value="handled"),
    fills("caught-for-ever", "catches every memory error", "x = []\nfor _ in range(2000):\n    try: x.append(bytearray(10**6))\n    except MemoryError: pass\nlen(x) < 64", "ok", value=True),
    fills("no-room-for-the-answer", "leaves no memory for the traceback", "x = []\nfor size in (10**6, 10**4, 100):\n    try:\n        while True: x.append(bytearray(size))\n    except MemoryError: pass\nraise ValueError('full')", "ValueError", "memory_limit", "trap"),
    fills("no-room-for-anything", "then goes on allocating in a handler", "x = []\ndef f():\n    try:\n        while True: x.append(bytearray(100))\n    finally: f()\nf()", "memory_limit", "trap", "RecursionError", "MemoryError"),
]  # fmt: skip


@each(LOOPS)
def test_the_clock_stops_it(attack: Attack) -> None:
    outcome = endure(attack)
    assert outcome.wall_ms < 2_000, "0.11 s on a quiet machine"


@each(ALLOCATIONS)
def test_the_memory_has_a_limit(attack: Attack) -> None:
    endure(attack)


def test_the_next_run_has_the_whole_memory_again() -> None:
    sandbox = Sandbox(limits=SMALL)
    for _ in range(5):
        assert end(sandbox.run("x = []\nwhile True: x.append(bytearray(10**6))")) == "memory_limit"
        assert sandbox.run("len(bytearray(25 << 20))").value == 25 << 20
    assert_clean(sandbox)


def test_a_large_limit_after_a_small_one_and_back() -> None:
    """The limit is that of each run, also where instances are used again."""
    small, large = Sandbox(limits=SMALL), Sandbox(limits=Limits(memory_mb=200, output_kb=64))
    code = "len(bytearray(100 << 20))"
    for _ in range(3):
        assert end(small.run(code)) == "memory_limit"
        assert large.run(code).value == 100 << 20
    assert_clean(small)
    assert_clean(Sandbox(limits=USUAL))


@pytest.mark.parametrize("threads", [1, 4])
def test_hostile_programs_do_not_hold_up_good_ones(threads: int) -> None:
    import threading

    stopped: list[str] = []
    attackers = [
        threading.Thread(target=lambda: stopped.append(end(Sandbox(limits=BRIEF).run("while True: pass"))))
        for _ in range(threads)
    ]
    for thread in attackers:
        thread.start()
    values = [Sandbox(limits=USUAL).run(f"{n} + 1").value for n in range(10)]
    for thread in attackers:
        thread.join()
    assert values == list(range(1, 11))
    assert stopped == ["timeout"] * threads
