"""References of a user's dataset are checked before anything starts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import mentor
from mentor.config import TrainConfig, resolve
from mentor.data import Task, write_tasks
from mentor.errors import DataError
from mentor.train.app import main
from mentor.train.references import check_references
from mentor.train.tasks import load_tasks

pytestmark = pytest.mark.train

SOURCE = '''
def area(width: float, height: float) -> float:
    """Area of a rectangle.

    Args:
        width: One side.
        height: The other side.
    """
    if width < 0:
        raise ValueError("a width is not negative")
    return width * height
'''


def written(folder: Path, **fourth: Any) -> str:
    """A file of 60 tasks, the fourth of which calls what is given."""
    calls = [{"name": "area", "arguments": {"width": n, "height": 2}} for n in range(60)]
    calls[3] |= fourth
    rows = (
        Task(f"t{n}", f"{n} by 2?", ("area",), {"answer": str(2 * n), "tool_calls": [call]}, {"tools_source": SOURCE})
        for n, call in enumerate(calls)
    )
    write_tasks(folder / "tasks.jsonl", rows)
    return str(folder / "tasks.jsonl")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"name": "aera"}, " calls 'aera', which the task does not offer; did you mean 'area'?"),
        ({"name": "add"}, " calls 'add', which the task does not offer; it offers area"),
        ({"arguments": {"widht": 1, "height": 2}}, ": area has no argument 'widht'; did you mean 'width'?"),
        ({"arguments": {"width": 1}}, ": area lacks the argument 'height'"),
    ],
)
def test_a_call_that_cannot_be_made_is_refused_in_every_row(call: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = written(tmp_path, **call)
    with pytest.raises(DataError) as found:
        load_tasks(resolve(TrainConfig(dataset=file)))
    assert str(found.value).startswith(f"{file}: task 't3': reference.tool_calls[0]{message}")


def test_the_dry_run_executes_the_references(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--max-completion-length", "64", "--dry-run", "--dataset"]
    assert main([*words, written(tmp_path)]) == 0
    assert "of all 60 tasks executed; 60 calls in" in capsys.readouterr().out
    file = written(tmp_path, arguments={"width": -1, "height": 2})
    assert main([*words, file]) == 2
    place = f"error: {file}: task 't3': reference.tool_calls[0]: area"
    assert capsys.readouterr().err == f"{place}: ValueError: a width is not negative\n"


def test_the_dry_run_says_how_many_it_executed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mentor.train.check.EXECUTED", 3)
    file = written(tmp_path, arguments={"width": -1, "height": 2})  # the fourth, which is beyond the limit
    assert main(["--max-completion-length", "64", "--dry-run", "--dataset", file]) == 0
    assert "of 6 of 60 tasks executed; 6 calls in" in capsys.readouterr().out


def test_many_references_take_no_time() -> None:
    tools = mentor.tools.arithmetic()
    calls = [{"name": "add", "arguments": {"a": 1, "b": 2}}, {"name": "sum_numbers", "arguments": {"numbers": [1, 2]}}]
    rows = [{"id": "1", "tools": tools.names, "reference": {"tool_calls": calls}}] * 10_000
    began = time.perf_counter()
    check_references(rows, tools)
    assert time.perf_counter() - began < 5
