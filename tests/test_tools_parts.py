"""mentor.ToolSet: sets that are joined and cut, host functions, copies."""

from __future__ import annotations

import asyncio
import copy
import functools
import pickle
import re
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Optional

import pytest

import mentor
from example_tools import NAMES, letters, message, scaled, shapes, source_of
from mentor import Limits, ToolSet
from mentor.errors import InputError


@pytest.fixture(scope="module")
def tools() -> ToolSet:
    return mentor.tools.arithmetic()


@pytest.fixture(scope="module")
def own() -> ToolSet:
    return ToolSet.from_functions([scaled, letters, shapes])


PRICES = {"tea": 3, "cake": 5}


def price(item: str, count: int = 1) -> int:
    """Price of an item.

    Args:
        item: Its name.
        count: How many.

    Returns:
        The sum.
    """
    return PRICES[item] * count


def thread() -> int:
    """Say which thread this is."""
    return threading.get_ident()


def wait(seconds: float) -> float:
    """Wait.

    Args:
        seconds: How long.
    """
    time.sleep(seconds)
    return seconds


async def later(x: int) -> int:
    """Answer later.

    Args:
        x: The answer.
    """
    await asyncio.sleep(0.001)
    return x + 1


# --- joining and cutting ----------------------------------------------------------------------------------------------


def test_joined_sets_keep_order_and_each_its_own_place(tools: ToolSet, own: ToolSet) -> None:
    both = tools + own + ToolSet.from_host([price])
    assert both.names == [*NAMES, "scaled", "letters", "shapes", "price"]
    assert list(both) == both.names
    assert len(both) == 16
    assert both.schemas == tools.schemas + own.schemas + ToolSet.from_host([price]).schemas
    assert "add" in both
    assert "price" in both
    assert (both.pure, tools.pure, own.pure) == (False, True, False)
    assert repr(own + ToolSet.from_host([price])) == "ToolSet(scaled, letters, shapes, price)"
    assert both.call("add", {"a": 1, "b": 2}).value == 3
    assert both.call("scaled", {"x": 2}).value == 20
    assert both.call("price", {"item": "cake"}).value == 5
    assert message(both.call("pric", {}), "unknown_tool") == "unknown tool 'pric'; did you mean 'price'?"
    assert len(tools) == 12  # a set never changes


def test_parts_keep_their_limits() -> None:
    source = source_of("while True: pass", "slow") + source_of("return len(list(range(2000)))", "fast")
    quick = ToolSet.from_source(source, limits=Limits(timeout_ms=100)).only("slow")
    small = ToolSet.from_source(source_of("return 'x' * 3000", "large"), limits=Limits(output_kb=2))
    both = quick + small
    assert message(both.call("slow", {}), "timeout") == "stopped after 100 ms (timeout_ms)"
    assert "the limit is 2048" in message(both.call("large", {}), "bad_result")


def test_a_doubled_name_is_refused(tools: ToolSet) -> None:
    other = ToolSet.from_source(source_of("return 1", "add") + source_of("return 1", "sqrt") + source_of("pass", "f"))
    with pytest.raises(InputError, match=re.escape("tools: both sets have 'add', 'sqrt'; leave it out of one with")):
        tools + other
    assert (tools + other.only("f")).names[-1] == "f"
    with pytest.raises(TypeError, match="unsupported operand"):
        _ = tools + 3  # type: ignore[operator]


def test_only_selects(tools: ToolSet) -> None:
    few = tools.only("sqrt", "add", "sqrt")
    assert few.names == ["sqrt", "add"]
    assert [schema["function"]["name"] for schema in few.schemas] == ["sqrt", "add"]
    assert message(few.call("divide", {"a": 1, "b": 2}), "unknown_tool") == (
        "unknown tool 'divide'; the tools are sqrt, add"
    )
    assert len(tools.only()) == 0
    assert message(tools.only().call("add", {}), "unknown_tool") == "unknown tool 'add'; the tools are none"
    with pytest.raises(InputError, match=r"unknown tool 'ad'; did you mean 'add'\?"):
        tools.only("ad")
    rejoined = tools.only("add") + tools.only("sqrt")
    assert len(rejoined._parts()) == 1  # one guest still


def test_a_batch_of_a_joined_set_keeps_its_order(tools: ToolSet, own: ToolSet) -> None:
    both = tools + own + ToolSet.from_host([price])
    calls: list[tuple[str, dict[str, Any]]] = []
    for n in range(40):
        calls += [("add", {"a": n, "b": 1}), ("scaled", {"x": n}), ("price", {"item": "tea", "count": n}), ("no", {})]
    values = [outcome.value for outcome in both.call_batch(calls)]
    assert values == [value for n in range(40) for value in (n + 1, n * 10, 3 * n, None)]


def test_copies_pickles_and_equal_parts(own: ToolSet, tools: ToolSet) -> None:
    both = (own.coercing() + tools + ToolSet.from_host([price])).only("price", "scaled", "letters", "add")
    again = pickle.loads(pickle.dumps(both))
    assert again.schemas == both.schemas
    assert again.call("scaled", {"x": "4"}).value == 40
    assert again.call("price", {"item": "tea"}).value == 3
    assert len(again._parts()) == 3
    assert copy.copy(both) is copy.deepcopy(both) is both
    schemas = ToolSet.from_schemas([{"name": "f"}], "def f(): return 1")
    assert pickle.loads(pickle.dumps(schemas)).call("f", {}).value == 1
    with pytest.raises(TypeError, match="a tool set pickles only with host functions that do"):
        pickle.dumps(ToolSet.from_host([functools.wraps(price)(lambda item, count=1: 1)]))


# --- host functions ---------------------------------------------------------------------------------------------------


def test_host_functions_run_here() -> None:
    tools = ToolSet.from_host([price, thread, later])
    assert tools.call("price", '{"item": "tea", "count": 2.0}').value == 6
    assert tools.call("thread", {}).value == threading.get_ident()
    assert tools.call("later", {"x": 1}).value == 2

    async def inside() -> Any:
        return tools.call("later", {"x": 2}).value

    assert asyncio.run(inside()) == 3
    outcome = tools.call("price", {"item": "tea"})
    assert not outcome.reproducible
    assert outcome.wall_ms >= 0


async def cancelled(why: str = "") -> None:
    """Give up.

    Args:
        why: Why.
    """
    raise asyncio.CancelledError(*[why] * bool(why))


def test_a_host_function_that_is_cancelled_is_a_fault() -> None:
    tools = ToolSet.from_host([cancelled])

    async def inside() -> Any:
        return tools.call("cancelled", {"why": "no time"})

    for outcome, says in ((tools.call("cancelled", {}), ""), (asyncio.run(inside()), ": no time")):
        fault = outcome.fault
        assert fault is not None
        assert (fault.kind, fault.type_name) == ("exception", "CancelledError")
        assert fault.message == "CancelledError: the call was cancelled" + says


@pytest.mark.train
def test_transformers_sees_the_same_schemas_of_host_functions() -> None:
    from transformers.utils import get_json_schema

    functions = [price, thread, wait, scaled, letters, shapes]
    tools = ToolSet.from_host(functions)
    assert tools.schemas == [get_json_schema(function) for function in functions]
    assert tools.schemas == [get_json_schema(function) for function in tools.functions()]


def hinted(
    a: Sequence[int],
    b: Mapping[str, float],
    c: Annotated[int, "an int"],
    d: "Optional[list]" = None,  # noqa: UP037, UP045
    e: Literal["x", 1] = "x",
    f: tuple = (),
    g: dict[str, Any] | None = None,
) -> None:
    """Take many hints.

    Args:
        a: A.
        b: B.
        c: C.
        d: D.
        e: E.
        f: F.
        g: G.
    """


def test_host_hints_are_read_from_the_objects() -> None:
    properties = ToolSet.from_host([hinted]).schemas[0]["function"]["parameters"]["properties"]
    assert {name: {k: v for k, v in schema.items() if k != "description"} for name, schema in properties.items()} == {
        "a": {"type": "array", "items": {"type": "integer"}},
        "b": {"type": "object", "additionalProperties": {"type": "number"}},
        "c": {"type": "integer"},
        "d": {"type": "array", "nullable": True},
        "e": {"type": ["string", "integer"], "enum": ["x", 1]},
        "f": {"type": "array"},
        "g": {"type": "object", "additionalProperties": {}, "nullable": True},
    }


def test_methods_and_state_of_the_caller() -> None:
    class Store:
        def __init__(self) -> None:
            self.kept: list[str] = []

        def keep(self, text: str) -> int:
            """Keep a text.

            Args:
                text: The text.
            """
            self.kept.append(text)
            return len(self.kept)

    store = Store()
    tools = ToolSet.from_host([store.keep])
    assert [tools.call("keep", {"text": word}).value for word in "ab"] == [1, 2]
    assert store.kept == ["a", "b"]


def bad(what: str) -> Any:
    """Go wrong.

    Args:
        what: How.
    """
    if what == "long":
        raise ValueError("x" * 10_000)
    if what == "unprintable":

        class Odd(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no")

        raise Odd
    values = {"set": {1}, "nan": float("nan"), "large": "y" * 5_000, "tuple": (1, (2,)), "none": None}
    return values[what]


def test_what_goes_wrong_on_the_host_is_a_fault() -> None:
    tools = ToolSet.from_host([bad], max_kb=2)
    missing = tools.call("bad", {"what": "nothing"})
    assert message(missing, "exception") == "KeyError: 'nothing'"
    assert missing.fault is not None
    assert (missing.fault.type_name, missing.fault.traceback) == ("KeyError", "")
    assert len(message(tools.call("bad", {"what": "long"}), "exception")) < 4_100
    assert message(tools.call("bad", {"what": "unprintable"}), "exception") == "Odd"
    assert message(tools.call("bad", {"what": "set"}), "bad_result") == (
        "the result is not JSON: TypeError: Object of type set is not JSON serializable"
    )
    assert message(tools.call("bad", {"what": "nan"}), "bad_result").startswith("the result is not JSON: ValueError")
    assert message(tools.call("bad", {"what": "large"}), "bad_result") == (
        "the result is not JSON: 5002 bytes of JSON; the limit is 2048"
    )
    assert tools.call("bad", {"what": "tuple"}).value == [1, [2]]
    assert tools.call("bad", {"what": "none"}).ok
    assert message(tools.call("bad", {"what": 1}), "bad_arguments") == (
        "bad: what must be a string, not an integer (1)"
    )


def interrupt() -> None:
    """Press Ctrl-C."""
    raise KeyboardInterrupt


def test_the_callers_interrupt_is_no_fault() -> None:
    with pytest.raises(KeyboardInterrupt):
        ToolSet.from_host([interrupt]).call("interrupt", {})


def test_batches_of_host_functions_use_the_threads_that_they_were_given() -> None:
    alone = ToolSet.from_host([thread, wait])
    assert {outcome.value for outcome in alone.call_batch([("thread", {})] * 8)} == {threading.get_ident()}
    many = ToolSet.from_host([wait], threads=8)
    began = time.perf_counter()
    values = [outcome.value for outcome in many.call_batch([("wait", {"seconds": n / 50}) for n in range(8)])]
    assert values == [n / 50 for n in range(8)]
    assert time.perf_counter() - began < sum(values) * 0.8


@pytest.mark.parametrize(
    ("functions", "kind", "text"),
    [
        ([], InputError, "tools: no function given"),
        (price, TypeError, "functions must be a list of functions, not function"),
        ("price", TypeError, "functions must be a list of functions, not str"),
        ([3], TypeError, "functions must be functions or methods, not int"),
        ([int], TypeError, "functions must be functions or methods, not type"),
        ([lambda x: x], InputError, "tools: <lambda> has no name that a call could use; write a `def`"),
        ([functools.partial(price)], InputError, "tools: partial has no name that a call could use; write a `def`"),
        ([price, price], InputError, "tools: two functions have the same name: price"),
        ([len], InputError, "tools: len"),
    ],
)
def test_unusable_host_functions(functions: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match="^" + re.escape(text)):
        ToolSet.from_host(functions)


def test_host_functions_without_a_schema() -> None:
    def unhinted(x):  # type: ignore[no-untyped-def]
        """Do it.

        Args:
            x: X.
        """

    def odd(x: set[int]) -> None:
        """Do it.

        Args:
            x: X.
        """

    def undescribed(x: int) -> None:
        """Do it."""

    def bare(x: int) -> None:
        pass

    def starred(*x: int) -> None:
        """Do it."""

    def positional(x: int, /) -> None:
        """Do it."""

    for function, text in (
        (unhinted, "tools: unhinted: 'x' has no type hint; write `x: float` or the like"),
        (odd, "tools: odd: 'x' has the type hint `set[int]`, which has no schema; use int, float"),
        (undescribed, "tools: undescribed: the docstring has no description of 'x'; add a line `x: ...` under Args:"),
        (bare, "tools: bare has no docstring; say what it does"),
        (starred, "tools: starred takes *args or **kwargs, which no schema can describe"),
        (positional, "tools: positional has positional-only parameters, but calls name their arguments"),
    ):
        with pytest.raises(InputError) as found:
            ToolSet.from_host([function])
        assert str(found.value).startswith(text)
    for options, kind in (({"max_kb": 0}, InputError), ({"max_kb": "1"}, TypeError), ({"threads": 0}, InputError)):
        with pytest.raises(kind):
            ToolSet.from_host([price], **options)  # type: ignore[arg-type]
