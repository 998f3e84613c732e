"""Rollouts per second of `mentor.score_batch` beside the math-verify path, in one process and one run.

The peer does what reward functions of today do: take the last box out of the text with a regular expression, let
math-verify judge it, and read the tool names out of the call blocks with `json`. Both must give the official score of
every rollout before anything is timed.

    python benches/python/score_throughput.py [--repeat 5] [--copies 10]
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from math_verify import parse, verify
from rich.console import Console
from rich.table import Table

import mentor

GOLDEN = Path(__file__).parents[2] / "tests" / "golden" / "reward_official.jsonl"
TOOLS = ["add", "subtract", "multiply", "divide", "sum_numbers", "floor"]
BLOCK = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)
BOX = re.compile(r"\\boxed\{([^{}]*)\}")


def peer(rollout: str, reference: dict) -> float:
    """The `mentor` reward of a well-formed rollout, with math-verify as the judge."""
    box = BOX.findall(rollout)[-1]
    correct = verify(parse(f"${reference['answer']}$"), parse(f"${box}$"))
    names = {json.loads(block)["name"] for block in BLOCK.findall(rollout)}
    same = bool(names) and names == {call["name"] for call in reference["tool_calls"]}
    process = (0.3 if same else 0.0) + (0.1 if names <= set(TOOLS) else 0.0)
    return 0.7 + process if correct else 0.2 * (0.3 if same else 0.0) + 0.1


def seconds(run: Callable[[], object], repeat: int) -> list[float]:
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, in turn; the median counts")
    parser.add_argument("--copies", type=int, default=10, help="how often the rollouts are scored in one call")
    options = parser.parse_args()
    rows = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
    rows = [row for row in rows if row["kind"] in ("correct_same_calls", "wrong_same_calls")]
    rollouts, refs = [row["rollout"] for row in rows], [row["reference"] for row in rows]
    official = [row["official"]["mentor"] for row in rows]
    assert mentor.score_batch(rollouts, refs, tools=TOOLS).reward.tolist() == official
    assert [round(peer(*pair), 12) for pair in zip(rollouts, refs, strict=True)] == [round(s, 12) for s in official]

    many, many_refs = rollouts * options.copies, refs * options.copies
    prepared = [mentor.Reference(ref) for ref in refs] * options.copies
    messages = [as_messages(text) for text in rollouts] * options.copies
    runs: dict[str, tuple[int, Callable[[], object]]] = {
        "math-verify path": (len(rows), lambda: [peer(*pair) for pair in zip(rollouts, refs, strict=True)]),
        "score_batch, 1 thread": (
            len(many),
            lambda: mentor.score_batch(many, prepared, tools=TOOLS, threads=1).reward,
        ),
        "score_batch": (len(many), lambda: mentor.score_batch(many, prepared, tools=TOOLS).reward),
        "score_batch, dict references": (len(many), lambda: mentor.score_batch(many, many_refs, tools=TOOLS).reward),
        "score_batch, messages": (len(many), lambda: mentor.score_batch(messages, prepared, tools=TOOLS).reward),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.repeat):
        for name, (_, run) in runs.items():
            times[name] += seconds(run, 1)
    rates = {name: runs[name][0] / statistics.median(times[name]) for name in runs}
    size = sum(map(len, rollouts)) / len(rollouts)
    table = Table(title=f"{len(rows)} rollouts, {size:.0f} characters each, median of {options.repeat}")
    table.add_column("what")
    table.add_column("rollouts/s", justify="right")
    table.add_column("times the math-verify path", justify="right")
    for name, rate in rates.items():
        table.add_row(name, f"{rate:,.0f}", f"{rate / rates['math-verify path']:,.1f}")
    Console().print(table)


def as_messages(text: str) -> list[dict]:
    """The rollout as a message list."""
    messages = []
    for turn in text.removesuffix("<|im_end|>").split("<|im_end|>\n<|im_start|>"):
        if turn.startswith("user\n"):
            messages.append({"role": "tool", "content": turn.removeprefix("user\n")})
        else:
            messages.append({"role": "assistant", "content": turn.removeprefix("assistant\n")})
    return messages


if __name__ == "__main__":
    main()
