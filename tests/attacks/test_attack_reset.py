"""Attacks on the reset: pages of memory that a program changes in every way, so that one might be forgotten.

A run must find each byte as a new process would, whatever earlier runs wrote, read, grew, froze or broke. Programs come
one after the other, in different orders, with and without checks between them.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from attack import MEMORY, USUAL, assert_clean, end, memory_size

from mentor import Limits, Sandbox

#: Ways to change memory; `SIZE` is the memory that an instance starts with.
WRITES = {
    "one-byte-a-page": "for at in range(1 << 20, SIZE - 1, 4096): view(at, 1)[0] = 1",
    "one-byte-every-fourth-page": "for at in range(1 << 20, SIZE - 1, 16384): view(at, 1)[0] ^= 255",
    "first-page": "view(1, 4000)[:] = b'x' * 4000",
    "last-byte": "view(SIZE - 1, 1)[0] = 9",
    "last-page": "view(SIZE - 4096, 4096)[:] = b'y' * 4096",
    "read-then-write": "m = view(1, SIZE - 1)\nm.count(0)\nfor at in range(3 << 20, 4 << 20, 4096): m[at] ^= 1",
    "write-then-read": "m = view(1, SIZE - 1)\nfor at in range(3 << 20, 4 << 20, 4096): m[at] ^= 1\nm.count(0)",
    "same-value": "m = view(1, SIZE - 1)\nfor at in range(2 << 20, SIZE - 4096, 4096): m[at] = m[at]",
    "and-back": "m = view(1, SIZE - 1)\nfor at in range(3 << 20, 5 << 20, 4096):\n    m[at] ^= 1\nfor at in range(3 << 20, 5 << 20, 4096):\n    m[at] ^= 1",
    "zeros": "view(SIZE - (1 << 20), 1 << 20)[:] = bytes(1 << 20)",
    "across-pages": "for at in range((8 << 20) + 4090, 10 << 20, 8192): view(at, 12)[:] = b'abcdefghijkl'",
    "bulk-copy": "m = view(SIZE - (2 << 20), 2 << 20)\nm[: 1 << 20] = m[1 << 20 :]",
    "backwards": "view(SIZE - (1 << 19), 1 << 19).reverse()",
    "half-of-a-copy": "m = view(SIZE - 5000, 10_000)\nm[:] = b'z' * 10_000",
    "random-bytes": "import os\nview(SIZE - 70_000, 65_536)[:] = os.urandom(65_536)",
    "many-objects": "import builtins\nbuiltins.keep = [bytes(i % 500) for i in range(60_000)]",
    "freed-objects": "x = [bytes(i % 500) for i in range(60_000)]\ndel x",
    "deep-stack": "def f(n): return n and f(n - 1)\nf(800)",
    "deep-c-stack": "x = []\nfor _ in range(900): x = [x]\nrepr(x)",
    "immortal": "for o in (int, str, object): word(id(o), 1 << 30)",
    "counted": "x = [None, True, (), '', int] * 100_000",
    "grown": "b = bytearray(30 << 20)\nb[::4096] = b'x' * len(b[::4096])",
    "grown-a-little": "b = [bytearray(300_000) for _ in range(5)]",
    "grown-and-freed": "b = bytearray(50 << 20)\ndel b",
    "collected": "import gc\nx = []\nx.append(x)\ndel x\ngc.unfreeze()\ngc.collect()",
    "frozen": "import gc\nx = [[i] for i in range(5000)]\ngc.freeze()",
    "printed": "print('x' * 60_000)",
    "trap": "view(3 << 20, 4096)[:] = b'q' * 4096\nimport os\nos._exit(1)",
    "outside": "view(3 << 20, 4096)[:] = b'q' * 4096\nview(1 << 31, 1)[0]",
    "exception": "view(SIZE - 4096, 4096)[:] = b'q' * 4096\n1 / 0",
    "memory-limit": "x = []\nwhile True: x.append(bytearray(10**6))",
    "output-limit": "while True: print('x' * 1000)",
    "import-much": "import xml.dom.minidom, email, http.client, unittest, tarfile, sqlite3\nsqlite3.connect(':memory:').execute('select 1')",
    "compile-much": "exec('\\n'.join(f'def f{i}(x): return x + {i}' for i in range(2000)))",
}  # fmt: skip


def program(name: str) -> str:
    return MEMORY + WRITES[name].replace("SIZE", str(memory_size()))


@pytest.mark.parametrize("name", WRITES)
def test_each_byte_is_as_before(name: str) -> None:
    sandbox = Sandbox(limits=USUAL)
    for _ in range(3):
        sandbox.run(program(name))
        assert_clean(sandbox)


@pytest.mark.parametrize("seed", range(3))
def test_each_byte_is_as_before_in_any_order(seed: int) -> None:
    """Pages that several programs wrote, and pages that only one of them did."""
    sandbox, rng = Sandbox(limits=USUAL), random.Random(seed)
    for _ in range(5):
        for name in rng.choices(list(WRITES), k=rng.randint(1, 5)):
            sandbox.run(program(name))
        assert_clean(sandbox, times=2)


@pytest.mark.parametrize("count", [1, 10, 100, 500, 900, 990, 1000, 1010, 1100, 2000, 4000])
def test_any_number_of_pages(count: int) -> None:
    """Below and above whatever number of pages an engine restores before it takes a new instance."""
    sandbox = Sandbox(limits=USUAL)
    for start in (2 << 20, memory_size() - 4096 * count - 4096):
        code = f"{MEMORY}for at in range({start}, {start} + 4096 * {count}, 4096): view(at, 1)[0] ^= 255\nprint('x')"
        sandbox.run(code)
        assert_clean(sandbox, times=2)


def test_pages_of_many_runs_add_up() -> None:
    """Each run writes other pages than the ones before it."""
    sandbox = Sandbox(limits=USUAL)
    for start in range(2 << 20, memory_size() - (1 << 20), 4 << 20):
        sandbox.run(f"{MEMORY}for at in range({start}, {start} + (4 << 20), 16384): view(at, 1)[0] ^= 255")
        assert_clean(sandbox)


def test_runs_with_environments_between() -> None:
    sandbox = Sandbox(limits=USUAL)
    env = "import json\nkept = {'a': [1, 2, 3]}\ndef f(x): return kept['a'][x]"
    for name in WRITES:
        assert sandbox.run("f(1)", env).value == 2
        sandbox.run(program(name), env)
        assert sandbox.run("kept['a'].append(4)\nlen(kept['a'])", env).value == 4
        assert sandbox.run("len(kept['a'])", env).value == 3
    assert_clean(sandbox, times=3)


def test_an_environment_cannot_be_changed_for_the_next_run() -> None:
    sandbox = Sandbox(limits=USUAL)
    env = "import json\ndef f(): return json.dumps([1])\nstate = []"
    attacks = [
        "f.__code__ = (lambda: 'forged').__code__",
        "state.append(1)",
        "import json\njson.dumps = lambda *a: 'forged'",
        "globals().clear()",
        "import os\nos._exit(1)",
        MEMORY + "word(id(state) + 8, 1)",
        "while True: state.append(bytearray(10**6))",
    ]
    for attack in attacks:
        sandbox.run(attack, env)
        assert sandbox.run("[f(), len(state)]", env).value == ["[1]", 0]
    hostile = "import builtins\nbuiltins.sum = lambda x: 99"
    assert sandbox.run("sum([1])", hostile).value == 99
    assert sandbox.run("sum([1])").value == 1
    assert sandbox.run("sum([1])", env).value == 1


def test_threads_at_once() -> None:
    sandbox = Sandbox(limits=USUAL)

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(8):
            sandbox.run(program(rng.choice(list(WRITES))))
            assert_clean(sandbox)

    with ThreadPoolExecutor(4) as threads:
        for future in [threads.submit(work, seed) for seed in range(4)]:
            future.result()


def test_sessions_between_runs() -> None:
    sandbox = Sandbox(limits=USUAL)
    for name in WRITES:
        with sandbox.session() as session:
            session.run(program(name))
            session.run("1")
    assert_clean(sandbox, times=8)


def test_the_engines_with_and_without_fuel_do_not_mix() -> None:
    metered = Limits(timeout_ms=10_000, memory_mb=96, output_kb=64, fuel=10**12)
    for name in ("one-byte-every-fourth-page", "trap", "many-objects", "grown"):
        Sandbox(limits=metered).run(program(name))
        assert_clean(Sandbox(limits=USUAL))
        Sandbox(limits=USUAL).run(program(name))
        assert_clean(Sandbox(limits=metered))
    assert end(Sandbox(limits=metered).run("1")) == "ok"
