"""Attacks on the interpreter itself: its objects, its code, its memory. Whatever breaks is this instance alone."""

from __future__ import annotations

import random
from unittest.mock import ANY

import pytest
from attack import MEMORY, USUAL, Attack, assert_clean, each, end, endure, memory_size, well_formed

from mentor import Limits, Sandbox

#: How a broken interpreter may end: with an exception of any class, a trap, or in a loop that the clock stops.
BROKEN = Limits(timeout_ms=1500, memory_mb=96, output_kb=64)


def broken(name: str, tries: str, code: str, *ends: str, value: object = ANY, prints: str | None = None) -> Attack:
    return Attack(name=name, tries=tries, code=code, ends=ends or ("trap",), value=value, prints=prints, limits=BROKEN)


#: `gc.get_objects` leaves out what the snapshot froze; this finds it by reference.
REACH = """
import gc, sys
seen, todo = {}, [sys.modules]
while todo and len(seen) < 150_000:
    o = todo.pop()
    if id(o) not in seen:
        seen[id(o)] = o
        todo += gc.get_referents(o)
seen = [o for o in seen.values() if o is not globals()]
"""

OBJECTS = [
    broken("builtins-cleared", "leaves no builtin", "import builtins\nvars(builtins).clear()", "ok"),
    broken("builtins-none", "replaces every builtin", "import builtins\nfor n in list(vars(builtins)): setattr(builtins, n, None)", "TypeError"),
    broken("modules-cleared", "forgets every module", "import sys\nsys.modules.clear()\n1", "ok", value=1),
    broken("modules-emptied", "empties every module", "import sys\nfor m in list(sys.modules.values()):\n    if m is not sys: vars(m).clear()", "NameError"),
    broken("app-cleared", "empties the guest's own module", "import sys\nsys._getframe(1).f_globals.clear()"),
    broken("streams-cleared", "empties the guest's streams", "import streams\nvars(streams).clear()\nprint('x')\n1"),
    broken("wit-world-cleared", "empties the bindings", "import wit_world\nfrom wit_world.exports import runner\nvars(runner).clear()\n1"),
    broken("every-dict-cleared", "empties every dictionary", REACH + "for o in seen:\n    if type(o) is dict: o.clear()"),
    broken("every-list-cleared", "empties every list", REACH + "for o in seen:\n    if type(o) is list and o is not seen: o.clear()\n1", "ok"),
    broken("every-function-swapped", "gives every function the code of one", REACH + "c = (lambda *a, **k: None).__code__\nfor o in seen:\n    if type(o) is type(lambda: 0) and o.__closure__ is None: o.__code__ = c\n1"),
    broken("type-dictionary", "changes methods of static types", "import gc\ndef d(t): return [x for x in gc.get_referents(t.__dict__) if type(x) is dict][0]\nfor t in (str, dict, list, int): d(t).clear()\n1", "ok", "AttributeError", "trap", value=1),
    broken("type-of-type", "changes `type` itself", "import gc\n[x for x in gc.get_referents(type.__dict__) if type(x) is dict][0].clear()\nclass A: pass\n1", "ok", "trap", "TypeError", "AttributeError", value=1),
    broken("object-new", "takes `object.__init__` away", "import gc\n[x for x in gc.get_referents(object.__dict__) if type(x) is dict][0].clear()\nclass A: pass\nA()\n1", "ok", "trap", "TypeError", "AttributeError", value=1),
    broken("frames", "changes the globals of the frames above", "import sys\nf = sys._getframe()\nwhile f:\n    for k in list(f.f_globals): f.f_globals[k] = None\n    f = f.f_back", "AttributeError"),
    broken("locals-of-frames", "changes the locals of the frames above", "import sys\nf = sys._getframe(1)\nwhile f:\n    for k in list(f.f_locals):\n        try: f.f_locals[k] = None\n        except Exception: pass\n    f = f.f_back", "ok"),
    broken("abort", "aborts", "print('x')\nimport os\nos.abort()", prints="x\n"),
    broken("exit-hard", "ends its process", "print('x')\nimport os\nos._exit(0)", prints="x\n"),
    broken("exit-hard-code", "ends its process with a code", "import os\nos._exit(-1)"),
    broken("segfault", "a fault of the C library", "import faulthandler\nfaulthandler._sigsegv()", "trap"),
    broken("fatal-error", "a fatal error of the interpreter", "import faulthandler\nfaulthandler._fatal_error_c_thread()", "RuntimeError"),
    broken("stack-overflow-in-c", "exhausts the C stack", "import faulthandler\nfaulthandler._stack_overflow()", "AttributeError"),
    broken("interpreters", "a second interpreter", "import _interpreters\n_interpreters.exec(_interpreters.create(), 'while True: pass')", "ModuleNotFoundError"),
    broken("test-capi", "functions for tests", "import _testcapi", "ModuleNotFoundError"),
    broken("marshal", "damaged marshal data", "import marshal\nfor n in range(300):\n    try: marshal.loads(bytes([n % 256]) + b'\\xff' * n)\n    except Exception: pass\n1", "ok", "trap", "memory_limit", value=1),
    broken("pickle", "hostile pickles", "import pickle\npickle.loads(b'cposix\\n_exit\\n(I3\\ntR.')"),
    broken("pickle-memo", "a pickle with a huge memo", "import pickle\npickle.loads(b'\\x80\\x04Nr\\xff\\xff\\xff\\x0f.')", "memory_limit"),
    broken("refcount-of-none", "takes None's references away", MEMORY + "word(id(None), 1)\nfor i in range(1000): x = [None] * 100\n1", "ok", "trap", value=1),
    broken("free-twice", "frees an object twice", MEMORY + "x = bytearray(100)\nword(id(x), 1)\ny = x\ndel x\ndel y\nz = [bytearray(100) for _ in range(1000)]\n1", "ok", "trap", value=1),
    broken("free-static", "frees an object that was never allocated", MEMORY + "word(id(int), 1)\nx = load(id(int))\ndel x\nint\n1", "ok", "trap", value=1),
    broken("jump-into-code", "a jump behind the end of a code object", "def f(): pass\nimport opcode\no = opcode.opmap\nf.__code__ = f.__code__.replace(co_code=bytes([o['RESUME'], 0, o['JUMP_FORWARD'], 255]))\nf()", "trap", "ok", "timeout", "SystemError"),
    broken("stack-of-code-too-small", "a value stack that is too small", "def f(): return [1, 2, 3, 4, 5, 6, 7, 8, 9, [1, 2, 3, *range(9)]]\nf.__code__ = f.__code__.replace(co_stacksize=1)\nfor _ in range(100): f()\n1", "ok", "trap", "ValueError", value=1),
    broken("stack-of-code-huge", "a value stack of two gigabytes", "def f(): return 1\nf.__code__ = f.__code__.replace(co_stacksize=2**29 - 64)\nf()", "ok", "memory_limit", "trap"),
    broken("endless-bytecode", "a loop without a check for signals", "import opcode\no = opcode.opmap\ndef f(): pass\nf.__code__ = f.__code__.replace(co_code=bytes([o['RESUME'], 0, o['JUMP_BACKWARD_NO_INTERRUPT'], 1]))\nf()", "timeout"),
]  # fmt: skip

WRITES = [
    broken("wipe-all", "fills all memory with ones", MEMORY + "m = view(1024, SIZE - 1024)\nm[:] = b'\\xff' * len(m)"),
    broken("zero-all", "fills all memory with zeros", MEMORY + "m = view(1024, SIZE - 1024)\nm[:] = bytes(len(m))"),
    broken("wipe-low", "fills the low memory", MEMORY + "m = view(16, 1 << 16)\nm[:] = b'\\xff' * len(m)\n1", "ok", "trap", value=1),
    broken("wipe-stack", "fills the shadow stack's region in steps", MEMORY + "for at in range(1024, 1 << 20, 4096):\n    m = view(at, 64)\n    m[:] = b'\\xff' * 64\n1", "ok", "trap", "SystemError", "MemoryError", value=1),
    broken("wipe-heap", "damages the allocator's own records", MEMORY + "import gc\nx = [bytearray(n) for n in range(16, 4000, 16)]\nfor b in x:\n    m = view(id(b) - 8, 8)\n    m[:] = b'\\xff' * 8\ndel x, b\ny = [bytearray(n) for n in range(16, 4000, 16)]\n1", "ok", "trap", "memory_limit", "timeout", value=1),
]  # fmt: skip


@each(OBJECTS + WRITES)
def test_damage_stays_in_its_instance(attack: Attack) -> None:
    endure(sized(attack))


def sized(attack: Attack) -> Attack:
    return Attack(**{**vars(attack), "code": attack.code.replace("SIZE", str(memory_size()))})


@pytest.mark.parametrize("at", ["1 << 20", "SIZE // 2", "SIZE - (1 << 20) - 1"])
def test_memory_turned_around_stays_in_its_instance(at: str) -> None:
    """A megabyte from its end to its start; what lies there, and so the end of the run, is each build's own."""
    sandbox = Sandbox(limits=BROKEN)
    program = f"{MEMORY}m = view({at}, 1 << 20)\nprint('x', flush=True)\nm.reverse()\n1".replace(
        "SIZE", str(memory_size())
    )
    outcome = sandbox.run(program)
    assert outcome.stdout.startswith("x\n")
    well_formed(outcome, BROKEN)
    assert_clean(sandbox, times=4)


def test_random_writes_stay_in_their_instance() -> None:
    """Forty programs, each of which writes a hundred random words to random places and then works on."""
    sandbox = Sandbox(limits=BROKEN)
    work = "import json\nprint('x')\n[json.dumps({'a': [i]}) for i in range(50)][3]"
    for seed in range(40):
        generator = random.Random(seed)
        low, high = generator.choice([(16, 1 << 16), (1 << 16, 1 << 20), (1 << 20, memory_size() - 8)])
        writes = [(generator.randrange(low, high) & ~3, generator.getrandbits(32)) for _ in range(100)]
        program = f"{MEMORY}\nfor at, value in {writes!r}: word(at, value)\n{work}"
        outcome = sandbox.run(program)
        well_formed(outcome, BROKEN)
        if seed % 8 == 7:
            assert_clean(sandbox, times=4)


@pytest.mark.parametrize("slot", ["tp_repr", "tp_hash", "tp_str", "tp_iter", "tp_call"])
def test_a_forged_call_reaches_nothing_of_the_host(slot: str) -> None:
    """A type's slot is an index into the table of functions: any function of the same form can be called, the guest's
    imports and exports too, with arguments that they never expect."""
    offset = {"tp_repr": 44, "tp_hash": 60, "tp_call": 64, "tp_str": 68, "tp_iter": 108}[slot]
    use = {"tp_repr": "repr(x)", "tp_hash": "hash(x)", "tp_str": "str(x)", "tp_iter": "iter(x)", "tp_call": "x(1)"}[
        slot
    ]
    sandbox = Sandbox(limits=BROKEN)
    ends = set()
    for index in random.Random(slot).sample(range(1, 9_000), 25):
        code = f"{MEMORY}\nclass A: pass\nx = A()\nword(id(A) + {offset}, {index})\nprint('calling')\n{use}\n1"
        outcome = sandbox.run(code)
        well_formed(outcome, BROKEN)
        assert outcome.stdout.startswith("calling")
        ends.add(end(outcome))
    assert "trap" in ends
    assert_clean(sandbox)


def test_sessions_beside_a_broken_one_go_on() -> None:
    sandbox = Sandbox(limits=USUAL)
    with sandbox.session() as good, sandbox.session() as bad:
        good.run("x = 5")
        for attack in (*OBJECTS[:8], *WRITES):
            bad.run(sized(attack).code)
            assert good.run("x").value == 5
            bad.close()
            bad = sandbox.session()
    assert_clean(sandbox)
