"""Rollouts of a model that is at hand, outside the trainer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from mentor.rollouts.chat import Chat
from mentor.rollouts.decode import Decoder, can_decode
from mentor.rollouts.loop import Clock, Generate, play
from mentor.rollouts.rollout import Budget, Rollout
from mentor.rollouts.sampling import Picker, Sampling
from mentor.tools import ToolSet

__all__ = ["ends_of", "run_rollouts"]


def run_rollouts(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Mapping[str, Any]],
    *,
    tools: ToolSet,
    budget: Budget,
    temperature: float = 0.0,
    seed: int = 0,
    first: int = 0,
    on_batch: Callable[[int], None] | None = None,
    chat: Chat | None = None,
    clock: Clock | None = None,
) -> list[Rollout]:
    """Roll a policy out on tasks.

    Args:
        model: The policy, a causal language model of transformers.
        tokenizer: Its tokenizer, with a chat template that knows tools and a way to parse responses.
        rows: Tasks with ``messages``, ``tools`` (the names it offers) and optionally ``setup`` (calls that make the
            state it begins with) and ``id``.
        tools: All tools.
        budget: Limits.
        temperature: 0 decodes greedily, else samples.
        seed: Seed of the sampling; torch's own generators are left alone. Where :class:`Decoder` knows the model, a
            row's rollout does not depend on the rows beside it.
        first: Index of the first row among those of all processes.
        on_batch: Called with the number of rollouts finished, after each batch.
        chat: The template with the tools, where it is used again; else made from ``tokenizer`` and ``tools``.
        clock: Gets the times.

    Returns:
        One rollout per row, in order.

    Raises:
        InputError: A row offers a tool that there is not, or its setup fails.
        ModelError: The chat template cannot be used.
    """
    chat = chat or Chat(tokenizer, tools)
    ends = ends_of(model, tokenizer)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    finished: list[Rollout] = []
    training = model.training
    model.eval()
    try:
        for low in range(0, len(rows), budget.batch):
            picker = Picker(Sampling(temperature=temperature), key=(seed,), first=first + low, length=budget.max_tokens)
            generate: Generate = (
                Decoder(model, ends=ends, picker=picker)
                if can_decode(model)
                else _Plain(model, tokenizer, ends, temperature, seed + first + low)
            )
            part = rows[low : low + budget.batch]
            finished += play(part, chat=chat, generate=generate, budget=budget, ends=ends, context=context, clock=clock)
            if on_batch is not None:
                on_batch(len(finished))
    finally:
        model.train(training)
    return finished


def ends_of(model: Any, tokenizer: Any) -> frozenset[int]:
    """Tokens that end a turn: the model's and the tokenizer's."""
    declared = model.generation_config.eos_token_id
    ends = set(declared) if isinstance(declared, list) else {declared}
    return frozenset(token for token in {*ends, tokenizer.eos_token_id} if token is not None)


class _Plain:
    """``model.generate``, for models that :class:`Decoder` does not know."""

    def __init__(self, model: Any, tokenizer: Any, ends: frozenset[int], temperature: float, seed: int) -> None:
        self._model, self._pad, self._ends, self._seed = model, tokenizer.pad_token_id, ends, seed
        self._settings = copy.deepcopy(model.generation_config)
        self._settings.update(
            max_length=None,
            do_sample=temperature > 0,
            temperature=temperature if temperature > 0 else 1.0,
            top_k=0 if temperature > 0 else 50,
            top_p=1.0,
            pad_token_id=self._pad,
            eos_token_id=sorted(ends),
        )

    @torch.no_grad()
    def __call__(
        self, prefixes: Sequence[list[int]], rollouts: Sequence[int], rooms: Sequence[int]
    ) -> tuple[list[list[int]], None]:
        device = next(self._model.parameters()).device
        width = max(map(len, prefixes))
        ids = torch.full((len(prefixes), width), self._pad, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for at, prefix in enumerate(prefixes):
            ids[at, width - len(prefix) :] = torch.tensor(prefix)
            mask[at, width - len(prefix) :] = 1
        self._settings.max_new_tokens = max(rooms)
        self._seed += 1
        with torch.random.fork_rng():
            torch.manual_seed(self._seed)
            out = self._model.generate(
                input_ids=ids.to(device), attention_mask=mask.to(device), generation_config=self._settings
            )
        answers = []
        for row, room in zip(out[:, width:].tolist(), rooms, strict=True):
            stop = next((at for at, token in enumerate(row) if token in self._ends), len(row) - 1)
            answers.append(row[: min(stop + 1, room)])
        return answers, None
