"""mentor validate: every kind of problem provoked, agreement with the reader, and what importers write is clean."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from mentor.cli.validate import validate
from mentor.data import Task, read_tasks, write_tasks
from mentor.data.apibank import import_apibank
from mentor.data.bfcl import CATEGORIES, import_bfcl
from mentor.data.gsm8k import import_gsm8k
from mentor.data.svamp import import_svamp
from mentor.data.toolrl import import_toolrl
from mentor.data.validation import KINDS, StopChecking, ValidationReport, task_schema, validate_tasks
from mentor.errors import DataError, InputError
from mentor.suites import SUITES, open_suite
from mentor.tools import ToolSet, arithmetic

CASES = Path(__file__).parent / "cases"
SCHEMA = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add.",
        "parameters": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}},
    },
}
CALL = {"name": "add", "arguments": {"a": 2, "b": 2}}
GOOD: dict[str, Any] = {
    "id": "1",
    "prompt": "2 + 2?",
    "tools": ["add"],
    "reference": {"answer": "4", "tool_calls": [CALL]},
}


@pytest.fixture(scope="module")
def tools() -> ToolSet:
    return arithmetic()


def put(folder: Path, *rows: Any, name: str = "tasks.jsonl") -> Path:
    file = folder / name
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


def found(report: ValidationReport) -> list[tuple[int, str, str]]:
    return [(problem.row, problem.field, problem.kind) for problem in report.problems]


def reference(**change: Any) -> dict[str, Any]:
    return {"reference": {**GOOD["reference"], **change}}


def schema(**change: Any) -> dict[str, Any]:
    return {**SCHEMA, "function": {**SCHEMA["function"], **change}}  # type: ignore[dict-item]


def taught(answer: str, *calls: dict[str, Any], results: tuple[str, ...] = ("4",)) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for call, result in zip(calls, results, strict=False):
        messages += [
            {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": call}]},
            {"role": "tool", "name": call["name"], "content": result},
        ]
    return [*messages, {"role": "assistant", "content": answer}]


# A change of the good row, and all that it must give: field and kind.
ONE_ROW: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("nothing", {}, []),
    ("no-id", {"id": None}, []),
    ("no-tools", {"tools": []}, []),
    ("prompt-null", {"prompt": None}, [("prompt", "missing")]),
    ("prompt-number", {"prompt": 3}, [("prompt", "wrong_type")]),
    ("prompt-blank", {"prompt": " "}, [("prompt", "empty")]),
    ("prompt-no-messages", {"prompt": []}, [("prompt", "empty")]),
    ("prompt-text-inside", {"prompt": ["hi"]}, [("prompt[0]", "wrong_type")]),
    ("prompt-no-role", {"prompt": [{"content": "2 + 2?"}]}, [("prompt[0].role", "missing")]),
    ("prompt-role-type", {"prompt": [{"role": 3, "content": "2 + 2?"}]}, [("prompt[0].role", "wrong_type")]),
    ("prompt-odd-role", {"prompt": [{"role": "human", "content": "2 + 2?"}]}, [("prompt[0].role", "odd_role")]),
    ("prompt-ends", {"prompt": [{"role": "assistant", "content": "2 + 2?"}]}, [("prompt[0]", "prompt_ends")]),
    ("id-type", {"id": True}, [("id", "wrong_type")]),
    ("meta-type", {"meta": [1]}, [("meta", "wrong_type")]),
    ("misspelt", {"refrence": 1}, [("refrence", "unknown_field")]),
    ("other-key", {"level": 1}, []),
    ("reference-null", {"reference": None}, [("reference", "missing")]),
    ("reference-list", {"reference": []}, [("reference", "wrong_type")]),
    ("reference-text", {"reference": "{"}, [("reference", "wrong_type")]),
    ("answer-absent", {"reference": {"tool_calls": [CALL]}}, [("reference.answer", "missing")]),
    ("answer-empty", reference(answer=" "), [("reference.answer", "empty")]),
    ("answer-list", reference(answer=["4"]), [("reference.answer", "wrong_type")]),
    ("answer-odd", reference(answer="\\frac{1"), [("reference.answer", "unreadable_answer")]),
    ("calls-type", reference(tool_calls={}), [("reference.tool_calls", "wrong_type")]),
    ("no-calls", reference(tool_calls=[]), [("reference.tool_calls", "no_calls")]),
    (
        "every-call",
        reference(tool_calls=[3, {}, {"name": ["add"]}, {"name": "add", "arguments": [1]}, {"function": 3}]),
        [
            ("reference.tool_calls[0]", "wrong_type"),
            ("reference.tool_calls[1].name", "missing"),
            ("reference.tool_calls[2].name", "wrong_type"),
            ("reference.tool_calls[3].arguments", "wrong_type"),
            ("reference.tool_calls[4].function", "wrong_type"),
        ],
    ),
    (
        "arguments-text",
        reference(tool_calls=[{"name": "add", "arguments": "{"}]),
        [("reference.tool_calls[0].arguments", "wrong_type")],
    ),
    ("messages-type", reference(messages="hi"), [("reference.messages", "wrong_type")]),
    ("tools-type", {"tools": "add"}, [("tools", "wrong_type")]),
    ("tools-every", {"tools": ["add", 3, {}]}, [("tools[1]", "wrong_type"), ("tools[2]", "missing")]),
    ("tool-twice", {"tools": ["add", SCHEMA]}, [("tools[1]", "duplicate_tool")]),
    ("tool-schema", {"tools": [schema(parameters={"type": "frob"})]}, [("tools[0].parameters", "bad_schema")]),
    ("not-offered", {"tools": ["divide"]}, [("reference.tool_calls[0].name", "tool_not_offered")]),
    (
        "arguments",
        {"tools": [SCHEMA], **reference(tool_calls=[{"name": "add", "arguments": {"a": "x"}}])},
        [("reference.tool_calls[0].arguments", "invalid_arguments")],
    ),
    (
        "unlisted",
        {"tools": [SCHEMA], **reference(tool_calls=[{"name": "add", "arguments": {"a": 1, "c": 2}}])},
        [("reference.tool_calls[0].arguments.c", "unlisted_argument")],
    ),
    ("names-only", {"meta": {"names_only": True}}, [("reference.tool_calls", "no_arguments")]),
    ("boxed-leak", {"prompt": "2 + 2? Say \\boxed{4}."}, [("prompt", "answer_in_prompt")]),
    ("leak", {"prompt": "Is it 1234?", **reference(answer="1234")}, [("prompt", "answer_in_prompt")]),
    ("no-leak", {"prompt": "Is it 12345 or 0.1234?", **reference(answer="1234")}, []),
    ("calls-count", {"meta": {"verifier": "calls"}, **reference(answer="add(", tool_calls=[CALL])}, []),
    ("taught", reference(messages=taught("\\boxed{4}", CALL)), []),
    ("taught-no-box", reference(messages=taught("4", CALL)), [("reference.messages", "trajectory_answer")]),
    ("taught-wrong", reference(messages=taught("\\boxed{5}", CALL)), [("reference.messages", "trajectory_answer")]),
    ("taught-other", reference(messages=taught("\\boxed{4}")), [("reference.messages", "trajectory_calls")]),
    (
        "taught-defect",
        reference(messages=taught("\\boxed{4}", CALL)[::2]),
        [("reference.messages", "trajectory_defect")],
    ),
    (
        "all-at-once",
        {"prompt": "", "tools": [3], "id": False, **reference(answer="", tool_calls=[3])},
        [
            ("id", "wrong_type"),
            ("prompt", "empty"),
            ("tools[0]", "wrong_type"),
            ("reference.answer", "empty"),
            ("reference.tool_calls[0]", "wrong_type"),
        ],
    ),
]


@pytest.mark.parametrize(("change", "expected"), [row[1:] for row in ONE_ROW], ids=[row[0] for row in ONE_ROW])
def test_every_problem_of_a_row_is_named(
    tmp_path: Path, change: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    report = validate_tasks([put(tmp_path, GOOD | {"prompt": "1 + 3?", "id": "0"}, {**GOOD, **change})])
    assert sorted(found(report)) == sorted((2, field, kind) for field, kind in expected)
    errors = {kind for _, kind in expected if KINDS[kind][0] == "error"}
    assert report.bad_rows == bool(errors)


def test_rows_that_repeat_each_other_are_named(tmp_path: Path) -> None:
    file = put(tmp_path, GOOD, GOOD | {"prompt": "3 + 1?"}, GOOD | {"id": "2", "prompt": " 2  + 2?"}, '{"id', "[1]")
    report = validate_tasks([file])
    assert found(report) == [
        (2, "id", "duplicate_id"),
        (3, "prompt", "duplicate_prompt"),
        (4, "", "unreadable"),
        (5, "", "unreadable"),
    ]
    assert (report.rows, report.bad_rows, report.errors, report.warnings) == (5, 3, 3, 1)
    assert str(report.problems[0]) == f"{file}:2: id: '1' is the id of row 1 as well"
    assert "half-written JSON" in report.problems[2].message


def test_prompts_of_one_file_in_the_other_are_named(tmp_path: Path) -> None:
    train = put(tmp_path, GOOD, GOOD | {"id": "2", "prompt": "1 + 3?"})
    held_out = put(tmp_path, GOOD | {"prompt": "2 + 2? "}, GOOD | {"id": "9", "prompt": "5 - 1?"}, name="eval.jsonl")
    (problem,) = validate_tasks([train, held_out]).problems
    assert (problem.file, problem.row, problem.kind) == (str(held_out), 1, "overlap")
    assert problem.message == f"the prompt of {train}:1 as well"


EXECUTED: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("right", {"meta": {"results": ["4"]}}, []),
    ("number", {**reference(answer="4.0")}, []),
    ("wrong-answer", {**reference(answer="5")}, [("reference.answer", "answer_not_result")]),
    (
        "earlier",
        reference(tool_calls=[CALL, {"name": "add", "arguments": {"a": 4, "b": 1}}]),
        [("reference.answer", "answer_not_result")],
    ),
    ("results", {"meta": {"results": ["5"]}}, [("meta.results[0]", "wrong_result")]),
    ("results-many", {"meta": {"results": ["4", "4"]}}, [("meta.results", "wrong_result")]),
    (
        "fails",
        reference(tool_calls=[{"name": "divide", "arguments": {"a": 1, "b": 0}}]) | {"tools": ["divide"]},
        [("reference.tool_calls[0]", "failed_call")],
    ),
    (
        "misfits",
        reference(tool_calls=[{"name": "add", "arguments": {"a": "x", "c": 1}}]),
        [("reference.tool_calls[0].arguments", "invalid_arguments")],
    ),
    (
        "invented",
        {"tools": ["conjure"], **reference(tool_calls=[{"name": "conjure", "arguments": {}}])},
        [("tools[0]", "unknown_tool")],
    ),
    ("offers-all", {"tools": [], **reference(tool_calls=[{"name": "add", "arguments": {"a": 1, "b": 3}}])}, []),
    (
        "offers-all-but",
        {"tools": [], **reference(tool_calls=[{"name": "conjure", "arguments": {}}])},
        [("reference.tool_calls[0].name", "tool_not_offered")],
    ),
    ("not-executable", {"meta": {"executable": False}, **reference(answer="5")}, []),
]


@pytest.mark.parametrize(("change", "expected"), [row[1:] for row in EXECUTED], ids=[row[0] for row in EXECUTED])
def test_references_are_executed(
    tmp_path: Path, tools: ToolSet, change: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    report = validate_tasks([put(tmp_path, {**GOOD, **change})], tools=tools, execute=True)
    assert found(report) == [(1, field, kind) for field, kind in expected]
    assert report.executed + report.not_executed == 1
    stay = {"unknown_tool", "tool_not_offered", "invalid_arguments"}
    assert report.executed == (not stay & {kind for _, kind in expected} and "executable" not in change.get("meta", {}))


COUNTER = '''
total = 0


def add(x: int) -> int:
    """Add to the total.

    Args:
        x: How much.
    """
    global total
    if x < 0:
        raise ValueError("no way back")
    total += x
    return total
'''


def test_stateful_tools_run_in_a_session_after_their_setup(tmp_path: Path) -> None:
    def row(name: str, answer: str, setup: list[int], *steps: int) -> dict[str, Any]:
        calls = [[{"name": "add", "arguments": {"x": x}} for x in xs] for xs in (setup, steps)]
        ref = {"answer": answer, "tool_calls": calls[1]}
        return {"id": name, "prompt": name, "tools": ["add"], "reference": ref, "meta": {"setup": calls[0]}}

    rows = [row("a", "7", [2], 4, 1), row("b", "5", [], 4, 1), row("c", "5", [2], 4, 1), row("d", "5", [-1], 5)]
    report = validate_tasks([put(tmp_path, *rows)], tools=ToolSet.from_source(COUNTER), execute=True)
    assert found(report) == [(3, "reference.answer", "answer_not_result"), (4, "meta.setup[0]", "failed_call")]


def test_every_kind_is_provoked_here() -> None:
    told = {kind for rows in (ONE_ROW, EXECUTED) for _, _, expected in rows for _, kind in expected}
    told |= {"unreadable", "duplicate_id", "duplicate_prompt", "overlap", "refused"}
    assert told == set(KINDS)


def test_what_scoring_refuses_is_named(tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    row = {**GOOD, **reference(tool_calls=[{"name": "add", "arguments": {"a": deep}}])}
    assert (1, "refused") in {(row, kind) for row, _, kind in found(validate_tasks([put(tmp_path, row)]))}


def test_errors_can_be_limited_and_a_callback_can_end_it(tmp_path: Path) -> None:
    file = put(tmp_path, *[GOOD | {"prompt": None, "id": str(i)} for i in range(9)])
    report = validate_tasks([file], max_errors=3)
    assert report.stopped and report.errors == 3 and report.rows == 3

    def stop(size: int) -> None:
        raise StopChecking

    report = validate_tasks([file], progress=stop)
    assert report.stopped and report.rows == 0
    sizes: list[int] = []
    assert not validate_tasks([file], progress=sizes.append).stopped
    assert sum(sizes) == file.stat().st_size


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"paths": []}, InputError, "at least one file"),
        ({"paths": ["x.jsonl"], "execute": True}, InputError, "needs tools="),
        ({"paths": ["x.jsonl"], "max_errors": 0}, InputError, "at least 1"),
        ({"paths": ["nowhere.jsonl"]}, DataError, "no such file"),
    ],
)
def test_callers_mistakes_raise(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        validate_tasks(**arguments)


NAMES = ("role", "content", "name", "function", "arguments", "answer", "tool_calls", "parameters")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", " ", "4", "add", '{"a": 1}', "{"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries({}, optional={name: JSON for name in ("id", "prompt", "tools", "reference", "meta")}), JSON
)
def test_a_row_has_errors_of_shape_exactly_where_reading_it_fails(
    tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any], call: Any
) -> None:
    row = {**GOOD, **row}
    if isinstance(row["reference"], dict):
        row["reference"] = {"answer": "4", "tool_calls": [CALL, call], **row["reference"]}
    file = put(tmp_path_factory.mktemp("rows"), row)
    try:
        Task.from_dict(row)
        readable = True
    except InputError:
        readable = False
    shape = {"missing", "wrong_type", "empty"}
    problems = [problem for problem in validate_tasks([file]).problems if problem.kind in shape]
    problems = [problem for problem in problems if problem.field != "reference.messages"]
    assert readable == (not problems)
    if readable:
        jsonschema.validate(row, task_schema())


def test_the_schema_refuses_what_reading_refuses_and_allows_the_rest() -> None:
    checker = jsonschema.Draft202012Validator(task_schema())
    checker.check_schema(task_schema())
    for name, change, expected in ONE_ROW:
        shape = [kind for field, kind in expected if kind in ("missing", "wrong_type", "empty")]
        if name in ("reference-text", "arguments-text", "id-type", "all-at-once") or not change:
            continue  # JSON inside text is no matter of a schema
        assert checker.is_valid({**GOOD, **change}) == (not shape), name


IMPORTED: dict[str, Callable[[ToolSet], list[Task]]] = {
    "gsm8k": lambda tools: import_gsm8k(CASES / "gsm8k_sample.jsonl", tools)[0],
    "svamp": lambda tools: import_svamp(CASES / "svamp_sample.json", tools)[0],
    "toolrl": lambda tools: import_toolrl(CASES / "toolrl_rows.json")[0],
    "apibank": lambda tools: import_apibank(CASES / "apibank_sample.json")[0],
    "kept": lambda tools: import_apibank(CASES / "apibank_sample.json", keep_prompt=True)[0],
    **{
        f"bfcl-{category}": lambda tools, category=category: import_bfcl(  # type: ignore[misc]
            CASES / "bfcl" / f"BFCL_v4_{category}.json"
        )[0]
        for category in CATEGORIES
    },
}


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize("name", IMPORTED)
def test_what_importers_write_reads_back_and_is_clean(tmp_path: Path, tools: ToolSet, name: str, ending: str) -> None:
    tasks = IMPORTED[name](tools)
    file = tmp_path / f"tasks.{ending}"
    write_tasks(file, tasks)
    assert list(read_tasks(file)) == tasks
    executable = name in ("gsm8k", "svamp")
    report = validate_tasks([file], tools=tools if executable else None, execute=executable)
    assert report.rows == len(tasks) > 0
    assert [str(problem) for problem in report.problems if problem.level == "error"] == []
    assert report.executed == (len(tasks) if executable else 0)
    for task in tasks:
        jsonschema.validate(task.to_dict(), task_schema())


@pytest.mark.parametrize("name", SUITES)
def test_tasks_of_a_suite_are_clean_in_its_own_tools(tmp_path: Path, name: str) -> None:
    suite = open_suite(name)
    own = suite.open_tools()
    split = next(iter(suite.splits))
    file = tmp_path / "tasks.jsonl"
    write_tasks(file, suite.draw(split, 4, seed=5, tools=own, exclude=()))
    report = validate_tasks([file], tools=own, execute=True)
    assert [str(problem) for problem in report.problems if problem.level == "error"] == []
    assert report.executed == report.rows == 4


def run(*arguments: object) -> Result:
    return CliRunner().invoke(validate, list(map(str, arguments)))


def test_the_command_exits_by_what_it_finds(tmp_path: Path) -> None:
    clean, warned = put(tmp_path, GOOD), put(tmp_path, GOOD | {"prompt": "Say \\boxed{4}."}, name="w.jsonl")
    bad = put(tmp_path, GOOD | {"prompt": None, "tools": 3}, name="bad.jsonl")
    assert run(clean).exit_code == 0 and "no problems" in run(clean).stdout
    assert run(warned).exit_code == 0 and run(warned, "--strict").exit_code == 1
    result = run(bad, clean, warned)
    assert result.exit_code == 1
    assert f"error {bad}:1: prompt: null" in result.stderr
    assert f"error {bad}:1: tools: a list is wanted, found a number" in result.stderr
    assert "3 rows, 2 without errors; 3 reference calls" in result.stdout
    assert "answer_in_prompt" in result.stdout


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_the_command_writes_all_problems(tmp_path: Path, ending: str) -> None:
    file = put(tmp_path, *[GOOD | {"prompt": None, "id": str(i)} for i in range(30)])
    output = tmp_path / f"report.{ending}"
    result = run(file, "-o", output)
    assert result.exit_code == 1 and "... and 10 more; --output FILE.jsonl has them all" in result.stderr
    from mentor.data.rows import read_rows

    rows = [row for _, row in read_rows(output)]
    assert len(rows) == 30
    assert rows[7] == {
        "file": str(file),
        "row": 8,
        "id": "7",
        "field": "prompt",
        "level": "error",
        "kind": "missing",
        "message": "null",
    }
    assert "stopped after 4 errors" in run(file, "--max-errors", 4).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'FILE...'"),
        (["FOLDER/none.jsonl"], "none.jsonl: no such file"),
        (["FOLDER"], "this is a folder, a file is wanted"),
        (["FOLDER/tasks.jsonl", "--execute"], "--execute needs --tools"),
        (["FOLDER/tasks.jsonl", "--tools", "magic"], "--tools: there is no 'magic'; there are: arithmetic, "),
        (["FOLDER/tasks.jsonl", "--tools", "FOLDER/none.py"], "none.py"),
        (["FOLDER/tasks.jsonl", "-o", "FOLDER/r.csv"], "known are .jsonl, .parquet"),
        (["FOLDER/broken.parquet"], "broken.parquet: no readable Parquet file"),
    ],
)
def test_what_the_command_cannot_use_exits_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    put(tmp_path, GOOD)
    put(tmp_path, "PAR1", name="broken.parquet")
    result = run(*(text.replace("FOLDER", str(tmp_path)) for text in arguments))
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.split()) and "Traceback" not in result.output


@pytest.mark.parametrize("name", ["arithmetic", "FILE"])
def test_the_command_executes_with_a_suite_or_a_file(tmp_path: Path, name: str) -> None:
    source = tmp_path / "tools.py"
    source.write_text('def add(a: int, b: int) -> int:\n    """Add.\n\n    Args:\n        a: One.\n        b: Two.\n    """\n    return a + b\n')  # fmt: skip  # noqa: E501
    file = put(tmp_path, GOOD, {**GOOD, **reference(answer="5"), "id": "2", "prompt": "5?"})
    result = run(file, "--tools", source if name == "FILE" else name, "--execute")
    assert result.exit_code == 0, result.output
    assert "references of 2 rows executed, of 0 not" in result.stdout
    assert "answer_not_result" in result.stdout


def test_the_schema_is_printed(tmp_path: Path) -> None:
    result = run("--schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == task_schema()


def test_ctrl_c_keeps_what_was_found(tmp_path: Path) -> None:
    file, output = tmp_path / "tasks.jsonl", tmp_path / "report.jsonl"
    put(tmp_path, *[{**GOOD, "id": str(i), "prompt": f"{i}?", **reference(answer="")} for i in range(300)])
    code = (
        "import os, signal, sys, threading, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from mentor.cli.validate import validate\n"
        "from mentor.data.validation import run\n"
        "rows = run._Run._row\n"
        "def row(self, name, number, *rest):\n"
        "    if number == 100: os.kill(os.getpid(), signal.SIGINT)\n"
        "    rows(self, name, number, *rest)\n"
        "run._Run._row = row\n"
        "validate()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, file, "-o", output], capture_output=True, text=True, timeout=120)
    assert done.returncode == 130, done.stderr
    assert "interrupted after 100 rows" in done.stderr and "Traceback" not in done.stderr
    assert len(output.read_text().splitlines()) == 100


@pytest.mark.parametrize("text", ["", "\n\n", "[]"])
def test_a_file_without_tasks_is_an_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text(text)
    result = run(file, put(tmp_path, GOOD, name="good.jsonl"))
    assert result.exit_code == 1
    assert "1 rows, 1 without errors" in result.stdout
    assert f"error {file}: the file has no task" in result.stderr


def test_the_tasks_are_not_written_over(tmp_path: Path) -> None:
    file = put(tmp_path, GOOD)
    before = file.read_bytes()
    result = run(file, "-o", tmp_path / "." / "tasks.jsonl")
    assert (result.exit_code, "this file is read; give the output another name" in result.stderr) == (2, True)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("meta", "field"),
    [
        ({"setup": 5}, "meta.setup"),
        ({"setup": {"name": "add"}}, "meta.setup"),
        ({"setup": [CALL, 3]}, "meta.setup[1]"),
        ({"setup": [{"name": ["add"]}]}, "meta.setup[0]"),
        ({"setup": [{"name": "add", "arguments": "{}"}]}, "meta.setup[0].arguments"),
        ({"results": "4"}, "meta.results"),
        ({"executable": "false"}, "meta.executable"),
        ({"names_only": 1}, "meta.names_only"),
        ({"verifier": "answers"}, "meta.verifier"),
        ({"split": 3}, "meta.split"),
    ],
)
def test_known_fields_of_meta_are_looked_at(tmp_path: Path, tools: ToolSet, meta: dict[str, Any], field: str) -> None:
    row = {**GOOD, "meta": meta}
    report = validate_tasks([put(tmp_path, row)], tools=tools, execute=True)
    assert [entry for entry in found(report) if entry[2] == "wrong_type"] == [(1, field, "wrong_type")]
    assert report.executed == ("setup" not in meta)
    assert not jsonschema.Draft202012Validator(task_schema()).is_valid(row)
    assert jsonschema.Draft202012Validator(task_schema()).is_valid({**GOOD, "meta": {"setup": [CALL]}})


def test_what_a_row_says_does_not_steer_the_terminal(tmp_path: Path) -> None:
    result = run(put(tmp_path, {**GOOD, "tools": ["sub\x1b[2J[bold]"]}))
    assert result.exit_code == 1
    assert "\x1b" not in result.output and "'add' is none of sub\ufffd[2J[bold]" in result.stderr


def test_tools_that_rows_name_and_nothing_opens_are_named_by_row(tmp_path: Path) -> None:
    metas = [
        {"tools_suite": "arithmetick"},
        {"tools_source": "def f(:"},
        {"tools_sorce": "x"},
        {"tools_suite": "store"},
    ]
    file = put(tmp_path, *({**GOOD, "id": str(at), "prompt": f"{at}?", "meta": meta} for at, meta in enumerate(metas)))
    done = run(file, "--tools", "arithmetic", "--execute")
    assert done.exit_code == 1
    told = done.stderr
    assert f"{file}:1: meta.tools_suite: there is no 'arithmetick'; there are: " in told
    assert f"{file}:2: meta.tools_source: cannot be loaded: " in told
    assert f"{file}:3: meta.tools_sorce: no command reads it; is 'tools_source' meant?" in told
    assert f"{file}:4: meta" not in told
