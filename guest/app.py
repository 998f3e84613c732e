"""The guest: runs untrusted programs and tool calls, and answers with JSON.

Everything at module level happens while the guest is built and ends in the memory snapshot. A program may damage any of
it, so the host trusts nothing that comes from here; a fresh instance starts from the snapshot again.
"""

import ast
import builtins
import gc
import json
import linecache
import random
import re
import sys
import traceback
import types

import functions
import stdlib
import streams
from wit_world import exports
from wit_world.exports import runner

# Functions below look builtins up here, so that a program that replaces some disturbs only itself.
__builtins__ = dict(builtins.__dict__)

MISSING = stdlib.keep()
streams.install_event_loop()

_MESSAGE = 4_000
_TRACEBACK = 8_000
_FRAMES = 50
_NAME = 200

# Not the attributes themselves, which a program's classes may replace.
_class_name = type.__dict__["__name__"].__get__
_traceback = BaseException.__dict__["__traceback__"].__get__

_max_value = 1 << 20
_streams = streams.Streams(live=False)
_main = types.ModuleType("__main__")


def _cut(text, size):
    return text if len(text) <= size else text[: size - 3] + "..."


def _clean(text):
    """Lone surrogates have no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def _show(value):
    try:
        text = _cut(repr(value), min(_max_value, 100_000))
        return text if text.isascii() else _clean(text)
    except Exception as error:
        return f"<{type(value).__name__} without a repr: {type(error).__name__}>"


_encode = json.JSONEncoder(allow_nan=False).encode


def _as_json(value):
    """JSON of a value, or none and why not."""
    if value is None:
        return "null", None
    try:
        text = repr(value) if type(value) is int else _encode(value)
    except Exception as error:
        return None, f"{type(error).__name__}: {_cut(str(error), 200)}"
    if len(text) > _max_value:
        return None, f"{len(text)} bytes of JSON; the limit is {_max_value}"
    return text, None


def _user_frames(tb):
    """The traceback without the guest's own frames at its top."""
    while tb is not None and tb.tb_frame.f_globals is globals():
        tb = tb.tb_next
    return tb


def _is_success(code):
    """Whether an exit with this code is none; a program's own classes are not asked."""
    return code is None or (type(code) in (int, bool, float) and code == 0)


def _run(action):
    """The value of an action, none where it ends by an exit without a fault."""
    try:
        return action()
    except SystemExit as error:
        exit = error
    # Outside of the handler, so that an error from here has no context with the guest's own frames.
    if _is_success(exit.code):
        return None
    raise exit


def _fault(error):
    kind = "exception"
    try:
        tb = _user_frames(_traceback(error))  # taken first, as a program's `__str__` may raise the same error again
    except BaseException:
        tb = None
    if isinstance(error, streams.OutputLimit):
        _streams.renew()
        return runner.Fault("output-limit", "", "", "")
    if isinstance(error, MemoryError):
        kind = "memory-limit"
    try:
        message = _clean(_cut(str(error), _MESSAGE))
    except BaseException:
        message = ""
    try:
        trace = "".join(traceback.format_exception(type(error), error, tb, limit=-_FRAMES))
        trace = _clean(trace if len(trace) <= _TRACEBACK else "..." + trace[-_TRACEBACK:])
    except BaseException:
        trace = ""
    return runner.Fault(kind, _clean(_cut(_class_name(type(error)), _NAME)), message, trace)


def _answer(action, result_must_be_json):
    _streams.open()
    fault = text = shown = None
    try:
        value = _run(action)
        text, problem = _as_json(value)
        if result_must_be_json:
            if problem:
                fault = runner.Fault("bad-result", "", f"the result is not JSON: {problem}", "")
        elif value is not None:
            shown = _show(value)
    except BaseException as error:
        fault = _fault(error)
    try:
        _streams.finish()
    except BaseException as error:
        fault = fault or _fault(error)
    return runner.Answer(text, shown, fault)


def _announce(source, filename):
    """Lines of the source, which are there for tracebacks too."""
    sys.argv = [filename]
    lines = source.splitlines(True)
    # `linecache` asks no loader about names such as `<code>`.
    linecache.cache[filename] = (len(source), None, lines, filename)
    return lines


def _compile(source, lines, filename):
    """Code of the statements and of the last expression; none for what there is not."""
    # Cutting the text is several times faster than a syntax tree of Python objects. The last statement starts at the
    # last line that neither is indented nor closes anything, unless that line lies within a string.
    start = len(lines)
    while start and lines[start - 1][0] in _NO_START:
        start -= 1
    if not start and "\\" not in source and not source.strip(" \t\f\r\n#"):
        return None, None
    if start:
        start -= 1
        head, tail = "".join(lines[:start]), "".join(lines[start:])
        word = _first_word(tail)[0]
        if word not in _KEYWORDS and not _is_assignment(tail):
            try:
                # Where both halves compile, the first is whole statements and the second one expression.
                last = compile("\n" * start + tail, filename, "eval", dont_inherit=True)
                return compile(head, filename, "exec", dont_inherit=True) if start else None, last
            except (SyntaxError, ValueError):
                pass
        if _is_statement(word, head, tail):
            return compile(source, filename, "exec", dont_inherit=True), None
    tree = ast.parse(source, filename)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    if last is not None:
        last = compile(ast.Expression(last.value), filename, "eval", dont_inherit=True)
    return compile(tree, filename, "exec", dont_inherit=True), last


def _is_statement(word, head, tail):
    """Whether the tail is certainly one statement that is no expression, or the end of one."""
    if ";" in tail or '"""' in tail or "'''" in tail or head.endswith("\\\n"):
        return False
    if word not in _STATEMENTS and not _is_assignment(tail) and "*" in tail:
        return False  # `a, *b` is an expression for statements only
    if word in _KEYWORDS or not head:
        return True
    try:
        compile(_OPENINGS.get(word, "") + tail, "<tail>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


# `else` may lie within parentheses, as may `for`, `if` and `async`; the others stand at the start of statements only.
_OPENINGS = {"else": "if 1:\n pass\n"}
_KEYWORDS = frozenset(
    "assert class def del elif except finally from global import nonlocal pass raise try while with".split()
)
_STATEMENTS = _KEYWORDS | {"async", "else", "for", "if"}
# What it finds may also be an argument within parentheses.
_is_assignment = re.compile(r"[A-Za-z_][\w.]*(?:\[[^\[\]\n]*\])?[ \t]*(?://|\*\*|<<|>>|[-+*/%&|^@])?=(?!=)").match
_first_word = re.compile(r"[A-Za-z_]*").match
_NO_START = " \t\f\r\n#)]}"


class Runner(exports.Runner):
    """What the host calls."""

    def prepare(self):
        _walk(self)
        _forget()

    def settle(self):
        _fill()

    def survey(self):
        return _lasting()

    def start(self, seed, max_value):
        global _max_value
        _max_value = max_value
        random.seed(seed)

    def grant(self, names):
        functions.grant(names.split("\n"), _main.__dict__)

    def load(self, source, filename):
        filename = filename or "<env>"

        def action():
            _announce(source, filename)
            exec(compile(source, filename, "exec", dont_inherit=True), _main.__dict__)

        return _answer(action, result_must_be_json=False)

    def run(self, source, filename):
        filename = filename or "<code>"

        def action():
            body, last = _compile(source, _announce(source, filename), filename)
            if body is not None:
                exec(body, _main.__dict__)
            return None if last is None else eval(last, _main.__dict__)

        return _answer(action, result_must_be_json=False)

    def call(self, name, arguments):
        tool = _main.__dict__.get(name)
        if not callable(tool):
            return runner.Answer(None, None, runner.Fault("unknown-tool", "", f"unknown tool {name!r}", ""))
        return _answer(lambda: tool(**json.loads(arguments)), result_must_be_json=True)


def _walk(guest):
    """Goes the way of a usual program."""
    guest.start(0, 1 << 20)
    answer = guest.run("import math\nprint('x')\ndef f(x):\n    return math.sqrt(x)\n[f(4), {'a': 1}]", "<code>")
    assert answer.value_json == '[2.0, {"a": 1}]', answer
    assert guest.call("f", '{"x": 9}').value_json == "3.0"


_filling = []


def _fill():
    """Takes the free blocks of CPython's small-object allocator: 8 bytes, 16 bytes, and so on to 512."""
    end = id(bytes(4 << 20))  # from the upper end of the heap, as the host has filled the rest
    for size in range(512, 16, -8):
        while id(block := bytes(size - 17)) < end:
            _filling.append(block)
    while id(block := float("1.5")) < end:
        _filling.append(block)
    while id(block := object()) < end:
        _filling.append(block)
    gc.collect()
    gc.freeze()


def _lasting():
    """Addresses of all objects that can be reached."""
    gc.unfreeze()
    known, todo = {}, gc.get_objects()
    while todo:
        item = todo.pop()
        if id(item) in known:
            continue
        known[id(item)] = item
        if type(item) is types.CodeType:
            # The collector does not look into these.
            todo += [item.co_consts, item.co_names, item.co_filename, item.co_name, item.co_qualname]
            todo += [item.co_linetable, item.co_exceptiontable]
            todo += (*item.co_varnames, *item.co_freevars, *item.co_cellvars)
        else:
            todo.extend(gc.get_referents(item))
    return list(known)


def _forget():
    """Brings back the namespace that a program starts with."""
    _main.__dict__.clear()
    _main.__dict__.update(_fresh)
    linecache.cache.clear()


def _rehearse():
    """Goes every way once, so that caches and lazy imports are in the snapshot."""
    guest = Runner()
    _walk(guest)
    for broken in ("1 +", "def g(): return 1 / 0\ng()", "def h(n): return h(n + 1)\nh(0)"):
        assert guest.run(broken, "<code>").fault.kind == "exception"
    _forget()


sys.modules["__main__"] = _main
_main.__dict__["__builtins__"] = sys.modules["builtins"]
_fresh = dict(_main.__dict__)
_rehearse()
_streams = streams.Streams(live=True)
gc.collect()
gc.freeze()
