"""Formats of tool calls through the Python API: the shared cases, and detection by model, tokenizer and template."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import mentor
from mentor.errors import InputError, InputTypeError
from mentor.score import FORMATS

CASES = json.loads((Path(__file__).parent / "cases" / "formats.json").read_text())
SCORING = {"unexecuted_call", "repeated_call", "early_answer"}  # what only scoring finds


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_shared_case(case: dict[str, Any]) -> None:
    rollout = case["text"] if "text" in case else case["messages"]
    tools = case.get("tools")
    score = mentor.score_batch([rollout], [{"answer": "4"}], format=case["format"], tools=tools, judge="native")[0]
    assert [{"name": call.name, "arguments": call.arguments} for call in score.calls] == case["calls"]
    skipped = SCORING | {"no_answer", "not_finished"} | ({"unknown_tool", "invalid_arguments"} if tools else set())
    assert [defect.kind for defect in score.defects if defect.kind not in skipped] == case["defects"]
    if "answer" in case:
        assert score.answer == case["answer"]
    if "text" in case:
        raw = case["text"].encode()
        for call in score.calls:
            assert call.span is not None
            assert call.name in raw[slice(*call.span)].decode()
            if call.result_span is not None:
                assert raw[slice(*call.result_span)].decode().strip() == call.result


def test_every_format_has_a_case() -> None:
    assert {case["format"] for case in CASES} == set(FORMATS)


QWEN_CODER = "{% for message in messages %}<tool_call>\n<function={{ name }}>\n<parameter=x>{% endfor %}"


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", "hermes"),
        ("meta-llama/Llama-3.2-1B-Instruct", "llama3_json"),
        ("openai/gpt-oss-20b", "harmony"),
        (QWEN_CODER, "qwen3_coder"),
        (SimpleNamespace(chat_template=QWEN_CODER, name_or_path="x"), "qwen3_coder"),
        (SimpleNamespace(chat_template={"default": "", "tool_use": QWEN_CODER}, name_or_path="x"), "qwen3_coder"),
        (SimpleNamespace(chat_template=None, name_or_path="Qwen/Qwen3-8B"), "hermes"),
    ],
)
def test_detection(model: Any, name: str) -> None:
    assert mentor.detect_format(model) == name
    text = "<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call><|im_end|>"
    found = mentor.score_batch([text], [{"answer": "1"}], format=model)[0].calls
    assert len(found) == (1 if name == "qwen3_coder" else 0)


def test_what_cannot_be_detected() -> None:
    with pytest.raises(InputError, match="format: cannot tell how 'nobody/knows' writes tool calls; name one of auto"):
        mentor.detect_format("nobody/knows")
    with pytest.raises(InputError, match="this SimpleNamespace"):
        mentor.detect_format(SimpleNamespace(chat_template=None, name_or_path=""))
    with pytest.raises(InputTypeError, match="format: must be a name or a tokenizer, got int"):
        mentor.score_batch([], [], format=7)
