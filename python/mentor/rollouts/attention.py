"""Attention over keys that several query heads share, without copying them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface

__all__ = ["grouped_attention", "masks_for"]

_NAME = "mentor_grouped"


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of (B, H, F, D): query heads that share keys stand below one another as further positions.

    transformers copies the keys for each query head where there is a mask, which on a CPU takes longer than all the
    rest of a step. Without a mask each position sees those before it.
    """
    batch, heads, length, size = query.shape
    shared = key.size(1)
    if attention_mask is None:
        attention_mask = torch.ones(length, length, dtype=torch.bool, device=query.device).tril().expand(1, 1, -1, -1)
    if length > 1:
        attention_mask = attention_mask.repeat(1, 1, heads // shared, 1)
    query = query.reshape(batch, shared, heads // shared * length, size)
    found = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask, scale=scaling)
    return found.reshape(batch, heads, length, size).transpose(1, 2), None


AttentionInterface.register(_NAME, _attend)


def masks_for(decoder: Any, mask: torch.Tensor | None) -> Any:
    """A mask as a decoder's forward takes it: by kind of layer in Qwen 2 and 3, plain in Llama and Mistral.

    Those drop what is by kind, without a word, and then each token sees all that there is.
    """
    return {"full_attention": mask} if decoder.config.model_type in ("qwen2", "qwen3") else mask


@contextmanager
def grouped_attention(decoder: Any) -> Iterator[None]:
    """Let a model's layers use it for the length of a block."""
    config = decoder.config
    usual, config._attn_implementation = config._attn_implementation, _NAME
    try:
        yield
    finally:
        config._attn_implementation = usual
