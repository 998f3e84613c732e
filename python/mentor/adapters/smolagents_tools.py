"""Tools for smolagents."""

from __future__ import annotations

from typing import Any

from mentor.adapters.needed import as_set, needed
from mentor.tools import ToolSession, ToolSet

__all__ = ["smolagents"]

_TYPES = ("string", "boolean", "integer", "number", "array", "object", "null")


def smolagents(tools: ToolSet | ToolSession) -> list[Any]:
    """One ``smolagents.Tool`` per tool.

    A result is the value itself, which code agents go on with; a fault is an exception, whose message the agent reads.

    Raises:
        TypeError: `tools` is neither a `ToolSet` nor a `ToolSession`.
        BuildError: smolagents is not installed.
    """
    base = needed("smolagents", "smolagents").Tool
    return [_tool(base, tools, schema["function"]) for schema in as_set(tools).schemas]


def _tool(base: Any, tools: ToolSet | ToolSession, function: dict[str, Any]) -> Any:
    name, parameters = function["name"], function["parameters"]

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        outcome = tools.call(name, dict(zip(parameters.get("properties", {}), args, strict=False)) | kwargs)
        if outcome.fault is not None:
            raise RuntimeError(outcome.fault.message)
        return outcome.value

    members = {
        "name": name,
        "description": function.get("description", ""),
        "inputs": {
            key: _input(key, schema, key in parameters.get("required", ()))
            for key, schema in parameters.get("properties", {}).items()
        },
        "output_type": _type(function.get("return", {})),
        "forward": forward,
        "skip_forward_signature_validation": True,
    }
    return type(name, (base,), members)()


def _input(name: str, schema: dict[str, Any], required: bool) -> dict[str, Any]:
    found = {**schema, "type": _type(schema), "description": schema.get("description", name)}
    if not required:
        found["nullable"] = True
    return found


def _type(schema: dict[str, Any]) -> Any:
    """The type in smolagents' words, ``any`` where there is none."""
    found = schema.get("type")
    names = found if isinstance(found, list) else [found]
    return found if found and all(name in _TYPES for name in names) and isinstance(found, str) else "any"
