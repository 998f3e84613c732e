"""What scoring gives back: plain, frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mentor.explain import Explanation

__all__ = ["Call", "Defect", "Match", "ReferenceCall", "Score", "Turn"]

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
        result: The text that the tool answered; ``None`` where the trajectory holds no result of the call.
        result_span: Where that stands in a text rollout, white space around it included; ``None`` for messages.
    """

    name: str
    arguments: Mapping[str, Any]
    span: Span | None
    turn: int
    result: str | None = None
    result_span: Span | None = None


@dataclass(frozen=True, slots=True)
class ReferenceCall:
    """A tool call of the teacher.

    Attributes:
        name: The tool's name.
        arguments: The arguments by name.
        result: The text that the tool answered, where the reference says so.
    """

    name: str
    arguments: Mapping[str, Any]
    result: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A student call matched one-to-one with a reference call.

    Attributes:
        call: Index into ``Score.calls``.
        reference: Index into the reference's ``tool_calls``.
        exact: Whether the arguments are the same, not only the name.
        similarity: How alike the calls are, in [0, 1]; what the match is worth to ``mentor-dense``.
        reasons: Why it is worth no more: arguments that differ, a result that was not yet there.
    """

    call: int
    reference: int
    exact: bool
    similarity: float = 1.0
    reasons: tuple[str, ...] = ()


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
        credit: The turn's share of the reward; the shares of all turns add up to it.
    """

    span: Span
    message: int | None
    results: int
    credit: float = 0.0


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
        reward_name: The name of the reward.
        terms: What the reward adds up from: (what, how much).
        reference_answer: The gold answer.
        reference_calls: The teacher's calls in order.
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
    answer_span: Span | None = None
    reward_name: str = ""
    terms: tuple[tuple[str, float], ...] = ()
    reference_answer: str = ""
    reference_calls: tuple[ReferenceCall, ...] = ()

    def explain(self) -> Explanation:
        r"""The reward taken apart: the student's calls beside the teacher's, what matched, what did not, and why.

        Returns:
            An object that prints as plain text with ``print``, and in colours with ``rich``.

        Example:
            >>> import mentor
            >>> refs = [{"answer": "3", "tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}]
            >>> score = mentor.score_batch(["It is \\boxed{3}.<|im_end|>"], refs, reward="mentor")[0]
            >>> print(score.explain())
            reward 0.8000 (mentor) = 0.7000 outcome + 0.1000 validity
            answer 3, reference 3: equal
            <BLANKLINE>
              student  reference        worth
              -        1 add(a=1, b=2)      0
                  no call of the student's stands for it
            <BLANKLINE>
            turns
              1 (bytes 0 to 16): +0.8000
        """
        from mentor.explain import Explanation

        return Explanation(self)
