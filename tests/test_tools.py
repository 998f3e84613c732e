"""mentor.ToolSet: calls, and the twelve arithmetic tools."""

from __future__ import annotations

import json
import math
import re
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mentor
from example_tools import NAMES, is_even, letters, message, scaled, shapes, source_of
from mentor import Limits, ToolSet
from mentor.errors import InputError


@pytest.fixture(scope="module")
def tools() -> ToolSet:
    return mentor.tools.arithmetic()


@pytest.fixture(scope="module")
def own() -> ToolSet:
    return ToolSet.from_functions([scaled, letters, shapes])


# --- arithmetic ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("add", {"a": 2, "b": 3}, 5),
        ("add", {"a": 0.5, "b": 0.5}, 1.0),
        ("add", {"a": 10**30, "b": 1}, 10**30 + 1),
        ("subtract", {"a": 2, "b": 2}, 0),
        ("multiply", {"a": 1.5, "b": 2}, 3.0),
        ("divide", {"a": 6, "b": 3}, 2.0),
        ("sum_numbers", {"numbers": [1, 2, 3.5]}, 6.5),
        ("sum_numbers", {"numbers": []}, 0),
        ("floor", {"x": -1.5}, -2),
        ("ceil", {"x": -1.5}, -1),
        ("round_number", {"x": 2.675, "digits": 1}, 2.7),
        ("round_number", {"x": 2.5}, 2),
        ("round_number", {"x": 1234, "digits": -2}, 1200),
        ("power", {"base": 2, "exponent": 10}, 1024),
        ("power", {"base": 2, "exponent": -1}, 0.5),
        ("sqrt", {"x": 16}, 4.0),
        ("abs_value", {"x": -7}, 7),
        ("modulo", {"a": -7, "b": 3}, 2),
    ],
)
def test_arithmetic(tools: ToolSet, name: str, arguments: dict[str, Any], value: float) -> None:
    for given_arguments in (arguments, json.dumps(arguments)):
        outcome = tools.call(name, given_arguments)
        assert outcome.ok
        assert (outcome.value, type(outcome.value)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "text"),
    [
        ("divide", {"a": 1, "b": 0}, "exception", "ZeroDivisionError: division by zero"),
        ("modulo", {"a": 1, "b": 0}, "exception", "ZeroDivisionError: division by zero"),
        ("sqrt", {"x": -1}, "exception", "ValueError: expected a nonnegative input, got -1.0"),
        (
            "power",
            {"base": -8, "exponent": 0.5},
            "exception",
            "ValueError: a negative number to a fractional power is not real",
        ),
        ("power", {"base": 10.5, "exponent": 5000}, "exception", "OverflowError: the result is too large"),
        (
            "multiply",
            {"a": 1e308, "b": 10},
            "bad_result",
            "the result is not JSON: ValueError: Out of range float values are not JSON compliant: inf",
        ),
        ("power", {"base": 10, "exponent": 10**8}, "exception", "OverflowError: the result is too large"),
    ],
)
def test_arithmetic_faults(tools: ToolSet, name: str, arguments: dict[str, Any], kind: str, text: str) -> None:
    assert message(tools.call(name, arguments), kind) == text
    assert tools.call("add", {"a": 1, "b": 1}).value == 2


def test_the_twelve_tools_of_the_paper(tools: ToolSet) -> None:
    assert tools.names == NAMES
    assert len(tools) == 12
    assert "add" in tools
    assert "plus" not in tools
    assert tools.pure
    assert [schema["function"]["name"] for schema in tools.schemas] == NAMES


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["add", "subtract", "multiply"]), *[st.integers() | st.floats(-1e100, 1e100)] * 2)
def test_arithmetic_is_pythons(name: str, a: float, b: float) -> None:
    expected = {"add": a + b, "subtract": a - b, "multiply": a * b}[name]
    outcome = TOOLS.call(name, {"a": a, "b": b})
    assert repr(outcome.value) == repr(expected)


TOOLS = mentor.tools.arithmetic()


# --- calls ---------------------------------------------------------------------------------------------------------


def test_functions_bring_along_what_they_use(own: ToolSet) -> None:
    assert own.call("scaled", {"x": 4}).value == 40
    assert own.call("scaled", {"x": 4, "factor": 3.0}).value == 12  # an integral number is an integer
    assert own.call("letters", {"text": "banana"}).value == {"b": 1, "a": 3, "n": 2}
    assert own.call("letters", {"text": "banana", "at_most": 1, "kind": "vowels"}).value == {"a": 3}
    assert own.call("letters", {"text": "x", "at_most": None}).value == {"x": 1}


def test_functions_that_cannot_be_brought_along() -> None:
    lock = threading.Lock()

    def locked() -> int:
        """Take a lock."""
        with lock:
            return 1

    with pytest.raises(
        InputError, match=r"tools: locked uses 'lock' \(lock\), which cannot be brought into the sandbox"
    ):
        ToolSet.from_functions([locked])
    with pytest.raises(InputError, match="tools: <lambda> is a lambda; write it with `def`"):
        ToolSet.from_functions([lambda: 1])
    with pytest.raises(TypeError, match="functions must be Python functions, not builtin_function_or_method"):
        ToolSet.from_functions([len])
    with pytest.raises(InputError, match="tools: no function given"):
        ToolSet.from_functions([])


def test_captured_constants_are_brought_along() -> None:
    table = {"a": [1, 2], "b": (3.5, None)}

    def look(key: str) -> Any:
        """Look it up.

        Args:
            key: The key.
        """
        return table[key]

    assert ToolSet.from_functions([look]).call("look", {"key": "b"}).value == [3.5, None]


def test_functions_that_call_each_other_are_brought_along() -> None:
    assert ToolSet.from_functions([is_even]).call("is_even", {"n": 7}).value is False


def test_compiled_patterns_are_brought_along() -> None:
    pattern = re.compile(r"(?<!\w)[a-z]\'+", re.IGNORECASE | re.ASCII)

    def find(text: str) -> list[str]:
        """Find it.

        Args:
            text: The text.
        """
        return pattern.findall(text)

    assert ToolSet.from_functions([find]).call("find", {"text": "A' b' cd' \xdc'"}).value == ["A'", "b'"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ad", "unknown tool 'ad'; did you mean 'add'?"),
        ("xyz", f"unknown tool 'xyz'; the tools are {', '.join(NAMES)}"),
        ("", f"unknown tool ''; the tools are {', '.join(NAMES)}"),
        ("__import__", f"unknown tool '__import__'; the tools are {', '.join(NAMES)}"),
        ("q" * 500, f"unknown tool '{'q' * 57}...'; the tools are {', '.join(NAMES)}"),
    ],
)
def test_unknown_tools(tools: ToolSet, name: str, text: str) -> None:
    assert message(tools.call(name, {}), "unknown_tool") == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"a": 1}, "add lacks the argument 'b'"),
        ({}, "add lacks the argument 'a', 'b'"),
        ({"a": 1, "b": 2, "c": 3}, "add has no argument 'c'; it takes a, b"),
        ({"a": "1", "b": 2}, 'add: a must be a number, not a string ("1")'),
        ({"a": None, "b": 2}, "add: a must be a number, not null"),
        ({"a": True, "b": 2}, "add: a must be a number, not a boolean (true)"),
        ({"a": [1], "b": 2}, "add: a must be a number, not an array"),
        ({"a": {}, "b": 2}, "add: a must be a number, not an object"),
        ({"a": math.nan, "b": 2}, "the arguments are no JSON: Out of range float values are not JSON compliant"),
        ({"a": 1j, "b": 2}, "add: a must be a number, not a complex"),
        ('{"a": 1, "b": ', "the arguments are no valid JSON: Expecting value"),
        ('{"a": NaN, "b": 1}', "the arguments are no valid JSON: NaN is no JSON"),
        ("[1, 2]", "the arguments must be a JSON object, not an array"),
        ("5", "the arguments must be a JSON object, not a number"),
        ("null", "the arguments must be a JSON object, not null"),
        ([1, 2], "the arguments must be a JSON object, not an array"),
        (None, "the arguments must be a JSON object, not null"),
        ("[" * 100_000, "the arguments are no valid JSON"),
    ],
)
def test_bad_arguments(tools: ToolSet, arguments: Any, text: str) -> None:
    assert message(tools.call("add", arguments), "bad_arguments").startswith(text)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"items": [{"a": 1}, {"b": "x"}]}, "shapes: items[1]['b'] must be a number, not a string (\"x\")"),
        ({"items": {}}, "shapes: items must be an array, not an object"),
        ({"pair": [1]}, "shapes: pair must have 2 items, not 1"),
        ({"pair": [1.5, "x"]}, "shapes: pair[0] must be an integer, not a number (1.5)"),
        ({"flag": 1}, "shapes: flag must be a boolean, not an integer (1)"),
        ({"either": "x"}, 'shapes: either must be an array or an integer, not a string ("x")'),
        ({"extra": {1, 2}}, "the arguments are no JSON: Object of type set is not JSON serializable"),
    ],
)
def test_arguments_are_checked_all_the_way_down(own: ToolSet, changes: dict[str, Any], text: str) -> None:
    arguments = {"items": [{"a": 1}], "pair": [1, "x"], "flag": True, "extra": [None]}
    assert own.call("shapes", arguments).ok
    assert message(own.call("shapes", arguments | changes), "bad_arguments") == text


def test_choices_are_checked(own: ToolSet) -> None:
    found = message(own.call("letters", {"text": "x", "kind": "odd"}), "bad_arguments")
    assert found == 'letters: kind must be one of ["all", "vowels"], not a string ("odd")'


def test_flaws_of_a_call_start_no_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a guest was started")

    monkeypatch.setattr(mentor.Sandbox, "session", never)
    fresh = mentor.tools.arithmetic()
    assert not fresh.call("ad", {}).ok
    assert not fresh.call("add", {}).ok


@pytest.mark.parametrize("value", ["0", "False", "[]", "''", "None", "{}", "1.0", "-0.0", "2**70"])
@pytest.mark.parametrize("pure", [True, False])
def test_results_keep_their_type(value: str, pure: bool) -> None:
    outcome = ToolSet.from_source(source_of(f"return {value}"), pure=pure).call("f", {})
    assert outcome.ok
    assert repr(outcome.value) == repr(eval(value))


@pytest.mark.parametrize("value", ["float('nan')", "float('inf')", "{1}", "object()", "10**5000", "[[float('nan')]]"])
def test_results_that_are_no_json(value: str) -> None:
    outcome = ToolSet.from_source(source_of(f"return {value}")).call("f", {})
    assert message(outcome, "bad_result").startswith("the result is not JSON: ")


def test_a_result_keeps_to_the_output_limit() -> None:
    toolset = ToolSet.from_source(source_of("return 'x' * 5000"), limits=Limits(output_kb=2))
    assert "limit" in message(toolset.call("f", {}), "bad_result")


def test_a_traceback_and_the_output_come_back() -> None:
    toolset = ToolSet.from_source(source_of("print('here')\n    raise KeyError('k')"))
    outcome = toolset.call("f", {})
    assert outcome.stdout == "here\n"
    assert message(outcome, "exception") == "KeyError: 'k'"
    assert outcome.fault is not None
    assert 'File "<tools>", line 4, in f' in outcome.fault.traceback


def test_a_source_that_fails_fails_every_call() -> None:
    toolset = ToolSet.from_source(source_of("return 1") + "boom\n", pure=True, check=False)
    for _ in range(2):
        assert message(toolset.call("f", {}), "exception") == "NameError: name 'boom' is not defined"


COUNTER = """
seen = []

def count() -> int:
    \"\"\"Count the calls.\"\"\"
    seen.append(1)
    return len(seen)

def fail() -> int:
    \"\"\"Fail.\"\"\"
    raise ValueError

def stop() -> None:
    \"\"\"Never end.\"\"\"
    while True: pass
"""


def test_each_call_has_a_fresh_guest_unless_the_tools_are_pure() -> None:
    fresh = ToolSet.from_source(COUNTER, limits=Limits(timeout_ms=300))
    assert [fresh.call("count", {}).value for _ in range(3)] == [1, 1, 1]
    warm = ToolSet.from_source(COUNTER, limits=Limits(timeout_ms=300), pure=True)
    assert [warm.call("count", {}).value for _ in range(3)] == [1, 2, 3]
    for bad in ("fail", "stop"):
        assert not warm.call(bad, {}).ok
        assert [warm.call("count", {}).value for _ in range(2)] == [1, 2]


def test_a_warm_guest_is_replaced_after_many_calls() -> None:
    warm = ToolSet.from_source(COUNTER, pure=True)
    values = [outcome.value for outcome in map(warm.call, ["count"] * 1500, [{}] * 1500)]
    assert values == [*range(1, 1001), *range(1, 501)]


def test_batches_keep_the_order(tools: ToolSet, own: ToolSet) -> None:
    outcomes = tools.call_batch([("add", {"a": n, "b": n}) for n in range(200)])
    assert [outcome.value for outcome in outcomes] == [2 * n for n in range(200)]
    mixed = own.call_batch([("scaled", {"x": 1}), ("nope", {}), ("scaled", '{"x": 2}'), ("scaled", {})])
    assert [outcome.fault.kind if outcome.fault else outcome.value for outcome in mixed] == [
        10,
        "unknown_tool",
        20,
        "bad_arguments",
    ]
    assert tools.call_batch([]) == []


def test_wrong_types_are_the_callers_mistake(tools: ToolSet) -> None:
    with pytest.raises(TypeError, match="name must be a str, not int"):
        tools.call(5, {})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"calls\[1\] must be a pair \(name, arguments\)"):
        tools.call_batch([("add", {}), "add"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="source must be a str, not bytes"):
        ToolSet.from_source(b"")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="results must be 'value' or 'text', not 'json'"):
        tools.functions(results="json")  # type: ignore[arg-type]
