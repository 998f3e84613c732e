"""Attacks by output: floods on every way to a stream, and streams that are closed, replaced or broken."""

from __future__ import annotations

from unittest.mock import ANY

import pytest
from attack import USUAL, Attack, assert_clean, each, end, endure, well_formed

from mentor import Limits, Sandbox

SMALL = Limits(timeout_ms=2_000, memory_mb=96, output_kb=16)
BRIEF = Limits(timeout_ms=150, memory_mb=96, output_kb=16)


def prints(name: str, tries: str, code: str, *ends: str, out: str | None = None, value: object = ANY) -> Attack:
    limits = BRIEF if "timeout" in ends else SMALL
    return Attack(
        name=name, tries=tries, code=code, ends=ends or ("output_limit",), prints=out, value=value, limits=limits
    )


FLOODS = [
    prints("print", "prints for ever", "while True: print('x' * 80)"),
    prints("print-error", "prints to stderr for ever", "import sys\nwhile True: print('x' * 80, file=sys.stderr)"),
    prints("print-both", "fills both streams in turn", "import sys\nwhile True:\n    print('o' * 50)\n    print('e' * 50, file=sys.stderr)"),
    prints("print-huge", "one text of fifty megabytes", "print('x' * 15_000_000)"),
    prints("print-many", "a line that never ends", "while True: print('x', end='')"),
    prints("print-tiny", "lines of nothing", "while True: print()"),
    prints("print-catches", "catches what stops it", "while True:\n    try: print('x' * 80)\n    except BaseException: pass", "timeout"),
    prints("print-catches-once", "catches what stops it and ends well", "try:\n    while True: print('x' * 80)\nexcept BaseException: pass\n5"),
    prints("buffer", "writes bytes", "import sys\nwhile True: sys.stdout.buffer.write(b'x' * 80)"),
    prints("raw", "writes below the buffer", "import sys\nwhile True: sys.stdout.buffer.raw.write(b'x' * 80)"),
    prints("dunder-stdout", "writes to `sys.__stdout__`", "import sys\nwhile True: sys.__stdout__.write('x' * 80)"),
    prints("writelines", "an iterator of lines that never ends", "import itertools, sys\nsys.stdout.writelines(itertools.repeat('x\\n'))"),
    prints("os-write", "writes to the descriptor", "import os\nfor _ in range(1000): os.write(1, b'x' * 1000)\n5", "ok", "output_limit", "OSError", value=5),
    prints("os-write-error", "writes to the other descriptor", "import os\nfor _ in range(1000): os.write(2, b'x' * 1000)\n5", "ok", "output_limit", "OSError", value=5),
    prints("emit", "calls the host's import itself", "from wit_world.imports import host\nfor _ in range(1000): host.emit(1, b'x' * 1000)\n5", "ok", "output_limit", value=5),
    prints("emit-huge", "one call with thirty megabytes", "from wit_world.imports import host\nhost.emit(1, bytes(30_000_000))\n5", "ok", "output_limit", value=5),
    prints("emit-many", "a hundred thousand empty calls", "from wit_world.imports import host\nfor _ in range(100_000): host.emit(1, b'')\n5", "ok", out="", value=5),
    prints("faulthandler", "tracebacks written in C", "import faulthandler\nfor _ in range(1000): faulthandler.dump_traceback(2)\n5", "ok", "output_limit", "OSError", "UnsupportedOperation", "ValueError", value=5),
    prints("warnings", "warnings without end", "import warnings\nwarnings.simplefilter('always')\nwhile True: warnings.warn('x' * 80)"),
    prints("logging", "log lines without end", "import logging\nwhile True: logging.error('x' * 80)", "output_limit"),
    prints("unraisable", "errors in destructors", "class A:\n    def __del__(self): raise ValueError('x' * 80)\nwhile True: A()", "timeout"),
    prints("print-in-repr", "prints while it is shown", "class A:\n    def __repr__(self):\n        while True: print('x' * 80)\nA()"),
    prints("print-in-str-of-error", "prints while its error is shown", "class E(Exception):\n    def __str__(self):\n        while True: print('x' * 80)\nraise E", "E"),
    prints("print-in-json", "prints while it becomes JSON", "class D(dict):\n    def items(self):\n        while True: print('x' * 80)\nD(a=1)", "output_limit", value={"a": 1}),
    prints("excepthook", "prints through hooks", "import sys\ndef h(*a):\n    while True: print('x' * 80)\nsys.excepthook = sys.unraisablehook = sys.displayhook = h\n1 / 0", "ZeroDivisionError", out=""),
    prints("value-huge", "a value larger than the limit", "'x' * 10_000_000", "ok", out="", value=None),
    prints("repr-huge", "a repr larger than the limit", "class A:\n    def __repr__(self): return 'x' * 50_000_000\nA()", "ok", out="", value=None),
    prints("message-huge", "an error message of fifty megabytes", "raise ValueError('x' * 50_000_000)", "ValueError", out=""),
    prints("traceback-huge", "a traceback of long lines", "exec(compile('\\n' * 10**5 + '1 / 0 #' + 'x' * 10**6, 'f' * 10**6, 'exec'))", "ZeroDivisionError", out=""),
]  # fmt: skip

STREAMS = [
    prints("closed", "closes its streams", "import sys\nprint('a')\nsys.stdout.close()\nsys.stderr.close()\n5", "ok", out="a\n", value=5),
    prints("closed-buffer", "closes what lies below", "import sys\nprint('a')\nsys.stdout.buffer.close()\n5", "ok", out="a\n", value=5),
    prints("closed-raw", "closes what lies at the bottom", "import sys\nprint('a')\nsys.stdout.buffer.raw.close()\n5", "ok", out="a\n", value=5),
    prints("closed-descriptor", "closes the descriptor", "import os\nos.close(1)\nos.close(2)\nprint('a')\n5", "ok", out="a\n", value=5),
    prints("detached", "takes the streams apart", "import sys\nb = sys.stdout.detach()\nb.write(b'a')\nb.flush()\n5", "ok", "ValueError", out="a", value=5),
    prints("none", "has no streams", "import sys\nsys.stdout = sys.stderr = sys.__stdout__ = None\nprint('a')\n5", "ok", out="", value=5),
    prints("number", "a number as its stream", "import sys\nsys.stdout = sys.stderr = 5\nprint('a')", "AttributeError", out=""),
    prints("deleted", "deletes its streams", "import sys\ndel sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__, sys.stdin\n5", "ok", out="", value=5),
    prints("raises", "a stream that raises", "import sys\nclass S:\n    def write(self, t): raise OSError('broken')\n    flush = write\nsys.stdout = sys.stderr = S()\nprint('a')", "OSError", out=""),
    prints("lies", "a stream that claims to have written more", "import io, sys\nclass R(io.RawIOBase):\n    def writable(self): return True\n    def write(self, b): return len(b) + 10**6\nw = io.BufferedWriter(R())\nw.write(b'x' * 100)\nw.flush()", "OSError", out=""),
    prints("recursive", "a stream that prints", "import sys\nclass S:\n    def write(self, t): print(t)\nsys.stdout = S()\nprint('a')", "RecursionError", out=""),
    prints("itself", "a stream below itself", "import io, sys\nsys.stdout = io.TextIOWrapper(io.BufferedWriter(sys.stdout.buffer.raw))\nprint('a', flush=True)\n5", "ok", out="a\n", value=5),
    prints("not-flushed", "leaves text in a buffer of its own", "import io, sys\nw = io.BufferedWriter(sys.stdout.buffer.raw, 10**6)\nw.write(b'late')\nimport builtins\nbuiltins.w = w\n5", "ok", out="", value=5),
    prints("flush-raises", "an error when its text leaves", "import sys\nsys.stdout.buffer.raw.push = lambda: 1 / 0\nprint('a')", "ZeroDivisionError", out=""),
    prints("flush-never-returns", "text that never leaves", "import streams\ndef f(self):\n    while True: pass\nstreams._Raw.push = f\n5", "timeout", out=""),
    prints("writes-counted", "a buffer that counts wrongly", "import sys\nsys.stdout.buffer.raw.writes = -10**9\nfor i in range(3): print(i)\n5", "ok", out="0\n1\n2\n", value=5),
    prints("pending-replaced", "something else in the buffer", "import sys\nsys.stdout.buffer.raw.pending = [1, 2]\nprint('a')", "ok", out="\1\2a\n"),
    prints("encoding", "another encoding", "import sys\nsys.stdout.reconfigure(encoding='utf-16-le')\nprint('ab')\n5", "ok", out="a\0b\0\n\0", value=5),
    prints("errors", "text that cannot be encoded", "print('\\ud800' * 3)\n5", "ok", out="\\ud800" * 3 + "\n", value=5),
    prints("bytes", "bytes that are no text", "import sys\nsys.stdout.buffer.write(bytes(range(128, 140)))\n5", "ok", out="\ufffd" * 12, value=5),
    prints("nul", "NUL, escapes and carriage returns", "print('\\0\\x1b[2J\\r\\x7f')\n5", "ok", out="\0\x1b[2J\r\x7f\n", value=5),
    prints("half-a-character", "half of a character at the limit", "print('\\U0001F600' * 5000)", "output_limit"),
    prints("late", "prints from a destructor at the end", "class D:\n    def __del__(self): print('late')\nd = D()\nd.d = d\n5", "ok", out="", value=5),
    prints("stdin", "reads without end", "import sys\n[sys.stdin.read(), sys.stdin.readline()]", "ok", out="", value=["", ""]),
]  # fmt: skip


@each(FLOODS)
def test_output_has_a_limit(attack: Attack) -> None:
    outcome = endure(attack)
    assert outcome.truncated or len(outcome.stdout) + len(outcome.stderr) < 16 * 1024


@each(STREAMS)
def test_streams_break_for_one_run(attack: Attack) -> None:
    endure(attack)


@pytest.mark.parametrize("before", [0, 1, 63, 64, 65, 4095, 4096, 4097, 16_382, 16_383, 16_384])
def test_what_was_printed_before_the_end_is_kept(before: int) -> None:
    """Text leaves in blocks of several sizes; none is lost, whatever ends the program."""
    sandbox = Sandbox(limits=SMALL)
    text = "x" * before
    for last in ("import os\nos._exit(1)", "1 / 0", "raise SystemExit(3)"):
        outcome = sandbox.run(f"import sys\nsys.stdout.write({text!r})\nsys.stdout.flush()\n{last}")
        assert outcome.stdout == text
        assert not outcome.ok
        assert not outcome.truncated


@pytest.mark.parametrize("size", [16_383, 16_384, 16_385])
def test_the_limit_is_exact(size: int) -> None:
    outcome = Sandbox(limits=SMALL).run(f"import sys\nsys.stdout.write('x' * {size})\n5")
    assert len(outcome.stdout) == min(size, 16_384)
    assert outcome.truncated is (size > 16_384)
    assert end(outcome) == ("output_limit" if size > 16_384 else "ok")


#: What a program did to the guest's own stream stays in its own session.
LASTING = {"flush-raises": "ZeroDivisionError", "flush-never-returns": "trap"}


def test_a_session_has_its_streams_back_after_each_attack() -> None:
    sandbox = Sandbox(limits=SMALL)
    for attack in STREAMS:
        with sandbox.session() as session:
            well_formed(session.run(attack.code), SMALL)
            following = session.run("print('again')\n6")
            assert end(following) == LASTING.get(attack.name, "ok"), attack.name
    assert_clean(Sandbox(limits=USUAL))
