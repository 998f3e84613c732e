"""Latency of the sandbox against `python -I` as a subprocess, measured side by side in one run.

    python benches/python/sandbox_latency.py [--rounds 200] [--json FILE]

Every round takes each contender once, so that a busy machine slows all alike: trust the ratios. Answers are checked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import mentor

TOOLS = mentor.tools.arithmetic()
CASES = {
    "1 + 1": ("1 + 1", 2),
    "json": ("import json\njson.loads(json.dumps({'a': [1, 2, 3]}))['a'][2]", 3),
    "12 functions + call": (f"{TOOLS.source}\nmultiply(6, 7)", 42),
    "loop of 200,000": ("t = 0\nfor i in range(200_000): t += i\nt", 199_999 * 100_000),
    "sum(range(10**6))": ("sum(range(10**6))", 499_999_500_000),
}
PAUSE = 0.005  # seconds between measurements: time for the next instance to be made, as between a model's calls


def as_script(code: str) -> str:
    """The program with its value printed, for a plain interpreter."""
    head, _, last = code.rpartition("\n")
    return f"{head}\nprint({last})"


def contenders(code: str, expected: object) -> dict[str, Callable[[], None]]:
    sandbox = mentor.Sandbox()
    session = sandbox.session()
    script = as_script(code)

    def subprocess_python() -> None:
        result = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
        assert result.stdout.strip() == str(expected)

    def fresh() -> None:
        assert sandbox.run(code).value == expected

    def warm() -> None:
        assert session.run(code).value == expected

    return {"subprocess": subprocess_python, "fresh": fresh, "warm": warm}


def measure(actions: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Median microseconds of each action."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for action in actions.values():
        action()
    for _ in range(rounds):
        for name, action in actions.items():
            time.sleep(PAUSE)
            started = time.perf_counter()
            action()
            times[name].append((time.perf_counter() - started) * 1e6)
    return {name: statistics.median(samples) for name, samples in times.items()}


def tool_call() -> None:
    assert TOOLS.call("multiply", {"a": 6, "b": 7}).value == 42


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = {name: measure(contenders(*case), arguments.rounds) for name, case in CASES.items()}
    print(f"{'median microseconds':24}{'subprocess':>12}{'fresh':>12}{'ratio':>8}{'warm':>12}{'ratio':>8}")
    for name, row in rows.items():
        base = row["subprocess"]
        cells = "".join(f"{row[kind]:12,.0f}{base / row[kind]:8.1f}" for kind in ("fresh", "warm"))
        print(f"{name:24}{base:12,.0f}{cells}")
    call = measure({"pure tool call": tool_call}, arguments.rounds)["pure tool call"]
    print(f"pure tool call: {call:,.0f}; {rows['1 + 1']['subprocess'] / call:,.0f} times a subprocess")
    batch = [f"{n} + 1" for n in range(500)]
    started = time.perf_counter()
    assert [outcome.value for outcome in mentor.Sandbox().run_batch(batch)] == [n + 1 for n in range(500)]
    rate = len(batch) / (time.perf_counter() - started)
    print(f"run_batch: {rate:,.0f} fresh programs per second on all cores")
    if arguments.json:
        arguments.json.write_text(json.dumps({"medians_us": rows, "tool_call_us": call, "batch_per_s": rate}, indent=2))


if __name__ == "__main__":
    main()
