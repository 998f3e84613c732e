"""Between messages and tokens: prompts, the assistant's turns, tool results.

Groups of rollouts share their prompts, and a trained policy writes the same turns again and again, so everything is
remembered by its tokens.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError
from trl.chat_template_utils import parse_response

from mentor.errors import InputError, ModelError
from mentor.score import score_batch
from mentor.tools import ToolSet

__all__ = ["Chat", "Request", "Turn"]

_REMEMBERED = 4_096
"""Of each kind: with turns of thousands of tokens some hundred megabytes."""
_HEADER = 32
"""Tokens before a turn that the parser sees: enough for the turn's header, which it looks for."""
_FLAWS = frozenset({"malformed_call", "unclosed_call", "bad_name", "bad_arguments"})


@dataclass(frozen=True)
class Request:
    """One thing in a turn that wants an answer.

    Attributes:
        name: The tool's name; ``error`` where the call cannot be read.
        arguments: The arguments as the model gave them.
        flaw: Why the call cannot be read.
    """

    name: str
    arguments: Any = None
    flaw: str | None = None


@dataclass(frozen=True)
class Turn:
    """One assistant turn: the message, and the calls that it asks for."""

    message: dict[str, Any]
    requests: tuple[Request, ...]


class Chat:
    """A tokenizer's chat template, with tools.

    Args:
        tokenizer: A tokenizer whose template knows tools and whose responses can be parsed.
        tools: All tools; a row shows those that it names.
        template_options: Further arguments of the template, such as ``enable_thinking``.
    """

    def __init__(self, tokenizer: Any, tools: ToolSet, *, template_options: Mapping[str, Any] | None = None) -> None:
        self.tokenizer, self.tools = tokenizer, tools
        self._options = dict(template_options or {})
        self._schemas = dict(zip(tools.names, tools.schemas, strict=True))
        self._shown: dict[tuple[str, ...], list[dict[str, Any]] | None] = {}
        self._prompts: dict[str, array[int]] = {}
        self._turns: dict[tuple[tuple[str, ...], bytes], Turn] = {}
        self._suffixes: dict[tuple[tuple[str, str], ...], list[int]] = {}
        self._starts: dict[str, list[int]] = {}
        self._flaws: dict[str, tuple[Request, ...]] = {}

    def prompt(self, row: Mapping[str, Any]) -> list[int]:
        """Tokens of a row's messages with the tools that it offers, up to where the assistant begins."""
        names = tuple(row["tools"])
        key = json.dumps([names, row["messages"]], default=str)
        found = self._prompts.get(key)
        if found is None:
            ids = self.render(row["messages"], tools=self._show(names), add_generation_prompt=True)
            found = _remember(self._prompts, key, array("i", ids))
        return found.tolist()

    def turn(self, row: Mapping[str, Any], prefix: Sequence[int], answer: Sequence[int]) -> Turn:
        """Read what the model wrote after ``prefix``."""
        names = tuple(row["tools"])
        key = (names, array("i", answer).tobytes())
        found = self._turns.get(key)
        if found is None:
            message = self._parse(prefix, answer, self._show(names))
            calls = message.get("tool_calls") or []
            requests = tuple(map(_request, calls)) if calls else self._in_text(str(message.get("content") or ""))
            found = _remember(self._turns, key, Turn(message, requests))
        return found

    def results(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Tokens between the end of an assistant turn and the start of the next: tool results, then the header."""
        key = tuple((message["name"], message["content"]) for message in messages)
        found = self._suffixes.get(key)
        if found is None:
            found = _remember(self._suffixes, key, self._render(messages))
        return found

    def render(self, messages: Sequence[Mapping[str, Any]], **options: Any) -> list[int]:
        """Tokens of messages, as the template writes them.

        Args:
            messages: The messages.
            **options: Of ``apply_chat_template``, such as ``tools`` and ``add_generation_prompt``.

        Raises:
            ModelError: The template refuses them, as some do system messages.
        """
        try:
            found: list[int] = self.tokenizer.apply_chat_template(
                list(messages), tokenize=True, return_dict=False, **options, **self._options
            )
        except (TemplateError, TypeError) as error:  # the latter where a content is no text
            raise ModelError(f"the chat template refuses the messages: {' '.join(str(error).split())}") from None
        return found

    def _parse(self, prefix: Sequence[int], answer: Sequence[int], shown: Any) -> dict[str, Any]:
        try:
            found: dict[str, Any] = parse_response(
                self.tokenizer, list(answer), prefix=list(prefix[-_HEADER:]), tools=shown
            )
        except RecursionError:  # brackets in brackets, deeper than Python reads
            found = {"role": "assistant", "content": self.tokenizer.decode(list(answer), skip_special_tokens=True)}
        return found

    def _show(self, names: tuple[str, ...]) -> list[dict[str, Any]] | None:
        if names not in self._shown:
            unknown = next((name for name in names if name not in self._schemas), None)
            if unknown is not None:
                raise InputError(f"a row offers the tool {unknown!r}; the tools are {', '.join(self._schemas)}")
            self._shown[names] = [self._schemas[name] for name in names] or None
        return self._shown[names]

    def _in_text(self, text: str) -> tuple[Request, ...]:
        """Calls that the template's parser left in the text, and the flaws of those that cannot be read."""
        found = self._flaws.get(text)
        if found is None:
            score = score_batch([[{"role": "assistant", "content": text}]], [_NO_REFERENCE], judge="native")[0]
            asked = [(call.span or (0, 0), Request(call.name, dict(call.arguments))) for call in score.calls]
            asked += [
                (flaw.span or (0, 0), Request("error", flaw=flaw.message))
                for flaw in score.defects
                if flaw.kind in _FLAWS
            ]
            found = tuple(request for _, request in sorted(asked, key=lambda pair: pair[0]))
            _remember(self._flaws, text, found)
        return found

    def _render(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Render results behind a conversation whose end is known, and take what comes after it."""
        name = messages[0]["name"]
        call = {"type": "function", "function": {"name": name, "arguments": {}}}
        before: list[Mapping[str, Any]] = [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
        ]
        start = self._starts.get(name)
        if start is None:
            start = _remember(self._starts, name, self.render(before))
        whole = self.render([*before, *messages], add_generation_prompt=True)
        ends = [at for at, token in enumerate(start) if token == self.tokenizer.eos_token_id]
        cut = ends[-1] + 1 if ends else len(start)
        if whole[:cut] != start[:cut]:
            raise ModelError("the chat template is not prefix-preserving: a tool result changes what stands before it")
        return list(whole[cut:])


_NO_REFERENCE = {"answer": "0", "tool_calls": []}


def _request(call: Mapping[str, Any]) -> Request:
    function = call.get("function")
    if call.get("type", "function") != "function" or not isinstance(function, Mapping):
        return Request("error", flaw=f"calls of the type {call.get('type')!r} are not known")
    name = str(function.get("name")).encode("utf-8", "replace").decode()  # a lone surrogate is no text
    return Request(name, function.get("arguments"))


def _remember(memory: dict[Any, Any], key: Any, value: Any) -> Any:
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[key] = value
    return value
