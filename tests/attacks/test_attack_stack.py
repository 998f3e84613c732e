"""Attacks on the stack: recursion in Python and in C ends as an exception or as a trap of that instance alone."""

from __future__ import annotations

from unittest.mock import ANY

from attack import BRIEF, Attack, each, endure

from mentor import Limits

LIMITS = Limits(timeout_ms=3_000, memory_mb=128, output_kb=64)
DEEP = "x = []\nfor _ in range(50_000): x = [x]\n"
DEEP_TUPLE = "x = ()\nfor _ in range(50_000): x = (x,)\n"


def recurses(name: str, tries: str, code: str, *ends: str, value: object = ANY) -> Attack:
    code = f"print('begin')\n{code}"
    ends = ends or ("RecursionError",)
    return Attack(
        name=name,
        tries=tries,
        code=code,
        ends=ends,
        prints="begin\n",
        limits=BRIEF if "timeout" in ends else LIMITS,
        value=value,
    )


RECURSION = [
    recurses("function", "a function that calls itself", "def f(n): return f(n + 1)\nf(0)"),
    recurses("function-no-limit", "the same without the interpreter's limit", "import sys\nsys.setrecursionlimit(2**31 - 1)\ndef f(n): return f(n + 1)\nf(0)", "memory_limit"),
    recurses("function-caught", "catches the error and goes on", "def f():\n    try: f()\n    except RecursionError: pass\nf()\n1", "ok", value=1),
    recurses("method", "a method through `super`", "class A:\n    def f(self): return super().__getattribute__('f')()\nA().f()"),
    recurses("getattr", "an attribute that asks for itself", "class A:\n    def __getattr__(self, n): return getattr(self, n + 'x')\nA().x"),
    recurses("property", "a property that reads itself", "class A:\n    x = property(lambda s: s.x)\nA().x"),
    recurses("repr-list", "the repr of a deep list", DEEP + "repr(x)"),
    recurses("repr-tuple", "the repr of a deep tuple", DEEP_TUPLE + "repr(x)"),
    recurses("repr-dict", "the repr of a deep dictionary", "x = {}\nfor _ in range(50_000): x = {1: x}\nrepr(x)"),
    recurses("repr-own", "a repr that asks for itself", "class A:\n    def __repr__(self): return repr(self)\nrepr(A())"),
    recurses("repr-of-the-value", "a deep value as the answer", DEEP + "x", "ok", value=None),
    recurses("str", "a str that asks for itself", "class A:\n    def __str__(self): return str(self)\nstr(A())"),
    recurses("compare", "compares deep lists", DEEP + "y = []\nfor _ in range(100_000): y = [y]\nx == y", "RecursionError", "trap", "ok", value=False),
    recurses("hash", "the hash of a deep tuple", DEEP_TUPLE + "hash((x, x))", "RecursionError", "ok", "trap"),
    recurses("deepcopy", "a deep copy", DEEP + "import copy\ncopy.deepcopy(x)"),
    recurses("pickle", "pickles deep lists", DEEP + "import pickle\npickle.dumps(x)"),
    recurses("pickle-python", "pickles them in Python", DEEP + "import pickle\npickle._dumps(x)"),
    recurses("unpickle", "a pickle that nests", "import pickle\npickle.loads(b'(' * 10**5 + b't' * 10**5 + b'.')", "ok", "memory_limit", "UnpicklingError", "trap", "RecursionError"),
    recurses("marshal", "marshals deep lists", DEEP + "import marshal\nmarshal.dumps(x)", "ValueError"),
    recurses("unmarshal", "marshal data that nests", "import marshal\nmarshal.loads(b'[\\x01\\0\\0\\0' * 100_000 + b'N')", "ValueError"),
    recurses("json-dumps", "writes deep lists as JSON", DEEP + "import json\njson.dumps(x)"),
    recurses("json-loads", "reads deep lists of JSON", "import json\njson.loads('[' * 100_000)", "RecursionError", "trap"),
    recurses("json-objects", "reads deep objects of JSON", "import json\njson.loads('{\"a\":' * 100_000)", "RecursionError", "trap"),
    recurses("literal-eval", "a literal that nests", "import ast\nast.literal_eval('[' * 100_000 + ']' * 100_000)", "memory_limit"),
    recurses("parentheses", "an expression in parentheses", "eval('(' * 10_000 + '1' + ')' * 10_000)", "memory_limit"),
    recurses("unary", "a hundred thousand signs", "eval('-' * 100_000 + '1')", "memory_limit"),
    recurses("not", "a hundred thousand negations", "eval('not ' * 100_000 + '1')", "memory_limit"),
    recurses("binary", "a sum of a hundred thousand", "eval('1' + '+1' * 100_000)", "RecursionError"),
    recurses("attributes", "a chain of attributes", "eval('x' + '.x' * 100_000)", "RecursionError"),
    recurses("calls", "a chain of calls", "eval('f' + '()' * 100_000)", "RecursionError"),
    recurses("lambda", "lambdas in lambdas", "eval('lambda: ' * 10_000 + '1')", "memory_limit"),
    recurses("blocks", "blocks in blocks", "exec(''.join(' ' * i + 'if 1:\\n' for i in range(99)) + ' ' * 99 + 'pass')", "ok", value=None),
    recurses("functions", "functions in functions", "exec(''.join(' ' * i + f'def f{i}():\\n' for i in range(99)) + ' ' * 99 + 'pass')", "ok", value=None),
    recurses("f-strings", "f-strings in f-strings", "s = '1'\nfor _ in range(200): s = 'f\"{' + s + '}\"'\neval(s)", "memory_limit"),
    recurses("match", "a pattern that nests", "exec('match 1:\\n case ' + '[' * 5_000 + ']' * 5_000 + ': pass')", "SyntaxError"),
    recurses("comprehension", "comprehensions in comprehensions", "eval('[' * 150 + '1' + ' for x in y]' * 150)", "memory_limit"),
    recurses("ast-by-hand", "a tree that no parser made", "import ast\nn = ast.Constant(1)\nfor _ in range(100_000): n = ast.UnaryOp(ast.USub(), n)\ncompile(ast.fix_missing_locations(ast.Expression(n)), 'x', 'eval')"),
    recurses("ast-to-c", "the same without a visit in Python", "import ast\nn = ast.Constant(1, lineno=1, col_offset=0)\nfor _ in range(100_000): n = ast.UnaryOp(ast.USub(), n, lineno=1, col_offset=0)\ncompile(ast.Expression(n), 'x', 'eval')"),
    recurses("ast-dump", "shows a deep tree", "import ast\nn = ast.Constant(1)\nfor _ in range(100_000): n = ast.UnaryOp(ast.USub(), n)\nast.dump(n)"),
    recurses("ast-cycle", "a tree that holds itself", "import ast\nn = ast.UnaryOp(ast.USub(), None, lineno=1, col_offset=0)\nn.operand = n\ncompile(ast.Expression(n), 'x', 'eval')"),
    recurses("regex-groups", "groups in groups", "import re\nre.compile('(' * 10_000 + ')' * 10_000)", "RecursionError"),
    recurses("regex-match", "a match with a stack of its own", "import re\nre.match('(?:a|b)*' * 50, 'ab' * 100_000) is not None", "ok", value=True),
    recurses("xml", "elements in elements", "import xml.etree.ElementTree as e\ne.fromstring('<a>' * 50_000 + '</a>' * 50_000)\n1", "ok", "ParseError", "RecursionError", "trap", value=1),
    recurses("isinstance", "a class check that asks for itself", "class M(type):\n    def __instancecheck__(c, x): return isinstance(x, c)\nclass A(metaclass=M): pass\nisinstance(1, A)"),
    recurses("isinstance-tuple", "a class check in deep tuples", "t = int\nfor _ in range(100_000): t = (t,)\nisinstance('x', t)", "RecursionError", "ok", "trap"),
    recurses("issubclass-bases", "bases that answer with themselves", "class A:\n    @property\n    def __bases__(self): return (self,)\nissubclass(A(), int)", "timeout"),
    recurses("abc", "an abstract class that asks itself", "import abc\nclass A(abc.ABC):\n    @classmethod\n    def __subclasshook__(c, s): return issubclass(s, c)\nissubclass(int, A)"),
    recurses("union", "a union that nests", "import typing\nx = int\nfor _ in range(100_000): x = list[x]\nrepr(x)"),
    recurses("exception-chain", "a traceback of a hundred thousand causes", "e = None\nfor i in range(20_000):\n    n = ValueError(i)\n    n.__cause__ = e\n    e = n\nraise e", "ValueError", "trap"),
    recurses("exception-group", "groups of exceptions in groups", "e = ValueError()\nfor i in range(20_000): e = ExceptionGroup('g', [e])\nraise e", "ExceptionGroup"),
    recurses("iterator-chain", "iterators in iterators", "import itertools\nx = iter([1])\nfor _ in range(200_000): x = itertools.chain(x)\nnext(x)", "ok", "trap", "RecursionError", value=ANY),
    recurses("map-chain", "maps of maps", "x = iter([1])\nfor _ in range(200_000): x = map(int, x)\nnext(x)", "ok", "trap", "RecursionError", value=ANY),
    recurses("filter-dealloc", "a long chain that is freed at once", "x = iter([1])\nfor _ in range(300_000): x = filter(None, x)\ndel x\n1", "ok", "trap", value=1),
    recurses("partial", "partials of partials", "import functools\nf = print\nfor _ in range(100_000): f = functools.partial(f); f.x = 1\nrepr(f)", "RecursionError"),
    recurses("generator", "generators that delegate", "def g(n): yield from g(n + 1)\nnext(g(0))"),
    recurses("await", "coroutines that await", "async def f(n): return await f(n + 1)\nf(0).send(None)"),
    recurses("sort-key", "a sort inside of a sort", "def k(x): return sorted([1], key=k)\nsorted([1], key=k)"),
    recurses("import", "a module that imports itself anew", "import sys\nclass F:\n    def find_spec(s, n, *a):\n        __import__(n + 'x')\nsys.meta_path.insert(0, F())\nimport planted"),
    recurses("del", "destructors that make what they destroy", "class A:\n    def __del__(self): A()\nA()\n1", "ok", value=1),
    recurses("format", "a format that formats itself", "class A:\n    def __format__(self, s): return f'{self}'\nf'{A()}'"),
    recurses("weakref", "callbacks of weak references", "import weakref\nclass A: pass\ndef c(r): a = A(); x.append(weakref.ref(a, c))\nx = []\nc(None)\n1", "timeout", value=1),
    recurses("getitem", "subscripts", "class A:\n    def __getitem__(self, i): return self[i]\nA()[0]"),
    recurses("call-chain-in-c", "calls that go through C alone", "class A: pass\nA.__call__ = A()\nA()()", "RecursionError", "trap"),
    recurses("operator", "an operator that applies itself", "class A:\n    def __add__(self, o): return self + o\nA() + 1"),
    recurses("trace", "a trace function that is traced", "import sys\ndef t(*a):\n    sys.settrace(t)\n    return t\nsys.settrace(t)\ndef f(n): f(n + 1)\nf(0)"),
    recurses("stack-in-a-handler", "recursion inside of the handler of recursion", "def f():\n    try: f()\n    except RecursionError: f()\nf()", "timeout"),
]  # fmt: skip


@each(RECURSION)
def test_recursion_has_an_end(attack: Attack) -> None:
    endure(attack)
