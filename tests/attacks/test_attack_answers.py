"""Attacks by what a guest sends back: every value, length and pointer in an answer comes from untrusted memory."""

from __future__ import annotations

import json
from unittest.mock import ANY

import pytest
from attack import BRIEF, MEMORY, USUAL, Attack, assert_clean, each, end, endure, well_formed

from mentor import Limits, Sandbox

#: Makes the guest send an answer that the program makes itself.
SEND = """
import sys
from wit_world.exports import runner
app = sys.modules['app']
class Text(str): pass
def send(*fields):
    app._answer = lambda action, result_must_be_json: (action(), runner.Answer(*fields))[1]
def fault(*fields):
    send(None, None, runner.Fault(*fields))
"""


def sends(name: str, tries: str, code: str, *ends: str, value: object = ANY, prints: str | None = "") -> Attack:
    limits = BRIEF if "timeout" in ends else USUAL
    return Attack(
        name=name, tries=tries, code=SEND + code, ends=ends or ("trap",), value=value, prints=prints, limits=limits
    )


#: The guest looks these functions up when it makes its answer, so that a program can put others in their places.
JSON = "app._as_json = lambda value: ({}, None)\n1"
SHOWN = "app._show = lambda value: {}\n1"
FAULT = "app._fault = lambda error: runner.Fault({})\n1 / 0"

ANSWERS = [
    sends("json-not-text", "a number where JSON text belongs", JSON.format("5")),
    sends("json-bytes", "bytes where text belongs", JSON.format("b'[1]'")),
    sends("json-list", "a list where text belongs", JSON.format("['1']")),
    sends("json-object", "an object that is no text", JSON.format("object()")),
    sends("json-subclass", "a subclass of str", JSON.format("Text('[1]')"), "ok", value=[1]),
    sends("json-nonsense", "text that is no JSON", JSON.format("'}{'"), "bad_result"),
    sends("json-empty", "empty text", JSON.format("''"), "bad_result"),
    sends("json-two", "two values", JSON.format("'1 2'"), "bad_result"),
    sends("json-nan", "what JSON does not have", JSON.format("'NaN'"), "bad_result"),
    sends("json-infinity", "what JSON does not have either", JSON.format("'[1, -Infinity]'"), "bad_result"),
    sends("json-number", "an integer of sixty thousand digits", JSON.format("'9' * 60_000"), "bad_result"),
    sends("json-exponent", "a float beyond all bounds", JSON.format("'1e999999999'"), "bad_result"),
    sends("json-deep", "arrays nested deeper than a stack", JSON.format("'[' * 30_000 + ']' * 30_000"), "bad_result"),
    sends("json-deep-objects", "objects nested deeper than a stack", JSON.format("'{\"a\":' * 10_000 + '1' + '}' * 10_000"), "bad_result"),
    sends("json-huge", "twenty megabytes", JSON.format("'[' + '1,' * 10_000_000 + '1]'"), "bad_result"),
    sends("json-surrogate", "a lone surrogate in the text", JSON.format("'\"\\ud800\"'")),
    sends("json-nul", "a NUL in the text", JSON.format("'\"\\0\"'"), "bad_result"),
    sends("json-repeated-keys", "an object with one key many times", JSON.format("'{' + '\"a\":1,' * 5_000 + '\"a\":2}'"), "ok", value={"a": 2}),
    sends("json-dunder", "keys that mean something elsewhere", JSON.format("'{\"__class__\": \"x\", \"__proto__\": 1}'"), "ok", value={"__class__": "x", "__proto__": 1}),
    sends("repr-not-text", "a number where the repr belongs", SHOWN.format("5")),
    sends("repr-huge", "a repr of thirty megabytes", SHOWN.format("'x' * 30_000_000"), "ok", value=1),
    sends("repr-wide", "a repr that is cut inside of a character", SHOWN.format("'x' + '\\U0001F600' * 50_000"), "ok", value=1),
    sends("repr-surrogate", "a lone surrogate in the repr", SHOWN.format("'\\udfff'")),
    sends("fault-kind", "a kind that the host keeps for itself", FAULT.format("'timeout', 'E', 'm', 't'"), "trap"),
    sends("fault-kind-fuel", "another of the host's kinds", FAULT.format("'out_of_fuel', '', '', ''"), "trap"),
    sends("fault-kind-empty", "no kind", FAULT.format("'', '', '', ''"), "trap"),
    sends("fault-kind-huge", "a kind of twenty megabytes", FAULT.format("'k' * 20_000_000, '', '', ''"), "trap"),
    sends("fault-kind-number", "a number as the kind", FAULT.format("5, '', '', ''")),
    sends("fault-none", "None in a field", FAULT.format("'exception', None, None, None")),
    sends("fault-memory", "pretends that the memory is at its limit", FAULT.format("'memory-limit', 'E', '', 't'"), "memory_limit"),
    sends("fault-output", "pretends that it printed too much", FAULT.format("'output-limit', 'E', 'm', 't'"), "output_limit"),
    sends("fault-tool", "pretends that a tool is unknown", FAULT.format("'unknown-tool', 'E', 'm', 't'"), "unknown_tool"),
    sends("fault-huge", "megabytes in every field", FAULT.format("'exception', 'T' * 10**6, 'm' * 10**7, 't' * 10**7"), "T" * 200),
    sends("fault-name", "a type name that is markup and control characters", FAULT.format("'exception', '\\x1b[31m\\r\\n\\0', 'm', 't'"), "\x1b[31m\r\n\0"),
    sends("fault-is-a-string", "text where the record belongs", "app._fault = lambda error: 'x'\n1 / 0"),
    sends("fault-is-itself", "a record that holds itself", "def f(e):\n    r = runner.Fault('exception', '', '', '')\n    r.message = r\n    return r\napp._fault = f\n1 / 0"),
    sends("fault-and-value", "a fault beside a value", "app._streams.finish = lambda: 1 / 0\n1", "ZeroDivisionError"),
    sends("answer-none", "no answer", "runner.Answer = lambda *a: None\n1"),
    sends("answer-int", "a number as the answer", "runner.Answer = lambda *a: 5\n1"),
    sends("answer-fields-missing", "an answer without fields", "class A: pass\nrunner.Answer = lambda *a: A()\n1"),
    sends("answer-property", "fields that raise", "class A:\n    @property\n    def value_json(self): raise SystemExit\n    value_repr = fault = None\nrunner.Answer = lambda *a: A()\n1"),
    sends("answer-property-loop", "fields that never return", "class A:\n    @property\n    def value_json(self):\n        while True: pass\n    value_repr = fault = None\nrunner.Answer = lambda *a: A()\n1", "timeout"),
    sends("answer-property-prints", "fields that print", "class A:\n    @property\n    def value_json(self): print('late'); return '3'\n    value_repr = fault = None\nrunner.Answer = lambda *a: A()\n1", "ok", value=3, prints="late\n"),
    sends("answer-exits", "ends its process while it answers", "import os\nclass A:\n    @property\n    def value_json(self): os._exit(0)\nrunner.Answer = lambda *a: A()\n1"),
    sends("answer-raises", "an exception out of the answer", "def a(*x): raise BaseException('x')\nrunner.Answer = a\n1"),
    sends("answer-generator", "a generator as the text", "app._as_json = lambda value: ((x for x in 'ab'), None)\n1"),
    sends("some-class", "wraps the answer in the bindings' own classes", "from componentize_py_types import Some, Ok, Err\napp._as_json = lambda value: (Some('1'), None)\n1", "trap", value=ANY),
    sends("runner-replaced", "replaces the class that the host calls", "app.Runner.run = lambda *a: 5\n1", "ok", value=1),
    sends("json-dumps", "a serializer that lies", "import json\njson.dumps = lambda *a, **k: '[\"forged\"]'\n1", "ok"),
    sends("json-dumps-not-text", "a serializer that returns no text", "import json\njson.dumps = lambda *a, **k: 5\n1", "ok", "TypeError"),
    sends("json-dumps-never", "a serializer that never returns", "import json\ndef d(*a, **k):\n    while True: pass\njson.dumps = d\n1", "ok", "timeout"),
    # Lengths and hashes in the guest's own memory.
    sends("length-huge", "a text that claims two gigabytes", MEMORY + "t = 'x' * 100\nword(id(t) + 8, 0x7FFFFFF0)\napp._as_json = lambda value: (t, None)\n1", "trap", "memory_limit"),
    sends("length-negative", "a text of negative length", MEMORY + "t = 'x' * 100\nword(id(t) + 8, 0xFFFFFFF0)\napp._as_json = lambda value: (t, None)\n1", "trap", "memory_limit", "bad_result"),
    sends("length-beyond", "a text that reaches over the end of memory", MEMORY + "t = 'x' * 100\nword(id(t) + 8, 64 << 20)\napp._as_json = lambda value: (t, None)\n1", "trap", "memory_limit"),
    sends("not-utf-8", "bytes that are no UTF-8 in an ASCII text", MEMORY + "t = 'x' * 100\nview(id(t) + 16, 50)[:] = b'\\xff' * 50\napp._as_json = lambda value: (t, None)\n1", "trap"),
    sends("cut-utf-8", "a text that ends inside of a character", MEMORY + "t = '\"' + 'x' * 98 + '\"'\nview(id(t) + 115, 1)[:] = b'\\xf0'\napp._as_json = lambda value: (t, None)\n1", "trap"),
    sends("surrogate-as-utf-8", "a surrogate in the form of UTF-8", MEMORY + "t = '\"' + 'x' * 98 + '\"'\nview(id(t) + 20, 3)[:] = b'\\xed\\xa0\\x80'\napp._as_json = lambda value: (t, None)\n1", "trap"),
    sends("emit-length", "bytes to print that claim two gigabytes", MEMORY + "from wit_world.imports import host\nb = b'x' * 100\nword(id(b) + 8, 0x7FFFFFF0)\nhost.emit(1, b)\n1", "trap", "memory_limit"),
    sends("emit-length-negative", "bytes to print of negative length", MEMORY + "from wit_world.imports import host\nb = b'x' * 100\nword(id(b) + 8, 0xFFFFFF00)\nhost.emit(1, b)\n1", "trap", "ok", "memory_limit", "SystemError", "MemoryError"),
    sends("emit-no-bytes", "a number where bytes belong", "from wit_world.imports import host\nhost.emit(1, 5)\n1", "trap"),
    sends("emit-descriptor", "a descriptor that does not fit its type", "from wit_world.imports import host\nhost.emit(2**40, b'x')\n1", "trap"),
    sends("emit-recursive", "prints while it prints", "from wit_world.imports import host\nclass B(bytes):\n    def __iter__(self): host.emit(1, self); return iter(())\nhost.emit(1, B(b'x'))\n1", "ok", value=1, prints=None),
]  # fmt: skip


@each(ANSWERS)
def test_an_answer_is_untrusted(attack: Attack) -> None:
    endure(attack)


CALLS = [
    ("text", "5", "trap"),
    ("bytes", "b'1'", "trap"),
    ("nonsense", "'}'", "bad_result"),
    ("deep", "'[' * 30_000", "bad_result"),
    ("surrogate", "'\\ud800'", "trap"),
    ("huge", "'1' * 20_000_000", "bad_result"),
]


@pytest.mark.parametrize(("name", "text", "ends"), CALLS, ids=[call[0] for call in CALLS])
def test_the_answer_to_a_call_is_untrusted(name: str, text: str, ends: str) -> None:
    sandbox = Sandbox(limits=USUAL)
    with sandbox.session() as session:
        session.run(f"{SEND}def f(): app._as_json = lambda value: ({text}, None)")
        outcome = session.call("f", "{}")
        assert end(outcome) == ends
        well_formed(outcome, USUAL)
    assert_clean(sandbox)


def test_an_answer_that_was_prepared_by_an_earlier_step() -> None:
    sandbox = Sandbox(limits=USUAL)
    with sandbox.session() as session:
        session.run(SEND + "send('[1]', 'forged', None)")
        outcome = session.run("2")
        assert (outcome.value, outcome.value_repr, end(outcome)) == ([1], "forged", "ok")
        session.run("fault('exception', 'E', 'forged', '')")
        assert end(session.run("2")) == "E"
        session.run("send(5, 5, 5)")
        assert end(session.run("2")) == "trap"
        assert end(session.run("2")) == "trap"
    assert_clean(sandbox)


def test_a_value_of_the_largest_size_comes_through_and_one_more_byte_does_not() -> None:
    sandbox = Sandbox(limits=Limits(output_kb=4))
    assert sandbox.run("'x' * 4094").value == "x" * 4094
    outcome = sandbox.run("'x' * 4095")
    assert (end(outcome), outcome.value) == ("ok", None)
    with sandbox.session() as session:
        session.run("def f(n): return 'x' * n")
        assert session.call("f", json.dumps({"n": 4094})).value == "x" * 4094
        assert end(session.call("f", json.dumps({"n": 4095}))) == "bad_result"
