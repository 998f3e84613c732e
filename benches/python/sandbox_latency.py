"""Latency of the sandbox beside `python -I` as a subprocess and pydantic-monty, measured in one run.

    python benches/python/sandbox_latency.py [--rounds 200] [--pause-ms 5] [--warm 20] [--json FILE]

Every round takes each contender once, so that a busy machine slows all alike: trust the ratios. Answers are checked.
Before each measurement a contender that takes less than 5 ms runs some times unmeasured, as in a loop of calls;
`--warm 0` shows what a single call after a pause takes, with the processor's caches and clock as the pause left them.
pydantic-monty runs a subset of Python in worker processes; it is measured where it is installed
(`pip install 'mentor-rs[bench]'`).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import mentor

try:
    from pydantic_monty import Monty
except ImportError:
    Monty = None

Action = Callable[[], object]

TOOLS = mentor.tools.arithmetic()
CALL = "multiply(6, 7)"
PROGRAMS = {
    "1 + 1": ("1 + 1", 2),
    "json round trip": ("import json\njson.loads(json.dumps({'a': [1, 2, 3]}))['a'][2]", 3),
    "loop of 200,000": ("t = 0\nfor i in range(200_000): t += i\nt", 199_999 * 100_000),
    "sum(range(10**6))": ("sum(range(10**6))", 499_999_500_000),
}
NEW_PROCESS = """
import time
from mentor import Sandbox
started = time.perf_counter()
sandbox = Sandbox()
sandbox.prepare()
ready = time.perf_counter()
assert sandbox.run("6 * 7").value == 42
print(ready - started, time.perf_counter() - started)
"""


def as_subprocess(code: str, expected: object) -> Action:
    """The program in a plain interpreter of its own, with its value printed."""
    head, _, last = code.rpartition("\n")
    script = f"{head}\nprint({last})"

    def run() -> None:
        result = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
        assert result.stdout.strip() == str(expected)

    return run


def checked(run: Callable[[], object], expected: object) -> Action:
    def action() -> None:
        value = run()
        assert value == expected, value

    return action


def cases(pool: Any) -> Iterator[tuple[str, dict[str, Action]]]:
    """The cases, each with its contenders; sessions are open while their case is measured."""
    sandbox = mentor.Sandbox()
    for name, (code, expected) in PROGRAMS.items():
        with sandbox.session() as session, warm_monty(pool) as warm:
            contenders = {
                "subprocess": as_subprocess(code, expected),
                "fresh": checked(lambda code=code: sandbox.run(code).value, expected),
                "session": checked(lambda code=code, session=session: session.run(code).value, expected),
            }
            if pool is not None:
                contenders["monty"] = checked(lambda code=code: monty_fresh(pool, code), expected)
                contenders["monty session"] = checked(lambda code=code, warm=warm: warm.feed_run(code), expected)
            yield name, contenders
    yield from environments(pool, sandbox)


def environments(pool: Any, sandbox: mentor.Sandbox) -> Iterator[tuple[str, dict[str, Action]]]:
    """Twelve documented functions and a call of one: an environment that is new each time, and one that is known."""
    source = TOOLS.source
    plain = as_subprocess(f"{source}\n{CALL}", 42)
    count = itertools.count()
    with sandbox.session() as session, warm_monty(pool) as warm:
        assert session.run(source).ok
        new = {
            "subprocess": plain,
            "fresh": checked(lambda: sandbox.run(CALL, f"{source}\nNUMBER = {next(count)}").value, 42),
        }
        known = {
            "subprocess": plain,
            "fresh": checked(lambda: sandbox.run(CALL, source).value, 42),
            "session": checked(lambda: session.run(CALL).value, 42),
            "session.call": checked(lambda: session.call("multiply", '{"a": 6, "b": 7}').value, 42),
            "ToolSet.call": checked(lambda: TOOLS.call("multiply", {"a": 6, "b": 7}).value, 42),
        }
        if pool is not None:
            warm.feed_run(source)
            new["monty"] = checked(lambda: monty_fresh(pool, f"{source}\nNUMBER = {next(count)}\n{CALL}"), 42)
            known["monty"] = checked(lambda: monty_fresh(pool, f"{source}\n{CALL}"), 42)
            known["monty session"] = checked(lambda: warm.feed_run(CALL), 42)
        yield "12 functions + call, new", new
        yield "12 functions + call, known", known
    if hasattr(mentor.Session, "fork"):
        with sandbox.session() as session:
            assert session.run(f"{source}\nn = 41").ok
            yield "fork(16), call in each", {"session": checked(lambda: forked(session), [42] * 16)}


def forked(session: Any) -> list[object]:
    """Sixteen branches of a session, each used and closed."""
    values = []
    for branch in session.fork(16):
        with branch:
            values.append(branch.run("n += 1\nn").value)
    return values


def monty_fresh(pool: Any, code: str) -> object:
    with pool.checkout() as session:
        return session.feed_run(code)


def warm_monty(pool: Any) -> contextlib.AbstractContextManager[Any]:
    return contextlib.nullcontext() if pool is None else pool.checkout()


def measure(actions: dict[str, Action], rounds: int, pause: float, warm: int) -> dict[str, list[float]]:
    """Microseconds of each action, in the order of their sizes."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    quick = set()
    for name, action in actions.items():
        action()
        started = time.perf_counter()
        action()
        if time.perf_counter() - started < 5e-3:
            quick.add(name)
    for _ in range(rounds):
        for name, action in actions.items():
            time.sleep(pause)  # as between a model's calls
            for _ in range(warm if name in quick else 0):
                action()
            started = time.perf_counter()
            action()
            times[name].append((time.perf_counter() - started) * 1e6)
    return {name: sorted(samples) for name, samples in times.items()}


def quantile(samples: list[float], share: float) -> float:
    """The smallest sample that this share of all samples does not exceed."""
    return samples[max(math.ceil(share * len(samples)) - 1, 0)]


def sustained(calls: int) -> dict[str, float]:
    """Fresh programs per second, without a pause."""
    sandbox = mentor.Sandbox()
    codes = [f"{n} + 1" for n in range(calls)]
    expected = [n + 1 for n in range(calls)]
    figures = {}

    def time_of(name: str, run: Callable[[], list[object]]) -> None:
        started = time.perf_counter()
        assert run() == expected
        figures[name] = calls / (time.perf_counter() - started)

    def two_threads() -> list[object]:
        halves: list[list[object]] = [[], []]

        def work(half: int) -> None:
            halves[half] = [sandbox.run(code).value for code in codes[half::2]]

        threads = [threading.Thread(target=work, args=(half,)) for half in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [value for pair in itertools.zip_longest(*halves) for value in pair][:calls]

    time_of("run, one thread", lambda: [sandbox.run(code).value for code in codes])
    time_of("run, two threads", two_threads)
    time_of(f"run_batch, {os.cpu_count()} cores", lambda: [outcome.value for outcome in sandbox.run_batch(codes)])
    with sandbox.session() as session:
        time_of("session.run, one thread", lambda: [session.run(code).value for code in codes])
    return figures


def ready(rounds: int) -> dict[str, list[float]]:
    """Milliseconds in a new process until the cached guest is loaded, and until a first program has its value."""
    mentor.Sandbox().prepare()
    pairs = []
    for _ in range(rounds):
        result = subprocess.run([sys.executable, "-c", NEW_PROCESS], capture_output=True, text=True, check=True)
        pairs.append([float(part) * 1e3 for part in result.stdout.split()])
    return {
        "ready in a new process, cached": sorted(pair[0] for pair in pairs),
        "and its first program": sorted(pair[1] for pair in pairs),
    }


def private_mb() -> float:
    """Memory that this process shares with nobody, MB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def memory() -> dict[str, float]:
    """Private MB per open session, and per idle slot where the build keeps and counts such slots."""
    if not Path("/proc/self/smaps_rollup").exists():
        return {}
    sandbox, figures = mentor.Sandbox(), {}
    with contextlib.ExitStack() as stack:
        assert stack.enter_context(sandbox.session()).run("1 + 1").value == 2
        time.sleep(0.5)
        before = private_mb()
        for _ in range(16):
            assert stack.enter_context(sandbox.session()).run("1 + 1").value == 2
        time.sleep(0.5)
        figures["private MB per session after 1 + 1"] = (private_mb() - before) / 16
    if hasattr(sandbox, "stats"):
        sandbox.run_batch(["1 + 1"] * 64)
        time.sleep(0.5)
        stats = sandbox.stats()
        figures["idle slots"] = stats["idle"]
        figures["private MB per idle slot"] = stats["idle_pages"] * 4096 / max(stats["idle"], 1) / (1 << 20)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="how often each contender is measured (200)")
    parser.add_argument("--pause-ms", type=float, default=5, help="milliseconds before each measurement (5)")
    parser.add_argument("--warm", type=int, default=20, help="unmeasured calls before each measurement (20)")
    parser.add_argument("--calls", type=int, default=10_000, help="calls of the sustained rates (10,000)")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    console = Console()
    if Monty is None:
        console.print(
            "pydantic-monty is not installed and left out: pip install 'mentor-rs[bench]'", style="yellow", markup=False
        )
    figures: dict[str, Any] = {"latency_us": {}, "sustained_per_s": {}, "other": {}}

    table = Table("case", "", "p50", "p99", "x", title="Microseconds; x: times faster than the subprocess, by p50")
    for column in table.columns[2:]:
        column.justify = "right"
    with contextlib.nullcontext() if Monty is None else Monty() as pool:
        for case, actions in cases(pool):
            samples = measure(actions, arguments.rounds, arguments.pause_ms / 1e3, arguments.warm)
            base = quantile(samples["subprocess"], 0.5) if "subprocess" in samples else None
            rows = figures["latency_us"][case] = {}
            for name, values in samples.items():
                p50, p99 = quantile(values, 0.5), quantile(values, 0.99)
                ratio = None if base is None else base / p50
                rows[name] = {"p50": p50, "p99": p99, "ratio": ratio}
                first = case if name == next(iter(samples)) else ""
                table.add_row(first, name, f"{p50:,.0f}", f"{p99:,.0f}", "" if ratio is None else f"{ratio:,.1f}")
            table.add_section()
    console.print(table)

    table = Table("", "value", title="Rates, start and memory")
    table.columns[1].justify = "right"
    figures["sustained_per_s"] = sustained(arguments.calls)
    for name, rate in figures["sustained_per_s"].items():
        table.add_row(name, f"{rate:,.0f} per second")
    for name, values in ready(max(arguments.rounds // 10, 5)).items():
        p50, p99 = quantile(values, 0.5), quantile(values, 0.99)
        figures["other"][name] = {"p50_ms": p50, "p99_ms": p99}
        table.add_row(name, f"{p50:,.1f} ms, p99 {p99:,.1f}")
    for name, size in memory().items():
        figures["other"][name] = size
        table.add_row(name, f"{size:.2f}")
    console.print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
