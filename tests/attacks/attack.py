"""One attack on the sandbox, and what it must leave intact: the form of its outcome, the host, the next run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mentor import Limits, Outcome, Sandbox

USUAL = Limits(timeout_ms=3_000, memory_mb=96, output_kb=64)
BRIEF = Limits(timeout_ms=100, memory_mb=96, output_kb=64)

#: Guest source: `view(start, size)` is a bytearray over any part of the guest's own memory, `load(address)` an object.
MEMORY = '''
import opcode, struct
_kept = []
def load(address):
    """The object at an address: LOAD_CONST with an index far outside of the constants."""
    def f(): return None
    word = struct.pack("<I", address)
    code = f.__code__.replace(co_consts=(None,))
    index = (id(word) - id(code.co_consts)) // 4 & 0x3FFFFFFF
    load, more, resume, back = (opcode.opmap[n] for n in ("LOAD_CONST", "EXTENDED_ARG", "RESUME", "RETURN_VALUE"))
    far = [more, index >> 24, more, index >> 16 & 255, more, index >> 8 & 255, load, index & 255]
    f.__code__ = code.replace(co_code=bytes([resume, 0, *far, back, 0]), co_stacksize=4)
    return f()
def view(start, size):
    """A forged bytearray; its reference count is that of an immortal object."""
    _kept.append(struct.pack("<7I", 0x50000000, id(bytearray), size, size + 1 & 0xFFFFFFFF, start, start, 0))
    return load(id(_kept[-1]) + 16)
def word(address, value=None):
    """Reads or writes four bytes."""
    at = view(address, 4)
    if value is not None:
        at[:] = struct.pack("<I", value & 0xFFFFFFFF)
    return struct.unpack("<I", bytes(at))[0]
'''

#: What an earlier run could have changed. The checksum covers the guest's whole linear memory.
_PROBE = """
import atexit, builtins, codecs, decimal, gc, json, locale, os, random, sys, threading, time, warnings, zlib
print('probe')
print('probe', file=sys.stderr)
{
    'memory': zlib.crc32(view(1, SIZE - 1)),
    'addresses': [id(object()), id([]), id('x' * len(sys.argv[0])), id(None), id(sys.stdout)],
    'blocks': sys.getallocatedblocks(),
    'globals': sorted(globals()),
    'builtins': sorted(vars(builtins)),
    'modules': sorted(sys.modules),
    'types': [[len(vars(t)), len(type.__subclasses__(t))] for t in (object, int, str, list, dict, Exception)],
    'constants': [repr(x) for x in (None, True, (), '', b'', 0, 1, 7, 255, 256, -5, 'a', '\\xe9', 0.5)],
    'references': [sys.getrefcount(x) for x in (None, True, (), '', 7, object, dict)],
    'hashes': [hash('x'), hash('secret'), hash(1.5), list({'a', 'b', 'c'})],
    'random': [random.random(), os.urandom(8).hex()],
    'clock': [time.time(), time.monotonic()],
    'gc': [gc.isenabled(), gc.get_threshold(), gc.get_count(), gc.get_debug(), len(gc.callbacks), gc.get_stats()],
    'limits': [sys.getrecursionlimit(), sys.get_int_max_str_digits(), sys.getswitchinterval()],
    'tracing': [sys.gettrace() is None, sys.getprofile() is None, [sys.monitoring.get_tool(i) for i in range(6)]],
    'hooks': [getattr(sys, n) is getattr(sys, f'__{n}__') for n in ('displayhook', 'excepthook', 'unraisablehook')],
    'imports': [repr(sys.meta_path), sys.path, sys.path_hooks, sys.argv],
    'streams': [sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__, sys.stdin.read(), sys.stdout.encoding],
    'warnings': repr(warnings.filters),
    'decimal': repr(decimal.getcontext()),
    'locale': locale.setlocale(locale.LC_ALL),
    'environment': dict(os.environ),
    'codecs': [codecs.encode('x', 'rot13'), codecs.lookup('utf-8').name],
    'atexit': atexit._ncallbacks(),
    'files': [list(os.walk('/')), os.getcwd(), os.stat('/tmp').st_ino, os.open('/', os.O_RDONLY)],
    'threads': threading.active_count(),
    'works': [json.loads('[1, {"a": null}]'), sum(range(100)), sorted('hello'), f'{3.14159:.2f}', int('7' * 30)],
}
"""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """A hostile program and how it has to end.

    Attributes:
        name: Its id.
        tries: What it tries, in words.
        code: The program.
        ends: The permitted ends: ``ok``, a kind of fault, or the class of the program's exception.
        prints: What must have arrived on stdout; ``None`` where anything may.
        value: The value that a program which ends ``ok`` must have.
        limits: Limits of the attack and of the run after it.
        env: Source that runs before it.
        functions: What it may call of the host.
    """

    name: str
    tries: str
    code: str
    ends: tuple[str, ...] = ("ok",)
    prints: str | None = ""
    value: Any = None
    limits: Limits = USUAL
    env: str | None = None
    functions: Mapping[str, Callable[..., Any]] | None = None


def each(attacks: list[Attack]) -> pytest.MarkDecorator:
    """Parametrizes a test with attacks."""
    assert len({attack.name for attack in attacks}) == len(attacks)
    return pytest.mark.parametrize("attack", attacks, ids=lambda attack: attack.name)


def endure(attack: Attack) -> Outcome:
    """Runs an attack and checks everything that it must leave intact."""
    sandbox = Sandbox(limits=attack.limits, functions=attack.functions)
    before = host()
    outcome = sandbox.run(attack.code, attack.env)
    assert end(outcome) in attack.ends, (attack.tries, outcome)
    if attack.prints is not None:
        assert outcome.stdout == attack.prints, attack.tries
    if outcome.ok:
        assert outcome.value == attack.value, attack.tries
    well_formed(outcome, attack.limits)
    assert host() == before
    assert_clean(sandbox)
    return outcome


def end(outcome: Outcome) -> str:
    """How a run ended, in the words of `Attack.ends`."""
    if outcome.fault is None:
        return "ok"
    return outcome.fault.type_name if outcome.fault.kind == "exception" else outcome.fault.kind


def well_formed(outcome: Outcome, limits: Limits) -> None:
    """Whatever a guest sends, its host's outcome is bounded text, and has either a value or a fault."""
    printed = len(outcome.stdout.encode()) + len(outcome.stderr.encode())
    assert printed <= 3 * 1024 * limits.output_kb  # a byte that is no UTF-8 becomes a character of three bytes
    assert len(outcome.stdout) + len(outcome.stderr) <= 1024 * limits.output_kb
    assert len(json.dumps(outcome.value)) <= 8 * 1024 * limits.output_kb
    assert outcome.value_repr is None or len(outcome.value_repr.encode()) <= max(4096, 1024 * limits.output_kb)
    # The clock decides over a timeout, the host's stack over some deep recursion.
    assert outcome.reproducible or outcome.calls or end(outcome) in ("timeout", "trap", "memory_limit")
    assert not (outcome.reproducible and end(outcome) == "timeout")
    if outcome.fault is not None:
        assert (outcome.value, outcome.value_repr) == (None, None)
        fault = outcome.fault
        for text, most in ((fault.message, 16_300), (fault.type_name, 200), (fault.traceback, 64_000)):
            assert len(text.encode()) <= most


def host() -> dict[str, object]:
    """What a program must not be able to change in the process that runs it."""
    with Path("/proc/self/task", str(os.getpid()), "children").open() as children:
        return {
            "environment": dict(os.environ),
            "folder": Path.cwd(),
            "children": children.read(),
            "signals": [signal.getsignal(number) for number in range(1, 32)],
            "recursion": sys.getrecursionlimit(),
        }


def assert_clean(sandbox: Sandbox, *, times: int = 1) -> None:
    """Checks that the next runs with these limits are what they are in a new process, down to each byte of memory."""
    limits = sandbox.limits
    expected = reference(limits.memory_mb, limits.output_kb, limits.fuel)
    patient = Sandbox(limits=Limits(memory_mb=limits.memory_mb, output_kb=limits.output_kb, fuel=limits.fuel))
    probe = probe_source()
    for outcome in [patient.run(probe) for _ in range(times)]:
        assert outcome.ok, outcome.fault
        assert (outcome.stdout, outcome.stderr) == ("probe\n", "probe\n")
        assert outcome.value is not None, "the probe's value must fit into the limits"
        changed = {
            name: (outcome.value[name], value) for name, value in expected.items() if outcome.value[name] != value
        }
        assert not changed


@cache
def reference(memory_mb: int, output_kb: int, fuel: int | None) -> dict[str, Any]:
    """What the probe says as the first program of a new process."""
    limits = f"mentor.Limits(memory_mb={memory_mb}, output_kb={output_kb}, fuel={fuel})"
    script = f"import json, mentor, sys\nprint(json.dumps(mentor.Sandbox(limits={limits}).run(sys.stdin.read()).value))"
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, input=probe_source(), capture_output=True, text=True, check=True)
    value = json.loads(result.stdout)
    assert isinstance(value, dict), "the probe must work in a new process"
    return value


@cache
def probe_source() -> str:
    """The probe, for the memory that the guest has."""
    return MEMORY + _PROBE.replace("SIZE", str(memory_size()))


@cache
def memory_size() -> int:
    """Bytes of linear memory that a new instance has: what lies behind it traps."""
    sandbox = Sandbox()
    low, high = 16, 65_536
    while high - low > 1:
        middle = (low + high) // 2
        if sandbox.run(f"{MEMORY}\nview({middle} << 16, 1)[0]").ok:
            low = middle
        else:
            high = middle
    return high << 16
