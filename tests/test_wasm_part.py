"""WebAssembly as tools: names, descriptions, schemas, and what is wrong with them."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from mentor import Limits, ToolSet
from mentor.errors import InputError
from mentor.tools.schema import OMITTED
from mentor.tools.wasm import WasmPart
from wasm_sources import NUMBERS

SOURCE = NUMBERS.encode()


def test_all_functions_are_tools_by_default() -> None:
    part = WasmPart(SOURCE)
    assert list(part.tools) == [function.name for function in part.module.functions]
    function = part.tools["add"].schema["function"]
    assert part.tools["add"].schema["type"] == "function"
    assert function["description"] == "add(first: i64, second: i64) -> i64"
    assert function["return"]["type"] == "integer"
    assert str(part.tools["add"].signature) == "(*, first: int, second: int)"
    assert "return" not in part.tools["nothing"].schema["function"]


def test_some_may_be_chosen_and_described() -> None:
    words = {"add": "Add two integers.", "add.first": "One summand."}
    part = WasmPart(SOURCE, only=["half", "add"], descriptions=words)
    assert list(part.tools) == ["half", "add"]
    function = part.tools["add"].schema["function"]
    assert function["description"] == "Add two integers."
    assert function["parameters"]["properties"]["first"]["description"] == "One summand."
    assert part.tools["add"].doc == "Add two integers.\n\nArgs:\n    first: One summand.\n    second: second"
    assert "description" not in part.module.functions[0].parameters["properties"]["first"]
    assert part.call("add", '{"first": 1, "second": 2}').value == 3
    assert [outcome.value for outcome in part.call_batch([("half", '{"a": 3}')] * 3)] == [1.5] * 3


def test_schemas_of_ones_own_replace_those_of_the_types() -> None:
    parameters = {
        "type": "object",
        "properties": {"a": {"type": "integer", "maximum": 9}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    }
    schema = {"type": "function", "function": {"name": "quotient", "description": "Divide.", "parameters": parameters}}
    part = WasmPart(SOURCE, only=["quotient"], schemas=[schema])
    assert part.tools["quotient"].schema == schema
    assert part.tools["quotient"].schema is not schema


def test_it_pickles_with_its_words() -> None:
    part = pickle.loads(pickle.dumps(WasmPart(SOURCE, only=["echo"], descriptions={"echo": "Echo."}, seed=3)))
    assert part.tools["echo"].schema["function"]["description"] == "Echo."
    assert part.module.seed == 3
    assert part.call("echo", '{"n": 5}').value == 5
    assert OMITTED is pickle.loads(pickle.dumps(OMITTED))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"only": ["ad"]}, InputError, "there is no function 'ad'; it has add, half"),
        ({"only": ["pair"]}, InputError, "'pair' cannot be a tool: it has more than one result"),
        ({"only": []}, InputError, "there is no function that could be a tool"),
        ({"only": "add"}, TypeError, "only must be a list of names, not str"),
        ({"only": [3]}, TypeError, "it has a int"),
        ({"descriptions": ["add"]}, TypeError, "descriptions must be a mapping"),
        ({"descriptions": {"add": 3}}, TypeError, r"descriptions['add'] must be a str"),
        ({"descriptions": {"ad": "x"}}, InputError, "there is no tool or parameter 'ad'"),
        ({"descriptions": {"add.third": "x"}}, InputError, "there is no tool or parameter 'add.third'"),
        ({"schemas": {"name": "add"}}, TypeError, "schemas must be a list"),
        ({"schemas": [3]}, TypeError, "schemas[0] must be a schema"),
        ({"schemas": [{"name": "ad"}]}, InputError, "schemas[0]: there is no tool 'ad'"),
        ({"schemas": [{"name": "add", "parameters": 3}]}, InputError, "must be a JSON Schema of an object"),
        (
            {"schemas": [{"name": "add", "parameters": {"properties": {"x": {}}}}]},
            InputError,
            "add has no parameter 'x'; it takes first, second",
        ),
        (
            {"schemas": [{"name": "add", "parameters": {"properties": {"first": {}, "second": {}}}}]},
            InputError,
            "add needs 'first': list it under `required`",
        ),
        ({"limits": 3}, TypeError, r"limits must be mentor.Limits"),
    ],
)
def test_what_is_wrong_is_said(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        WasmPart(SOURCE, **arguments)
    assert words in str(caught.value)


def test_a_file_without_a_function_is_refused() -> None:
    with pytest.raises(InputError, match="no function that could be a tool"):
        WasmPart(b'(module (func (export "_f")))', limits=Limits())


def test_tool_sets_join_them_with_others() -> None:
    import mentor

    tools = ToolSet.from_wasm(SOURCE, only=["echo", "count"]) + mentor.tools.arithmetic().only("add")
    assert tools.names == ["echo", "count", "add"]
    assert tools.call("echo", {"n": 2.0}).value == 2
    fault = tools.call("echo", {"n": 2**31}).fault
    assert fault is not None
    assert fault.kind == "bad_arguments"
    assert [o.value for o in tools.call_batch([("echo", {"n": 4}), ("add", {"a": 1, "b": 2})])] == [4, 3]
    with tools.session() as session:
        assert [session.call("count", {}).value for _ in range(2)] == [1, 1]
    assert pickle.loads(pickle.dumps(tools)).call("echo", {"n": 3}).value == 3
    echo = tools.functions()[0]
    assert echo(n=5) == 5
    assert tools.coercing().call("echo", {"n": "7"}).value == 7
