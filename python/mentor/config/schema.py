"""What a training run can be told, the presets, and the checks that need no model."""

from __future__ import annotations

import difflib
import importlib.util
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mentor.config.methods import METHODS
from mentor.config.presets import BUILT, PRESETS, SFT_RATES
from mentor.config.saved import saved_config
from mentor.errors import ConfigError
from mentor.suites import SUITES

__all__ = ["TrainConfig", "known", "resolve"]


def _option(help_text: str, default: Any = None) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run. ``None`` stands for the preset's value; :func:`resolve` fills it in.

    The fields are the keys of the YAML file and, with dashes, the options of the command line; each field's help text
    is its documentation (``python -m mentor.train --help``).
    """

    preset: str | None = _option(
        "tiny, small: build a model on the spot; qwen3-0.6b, qwen3-1.7b, qwen2.5-7b: those; custom: --model"
    )
    method: str = _option("training method: " + ", ".join(METHODS), "mentor")
    model: str | None = _option("folder of a transformers causal LM whose chat template knows tools, or its hub name")
    suite: str = _option(
        "tasks to train and evaluate on: " + ", ".join(SUITES) + "; options as NAME:key=value", "arithmetic"
    )
    splits: tuple[str, ...] | None = _option("splits to evaluate on, separated by commas; default all of the suite")
    eval_suites: tuple[str, ...] | None = _option("further suites to evaluate on, separated by commas")
    dataset: str | None = _option("JSONL or Parquet file with rows of prompt, tools, reference, to train on instead")
    system_prompt: str | None = _option(
        "system message before prompts that have none; default for models that are not built here: to use the tools "
        "and to box the answer"
    )
    demonstrations: int | None = _option("references that sft sees; default all, sft-few 8")
    output_dir: str | None = _option("the run's folder; default runs/<time>-<preset>-<method>-<seed>")
    seed: int = _option("seed of model, tasks and sampling", 0)
    max_steps: int | None = _option("training steps (GRPO or SFT)")
    num_generations: int | None = _option("rollouts per prompt, the group of GRPO")
    rollouts_per_step: int | None = _option("rollouts per step, a multiple of num_generations")
    micro_batch: int | None = _option("rollouts or demonstrations per forward and backward pass; default all of a step")
    learning_rate: float | None = _option("peak learning rate, cosine decay")
    beta: float | None = _option("weight of the KL term; 0 keeps no reference model")
    scale_rewards: str | None = _option("none, group or batch: divide advantages by that standard deviation")
    temperature: float | None = _option("sampling temperature of the rollouts")
    max_completion_length: int | None = _option("tokens of a whole rollout, tool results included")
    max_tool_turns: int | None = _option("rounds of tool calls in a rollout")
    max_tool_calls: int | None = _option("tool calls in a rollout that are executed; default no limit")
    train_tasks: int | None = _option("tasks that training draws from")
    eval_tasks: int | None = _option("tasks per evaluation split, greedy and sampled each")
    base_steps: int | None = _option("steps that build a preset's own base model; default the suite's recipe")
    base_seed: int | None = _option("seed of that base model; default the run's seed")
    warmup_steps: int | None = _option("steps of its warm start; 0 skips it; default the recipe's")
    save_steps: int | None = _option("steps between checkpoints")
    keep_checkpoints: int = _option("checkpoints kept, the newest ones", 2)
    report_to: str = _option("none, tensorboard, wandb, trackio: where TRL logs in addition", "none")
    lora_r: int = _option("rank of LoRA adapters; 0 trains all weights", 0)
    lora_alpha: int = _option("scale of LoRA adapters", 32)
    dtype: str = _option("of the weights: float32, bfloat16, or auto: bfloat16 for LoRA on a GPU, else float32", "auto")
    use_vllm: bool = _option("generate with vLLM", False)
    vllm_mode: str = _option("colocate: in this process; server: one that `trl vllm-serve` started", "colocate")
    vllm_server_base_url: str | None = _option("where that server is, such as http://localhost:8000")
    vllm_gpu_memory_utilization: float = _option("share of the GPU's memory for vLLM in this process", 0.3)
    vllm_tensor_parallel_size: int = _option("GPUs that vLLM in these processes spreads a model over", 1)
    cache: bool = _option("use and fill the cache of base models", True)
    threads: int | None = _option("CPU threads; default all cores")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields in order, as ``config.yaml`` holds them."""
        return asdict(self)


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
    if preset in BUILT and config.model:
        raise ConfigError(f"preset {preset!r} builds its own model; leave out --model, or use --preset custom")
    if preset == "custom" and not config.model:
        raise ConfigError("preset 'custom' needs --model DIR, a local transformers model")
    method = METHODS[config.method]
    own: dict[str, Any] = {"learning_rate": SFT_RATES[preset]} if method.phase == "sft" else {}
    own |= {"demonstrations": method.demonstrations, "base_seed": config.seed}
    own |= {} if (prompt := _trained_with(config.model)) is None else {"system_prompt": prompt}
    for name, value in {**PRESETS[preset], **own}.items():
        if values[name] is None:
            values[name] = value
    _check(values)
    return TrainConfig(**values)


def _trained_with(model: str | None) -> str | None:
    """The system message that a run trained this model with, where it is a run's; it knows no other."""
    try:
        prompt = saved_config(Path(model).parent).get("system_prompt") if model else None
    except ConfigError:
        return None
    return prompt if isinstance(prompt, str) else None


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
        "demonstrations": 1,
        "max_tool_calls": 1,
        "base_seed": 0,
        "threads": 1,
        "vllm_tensor_parallel_size": 1,
    }
)


_LARGEST_SEED = 2**32 - 1
"""NumPy, which transformers seeds too, takes no larger one."""

_TRACKERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",), "trackio": ("trackio",)}
)
"""Trackers that TRL can log to, each with the packages that bring it, one of which is needed."""


def _check(values: Mapping[str, Any]) -> None:
    for name, least in _AT_LEAST.items():
        if values[name] is not None and values[name] < least:
            raise ConfigError(f"{name} is {values[name]}, must be at least {least}")
    for name in ("learning_rate", "temperature"):
        if not (math.isfinite(values[name]) and values[name] > 0):
            raise ConfigError(f"{name} is {values[name]}, must be a positive number")
    if not (math.isfinite(values["beta"]) and values["beta"] >= 0):
        raise ConfigError(f"beta is {values['beta']}, must not be negative")
    if values["threads"] is not None and values["threads"] > (cores := os.cpu_count() or 1):
        raise ConfigError(f"threads is {values['threads']}, but this machine has {cores} cores")
    for name in ("seed", "base_seed"):
        if values[name] is not None and values[name] > _LARGEST_SEED:
            raise ConfigError(f"{name} is {values[name]}, must be at most {_LARGEST_SEED}")
    if values["splits"] is not None and not values["splits"]:
        raise ConfigError("splits names none; leave it out to evaluate on all of the suite")
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
    known("dtype", values["dtype"], ("auto", "float32", "bfloat16"))
    if METHODS[values["method"]].phase == "sft" and values["lora_r"]:
        raise ConfigError(f"method {values['method']!r} trains all weights; leave out lora_r")
    if values["demonstrations"] is not None and METHODS[values["method"]].phase != "sft":
        raise ConfigError(f"method {values['method']!r} sees no demonstrations; leave out demonstrations")
    _check_vllm(values)
    for name in (values["suite"], *(values["eval_suites"] or ())):
        known("suite", name.partition(":")[0], SUITES)
    if values["dataset"] is not None and not Path(values["dataset"]).is_file():
        raise ConfigError(f"dataset {values['dataset']!r}: no such file")
    model = values["model"]
    if model and not Path(model).is_dir() and not _HUB_NAME.fullmatch(model):
        raise ConfigError(f"model {model!r}: no such folder")


_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def _check_vllm(values: Mapping[str, Any]) -> None:
    known("vllm_mode", values["vllm_mode"], ("colocate", "server"))
    share = values["vllm_gpu_memory_utilization"]
    if not 0 < share <= 1:
        raise ConfigError(f"vllm_gpu_memory_utilization is {share}, must be above 0 and at most 1")
    url = values["vllm_server_base_url"]
    if url is not None and not (values["use_vllm"] and values["vllm_mode"] == "server"):
        raise ConfigError("vllm_server_base_url needs use_vllm and vllm_mode 'server'")
    if url is not None and not url.startswith(("http://", "https://")):
        raise ConfigError(f"vllm_server_base_url is {url!r}, must begin with http:// or https://")
    if values["use_vllm"] and importlib.util.find_spec("vllm") is None:
        raise ConfigError("use_vllm: not installed; pip install 'trl[vllm]'")
