"""``Score.explain()``: the text as a whole, the terms and turns that add up, and hostile text that stays text."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

import mentor
from mentor.score import REWARDS

GOLDEN = Path(__file__).parent / "golden" / "reward_official.jsonl"
REF = {
    "answer": "24",
    "tool_calls": [
        {"name": "multiply", "arguments": {"a": 6, "b": 4}},
        {"name": "add", "arguments": {"a": 1, "b": 1}, "result": "2"},
    ],
}


def rollout(answer: str = "24") -> list[dict]:
    def calls(*asked: tuple[str, dict]) -> dict:
        made = [{"function": {"name": name, "arguments": arguments}} for name, arguments in asked]
        return {"role": "assistant", "tool_calls": made}

    return [
        calls(("multiply", {"a": 6, "b": 5}), ("sqrt", {"x": 9})),
        {"role": "tool", "content": "30"},
        {"role": "tool", "content": "3"},
        {"role": "assistant", "content": f"It is \\boxed{{{answer}}}."},
    ]


def test_the_text_as_a_whole() -> None:
    score = mentor.score_batch([rollout("7")], [REF], tools=["add", "multiply"])[0]
    assert str(score.explain()).splitlines() == [
        "reward 0.0312 (mentor-dense) = 0.0187 process + 0.0125 validity",
        "answer 7, reference 24: different",
        "",
        "  student                     reference             worth",
        "  1 multiply(a=6, b=5) -> 30  1 multiply(a=6, b=4)   0.50",
        "      b differs (0.00 alike)",
        "  2 sqrt(x=9) -> 3            -                         0",
        "      stands for no call of the reference",
        "  -                           2 add(a=1, b=1) -> 2      0",
        "      no call of the student's stands for it",
        "",
        "defects",
        '  unknown_tool: no tool named "sqrt" was offered',
        "",
        "turns",
        "  1 (message 0): +0.0312",
        "  2 (message 3): +0.0000",
    ]


def test_without_calls_and_without_an_answer() -> None:
    text = str(mentor.score_batch(["hm<|im_end|>"], [{"answer": "1"}])[0].explain())
    assert text.startswith("reward 0.0000 (mentor-dense)\nno answer; the reference's is 1\nneither the student nor")


@pytest.mark.parametrize("reward", REWARDS)
def test_terms_and_turns_add_up_to_the_reward(reward: str) -> None:
    rows = [json.loads(line) for line in GOLDEN.read_text().splitlines()][::13]
    scores = mentor.score_batch(
        [row["rollout"] for row in rows], [row["reference"] for row in rows], reward=reward, judge="native"
    )
    for score in scores:
        assert sum(value for _, value in score.terms) == pytest.approx(score.reward, abs=1e-12)
        if score.turns:
            assert sum(turn.credit for turn in score.turns) == pytest.approx(score.reward, abs=1e-12)
        assert score.reward_name == reward


def test_rich_shows_the_same() -> None:
    score = mentor.score_batch([rollout()], [REF])[0]
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(score.explain())
    text = console.export_text()
    for piece in ("multiply(a=6, b=5) -> 30", "b differs", "no call of the student's", "0.50", "mentor-dense"):
        assert piece in text


def test_model_text_cannot_steer_the_terminal_or_the_markup() -> None:
    messages = rollout("\x1b[31m[red]24")
    messages[0]["tool_calls"][0]["function"]["arguments"] = {"a\x1b[2J": "[bold]\x07" + "x" * 500}
    score = mentor.score_batch([messages], [REF], judge="native")[0]
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(score.explain())
    for text in (str(score.explain()), console.export_text()):
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "[bold]" in text
        assert max(map(len, text.splitlines())) < 250
