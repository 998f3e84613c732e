"""What goes back to a client."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

__all__ = ["Reply", "busy", "failure", "json_reply"]

_JSON = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: status, body, headers, and the fault's kind where a guest failed."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = (_JSON,)
    fault: str | None = None


def json_reply(value: Any, *, fault: str | None = None) -> Reply:
    """A response with status 200.

    Raises:
        ValueError: The value cannot be written as JSON.
    """
    return Reply(200, _dump(value), fault=fault)


def failure(status: int, message: str, *, field: str = "", headers: tuple[tuple[bytes, bytes], ...] = ()) -> Reply:
    """A response that says why there is no answer."""
    error = {"status": HTTPStatus(status).phrase, "message": message}
    if field:
        error["field"] = field
    return Reply(status, orjson.dumps({"error": error}), (_JSON, *headers))


def busy(message: str) -> Reply:
    """A response that asks the client to come again."""
    return failure(503, message, headers=((b"retry-after", b"1"),))


def _dump(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # numbers beyond 64 bits, lone surrogates, deep nesting
        pass
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
