"""What a teacher is: asked with a conversation, it replies with text and tool calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from mentor.teach.assignments import Assignment
from mentor.teach.settings import TeachSettings
from mentor.tools import ToolSet

__all__ = ["Player", "Reply", "ReplyError", "Request", "Teacher", "WrittenCall"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One turn of a sample: what the teacher is asked.

    Attributes:
        assignment: The task.
        sample: Number of the sample, from 0.
        turn: Number of the turn, from 0.
        messages: The conversation in OpenAI's format.
        tools: Schemas of the tools that the task offers.
        max_tokens: Tokens that the reply may have.
    """

    assignment: Assignment
    sample: int
    turn: int
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    max_tokens: int


@dataclass(frozen=True, kw_only=True)
class WrittenCall:
    """A tool call as the teacher wrote it; ``arguments`` is text that may be no JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back.

    Attributes:
        content: The text.
        tool_calls: The calls, in order.
        finish: Why it ended, in OpenAI's words: ``stop``, ``tool_calls``, ``length``, ``content_filter``.
        tokens_in: Tokens of the prompt; ``None`` where the endpoint does not say.
        tokens_out: Tokens of the reply, likewise.
        estimated: Whether these numbers were put there for what the endpoint did not say, rather too high than too low.
        reasoning: What the teacher thought, where the endpoint shows it; kept in the journal alone.
        rollout: The messages of the whole sample, of a teacher that plays it by itself.
    """

    content: str = ""
    tool_calls: tuple[WrittenCall, ...] = ()
    finish: str = "stop"
    tokens_in: int | None = None
    tokens_out: int | None = None
    estimated: bool = False
    reasoning: str = ""
    rollout: tuple[dict[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As the journal keeps it."""
        calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in self.tool_calls]
        row: dict[str, Any] = {"content": self.content, "tool_calls": calls, "finish": self.finish}
        row |= {"tokens_in": self.tokens_in, "tokens_out": self.tokens_out, "estimated": self.estimated}
        row |= {"reasoning": self.reasoning} if self.reasoning else {}
        return row | ({"rollout": list(self.rollout)} if self.rollout else {})

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Reply:
        """What `to_dict` wrote."""
        calls = tuple(WrittenCall(**call) for call in row["tool_calls"])
        return cls(**{**row, "tool_calls": calls, "rollout": tuple(row.get("rollout", ()))})


class ReplyError(Exception):
    """One request failed for good; its sample fails, the others go on. ``reason`` is one of few, for counting."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason, self.message = reason, message


class Teacher(Protocol):
    """Replies to one turn at a time.

    Attributes:
        name: The model, as references name it.
        paid: Whether a reply costs something: then it goes to the journal before it is used.
    """

    name: str
    paid: bool

    def settings(self) -> dict[str, Any]:
        """What decides its replies; a journal is of one such setting."""

    def body(self, request: Request) -> dict[str, Any]:
        """All that is sent, as JSON; two requests with the same body are the same request."""

    async def reply(self, request: Request) -> Reply:
        """Ask.

        Raises:
            ReplyError: This request failed, after its retries.
            ModelError: No request can succeed, for example because the key is refused.
        """

    async def close(self) -> None:
        """Free what it holds."""


@runtime_checkable
class Player(Protocol):
    """A teacher that plays whole samples, many at once, with the tools at hand: a model in this process.

    Attributes:
        name: The model, as references name it.
        paid: Whether a sample costs something.
    """

    name: str
    paid: bool

    def settings(self) -> dict[str, Any]:
        """What decides its samples."""

    def body(self, request: Request) -> dict[str, Any]:
        """What names a sample."""

    def play(self, requests: Sequence[Request], *, first: int, tools: ToolSet, settings: TeachSettings) -> list[Reply]:
        """Play one sample of each of some tasks, ``first`` being the first one's place among all tasks.

        Raises:
            InputError: A task cannot be played; the message names it.
            ModelError: The model cannot be used.
        """

    async def close(self) -> None:
        """Free what it holds."""
