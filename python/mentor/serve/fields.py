"""A request's JSON, read field by field; what does not fit names the field."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

import orjson

__all__ = ["BadRequest", "base64_files", "milliseconds", "names", "read_object", "text", "whole"]

_FILES = 4_096  # of a request


class BadRequest(Exception):
    """A request that cannot be answered; becomes the response with status 400.

    Args:
        message: What is wrong, and what would be right.
        field: The field that it is about; empty where it is the request as a whole.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


def read_object(body: bytes | bytearray) -> dict[str, Any]:
    """The JSON object of a body."""
    try:
        loaded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is no JSON: {error}") from error
    if not isinstance(loaded, dict):
        raise BadRequest(f"the body must be a JSON object, not {_kind(loaded)}")
    return loaded


def text(body: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A text; without a default it must be there."""
    value = body.get(name, default)
    if value.__class__ is str:
        return value
    if name not in body:
        raise BadRequest(f"{name} is missing", name)
    raise _wrong(name, "a string", value)


def milliseconds(body: Mapping[str, Any], name: str, default: int) -> int:
    """A time in seconds, whole or not, as milliseconds; at least one."""
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(name, "a number of seconds", value)
    if not (math.isfinite(value) and value > 0):
        raise BadRequest(f"{name} must be more than 0 seconds, not {value}", name)
    return max(1, math.ceil(min(value, 1e9) * 1_000))


def whole(body: Mapping[str, Any], name: str, default: int) -> int:
    """A whole number."""
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(name, "a whole number", value)
    return value


def names(body: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts; empty where there is none."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong(name, "a list of strings", value)
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise _wrong(f"{name}[{index}]", "a string", item)
    return value


def base64_files(body: Mapping[str, Any], name: str) -> dict[str, bytes]:
    """Contents by path, at most 4,096, sent as base64; those that are null are left out."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(name, "an object of base64 by path", value)
    if len(value) > _FILES:
        raise BadRequest(f"{name} must be at most {_FILES} files, not {len(value)}", name)
    files = {}
    for path, content in value.items():
        where = f"{name}[{path[:200]!r}]"
        if content is None:
            continue
        if not isinstance(content, str):
            raise _wrong(where, "base64 or null", content)
        try:
            files[path] = base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadRequest(f"{where} is no base64: {error}", name) from error
    return files


def _wrong(name: str, wanted: str, value: object) -> BadRequest:
    return BadRequest(f"{name} must be {wanted}, not {_kind(value)}", name.split("[")[0])


def _kind(value: object) -> str:
    return _KINDS.get(type(value), type(value).__name__)


_KINDS = {
    dict: "an object",
    list: "an array",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
}
