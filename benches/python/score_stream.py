"""Rollouts per second and peak memory of `mentor score` on large files, and memory of `mentor.score_batch`.

The files are made of the golden rollouts, each made longer, with a sample's number in its text; eight samples share a
reference, as the rollouts of one prompt do. Each run is a process of its own. Peak memory is that of the process's
resident pages, without the workers of math-verify.

    python benches/python/score_stream.py [--rows 100000 1000000] [--endings .jsonl .parquet .csv] [--json]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

GOLDEN = Path(__file__).parents[2] / "tests" / "golden" / "reward_official.jsonl"
GROUP = 8
PADDING = " I check each step before I go on." * 14
BATCH_MB = 200


def samples() -> Iterator[dict[str, Any]]:
    """Rollouts without end, about 1.8 kB each."""
    rows = [orjson.loads(line) for line in GOLDEN.read_bytes().splitlines()]
    number = 0
    while True:
        row = rows[number // GROUP % len(rows)]
        start = f"<think>\nSample {number}.{PADDING}\n</think>\n"
        reference = {**row["reference"], "source": number // GROUP}
        yield {"id": number, "rollout": start + row["rollout"], "reference": reference}
        number += 1


def peak_mb() -> float:
    """The most memory that this process had, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent had when it started this process
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def run_file(file: str, output: str) -> dict[str, float]:
    """In a child: scores a file."""
    from mentor.cli import main

    started = time.perf_counter()
    main(["score", file, *(["-o", output] if output else [])], standalone_mode=False)
    return {"seconds": time.perf_counter() - started, "peak_mb": peak_mb()}


def run_batch(form: str) -> dict[str, float]:
    """In a child: scores rollouts that are in memory, and says how much that took."""
    import mentor
    from mentor.score import Reference

    mentor.score_batch(["warm"] * 100_000, [{"answer": "1"}] * 100_000)
    rollouts: list[Any] = []
    size = 0
    references: dict[bytes, Reference] = {}
    refs: list[Reference] = []
    for row in samples():
        if size >= BATCH_MB * 1e6:
            break
        text = row["rollout"]
        size += len(text)
        turns = text.removesuffix("<|im_end|>").split("<|im_end|>\n<|im_start|>")
        messages = [
            {"role": "tool" if turn.startswith("user\n") else "assistant", "content": turn.partition("\n")[2]}
            for turn in turns
        ]
        rollouts.append(text if form == "text" else messages)
        key = orjson.dumps(row["reference"])
        if key not in references:
            references[key] = Reference(key)
        refs.append(references[key])
    before = peak_mb()
    started = time.perf_counter()
    scores = mentor.score_batch(rollouts, refs)
    rewards = scores.reward
    seconds = time.perf_counter() - started
    growth = peak_mb() - before
    assert len(rewards) == len(rollouts)
    return {"rows": len(rollouts), "input_mb": size / 1e6, "growth_mb": growth, "seconds": seconds}


def child(*args: str) -> dict[str, float]:
    """Runs one of the above in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--child", *args], stdout=subprocess.PIPE, check=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def files(folder: Path, counts: list[int], endings: list[str]) -> Iterator[dict[str, Any]]:
    """Figures of `mentor score`: rows, input, output, seconds, peak_mb."""
    import pyarrow.parquet as pq

    from mentor.data.columns import column_writer

    for count in counts:
        lines, table = folder / f"{count}.jsonl", folder / f"{count}.parquet"
        kinds = {"id": "integer", "rollout": "text", "reference": "text"}
        with lines.open("wb") as out, column_writer(table, kinds) as write:
            rows = samples()
            for start in range(0, count, 1000):
                part = [next(rows) for _ in range(min(1000, count - start))]
                out.writelines(orjson.dumps(row) + b"\n" for row in part)
                references = [orjson.dumps(row["reference"]).decode() for row in part]
                write({name: [row[name] for row in part] for name in ("id", "rollout")} | {"reference": references})
        one_group = folder / f"{count}-one-group.parquet"
        with pq.ParquetFile(table) as parts, pq.ParquetWriter(one_group, parts.schema_arrow) as whole:
            whole.write_table(parts.read(), row_group_size=count)
        runs = [(lines, ending) for ending in ("", *endings)] + [(table, ".parquet"), (one_group, ".parquet")]
        for source, ending in runs:
            output = folder / f"scores{ending}"
            figures = child("file", str(source), str(output) if ending else "")
            size = source.stat().st_size / count
            name = source.name.removeprefix(str(count)).lstrip("-.")
            yield {"rows": count, "input": name, "bytes": size, "output": ending or "none", **figures}
        for path in (lines, table, one_group):
            path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="rollouts of each file")
    parser.add_argument("--endings", nargs="*", default=[".jsonl", ".parquet", ".csv"], help="outputs to write")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        what, *args = options.child
        print("\n" + json.dumps(run_file(*args) if what == "file" else run_batch(*args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        streamed = list(files(Path(folder), options.rows, options.endings))
    batches = {form: child("batch", form) for form in ("text", "messages")}
    if options.json:
        print(json.dumps({"files": streamed, "batches": batches}))
        return
    report(streamed, batches)


def report(streamed: list[dict[str, Any]], batches: dict[str, dict[str, float]]) -> None:
    """Prints the figures."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="mentor score", caption="start of the process included; bytes: of the file, per row")
    for name in ("rows", "input", "bytes", "output", "rollouts/s", "peak memory"):
        table.add_column(name, justify="left" if name in ("input", "output") else "right")
    for run in streamed:
        rate, size = run["rows"] / run["seconds"], f"{run['bytes']:,.0f}"
        figures = (size, run["output"], f"{rate:,.0f}", f"{run['peak_mb']:,.0f} MB")
        table.add_row(f"{run['rows']:,}", run["input"], *figures)
    Console().print(table)
    table = Table(title="mentor.score_batch")
    for name in ("rollouts", "input", "memory taken", "of the input", "rollouts/s"):
        table.add_column(name, justify="right")
    for form, run in batches.items():
        share = run["growth_mb"] / run["input_mb"]
        rate = run["rows"] / run["seconds"]
        figures = (f"{run['input_mb']:,.0f} MB {form}", f"{run['growth_mb']:,.0f} MB", f"{share:.2f}", f"{rate:,.0f}")
        table.add_row(f"{run['rows']:,.0f}", *figures)
    Console().print(table)


if __name__ == "__main__":
    main()
