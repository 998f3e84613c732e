"""The tools that a row offers, and whether the reference's calls fit them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from mentor.data.calls import ToolChecks
from mentor.data.validation.structure import Add, Parts
from mentor.sandbox.schemas import ArgumentSchema

__all__ = ["OfferedTools"]

_MAX_KNOWN = 4_096  # lists of tools that are remembered


class _Toolbox:
    """One list of tools: what is wrong with it, and the schemas by name, None where only the name is known."""

    def __init__(self, tools: list[Any]) -> None:
        self.tools = tools
        self.problems: list[tuple[str, str, str]] = []
        self.schemas: dict[str, ArgumentSchema | None] = {}
        self.listed: dict[str, frozenset[str] | None] = {}


class OfferedTools:
    """Checks calls against the tools that rows offer; lists that come again are looked at once.

    Args:
        schemas: those of the tools that are there; None where this is not known.
    """

    def __init__(self, schemas: Sequence[Mapping[str, Any]] | None) -> None:
        self._checks = ToolChecks()
        self._known: dict[bytes, _Toolbox] = {}
        self._there = None if schemas is None else {_function(schema)["name"]: _closed(schema) for schema in schemas}

    def check(self, parts: Parts, add: Add) -> bool:
        """Name what is wrong with a row's tools and calls; whether all calls can be made."""
        box = self._toolbox(parts.tools)
        parts.tools = box.tools  # one list for all rows that offer the same: scoring prepares it once
        for problem in box.problems:
            add(*problem)
        fine = True
        names_only = parts.meta.get("names_only") is True
        for i, call in parts.calls.items():
            where = f"reference.tool_calls[{i}]"
            if box.schemas and call["name"] not in box.schemas:
                add(f"{where}.name", "tool_not_offered", f"{call['name'][:60]!r} is none of {_few(box.schemas)}")
                fine = False
            elif not names_only:
                fine &= self._arguments(box, call, f"{where}.arguments", add)
        return fine

    def _arguments(self, box: _Toolbox, call: Mapping[str, Any], where: str, add: Add) -> bool:
        schema = box.schemas.get(call["name"])
        if schema is None:
            return True
        text = orjson.dumps(call["arguments"]).decode()
        if not schema.fits(text):
            add(where, "invalid_arguments", f"{call['name']}: {schema.fault(text) or 'they do not fit'}")
            return False
        listed = box.listed[call["name"]]
        if listed is not None:
            for name in call["arguments"]:
                if name not in listed:
                    message = f"{call['name']}: the schema does not list {name[:60]!r}"
                    add(f"{where}.{name[:60]}", "unlisted_argument", message)
        return True

    def _toolbox(self, tools: list[Any]) -> _Toolbox:
        key = orjson.dumps(tools)
        box = self._known.get(key)
        if box is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            box = self._known[key] = self._made(tools)
        return box

    def _made(self, tools: list[Any]) -> _Toolbox:
        box = _Toolbox(tools)
        entries = tools or list(self._there or ())
        for i, tool in enumerate(entries):
            name = tool if isinstance(tool, str) else _function(tool)["name"]
            if name in box.schemas:
                box.problems.append((f"tools[{i}]", "duplicate_tool", f"{name[:60]!r} is offered twice"))
                continue
            box.schemas[name], box.listed[name] = None, None
            if self._there is not None and name not in self._there:
                box.problems.append((f"tools[{i}]", "unknown_tool", f"{name[:60]!r} is none of {_few(self._there)}"))
                if isinstance(tool, str):
                    continue
            schema = (self._there or {}).get(name) if isinstance(tool, str) else tool
            if schema is not None:
                self._compile(box, i, name, schema)
        return box

    def _compile(self, box: _Toolbox, i: int, name: str, schema: Mapping[str, Any]) -> None:
        compiled = self._checks.compiled(schema)
        if isinstance(compiled, str):
            box.problems.append((f"tools[{i}].parameters", "bad_schema", f"{name}: {compiled}"))
            return
        box.schemas[name] = compiled
        parameters = _function(schema).get("parameters")
        if not isinstance(parameters, Mapping) or {"additionalProperties", "patternProperties"} & parameters.keys():
            return
        if isinstance(parameters.get("properties"), Mapping):
            box.listed[name] = frozenset(parameters["properties"])


def _function(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    function: Mapping[str, Any] = schema.get("function", schema)
    return function


def _closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as a call is judged by: tools take no other arguments than those that they list."""
    function = _function(schema)
    parameters = {"additionalProperties": False, **(function.get("parameters") or {})}
    return {**function, "parameters": parameters}


def _few(names: Iterable[str]) -> str:
    listed = [name[:40] for name in names]
    return ", ".join(listed[:8]) + (f", ... ({len(listed)} in all)" if len(listed) > 8 else "") or "none"
