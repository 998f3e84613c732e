"""mentor.data.gsm8k with the real tools in the sandbox, and the command ``mentor import gsm8k``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mentor.cli.importing import import_group
from mentor.data import Task, read_tasks
from mentor.data.gsm8k import INSTRUCTION, ImportReport, import_gsm8k
from mentor.data.marks import MarkError, number, operations, split_marks
from mentor.errors import DataError, InputError
from mentor.score import score_batch
from mentor.tools import ToolSet, arithmetic

SAMPLE = Path(__file__).parent / "cases" / "gsm8k_sample.jsonl"


@pytest.fixture(scope="module")
def tools() -> ToolSet:
    return arithmetic()


def put(folder: Path, *answers: str) -> Path:
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps({"question": " How many? ", "answer": text}) + "\n" for text in answers))
    return file


def one(folder: Path, tools: ToolSet, answer: str) -> Task:
    tasks, report = import_gsm8k(put(folder, answer), tools)
    assert (report.rows, report.verified, dict(report.left_out)) == (1, 1, {})
    return tasks[0]


def calls(task: Task) -> list[tuple[Any, ...]]:
    """(tool, operand, ...) of each call of the reference."""
    return [(call["name"], *call["arguments"].values()) for call in task.reference["tool_calls"]]


def test_a_row_becomes_a_task_with_calls_and_a_trajectory(tmp_path: Path, tools: ToolSet) -> None:
    task = one(tmp_path, tools, "In May 48/2 = <<48/2=24>>24 clips.\nTogether <<48+24=72>>72.\n#### 72")
    assert task.id == "gsm8k-rows-1"
    assert task.prompt == f"How many?\n\n{INSTRUCTION}"
    assert "\\boxed{}" in INSTRUCTION
    assert list(task.tools) == list(tools.names)
    assert task.reference["answer"] == "72"
    assert calls(task) == [("divide", 48, 2), ("add", 48, 24)]
    messages = task.reference["messages"]
    assert [message["role"] for message in messages] == ["assistant", "tool", "assistant", "tool", "assistant"]
    assert [message["content"] for message in messages[::2]] == [
        "In May 48/2 =",
        "24 clips.\nTogether",
        "72.\nThe answer is \\boxed{72}.",
    ]
    assert [json.loads(message["content"]) for message in messages[1::2]] == [24, 72]
    assert messages[0]["tool_calls"][0]["function"] == task.reference["tool_calls"][0]


def test_replaying_a_reference_gives_the_results_of_its_trajectory(tools: ToolSet) -> None:
    tasks, report = import_gsm8k(SAMPLE, tools)
    assert report.rows == 50
    assert report.verified == len(tasks) >= 40
    assert report.calls == sum(len(task.reference["tool_calls"]) for task in tasks)
    for task in tasks:
        outcomes = tools.call_batch([(call["name"], call["arguments"]) for call in task.reference["tool_calls"]])
        told = [json.loads(m["content"]) for m in task.reference["messages"] if m["role"] == "tool"]
        assert [outcome.value for outcome in outcomes] == told
        assert told[-1] == pytest.approx(float(task.reference["answer"]))


def test_the_teachers_trajectory_scores_full_marks_against_its_reference(tools: ToolSet) -> None:
    tasks, _ = import_gsm8k(SAMPLE, tools)
    scores = score_batch(
        [task.reference["messages"] for task in tasks], [dict(task.reference) for task in tasks], tools=tools.names
    )
    assert set(scores.components["correct"]) == set(scores.components["exact_f1"]) == {1.0}
    assert not any(score.defects for score in scores)


def test_nested_expressions_are_taken_apart_inside_out(tmp_path: Path, tools: ToolSet) -> None:
    task = one(tmp_path, tools, "<<(2+3)*4-1-2=17>>17\n#### 17")
    assert calls(task) == [("add", 2, 3), ("multiply", 5, 4), ("subtract", 20, 1), ("subtract", 19, 2)]


def test_a_whole_number_of_a_fraction_gets_its_rounding_call(tmp_path: Path, tools: ToolSet) -> None:
    assert calls(one(tmp_path, tools, "<<50/3=17>>17\n#### 17"))[-1][0] == "round_number"
    assert calls(one(tmp_path, tools, "<<7/2=3>>3\n#### 3"))[-1] == ("floor", 3.5)
    assert calls(one(tmp_path, tools, "<<13/4=4>>4\n#### 4"))[-1] == ("ceil", 3.25)
    assert calls(one(tmp_path, tools, "<<11/4=3>>3\n#### 3"))[-1][:2] == ("round_number", 2.75)


def test_later_calls_get_the_executed_value_not_the_rounded_one(tmp_path: Path, tools: ToolSet) -> None:
    tasks, report = import_gsm8k(put(tmp_path, "<<10/3=3.33>>3.33, <<3.33*6=20>>20\n#### 20"), tools)
    assert calls(tasks[0]) == [("divide", 10, 3), ("multiply", 10 / 3, 6)]
    assert report.rounded == 1


@pytest.mark.parametrize(
    ("answer", "reason", "detail"),
    [
        ("<<2+2=5>>5\n#### 5", "an executed result differs from the mark", "line 1: 5 stated, 4 executed"),
        ("<<2+2=4>>4\n#### 5", "the final answer is given by no call", "line 1: 5, last call 4"),
        (
            "<<2+2=4>>4, <<4*2=8>>8\n#### 4",
            "the final answer is given by an earlier call, not by the last",
            "line 1: 4, last call 8",
        ),
        ("<<four=4>>\n#### 4", "a mark cannot be parsed", "line 1: <<four=4>>: 'f' is no arithmetic"),
        ("<<1and 2=4>>\n#### 4", "a mark cannot be parsed", "line 1: <<1and 2=4>>: 'a' is no arithmetic"),
        ("<<9**9**9=4>>\n#### 4", "a tool call failed", None),
        ("<<1/0=4>>\n#### 4", "a tool call failed", None),
        (f"<<{'9' * 30}*2=4>>\n#### 4", "a mark cannot be parsed", None),
        ("<<2*3=" + "9" * 30 + ">>\n#### 4", "a mark cannot be parsed", None),
        ("No mark at all.\n#### 4", "no calculator mark with an operation", "line 1: 0 marks"),
        ("<<4=4>>4\n#### 4", "no calculator mark with an operation", "line 1: 1 marks"),
        ("<<2+2=4>>4", "no final number after ####", None),
        ("<<2+2=4>>4\n#### four", "no final number after ####", None),
    ],
)
def test_what_does_not_verify_is_left_out_by_reason(
    tmp_path: Path, tools: ToolSet, answer: str, reason: str, detail: str | None
) -> None:
    tasks, report = import_gsm8k(put(tmp_path, answer, "<<1+1=2>>2\n#### 2"), tools)
    assert [task.id for task in tasks] == ["gsm8k-rows-2"]
    assert dict(report.left_out) == {reason: 1}
    assert report.examples[reason].startswith("line 1: ")
    assert detail is None or report.examples[reason] == detail


def test_an_unreadable_row_stops_or_is_counted(tmp_path: Path, tools: ToolSet) -> None:
    file = put(tmp_path, "<<1+1=2>>2\n#### 2")
    file.write_text(file.read_text() + '{"question": 3}\n{"question": "half')
    with pytest.raises(DataError, match=r"rows\.jsonl:2: question: a string is wanted, found a number$"):
        import_gsm8k(file, tools)
    tasks, report = import_gsm8k(file, tools, on_error="skip")
    assert (len(tasks), report.rows) == (1, 1)
    assert [bad.line for bad in report.unreadable] == [2, 3]
    assert "half-written JSON" in report.unreadable[1].reason


def test_limit_reads_that_many_rows_and_progress_counts_each_once(tools: ToolSet) -> None:
    done: list[int] = []
    _, report = import_gsm8k(SAMPLE, tools, limit=7, progress=done.append)
    assert report.rows == sum(done) == 7


def test_the_wrong_tools_are_told_before_any_work(tmp_path: Path) -> None:
    def add(a: float, b: float) -> float:
        """Add.

        Args:
            a: one.
            b: two.
        """
        return a + b

    with pytest.raises(
        InputError, match=r"^tools: subtract, multiply, .* missing; pass mentor\.tools\.arithmetic\(\)$"
    ):
        import_gsm8k(put(tmp_path), ToolSet.from_functions([add]))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(import_group, ["gsm8k", *map(str, arguments)])


def lines(text: str) -> str:
    """A table's text with its frame and line breaks gone."""
    return " ".join("".join(" " if ord(char) >= 0x2500 else char for char in text).split())


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_the_command_writes_tasks_that_read_back(tmp_path: Path, tools: ToolSet, ending: str) -> None:
    output = tmp_path / f"tasks.{ending}"
    result = run(SAMPLE, "-o", output, "--limit", 20)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{output}\n"
    expected, report = import_gsm8k(SAMPLE, tools, limit=20)
    assert list(read_tasks(output)) == expected
    summary = lines(result.stderr)
    assert f"{report.verified} verified: written as tasks" in summary
    assert all(f"{rows} left out: {reason[:12]}" in summary for reason, rows in report.left_out.items())


def test_the_command_says_what_it_left_out(tmp_path: Path) -> None:
    file = put(tmp_path, "<<1+1=2>>2\n#### 2", "<<2+2=5>>5\n#### 5")
    file.write_text(file.read_text() + "nope\n" * 7)
    result = run(file, "-o", tmp_path / "tasks.jsonl", "--on-error", "skip")
    assert result.exit_code == 0, result.output
    assert f"left out: {file}:3: not JSON at byte" in result.stderr
    assert "... and 2 more unreadable lines" in result.stderr
    assert "9 read" in lines(result.stderr)


ERRORS = [
    pytest.param(["FOLDER/none.jsonl", "-o", "FOLDER/t.jsonl"], "none.jsonl: no such file", id="missing"),
    pytest.param(["FOLDER", "-o", "FOLDER/t.jsonl"], "this is a folder, a file is wanted", id="folder"),
    pytest.param(["FOLDER/rows.jsonl", "-o", "FOLDER/t.csv"], "known are .jsonl, .parquet", id="ending"),
    pytest.param(["FOLDER/rows.jsonl", "-o", "FOLDER/x/t.jsonl"], "does not exist; create it first", id="no-dir"),
    pytest.param(["FOLDER/bad.jsonl", "-o", "FOLDER/t.jsonl"], "bad.jsonl:1: not JSON at byte", id="bad-line"),
    pytest.param(["FOLDER/rows.jsonl"], "Missing option '-o'", id="no-output"),
    pytest.param(["FOLDER/rows.jsonl", "-o", "t.jsonl", "--limit", "0"], "--limit", id="limit"),
]


@pytest.mark.parametrize(("arguments", "message"), ERRORS)
def test_the_command_says_what_is_wrong_and_writes_nothing(tmp_path: Path, arguments: list[str], message: str) -> None:
    put(tmp_path, "<<1+1=2>>2\n#### 2")
    (tmp_path / "bad.jsonl").write_text("nope\n")
    result = run(*(text.replace("FOLDER", str(tmp_path)) for text in arguments))
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bad.jsonl", "rows.jsonl"]


def test_a_report_adds_up(tools: ToolSet) -> None:
    _, report = import_gsm8k(SAMPLE, tools)
    assert isinstance(report, ImportReport)
    assert report.rows == report.verified + sum(report.left_out.values())
    assert set(report.examples) == set(report.left_out)


def plan(text: str, results: list[float], known: dict[float, float] | None = None) -> list[tuple[object, ...]]:
    marks, _ = split_marks(text)
    steps = operations(marks[0].expression, known or {})
    found = []
    try:
        found.append(next(steps))
        found.extend(map(steps.send, results))
    except StopIteration:
        pass
    return [(step.tool, *step.operands) for step in found]


@pytest.mark.parametrize(
    ("mark", "results", "calls"),
    [
        ("48/2=24", [24], [("divide", 48, 2)]),
        ("(2+3)*4=20", [5, 20], [("add", 2, 3), ("multiply", 5, 4)]),
        ("100-50-30=20", [50, 20], [("subtract", 100, 50), ("subtract", 50, 30)]),
        ("1+2+3*4=15", [12, 15], [("multiply", 3, 4), ("sum_numbers", 1, 2, 12)]),
        ("-5+8.0=3", [3], [("add", -5, 8)]),
        ("560//10=56", [56, 56], [("divide", 560, 10), ("floor", 56)]),
        ("2**10=1024", [1024], [("power", 2, 10)]),
        ("7%4=3", [3], [("modulo", 7, 4)]),
        ("12=12", [], []),
    ],
)
def test_a_mark_becomes_calls_in_order(mark: str, results: list[float], calls: list[tuple[object, ...]]) -> None:
    assert plan(f"so <<{mark}>>{mark}", results) == calls


def test_a_rounded_number_of_the_text_stands_for_the_executed_one() -> None:
    assert plan("<<3.33*6=20>>", [20], {3.33: 10 / 3}) == [("multiply", 10 / 3, 6)]


@pytest.mark.parametrize(
    "mark",
    [
        "2+2",
        "__import__('os')=1",
        "a*2=4",
        "2*=4",
        "2+2=four",
        "=4",
        "(1,2)=3",
        "2<3=1",
        "2^3=8",
        "'a'*3=1",
        "True+1=2",
        "[1]*2=2",
        "1" + "+1" * 300 + "=301",
    ],
)
def test_a_mark_that_is_no_arithmetic_is_refused_unevaluated(mark: str) -> None:
    with pytest.raises(MarkError, match=r"^<<"):
        split_marks(f"<<{mark}>>")


def test_numbers_of_the_text() -> None:
    assert [number(text) for text in ("1,250", " $5 ", ".5", "-3", "24.0")] == [1250, 5, 0.5, -3, 24]
    for text in ("", "1e9", "five", "9" * 41, "1.2.3"):
        with pytest.raises(MarkError):
            number(text)
