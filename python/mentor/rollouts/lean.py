"""A small model's forward pass with fewer steps of Python: for CPUs, where those take longer than the arithmetic.

The same arithmetic as transformers' Llama, Qwen 2 and Qwen 3: weights that read the same input are joined, the angles
of the positions are looked up. What is not known here goes through the model itself.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional

__all__ = ["LeanForward", "Store"]

_KNOWN = frozenset({"qwen3", "qwen2", "llama"})


class Store(Protocol):
    """Where keys and values go."""

    def update(self, key: torch.Tensor, value: torch.Tensor, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Store new ones, shape (B, H, F, D); returns all so far."""
        ...


class LeanForward:
    """A decoder's weights, as they are at this moment, ready for fast forward passes without gradients.

    Args:
        decoder: A decoder for which ``LeanForward.knows`` holds.
        length: Most positions of a sequence.
    """

    def __init__(self, decoder: Any, *, length: int) -> None:
        config = decoder.config
        self._embed, self._norm = decoder.embed_tokens, decoder.norm
        self._size = decoder.layers[0].self_attn.head_dim
        self._heads = config.num_attention_heads
        self._shared = config.num_key_value_heads
        self._scale = decoder.layers[0].self_attn.scaling
        self._last = length - 1
        places = torch.arange(length).unsqueeze(0)
        cos, sin = decoder.rotary_emb(decoder.embed_tokens.weight, places)
        half = self._size // 2
        self._cos = cos[0].unsqueeze(1)
        self._sin = torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1).unsqueeze(1)
        self._layers = [_Layer(layer, self._heads, self._shared) for layer in decoder.layers]

    @staticmethod
    def knows(decoder: Any) -> bool:
        """Whether this pass gives what the decoder itself gives: known architecture, plain float32 weights on a CPU."""
        config = decoder.config
        weight = decoder.embed_tokens.weight
        rope = getattr(config, "rope_parameters", None) or {}
        linears = [
            module for name, module in decoder.named_modules() if name.endswith("_proj") and hasattr(module, "weight")
        ]
        return (
            config.model_type in _KNOWN
            and config.hidden_act == "silu"
            and not getattr(config, "mlp_bias", False)
            and weight.device.type == "cpu"
            and weight.dtype == torch.float32
            and rope.get("rope_type", "default") == "default"
            and len(linears) == 7 * config.num_hidden_layers
            and all(type(module) is nn.Linear for module in linears)
        )

    def __call__(self, store: Store, ids: torch.Tensor, places: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Hidden states of new tokens.

        Args:
            store: Keys and values of those before.
            ids: Token ids, shape (B, F).
            places: Their positions, shape (B, F).
            mask: What each sees, shape (B, F, L).
        """
        batch, count = ids.shape
        heads, shared, size = self._heads, self._shared, self._size
        group = heads // shared
        # Rows that are shorter, or have ended, come along with padding that may lie beyond the last position.
        places = places.clamp(max=self._last)
        cos, sin = self._cos[places], self._sin[places]
        mask = mask.unsqueeze(1)
        if count > 1:
            mask = mask.repeat(1, 1, group, 1)
        hidden = self._embed(ids)
        for number, layer in enumerate(self._layers):
            joined = functional.linear(_norm(hidden, layer.norm), layer.qkv, layer.qkv_bias)
            joined = joined.view(batch, count, heads + 2 * shared, size)
            turned = joined[:, :, : heads + shared]
            if layer.head_norm is not None:
                turned = functional.rms_norm(turned, (size,), eps=layer.head_eps) * layer.head_norm
            turned = torch.addcmul(turned * cos, turned.roll(size // 2, dims=-1), sin).transpose(1, 2)
            value = joined[:, :, heads + shared :].transpose(1, 2)
            keys, values = store.update(turned[:, heads:], value, number)
            query = turned[:, :heads].reshape(batch, shared, group * count, size)
            seen = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=self._scale)
            seen = seen.view(batch, heads, count, size).transpose(1, 2).reshape(batch, count, heads * size)
            hidden = hidden + functional.linear(seen, layer.out, layer.out_bias)
            gate, up = functional.linear(_norm(hidden, layer.mlp_norm), layer.gate_up).chunk(2, dim=-1)
            hidden = hidden + functional.linear(functional.silu(gate) * up, layer.down)
        return _norm(hidden, self._norm)


class _Layer:
    """One layer's weights, joined."""

    def __init__(self, layer: Any, heads: int, shared: int) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        self.qkv = torch.cat([projection.weight for projection in projections])
        self.qkv_bias = None
        if attention.q_proj.bias is not None:
            self.qkv_bias = torch.cat([projection.bias for projection in projections])
        self.out, self.out_bias = attention.o_proj.weight, attention.o_proj.bias
        self.gate_up, self.down = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]), mlp.down_proj.weight
        self.norm, self.mlp_norm = layer.input_layernorm, layer.post_attention_layernorm
        self.head_norm, self.head_eps = None, 0.0
        if hasattr(attention, "q_norm"):
            own = [attention.q_norm.weight.expand(heads, -1), attention.k_norm.weight.expand(shared, -1)]
            self.head_norm, self.head_eps = torch.cat(own), attention.q_norm.variance_epsilon


def _norm(hidden: torch.Tensor, norm: Any) -> torch.Tensor:
    return functional.rms_norm(hidden, (hidden.size(-1),), norm.weight, norm.variance_epsilon)
