"""Text of models made fit for a page."""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["clean", "show"]

MAX_TEXT = 6_000
"""Characters shown of one text."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def clean(text: str, limit: int = MAX_TEXT) -> str:
    r"""A text made fit for a page: cut with a note, invisible and lone halves of characters shown as escapes.

    Example:
        >>> clean("a" + chr(0) + "b"), clean("abcdef", limit=4)
        ('a\\x00b', 'abcd [... 2 of 6 characters not shown]')
    """
    rest = len(text) - limit
    if rest > 0:
        text = f"{text[:limit]} [... {rest:,} of {len(text):,} characters not shown]"
    text = text.replace("\r\n", "\n").encode("utf-8", "backslashreplace").decode()
    return _CONTROL.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def show(value: Any) -> str:
    """A value as compact text, as it stands if it is one.

    Example:
        >>> show({"a": 1}), show("plain")
        ('{"a": 1}', 'plain')
    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):
        return "(nested too deeply to be shown)"
