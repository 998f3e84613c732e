"""Latency of tool calls: stateless, in sessions, and of many sessions at once.

    python benches/python/tools_latency.py [--rounds 1000] [--json FILE]

Every round takes each case once, so that a busy machine slows all alike. Answers are checked.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

import mentor
from mentor import ToolSet
from mentor.tools import call_batch

SOURCE = '''
total = 0

def count(by: int) -> int:
    """Count.

    Args:
        by: How much.
    """
    global total
    total += by
    return total

def work(steps: int) -> int:
    """Work.

    Args:
        steps: How much.
    """
    return sum(range(steps))
'''
MANY, STEPS = 16, 100_000
ARITHMETIC, OWN = mentor.tools.arithmetic(), ToolSet.from_source(SOURCE)


def first_call() -> None:
    with OWN.session() as session:
        assert session.call("count", {"by": 2}).value == 2


def cases() -> dict[str, Callable[[], object]]:
    multiply = {function.__name__: function for function in ARITHMETIC.functions()}["multiply"]
    one, many = OWN.session(), [OWN.session() for _ in range(MANY)]

    def forked() -> None:
        for branch in one.fork(MANY):
            branch.close()

    def checked(outcome: mentor.Outcome, value: object) -> None:
        assert outcome.value == value, outcome

    def all_at_once(name: str, arguments: dict[str, int]) -> None:
        assert all(outcome.ok for outcome in call_batch([(session, name, arguments) for session in many]))

    def one_by_one(name: str, arguments: dict[str, int]) -> None:
        assert all(session.call(name, arguments).ok for session in many)

    return {
        "pure, arguments as a dict": lambda: checked(ARITHMETIC.call("multiply", {"a": 6, "b": 7}), 42),
        "pure, arguments as JSON text": lambda: checked(ARITHMETIC.call("multiply", '{"a": 6, "b": 7}'), 42),
        "functions(), pure": lambda: multiply(6, 7),
        "in a guest like new, known source": lambda: checked(OWN.call("count", {"by": 2}), 2),
        "wrong arguments": lambda: checked(ARITHMETIC.call("multiply", {"a": "x", "b": 7}), None),
        "a session, its first call, its end": first_call,
        "a further call in it": lambda: checked(one.call("count", {"by": 0}), 0),
        f"fork({MANY})": forked,
        f"a quick call in each of {MANY} sessions, loop": lambda: one_by_one("count", {"by": 0}),
        f"a quick call in each of {MANY} sessions, call_batch": lambda: all_at_once("count", {"by": 0}),
        f"a slow call in each of {MANY} sessions, loop": lambda: one_by_one("work", {"steps": STEPS}),
        f"a slow call in each of {MANY} sessions, call_batch": lambda: all_at_once("work", {"steps": STEPS}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1000, help="measurements of each case")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    actions = cases()
    times: dict[str, list[float]] = {name: [] for name in actions}
    for at in range(options.rounds + 5):
        for name, action in actions.items():
            if at % 50 and "slow" in name:
                continue
            action()  # the processor's caches are as in a loop of such calls
            began = time.perf_counter()
            action()
            if at >= 5 or "slow" in name:
                times[name].append((time.perf_counter() - began) * 1e6)
    figures = {name: [sorted(found)[len(found) * part // 100] for part in (50, 99)] for name, found in times.items()}
    table = Table("case", "p50", "p99", title="microseconds")
    for name, (median, tail) in figures.items():
        table.add_row(name, f"{median:,.1f}", f"{tail:,.1f}")
    Console().print(table)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
