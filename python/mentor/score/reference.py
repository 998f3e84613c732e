"""References: what a rollout is scored against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from mentor import _core
from mentor.errors import InputError, InputTypeError

__all__ = ["Reference"]


class Reference:
    """The teacher's answer and tool calls, read once and used for a whole group of rollouts.

    ``score_batch`` takes plain dicts as well; a ``Reference`` saves reading them again.

    Args:
        source: A dict ``{"answer": ..., "tool_calls": [{"name": ..., "arguments": {...}}], "tools": [...]}``
            (``tools``, the names or schemas of the offered tools, may be left out), a whole teacher trajectory as a
            list of messages, or the JSON of either.

    Raises:
        InputError: The reference has no answer, or a field has the wrong shape; the message names the field.
        InputTypeError: ``source`` is something else.

    Example:
        >>> Reference({"answer": "3", "tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]})
        Reference(answer='3', tool_calls=1)
    """

    __slots__ = ("_prepared",)

    def __init__(self, source: Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | bytes) -> None:
        data = _json(source)
        try:
            self._prepared = _core.PreparedReference(data)
        except ValueError as error:
            raise InputError(f"reference: {error}") from None

    @property
    def answer(self) -> str:
        """The gold answer."""
        return self._prepared.answer

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The teacher's calls, as dicts of ``name`` and ``arguments``."""
        calls: list[dict[str, Any]] = orjson.loads(self._prepared.tool_calls())
        return calls

    def __repr__(self) -> str:
        return f"Reference(answer={self.answer!r}, tool_calls={len(self.tool_calls)})"


def _json(source: Any) -> bytes:
    if isinstance(source, str):
        return source.encode("utf-8", "replace")
    if isinstance(source, bytes):
        return source
    if isinstance(source, Mapping) or (isinstance(source, Sequence) and not isinstance(source, bytearray | memoryview)):
        try:
            return orjson.dumps(source, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
        except (TypeError, ValueError) as error:
            raise InputError(f"reference: cannot be written as JSON: {error}") from None
    raise InputTypeError(f"reference: expected a dict, a list of messages, or JSON, got {type(source).__name__}")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} is no JSON type")
