"""Whether a source of tools can work in the sandbox, found out when it is defined instead of at the first call."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from typing import Any

from mentor.errors import InputError
from mentor.sandbox import Fault, Limits, Sandbox
from mentor.tools.guest import FILENAME

__all__ = ["check_definition"]

_LINE = re.compile(rf'File "{re.escape(FILENAME)}", line (\d+)')
_LIBRARY = "it has the standard library without ctypes, ssl, bz2, lzma, mmap, resource, fcntl and curses"
_ELSEWHERE = "use ToolSet.from_host for what must run on the host"

# Runs after the source, in its namespace: what the functions import when they are called.
_PROBE = """
import importlib as _importlib, json as _json
def _failed(wanted):
    failed = []
    for at, (module, name) in enumerate(_json.loads(wanted)):
        try:
            found = _importlib.import_module(module)
        except Exception as error:
            missing = error.name if isinstance(error, ModuleNotFoundError) else ""
            missing = missing if module.startswith(missing or " ") else missing and module
            failed.append([at, missing or "", type(error).__name__ + ": " + str(error)])
            continue
        try:
            if name and name != "*" and not hasattr(found, name):
                _importlib.import_module(module + "." + name)
        except Exception:
            failed.append([at, "", "the sandbox's module " + repr(module) + " has no " + repr(name)])
    return failed
_failed({wanted!r})
"""

_NO_THREADS = "the sandbox has no threads, they cannot be started"
_NO_PROCESSES = "the sandbox has no processes"
_NO_NETWORK = "the sandbox has no network"
# What fails whenever it is called.
_HOPELESS = {
    **dict.fromkeys(("threading.Thread", "threading.Timer", "concurrent.futures.ThreadPoolExecutor"), _NO_THREADS),
    **dict.fromkeys(("_thread.start_new_thread", "asyncio.to_thread"), _NO_THREADS),
    **dict.fromkeys(
        (
            "os.system",
            "os.popen",
            "os.fork",
            "os.execv",
            "os.posix_spawn",
            "subprocess.run",
            "subprocess.Popen",
            "subprocess.call",
            "subprocess.check_call",
            "subprocess.check_output",
            "subprocess.getoutput",
            "concurrent.futures.ProcessPoolExecutor",
            "asyncio.create_subprocess_exec",
            "asyncio.create_subprocess_shell",
        ),
        _NO_PROCESSES,
    ),
    **dict.fromkeys(("socket.socket", "socket.create_connection", "urllib.request.urlopen"), _NO_NETWORK),
    "input": "the sandbox's standard input is empty",
}


def check_definition(source: str, sandbox: Sandbox, *, stacklevel: int) -> None:
    """Loads the source in a guest, once per text and limits.

    Raises:
        InputError: It fails, or a function imports what the sandbox does not have; the message names the line.
        SandboxError: The host failed to do its part.

    Warns:
        UserWarning: A function calls what always fails in the sandbox.
    """
    key = (source, sandbox.limits, sandbox.seed, sandbox.guest)
    known = _known.get(key)
    if known is None:
        known = _known[key] = _examine(source, sandbox)
        while len(_known) > _MAX_KNOWN:
            _known.pop(next(iter(_known)), None)
    problem, notes = known
    if problem:
        raise InputError(f"tools: {problem}")
    for note in notes:
        warnings.warn(f"tools: {note}", UserWarning, stacklevel=stacklevel + 1)


_MAX_KNOWN = 1024
_known: dict[tuple[str, Limits, int, str], tuple[str, tuple[str, ...]]] = {}


def _examine(source: str, sandbox: Sandbox) -> tuple[str, tuple[str, ...]]:
    """What is wrong, and what may be."""
    tree = ast.parse(source)
    lines = source.splitlines()
    imports = list(_deferred(tree))
    packages = "no other packages" if sandbox.guest == Sandbox().guest else "the packages that its guest was built with"
    with sandbox.session() as session:
        loaded = session.run(source, filename=FILENAME)
        if loaded.fault is not None:
            return _explain(loaded.fault, lines, packages), ()
        failed: Any = []
        if imports:
            wanted = json.dumps([(module, name) for _, module, name in imports])
            failed = session.run(_PROBE.format(wanted=wanted), filename="<check>").value
    for entry in failed if isinstance(failed, list) else ():
        match entry:
            case [int(at), str(missing), str(error)] if 0 <= at < len(imports):
                return _cannot_import(imports[at][0], lines, missing, error, packages), ()
    return "", tuple(_hopeless(tree, lines))


def _explain(fault: Fault, lines: list[str], packages: str) -> str:
    # The environment's frames only: the probe is no part of what the user wrote.
    found = [int(number) for number in _LINE.findall(fault.traceback)]
    if not found:
        return f"the source cannot be loaded in the sandbox: {fault.message}"
    missing = re.search(r"No module named '([\w.]+)'", fault.message)
    if fault.type_name in ("ModuleNotFoundError", "ImportError") and missing:
        return _cannot_import(found[-1], lines, missing[1], fault.message, packages)
    return f"{_quoted(found[-1], lines)}: {fault.message}"


def _cannot_import(line: int, lines: list[str], missing: str, error: str, packages: str) -> str:
    if not missing:
        return f"{_quoted(line, lines)}: {error}"
    return f"{_quoted(line, lines)}: the sandbox has no module {missing!r}; {_LIBRARY}, and {packages}; {_ELSEWHERE}"


def _quoted(line: int, lines: list[str]) -> str:
    text = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    return f"line {line}: {text if len(text) <= 120 else text[:117] + '...'}"


def _deferred(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Line, module and name of the imports within functions that nothing guards."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in function.body:
                yield from _imports(statement)


def _imports(node: ast.AST) -> Iterator[tuple[int, str, str]]:
    if isinstance(node, ast.Import):
        yield from ((node.lineno, alias.name, "") for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        if not node.level and node.module:
            yield from ((node.lineno, node.module, alias.name) for alias in node.names)
    elif isinstance(node, ast.Try):
        for part in ([] if node.handlers else node.body, node.orelse, node.finalbody):
            for inner in part:
                yield from _imports(inner)
    elif isinstance(node, ast.If | ast.With | ast.For | ast.While | ast.AsyncFor | ast.AsyncWith):
        # What a condition guards may never be reached.
        for inner in () if isinstance(node, ast.If) else node.body:
            yield from _imports(inner)


def _hopeless(tree: ast.Module, lines: list[str]) -> Iterator[str]:
    """Calls of what cannot work, by the names under which it was imported."""
    names: dict[str, str] = {}
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            path = _path(node.func, names, bound)
            if path in _HOPELESS:
                yield f"{_quoted(node.lineno, lines)}: {_HOPELESS[path]}; {_ELSEWHERE}"


def _path(node: ast.expr, names: dict[str, str], bound: set[str]) -> str:
    if isinstance(node, ast.Name):
        return "" if node.id in bound else names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        inner = _path(node.value, names, bound)
        return f"{inner}.{node.attr}" if inner else ""
    return ""
