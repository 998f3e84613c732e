"""Tools as typed Python callables, for what reads signatures and docstrings."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any, Literal

from mentor.errors import InputError
from mentor.sandbox import Outcome
from mentor.tools.schema import Tool

__all__ = ["Results", "as_function", "as_text", "bind", "check_results", "dress"]

Results = Literal["value", "text"]


def check_results(results: str) -> bool:
    """Whether results are wanted as text."""
    if results not in ("value", "text"):
        raise InputError(f"results must be 'value' or 'text', not {results!r}")
    return results == "text"


def as_text(outcome: Outcome) -> str:
    """The text that a model reads of an outcome."""
    if outcome.fault is not None:
        text = f"error: {outcome.fault.message}"
    else:
        text = outcome.value if isinstance(outcome.value, str) else json.dumps(outcome.value)
    # Half surrogate pairs, which a tool may give and no file, request or tokenizer takes, become question marks.
    return text.encode("utf-8", "replace").decode()


def as_function(tool: Tool, call: Callable[[dict[str, Any]], Outcome], *, text: bool) -> Callable[..., Any]:
    """A function with the tool's name, docstring, signature and types."""

    def function(*args: Any, **kwargs: Any) -> Any:
        outcome = call(bind(tool, args, kwargs))
        return as_text(outcome) if text or outcome.fault is not None else outcome.value

    return dress(function, tool, tool.signature)


def dress(function: Callable[..., Any], tool: Tool, signature: inspect.Signature) -> Callable[..., Any]:
    """Gives a function what describes the tool."""
    annotations = {parameter.name: parameter.annotation for parameter in tool.signature.parameters.values()}
    if tool.signature.return_annotation is not inspect.Signature.empty:
        annotations["return"] = tool.signature.return_annotation
    function.__name__ = function.__qualname__ = tool.name
    function.__doc__ = tool.doc
    function.__annotations__ = annotations
    function.__signature__ = signature  # type: ignore[attr-defined]
    return function


def bind(tool: Tool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name; that they fit is checked with the call.

    Raises:
        TypeError: There are too many, or one is given twice.
    """
    if not args:
        return kwargs
    positional = [p.name for p in tool.signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    if len(args) > len(positional):
        raise TypeError(f"{tool.name}() takes {len(positional)} positional arguments, {len(args)} were given")
    arguments = dict(zip(positional, args, strict=False))
    if twice := arguments.keys() & kwargs.keys():
        raise TypeError(f"{tool.name}() got two values for {min(twice)!r}")
    return arguments | kwargs
