"""Descriptions of functions, as data sets write them, made OpenAI tool schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["tool_schema", "type_schema"]

_TYPES = {
    **dict.fromkeys(("str", "string", "char", "text", "date", "datetime", "time", "callable", "function"), "string"),
    **dict.fromkeys(("int", "integer", "long", "short", "byte"), "integer"),
    **dict.fromkeys(("float", "double", "number", "numeric", "decimal"), "number"),
    **dict.fromkeys(("bool", "boolean"), "boolean"),
    **dict.fromkeys(("list", "array", "tuple", "set", "sequence", "iterable", "arraylist"), "array"),
    **dict.fromkeys(("dict", "object", "hashmap", "map", "mapping", "json"), "object"),
    **dict.fromkeys(("none", "null", "nonetype"), "null"),
}
_KEPT = (
    "description", "enum", "default", "format", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "multipleOf", "const", "title", "examples",
    "nullable",
)  # fmt: skip
_COMBINED = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAX_DEPTH = 30


def tool_schema(name: str, description: str, parameters: Mapping[str, Any], *, closed: bool = True) -> dict[str, Any]:
    """An OpenAI tool schema.

    Args:
        name: the tool's name.
        description: what it does.
        parameters: the schema of its arguments; types may have Python's names, or those of other languages.
        closed: whether other arguments than those listed are wrong, where the schema does not say.

    Example:
        >>> schema = tool_schema("f", "", {"type": "dict", "properties": {"a": {"type": "float"}}})
        >>> schema["function"]["parameters"]["properties"]
        {'a': {'type': 'number'}}
    """
    schema = {"type": "object", "properties": {}} | _translate(parameters, 0)
    schema["type"] = "object"
    if closed:
        schema.setdefault("additionalProperties", False)
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


def type_schema(text: str) -> dict[str, Any]:
    """The JSON Schema of a type's name; of one that is unknown, one that takes anything.

    Example:
        >>> type_schema("List[Union[int, float]]")
        {'type': 'array', 'items': {'type': ['integer', 'number']}}
        >>> type_schema("str, optional"), type_schema("Any")
        ({'type': 'string'}, {})
    """
    text = re.sub(r",\s*optional\s*$", "", text.strip(), flags=re.IGNORECASE)
    if len(text) > 200:
        return {}
    match = re.fullmatch(r"(?:typing\.)?(\w+)\s*(?:[\[(<](.*)[\])>])?", text)
    if match is None:
        return {}
    word, inner = match[1].lower(), _split(match[2] or "")
    if word in ("union", "optional"):
        return _union([type_schema(part) for part in inner])
    if word not in _TYPES:
        return {}
    kind = _TYPES[word]
    schema: dict[str, Any] = {"type": kind}
    if kind == "array" and inner:
        items = [type_schema(part) for part in inner if part != "..."]
        if items and items[0] and all(item == items[0] for item in items):
            schema["items"] = items[0]
    return schema


def _union(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = [schema.get("type") for schema in schemas]
    if len(schemas) == 1:
        return schemas[0]
    if all(isinstance(kind, str) for kind in kinds) and all(len(schema) == 1 for schema in schemas):
        return {"type": list(dict.fromkeys(kinds))}
    return {}


def _split(text: str) -> list[str]:
    """The parts between commas that stand in no brackets."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "[(<") - (char in "])>")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def _translate(node: Any, depth: int) -> dict[str, Any]:
    if not isinstance(node, Mapping) or depth > _MAX_DEPTH:
        return {}
    schema: dict[str, Any] = {}
    kind = node.get("type")
    if isinstance(kind, str):
        schema |= type_schema(kind)
    elif isinstance(kind, list):
        schema |= _union([type_schema(word) for word in kind if isinstance(word, str)])
    schema |= {key: node[key] for key in _KEPT if key in node}
    if isinstance(schema.get("description"), list | dict):
        schema["description"] = str(schema["description"])
    if not (isinstance(schema.get("enum", []), list) and schema.get("enum", [None])):
        del schema["enum"]
    properties = node.get("properties")
    if isinstance(properties, Mapping):
        schema["properties"] = {str(name): _translate(inner, depth + 1) for name, inner in properties.items()}
        required = node.get("required")
        if isinstance(required, list):
            schema["required"] = [name for name in required if isinstance(name, str) and name in schema["properties"]]
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), Mapping):
            schema[key] = _translate(node[key], depth + 1)
        elif isinstance(node.get(key), bool):
            schema[key] = node[key]
    for key in _COMBINED:
        if isinstance(node.get(key), list):
            schema[key] = [_translate(inner, depth + 1) for inner in node[key]]
    return schema
