"""Tools that keep values by key for one rollout."""

from __future__ import annotations

import difflib
import json
import math
from typing import Any

from mentor.sandbox import Limits
from mentor.tools.toolset import ToolSet

__all__ = ["store"]

_MAX_KEYS = 1_000
_MAX_KEY = 200
_MAX_SIZE = 1_000_000
_VALUES: dict[str, str] = {}  # in the guest: JSON texts, which nothing can change from outside


def set_value(key: str, value: Any) -> str:
    """Keep a value under a key, in place of what was there.

    Args:
        key: The key, such as "user:ann:email".
        value: Any JSON value: text, number, list, object, true, false or null.

    Returns:
        "created" or "replaced".
    """
    known = key in _VALUES
    _keep(key, value)
    return "replaced" if known else "created"


def get_value(key: str) -> Any:
    """Get the value that is kept under a key.

    Args:
        key: The key.

    Returns:
        The value; an error where there is none.
    """
    return _get(key)


def delete_value(key: str) -> str:
    """Delete a key and its value.

    Args:
        key: The key.

    Returns:
        "deleted"; an error where there is no such key.
    """
    _get(key)
    del _VALUES[key]
    return "deleted"


def list_keys(prefix: str = "") -> list[str]:
    """List the keys, in alphabetical order.

    Args:
        prefix: What the keys start with, such as "user:"; empty for all.

    Returns:
        The keys.
    """
    return sorted(key for key in _VALUES if key.startswith(prefix))


def increment_value(key: str, by: float = 1) -> float:
    """Add to the number that is kept under a key; a key that does not exist counts as 0.

    Args:
        key: The key.
        by: What to add; negative to subtract.

    Returns:
        The new number.
    """
    value = _get(key) if key in _VALUES else 0
    if type(value) not in (int, float):
        raise TypeError(f"the value of {_shown(key)} is {_kind(value)}, not a number")
    try:
        result = value + by
    except OverflowError:
        result = math.inf
    if not math.isfinite(result if type(result) is float else 0):
        raise ValueError("the result is too large")
    _keep(key, result)
    return result


def append_value(key: str, item: Any) -> int:
    """Append an item to the list that is kept under a key; a key that does not exist becomes a list.

    Args:
        key: The key.
        item: Any JSON value.

    Returns:
        The number of items now.
    """
    value = _get(key) if key in _VALUES else []
    if type(value) is not list:
        raise TypeError(f"the value of {_shown(key)} is {_kind(value)}, not a list")
    _keep(key, [*value, item])
    return len(value) + 1


def _get(key: str) -> Any:
    if key not in _VALUES:
        close = difflib.get_close_matches(key[:_MAX_KEY], _VALUES, n=1)
        hint = (
            f"did you mean {_shown(close[0])}?"
            if close
            else "list_keys lists the keys"
            if _VALUES
            else "the store is empty"
        )
        raise LookupError(f"there is no key {_shown(key)}; {hint}")
    return json.loads(_VALUES[key])


def _keep(key: str, value: Any) -> None:
    if not key or len(key) > _MAX_KEY:
        raise ValueError(f"a key has 1 to {_MAX_KEY} characters, not {len(key)}")
    if key not in _VALUES and len(_VALUES) >= _MAX_KEYS:
        raise ValueError(f"the store is full: {_MAX_KEYS} keys; delete some")
    try:
        text = json.dumps(value)
    except RecursionError:
        raise ValueError("the value is nested too deeply") from None
    size = sum(len(other) + len(name) for name, other in _VALUES.items() if name != key) + len(text) + len(key)
    if size > _MAX_SIZE:
        raise ValueError(f"the store is full: {size} characters of JSON, where {_MAX_SIZE} fit; delete some keys")
    _VALUES[key] = text


def _shown(key: str) -> str:
    return repr(key if len(key) <= 60 else key[:57] + "...")


def _kind(value: Any) -> str:
    return {str: "text", bool: "true or false", dict: "an object", list: "a list", type(None): "null"}.get(
        type(value), "a number"
    )


_TOOLS = (set_value, get_value, delete_value, list_keys, increment_value, append_value)


def store(*, limits: Limits | None = None) -> ToolSet:
    """Six tools for values by key: set, get, delete, list, increment, append. At most 1,000 keys and 1 MB.

    Each rollout has its own store, empty at first.

    Args:
        limits: What one call may use; without it 1 second, 128 MB and 1,024 KB.

    Example:
        >>> tools = store()
        >>> tools.call("set_value", {"key": "total", "value": 5}).value
        'created'
        >>> tools.call("get_value", {"key": "total"}).fault.message  # another rollout
        "LookupError: there is no key 'total'; the store is empty"
    """
    limits = Limits(timeout_ms=1_000, memory_mb=128, output_kb=1_024) if limits is None else limits
    return ToolSet.from_functions(_TOOLS, limits=limits, check=False)
