"""What a run needs of memory, before it starts: an estimate, part by part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mentor.config import METHODS, TrainConfig

__all__ = ["Memory", "available", "estimate", "exhausted", "shown"]

_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes that a run needs in one process.

    Attributes:
        parameters: Number of weights.
        weights: The policy.
        training: Gradients and the optimizer's two moments, of what is trained.
        reference: The model that the KL term compares with.
        cache: Keys and values of all rollouts of a step at their longest.
        activations: What a forward pass keeps for the backward pass, of one micro-batch, and its logits.
    """

    parameters: int
    weights: int
    training: int
    reference: int
    cache: int
    activations: int

    @property
    def total(self) -> int:
        """The most at one time: while generating there are no activations, while training no cache."""
        return self.fixed + max(self.cache, self.activations)

    @property
    def fixed(self) -> int:
        """What no smaller batch makes less."""
        return self.weights + self.training + self.reference

    def rows(self) -> list[tuple[str, str]]:
        """Names and sizes, for people."""
        parts = {
            f"weights ({self.parameters / 1e6:,.1f} M)": self.weights,
            "gradients and optimizer": self.training,
            "reference model": self.reference,
            "keys and values": self.cache,
            "activations and logits": self.activations,
            "at one time": self.total,
        }
        return [(name, shown(size)) for name, size in parts.items() if size]


def shown(size: float) -> str:
    """A number of bytes, for people."""
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / 2**20:.0f} MiB"


def estimate(model: Any, config: TrainConfig, *, prompt: int, processes: int = 1) -> Memory:
    """Estimate from a model's shape.

    Args:
        model: The model; on the ``meta`` device it costs nothing.
        config: A resolved configuration.
        prompt: Tokens of the longest prompt.
        processes: That share a step's rollouts; each holds the whole model.
    """
    import torch

    text = model.config.get_text_config()
    gpu = torch.cuda.is_available()
    method = METHODS[config.method].phase
    half = config.dtype == "bfloat16" or (config.dtype == "auto" and bool(config.lora_r) and gpu)
    size, state = (2 if half else 4), (2 if gpu else 4)
    count = sum(parameter.numel() for parameter in model.parameters())
    linear = sum(
        sum(module.weight.shape)
        for name, module in model.named_modules()
        if config.lora_r and isinstance(module, torch.nn.Linear) and not name.endswith("lm_head")
    )
    trained = linear * config.lora_r if config.lora_r else count
    rollouts = -(-(config.rollouts_per_step or 1) // processes)
    micro = min(config.micro_batch or rollouts, rollouts)
    length = prompt + (config.max_completion_length or 0)
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    checkpointed = gpu and config.model is not None
    per_token = text.num_hidden_layers * text.hidden_size * (state if checkpointed else 17 * state)
    wide = text.vocab_size * 8 if text.vocab_size <= 32_768 else 0  # beyond, TRL computes logits in tiles
    trains = method != "base"
    return Memory(
        parameters=count,
        weights=count * size,
        training=trained * (4 if config.lora_r else size) * 3 if trains else 0,
        reference=count * size if method == "grpo" and (config.beta or 0) > 0 and not config.lora_r else 0,
        cache=0 if config.use_vllm else rollouts * length * text.num_hidden_layers * heads * width * 2 * state,
        activations=micro * length * (per_token + wide) if trains else 0,
    )


def exhausted(error: BaseException) -> bool:
    """Whether an error says that there is no memory left, on the GPU or on the CPU."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(w in str(error) for w in words))


def available() -> tuple[str, int]:
    """Where the model goes, and how many bytes are free there."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name(), int(torch.cuda.mem_get_info()[0])
    import psutil

    return "memory of this machine", int(psutil.virtual_memory().available)
