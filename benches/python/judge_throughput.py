"""Answers per second of `mentor.judge_batch` beside math-verify and TRL's `accuracy_reward`, in one process.

All must give the same verdicts before anything is timed. Plain numbers and LaTeX answers apart, since their costs are.

    python benches/python/judge_throughput.py [--repeat 5] [--copies 20]
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Callable

from math_verify import parse, verify
from rich.console import Console
from rich.table import Table
from trl.rewards import accuracy_reward as peer_reward

import mentor
from mentor.rewards.accuracy import accuracy_reward

# Gold answer, right prediction, wrong prediction.
NUMBERS = [
    ("72", "72", "71"),
    ("1000", "1,000", "100"),
    ("0.75", "3/4", "0.7"),
    ("18", "18.0", "-18"),
    ("2125", "\\$2125", "2152"),
    ("-3", "-3", "3"),
]
LATEX = [
    (r"\frac{3}{4}", r"\dfrac{6}{8}", r"\frac{4}{3}"),
    (r"3\sqrt{13}", r"\sqrt{117}", r"13\sqrt{3}"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"(3, \pi/2)", r"(3, \pi)"),
    (r"[-2,7]", r"\left[-2, 7\right]", r"(-2,7)"),
    (r"6 - 5i", r"-5i+6", r"6+5i"),
    (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}", r"\frac{\sqrt{3}}{2}"),
    (r"\frac{1}{2}\log_2 3", r"\log_4 3", r"\log_2 3"),
    (r"x^2+2x+1", r"(x+1)^2", r"x^2+1"),
    (r"\{1,2,3\}", r"\{3,2,1\}", r"\{1,2,4\}"),
    (r"y = 2x+3", r"y=3+2x", r"y = 2x-3"),
]


def library(predictions: list[str], golds: list[str]) -> list[str]:
    """math-verify as its documentation has it."""
    pairs = zip(predictions, golds, strict=True)
    return ["equal" if verify(parse(f"${gold}$"), parse(f"${text}$")) else "different" for text, gold in pairs]


def milliseconds(run: Callable[[], object], repeat: int) -> float:
    """The median of some runs."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, in turn; the median counts")
    parser.add_argument("--copies", type=int, default=20, help="how often each pair is judged natively in one run")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    table = Table("answers", "judge", "us per answer", "ratio", title="medians; ratio to math-verify")
    for name, triples in (("plain numbers", NUMBERS), ("LaTeX", LATEX)):
        golds = [gold for gold, _, _ in triples for _ in range(2)]
        predictions = [text for _, right, wrong in triples for text in (right, wrong)]
        expected = ["equal", "different"] * len(triples)
        completions = [[{"role": "assistant", "content": f"So it is \\boxed{{{text}}}."}] for text in predictions]
        solutions = [f"${gold}$" for gold in golds]
        rewards = [float(verdict == "equal") for verdict in expected]
        assert list(mentor.judge_batch(predictions, golds, fallback=None)) == expected
        assert library(predictions, golds) == expected
        assert accuracy_reward(completions, solutions) == rewards
        assert peer_reward(completions, solutions) == rewards
        many = options.copies
        batches = (predictions * many, golds * many, completions * many, solutions * many)
        runs: list[tuple[str, Callable[[], object], int]] = [
            ("math-verify", lambda p=predictions, g=golds: library(p, g), 1),
            ("TRL accuracy_reward", lambda c=completions, s=solutions: peer_reward(c, s), 1),
            ("judge_batch", lambda b=batches: mentor.judge_batch(b[0], b[1], fallback=None), many),
            ("accuracy_reward", lambda b=batches: accuracy_reward(b[2], b[3]), many),
        ]
        micros = {run: milliseconds(call, options.repeat) * 1000 / copies / len(golds) for run, call, copies in runs}
        for run, cost in micros.items():
            table.add_row(name, run, f"{cost:,.2f}", f"{micros['math-verify'] / cost:,.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
