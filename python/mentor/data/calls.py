"""Tool calls as data sets write them: as code, as text, with arguments that have to fit a schema."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from mentor.data.imports import LeftOut
from mentor.sandbox.schemas import ArgumentSchema

__all__ = ["NOT_OFFERED", "ToolChecks", "call_text", "read_call", "read_literal"]

NOT_OFFERED = "the reference calls a tool that is not offered"
_MAX_CODE = 20_000  # characters; bounds the depth of the tree as well


def call_text(calls: Iterable[Mapping[str, Any]]) -> str:
    """Calls as text, one a line: the answer of tasks in which the calls themselves are what counts.

    Example:
        >>> call_text([{"name": "area", "arguments": {"base": 10, "unit": "cm"}}])
        'area(base=10, unit="cm")'
    """
    lines = []
    for call in calls:
        arguments = (f"{name}={orjson.dumps(value).decode()}" for name, value in call["arguments"].items())
        lines.append(f"{call['name']}({', '.join(arguments)})")
    return "\n".join(lines)


def read_call(code: str, parameters: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A call out of code such as ``mv(source='a', destination='b')``. Nothing is evaluated.

    Args:
        code: one call whose arguments are literals.
        parameters: tool -> the names of its parameters in order, for arguments without a name.

    Raises:
        LeftOut: it is no such call.

    Example:
        >>> read_call("sort('a.txt')", {"sort": ["file_name"]})
        {'name': 'sort', 'arguments': {'file_name': 'a.txt'}}
    """
    broken = LeftOut("a call cannot be read", code[:120])
    if len(code) > _MAX_CODE:
        raise broken
    try:
        tree = ast.parse(code.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise broken from None
    if not isinstance(tree, ast.Call):
        raise broken
    name = ast.unparse(tree.func)
    try:
        given = [ast.literal_eval(node) for node in tree.args]
        named = {word.arg: ast.literal_eval(word.value) for word in tree.keywords if word.arg is not None}
        arguments = _plain(dict(zip(parameters.get(name, ()), given, strict=False)) | named)
        orjson.dumps(arguments)
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise broken from None
    if len(named) < len(tree.keywords) or len(given) > len(parameters.get(name, ())):
        raise broken
    return {"name": name, "arguments": arguments}


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON has them; ValueError for numbers that it does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("infinite")
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


class ToolChecks:
    """The compiled schemas of the offered tools, each compiled once for all rows that offer it.

    Example:
        >>> schema = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
        >>> ToolChecks().fault([schema], {"name": "f", "arguments": {"a": "x"}})
        'f: argument `a` must be an integer, not a string'
    """

    def __init__(self) -> None:
        self._known: dict[bytes, ArgumentSchema | str] = {}

    def compiled(self, schema: Mapping[str, Any]) -> ArgumentSchema | str:
        """The tool's schema of arguments, or what is wrong with it."""
        parameters = schema.get("function", schema).get("parameters")
        try:
            text = orjson.dumps({"type": "object"} if parameters is None else parameters)
        except TypeError as error:
            return f"no JSON: {error}"
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = _compile(text)
        return found

    def fault(self, tools: Iterable[Mapping[str, Any]], call: Mapping[str, Any]) -> str | None:
        """Why a call does not fit the offered tools, None where it does."""
        schemas = {tool.get("function", tool)["name"]: tool for tool in tools}
        if call["name"] not in schemas:
            return f"{call['name']} is not offered"
        compiled = self.compiled(schemas[call["name"]])
        if isinstance(compiled, str):
            return f"{call['name']}: {compiled}"
        try:
            text = orjson.dumps(call["arguments"]).decode()
        except TypeError as error:  # whole numbers beyond 64 bits, half surrogate pairs, endless depth
            return f"{call['name']}: the arguments are no JSON: {error}"
        return None if compiled.fits(text) else f"{call['name']}: {compiled.fault(text)}"

    def fitted(self, tools: Sequence[Mapping[str, Any]], calls: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The calls as they are, or with arguments that spell a value (``"[1]"`` for a list) as that value.

        Raises:
            LeftOut: two tools have one name, a tool's schema is none, or a call does not fit the offered tools even so.
        """
        names = [tool.get("function", tool)["name"] for tool in tools]
        if len(set(names)) < len(names):
            raise LeftOut("two tools have one name", max(names, key=names.count))
        for tool in tools:
            compiled = self.compiled(tool)
            if isinstance(compiled, str):
                raise LeftOut("a tool's schema is unusable", f"{tool.get('function', tool)['name']}: {compiled}")
        return [self._fitted(tools, dict(call)) for call in calls]

    def _fitted(self, tools: Sequence[Mapping[str, Any]], call: dict[str, Any]) -> dict[str, Any]:
        fault = self.fault(tools, call)
        if fault is None:
            return call
        schemas = {tool.get("function", tool)["name"]: tool for tool in tools}
        if call["name"] not in schemas:
            raise LeftOut(NOT_OFFERED, fault)
        function = schemas[call["name"]].get("function", schemas[call["name"]])
        parameters = function.get("parameters")
        properties = parameters.get("properties") if isinstance(parameters, Mapping) else None
        properties = properties if isinstance(properties, Mapping) else {}
        arguments = {
            key: read_literal(value) if isinstance(value, str) and not _is_text(properties.get(key)) else value
            for key, value in call["arguments"].items()
            if value is not None
        }
        mended = {**call, "arguments": arguments}
        if self.fault(tools, mended) is not None:
            raise LeftOut("the reference's arguments do not fit the tool's schema", fault)
        return mended


def _is_text(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "string"


def read_literal(text: str) -> Any:
    """What a text spells as JSON or as a literal of Python's; None where it is neither.

    Example:
        >>> read_literal("[1, 2]"), read_literal("{'a': True}"), read_literal("a b")
        ([1, 2], {'a': True}, None)
    """
    if len(text) > _MAX_CODE:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        value = _plain(ast.literal_eval(text.strip()))
        orjson.dumps(value)  # sets, bytes and integers beyond 64 bits are no JSON here
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    return value


def _compile(text: bytes) -> ArgumentSchema | str:
    try:
        return ArgumentSchema(text.decode())
    except (ValueError, RecursionError) as error:
        return str(error)
