"""The tools and prompts of a training run."""

from __future__ import annotations

from pathlib import Path

import pytest

import mentor
from example_tools import NAMES, source_of
from mentor.config import SYSTEM_PROMPT, TrainConfig, resolve
from mentor.data import Task, write_tasks
from mentor.errors import ConfigError
from mentor.train.tasks import dataset_tools, load_tasks

pytestmark = pytest.mark.train


def tasks(sources: list[str]) -> list[Task]:
    reference = {"answer": "1", "tool_calls": []}
    return [Task(str(at), "?", (), reference, {"tools_source": text}) for at, text in enumerate(sources)]


def test_a_datasets_own_tools_join_the_arithmetic() -> None:
    tools = dataset_tools(tasks([source_of("return [1]", "one"), source_of("return 2", "two")]))
    assert tools.names == [*NAMES, "one", "two"]
    assert tools.call("one", {}).value == [1]
    assert tools.call("add", {"a": 1, "b": 2}).value == 3


def test_prompts_without_a_system_message_get_the_one_of_the_configuration(tmp_path: Path) -> None:
    reference = {"answer": "3", "tool_calls": []}
    own = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 2?"})
    file = tmp_path / "tasks.jsonl"
    write_tasks(
        file, [Task("1", "2 + 1?", (), reference), Task("2", own, (), reference), Task("3", "?", (), reference)]
    )
    found = load_tasks(resolve(TrainConfig(dataset=str(file), system_prompt="Use the tools.")))
    texts = [[message["content"] for message in row["messages"]] for row in found.train]
    assert texts == [["Use the tools.", "2 + 1?"], ["Be brief.", "1 + 2?"]]
    held = found.splits["in_domain"].rows
    assert [message["role"] for message in held[0]["messages"]] == ["system", "user"]
    assert resolve(TrainConfig()).system_prompt == ""
    assert "\\boxed" in SYSTEM_PROMPT
    assert resolve(TrainConfig(model=str(tmp_path))).system_prompt == SYSTEM_PROMPT
    (tmp_path / "model").mkdir()
    (tmp_path / "config.yaml").write_text("system_prompt: ''\n")  # that of a run's model is the run's
    assert resolve(TrainConfig(model=str(tmp_path / "model"))).system_prompt == ""
    (tmp_path / "config.yaml").write_text("[")
    assert resolve(TrainConfig(model=str(tmp_path / "model"))).system_prompt == SYSTEM_PROMPT


def test_a_dataset_names_its_ready_tools() -> None:
    rows = [Task("1", "?", (), {"answer": "1", "tool_calls": []}, {"tools_suite": "units"})]
    assert dataset_tools(rows).names == mentor.tools.units().names
    rows.append(Task("2", "?", (), {"answer": "1", "tool_calls": []}, {"tools_suite": "calculater"}))
    with pytest.raises(ConfigError) as found:
        dataset_tools(rows, where="f.jsonl: ")
    told = "f.jsonl: task '2': tools_suite: unknown tools 'calculater' (did you mean 'calculator'?); known: calculator,"
    assert str(found.value).startswith(told)
    assert "units, arithmetic" in str(found.value)


@pytest.mark.parametrize(
    ("sources", "text"),
    [
        ([source_of("return 1", "add")], "task '0': tools_source defines the tool 'add', which there is already"),
        (
            [source_of("return 1"), source_of("return 2")],
            "task '1': tools_source defines the tool 'f', which there is already",
        ),
        (["x = 1"], "task '0': tools_source cannot be loaded: tools: the source defines no function at its top level"),
        (
            ["import numpy\n" + source_of("return 1")],
            "task '0': tools_source cannot be loaded: tools: line 1: import numpy: the sandbox has no module 'numpy'",
        ),
    ],
)
def test_unusable_sources_are_told(sources: list[str], text: str) -> None:
    with pytest.raises(ConfigError) as found:
        dataset_tools(tasks(sources))
    assert str(found.value).startswith(text)
