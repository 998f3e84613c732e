"""What scoring gives back: plain, frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Call", "Defect", "Match", "Score", "Turn"]

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Call:
    """A well-formed tool call of the student.

    Attributes:
        name: The tool's name; not necessarily one that was offered.
        arguments: The arguments by name.
        span: Half-open range of UTF-8 byte offsets: into the rollout for text, into the message's ``content`` for calls
            that a message wrote as text, ``None`` for structured calls.
        turn: Index into ``Score.turns``.
    """

    name: str
    arguments: Mapping[str, Any]
    span: Span | None
    turn: int


@dataclass(frozen=True, slots=True)
class Match:
    """A student call matched one-to-one with a reference call.

    Attributes:
        call: Index into ``Score.calls``.
        reference: Index into the reference's ``tool_calls``.
        exact: Whether the arguments are the same, not only the name.
    """

    call: int
    reference: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Defect:
    """A flaw in the model's text.

    Attributes:
        kind: Its name, for example ``malformed_call``; the list is in the documentation of the rewards.
        message: The same for people.
        span: Where, as in ``Call.span``.
    """

    kind: str
    message: str
    span: Span | None


@dataclass(frozen=True, slots=True)
class Turn:
    """One assistant message plus the results it caused.

    Attributes:
        span: Where the assistant's text stands in a text rollout; all of the ``content`` for messages.
        message: Index of the message in a message list, ``None`` for text.
        results: How many tool results followed.
    """

    span: Span
    message: int | None
    results: int


@dataclass(frozen=True, slots=True)
class Score:
    """Everything that scoring found out about one rollout.

    Attributes:
        reward: The number for the trainer.
        components: What the reward is made of, by name.
        answer: The final answer, ``None`` where there is none.
        correct: Whether the answer is judged equal to the reference's.
        verdict: ``equal``, ``different``, ``undecided``, or ``None`` where there was nothing to judge.
        calls: The well-formed tool calls in order.
        matches: Which call stands for which reference call.
        defects: What is wrong with the rollout.
        turns: The assistant's turns.
        answer_span: Where the answer stands, as in ``Call.span``.
    """

    reward: float
    components: Mapping[str, float]
    answer: str | None
    correct: bool
    verdict: str | None
    calls: tuple[Call, ...] = ()
    matches: tuple[Match, ...] = ()
    defects: tuple[Defect, ...] = ()
    turns: tuple[Turn, ...] = ()
    answer_span: Span | None = field(default=None)
