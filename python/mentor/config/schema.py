"""What a training run can be told, the presets, and the checks that need no model."""

from __future__ import annotations

import difflib
import importlib.util
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mentor.errors import ConfigError

__all__ = ["METHODS", "PRESETS", "TrainConfig", "known", "resolve"]

METHODS: Mapping[str, str] = MappingProxyType(
    {
        "mentor": "the paper's reward: answer, gated tool-set match, validity",
        "mentor-dense": "this project's reward: answer, alignment of executed calls with their arguments, validity",
        "sparse": "the answer alone",
        "strict": "as mentor, but the calls must be the teacher's, in order and with their arguments",
        "overlap": "as mentor, but one shared tool is enough; no validity term",
        "valid": "answer and validity, no tool-set match",
        "f1": "as mentor, with the F1 of the tool sets in place of the exact match",
        "sft": "no reward: imitate the references",
    }
)
"""The training methods (arXiv 2510.18383, sections 3 and 5); all but ``sft`` are GRPO with that reward."""


def _option(help_text: str, default: Any = None) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run. ``None`` stands for the preset's value; :func:`resolve` fills it in.

    The fields are the keys of the YAML file and, with dashes, the options of the command line; each field's help text
    is its documentation (``python -m mentor.train --help``).
    """

    preset: str | None = _option("tiny: build a small model on the spot; custom: train the model given by --model")
    method: str = _option("training method: " + ", ".join(METHODS), "mentor")
    model: str | None = _option("folder of a local transformers causal LM whose chat template knows tools")
    dataset: str | None = _option("JSONL or Parquet file with rows of prompt, tools, reference")
    output_dir: str | None = _option("the run's folder; default runs/<time>-<preset>-<method>-<seed>")
    seed: int = _option("seed of model, tasks and sampling", 0)
    max_steps: int | None = _option("training steps (GRPO or SFT)")
    num_generations: int | None = _option("rollouts per prompt, the group of GRPO")
    rollouts_per_step: int | None = _option("rollouts per step, a multiple of num_generations")
    micro_batch: int | None = _option("rollouts per forward and backward pass; default all of a step")
    learning_rate: float | None = _option("peak learning rate, cosine decay")
    beta: float | None = _option("weight of the KL term; 0 keeps no reference model")
    scale_rewards: str | None = _option("none, group or batch: divide advantages by that standard deviation")
    temperature: float | None = _option("sampling temperature of the rollouts")
    max_completion_length: int | None = _option("tokens of a whole rollout, tool results included")
    max_tool_turns: int | None = _option("rounds of tool calls in a rollout")
    train_tasks: int | None = _option("tasks that training draws from")
    eval_tasks: int | None = _option("tasks per evaluation split, greedy and sampled each")
    base_steps: int | None = _option("steps that build the tiny preset's base model")
    warmup_steps: int | None = _option("steps of the tiny preset's warm start; 0 skips it")
    save_steps: int | None = _option("steps between checkpoints")
    keep_checkpoints: int = _option("checkpoints kept, the newest ones", 2)
    report_to: str = _option("none, tensorboard, wandb, trackio: where TRL logs in addition", "none")
    lora_r: int = _option("rank of LoRA adapters; 0 trains all weights", 0)
    lora_alpha: int = _option("scale of LoRA adapters", 32)
    cache: bool = _option("use and fill the cache of base models", True)
    threads: int | None = _option("CPU threads; default all cores")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields in order, as ``config.yaml`` holds them."""
        return asdict(self)


PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "tiny": MappingProxyType(
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
                "base_steps": 350,
                "warmup_steps": 25,
                "save_steps": 10,
            }
        ),
        "custom": MappingProxyType(
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
            }
        ),
    }
)
"""Values that a preset fills in. ``custom`` follows arXiv 2510.18383, appendix (KL 0.001, learning rate 1e-6)."""


_SFT_RATES: Mapping[str, float] = MappingProxyType({"tiny": 6e-4, "custom": 1e-5})
"""Learning rates of ``sft``, which bears more than GRPO does."""


def known(kind: str, name: str, names: Iterable[str], *, where: str = "") -> None:
    """Refuse a name that is not on the list.

    Args:
        kind: What the name names.
        name: The name.
        names: The known ones.
        where: Start of the message.

    Raises:
        ConfigError: ``name`` is unknown; the message lists the known ones and names the likely one.
    """
    names = list(names)
    if name in names:
        return
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise ConfigError(f"{where}unknown {kind} {name!r}{hint}; known: {', '.join(names)}")


def resolve(config: TrainConfig) -> TrainConfig:
    """Fill in the preset's values and check everything that needs no model.

    Args:
        config: What the user asked for.

    Returns:
        The same with every preset field set.

    Raises:
        ConfigError: The configuration cannot run.

    Examples:
        >>> resolve(TrainConfig()).num_generations
        8
    """
    preset = config.preset or ("custom" if config.model else "tiny")
    known("preset", preset, PRESETS)
    known("method", config.method, METHODS)
    values = {entry.name: getattr(config, entry.name) for entry in fields(config)} | {"preset": preset}
    if preset == "tiny" and config.model:
        raise ConfigError("preset 'tiny' builds its own model; leave out --model, or use --preset custom")
    if preset == "custom" and not config.model:
        raise ConfigError("preset 'custom' needs --model DIR, a local transformers model")
    own = {"learning_rate": _SFT_RATES[preset]} if config.method == "sft" else {}
    for name, value in {**PRESETS[preset], **own}.items():
        if values[name] is None:
            values[name] = value
    _check(values)
    return TrainConfig(**values)


_AT_LEAST: Mapping[str, int] = MappingProxyType(
    {
        "seed": 0,
        "max_steps": 1,
        "num_generations": 2,
        "rollouts_per_step": 2,
        "max_completion_length": 8,
        "max_tool_turns": 1,
        "train_tasks": 1,
        "eval_tasks": 1,
        "warmup_steps": 0,
        "base_steps": 0,
        "save_steps": 1,
        "keep_checkpoints": 1,
        "lora_r": 0,
        "lora_alpha": 1,
    }
)


_TRACKERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",), "trackio": ("trackio",)}
)
"""Trackers that TRL can log to, each with the packages that bring it, one of which is needed."""


def _check(values: Mapping[str, Any]) -> None:
    for name, least in _AT_LEAST.items():
        if values[name] < least:
            raise ConfigError(f"{name} is {values[name]}, must be at least {least}")
    for name in ("learning_rate", "temperature"):
        if not (math.isfinite(values[name]) and values[name] > 0):
            raise ConfigError(f"{name} is {values[name]}, must be a positive number")
    if not (math.isfinite(values["beta"]) and values["beta"] >= 0):
        raise ConfigError(f"beta is {values['beta']}, must not be negative")
    if values["threads"] is not None and values["threads"] < 1:
        raise ConfigError(f"threads is {values['threads']}, must be at least 1")
    if values["threads"] is not None and values["threads"] > (cores := os.cpu_count() or 1):
        raise ConfigError(f"threads is {values['threads']}, but this machine has {cores} cores")
    known("report_to", values["report_to"], ("none", *_TRACKERS))
    packages = _TRACKERS.get(values["report_to"])
    if packages and not any(importlib.util.find_spec(name) for name in packages):
        raise ConfigError(f"report_to {values['report_to']!r}: not installed; pip install {packages[0]}")
    known("scale_rewards", values["scale_rewards"], ("none", "group", "batch"))
    rollouts, group, micro = values["rollouts_per_step"], values["num_generations"], values["micro_batch"]
    if rollouts % group:
        raise ConfigError(f"rollouts_per_step is {rollouts}, must be a multiple of num_generations ({group})")
    if micro is not None and (micro < 1 or rollouts % micro):
        raise ConfigError(f"micro_batch is {micro}, must divide rollouts_per_step ({rollouts})")
    if values["method"] == "sft" and values["lora_r"]:
        raise ConfigError("method 'sft' trains all weights; leave out lora_r")
    for name, kind in (("model", "folder"), ("dataset", "file")):
        value = values[name]
        if value and not (Path(value).is_dir() if kind == "folder" else Path(value).is_file()):
            raise ConfigError(f"{name} {value!r}: no such {kind}")
