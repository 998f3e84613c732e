"""The suites of tools that are ready to use: every case of ``tests/cases/tools_*.json``, and what the suites share."""

from __future__ import annotations

import contextlib
import json
import pickle
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mentor
from mentor import Limits, Outcome, ToolSet
from mentor.errors import InputError, SandboxError

CASES = Path(__file__).parent / "cases"
FIRST_FILES = {"notes/todo.txt": "milk\nbread\n", "readme.md": "# Read me"}
SUITES: dict[str, Callable[[], ToolSet]] = {
    "arithmetic": mentor.tools.arithmetic,
    "calculator": mentor.tools.calculator,
    "dates": lambda: mentor.tools.dates(now="2026-03-05T14:30"),
    "files": lambda: mentor.tools.files(files=FIRST_FILES),
    "python": mentor.tools.python,
    "store": mentor.tools.store,
    "text": mentor.tools.text,
    "units": mentor.tools.units,
}
STATEFUL = ("files", "python", "store")
ROLLOUTS = [
    pytest.param(suite, rollout["calls"], id=f"{suite}: {rollout['rollout']}")
    for suite in SUITES
    for rollout in json.loads((CASES / f"tools_{suite}.json").read_text())
]


@pytest.fixture(scope="module")
def suites() -> dict[str, ToolSet]:
    return {name: make() for name, make in SUITES.items()}


def check(call: dict[str, Any], outcome: Outcome) -> None:
    shown = json.dumps(call)[:300]
    if "fault" in call:
        assert outcome.fault is not None, (shown, outcome.value)
        assert outcome.fault.kind == call["fault"], (shown, outcome.fault)
        assert call["message"] in outcome.fault.message, (shown, outcome.fault.message)
        assert len(outcome.fault.message) < 600, shown
    else:
        assert outcome.fault is None, (shown, outcome.fault)
        assert json.dumps(outcome.value) == json.dumps(call["value"]), shown


@pytest.mark.parametrize(("suite", "calls"), ROLLOUTS)
def test_cases(suites: dict[str, ToolSet], suite: str, calls: list[dict[str, Any]]) -> None:
    with suites[suite].session() as session:
        for call in calls:
            check(call, session.call(call["name"], call["arguments"]))
    if suite not in STATEFUL:
        outcomes = suites[suite].call_batch([(call["name"], call["arguments"]) for call in calls])
        for call, outcome in zip(calls, outcomes, strict=True):
            check(call, outcome)


@pytest.mark.parametrize("suite", SUITES)
def test_there_are_cases_enough_for_every_tool(suites: dict[str, ToolSet], suite: str) -> None:
    calls = [call for rollout in json.loads((CASES / f"tools_{suite}.json").read_text()) for call in rollout["calls"]]
    assert len(calls) >= 20
    assert {call["name"] for call in calls if "value" in call} == set(suites[suite].names)


@pytest.mark.parametrize("suite", SUITES)
def test_descriptions_are_short_and_whole(suites: dict[str, ToolSet], suite: str) -> None:
    for schema in (schema["function"] for schema in suites[suite].schemas):
        assert 10 < len(schema["description"]) < 600, schema["name"]
        assert schema["return"]["description"], schema["name"]
        for name, parameter in schema["parameters"]["properties"].items():
            assert 5 < len(parameter["description"]) < 300, (schema["name"], name)
            assert parameter.get("type") or name in ("value", "item"), (schema["name"], name)


@pytest.mark.train
def test_transformers_sees_the_same_schemas(suites: dict[str, ToolSet]) -> None:
    from transformers.utils import get_json_schema

    for tools in suites.values():
        assert [get_json_schema(function) for function in tools.functions()] == tools.schemas


def test_suites_can_be_offered_together(suites: dict[str, ToolSet]) -> None:
    names = [name for tools in suites.values() for name in tools.names]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("suite", STATEFUL)
def test_calls_outside_of_a_rollout_keep_nothing(suites: dict[str, ToolSet], suite: str) -> None:
    name, arguments = {
        "files": ("append_file", {"path": "log.txt", "text": "x"}),
        "python": ("python", {"code": "n = globals().get('n', 0) + 1\nn"}),
        "store": ("increment_value", {"key": "n"}),
    }[suite]
    assert len({json.dumps(suites[suite].call(name, arguments).value) for _ in range(3)}) == 1


@pytest.mark.parametrize("suite", STATEFUL)
def test_rollouts_do_not_see_each_other(suites: dict[str, ToolSet], suite: str) -> None:
    write, read, wanted = {
        "files": (
            lambda n: ("write_file", {"path": "mine.txt", "text": str(n)}),
            ("read_file", {"path": "mine.txt"}),
            str,
        ),
        "python": (lambda n: ("python", {"code": f"mine = {n}"}), ("python", {"code": "mine"}), str),
        "store": (lambda n: ("set_value", {"key": "mine", "value": n}), ("get_value", {"key": "mine"}), int),
    }[suite]
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(suites[suite].session()) for _ in range(4)]
        for n, session in enumerate(sessions):
            assert session.call(*write(n)).ok
        assert [session.call(*read).value for session in sessions] == [wanted(n) for n in range(4)]


# --- hostile arguments ---------------------------------------------------------------------------------------------

MEGABYTE = "ab 1. " * 170_000
HOSTILE: list[tuple[str, str, dict[str, Any]]] = [
    ("calculator", "calculate", {"expression": MEGABYTE}),
    ("dates", "parse_date", {"text": MEGABYTE}),
    ("dates", "parse_date", {"text": "1", "format": "%d" * 5_000}),
    ("dates", "format_date", {"date": "2026-01-01", "format": "%c" * 100_000}),
    ("dates", "weekday", {"date": MEGABYTE}),
    ("dates", "convert_time_zone", {"time": "2026-01-01", "to_zone": MEGABYTE}),
    ("units", "convert_units", {"value": 1, "from_unit": MEGABYTE, "to_unit": "m"}),
    ("units", "convert_units", {"value": 10**4_000, "from_unit": "light-year", "to_unit": "psi"}),
    ("text", "reverse_text", {"text": MEGABYTE}),
    ("text", "split_text", {"text": MEGABYTE}),
    ("text", "compare_texts", {"first": MEGABYTE, "second": "a"}),
    ("text", "find_pattern", {"text": MEGABYTE, "pattern": "(a|b|ab)*c|((((((((((x*)*)*)*)*)*)*)*)*)*)"}),
    ("text", "find_pattern", {"text": "a", "pattern": "(" * 50_000}),
    ("text", "replace_text", {"text": "a" * 100_000, "old": "a", "new": "b" * 100_000}),
    ("text", "replace_pattern", {"text": "a" * 100_000, "pattern": "a", "new": "b" * 100_000}),
    ("text", "join_text", {"parts": ["a"] * 1_000, "separator": "x" * 100_000}),
    ("files", "write_file", {"path": "a", "text": MEGABYTE}),
    ("files", "write_file", {"path": "a/" * 100_000 + "b", "text": ""}),
    ("files", "write_file", {"path": "a", "text": "\ud800"}),
    ("files", "read_file", {"path": MEGABYTE}),
    ("files", "search_files", {"text": MEGABYTE, "folder": "/" * 100_000 + ".."}),
    ("store", "set_value", {"key": "k", "value": MEGABYTE}),
    ("store", "set_value", {"key": MEGABYTE, "value": 1}),
    ("store", "get_value", {"key": MEGABYTE}),
    ("python", "python", {"code": "print('\ud800')" + "#" * 100}),
]


@pytest.mark.parametrize(("suite", "name", "arguments"), HOSTILE, ids=lambda value: str(value)[:40])
def test_hostile_arguments(suites: dict[str, ToolSet], suite: str, name: str, arguments: dict[str, Any]) -> None:
    began = time.perf_counter()
    outcome = suites[suite].call(name, arguments)
    assert time.perf_counter() - began < 5
    if suite == "python":
        assert "UnicodeEncodeError" in outcome.value
        return
    assert outcome.fault is not None
    assert outcome.fault.kind in ("exception", "timeout", "bad_result", "bad_arguments")
    assert outcome.fault.kind != "exception" or outcome.fault.type_name in (
        "ValueError",
        "LookupError",
        "OSError",
        "FileNotFoundError",
    )
    assert 10 < len(outcome.fault.message) < 500


STRINGS = st.text(max_size=20) | st.sampled_from(
    ["2026-01-31", "2026-02-30T25:00", "2026-01-31T14:30+02:00", "%Y-%m-%d %", "Europe/Berlin", "-14:59", "km", "°F",
     "mB", "a/b", "../x", "notes",
     "readme.md", "(", "(a)|b", r"\1", "1/0", "2**99", "x = [1]", "def f(:", "\ud800", "\0"]
)  # fmt: skip
NUMBERS = st.integers(-5, 5) | st.integers(-(10**25), 10**25)
BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "string": STRINGS,
    "integer": NUMBERS,
    "number": NUMBERS | st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "array": st.lists(STRINGS, max_size=5),
}
ANYTHING = st.recursive(st.none() | STRINGS | NUMBERS, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
EXPECTED = {
    "ValueError", "ZeroDivisionError", "LookupError", "OSError", "FileNotFoundError", "FileExistsError",
    "IsADirectoryError", "NotADirectoryError", "UnicodeEncodeError",
}  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_fits_the_schema_gets_a_value_or_a_message(suites: dict[str, ToolSet], data: st.DataObject) -> None:
    suite = data.draw(st.sampled_from(sorted(suites)))
    schema = data.draw(st.sampled_from(suites[suite].schemas))["function"]
    arguments = {}
    for name, parameter in schema["parameters"]["properties"].items():
        if name in schema["parameters"].get("required", ()) or data.draw(st.booleans()):
            values = (
                st.sampled_from(parameter["enum"])
                if "enum" in parameter
                else st.lists(NUMBERS, max_size=5)
                if parameter.get("items") == {"type": "number"}
                else BY_TYPE.get(parameter.get("type"), ANYTHING)
            )
            arguments[name] = data.draw(values, label=name)
    outcome = suites[suite].call(schema["name"], arguments)
    if outcome.fault is not None:
        # Not what a mistake in the tools would raise, such as TypeError or IndexError.
        own = {"store": {"TypeError"}, "text": {"UnicodeEncodeError"}, "arithmetic": {"OverflowError"}}
        wanted = EXPECTED | own.get(suite, set())
        assert outcome.fault.kind == "exception", (schema["name"], arguments, outcome.fault)
        assert outcome.fault.type_name in wanted, (schema["name"], arguments, outcome.fault)
    elif "type" in schema["return"]:
        kinds = {"string": str, "number": (int, float), "integer": int, "boolean": bool, "array": list, "object": dict}
        assert isinstance(outcome.value, kinds[schema["return"]["type"]])


def test_full_stores_say_so(suites: dict[str, ToolSet]) -> None:
    with suites["store"].session() as session:
        for n in range(1_000):
            assert session.call("increment_value", {"key": f"k{n}"}).ok
        outcome = session.call("increment_value", {"key": "one more"})
        assert outcome.fault is not None
        assert outcome.fault.message == "ValueError: the store is full: 1000 keys; delete some"
        assert session.call("increment_value", {"key": "k5"}).value == 2
    with suites["files"].session() as session:
        assert session.call("write_file", {"path": "big", "text": "x" * 800_000 + "ü" * 20_000}).ok
        outcome = session.call("append_file", {"path": "big", "text": "x" * 200_000})
        assert outcome.fault is not None
        assert outcome.fault.message.startswith("OSError: no room left: 1040046 bytes, where 1000000 fit")
        assert len(session.call("read_file", {"path": "big"}).value) == 820_000


def test_endless_code_is_stopped_and_the_rollout_goes_on() -> None:
    tools = mentor.tools.python(limits=Limits(timeout_ms=300))
    with tools.session() as session:
        assert session.call("python", {"code": "x = 1"}).ok
        outcome = session.call("python", {"code": "while True: pass"})
        assert outcome.fault is not None
        assert outcome.fault.kind == "timeout"
        assert session.call("python", {"code": "1 + 1"}).value == "2"


def test_endless_printing_keeps_its_start_and_its_end() -> None:
    code = "print('start')\nfor _ in range(3000): print('x' * 50)\nprint('end')"
    shown = mentor.tools.python().call("python", {"code": code}).value
    assert shown.startswith("start\nxxx")
    assert shown.endswith("xxx\nend")
    assert "\n... 133010 characters left out ...\n" in shown
    assert len(shown) < 20_100


# --- factories -----------------------------------------------------------------------------------------------------


def test_the_current_time_is_what_you_say() -> None:
    assert mentor.tools.dates().call("current_time", {}).value == "2026-01-01T00:00+00:00"  # the virtual clock
    berlin = mentor.tools.dates(now="2026-07-01T00:30+02:00")
    assert berlin.call("current_time", {"zone": "Europe/Berlin"}).value == "2026-07-01T00:30+02:00"
    with pytest.raises(InputError, match="now must be a time such as '2026-03-05T14:30', not 'tomorrow'"):
        mentor.tools.dates(now="tomorrow")


@pytest.mark.parametrize(
    ("files", "error", "text"),
    [
        (["a"], TypeError, "files must be a mapping from path to text, not list"),
        ({"a": b"x"}, TypeError, "files must map paths to texts, str to str"),
        ({"../a": "x"}, InputError, "files: '../a': a path must not have '..'"),
        ({"a": "x", "a/b": "y"}, InputError, "files: 'a/b': 'a' is a file, not a folder"),
        ({"a": "x" * 1_000_001}, InputError, "files: 'a': no room left: 1000002 bytes"),
    ],
)
def test_unusable_first_files(files: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        mentor.tools.files(files=files)


def test_python_takes_other_guests() -> None:
    assert mentor.tools.python(guest=None).call("python", {"code": "1 + 1"}).value == "2"
    with pytest.raises((InputError, SandboxError), match="nowhere"):
        mentor.tools.python(guest="nowhere").call("python", {"code": "1"})


def test_suites_are_pickled(suites: dict[str, ToolSet]) -> None:
    again = pickle.loads(pickle.dumps(suites))
    assert again["files"].call("list_files", {}).value == sorted(FIRST_FILES)
    assert again["dates"].call("current_time", {}).value == "2026-03-05T14:30+00:00"
    for name, tools in suites.items():
        assert again[name].schemas == tools.schemas
