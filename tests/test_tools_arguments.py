"""mentor.ToolSet: how arguments are judged, explained and converted."""

from __future__ import annotations

import json
import math
from typing import Any, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mentor
from example_tools import letters, message, scaled, shapes
from mentor import ToolSet
from mentor.errors import InputError
from mentor.tools.arguments import MAX_ARGUMENTS

SCHEMA: dict[str, Any] = {
    "name": "take",
    "description": "Take arguments.",
    "parameters": {
        "type": "object",
        "properties": {
            "count": {"type": "integer", "minimum": 1, "maximum": 9},
            "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
            "point": {
                "type": "object",
                "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
                "required": ["x", "y"],
                "additionalProperties": False,
            },
            "shade": {"type": "str", "enum": ["dark", "light"], "nullable": True},
            "rows": {"type": "array", "items": {"$ref": "#/$defs/row"}, "minItems": 1},
            "flag": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        },
        "required": ["count"],
        "$defs": {"row": {"type": "array", "items": {"type": "integer"}}},
    },
}


@pytest.fixture(scope="module")
def take() -> ToolSet:
    return ToolSet.from_schemas([SCHEMA], "def take(**given): return given")


@pytest.fixture(scope="module")
def own() -> ToolSet:
    return ToolSet.from_functions([scaled, letters, shapes])


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "take lacks the argument 'count'"),
        ({"count": "3"}, 'take: count must be an integer, not a string ("3")'),
        ({"count": 0}, "take: argument `count`: 0 is less than the minimum of 1"),
        ({"count": 1.5}, "take: count must be an integer, not a number (1.5)"),
        ({"count": 1, "name": "ABC"}, 'take: argument `name`: "ABC" does not match "^[a-z]+$"'),
        ({"count": 1, "point": {"x": 1}}, "take: point lacks 'y'"),
        ({"count": 1, "point": {"x": 1, "y": 2, "zz": 3}}, "take: point has no 'zz'; it takes x, y"),
        ({"count": 1, "point": {"x": 1, "y": "2"}}, "take: point['y'] must be a number, not a string (\"2\")"),
        ({"count": 1, "shade": "bright"}, 'take: shade must be one of ["dark", "light"], not a string ("bright")'),
        ({"count": 1, "shade": 1}, "take: shade must be a string, not an integer (1)"),
        ({"count": 1, "rows": []}, "take: argument `rows`: [] has less than 1 item"),
        ({"count": 1, "rows": [[1, "x"]]}, 'take: argument `rows.0.1`: "x" is not of type "integer"'),
        ({"count": 1, "flag": "yes"}, 'take: flag fits none of its types; it is a string ("yes")'),
    ],
)
def test_messages_say_which_argument_what_was_expected_and_what_came(
    take: ToolSet, arguments: dict[str, Any], text: str
) -> None:
    for form in (arguments, json.dumps(arguments), json.dumps(arguments, indent=2)):
        assert message(take.call("take", form), "bad_arguments") == text


def test_a_given_schema_decides(take: ToolSet) -> None:
    assert take.call("take", {"count": 3, "shade": None, "flag": None, "more": 1}).value == {
        "count": 3, "shade": None, "flag": None, "more": 1,
    }  # fmt: skip
    strict = {**SCHEMA, "parameters": {**SCHEMA["parameters"], "additionalProperties": False}}
    closed = ToolSet.from_schemas([strict], "def take(**given): return given")
    assert message(closed.call("take", {"count": 3, "cuont": 1}), "bad_arguments") == (
        "take has no argument 'cuont'; did you mean 'count'? it takes count, name, point, shade, rows, flag"
    )


def test_unknown_arguments_come_with_a_suggestion(own: ToolSet) -> None:
    found = message(own.call("letters", {"txt": "x", "at_most": 1}), "bad_arguments")
    assert found == "letters has no argument 'txt'; did you mean 'text'? it takes text, at_most, kind"
    found = message(own.call("letters", {"q" * 300: 1}), "bad_arguments")
    assert found == f"letters has no argument '{'q' * 57}...'; it takes text, at_most, kind"
    assert message(own.call("shapes", {}), "bad_arguments") == (
        "shapes lacks the argument 'items', 'pair', 'flag', 'extra'"
    )


def test_sizes_are_told() -> None:
    tools = mentor.tools.arithmetic()
    text = json.dumps({"numbers": [1] * MAX_ARGUMENTS})
    told = f"the arguments have {len(text):,} characters of JSON; at most 1,048,576 fit"
    assert message(tools.call("sum_numbers", text), "bad_arguments") == told
    assert message(tools.call("sum_numbers", {"numbers": [1] * MAX_ARGUMENTS}), "bad_arguments") == told
    large = ToolSet.from_functions([letters], limits=mentor.Limits(output_kb=1))
    found = message(large.call("letters", {"text": "".join(map(chr, range(200, 900)))}), "bad_result")
    assert found.startswith("the result is not JSON: ")
    assert "the limit is 1024" in found


@pytest.mark.parametrize("depth", [100, 127, 128, 500, 5_000])
def test_deep_arguments_are_answered(own: ToolSet, depth: int) -> None:
    deep: Any = 1
    for _ in range(depth):
        deep = [deep]
    arguments = {"items": [], "pair": [1, "x"], "flag": True, "extra": deep}
    outcome = own.call("shapes", arguments)
    if depth <= 100:
        assert outcome.ok
    elif depth >= 128:
        assert message(outcome, "bad_arguments") == "the arguments are nested too deeply"
    text = '{"items": [], "pair": [1, "x"], "flag": true, "extra": ' + "[" * depth + "]" * depth + "}"
    again = own.call("shapes", text)
    assert again.ok == outcome.ok


def test_line_breaks_in_texts_and_numbers_with_a_zero_fraction(own: ToolSet) -> None:
    assert own.call("letters", '{"text": "a\nb"}').value == {"a": 1, "\n": 1, "b": 1}
    assert own.call("scaled", '{"x": 1.5, "factor": 2.0}').value == 3.0
    assert own.call("scaled", '{"x": "\\ud800", "factor": 2.0}').fault is not None
    assert own.call("letters", '{"text": "\\ud800"}').ok
    assert own.call("letters", {"text": "\ud800"}).ok
    assert own.call("letters", '{"text": "\ud800"}').ok
    found = message(own.call("scaled", '{"x": 1e999}'), "bad_arguments")
    assert found.startswith("the arguments are no JSON: Out of range float values")


def test_odd_keys_and_numbers_beyond_doubles(own: ToolSet) -> None:
    tools = mentor.tools.arithmetic()
    assert message(tools.call("add", {1: 2, "a": 1}), "bad_arguments") == "add has no argument '1'; it takes a, b"
    assert message(tools.call("add", {1: math.nan}), "bad_arguments") == "add has no argument '1'; it takes a, b"
    assert tools.call("add", {"a": 10**400, "b": 1}).value == 10**400 + 1
    assert own.call("scaled", {"x": 0, "factor": 10**400}).value == 0
    assert own.call("scaled", '{"x": 0, "factor": 1' + "0" * 400 + "}").value == 0


def pick(kind: Optional[str] = None, shape: str | list[int] | None = None) -> list[Any]:  # noqa: UP045
    """Pick.

    Args:
        kind: Kind. (choices: ["a", "b"])
        shape: Shape.
    """
    return [kind, shape]


def test_null_fits_where_the_hint_allows_it() -> None:
    tools = ToolSet.from_functions([pick])
    assert tools.call("pick", {"kind": None, "shape": None}).value == [None, None]
    assert tools.call("pick", {"kind": "a", "shape": [1]}).value == ["a", [1]]
    assert message(tools.call("pick", {"kind": "c"}), "bad_arguments").startswith(
        'pick: kind must be one of ["a", "b"]'
    )


# --- the same judgement as scoring ------------------------------------------------------------------------------------


def leaves() -> st.SearchStrategy[Any]:
    return (
        st.none() | st.booleans() | st.integers(-3, 12) | st.floats(-2, 2) | st.sampled_from(["a", "dark", "ABC", ""])
    )


VALUES = st.recursive(
    leaves(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "z"]), inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(st.sampled_from([*SCHEMA["parameters"]["properties"], "other"]), VALUES, max_size=4)


@settings(max_examples=150, deadline=None)
@given(ARGUMENTS)
def test_what_a_tool_set_refuses_is_what_scoring_calls_invalid(arguments: dict[str, Any]) -> None:
    part, checker = TAKE._entries["take"][1], TAKE._entries["take"][0]
    assert part is not None
    try:
        checker.text(arguments)
        fits = True
    except ValueError as error:
        assert str(error)
        fits = False
    call = json.dumps({"name": "take", "arguments": arguments})
    refs = [{"answer": "1", "tool_calls": []}]
    score = mentor.score_batch([f"<tool_call>\n{call}\n</tool_call>"], refs, tools=[[SCHEMA]])[0]
    flaws = [defect.kind for defect in score.defects if "arguments" in defect.kind]
    assert fits == (not flaws), (arguments, flaws)


TAKE = ToolSet.from_schemas([SCHEMA], "def take(**given): return given", check=False)


# --- coerce -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ({"count": "3"}, {"count": 3}),
        ({"count": " 3.0 "}, {"count": 3}),
        ({"count": 3.0}, {"count": 3}),
        ({"count": 3, "name": None, "shade": None, "point": None}, {"count": 3, "shade": None}),
        ({"count": 3, "point": '{"x": "1", "y": 2.5}'}, {"count": 3, "point": {"x": 1, "y": 2.5}}),
        ({"count": 3, "flag": "True"}, {"count": 3, "flag": True}),
        ({"count": 3, "rows": "[[1, 2]]"}, {"count": 3, "rows": [[1, 2]]}),
    ],
)
def test_coerce_converts_what_clearly_means_something(
    take: ToolSet, arguments: dict[str, Any], value: dict[str, Any]
) -> None:
    assert take.coercing().call("take", arguments).value == value
    assert take.coercing().call("take", json.dumps(arguments)).value == value
    untouched = take.call("take", arguments)
    assert untouched.ok == (arguments == {"count": 3.0})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"count": "x"}, 'take: count must be an integer, not a string ("x")'),
        ({"count": "3.5"}, 'take: count must be an integer, not a string ("3.5")'),
        ({"count": True}, "take: count must be an integer, not a boolean (true)"),
        ({"count": None}, "take: count must be an integer, not null"),
        ({"count": "12"}, "take: argument `count`: 12 is greater than the maximum of 9"),
        ({"count": "1e999"}, 'take: count must be an integer, not a string ("1e999")'),
        ({"count": "9" * 500}, f'take: count must be an integer, not a string ("{"9" * 36}...)'),
        ({"count": 1, "name": 5}, "take: name must be a string, not an integer (5)"),
        ({"count": 1, "point": "[1]"}, 'take: point must be an object, not a string ("[1]")'),
        ({"count": 1, "point": "{1}"}, 'take: point must be an object, not a string ("{1}")'),
    ],
)
def test_coerce_guesses_nothing(take: ToolSet, arguments: dict[str, Any], text: str) -> None:
    assert message(take.coercing().call("take", arguments), "bad_arguments") == text


def test_coerce_wraps_a_single_value_and_keeps_what_fits() -> None:
    tools = mentor.tools.arithmetic().coercing()
    assert tools.call("sum_numbers", {"numbers": 5}).value == 5
    assert tools.call("sum_numbers", {"numbers": "5"}).value == 5
    assert tools.call("sum_numbers", {"numbers": ["1", 2]}).value == 3
    assert message(tools.call("sum_numbers", {"numbers": "x"}), "bad_arguments") == (
        'sum_numbers: numbers must be an array, not a string ("x")'
    )
    own = ToolSet.from_functions([letters, pick], coerce=True)
    assert own.call("letters", {"text": "12"}).value == {"1": 1, "2": 1}  # a text stays a text
    assert own.call("pick", {"shape": "[1]"}).value == [None, "[1]"]
    assert own.coercing(False).call("letters", {"text": "a", "at_most": "1"}).fault is not None


@settings(max_examples=150, deadline=None)
@given(ARGUMENTS)
def test_coerce_changes_nothing_that_fits_and_gives_only_what_fits(arguments: dict[str, Any]) -> None:
    plain, coercing = TAKE._entries["take"][0], TAKE.coercing()._entries["take"][0]
    try:
        as_is = plain.text(arguments)
    except ValueError:
        try:
            converted = coercing.text(arguments)
        except ValueError:
            return
        assert plain.text(converted) == converted
    else:
        assert coercing.text(arguments) == as_is


# --- schemas that are given -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schemas", "source", "text"),
    [
        ([], "def f(): pass", "tools: no schema given"),
        ([{"description": "x"}], "def f(): pass", "schemas[0] has no name: write"),
        ([{"name": "f"}] * 2, "def f(): pass", "schemas[1]: f is described twice"),
        ([{"name": "g"}], "def f(): pass", "tools: the source defines no function 'g'; it defines f"),
        ([{"name": "adds"}], "def add(): pass", "tools: the source defines no function 'adds'; did you mean 'add'?"),
        (
            [{"name": "f", "parameters": {"properties": {"txt": {}}}}],
            "def f(text): pass",
            "tools: f has no parameter 'txt', which its schema lists; did you mean 'text'?",
        ),
        (
            [{"name": "f", "parameters": {"properties": {"a": {"type": "thing"}}}}],
            "def f(a): pass",
            "tools: f: its parameters are no JSON Schema: ",
        ),
        (
            [{"name": "f", "parameters": 3}],
            "def f(): pass",
            "schemas[0]: f: parameters must be a JSON Schema of an obj",
        ),
        ([{"name": "f", "x": {1}}], "def f(): pass", "schemas[0]: f: the schema is no JSON: "),
        ([{"name": "f"}], "async def f(): pass", "tools: f: write `def`, not `async def`"),
        ([{"name": "f"}], "def f(", "tools: the source is no valid Python: "),
    ],
)
def test_unusable_schemas(schemas: list[Any], source: str, text: str) -> None:
    with pytest.raises(InputError) as found:
        ToolSet.from_schemas(schemas, source)
    assert str(found.value).startswith(text)


def test_schemas_of_the_wrong_type() -> None:
    for schemas in ({"name": "f"}, "f", 3):
        with pytest.raises(TypeError, match="schemas must be a list of schemas, not"):
            ToolSet.from_schemas(schemas, "def f(): pass")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"schemas\[0\] must be a mapping, not str"):
        ToolSet.from_schemas(["f"], "def f(): pass")  # type: ignore[list-item]


def test_both_forms_of_schemas_are_shown_as_openais() -> None:
    function = {"name": "f", "description": "F.", "parameters": {"type": "object", "properties": {"a": {}}}}
    wrapped = {"type": "function", "function": function}
    for given_schema in (function, wrapped):
        tools = ToolSet.from_schemas([given_schema], "def f(a=1): return a")
        assert tools.schemas == [wrapped]
        assert tools.functions()[0](a=5) == 5
        assert tools.call("f", {}).value == 1
    bare = ToolSet.from_schemas([{"name": "f"}], "def f(): return 1")
    assert bare.schemas[0]["function"]["parameters"] == {"type": "object", "properties": {}}


@pytest.mark.train
def test_transformers_can_read_the_callables_of_given_schemas(take: ToolSet) -> None:
    from transformers.utils import get_json_schema

    found = get_json_schema(take.functions()[0])["function"]
    assert found["name"] == "take"
    assert found["description"] == "Take arguments."
    assert found["parameters"]["required"] == ["count"]
    assert found["parameters"]["properties"]["count"]["type"] == "integer"
