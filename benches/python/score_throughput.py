"""Rollouts per second of `mentor.score_batch` beside its peers from PyPI, in one process and one run.

The peers: what reward functions of today do (regular expressions, `json`, math-verify), and TRL's `accuracy_reward`,
which looks at the answer only. Every score is checked before anything is timed; runs take turns.

What two threads can give at most is measured too: two processes at once, each on one thread with rollouts of its own,
against one of them alone. A machine that lowers its clock, or whose cores have other work, gives less than 2.

    python benches/python/score_throughput.py [--repeat 7] [--copies 40]
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import IO

import rollouts
from math_verify import parse, verify
from rich.console import Console
from rich.table import Table
from trl.rewards import accuracy_reward

import mentor

TOOLS = ["add", "subtract", "multiply", "divide", "sum_numbers", "floor"]
BLOCK = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)
BOX = re.compile(r"\\boxed\{([^{}]*)\}")
GROUP = 8


def peer(rollout: str, reference: dict) -> float:
    """The `mentor` reward of a well-formed rollout, with math-verify as the judge."""
    box = BOX.findall(rollout)[-1]
    correct = verify(parse(f"${reference['answer']}$"), parse(f"${box}$"))
    names = {json.loads(block)["name"] for block in BLOCK.findall(rollout)}
    same = bool(names) and names == {call["name"] for call in reference["tool_calls"]}
    process = (0.3 if same else 0.0) + (0.1 if names <= set(TOOLS) else 0.0)
    return 0.7 + process if correct else 0.2 * (0.3 if same else 0.0) + 0.1


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


class Alone:
    """A process that scores the same rollouts on one thread, each time it is told to."""

    def __init__(self, copies: int) -> None:
        command = [sys.executable, __file__, "--copies", str(copies), "--alone"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.wait()

    def tell(self) -> None:
        print(file=_pipe(self.process.stdin), flush=True)

    def wait(self) -> None:
        assert _pipe(self.process.stdout).readline() == "ready\n"

    def end(self) -> None:
        _pipe(self.process.stdin).close()
        self.process.wait()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def score_when_told(run: Callable[[], object]) -> None:
    run()
    print("ready", flush=True)
    for _ in sys.stdin:
        run()
        print("ready", flush=True)


def at_once(processes: list[Alone]) -> None:
    for process in processes:
        process.tell()
    for process in processes:
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7, help="runs of each, in turn; the median counts")
    parser.add_argument("--copies", type=int, default=40, help="how often the rollouts are scored in one call")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    rows = rollouts.rows()
    texts, refs = [row["rollout"] for row in rows], [row["reference"] for row in rows]
    many = texts * options.copies
    prepared = [mentor.Reference(ref) for ref in refs] * options.copies

    def score(what: list, refs: list = prepared, **how: object) -> Callable[[], object]:
        return lambda: mentor.score_batch(what, refs, tools=TOOLS, **how).reward

    if options.alone:
        score_when_told(score(many, threads=1))
        return
    official = [row["official"]["mentor"] for row in rows]
    last = [[{"role": "assistant", "content": text.rsplit("assistant\n", 1)[-1]}] for text in texts]
    solutions = [f"${ref['answer']}$" for ref in refs]
    right = mentor.score_batch(texts, refs, tools=TOOLS).components["correct"].tolist()
    assert mentor.score_batch(texts, refs, tools=TOOLS, reward="mentor").reward.tolist() == official
    assert [round(peer(*pair), 12) for pair in zip(texts, refs, strict=True)] == [round(s, 12) for s in official]
    assert accuracy_reward(last, solutions) == right

    messages = [rollouts.as_messages(text) for text in texts] * options.copies
    # A group of rollouts shares one reference; its rows are copies, so that no object comes twice.
    grouped = [dict(refs[at // GROUP % len(refs)]) for at in range(0, len(many), GROUP)]
    grouped = [ref for ref in grouped for _ in range(GROUP)][: len(many)]
    assert (
        mentor.score_batch(messages, prepared, tools=TOOLS, reward="mentor").reward.tolist()
        == official * options.copies
    )

    processes = [Alone(options.copies) for _ in range(2)]
    runs: dict[str, tuple[int, Callable[[], object]]] = {
        "math-verify path": (len(rows), lambda: [peer(*pair) for pair in zip(texts, refs, strict=True)]),
        "TRL accuracy_reward (answer only)": (len(rows), lambda: accuracy_reward(last, solutions)),
        "score_batch, mentor, 1 thread": (len(many), score(many, reward="mentor", threads=1)),
        "score_batch, mentor, 2 threads": (len(many), score(many, reward="mentor", threads=2)),
        "score_batch, mentor-dense, 1 thread": (len(many), score(many, threads=1)),
        "score_batch, mentor-dense, 2 threads": (len(many), score(many, threads=2)),
        "mentor-dense, 1 process": (len(many), lambda: at_once(processes[:1])),
        "mentor-dense, 2 processes at once": (2 * len(many), lambda: at_once(processes)),
        "mentor-dense, dict references": (len(many), score(many, grouped, threads=1)),
        "mentor-dense, messages, 1 thread": (len(many), score(messages, threads=1)),
        "mentor-dense, messages, 2 threads": (len(many), score(messages, threads=2)),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.repeat):
        for name, (_, run) in runs.items():
            times[name].append(seconds(run))
    for process in processes:
        process.end()
    rates = {name: runs[name][0] / statistics.median(times[name]) for name in runs}
    best = {name: runs[name][0] / min(times[name]) for name in runs}
    size = sum(map(len, texts)) / len(texts)
    table = Table(title=f"{len(many)} rollouts, {size:.0f} characters and 4 calls each, median of {options.repeat}")
    table.add_column("what")
    table.add_column("rollouts/s", justify="right")
    table.add_column("best run", justify="right")
    table.add_column("times the math-verify path", justify="right")
    for name, rate in rates.items():
        table.add_row(name, f"{rate:,.0f}", f"{best[name]:,.0f}", f"{rate / rates['math-verify path']:,.1f}")
    Console().print(table)
    for kind, of in (("medians", rates), ("best runs", best)):
        alone = max(of["score_batch, mentor-dense, 1 thread"], of["mentor-dense, 1 process"])
        threads = of["score_batch, mentor-dense, 2 threads"] / alone
        ceiling = of["mentor-dense, 2 processes at once"] / alone
        Console().print(
            f"{kind}: two threads are {threads:.2f} times one alone, two processes {ceiling:.2f} times; "
            f"threads / processes {threads / ceiling:.2f}"
        )


if __name__ == "__main__":
    main()
