"""Tools whose schemas are given, beside the source that defines their functions."""

from __future__ import annotations

import ast
import copy
import inspect
import json
import keyword
from collections.abc import Iterable, Mapping
from typing import Any

from mentor.errors import InputError
from mentor.tools.fit import suggestion
from mentor.tools.schema import OMITTED, Tool, find_functions

__all__ = ["read_schemas"]

_TYPES: dict[str, Any] = {
    "integer": int, "number": float, "string": str, "boolean": bool, "null": None, "object": dict[str, Any],
    "array": list[Any],
}  # fmt: skip


def read_schemas(schemas: Iterable[Mapping[str, Any]], source: str) -> list[Tool]:
    """The tools that schemas describe and a source text defines.

    Args:
        schemas: In OpenAI's format, ``{"type": "function", "function": {...}}``, or the inner object alone.
        source: Python text with a top-level function for each.

    Raises:
        TypeError: `schemas` is no list of mappings.
        InputError: A schema has no name, its function is not there, or cannot take one of its parameters.
    """
    if isinstance(schemas, Mapping | str) or not isinstance(schemas, Iterable):
        raise TypeError(f"schemas must be a list of schemas, not {type(schemas).__name__}")
    given: dict[str, dict[str, Any]] = {}
    for at, schema in enumerate(schemas):
        function = _function(at, schema)
        if function["name"] in given:
            raise InputError(f"schemas[{at}]: {function['name']} is described twice")
        given[function["name"]] = function
    if not given:
        raise InputError("tools: no schema given")
    found = find_functions(source, list(given))
    missing = [name for name in given if name not in found]
    if missing:
        others = find_functions(source)
        hint = suggestion(missing[0], others) or f"it defines {', '.join(others) or 'no function'}"
        raise InputError(f"tools: the source defines no function {', '.join(map(repr, missing))}; {hint}")
    return [_tool(function, found[name]) for name, function in given.items()]


def _function(at: int, schema: Any) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise TypeError(f"schemas[{at}] must be a mapping, not {type(schema).__name__}")
    function = schema.get("function", schema)
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str) or not name:
        raise InputError(f'schemas[{at}] has no name: write {{"name": ..., "description": ..., "parameters": ...}}')
    parameters = function.get("parameters")
    if parameters is None:
        parameters = {"type": "object", "properties": {}}
    if not isinstance(parameters, Mapping) or not isinstance(parameters.get("properties", {}), Mapping):
        raise InputError(f"schemas[{at}]: {name}: parameters must be a JSON Schema of an object")
    try:
        copied: dict[str, Any] = json.loads(json.dumps({**function, "parameters": parameters}, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"schemas[{at}]: {name}: the schema is no JSON: {error}") from None
    copied["parameters"].setdefault("type", "object")
    return copied


def _tool(function: dict[str, Any], node: ast.FunctionDef) -> Tool:
    name, properties = function["name"], function["parameters"].get("properties", {})
    args = node.args
    takes = [arg.arg for arg in (*args.args, *args.kwonlyargs)]
    if args.kwarg is None:
        for parameter in properties:
            if parameter not in takes:
                hint = suggestion(parameter, takes) or f"it takes {', '.join(takes) or 'none'}"
                raise InputError(f"tools: {name} has no parameter {parameter!r}, which its schema lists; {hint}")
    doc = _doc(str(function.get("description") or ast.get_docstring(node) or name), properties)
    schema = {"type": "function", "function": function}
    return Tool(name, doc, _signature(function["parameters"]), schema, declared=True, open=args.kwarg is not None)


def _doc(description: str, properties: Mapping[str, Any]) -> str:
    """A docstring in Google's style, which transformers reads of a typed callable."""
    lines = []
    for name, schema in properties.items():
        text = schema.get("description") if isinstance(schema, Mapping) else None
        lines.append(f"    {name}: {' '.join(str(text or name).split())}")
    return "\n".join([description, *(["", "Args:", *lines] if lines else [])])


def _signature(parameters: dict[str, Any]) -> inspect.Signature:
    """Keyword parameters, those that are required first."""
    required = parameters.get("required", ())
    found = []
    for name, schema in parameters.get("properties", {}).items():
        if name.isidentifier() and not keyword.iskeyword(name):
            default = inspect.Parameter.empty if name in required else OMITTED
            found.append(
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=_annotation(schema))
            )
    return inspect.Signature(found)


def _annotation(schema: Any) -> Any:
    wanted = schema.get("type") if isinstance(schema, dict) else None
    return copy.copy(_TYPES.get(wanted, Any)) if isinstance(wanted, str) else Any
