"""Log-probabilities of a step's completions, for the loss: prompts once per group, no padding to speak of.

TRL runs the model over every rollout's prompt and completion, padded to the longest. A group shares its prompt, and
most of a tiny task's tokens are prompt; so the prompts are run once, each different one, and the completions on top of
their keys and values, those of like length together. The gradients are the same.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Sequence
from typing import Any

import torch

from mentor.rollouts.attention import grouped_attention, masks_for

__all__ = ["add_shared_prompts", "shared_logps"]

_CHUNKS = 4
_WORTH = 0.85
"""Share of the padded tokens below which completions are run in chunks of like length."""


class _Recorded:
    """Keeps each layer's keys and values; what transformers calls a cache."""

    def __init__(self) -> None:
        self.layers: list[tuple[torch.Tensor, torch.Tensor]] = []

    def update(self, key: torch.Tensor, value: torch.Tensor, layer: int, *_: Any, **__: Any) -> Any:
        self.layers.append((key, value))
        return key, value


class _Behind:
    """Puts new keys and values behind those of the rows' prompts."""

    def __init__(self, prompts: _Recorded, which: torch.Tensor) -> None:
        self._prompts, self._which = prompts, which

    def update(self, key: torch.Tensor, value: torch.Tensor, layer: int, *_: Any, **__: Any) -> Any:
        before = [part.index_select(0, self._which) for part in self._prompts.layers[layer]]
        return torch.cat([before[0], key], dim=2), torch.cat([before[1], value], dim=2)


def add_shared_prompts(model: Any, temperature: float) -> None:
    """Let ``model(input_ids=, attention_mask=, prompt_width=)`` return log-probabilities and entropies, in place.

    It goes through ``forward`` because that is what distribution and mixed precision wrap.
    """
    usual = model.forward

    @functools.wraps(type(model).forward)
    def forward(self: Any, *args: Any, prompt_width: int | None = None, **kwargs: Any) -> Any:
        if prompt_width is None:
            return usual(*args, **kwargs)
        return shared_logps(self, kwargs["input_ids"], kwargs["attention_mask"], prompt_width, temperature)

    model.forward = types.MethodType(forward, model)


def shared_logps(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, width: int, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of completions, and the entropies where they were drawn.

    Args:
        model: A causal language model with plain attention, see :func:`mentor.rollouts.can_decode`.
        ids: Prompts, padded on the left, then completions, padded on the right; shape (B, P + C).
        mask: 1 for tokens, 0 for padding, shape (B, P + C).
        width: P.
        temperature: Logits are divided by it.

    Returns:
        Both of shape (B, C), 0 at padding; the entropies carry no gradient.
    """
    decoder, head, device = model.get_decoder(), model.get_output_embeddings(), ids.device
    which, firsts = _different(ids[:, :width])
    group = torch.tensor(which, device=device)
    prompt_mask = mask[firsts, :width]
    lengths = prompt_mask.sum(1)
    shift = torch.arange(width, device=device) + (width - lengths).unsqueeze(1)
    prompts = ids[firsts, :width].gather(1, shift.clamp(max=width - 1))
    recorded = _Recorded()
    hidden = _run(decoder, prompts, torch.arange(width, device=device).expand_as(prompts), None, recorded)
    last = hidden[torch.arange(len(firsts), device=device), lengths - 1]
    ends = mask[:, width:].sum(1)
    states, rows, columns = [], [], []
    for part in _chunks(ends.tolist()):
        at = torch.tensor(part, device=device)
        longest = int(ends[at].max())
        states_of_part = last[group[at]].unsqueeze(1)
        if longest > 1:
            own = group[at]
            places = lengths[own].unsqueeze(1) + torch.arange(longest - 1, device=device)
            seen = _seen(lengths[own], width, longest - 1)
            new = _run(decoder, ids[at, width : width + longest - 1], places, seen, _Behind(recorded, own))
            states_of_part = torch.cat([states_of_part, new], dim=1)
        valid = torch.arange(longest, device=device) < ends[at].unsqueeze(1)
        row, column = valid.nonzero(as_tuple=True)
        states.append(states_of_part[row, column])
        rows.append(at[row])
        columns.append(column)
    row, column = torch.cat(rows), torch.cat(columns)
    logits = head(torch.cat(states)).float() / temperature
    logs = torch.log_softmax(logits, dim=-1)
    chosen = logs.gather(1, ids[row, width + column].unsqueeze(1)).squeeze(1)
    with torch.no_grad():
        entropy = -(logs.exp() * logs).sum(-1)
    empty = chosen.new_zeros(ids.size(0), ids.size(1) - width)
    return empty.index_put((row, column), chosen), empty.index_put((row, column), entropy)


def _different(prompts: torch.Tensor) -> tuple[list[int], list[int]]:
    """For each row the number of its prompt, and for each prompt the first row that has it."""
    numbers: dict[bytes, int] = {}
    which, firsts = [], []
    for at, row in enumerate(prompts.cpu().numpy()):
        key = row.tobytes()
        if key not in numbers:
            numbers[key] = len(numbers)
            firsts.append(at)
        which.append(numbers[key])
    return which, firsts


def _run(decoder: Any, ids: torch.Tensor, places: torch.Tensor, mask: torch.Tensor | None, cache: Any) -> torch.Tensor:
    with grouped_attention(decoder):
        found: torch.Tensor = decoder(
            input_ids=ids,
            attention_mask=masks_for(decoder, mask),
            position_ids=places,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
    return found


def _seen(lengths: torch.Tensor, width: int, count: int) -> torch.Tensor:
    """What each completion token sees: its prompt without the padding, and the completion up to itself."""
    device = lengths.device
    before = torch.arange(width, device=device) < lengths.view(-1, 1, 1)
    behind = torch.ones(count, count, dtype=torch.bool, device=device).tril()
    rows = lengths.size(0)
    return torch.cat([before.expand(rows, count, width), behind.expand(rows, count, count)], dim=2).unsqueeze(1)


def _chunks(ends: Sequence[int]) -> list[list[int]]:
    """Rows of like length together, if that saves enough."""
    order = sorted(range(len(ends)), key=lambda at: ends[at])
    size = -(-len(order) // _CHUNKS)
    parts = [order[low : low + size] for low in range(0, len(order), size)]
    padded = sum(len(part) * ends[part[-1]] for part in parts)
    return parts if padded < _WORTH * len(order) * max(ends) else [order]
