"""Generation for the tool loop: keys and values stay from turn to turn, equal prompts are read once.

``model.generate`` reads the whole conversation again in each turn, pads the short ones to the longest, and reads a
group's prompt once per rollout. Here every row keeps its own length, so there is no padding to read past, and a turn
reads only what the tools answered. Greedy decoding gives what ``model.generate`` gives, token for token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mentor.rollouts.attention import grouped_attention, masks_for
from mentor.rollouts.lean import LeanForward
from mentor.rollouts.sampling import Picker

__all__ = ["Decoder", "can_decode"]

_KNOWN = frozenset({"qwen2", "qwen3", "llama", "mistral"})
_GROWTH = 64
_NARROW = 0.5
"""Share of a turn's rows still writing below which the others are put aside."""


def can_decode(model: Any) -> bool:
    """Whether :class:`Decoder` knows this model's way: plain attention over all that came before."""
    config = getattr(model, "config", None)
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return (
        getattr(config, "model_type", None) in _KNOWN
        and kinds == {"full_attention"}
        and not getattr(config, "sliding_window", None)
        and getattr(config, "_attn_implementation", "eager") in ("sdpa", "eager")
    )


class Rows:
    """Keys and values of a batch, one row per rollout, each filled from the left to its own length.

    It takes the place of transformers' cache: the model calls ``update`` in each layer.
    """

    def __init__(self, keys: list[torch.Tensor], values: list[torch.Tensor]) -> None:
        self.keys, self.values = keys, values
        self._at = (torch.empty(0), torch.empty(0))
        self._width = 0

    def aim(self, places: torch.Tensor, width: int) -> None:
        """Say where the next tokens go, shape (B, F), and how far attention looks."""
        rows = torch.arange(places.size(0), device=places.device).unsqueeze(1)
        self._at, self._width = (rows, places), width

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store new keys and values, shape (B, H, F, D); returns all of them so far."""
        if layer == len(self.keys):
            self.keys.append(key.new_zeros(key.size(0), key.size(1), 0, key.size(3)))
            self.values.append(value.new_zeros(key.size(0), key.size(1), 0, key.size(3)))
        if self.keys[layer].size(2) < self._width:
            self._grow(layer)
        rows, places = self._at
        self.keys[layer][rows, :, places] = key.transpose(1, 2)
        self.values[layer][rows, :, places] = value.transpose(1, 2)
        return self.keys[layer][:, :, : self._width], self.values[layer][:, :, : self._width]

    def _grow(self, layer: int) -> None:
        for store in (self.keys, self.values):
            old = store[layer]
            new = old.new_zeros(old.size(0), old.size(1), self._width + _GROWTH, old.size(3))
            new[:, :, : old.size(2)] = old
            store[layer] = new

    def take(self, rows: torch.Tensor) -> Rows:
        """A copy of some rows."""
        return Rows([key.index_select(0, rows) for key in self.keys], [v.index_select(0, rows) for v in self.values])

    def put(self, rows: torch.Tensor, other: Rows) -> None:
        """Write rows back that ``take`` gave."""
        for mine, theirs in ((self.keys, other.keys), (self.values, other.values)):
            for layer, store in enumerate(theirs):
                if mine[layer].size(2) < store.size(2):
                    old = mine[layer]
                    mine[layer] = old.new_zeros(old.size(0), old.size(1), store.size(2), old.size(3))
                    mine[layer][:, :, : old.size(2)] = old
                mine[layer][rows, :, : store.size(2)] = store


class Decoder:
    """Writes the turns of one batch of rollouts; a :class:`mentor.rollouts.loop.Generate`.

    Args:
        model: A causal language model for which :func:`can_decode` holds; with LoRA, the wrapped one.
        ends: Tokens that end a turn.
        picker: Picks the tokens.
    """

    @torch.no_grad()
    def __init__(self, model: Any, *, ends: frozenset[int], picker: Picker) -> None:
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._decoder, self._head = base.get_decoder(), base.get_output_embeddings()
        self._device = self._head.weight.device
        self._ends, self._picker = ends, picker
        self._lean = LeanForward(self._decoder, length=_longest(base)) if LeanForward.knows(self._decoder) else None
        self._rows: Rows | None = None
        self._slots: dict[int, int] = {}
        self._lengths: list[int] = []
        self._starts: dict[int, int] = {}

    @torch.no_grad()
    def __call__(
        self, prefixes: Sequence[list[int]], rollouts: Sequence[int], rooms: Sequence[int]
    ) -> tuple[list[list[int]], None]:
        """Write one turn of some rollouts: all of them in the first turn, fewer later."""
        hidden = self._begin(prefixes, rollouts) if self._rows is None else self._go_on(prefixes, rollouts)
        return self._write(hidden, rollouts, rooms), None

    def _begin(self, prompts: Sequence[list[int]], rollouts: Sequence[int]) -> torch.Tensor:
        """Read the prompts, each different one once."""
        different: dict[tuple[int, ...], int] = {}
        which = [different.setdefault(tuple(prompt), len(different)) for prompt in prompts]
        lengths = [len(prompt) for prompt in different]
        width = max(lengths)
        ids = torch.zeros(len(different), width, dtype=torch.long)
        for at, prompt in enumerate(different):
            ids[at, : len(prompt)] = torch.tensor(prompt)
        rows = Rows([], [])
        places = torch.arange(width).expand(len(different), width)
        hidden = self._read(rows, ids, places, width, last=[length - 1 for length in lengths])
        index = torch.tensor(which, device=self._device)
        self._rows = rows.take(index)
        self._slots = {rollout: at for at, rollout in enumerate(rollouts)}
        self._lengths = [lengths[at] for at in which]
        self._starts = {rollout: length for rollout, length in zip(rollouts, self._lengths, strict=True)}
        return hidden[index]

    def _go_on(self, prefixes: Sequence[list[int]], rollouts: Sequence[int]) -> torch.Tensor:
        """Read what came since the last turn, and forget the rollouts that have ended."""
        assert self._rows is not None
        slots = [self._slots[rollout] for rollout in rollouts]
        if slots != list(range(len(self._lengths))):
            self._rows = self._rows.take(torch.tensor(slots, device=self._device))
            self._lengths = [self._lengths[slot] for slot in slots]
            self._slots = {rollout: at for at, rollout in enumerate(rollouts)}
        new = [prefix[length:] for prefix, length in zip(prefixes, self._lengths, strict=True)]
        width = max(map(len, new))
        ids = torch.zeros(len(new), width, dtype=torch.long)
        for at, tokens in enumerate(new):
            ids[at, : len(tokens)] = torch.tensor(tokens)
        places = torch.tensor(self._lengths).unsqueeze(1) + torch.arange(width)
        reach = max(self._lengths) + width
        hidden = self._read(self._rows, ids, places, reach, last=[len(tokens) - 1 for tokens in new])
        self._lengths = [len(prefix) for prefix in prefixes]
        return hidden

    def _read(
        self, rows: Rows, ids: torch.Tensor, places: torch.Tensor, reach: int, *, last: list[int]
    ) -> torch.Tensor:
        """Run the model over several new tokens of each row; returns the hidden states of each row's last one."""
        places = places.to(self._device)
        mask = torch.arange(reach, device=self._device) <= places.unsqueeze(-1)
        hidden = self._forward(rows, ids.to(self._device), places, mask, reach)
        return hidden[torch.arange(len(last), device=self._device), torch.tensor(last, device=self._device)]

    def _forward(
        self, rows: Rows, ids: torch.Tensor, places: torch.Tensor, mask: torch.Tensor, reach: int
    ) -> torch.Tensor:
        rows.aim(places, reach)
        if self._lean is not None:
            return self._lean(rows, ids, places, mask)
        with grouped_attention(self._decoder):
            found: torch.Tensor = self._decoder(
                input_ids=ids,
                attention_mask=masks_for(self._decoder, mask.unsqueeze(1)),
                position_ids=places,
                past_key_values=rows,
                use_cache=True,
            ).last_hidden_state
        return found

    def _write(self, hidden: torch.Tensor, rollouts: Sequence[int], rooms: Sequence[int]) -> list[list[int]]:
        """Write until every row has ended its turn.

        Rows that have ended are put aside, with their keys and values, once they are the greater part.
        """
        assert self._rows is not None
        written: list[list[int]] = [[] for _ in rollouts]
        firsts = [length - self._starts[rollout] for length, rollout in zip(self._lengths, rollouts, strict=True)]
        lengths = torch.tensor(self._lengths, device=self._device)
        rows, slots, aside = self._rows, list(range(len(rollouts))), []
        ended: set[int] = set()
        step = 0
        while True:
            places = [firsts[slot] + min(step, rooms[slot] - 1) for slot in slots]
            tokens = self._picker(self._head(hidden), [rollouts[slot] for slot in slots], places)
            going = []
            for at, (slot, token) in enumerate(zip(slots, tokens.tolist(), strict=True)):
                if slot in ended:
                    continue
                written[slot].append(token)
                if token in self._ends or len(written[slot]) >= rooms[slot]:
                    ended.add(slot)
                else:
                    going.append(at)
            if not going:
                break
            if len(going) <= _NARROW * len(slots):
                index = torch.tensor(going, device=self._device)
                aside.append((rows, index))
                rows, slots = rows.take(index), [slots[at] for at in going]
                tokens, lengths = tokens[index], lengths[index]
            reach = max(self._lengths[slot] for slot in slots) + step + 1
            hidden = self._token(rows, tokens, lengths + step, reach)
            step += 1
        while aside:
            whole, index = aside.pop()
            whole.put(index, rows)
            rows = whole
        # the last token of a turn has not been read yet
        self._lengths = [length + len(line) - 1 for length, line in zip(self._lengths, written, strict=True)]
        return written

    def _token(self, rows: Rows, tokens: torch.Tensor, places: torch.Tensor, reach: int) -> torch.Tensor:
        places = places.unsqueeze(1)
        mask = torch.arange(reach, device=self._device) <= places.unsqueeze(-1)
        return self._forward(rows, tokens.unsqueeze(1), places, mask, reach)[:, 0]


def _longest(model: Any) -> int:
    return int(model.config.max_position_embeddings)
