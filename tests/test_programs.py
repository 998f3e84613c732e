"""Different programs, in any order, beside any neighbours: each gives what it gives alone."""

from __future__ import annotations

import random

from mentor import Limits, Outcome, Sandbox
from programs import Program, generate, golden

LIMITS = Limits(timeout_ms=30_000, memory_mb=128)


def seen(outcome: Outcome) -> tuple[object, ...]:
    """All of an outcome but its time."""
    return (outcome.stdout, outcome.stderr, outcome.value, outcome.value_repr, outcome.fault, outcome.truncated)


def test_programs_are_many_and_the_same_for_the_same_seed() -> None:
    programs = list(generate(2_000, seed=3))
    assert programs == list(generate(2_000, seed=3))
    assert len({program.code for program in programs}) == 2_000
    assert {program.kind for program in programs} == {"plain", "module", "memory", "fault", "damage", "golden"}
    assert len(golden()) == 196
    share = sum(program.kind == "endless" for program in generate(2_000, seed=4, endless=0.01)) / 2_000
    assert 0.002 < share < 0.03


def test_the_order_of_programs_does_not_matter() -> None:
    programs: list[Program] = list(generate(300, seed=5))
    sandbox = Sandbox(limits=LIMITS)
    first = sandbox.run_batch([program.code for program in programs])
    order = list(range(len(programs)))
    random.Random(6).shuffle(order)
    for index in order:
        assert seen(sandbox.run(programs[index].code)) == seen(first[index]), programs[index]
    kinds = {outcome.fault.kind for outcome in first if outcome.fault is not None}
    assert kinds >= {"exception", "trap"}
    assert sum(outcome.ok for outcome in first) > 200
