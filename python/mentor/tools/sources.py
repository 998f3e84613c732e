"""The source text of Python functions, with what they use from around them."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType
from typing import Any

from mentor.errors import InputError

__all__ = ["collect"]


def collect(functions: Iterable[Callable[..., Any]]) -> tuple[str, list[str]]:
    """One source text that defines the functions, and their names.

    Modules of the standard library, plain constants, compiled patterns and other functions that they name are brought
    along.

    Raises:
        TypeError: Something is no Python function.
        InputError: There is no source, or a function uses something that cannot be brought along.
    """
    parts: dict[str, str] = {}
    names = []
    for function in functions:
        if not isinstance(function, FunctionType):
            raise TypeError(f"functions must be Python functions, not {type(function).__name__}")
        names.append(function.__name__)
        _add(function, function.__name__, parts)
    if not names:
        raise InputError("tools: no function given")
    if len(set(names)) < len(names):
        raise InputError(f"tools: two functions have the same name: {', '.join(names)}")
    # Definitions that stand alone come first: a default or a decorator may need them when the others are defined.
    return "\n\n".join(sorted(parts.values(), key=lambda part: part.startswith(("def ", "@")))) + "\n", names


def _add(function: FunctionType, name: str, parts: dict[str, str]) -> None:
    if parts.get(name):
        return
    parts[name] = "pending"
    try:
        source = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(source)
    except (OSError, SyntaxError) as error:
        raise InputError(f"tools: {name}: its source cannot be read ({error}); use ToolSet.from_source") from error
    if not isinstance(tree.body[0], ast.FunctionDef | ast.AsyncFunctionDef):
        raise InputError(f"tools: {name} is a lambda; write it with `def`")
    for used, value in _around(function, tree).items():
        if used not in parts:  # functions that call each other meet their own mark
            parts[used] = ""
            _bring(name, used, value, parts)
    del parts[name]  # behind what it uses
    parts[name] = source.strip()


def _around(function: FunctionType, tree: ast.Module) -> dict[str, Any]:
    """Globals and captured variables that the text names."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    captured = {name: cell.cell_contents for name, cell in cells}
    scope = {**function.__globals__, **captured}
    own = tree.body[0]
    hints = {id(node) for part in _hint_nodes(own) for node in ast.walk(part)}
    named = [node.id for node in ast.walk(own) if isinstance(node, ast.Name) and id(node) not in hints]
    local = set(function.__code__.co_varnames) | {function.__name__}
    return {name: scope[name] for name in dict.fromkeys(named) if name in scope and name not in local}


def _hint_nodes(node: ast.AST) -> Iterable[ast.AST]:
    for child in ast.walk(node):
        if isinstance(child, ast.arg | ast.AnnAssign) and child.annotation is not None:
            yield child.annotation
        if isinstance(child, ast.FunctionDef) and child.returns is not None:
            yield child.returns


def _bring(user: str, name: str, value: Any, parts: dict[str, str]) -> None:
    if isinstance(value, FunctionType) and value.__module__.partition(".")[0] not in sys.stdlib_module_names:
        if value.__name__ != name:
            raise InputError(f"tools: {user} uses {value.__name__} under the name {name}; use its own name")
        _add(value, name, parts)
    elif isinstance(value, ModuleType) and _standard(value.__name__):
        parts[name] = f"import {value.__name__} as {name}"
    elif _constant(value):
        parts[name] = f"{name} = {value!r}"
    elif isinstance(value, re.Pattern):
        parts[name] = f"{name} = __import__('re').compile({value.pattern!r}, {int(value.flags)})"
    elif origin := _origin(value):
        parts[name] = f"from {origin[0]} import {origin[1]} as {name}"
    else:
        raise InputError(
            f"tools: {user} uses {name!r} ({type(value).__name__}), which cannot be brought into the sandbox; "
            "define it inside the function, or use ToolSet.from_source"
        )


def _standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def _constant(value: Any) -> bool:
    if isinstance(value, tuple | list | set | frozenset):
        return all(map(_constant, value))
    if isinstance(value, dict):
        return all(_constant(key) and _constant(item) for key, item in value.items())
    return value is None or type(value) in (bool, int, str, bytes) or (type(value) is float and value - value == 0)


def _origin(value: Any) -> tuple[str, str] | None:
    """Module and name of something from the standard library."""
    module, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if not (isinstance(module, str) and isinstance(name, str) and _standard(module)):
        return None
    found = getattr(importlib.import_module(module), name, None)
    return (module, name) if found is value else None
