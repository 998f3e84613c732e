"""Values that a preset fills in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["BUILT", "PRESETS", "SFT_RATES", "SYSTEM_PROMPT"]

SYSTEM_PROMPT = "Use the tools to work out every value. Then put the final answer alone into \\boxed{}."
"""What models from elsewhere are told before each task; those that are built here know it."""

_PAPER: Mapping[str, Any] = MappingProxyType(
    {
        "max_steps": 200,
        "num_generations": 8,
        "rollouts_per_step": 32,
        "learning_rate": 1e-6,
        "beta": 0.001,
        "scale_rewards": "group",
        "temperature": 1.0,
        "max_completion_length": 2_048,
        "max_tool_turns": 5,
        "train_tasks": 1_500,
        "eval_tasks": 64,
        "base_steps": 0,
        "warmup_steps": 0,
        "save_steps": 20,
        "system_prompt": SYSTEM_PROMPT,
    }
)

_BUILT: Mapping[str, Any] = MappingProxyType(
    {
        "max_steps": 40,
        "num_generations": 8,
        "rollouts_per_step": 96,
        "learning_rate": 1.5e-4,
        "beta": 0.0,
        "scale_rewards": "none",
        "temperature": 1.0,
        "max_completion_length": 200,
        "max_tool_turns": 6,
        "train_tasks": 1_500,
        "eval_tasks": 100,
        "save_steps": 10,
        "system_prompt": "",
    }
)

_HUB = {"max_completion_length": 8_192, "micro_batch": 4}

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "tiny": _BUILT,
        "small": MappingProxyType(
            {
                **_BUILT,
                "max_steps": 200,
                "rollouts_per_step": 256,
                "train_tasks": 4_000,
                "eval_tasks": 200,
                "save_steps": 50,
            }
        ),
        "custom": _PAPER,
        "qwen3-0.6b": MappingProxyType({**_PAPER, **_HUB, "model": "Qwen/Qwen3-0.6B"}),
        "qwen3-1.7b": MappingProxyType({**_PAPER, **_HUB, "model": "Qwen/Qwen3-1.7B"}),
        "qwen2.5-7b": MappingProxyType(
            {**_PAPER, **_HUB, "model": "Qwen/Qwen2.5-7B-Instruct", "num_generations": 5, "rollouts_per_step": 40}
        ),
    }
)
"""Presets by name. Those of large models follow arXiv 2510.18383, appendix (KL 0.001, learning rate 1e-6, 5 turns)."""

BUILT: frozenset[str] = frozenset({"tiny", "small"})
"""Presets whose model is built on the spot."""

SFT_RATES: Mapping[str, float] = MappingProxyType({name: 6e-4 if name in BUILT else 1e-5 for name in PRESETS})
"""Learning rates of ``sft``, which bears more than GRPO does."""
