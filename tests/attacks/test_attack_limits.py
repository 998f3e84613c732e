"""Limits at their borders: the smallest, the largest, and one more or less than what a program needs."""

from __future__ import annotations

import time

import pytest
from attack import MEMORY, assert_clean, end, well_formed

from mentor import Limits, Sandbox
from mentor.errors import InputError

HOSTILE = [
    "1 + 1",
    "while True: pass",
    "print('x' * 10**6)",
    "'a' * 10**9",
    "def f(): f()\nf()",
    "1 / 0",
    "import os\nos._exit(0)",
    "(",
    MEMORY + "view(1 << 31, 1)[0]",
]

BORDERS = [
    Limits(timeout_ms=1),
    Limits(timeout_ms=100, memory_mb=48),
    Limits(timeout_ms=100, output_kb=1),
    Limits(timeout_ms=100, fuel=1),
    Limits(timeout_ms=100, fuel=2),
    Limits(timeout_ms=100, fuel=100_000),
    Limits(timeout_ms=1, memory_mb=48, output_kb=1, fuel=1),
    Limits(timeout_ms=100, memory_mb=4096, output_kb=1_048_576, fuel=2**50),
]


@pytest.mark.parametrize("limits", BORDERS, ids=str)
def test_every_program_ends_under_limits_at_their_borders(limits: Limits) -> None:
    sandbox = Sandbox(limits=limits)
    sandbox.prepare()
    for code in HOSTILE[:3] if limits.memory_mb == 4096 else HOSTILE:
        started = time.perf_counter()
        outcome = sandbox.run(code)
        assert time.perf_counter() - started < 5
        assert outcome.fault is None or outcome.fault.kind in (
            "exception", "trap", "timeout", "out_of_fuel", "memory_limit", "output_limit",
        )  # fmt: skip
        well_formed(outcome, limits)
    assert Sandbox().run("1 + 1").value == 2


def test_one_millisecond_is_kept_to_a_tick() -> None:
    sandbox = Sandbox(limits=Limits(timeout_ms=1))
    for _ in range(10):
        outcome = sandbox.run("while True: pass")
        assert end(outcome) == "timeout"
        assert outcome.wall_ms < 1_000, "12 ms on a quiet machine"
    assert_clean(Sandbox(limits=Limits(timeout_ms=3_000, memory_mb=96, output_kb=64)))


def test_one_unit_of_fuel_runs_nothing() -> None:
    sandbox = Sandbox(limits=Limits(fuel=1))
    for _ in range(5):
        outcome = sandbox.run("print('x')")
        assert (end(outcome), outcome.stdout, outcome.fuel) == ("out_of_fuel", "", 1)
    assert_clean(Sandbox(limits=Limits(fuel=10**12, output_kb=64)))


def test_fuel_that_is_just_enough_and_not_enough() -> None:
    code = "print('x')\nsum(range(100))"
    used = Sandbox(limits=Limits(fuel=10**10)).run(code).fuel
    assert used is not None
    for _ in range(3):
        outcome = Sandbox(limits=Limits(fuel=used)).run(code)
        assert (end(outcome), outcome.value, outcome.fuel) == ("ok", 4950, used)
        # The budget is looked at where a loop or a function begins, so the last few operations may be free.
        outcome = Sandbox(limits=Limits(fuel=used - 1_000)).run(code)
        assert (end(outcome), outcome.fuel) == ("out_of_fuel", used - 1_000)


def test_fuel_is_the_same_after_hostile_programs() -> None:
    sandbox = Sandbox(limits=Limits(timeout_ms=200, fuel=10**11, memory_mb=96))
    code = "import json, re\nx = [json.dumps({'a': i}) for i in range(100)]\nre.findall('a+', ''.join(x)) and len(x)"
    first = sandbox.run(code).fuel
    for hostile in HOSTILE:
        sandbox.run(hostile)
        assert sandbox.run(code).fuel == first


def test_fuel_ends_loops_in_c_at_the_same_place() -> None:
    sandbox = Sandbox(limits=Limits(fuel=50_000_000))
    code = "print('x')\nimport itertools\nfor i in itertools.count():\n    if i % 1000 == 0: print(i)"
    outcomes = [sandbox.run(code) for _ in range(3)]
    assert {end(outcome) for outcome in outcomes} == {"out_of_fuel"}
    assert len({outcome.stdout for outcome in outcomes}) == 1
    assert {outcome.fuel for outcome in outcomes} == {50_000_000}
    assert all(outcome.reproducible for outcome in outcomes)


def test_the_smallest_memory_runs_usual_programs() -> None:
    sandbox = Sandbox(limits=Limits(memory_mb=48))
    assert sandbox.run("import json\njson.dumps(list(range(1000)))[:9]").value == "[0, 1, 2,"
    assert sandbox.run("len(bytearray(10 << 20))").value == 10 << 20
    assert end(sandbox.run("bytearray(48 << 20)")) == "memory_limit"
    assert_clean(Sandbox(limits=Limits(memory_mb=48, output_kb=64)))


@pytest.mark.parametrize("kb", [1, 2, 4, 8])
def test_output_to_the_last_byte(kb: int) -> None:
    sandbox = Sandbox(limits=Limits(output_kb=kb))
    size = kb * 1024
    for stream in ("stdout", "stderr"):
        for length in (size - 1, size, size + 1):
            outcome = sandbox.run(f"import sys\nsys.{stream}.write('x' * {length}) * 0")
            assert end(outcome) == ("ok" if length <= size else "output_limit")
            assert len(getattr(outcome, stream)) == min(length, size)
            assert outcome.truncated is (length > size)


def test_output_is_counted_in_bytes_of_both_streams() -> None:
    sandbox = Sandbox(limits=Limits(output_kb=1))
    outcome = sandbox.run("import sys\nprint('é' * 300, file=sys.stderr)\nsys.stderr.flush()\nprint('é' * 300)")
    assert end(outcome) == "output_limit"
    assert len(outcome.stdout.encode() + outcome.stderr.encode()) <= 1024 + 2


@pytest.mark.parametrize("value", [2**32, 2**63, -1, 0])
@pytest.mark.parametrize("name", ["timeout_ms", "memory_mb", "output_kb"])
def test_limits_that_do_not_exist(name: str, value: int) -> None:
    with pytest.raises(InputError):
        Limits(**{name: value})


@pytest.mark.parametrize(
    "limits",
    [
        Limits(timeout_ms=86_400_001),
        Limits(memory_mb=47),
        Limits(memory_mb=4097),
        Limits(output_kb=1_048_577),
        Limits(fuel=2**50 + 1),
        Limits(fuel=2**64 - 1),
    ],
    ids=str,
)
def test_limits_that_no_engine_keeps(limits: Limits) -> None:
    with pytest.raises(InputError):
        Sandbox(limits=limits)


@pytest.mark.parametrize(
    "code",
    ["", " ", "\n" * 100_000, "#" * 1_000_000, "\x00", "\ufeff1", "\ud800", "1\r2\r\n3", "\x1a", "# -*- coding: latin-1 -*-\n'é'", "x = '" + "é" * 100_000 + "'"],
    ids=["empty", "space", "lines", "comment", "nul", "mark", "surrogate", "returns", "substitute", "coding", "wide"],
)  # fmt: skip
def test_odd_sources(code: str) -> None:
    sandbox = Sandbox(limits=Limits(memory_mb=96, output_kb=64))
    outcome = sandbox.run(code)
    assert end(outcome) in ("ok", "SyntaxError")
    well_formed(outcome, sandbox.limits)
    sandbox.run("1", env=code)
    assert_clean(sandbox)


@pytest.mark.parametrize(
    "filename", ["", "\0", "\ud800", "x" * 1_000_000, "../../etc/passwd", "<stdin>", "app.py", "é\n\r"]
)
def test_odd_file_names(filename: str) -> None:
    sandbox = Sandbox(limits=Limits(memory_mb=96, output_kb=64))
    outcome = sandbox.run("1 / 0", filename=filename)
    assert end(outcome) in ("ZeroDivisionError", "ValueError", "SyntaxError")
    well_formed(outcome, sandbox.limits)
    assert_clean(sandbox)


def test_a_source_larger_than_the_memory() -> None:
    sandbox = Sandbox(limits=Limits(memory_mb=48, output_kb=64))
    outcome = sandbox.run("#" * (60 << 20))
    assert end(outcome) in ("memory_limit", "trap")
    assert_clean(sandbox)
