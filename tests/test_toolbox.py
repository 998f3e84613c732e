"""The tools of a training run."""

from __future__ import annotations

import pytest

from example_tools import NAMES, source_of
from mentor.errors import ConfigError
from mentor.train.toolbox import open_toolbox

pytestmark = pytest.mark.train


def test_a_datasets_own_tools_join_the_arithmetic() -> None:
    box = open_toolbox([source_of("return [1]", "one"), source_of("return 2", "two")])
    assert box.names == [*NAMES, "one", "two"]
    assert [schema["function"]["name"] for schema in box.schemas] == box.names
    assert [function.__name__ for function in box.functions] == box.names
    assert box.functions[-2]() == "[1]"
    assert box.call("one", {}) == [1]
    assert box.call("add", {"a": 1, "b": 2}) == 3


@pytest.mark.parametrize(
    ("sources", "text"),
    [
        ([source_of("return 1", "add")], "tools_source defines the tool 'add', which there is already"),
        ([source_of("return 1")] * 2, "tools_source defines the tool 'f', which there is already"),
        (["x = 1"], "tools_source cannot be loaded: tools: the source defines no function at its top level"),
        (
            ["import numpy\n" + source_of("return 1")],
            "tools_source cannot be loaded: tools: line 1: import numpy: the sandbox has no module 'numpy'",
        ),
    ],
)
def test_unusable_sources_are_told(sources: list[str], text: str) -> None:
    with pytest.raises(ConfigError) as found:
        open_toolbox(sources)
    assert str(found.value).startswith(text)
