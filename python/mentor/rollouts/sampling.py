"""Which token comes next: greedy, or drawn with random numbers of the rollout's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mentor.errors import MentorError

__all__ = ["Diverged", "Picker", "Sampling"]


class Diverged(MentorError):
    """The policy's probabilities are no longer finite."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to draw.

    Attributes:
        temperature: 0 decodes greedily.
        top_k: Only so many of the likeliest tokens; 0 for all.
        top_p: Only the likeliest tokens that have this probability together; 1 for all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


class Picker:
    """Picks the next tokens of a batch.

    Each rollout has random numbers of its own, drawn from ``key`` and its index, one for each place in its completion.
    So a rollout does not depend on what is generated beside it: another batch size, another number of processes or a
    resumed run draw the same tokens.

    Args:
        sampling: How to draw.
        key: Names the batch, such as (seed, step).
        first: Index of the batch's first rollout among those of all processes.
        length: Most tokens of a completion.
    """

    def __init__(self, sampling: Sampling, *, key: Sequence[int], first: int = 0, length: int) -> None:
        self._sampling, self._key, self._first, self._length = sampling, tuple(key), first, length
        self._numbers: dict[int, Any] = {}
        self._warpers = _warpers(sampling)

    def __call__(self, logits: torch.Tensor, rollouts: Sequence[int], places: Sequence[int]) -> torch.Tensor:
        """Pick.

        Args:
            logits: Of the next token, shape (B, V).
            rollouts: Index of each row's rollout.
            places: The token's place in the rollout's completion.

        Returns:
            Token ids, shape (B,).

        Raises:
            Diverged: A row's logits are not finite.
        """
        if self._sampling.temperature <= 0:
            return logits.argmax(dim=-1)
        logits = logits.float() / self._sampling.temperature
        for warper in self._warpers:
            logits = warper(None, logits)
        sums = torch.softmax(logits, dim=-1, dtype=torch.float64).cumsum(dim=-1)
        total = sums[:, -1:]
        if not torch.isfinite(total).all():
            raise Diverged("the policy diverged: its probabilities are no longer finite; lower learning_rate")
        drawn = [self._of(rollout)[place] for rollout, place in zip(rollouts, places, strict=True)]
        wanted = torch.tensor(drawn, dtype=torch.float64, device=logits.device).unsqueeze(1) * total
        return torch.searchsorted(sums, wanted, right=True).squeeze(1).clamp_(max=logits.size(-1) - 1)

    def _of(self, rollout: int) -> Any:
        found = self._numbers.get(rollout)
        if found is None:
            seed = np.random.SeedSequence([*self._key, self._first + rollout])
            found = self._numbers[rollout] = np.random.Generator(np.random.Philox(seed)).random(self._length).tolist()
        return found


def _warpers(sampling: Sampling) -> list[Any]:
    from transformers import TopKLogitsWarper, TopPLogitsWarper

    found: list[Any] = []
    if sampling.top_k > 0:
        found.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        found.append(TopPLogitsWarper(sampling.top_p))
    return found
