"""What a rollout may use, and what comes out of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Budget", "Rollout"]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits of one rollout.

    Attributes:
        max_tokens: Tokens of the whole completion, tool results included.
        max_turns: Rounds of tool calls.
        max_tool_calls: Calls that are executed; further ones are answered with a message that says so. ``None`` for no
            limit but ``max_turns``.
        batch: Rollouts generated together by :func:`mentor.rollouts.run_rollouts`.
    """

    max_tokens: int = 256
    max_turns: int = 8
    max_tool_calls: int | None = None
    batch: int = 256


@dataclass
class Rollout:
    """One finished rollout.

    Attributes:
        messages: The completion: assistant and tool messages.
        truncated: Whether the budget ended it rather than the model.
        tokens: Length of the completion in tokens, tool results included.
        prompt_ids: Tokens of the prompt.
        completion_ids: Tokens of the completion.
        mask: 1 where the model wrote the token, 0 where a tool result stands; as long as ``completion_ids``.
        logprobs: Log-probabilities of the sampled tokens where the generator gives them, 0 for tool results.
        calls: Tool calls that it made, malformed ones included.
        failures: How many of them were answered with an error.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    truncated: bool = False
    prompt_ids: list[int] = field(default_factory=list)
    completion_ids: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    logprobs: list[float] | None = None
    calls: int = 0
    failures: int = 0

    @property
    def tokens(self) -> int:
        """Length of the completion in tokens."""
        return len(self.completion_ids)
