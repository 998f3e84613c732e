"""The arithmetic tools on the host give what the guest gives, or leave it to the guest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mentor
from mentor.tools.native import NATIVE, answer

# With fuel all calls go to the guest.
TOOLS = mentor.tools.arithmetic(limits=mentor.Limits(timeout_ms=1_000, memory_mb=128, output_kb=16, fuel=10**9))
HALVES = st.integers(-(10**6), 10**6).map(lambda n: n / 2)
NUMBERS = (
    st.integers(-100, 100)
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | HALVES
    | st.sampled_from([0, 0.0, -0.0, 1, -1, 2**53, 2**53 + 1, -(2**53), 5e-324, 1.7976931348623157e308, 2.675, 0.1])
)
DIGITS = st.integers(-5, 20) | st.sampled_from([-400, 300, 301, 10**9])


def same(name: str, arguments: dict[str, Any]) -> bool:
    """Whether the host answered, as the guest does."""
    native = answer(name, json.dumps(arguments))
    if native is None:
        return False
    guest = TOOLS.call(name, arguments)
    assert guest.fault is None, guest
    assert type(native.value) is type(guest.value)
    assert json.dumps(native.value) == json.dumps(guest.value)  # of -0.0 the sign too
    left = (native.stdout, native.stderr, native.truncated, native.reproducible)
    assert left == (guest.stdout, guest.stderr, guest.truncated, guest.reproducible)
    return True


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "modulo"])
@settings(max_examples=150, deadline=None)
@given(a=NUMBERS, b=NUMBERS)
@example(a=7, b=0)
@example(a=-0.0, b=0.0)
@example(a=1e308, b=1e308)
@example(a=-7, b=2.5)
def test_two_numbers(name: str, a: float, b: float) -> None:
    same(name, {"a": a, "b": b})


@pytest.mark.parametrize("name", ["floor", "ceil", "sqrt", "abs_value"])
@settings(max_examples=100, deadline=None)
@given(x=NUMBERS)
@example(x=-1)
@example(x=1e300)
def test_one_number(name: str, x: float) -> None:
    same(name, {"x": x})


@settings(max_examples=200, deadline=None)
@given(x=NUMBERS, digits=DIGITS)
@example(x=2.5, digits=0)
@example(x=2.675, digits=2)
@example(x=15, digits=-1)
def test_rounding(x: float, digits: int) -> None:
    same("round_number", {"x": x, "digits": digits})
    same("round_number", {"x": x})


@settings(max_examples=150, deadline=None)
@given(base=NUMBERS, exponent=st.integers(-3, 70) | NUMBERS)
@example(base=10, exponent=10**8)
@example(base=0, exponent=-1)
def test_powers(base: float, exponent: float) -> None:
    same("power", {"base": base, "exponent": exponent})


@settings(max_examples=100, deadline=None)
@given(numbers=st.lists(NUMBERS, max_size=6) | st.lists(st.integers(-9, 9), max_size=6))
def test_sums(numbers: list[float]) -> None:
    same("sum_numbers", {"numbers": numbers})


def test_plain_calls_are_answered_on_the_host() -> None:
    assert set(NATIVE) == set(TOOLS.names)
    for name, arguments in [
        ("add", {"a": 1, "b": 2.5}),
        ("subtract", {"a": 1, "b": 2}),
        ("multiply", {"a": 6, "b": 7}),
        ("divide", {"a": 1, "b": 3}),
        ("sum_numbers", {"numbers": [1, 2]}),
        ("floor", {"x": -1.5}),
        ("ceil", {"x": 1.5}),
        ("round_number", {"x": 2.345, "digits": 2}),
        ("power", {"base": 2, "exponent": 10}),
        ("sqrt", {"x": 2}),
        ("abs_value", {"x": -3}),
        ("modulo", {"a": -7, "b": 3}),
    ]:
        assert same(name, arguments), name


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("divide", {"a": 1, "b": 0}),
        ("modulo", {"a": 1, "b": 0.0}),
        ("sqrt", {"x": -1}),
        ("power", {"base": 2, "exponent": 0.5}),
        ("power", {"base": 10, "exponent": 10**8}),
        ("add", {"a": 2**53 + 1, "b": 1}),
        ("multiply", {"a": 1e308, "b": 10}),
        ("sum_numbers", {"numbers": [0.1, 0.2]}),
        ("round_number", {"x": 1, "digits": 10**9}),
        ("round_number", {"x": 1.7976931348623157e308, "digits": -293}),
        ("other", {}),
    ],
)
def test_what_could_end_otherwise_is_left_to_the_guest(name: str, arguments: dict[str, Any]) -> None:
    assert answer(name, json.dumps(arguments)) is None


def test_tool_sets_take_the_quick_way_and_the_guests_errors() -> None:
    tools = mentor.tools.arithmetic()
    calls: list[tuple[str, dict[str, Any]]] = [("add", {"a": 1, "b": 2}), ("divide", {"a": 1, "b": 0})] * 20
    outcomes = tools.call_batch(calls)
    assert [outcome.value for outcome in outcomes] == [3, None] * 20
    assert {outcome.fault.message for outcome in outcomes if outcome.fault} == {"ZeroDivisionError: division by zero"}
    with tools.session() as session:
        assert session.call("power", {"base": 2, "exponent": 0.5}).value == 2**0.5
        assert session.call("multiply", {"a": 6, "b": 7}).value == 42
    assert tools.call("power", {"base": 10, "exponent": 10**9}).fault is not None
    fault = tools.call("round_number", {"x": 1.7976931348623157e308, "digits": -293}).fault
    assert fault is not None
    assert fault.type_name == "OverflowError"
