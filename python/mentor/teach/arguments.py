"""Arguments of calls as references hold them: an object, or the text that is none that a file could hold."""

from __future__ import annotations

import json
from typing import Any

import orjson

__all__ = ["kept_arguments", "read_arguments"]

_MAX_DEPTH = 200  # orjson writes 254 levels, of which a row of a file takes some itself


def read_arguments(text: str) -> dict[str, Any] | None:
    """The object that a text holds; None where it holds none, or one too deep for a file.

    Example:
        >>> read_arguments('{"a": 1}'), read_arguments(""), read_arguments("[1]")
        ({'a': 1}, {}, None)
    """
    try:
        found = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and not _deep(found) else None


def kept_arguments(value: Any) -> Any:
    """Arguments that were read by other means, as they are, or as text where no file takes them.

    Example:
        >>> kept_arguments({"a": 1}), kept_arguments({"a": 2**70})
        ({'a': 1}, '{"a": 1180591620717411303424}')
    """
    try:
        if not _deep(value):
            orjson.dumps(value)
            return value
        return json.dumps(value)
    except TypeError:  # whole numbers beyond 64 bits, half surrogate pairs
        return json.dumps(value, default=str)
    except RecursionError:
        return ""


def _deep(value: Any, left: int = _MAX_DEPTH) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return left == 0 or any(_deep(one, left - 1) for one in inner)
