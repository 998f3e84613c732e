"""The rollouts of the benches: real GSM8K solutions with four tool calls in Qwen's chat template, 1.8 kB each."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[2] / "tests" / "golden" / "reward_official.jsonl"
SIZE = 1800  # characters
CALLS = 4

Row = dict[str, Any]


def rows() -> list[Row]:
    """Rows with ``rollout``, ``reference`` and the ``official`` scores, right and wrong answers mixed."""
    found = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
    return [
        {**row, "rollout": lengthened(row["rollout"])}
        for row in found
        if row["kind"] in ("correct_same_calls", "wrong_same_calls") and len(row["reference"]["tool_calls"]) == CALLS
    ]


def lengthened(text: str) -> str:
    """The rollout with a thought made longer by sentences of its own."""
    sentences = [line for line in text.splitlines() if len(line) > 20 and "<" not in line and line[0] != "{"]
    missing = SIZE - len(text) - 1
    if missing <= 0 or not sentences:
        return text
    thought = " ".join(itertools.islice(itertools.cycle(sentences), missing // 20))
    return text.replace("<think>\n", f"<think>\n{thought[:missing]}\n", 1)


def as_messages(text: str) -> list[dict[str, Any]]:
    """The rollout as TRL gives it: structured calls, one message per tool result."""
    messages: list[dict[str, Any]] = []
    for turn in text.removesuffix("<|im_end|>").split("<|im_end|>\n<|im_start|>"):
        if turn.startswith("user\n"):
            results = turn.split("<tool_response>\n")[1:]
            messages += [{"role": "tool", "content": result.split("\n</tool_response>")[0]} for result in results]
            continue
        content, *blocks = turn.removeprefix("assistant\n").split("<tool_call>\n")
        calls = [{"type": "function", "function": json.loads(block.split("\n</tool_call>")[0])} for block in blocks]
        messages.append({"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {})})
    return messages
