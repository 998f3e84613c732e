"""The tools of a training run."""

from __future__ import annotations

import pytest

import mentor
from example_tools import NAMES, source_of
from mentor.data import Task
from mentor.errors import ConfigError
from mentor.train.tasks import dataset_tools

pytestmark = pytest.mark.train


def tasks(sources: list[str]) -> list[Task]:
    reference = {"answer": "1", "tool_calls": []}
    return [Task(str(at), "?", (), reference, {"tools_source": text}) for at, text in enumerate(sources)]


def test_a_datasets_own_tools_join_the_arithmetic() -> None:
    tools = dataset_tools(tasks([source_of("return [1]", "one"), source_of("return 2", "two")]))
    assert tools.names == [*NAMES, "one", "two"]
    assert tools.call("one", {}).value == [1]
    assert tools.call("add", {"a": 1, "b": 2}).value == 3


def test_a_dataset_names_its_ready_tools() -> None:
    rows = [Task("1", "?", (), {"answer": "1", "tool_calls": []}, {"tools_suite": "units"})]
    assert dataset_tools(rows).names == mentor.tools.units().names
    rows = [Task("1", "?", (), {"answer": "1", "tool_calls": []}, {"tools_suite": "unit"})]
    with pytest.raises(ConfigError, match=r"^tools_suite: unknown suite 'unit'"):
        dataset_tools(rows)


@pytest.mark.parametrize(
    ("sources", "text"),
    [
        ([source_of("return 1", "add")], "tools_source defines the tool 'add', which there is already"),
        ([source_of("return 1"), source_of("return 2")], "tools_source defines the tool 'f', which there is already"),
        (["x = 1"], "tools_source cannot be loaded: tools: the source defines no function at its top level"),
        (
            ["import numpy\n" + source_of("return 1")],
            "tools_source cannot be loaded: tools: line 1: import numpy: the sandbox has no module 'numpy'",
        ),
    ],
)
def test_unusable_sources_are_told(sources: list[str], text: str) -> None:
    with pytest.raises(ConfigError) as found:
        dataset_tools(tasks(sources))
    assert str(found.value).startswith(text)
