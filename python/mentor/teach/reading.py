"""Chat completions as servers really send them: read strictly where it matters, leniently where it does not."""

from __future__ import annotations

import json
from typing import Any

from mentor.teach.teacher import Reply, WrittenCall

__all__ = ["Collected", "Unusable", "read_completion"]


class Unusable(Exception):
    """A reply that was spoiled on its way or is none; asking again may help."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def read_completion(body: bytes, content_type: str) -> Reply:
    """Read a chat completion that came in one piece.

    Raises:
        Unusable: It is no JSON, or no chat completion.

    Example:
        >>> body = b'{"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}'
        >>> read_completion(body, "application/json").content
        '4'
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        start = " ".join(body[:80].decode("utf-8", "replace").split())
        if "json" not in content_type.lower():
            raise Unusable("no chat completion", f"{content_type or 'no content type'} came: {start!r}") from None
        raise Unusable("broken JSON", f"the reply is no JSON: {error}; it starts with {start!r}") from None
    choice = _choice(found)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Unusable("no chat completion", "the reply has no message")
    calls = message.get("tool_calls")
    written = [_call(call, at) for at, call in enumerate(calls if isinstance(calls, list) else [])]
    return _reply(
        _text(message.get("content")),
        written,
        choice.get("finish_reason"),
        found.get("usage"),
        _text(message.get("reasoning_content") or message.get("reasoning")),
    )


class Collected:
    """A streamed reply, piece by piece.

    Args:
        most: Characters that it may have; a server that never stops is stopped.
    """

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._finish: Any = None
        self._usage: Any = None

    def add(self, chunk: Any) -> None:
        """Take a piece; those that say nothing are common."""
        row = chunk.to_dict(warnings=False) if hasattr(chunk, "to_dict") else None
        if not isinstance(row, dict):
            raise Unusable("broken JSON", "a piece of the stream is no object")
        self._usage = row.get("usage") or self._usage
        choices = row.get("choices")
        if not (isinstance(choices, list) and choices and isinstance(choices[0], dict)):
            return
        self._finish = choices[0].get("finish_reason") or self._finish
        delta = choices[0].get("delta")
        if not isinstance(delta, dict):
            return
        self._put(self._content, delta.get("content"))
        self._put(self._reasoning, delta.get("reasoning_content") or delta.get("reasoning"))
        calls = delta.get("tool_calls")
        for at, call in enumerate(calls if isinstance(calls, list) else []):
            if isinstance(call, dict):
                self._add_call(call, at)

    def reply(self) -> Reply:
        """The whole.

        Raises:
            Unusable: The stream ended before the reply did.
        """
        if self._finish is None:
            raise Unusable("cut off", "the stream ended before the reply did")
        calls = [
            WrittenCall(id=call["id"] or f"call_{at}", name=call["name"], arguments=call["arguments"])
            for at, (_, call) in enumerate(sorted(self._calls.items()))
        ]
        return _reply("".join(self._content), calls, self._finish, self._usage, "".join(self._reasoning))

    def _add_call(self, delta: dict[str, Any], at: int) -> None:
        index = delta.get("index")
        call = self._calls.setdefault(index if isinstance(index, int) else at, {"id": "", "name": "", "arguments": ""})
        function = delta.get("function")
        function = function if isinstance(function, dict) else {}
        call["id"] = call["id"] or _text(delta.get("id"))
        name = _text(function.get("name"))
        # Some servers repeat the whole name in each piece.
        call["name"] += "" if name == call["name"] else name
        pieces: list[str] = []
        self._put(pieces, function.get("arguments"))
        call["arguments"] += "".join(pieces)

    def _put(self, pieces: list[str], value: Any) -> None:
        text = _text(value)
        self._size += len(text)
        if self._size > self._most:
            raise Unusable("oversized", f"the reply has more than {self._most} characters")
        if text:
            pieces.append(text)


def _choice(found: Any) -> dict[str, Any]:
    choices = found.get("choices") if isinstance(found, dict) else None
    if not (isinstance(choices, list) and choices and isinstance(choices[0], dict)):
        error = found.get("error") if isinstance(found, dict) else None
        said = _text(error.get("message") if isinstance(error, dict) else error)
        if said:  # some gateways say 200 and mean an error
            raise Unusable("server error", " ".join(said.split())[:300])
        raise Unusable("no chat completion", "the reply has no choices")
    return choices[0]


def _call(value: Any, at: int) -> WrittenCall:
    call = value if isinstance(value, dict) else {}
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = function.get("arguments")
    # An object in place of its text is what some servers send.
    text = json.dumps(arguments) if isinstance(arguments, dict | list) else _text(arguments)
    return WrittenCall(id=_text(call.get("id")) or f"call_{at}", name=_text(function.get("name")), arguments=text)


def _reply(content: str, calls: list[WrittenCall], finish: Any, usage: Any, reasoning: str) -> Reply:
    if len({call.id for call in calls}) < len(calls):
        calls = [
            WrittenCall(id=f"call_{at}", name=call.name, arguments=call.arguments) for at, call in enumerate(calls)
        ]
    usage = usage if isinstance(usage, dict) else {}
    return Reply(
        content=content,
        tool_calls=tuple(calls),
        finish=finish if isinstance(finish, str) else "stop",
        tokens_in=_count(usage.get("prompt_tokens")),
        tokens_out=_count(usage.get("completion_tokens")),
        reasoning=reasoning,
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text(value: Any) -> str:
    """Text, also out of a list of parts; half surrogate pairs, which no file takes, become question marks."""
    if isinstance(value, list):
        value = "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
