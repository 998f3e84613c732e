"""The importers: samples of the published files, rows written for the purpose, and what is left out by which reason."""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from mentor.cli.importing import import_group
from mentor.data import Task, read_tasks, write_tasks
from mentor.data.apibank import import_apibank
from mentor.data.bfcl import CATEGORIES, import_bfcl, matches
from mentor.data.calls import ToolChecks, call_text, read_call
from mentor.data.imports import ImportReport, LeftOut
from mentor.data.mentor_data import import_mentor_data
from mentor.data.responses import import_responses
from mentor.data.rows import count_rows, read_rows
from mentor.data.schemas import tool_schema, type_schema
from mentor.data.svamp import import_svamp
from mentor.data.toolrl import import_toolrl
from mentor.data.validation import validate_tasks
from mentor.errors import DataError, InputError
from mentor.score import score_batch
from mentor.tools import ToolSet, arithmetic

CASES = Path(__file__).parent / "cases"
SVAMP, TOOLRL, APIBANK = CASES / "svamp_sample.json", CASES / "toolrl_rows.json", CASES / "apibank_sample.json"
BFCL = CASES / "bfcl"


def bfcl_file(category: str) -> Path:
    return BFCL / f"BFCL_v4_{category}.json"


@pytest.fixture(scope="module")
def tools() -> ToolSet:
    return arithmetic()


def put(folder: Path, rows: list[Any], name: str = "rows.json") -> Path:
    file = folder / name
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif name.endswith(".jsonl"):
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        file.write_text(json.dumps(rows))
    return file


def calls(task: Task) -> list[tuple[str, dict[str, Any]]]:
    return [(call["name"], call["arguments"]) for call in task.reference["tool_calls"]]


# --- SVAMP


def test_svamp_equations_become_executed_calls(tools: ToolSet) -> None:
    tasks, report = import_svamp(SVAMP, tools)
    assert (report.rows, report.verified) == (20, 18)
    assert dict(report.left_out) == {
        "no calculator mark with an operation": 1,
        "an executed result differs from the mark": 1,
    }
    first = tasks[0]
    assert first.id == "svamp-chal-1"
    assert calls(first) == [("subtract", {"a": 76, "b": 25})]
    assert (first.reference["answer"], first.meta["results"], first.meta["executable"]) == ("51", ["51"], True)
    for task in tasks:
        outcomes = tools.call_batch(calls(task))
        assert [json.dumps(outcome.value) for outcome in outcomes] == task.meta["results"]
        assert float(task.meta["results"][-1]) == float(task.reference["answer"])
    scores = score_batch([task.reference["messages"] for task in tasks], [dict(task.reference) for task in tasks])
    assert set(scores.components["correct"]) == set(scores.components["exact_f1"]) == {1.0}


@pytest.mark.parametrize(
    ("body", "question", "prompt"),
    [
        ("Ann has 2 pens", "How many?", "Ann has 2 pens. How many?"),
        ("Ann has 2 pens.", "How many?", "Ann has 2 pens. How many?"),
        ("Ann has 2 pens. If she buys 3", "How many has she?", "Ann has 2 pens. If she buys 3, how many has she?"),
        ("", "What is 2 + 3?", "What is 2 + 3?"),
    ],
)
def test_svamp_prompts_are_sentences(tmp_path: Path, tools: ToolSet, body: str, question: str, prompt: str) -> None:
    row = {"Body": body, "Question": question, "Equation": "( 2.0 + 3.0 )", "Answer": 5.0}
    tasks, _ = import_svamp(put(tmp_path, [row]), tools)
    assert str(tasks[0].prompt).partition("\n\n")[0] == prompt


# --- BFCL


@pytest.mark.parametrize(
    ("category", "rows", "left_out"),
    [
        ("simple_python", 6, 0),
        ("multiple", 4, 0),
        ("parallel", 4, 0),
        ("parallel_multiple", 4, 1),
        ("irrelevance", 4, 0),
        ("multi_turn_base", 3, 0),
    ],
)
def test_bfcl_rows_become_tasks_whose_reference_is_allowed(category: str, rows: int, left_out: int) -> None:
    tasks, report = import_bfcl(bfcl_file(category))
    assert (report.rows, report.checked, report.verified) == (rows, rows - left_out, 0)
    assert sum(report.left_out.values()) == left_out
    checks = ToolChecks()
    for task in tasks:
        assert (task.meta["executable"], task.meta["verifier"], task.meta["category"]) == (False, "calls", category)
        assert task.reference["answer"] == (call_text(task.reference["tool_calls"]) or "none")
        for call in task.reference["tool_calls"]:
            assert checks.fault([dict(tool) for tool in task.tools if isinstance(tool, Mapping)], call) is None
        if category != "multi_turn_base":
            assert matches(task.reference["tool_calls"], task.reference.get("alternatives", []))


def test_bfcl_takes_the_first_allowed_value_and_leaves_out_what_may_be() -> None:
    simple = import_bfcl(bfcl_file("simple_python"))[0]
    assert calls(simple[0]) == [("calculate_triangle_area", {"base": 10, "height": 5, "unit": "units"})]
    assert calls(simple[2]) == [("math.hypot", {"x": 4, "y": 5})]
    assert calls(simple[5]) == [("game_result.get_winner", {"teams": ["Lakers", "Clippers"], "date": "2021-01-28"})]
    assert simple[0].tools[0]["function"]["parameters"]["properties"]["base"]["type"] == "integer"  # type: ignore[index]
    assert [name for name, _ in calls(import_bfcl(bfcl_file("parallel"))[0][0])] == ["spotify.play"] * 2


def test_bfcl_multi_turn_keeps_the_turns_and_leaves_out_excluded_functions() -> None:
    task = import_bfcl(bfcl_file("multi_turn_base"))[0][0]
    assert [turn["tool_calls"] for turn in task.meta["turns"]][1] == [
        {"name": "cd", "arguments": {"folder": "workspace"}},
        {"name": "mv", "arguments": {"source": "log.txt", "destination": "archive"}},
    ]
    assert [call for turn in task.meta["turns"] for call in turn["tool_calls"]] == task.reference["tool_calls"]
    assert all(turn["request"] in task.messages[0]["content"] for turn in task.meta["turns"])
    row = json.loads(bfcl_file("multi_turn_base").read_text().splitlines()[0])
    offered = {tool["function"]["name"] for tool in task.tools}  # type: ignore[index]
    assert offered.isdisjoint(row["excluded_function"]) if "excluded_function" in row else "cp" in offered
    assert "GorillaFileSystem" in task.meta["initial_config"]


ALLOWED = [{"area": {"base": [10], "unit": ["cm", "centi-metres", ""], "corners": [[1, 2]], "where": [{"at": ["x"]}]}}]
GOOD = {"base": 10, "unit": "CM", "corners": [1, 2], "where": {"at": "x"}}


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({}, True),
        ({"base": 10.0}, True),
        ({"unit": "centi metres"}, True),
        ({"unit": None}, False),
        ({"base": "10"}, False),
        ({"base": True}, False),
        ({"base": 11}, False),
        ({"corners": [2, 1]}, False),
        ({"corners": [1, 2, 3]}, False),
        ({"where": {"at": "y"}}, False),
        ({"where": {}}, False),
        ({"more": 1}, False),
    ],
)
def test_a_call_is_allowed_by_its_values(change: dict[str, Any], allowed: bool) -> None:
    assert matches([{"name": "area", "arguments": {**GOOD, **change}}], ALLOWED) is allowed


def test_what_may_be_absent_may_and_what_may_not_may_not() -> None:
    without = {key: value for key, value in GOOD.items() if key != "unit"}
    assert matches([{"name": "area", "arguments": without}], ALLOWED)
    without = {key: value for key, value in GOOD.items() if key != "base"}
    assert not matches([{"name": "area", "arguments": without}], ALLOWED)


def test_calls_are_matched_in_any_order_and_one_to_one() -> None:
    either, second = {"f": {"a": [1, 2]}}, {"f": {"a": [1]}}
    one, two = {"name": "f", "arguments": {"a": 1}}, {"name": "f", "arguments": {"a": 2}}
    for order in ([one, two], [two, one]):
        assert matches(order, [either, second]) and matches(order, [second, either])
    assert not matches([two, two], [either, second])
    assert not matches([one], [either, second]) and not matches([one], []) and matches([], [])
    assert matches([{"name": "a_b", "arguments": {}}], [{"a.b": {}}])


VALUES = st.recursive(
    st.booleans() | st.integers(-99, 99) | st.text(min_size=1, max_size=4), lambda v: st.lists(v, max_size=2)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), max_size=4), st.randoms())
def test_any_calls_match_themselves_in_any_order(arguments: list[dict[str, Any]], rng: Any) -> None:
    allowed = [{"f": {key: [value] for key, value in one.items()}} for one in arguments]
    made = [{"name": "f", "arguments": one} for one in arguments]
    rng.shuffle(made)
    assert matches(made, allowed)
    assert not matches([*made, {"name": "g", "arguments": {}}], allowed)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "id: missing"),
        ({"id": "simple_python_0"}, "question: missing"),
        ({"id": "simple_python_0", "question": [["hi"]]}, "question[0]: a list of messages is wanted"),
        ({"id": "simple_python_0", "question": [[{}]]}, "question[0]: each message needs a role"),
        ({"id": "simple_python_0", "question": [[{"role": "user"}]]}, "function: missing"),
        ({"id": "simple_python_0", "question": [[{"role": "user"}]], "function": [{}]}, "function[0]: an object with"),
    ],
)
def test_a_row_that_is_not_bfcls_is_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    file = put(tmp_path, [row], "BFCL_v4_simple_python.json")
    answers = BFCL / "possible_answer" / "BFCL_v4_simple_python.json"
    with pytest.raises(DataError) as caught:
        import_bfcl(file, answers=answers)
    assert f"{file}:1: {message}" in str(caught.value)
    assert import_bfcl(file, answers=answers, on_error="skip")[1].unreadable[0].reason.startswith(message)


def test_bfcl_says_which_file_is_missing(tmp_path: Path) -> None:
    file = put(tmp_path, [{"id": "x"}], "BFCL_v4_parallel.json")
    with pytest.raises(DataError, match=r"possible_answer/BFCL_v4_parallel\.json: no such file; .* --answers$"):
        import_bfcl(file)
    with pytest.raises(InputError, match=r"category: 'java' is unknown; known are simple_python, "):
        import_bfcl(file, category="java")
    file = put(tmp_path, [{"id": "x"}], "BFCL_v4_multi_turn_base.json")
    with pytest.raises(DataError, match=r"multi_turn_func_doc: no such folder; .* --docs$"):
        import_bfcl(file, answers=file)


# --- ToolRL and API-Bank


def test_toolrl_rows_become_tasks_or_are_left_out_by_reason() -> None:
    tasks, report = import_toolrl(TOOLRL)
    assert [task.id.rpartition("-")[2] for task in tasks] == ["1", "2", "3", "4", "10"]
    assert dict(report.left_out) == {
        "the reference's arguments do not fit the tool's schema": 1,
        "the reference calls a tool that is not offered": 1,
        "the gold call cannot be read": 1,
        "the gold turn has neither call nor response": 1,
        "no list of tools": 1,
    }
    assert report.rows == report.checked + 5 == 10
    assert calls(tasks[1]) == [("weather/today", {"city": "Ulm"}), ("weather/today", {"city": "Bonn", "days": 2})]
    assert [tool["function"]["name"] for tool in tasks[0].tools] == ["weather/today", "mean"]  # type: ignore[index]
    mean = tasks[0].tools[1]["function"]  # type: ignore[index]
    assert mean["description"] == "The mean of numbers.\nEmpty lists are refused."
    assert mean["parameters"]["properties"]["numbers"]["items"] == {"type": "number"}
    assert [message["role"] for message in tasks[2].prompt] == ["user", "assistant", "tool"]  # type: ignore[index]
    assert (tasks[2].reference["answer"], tasks[2].meta["verifier"]) == ("The mean is 2.5.", "text")
    assert calls(tasks[3]) == [("mean", {"numbers": [2, 4], "exact": True})]
    assert tasks[4].messages == [{"role": "user", "content": "No tags here: what is the mean of 1 and 2?"}]


def test_toolrl_gold_turns_earn_its_reward_in_full() -> None:
    tasks, _ = import_toolrl(TOOLRL, keep_prompt=True)
    assert [message["role"] for message in tasks[0].prompt] == ["system", "user"]  # type: ignore[index]
    rows = [task for task in tasks if task.meta["verifier"] == "calls"]
    golds = [str(task.reference["output"]) for task in rows]
    scores = score_batch(golds, [dict(task.reference) for task in rows], reward="toolrl", format="toolrl")
    assert scores.reward.tolist() == [4.0] * len(rows)


def test_toolrls_rl_layout_is_understood(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": [{"role": "system", "content": row["instruction"]}, {"role": "user", "content": row["input"]}],
            "reward_model": {"style": "rule", "ground_truth": row["output"]},
        }
        for row in json.loads(TOOLRL.read_text())
    ]
    tasks, _ = import_toolrl(put(tmp_path, rows, "train.parquet"))
    assert [task.reference for task in tasks] == [task.reference for task in import_toolrl(TOOLRL)[0]]


def test_apibank_gold_calls_become_references() -> None:
    tasks, report = import_apibank(APIBANK)
    assert dict(report.left_out) == {
        "the reference's arguments do not fit the tool's schema": 1,
        "the reference calls a tool that is not offered": 1,
    }
    assert calls(tasks[0])[0][0] == "ModifyRegistration"
    assert calls(tasks[1])[0][1]["health_data"] == [
        {"name": "blood_pressure", "value": "120/80"},
        {"name": "heart_rate", "value": "80"},
    ]
    with_result = tasks[2].messages
    assert [m["role"] for m in with_result] == ["user", "assistant"] * 2 + ["user", "assistant", "tool", "user"]
    assert with_result[5]["tool_calls"][0]["function"]["name"] == "GetUserToken"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"system": 3}, "system: a string is wanted, found a number"),
        ({"system": "", "user": ""}, "answer: a call, or a list of calls, is wanted"),
        ([1], "an object is wanted, found a list"),
    ],
)
def test_a_row_of_another_format_stops_or_is_counted(tmp_path: Path, row: Any, message: str) -> None:
    file = put(tmp_path, [row])
    with pytest.raises(DataError) as caught:
        import_apibank(file)
    assert str(caught.value) == f"{file}:1: {message}"
    assert [bad.reason for bad in import_apibank(file, on_error="skip")[1].unreadable] == [message]


@pytest.mark.parametrize(
    "value", [str(2**70), "NaN", "1e999", '"\\ud800"', "[" * 240 + "]" * 240, "[" * 300 + "]" * 300]
)
@pytest.mark.parametrize("where", ["output", "input"])
def test_values_that_no_file_takes_leave_out_their_row_only(tmp_path: Path, value: str, where: str) -> None:
    call = '{"name": "f", "parameters": {"a": %s}}'
    good = {
        "instruction": "**Available Tools**\n1. Name: f\nDescription: F.\nParameters: {'a': {'type': 'any'}}\n",
        "input": "**Dialogue Records History**\n<user> Hi </user>\n",
        "output": f"<tool_call>\n{call % 1}\n</tool_call>",
    }
    turn = f"<tool_call>{call % value}</tool_call>"
    bad = {**good, where: turn if where == "output" else f"{good['input']}{turn}<obs> 1 </obs>"}
    tasks, report = import_toolrl(put(tmp_path, [bad, good]))
    for ending in ("jsonl", "parquet"):
        write_tasks(tmp_path / f"t.{ending}", tasks)
        assert list(read_tasks(tmp_path / f"t.{ending}")) == tasks
    assert len(tasks) == 2 - report.left_out.total()
    assert len(tasks) >= (2 if value == str(2**70) else 1)  # of large numbers only the last digits go


def test_two_rows_with_one_id_give_one_task(tmp_path: Path, tools: ToolSet) -> None:
    row = json.loads(SVAMP.read_text())[0]
    tasks, report = import_svamp(put(tmp_path, [row, row]), tools)
    assert (len(tasks), dict(report.left_out)) == (1, {"another row has the same id": 1})
    file = bfcl_file("irrelevance")
    lines = file.read_text().splitlines(keepends=True)
    twice = tmp_path / "twice.json"
    twice.write_text("".join([*lines, lines[0]]))
    tasks, report = import_bfcl(twice, category="irrelevance")
    assert (len(tasks), dict(report.left_out)) == (len(lines), {"another row has the same id": 1})


# --- MENTOR's own data


def published(tools: ToolSet, **change: Any) -> dict[str, Any]:
    """A row as the published Parquet has it: nested columns are JSON text, of calls only names are known."""
    row = {
        "data_source": "math",
        "question": "What is 2 + 3 * 4?",
        "reward_model": json.dumps({"ground_truth": ["14", "14.0"], "style": "rule"}),
        "extra_info": json.dumps({"index": 0, "env": "def add(a, b): ...", "func_schemas": json.dumps(tools.schemas)}),
        "tool_calls_used": json.dumps(["multiply", "add"]),
    }
    return row | change


def test_the_published_layout_gives_names_answers_and_tools(tmp_path: Path, tools: ToolSet) -> None:
    tasks, report = import_mentor_data(put(tmp_path, [published(tools)], "train.parquet"), tools)
    (task,) = tasks
    assert (report.checked, report.verified) == (1, 0)
    assert calls(task) == [("multiply", {}), ("add", {})]
    assert (task.reference["answer"], task.reference["answers"]) == ("14", ["14", "14.0"])
    assert task.meta["names_only"] and task.meta["env"] == "def add(a, b): ..."
    assert len(task.tools) == 12 and "\\boxed{}" in str(task.prompt)
    right = "<tool_call>\n{}\n</tool_call>"
    text = right.format(json.dumps({"name": "add", "arguments": {"a": 2, "b": 12}}))
    text = right.format(json.dumps({"name": "multiply", "arguments": {"a": 3, "b": 4}})) + text
    rollout = f"{text}<|im_end|>\n<|im_start|>assistant\n\\boxed{{14}}<|im_end|>"
    assert score_batch([rollout], [dict(task.reference)], reward="mentor").reward[0] == pytest.approx(1.1)


CALLS = [{"name": "multiply", "arguments": {"a": 3, "b": 4}}, {"name": "add", "arguments": {"a": 2, "b": 12}}]
MADE = [{"type": "function", "function": {**call, "arguments": json.dumps(call["arguments"])}} for call in CALLS]


@pytest.mark.parametrize(
    "change",
    [
        {"tool_calls_used": CALLS},
        {"tool_calls_used": json.dumps(CALLS)},
        {"tool_calls_used": [json.dumps(call) for call in CALLS]},
        {"tool_calls_used": None, "tool_calls": MADE},
        {"tool_calls_used": ["multiply", "add"], "messages": [{"role": "assistant", "tool_calls": MADE}]},
        {
            "tool_calls_used": None,
            "response": "".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in CALLS) + "\\boxed{14}",
        },
        {"question": None, "problem": "What?", "tool_calls_used": [{"tool": "multiply", "args": {"a": 3, "b": 4}}]},
    ],
)
@pytest.mark.parametrize("ending", ["json", "parquet"])
def test_calls_with_arguments_are_executed_wherever_they_stand(
    tmp_path: Path, tools: ToolSet, change: dict[str, Any], ending: str
) -> None:
    tasks, report = import_mentor_data(put(tmp_path, [published(tools, **change)], f"rows.{ending}"), tools)
    assert (report.verified, report.checked, dict(report.left_out)) == (1, 0, {})
    expected = ["12", "14"] if len(tasks[0].reference["tool_calls"]) == 2 else ["12"]
    assert tasks[0].meta["results"] == expected
    assert tasks[0].reference["tool_calls"] == CALLS[: len(expected)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tool_calls_used": []}, "the teacher called no tool"),
        ({"tool_calls_used": None}, "the teacher called no tool"),
        ({"tool_calls_used": [3]}, "a call of the teacher cannot be read"),
        ({"tool_calls_used": [{"name": "divide", "arguments": {"a": 1, "b": 0}}]}, "a tool call failed"),
        (
            {"tool_calls_used": [{"name": "divide", "arguments": {"a": "x", "b": 1}}]},
            "the reference's arguments do not fit the tool's schema",
        ),
        (
            {"tool_calls_used": [{"name": "invent", "arguments": {}}]},
            "the reference calls a tool that is not offered",
        ),
        ({"tool_calls_used": ["add", "invent"]}, "the reference calls a tool that is not offered"),
    ],
)
def test_rows_of_mentor_data_are_left_out_by_reason(
    tmp_path: Path, tools: ToolSet, change: dict[str, Any], reason: str
) -> None:
    _, report = import_mentor_data(put(tmp_path, [published(tools, **change)]), tools)
    assert dict(report.left_out) == {reason: 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": None}, "no question: looked for question, prompt, problem, query, also in extra_info, "),
        ({"reward_model": None}, "no answer: looked for ground_truth, answer, golden_answers, final_answer, also in "),
        ({"question": 3}, "question: a text or a list of messages is wanted, found a number"),
        ({"func_schemas": [{}]}, "func_schemas: a list of tool schemas with names is wanted"),
    ],
)
def test_mentor_data_says_what_is_missing_and_where_it_looked(
    tmp_path: Path, tools: ToolSet, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        import_mentor_data(put(tmp_path, [published(tools, **change)]), tools)
    assert f"rows.json:1: {message}" in str(caught.value)


# --- Responses


def rollout(*output: dict[str, Any], reward: float | None = 1.0, **more: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    asked = {"input": "Double 4.", "tools": [{"type": "function", "name": "double", "parameters": schema}]}
    row = {"responses_create_params": asked, "response": {"output": list(output)}, **more}
    return row if reward is None else row | {"reward": reward}


def call_item(name: str, arguments: str, call_id: str = "1") -> dict[str, Any]:
    return {"type": "function_call", "name": name, "arguments": arguments, "call_id": call_id}


RESULT = {"type": "function_call_output", "call_id": "1", "output": "8"}


def message_item(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def test_rollouts_in_responses_format_become_references(tmp_path: Path) -> None:
    made = (call_item("double", '{"a": 4}'), RESULT)
    rows = [
        rollout(*made, message_item("It is \\boxed{8}.")),
        rollout(*made, message_item("Eight."), expected_answer="8", id="q7"),
        rollout(*made, message_item("Eight."), reward=None),
        rollout(message_item("Eight.")),
        rollout(*made, reward=0.0),
        rollout(call_item("triple", "{}")),
        rollout(call_item("double", "[")),
        rollout(),
    ]
    tasks, report = import_responses(put(tmp_path, rows, "rollouts.jsonl"))
    assert [(task.reference["answer"], task.meta["verifier"]) for task in tasks] == [
        ("8", "answer"),
        ("8", "answer"),
        ("double(a=4)", "calls"),
        ("Eight.", "text"),
    ]
    assert tasks[1].id == "rollouts-2-q7"
    assert dict(report.left_out) == {
        "the rollout earned less than 1": 1,
        "the reference calls a tool that is not offered": 1,
        "a call cannot be read": 1,
        "the rollout is empty": 1,
    }
    assert [message["role"] for message in tasks[0].reference["messages"]] == ["assistant", "tool", "assistant"]
    scores = score_batch([tasks[0].reference["messages"]], [dict(tasks[0].reference)])
    assert scores.components["executed_calls"][0] == scores.components["correct"][0] == 1


# --- what they share


def everything(tools: ToolSet, folder: Path) -> dict[str, tuple[list[Task], ImportReport]]:
    found = {category: import_bfcl(bfcl_file(category)) for category in CATEGORIES}
    found |= {"svamp": import_svamp(SVAMP, tools), "toolrl": import_toolrl(TOOLRL)}
    found |= {"apibank": import_apibank(APIBANK), "kept": import_apibank(APIBANK, keep_prompt=True)}
    found["mentor"] = import_mentor_data(put(folder, [published(tools)] * 3, "train.parquet"), tools)
    return found


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_all_imported_tasks_survive_a_file(tmp_path: Path, tools: ToolSet, ending: str) -> None:
    for name, (tasks, report) in everything(tools, tmp_path).items():
        file = tmp_path / f"{name}.{ending}"
        assert write_tasks(file, tasks) == len(tasks) == report.verified + report.checked
        assert list(read_tasks(file)) == tasks
        assert report.rows == len(tasks) + sum(report.left_out.values())
        assert set(report.examples) == set(report.left_out)
        assert report.calls == sum(len(task.reference["tool_calls"]) for task in tasks)


STRANGE = [None, True, 0, -1.5, "", [], {}, [None], [{}], {"a": 1}, "{", "{'a': {1}}", {"required": [{}]}, 2**60, "\0"]


def spoil(row: Any, rng: random.Random) -> None:
    """Put something strange at some place of a row."""
    places: list[tuple[Any, Any]] = []
    waiting = [row]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        places += [(holder, key) for key in keys]
        waiting += [holder[key] for key in keys if isinstance(holder[key], dict | list)]
    holder, key = rng.choice(places)
    holder[key] = rng.choice(STRANGE)


@pytest.mark.parametrize("seed", range(3))
def test_rows_with_strange_things_in_them_are_tasks_or_counted(tmp_path: Path, tools: ToolSet, seed: int) -> None:
    def lines(file: Path) -> list[Any]:
        return [json.loads(line) for line in file.read_text().splitlines()]

    parallel, multi = bfcl_file("parallel"), bfcl_file("multi_turn_base")
    beside: dict[str, Any] = {"docs": BFCL / "multi_turn_func_doc", "on_error": "skip"}
    truth = {file: file.parent / "possible_answer" / file.name for file in (parallel, multi)}
    made = rollout(call_item("double", '{"a": 4}'), RESULT, message_item("\\boxed{8}"))
    plain = published(tools, tool_calls_used=CALLS, extra_info={"func_schemas": tools.schemas[:3]})
    importers: list[tuple[list[Any], Callable[[Path], tuple[list[Task], ImportReport]]]] = [
        (json.loads(SVAMP.read_text()), lambda file: import_svamp(file, tools, on_error="skip")),
        (json.loads(TOOLRL.read_text()), lambda file: import_toolrl(file, on_error="skip")),
        (json.loads(APIBANK.read_text()), lambda file: import_apibank(file, on_error="skip")),
        ([plain] * 4, lambda file: import_mentor_data(file, tools, on_error="skip")),
        ([made] * 8, lambda file: import_responses(file, on_error="skip")),
        (lines(parallel), lambda file: import_bfcl(file, category="parallel", answers=truth[parallel], **beside)),
        (lines(truth[parallel]), lambda file: import_bfcl(parallel, answers=file, **beside)),
        (lines(multi), lambda file: import_bfcl(file, category="multi_turn_base", answers=truth[multi], **beside)),
        (lines(truth[multi]), lambda file: import_bfcl(multi, answers=file, **beside)),
    ]
    rng = random.Random(seed)
    for rows, importer in importers:
        spoiled = [copy.deepcopy(rng.choice(rows)) for _ in range(25)]
        for row in spoiled:
            spoil(row, rng)
        tasks, report = importer(put(tmp_path, spoiled, "rows.jsonl"))
        assert report.rows == len(tasks) + sum(report.left_out.values())
        write_tasks(tmp_path / "tasks.jsonl", {task.id: task for task in tasks}.values())
        problems = validate_tasks([tmp_path / "tasks.jsonl"]).problems
        errors = [problem.message for problem in problems if problem.level == "error"]
        assert errors == ([] if tasks else ["the file has no task"])


def test_limit_and_progress_count_rows(tools: ToolSet) -> None:
    importers: list[Callable[..., tuple[list[Task], ImportReport]]] = [
        lambda **how: import_svamp(SVAMP, tools, **how),
        lambda **how: import_bfcl(bfcl_file("simple_python"), **how),
        lambda **how: import_toolrl(TOOLRL, **how),
    ]
    for importer in importers:
        done: list[int] = []
        assert importer(limit=5, progress=done.append)[1].rows == sum(done) == 5


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.parquet"])
def test_rows_are_read_from_every_shape_of_file(tmp_path: Path, name: str) -> None:
    file = put(tmp_path, [{"a": 1}, {"a": 2}], name)
    sizes: list[int] = []
    assert list(read_rows(file, progress=sizes.append)) == [(1, {"a": 1}), (2, {"a": 2})]
    assert sum(sizes) == (2 if name.endswith("parquet") else file.stat().st_size)
    assert count_rows(file) == 2


@pytest.mark.parametrize("data", [b"[1, ", b"[", b'[{"a": "\xff"}]'])
def test_a_broken_list_is_an_error_with_its_byte(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "rows.json"
    file.write_bytes(data)
    with pytest.raises(DataError, match=r"rows\.json: not JSON at byte \d+: "):
        list(read_rows(file))


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("dict", {"type": "object"}),
        ("float", {"type": "number"}),
        ("tuple", {"type": "array"}),
        ("any", {}),
        ("list(str)", {"type": "array", "items": {"type": "string"}}),
        ("int, optional", {"type": "integer"}),
        ("Tuple[float, float]", {"type": "array", "items": {"type": "number"}}),
        ("Tuple[float, str]", {"type": "array"}),
        ("Optional[List[List[int]]]", {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
        ("Union[int, str]", {"type": ["integer", "string"]}),
        ("Callable[[float], float]", {"type": "string"}),
        ("Frobnicator<<<", {}),
        ("", {}),
    ],
)
def test_types_of_many_languages_are_translated(text: str, schema: dict[str, Any]) -> None:
    assert type_schema(text) == schema


KEYWORDS = ("type", "properties", "items", "required", "enum", "default", "minimum", "anyOf", "description", "optional")
NODES = st.recursive(
    st.sampled_from(["int", "dict", "List[str]", "string", "x", 3, None, True, [], ["int", "null"]]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None)
@given(NODES)
def test_any_description_gives_a_schema_or_a_reason(node: Any) -> None:
    schema = tool_schema("f", "", {"properties": {"a": node}})
    assert schema["function"]["parameters"]["type"] == "object"
    if isinstance(ToolChecks().compiled(schema), str):
        with pytest.raises(LeftOut, match="a tool's schema is unusable: f: "):
            ToolChecks().fitted([schema], [])


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("mv(source='a', destination=\"b\")", {"name": "mv", "arguments": {"source": "a", "destination": "b"}}),
        ("mv('a', 'b')", {"name": "mv", "arguments": {"source": "a", "destination": "b"}}),
        (
            "a.b(x=(1, -2.5), y={'k': [True, None]})",
            {"name": "a.b", "arguments": {"x": [1, -2.5], "y": {"k": [True, None]}}},
        ),
    ],
)
def test_calls_written_as_code_are_read(code: str, call: dict[str, Any]) -> None:
    assert read_call(code, {"mv": ["source", "destination"]}) == call


@pytest.mark.parametrize(
    "code", ["", "mv", "mv(", "mv(*a)", "mv(**{'a': 1})", "mv(source=x)", "mv('a', 'b', 'c')", "f(" * 9000, "f(g())"]
)
def test_code_that_is_no_literal_call_is_left_out(code: str) -> None:
    with pytest.raises(LeftOut, match="a call cannot be read"):
        read_call(code, {"mv": ["source", "destination"]})


def run(*arguments: object) -> Result:
    return CliRunner().invoke(import_group, list(map(str, arguments)))


@pytest.mark.parametrize(
    ("name", "file", "tasks"),
    [
        ("svamp", SVAMP, 18),
        ("bfcl", bfcl_file("multiple"), 4),
        ("bfcl", bfcl_file("multi_turn_base"), 3),
        ("toolrl", TOOLRL, 5),
        ("apibank", APIBANK, 4),
    ],
)
def test_the_commands_write_tasks_and_say_what_became_of_the_rows(
    tmp_path: Path, name: str, file: Path, tasks: int
) -> None:
    output = tmp_path / "tasks.jsonl"
    result = run(name, file, "-o", output)
    assert result.exit_code == 0, result.output
    assert len(list(read_tasks(output))) == tasks
    summary = " ".join("".join(" " if ord(char) >= 0x2500 else char for char in result.stderr).split())
    assert f"{tasks} {'verified' if name == 'svamp' else 'checked, not executed'}: written as" in summary
    assert f"{count_rows(file)} read" in summary


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bfcl", "FOLDER/x.json"], "x.json: no such file"),
        (["bfcl", str(TOOLRL)], "category: 'toolrl_rows' is unknown"),
        (["toolrl", str(SVAMP)], "svamp_sample.json:1: instruction: missing"),
        (["svamp", str(TOOLRL)], "toolrl_rows.json:1: Body: missing"),
        (["mentor-data", str(SVAMP)], "svamp_sample.json:1: no answer: looked for"),
        (["responses", str(SVAMP)], "svamp_sample.json:1: responses_create_params: missing"),
    ],
)
def test_a_file_of_another_format_is_refused_with_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = run(*(text.replace("FOLDER", str(tmp_path)) for text in arguments), "-o", tmp_path / "t.jsonl")
    assert result.exit_code == 2
    assert message in result.stderr and "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over_or_written_empty(tmp_path: Path) -> None:
    file, output = tmp_path / "rows.jsonl", tmp_path / "t.jsonl"
    file.write_text(json.dumps(json.loads(SVAMP.read_text())[0]))
    before = file.read_bytes()
    result = run("svamp", file, "-o", tmp_path / "." / "rows.jsonl")
    assert (result.exit_code, "this file is read; give the output another name" in result.stderr) == (2, True)
    assert file.read_bytes() == before
    file.write_text("")
    result = run("svamp", file, "-o", output)
    assert (result.exit_code, "no row became a task" in result.stderr, output.exists()) == (1, True, False)


@pytest.mark.parametrize("name", ["gsm8k", "validate"])
def test_a_pipe_is_read_from_its_beginning(tmp_path: Path, name: str) -> None:
    data = (CASES / "gsm8k_sample.jsonl").read_bytes()
    output = tmp_path / "t.jsonl"
    code = "from mentor.cli import main; main()"
    arguments = ["validate", "/dev/stdin"] if name == "validate" else ["import", name, "/dev/stdin", "-o", str(output)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], input=data, capture_output=True, check=False)
    if name == "validate":  # none of them is a task, and each is looked at
        assert (done.returncode, done.stdout[:30]) == (1, b"50 rows, 0 without errors; 0 r")
    else:
        assert (done.returncode, len(list(read_tasks(output)))) == (0, 45), done.stderr
