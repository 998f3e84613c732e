"""Endurance: many calls of good and hostile programs on several threads, and sessions between them.

    python tests/soak.py [--calls 200000] [--threads 4] [--seed 0] [--mode MODE]

Ends with an error where memory grows from call to call, where threads or descriptors stay behind, or where an answer is
not the expected one.
"""

from __future__ import annotations

import argparse
import gc
import inspect
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "attacks"))

from attack import MEMORY, end, reference
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

import mentor
from mentor import Limits, Outcome, Sandbox
from programs import generate

MB = 1 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")
#: What memory may grow by, from the warm-up to the end: a fixed part for the allocator, and bytes per call.
GROWTH = 24 * MB
GROWTH_PER_CALL = 40

GOOD: list[tuple[str, Any]] = [
    ("1 + 1", 2),
    ("import json\njson.loads(json.dumps({'a': [1, 2, 3]}))['a'][2]", 3),
    ("sorted({x * x % 7 for x in range(50)})", [0, 1, 2, 4]),
    ("def f(n): return n if n < 2 else f(n - 1) + f(n - 2)\nf(12)", 144),
    ("import re\nlen(re.findall(r'a+', 'aabaaab' * 20))", 40),
    ("class A:\n    def __init__(self, x): self.x = x\nsum(A(i).x for i in range(100))", 4950),
    ("import random\nrandom.seed(1)\nrandom.randint(1, 6)", 2),
    ("import decimal\nstr(decimal.Decimal(1) / 7)[:6]", "0.1428"),
]

#: Hostile programs and the ends that they may have.
HOSTILE: list[tuple[str, set[str]]] = [
    ("1 / 0", {"ZeroDivisionError"}),
    ("import os\nos._exit(1)", {"trap"}),
    ("'a' * 10**10", {"memory_limit", "OverflowError"}),
    ("def f(): f()\nf()", {"RecursionError"}),
    ("print('x' * 10**6)", {"output_limit"}),
    ("import builtins\nvars(builtins).clear()", {"trap", "ok"}),
    ("import sys\nsys.modules.clear()\nsys.stdout = None\n5", {"ok"}),
    ("import gc\ngc.disable()\nimport builtins\nbuiltins.keep = [bytearray(1000) for _ in range(3000)]\n5", {"ok"}),
    (MEMORY + "m = view(1 << 16, 1 << 20)\nm[:] = b'\\xff' * len(m)", {"trap", "ok"}),
    (MEMORY + "view(1 << 31, 1)[0]", {"trap"}),
    ("import sys\nsys._getframe(1).f_globals.clear()", {"trap"}),
    ("open('/etc/passwd')", {"FileNotFoundError"}),
    ("import json\njson.dumps = lambda *a, **k: '}'\n1", {"ok"}),
    ("raise BaseException('x' * 10**5)", {"BaseException"}),
    ("import random, sys\nsys.settrace(lambda *a: None)\nrandom.seed = None\n5", {"ok"}),
    ("(", {"SyntaxError"}),
]
#: Rarer, as they take long or make the memory grow.
COSTLY: list[tuple[str, set[str]]] = [
    ("len(bytearray(30 << 20))", {"ok"}),
    ("x = []\nwhile True: x.append(bytearray(10**6))", {"memory_limit"}),
    ("x = []\nfor _ in range(50_000): x = [x]\nrepr(x)", {"RecursionError"}),
    ("import json\njson.loads('[' * 100_000)", {"RecursionError", "trap"}),
]


@dataclass
class Record:
    """What the threads saw."""

    kinds: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    calls: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, outcome: Outcome, expected: set[str], value: Any = None, *, code: str) -> None:
        with self.lock:
            self.calls += 1
            self.kinds["ok" if outcome.fault is None else outcome.fault.kind] += 1
            # On a busy machine any program may meet its timeout.
            as_expected = end(outcome) in expected | {"timeout"} if expected else True
            if outcome.ok and value is not None and outcome.value != value:
                as_expected = False
            if not as_expected and len(self.wrong) < 20:
                self.wrong.append(f"{code[-200:]!r}: {end(outcome)}, {outcome.value!r}, {outcome.fault}")


@dataclass(frozen=True)
class Use:
    """What the process has of the machine."""

    private: int
    threads: int
    descriptors: int

    @classmethod
    def now(cls) -> Use:
        # Pages of the master image are the file's: each instance that maps it would count them again.
        resident, shared = map(int, Path("/proc/self/statm").read_text().split()[1:3])
        threads, descriptors = (len(list(Path("/proc/self", part).iterdir())) for part in ("task", "fd"))
        return cls((resident - shared) * PAGE, threads, descriptors)


def sandbox_of(mode: str | None, limits: Limits) -> Sandbox:
    """A sandbox with a way of isolation, where this build has several."""
    if mode is None:
        return Sandbox(limits=limits)
    if "isolation" not in inspect.signature(Sandbox.__init__).parameters:
        raise SystemExit("soak: this build has one way of isolation only; leave out --mode")
    return Sandbox(limits=limits, isolation=mode)  # type: ignore[call-arg]


def work(options: argparse.Namespace, number: int, calls: int, record: Record, advance: Callable[[int], None]) -> None:
    """One thread's share."""
    rng = random.Random(f"{options.seed} {number}")
    limits = Limits(timeout_ms=5_000, memory_mb=96, output_kb=64)
    usual = sandbox_of(options.mode, limits)
    brief = sandbox_of(options.mode, Limits(timeout_ms=20, memory_mb=96, output_kb=64))
    various = generate(10**9, seed=rng.getrandbits(32))
    done = 0
    while done < calls:
        dice, before = rng.random(), done
        if dice < 1 / 400:
            record.add(brief.run("while True: pass"), {"timeout"}, code="while True: pass")
            done += 1
        elif dice < 1 / 100:
            code, ends = rng.choice(COSTLY)
            record.add(usual.run(code), ends, code=code)
            done += 1
        elif dice < 0.02:
            done += run_session(usual, rng, record)
        elif dice < 0.05:
            code = next(various).code
            record.add(usual.run(code), set(), code=code)
            done += 1
        elif dice < 0.07:
            batch = [rng.choice(GOOD) for _ in range(10)]
            for outcome, (code, value) in zip(usual.run_batch([code for code, _ in batch]), batch, strict=True):
                record.add(outcome, {"ok"}, value, code=code)
            done += 10
        elif dice < 0.35:
            code, ends = rng.choice(HOSTILE)
            record.add(usual.run(code), ends, code=code)
            done += 1
        else:
            code, value = rng.choice(GOOD)
            record.add(usual.run(code), {"ok"}, value, code=code)
            done += 1
        advance(done - before)


def run_session(sandbox: Sandbox, rng: random.Random, record: Record) -> int:
    """A session of several steps, some of them hostile; how many calls it took."""
    with sandbox.session() as session:
        start = rng.randrange(1000)
        record.add(
            session.run(f"n = {start}\ndef add(x=1):\n    global n\n    n += x\n    return n"), {"ok"}, code="session"
        )
        for step in range(1, 6):
            record.add(session.call("add", "{}"), {"ok"}, start + step, code="add")
        code, ends = rng.choice(HOSTILE)
        outcome = session.run(code)
        record.add(outcome, ends, code=code)
        record.add(session.run("1"), set(), code="1")
    return 8


def soak(options: argparse.Namespace, calls: int, record: Record, advance: Callable[[int], None]) -> None:
    """All threads' shares."""
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(options, number, calls // options.threads, record, advance)
        except BaseException as error:  # noqa: BLE001 - raised again by the main thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(options.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def settled() -> Use:
    """Use once idle threads had time to end."""
    gc.collect()
    best = Use.now()
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = Use.now()
        best = Use(
            min(best.private, now.private), min(best.threads, now.threads), min(best.descriptors, now.descriptors)
        )
    return best


def problems(options: argparse.Namespace, record: Record, warm: Use, last: Use, slope: float) -> list[str]:
    """What must not be."""
    found = [f"not the expected outcome: {text}" for text in record.wrong]
    allowed = GROWTH + GROWTH_PER_CALL * options.calls
    if last.private - warm.private > allowed:
        grown = (last.private - warm.private) / MB
        found.append(f"memory grew by {grown:.1f} MB after the warm-up; {allowed / MB:.1f} are allowed")
    if options.calls >= 20_000 and slope > 4 * GROWTH_PER_CALL:
        found.append(f"memory grows by {slope:.0f} bytes a call; {4 * GROWTH_PER_CALL} are allowed")
    if last.threads > warm.threads + 2:
        found.append(f"{last.threads} threads, {warm.threads} after the warm-up")
    if last.descriptors > warm.descriptors + 4:
        found.append(f"{last.descriptors} descriptors, {warm.descriptors} after the warm-up")
    sandbox = sandbox_of(options.mode, Limits(memory_mb=96, output_kb=64))
    expected = reference(96, 64, None)
    from attack import probe_source

    for _ in range(8):
        value = sandbox.run(probe_source()).value
        if value != expected:
            names = [name for name in expected if value is None or value[name] != expected[name]]
            found.append(f"a run is not what it is in a new process: {', '.join(names)}")
            break
    return found


def slope_of(samples: list[tuple[int, int]]) -> float:
    """Bytes per call, by least squares over the least that was held in each of 20 parts of the second half.

    At a moment some hostile program may hold its whole limit; what leaks is never given back.
    """
    late = samples[len(samples) // 2 :]
    part = max(len(late) // 20, 1)
    half = [min(late[start : start + part], key=lambda sample: sample[1]) for start in range(0, len(late), part)]
    if len(half) < 3:
        return 0.0
    mean_x, mean_y = (sum(column) / len(half) for column in zip(*half, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in half)
    return sum((x - mean_x) * (y - mean_y) for x, y in half) / spread if spread else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mode", help="isolation of the sandbox, where the build has several: fresh, reset")
    options = parser.parse_args()
    if options.calls < 1 or options.threads < 1:
        parser.error("--calls and --threads must be at least 1")
    console = Console()
    sandbox_of(options.mode, Limits()).prepare()

    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    ) as progress:
        warm_calls = max(200, options.calls // 20)
        task = progress.add_task("warm-up", total=warm_calls)
        soak(options, warm_calls, Record(), lambda step: progress.advance(task, step))
        start = settled()
        record, samples, highest = Record(), [], start.private
        task = progress.add_task("soak", total=options.calls)
        finished = threading.Event()

        def watch() -> None:
            nonlocal highest
            while not finished.wait(0.5):
                private = Use.now().private
                highest = max(highest, private)
                samples.append((record.calls, private))

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.perf_counter()
        try:
            soak(options, options.calls, record, lambda step: progress.advance(task, step))
        finally:
            seconds = time.perf_counter() - began
            finished.set()
            watcher.join()
    last = settled()
    slope = slope_of(samples)
    found = problems(options, record, start, last, slope)

    table = Table("what", "value", title=f"mentor {mentor.__version__}, {options.threads} threads, seed {options.seed}")
    table.columns[1].justify = "right"
    for kind, count in record.kinds.most_common():
        table.add_row(kind, f"{count:,}")
    table.add_section()
    for name, text in (
        ("calls", f"{record.calls:,}"),
        ("calls per second", f"{record.calls / seconds:,.0f}"),
        ("private memory after the warm-up", f"{start.private / MB:.1f} MB"),
        ("private memory at the end", f"{last.private / MB:.1f} MB"),
        ("private memory at most", f"{highest / MB:.1f} MB"),
        ("growth per call", f"{slope:.1f} bytes"),
        ("threads", f"{start.threads} -> {last.threads}"),
        ("descriptors", f"{start.descriptors} -> {last.descriptors}"),
    ):
        table.add_row(name, text)
    if hasattr(Sandbox, "stats"):
        table.add_section()
        for name, count in Sandbox().stats().items():
            table.add_row(name, f"{count:,}")
    console.print(table)
    for problem in found:
        console.print(f"soak: {problem}", style="red", markup=False)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
