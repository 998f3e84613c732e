"""Run folders as `python -m mentor.train` leaves them, written by the tests."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SPLITS = ("in_domain", "depth", "nohint", "store/in_domain")


def write_run(
    folder: Path,
    *,
    method: str,
    seed: int,
    accuracy: float,
    splits: Sequence[str] = SPLITS,
    tasks: int = 40,
    stages: Sequence[str] = ("before", "after"),
    config: Mapping[str, Any] | None = None,
    steps: int = 12,
    outcomes: bool = True,
) -> Path:
    """A run whose accuracy after training is `accuracy` on every split, up to the tasks that are drawn."""
    folder.mkdir(parents=True)
    settings = {"preset": "tiny", "method": method, "seed": seed, "max_steps": steps, **(config or {})}
    versions = {"mentor": "0.1.0", "torch": "2.13.0"}
    (folder / "config.yaml").write_text(json.dumps({**settings, "versions": versions}))
    rng = random.Random(f"{method}-{seed}")
    with (folder / "eval.jsonl").open("w") as file:
        for stage in stages:
            for split in splits:
                share = accuracy if stage == "after" else 0.1
                correct = [int(rng.random() < share) for _ in range(tasks)]
                sampled = [int(rng.random() < share * 0.9) for _ in range(tasks)]
                row: dict[str, Any] = {"stage": stage, "split": split, "tasks": tasks, "reward": share}
                row |= {"accuracy": sum(correct) / tasks, "sampled_accuracy": sum(sampled) / tasks}
                row |= {"tool_validity": share, "alignment_f1": share * 0.8, "tool_similarity": min(1, share + 0.1)}
                row |= {"calls_per_rollout": 3 * share, "silent": 1 - share, "truncated": 0.0}
                row |= {"correct": correct, "sampled_correct": sampled} if outcomes else {}
                file.write(json.dumps(row) + "\n")
    with (folder / "metrics.jsonl").open("w") as file:
        file.write(json.dumps({"phase": "base", "step": 1, "loss": 3.0}) + "\n")
        for step in range(1, steps + 1):
            row = {"phase": "sft" if method.startswith("sft") else "grpo", "step": step, "loss": 0.1}
            if row["phase"] == "grpo":
                share = accuracy * step / steps
                row |= {"reward": share, "accuracy": share, "silent": 1 - share, "zero_variance_groups": 0.25}
            file.write(json.dumps(row) + "\n")
    return folder
