"""The expected values of `cases/toolrl.json`, computed again from the formula by other means.

Regular expressions give the shape, Python's own `json` and `==` the calls. Slow and plain on purpose: what it cannot
read or compare raises, as it does in Python, and stands for the floor.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "cases" / "toolrl.json").read_text("utf-8"))
FLOOR = -3.0
THINK, CALLS, RESPONSE = r"<think>.*</think>", r"\n<tool_call>\n.*\n</tool_call>", r"\n<response>.*</response>"


def shape(gold: str, output: str) -> float:
    parts = {"<tool_call>": CALLS, "<response>": RESPONSE}
    wanted = [tag for tag in parts if tag in gold]
    tags = [form for tag in wanted for form in (tag, tag.replace("<", "</"))]
    whole = re.compile(THINK + "".join(parts[tag] for tag in wanted), re.DOTALL)
    return float(whole.fullmatch(output) is not None and all(len(output.split(tag)) == 2 for tag in tags))


def read(text: str) -> list[Any]:
    block = re.split("</?tool_call>", text[text.index("<tool_call>") :])[1]
    return [json.loads(line) for line in block.strip().split("\n")]


def jaccard(a: list[Any], b: list[Any]) -> float:
    left, right = Counter(a), Counter(b)
    union = sum((left | right).values())
    return sum((left & right).values()) / union if union else 1.0


def correctness(gold: str, output: str) -> float:
    if "<tool_call>" not in gold:
        return 0.0
    wanted = read(gold)
    if "</tool_call>" not in output:
        raise ValueError("no call")
    found = read(output)
    if wanted == found:
        return 3.0
    wanted_names, found_names = ([call["name"] for call in calls] for calls in (wanted, found))
    score = 1.0 if wanted_names == found_names else jaccard(wanted_names, found_names)
    for call in wanted:
        worth = []
        for at, other in enumerate(found):
            if other is not None and other["name"] == call["name"]:
                mine, theirs = call["parameters"], other["parameters"]
                equal = [key for key in mine.keys() & theirs.keys() if mine[key] == theirs[key]]
                worth.append((jaccard(list(mine), list(theirs)) + len(equal), -at))
        best, at = max(worth, default=(0.0, 0))
        if best:
            found[-at] = None
            score += best
    return 6.0 * score / (1 + sum(1 + len(call["parameters"]) for call in wanted)) - 3.0


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_expected_score_follows_from_the_formula(case: dict[str, Any]) -> None:
    output = case["output"].strip()
    try:
        score, readable = correctness(case["gold"], output), True
    except (AttributeError, KeyError, TypeError, ValueError):
        score, readable = FLOOR, False
    assert (case["format"], case["correctness"]) == (shape(case["gold"], output), score)
    assert (case["defect"] is None) == readable


def test_names_are_unique() -> None:
    names = Counter(case["name"] for case in CASES)
    assert max(names.values()) == 1
