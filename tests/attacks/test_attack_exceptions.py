"""Attacks by exceptions: ones that lie about themselves, ones that are no errors, and exits of every kind."""

from __future__ import annotations

from unittest.mock import ANY

import pytest
from attack import BRIEF, USUAL, Attack, assert_clean, each, end, endure

from mentor import Sandbox


def raises(name: str, tries: str, code: str, *ends: str, value: object = ANY) -> Attack:
    code = f"print('begin')\n{code}"
    limits = BRIEF if "timeout" in ends else USUAL
    return Attack(name=name, tries=tries, code=code, ends=ends, prints="begin\n", limits=limits, value=value)


EXCEPTIONS = [
    raises("str-raises", "a message that raises", "class E(Exception):\n    def __str__(self): raise self\nraise E", "E"),
    raises("str-raises-exit", "a message that ends its process", "class E(Exception):\n    def __str__(self): raise SystemExit(0)\nraise E", "E"),
    raises("str-raises-interrupt", "a message that is a Ctrl-C", "class E(Exception):\n    def __str__(self): raise KeyboardInterrupt\nraise E", "E"),
    raises("str-loops", "a message that never comes", "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E", "timeout"),
    raises("str-not-text", "a message that is a number", "class E(Exception):\n    def __str__(self): return 5\nraise E", "E"),
    raises("str-subclass", "a message of another class", "class S(str):\n    def __len__(self): return -5\n    def __getitem__(self, i): return self\n    def encode(self, *a): return 5\nclass E(Exception):\n    def __str__(self): return S('x')\nraise E", "E"),
    raises("str-exits", "a message that aborts", "import os\nclass E(Exception):\n    def __str__(self): os.abort()\nraise E", "trap"),
    raises("str-surrogate", "a message with a lone surrogate", "raise ValueError('a\\ud800b')", "ValueError"),
    raises("repr-raises", "a repr that raises", "class A:\n    def __repr__(self): raise BaseException('x')\nA()", "BaseException"),
    raises("repr-raises-itself", "a repr that raises an error with that repr", "class E(Exception):\n    def __repr__(self): raise self\nE()", "ok", value=None),
    raises("repr-not-text", "a repr that is a number", "class A:\n    def __repr__(self): return 5\nA()", "ok", value=None),
    raises("class-lies", "another class than it has", "class E(Exception):\n    @property\n    def __class__(self): return int\nraise E('x')", "E"),
    raises("class-name", "a class with a name of a megabyte", "raise type('E' * 10**6, (Exception,), {})", "E" * 197 + "..."),
    raises("class-name-empty", "a class without a name", "raise type('', (Exception,), {})", ""),
    raises("class-name-surrogate", "a class whose name has no UTF-8", "raise type('E\\ud800', (Exception,), {})", "UnicodeEncodeError"),
    raises("class-qualname", "a class whose name raises", "class M(type):\n    @property\n    def __name__(self): raise ValueError\n    __qualname__ = __module__ = __name__\nclass E(Exception, metaclass=M): pass\nraise E", "trap", "E", "TypeError"),
    raises("class-name-number", "a class whose name is a number", "class M(type):\n    __name__ = 5\nclass E(Exception, metaclass=M): pass\nraise E", "E"),
    raises("class-module", "a class whose module is no text", "class E(Exception): pass\nE.__module__ = 5\nraise E", "E"),
    raises("not-an-exception", "raises what is no exception", "raise 5", "TypeError"),
    raises("constructor-raises", "an error that cannot be made", "class E(Exception):\n    def __new__(c): raise c\nraise E", "RecursionError"),
    raises("constructor-lies", "an error that is made of another class", "class E(Exception):\n    def __new__(c): return 5\nraise E", "TypeError"),
    raises("traceback-none", "an error without a traceback", "class E(Exception):\n    __traceback__ = None\nraise E", "E"),
    raises("traceback-lies", "a traceback that is a number", "class E(Exception):\n    @property\n    def __traceback__(self): return 5\nraise E", "E"),
    raises("traceback-loop", "a traceback that holds itself", "try: 1 / 0\nexcept ZeroDivisionError as e: t = e.__traceback__\ntry: t.tb_next = t\nexcept ValueError: raise", "ValueError"),
    raises("context-loop", "errors that are each other's cause", "a, b = ValueError('a'), ValueError('b')\na.__cause__ = a.__context__ = b\nb.__cause__ = b.__context__ = a\nraise a", "ValueError"),
    raises("notes", "notes that are no text", "e = ValueError('x')\ne.__notes__ = [5, None, object()]\nraise e", "ValueError"),
    raises("notes-many", "a million notes", "e = ValueError('x')\ne.__notes__ = ['n'] * 10**5\nraise e", "ValueError"),
    raises("notes-raise", "notes that raise", "class E(Exception):\n    @property\n    def __notes__(self): raise SystemExit\nraise E", "E"),
    raises("group", "a group with a thousand errors", "raise ExceptionGroup('g', [ValueError(i) for i in range(1000)])", "ExceptionGroup"),
    raises("syntax-error-lies", "a syntax error at a place that does not exist", "raise SyntaxError('x', ('f', 10**9, -5, 'text', 10**9, 10**9))", "SyntaxError"),
    raises("syntax-error-no-text", "a syntax error whose fields are no text", "e = SyntaxError('x')\ne.text = 5\ne.lineno = 'x'\ne.offset = []\ne.filename = 7\nraise e", "SyntaxError"),
    raises("name-suggestion", "suggestions from hostile names", "class A:\n    def __dir__(self): raise SystemExit\nA().x", "AttributeError"),
    raises("name-suggestion-loops", "suggestions that never come", "class A:\n    def __dir__(self):\n        while True: pass\nA().x", "timeout"),
    raises("linecache", "source lines that are no text", "import linecache\nlinecache.getlines = lambda *a: 5\nlinecache.getline = lambda *a: 5\n1 / 0", "ZeroDivisionError"),
    raises("frame-globals", "frames with globals of their own", "exec('1 / 0', {'__name__': 5, '__loader__': 7, '__spec__': 9})", "ZeroDivisionError"),
    raises("code-positions", "positions that do not exist", "def f(): 1 / 0\nf.__code__ = f.__code__.replace(co_linetable=b'\\xff' * 50)\nf()", "ZeroDivisionError"),
    raises("line-huge", "a line number beyond all bounds", "exec(compile('1 / 0', 'x', 'exec').replace(co_firstlineno=2**31 - 1))", "ZeroDivisionError"),
    raises("format-exception", "a formatter that never returns", "import traceback\ndef f(*a, **k):\n    while True: pass\ntraceback.format_exception = f\n1 / 0", "timeout"),
    raises("format-exception-number", "a formatter that returns a number", "import traceback\ntraceback.format_exception = lambda *a, **k: 5\n1 / 0", "ZeroDivisionError"),
    raises("memory-error", "pretends to be out of memory", "raise MemoryError('forged')", "memory_limit"),
    raises("memory-error-subclass", "pretends it with a class of its own", "class E(MemoryError): pass\nraise E", "memory_limit"),
    raises("output-limit", "raises the guest's own signal", "import streams\nraise streams.OutputLimit", "output_limit"),
    raises("base-exception", "no error but the base of all", "raise BaseException('x')", "BaseException"),
    raises("generator-exit", "an exit of a generator", "raise GeneratorExit", "GeneratorExit"),
    raises("stop-iteration", "the end of an iterator", "raise StopIteration(5)", "StopIteration"),
    raises("cancelled", "a cancellation", "import asyncio\nraise asyncio.CancelledError", "CancelledError"),
    raises("interrupt", "a Ctrl-C", "raise KeyboardInterrupt", "KeyboardInterrupt"),
]  # fmt: skip

EXITS = [
    raises(f"exit-{name}", "exits", f"import sys\nsys.exit({code})", end_)
    for name, code, end_ in (
        ("nothing", "", "ok"),
        ("none", "None", "ok"),
        ("zero", "0", "ok"),
        ("false", "False", "ok"),
        ("float-zero", "0.0", "ok"),
        ("one", "1", "SystemExit"),
        ("negative", "-1", "SystemExit"),
        ("huge", "2**200", "SystemExit"),
        ("text", "'message'", "SystemExit"),
        ("empty", "''", "SystemExit"),
        ("list", "[0]", "SystemExit"),
        ("tuple", "()", "ok"),
        ("object", "object()", "SystemExit"),
        ("class", "type", "SystemExit"),
    )
] + [
    raises("exit-equal-to-all", "a code that is equal to everything", "import sys\nclass C:\n    def __eq__(self, o): return True\nsys.exit(C())", "SystemExit"),
    raises("exit-equal-raises", "a code that cannot be compared", "import sys\nclass C:\n    def __eq__(self, o): raise ValueError('x')\nsys.exit(C())", "SystemExit"),
    raises("exit-equal-loops", "a code whose comparison never ends", "import sys\nclass C:\n    def __eq__(self, o):\n        while True: pass\nsys.exit(C())", "SystemExit"),
    raises("exit-code-raises", "an exit whose code raises", "class E(SystemExit):\n    @property\n    def code(self): raise ValueError('x')\nraise E", "ValueError"),
    raises("quit", "the prompt's way to quit", "quit()", "ok"),
    raises("exit-hard", "an exit without a word", "import os\nos._exit(0)", "trap"),
    raises("exit-hard-in-finally", "one while another exit is under way", "import os, sys\ntry: sys.exit(0)\nfinally: os._exit(1)", "trap"),
    raises("abort", "an abort", "import os\nos.abort()", "trap"),
    raises("exit-in-atexit", "an exit at the exit", "import atexit, os\natexit.register(os._exit, 1)\n5", "ok", value=5),
    raises("exit-in-del", "an exit in a destructor", "import sys\nclass A:\n    def __del__(self): sys.exit(5)\nA()\n5", "ok", value=5),
    raises("del-at-teardown", "a destructor that never returns, at the end", "class A:\n    def __del__(self):\n        while True: pass\na = A()\na.a = a\n5", "ok", value=5),
    raises("del-of-the-value", "a value whose destructor raises", "class A(list):\n    def __del__(self): raise SystemExit\nA()", "ok", value=[]),
    raises("del-of-the-value-loops", "a value whose destructor never returns", "class A(list):\n    def __del__(self):\n        while True: pass\nA()", "timeout"),
    raises("swallow-and-loop", "swallows all there is", "while True:\n    try:\n        while True: 1 / 0\n    except BaseException: continue", "timeout"),
    raises("swallow-in-with", "swallows it in a context", "class C:\n    def __enter__(self): pass\n    def __exit__(self, *a): return True\nwhile True:\n    with C(): raise BaseException", "timeout"),
]  # fmt: skip

VALUES = [
    raises("json-default", "a default of the serializer that is hostile", "import json\njson.JSONEncoder.default = lambda s, o: o\nobject()", "ok", value=None),
    raises("json-default-grows", "a default that never ends", "import json\njson.JSONEncoder.default = lambda s, o: [object()]\nobject()", "ok", value=None),
    raises("dict-subclass", "a dictionary that lies about its items", "class D(dict):\n    def items(self): return [(object(), 1)]\n    def __len__(self): return 1\nD(a=1)", "ok"),
    raises("dict-items-not-pairs", "items that are no pairs", "class D(dict):\n    def items(self): return [5]\nD(a=1)", "ok", value=None),
    raises("dict-keys", "keys of every kind", "{None: 1, True: 2, 1.5: 3, 'x': 4}", "ok", value={"null": 1, "true": 2, "1.5": 3, "x": 4}),
    raises("dict-keys-evil", "keys whose text raises", "class K(str):\n    def __str__(self): raise SystemExit\n    def __repr__(self): raise SystemExit\n    __hash__ = str.__hash__\n{K('a'): 1}", "SystemExit", value=None),
    raises("int-subclass", "a number that lies about its text", "class I(int):\n    def __repr__(self): return '\"}'\nI(5)", "ok", value=5),
    raises("float-subclass", "a float that lies about its text", "class F(float):\n    def __repr__(self): return 'NaN'\nF(5)", "ok", value=5.0),
    raises("str-subclass", "a text that lies about its length", "class S(str):\n    def __len__(self): return 10**9\nS('ab')", "ok", value="ab"),
    raises("list-subclass", "a list that grows while it is written", "class L(list):\n    def __iter__(self):\n        while True: yield 1\nL([1, 2])", "ok", value=None),
    raises("enum", "an enumeration of numbers", "import enum\nclass E(enum.IntEnum): A = 1\nE.A", "ok", value=1),
    raises("cycle", "a list that holds itself", "x = []\nx.append(x)\nx", "ok", value=None),
    raises("nan", "a number that JSON does not have", "float('nan')", "ok", value=None),
    raises("nan-in-list", "the same inside of a list", "[1, float('-inf')]", "ok", value=None),
    raises("big-int", "an integer with more digits than may be read", "10**5000", "ok", value=None),
    raises("bool-lies", "a value whose truth never comes", "class B(list):\n    def __bool__(self):\n        while True: pass\nB()", "ok", value=[]),
    raises("eq-none", "a value that is equal to None", "class N:\n    def __eq__(self, o): return True\n    def __repr__(self): return 'N'\nN()", "ok", value=None),
    raises("repr-of-a-million", "a million small values", "[0] * 1_000_000", "ok", value=None),
    raises("keys-that-collide", "two keys with one name", "class K(str):\n    __hash__ = object.__hash__\n    __eq__ = object.__eq__\n{K('a'): 1, K('a'): 2}", "ok"),
]  # fmt: skip


@each(EXCEPTIONS + EXITS)
def test_an_exception_is_a_fault(attack: Attack) -> None:
    outcome = endure(attack)
    if outcome.fault is not None and outcome.fault.kind == "exception":
        assert "app.py" not in outcome.fault.traceback


@each(VALUES)
def test_a_value_is_json_or_none(attack: Attack) -> None:
    endure(attack)


@pytest.mark.parametrize(
    "last", ["1 / 0", "raise SystemExit(7)", "class E(Exception):\n    def __str__(self): raise self\nraise E"]
)
def test_a_session_outlives_its_exceptions(last: str) -> None:
    sandbox = Sandbox(limits=USUAL)
    with sandbox.session() as session:
        session.run("x = 5")
        for _ in range(3):
            assert end(session.run(last)) not in ("ok", "trap")
            assert session.run("x").value == 5
    assert_clean(sandbox)
