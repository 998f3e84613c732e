"""ToolSet.environment: the class itself; `test_environment_trl.py` trains with it."""

from __future__ import annotations

import gc
import inspect
import weakref
from typing import Any

import pytest

import mentor
from example_tools import letters, scaled, shapes
from mentor import Limits, ToolSet
from mentor.errors import InputError
from mentor.tools import ToolCall, ToolEnvironment

SOURCE = '''
total = 0

def count(by: int = 1) -> int:
    """Count.

    Args:
        by: How much.

    Returns:
        The total.
    """
    global total
    total += by
    return total

def clear() -> list[int]:
    """Begin anew."""
    global total
    total = 0
    return [total]

def stop() -> None:
    """Never end."""
    while True: pass
'''


@pytest.fixture(scope="module")
def tools() -> ToolSet:
    return ToolSet.from_source(SOURCE, limits=Limits(timeout_ms=300))


def public(environment: type) -> list[str]:
    """What TRL takes for tools."""
    return [
        name
        for name, _ in inspect.getmembers(environment, predicate=inspect.isfunction)
        if name not in ("reset", "get_reward") and not name.startswith("_")
    ]


def test_the_public_methods_are_the_tools(tools: ToolSet) -> None:
    kind = tools.environment()
    assert issubclass(kind, ToolEnvironment)
    assert public(kind) == sorted(tools.names)
    own = ToolSet.from_functions([scaled, letters, shapes])
    method = own.environment()().scaled
    assert str(inspect.signature(method)) == str(inspect.signature(own.functions()[0]))
    assert inspect.getdoc(method) == inspect.getdoc(scaled)
    assert method.__name__ == "scaled"
    assert method(4) == method(x=4) == "40"
    assert method(4, 2) == "8"


@pytest.mark.train
def test_transformers_sees_the_schemas_of_the_set() -> None:
    from transformers.utils import get_json_schema

    own = ToolSet.from_functions([scaled, letters, shapes])
    environment = own.environment()()
    assert [get_json_schema(getattr(environment, name)) for name in own.names] == own.schemas


def test_each_instance_has_its_own_state(tools: ToolSet) -> None:
    kind = tools.environment()
    one, two = kind(), kind()
    assert [one.count(by=2), one.count(by=3), two.count(by=1)] == ["2", "5", "1"]
    one.reset(prompt="?", other=[1])
    assert one.count() == "1"
    assert two.count() == "2"


def test_values_or_text(tools: ToolSet) -> None:
    environment = tools.environment(results="value")()
    assert environment.count() == 1
    assert environment.clear() == [0]
    assert tools.environment()().clear() == "[0]"
    assert environment.count(by="x") == 'error: count: by must be an integer, not a string ("x")'
    with pytest.raises(InputError, match="results must be 'value' or 'text', not 'json'"):
        tools.environment(results="json")  # type: ignore[arg-type]


def test_what_a_model_gets_wrong_is_answered(tools: ToolSet) -> None:
    environment = tools.environment()()
    assert environment.count(bye=1) == "error: count has no argument 'bye'; did you mean 'by'? it takes by"
    assert environment.count(self=1) == "error: count has no argument 'self'; it takes by"
    assert environment.count(by=5) == "5"
    assert environment.stop() == "error: stopped after 300 ms (timeout_ms); the tools' state is lost, they begin anew"
    assert environment.count(by=5) == "5"


def test_calls_are_recorded_for_rewards(tools: ToolSet) -> None:
    environment = tools.environment()()
    assert environment.calls == ()
    environment.count(by=2)
    environment.count(by="x")
    first, second = environment.calls
    assert isinstance(first, ToolCall)
    assert (first.name, first.arguments, first.text, first.outcome.value) == ("count", {"by": 2}, "2", 2)
    assert second.outcome.fault is not None
    assert second.outcome.fault.kind == "bad_arguments"
    assert environment.session.call("count", {"by": 0}).value == 2  # looking at the state is no call of the rollout
    assert len(environment.calls) == 2
    environment.reset()
    assert environment.calls == ()


def test_a_cap_on_calls(tools: ToolSet) -> None:
    environment = tools.environment(max_calls=2)()
    assert [environment.count(), environment.count()] == ["1", "2"]
    told = "error: no calls are left: this task allows 2 calls; answer with what you have"
    assert [environment.count(), environment.clear()] == [told, told]
    assert len(environment.calls) == 4
    environment.reset()
    assert environment.count() == "1"
    assert tools.environment(max_calls=1)()._answer("count", {}).ok
    for wrong, kind, text in (
        (0, InputError, "max_calls must be at least 1, not 0"),
        (True, TypeError, "max_calls must be an int, not bool"),
    ):
        with pytest.raises(kind, match=text):
            tools.environment(max_calls=wrong)
    with pytest.raises(TypeError, match="column must be a str, not int"):
        tools.environment(column=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "cell",
    [["count"], '["count"]', ("count",), [{"type": "function", "function": {"name": "count"}}], [{"name": "count"}]],
)
def test_a_row_says_which_tools_its_task_offers(tools: ToolSet, cell: Any) -> None:
    environment = tools.environment()()
    environment.reset(tools=cell)
    assert environment.count() == "1"
    assert environment.clear() == "error: this task does not offer 'clear'; it offers count"
    fault = environment.calls[1].outcome.fault
    assert fault is not None
    assert fault.kind == "unknown_tool"
    environment.reset(tools=None)
    assert environment.clear() == "[0]"
    environment.reset(tools=[])
    assert environment.clear() == "error: this task does not offer 'clear'; it offers no tools"
    other = tools.environment(column="offered")()
    other.reset(tools=3, offered=cell)
    assert other.clear().startswith("error: this task does not offer")


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (["cuont"], "unknown tool 'cuont'; did you mean 'count'?"),
        ("count", "column 'tools' holds neither a list of tools nor JSON of one"),
        (3, "column 'tools' must hold a list of tools, not int"),
        ([3], "column 'tools' must hold names of tools or their schemas, not int"),
        ([{}], "column 'tools' must hold names of tools or their schemas, not dict"),
    ],
)
def test_rows_that_cannot_be(tools: ToolSet, cell: Any, text: str) -> None:
    with pytest.raises(InputError) as found:
        tools.environment()().reset(tools=cell)
    assert str(found.value).startswith(text)


def test_sessions_are_taken_late_and_given_back(tools: ToolSet) -> None:
    environment = tools.environment()()
    environment.reset()
    assert environment._session is None
    environment.count()
    session = environment._session
    assert session is not None
    environment.reset()
    assert session._closed
    environment.count()
    last = environment._session
    gone = weakref.ref(environment)
    del environment
    gc.collect()
    assert gone() is None
    assert last is not None
    assert last._closed


@pytest.mark.parametrize("name", ["reset", "get_reward", "calls", "session"])
def test_names_that_trl_keeps(name: str) -> None:
    tools = ToolSet.from_source(f'def {name}():\n    """Do it."""\n')
    with pytest.raises(InputError, match=f"tools: TRL cannot call '{name}' of an environment; rename it"):
        tools.environment()


def test_joined_sets_and_host_functions(tools: ToolSet) -> None:
    def twice(x: int) -> int:
        """Double.

        Args:
            x: X.
        """
        return 2 * x

    environment = (
        tools.only("count") + mentor.tools.arithmetic().only("add") + ToolSet.from_host([twice])
    ).environment()()
    assert [environment.count(), environment.add(a=1, b=2), environment.twice(x=4), environment.count()] == [
        "1", "3", "8", "2",
    ]  # fmt: skip
