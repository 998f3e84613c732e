"""The GRPO methods: TRL's settings from a configuration, and what a step leaves in the run folder."""

from __future__ import annotations

import math
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState
from trl import GRPOConfig

from mentor.config import BUILT, METHODS, TrainConfig
from mentor.evaluate.measure import kept_rollout
from mentor.evaluate.processes import Processes
from mentor.rewards import RewardFunction
from mentor.rollouts import Budget, Chat, ends_of
from mentor.score import ScoreBatch
from mentor.train.folder import RunFolder
from mentor.train.progress import Bar
from mentor.train.signals import Interrupted, StopFlag
from mentor.train.tasks import TaskSets, to_columns
from mentor.train.trainer import Trainer

__all__ = ["budget_of", "run_grpo"]

_FROM_TRL = ("loss", "kl", "entropy", "grad_norm", "learning_rate")
_FROM_REWARD = ("reward", "accuracy", "tool_validity", "alignment_f1", "silent", "truncated")
_KEEP = 4


class _Watch(TrainerCallback):  # type: ignore[misc]
    """Writes metrics, moves the bar, and stops at the user's wish."""

    def __init__(self, trainer: Trainer, folder: RunFolder, bar: Bar, stop: StopFlag, processes: Processes) -> None:
        self._trainer, self._folder, self._bar, self._stop, self._processes = trainer, folder, bar, stop, processes
        self._start = self._began = time.monotonic()
        self._took = 0.0

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._began = time.monotonic()

    def on_log(
        self, args: Any, state: TrainerState, control: TrainerControl, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        logs, found = logs or {}, self._trainer.summary
        if "loss" not in logs or not found or not self._processes.main:
            return
        row: dict[str, Any] = {"phase": "grpo", "step": state.global_step, "time_s": time.monotonic() - self._start}
        row |= {name: float(logs[name]) for name in _FROM_TRL if _finite(logs.get(name))}
        row |= {name: found[name] for name in _FROM_REWARD} | {"calls_per_rollout": found["calls"]}
        if _finite(logs.get("frac_reward_zero_std")):
            row["zero_variance_groups"] = float(logs["frac_reward_zero_std"])
        seconds = self._trainer.seconds
        row |= {"step_time": self._took, **{f"{name}_s": value for name, value in seconds.items()}}
        row["update_s"] = max(0.0, self._took - sum(seconds.values()))
        self._folder.append("metrics.jsonl", row)
        shown = {"reward": found["reward"], "accuracy": found["accuracy"], "validity": found["tool_validity"]}
        self._bar.update(state.global_step, **shown)

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._took = time.monotonic() - self._began
        if any(self._processes.gather([self._stop.set])):
            self._stop.set = True
            control.should_save = True
            control.should_training_stop = True


def run_grpo(
    model: Any,
    tokenizer: Any,
    config: TrainConfig,
    tasks: TaskSets,
    folder: RunFolder,
    *,
    bar: Bar,
    stop: StopFlag,
    resume_from: Path | None,
    processes: Processes,
) -> Any:
    """Train a policy.

    Args:
        model: The policy; trained in place (with LoRA, wrapped).
        tokenizer: Its tokenizer.
        config: A resolved configuration.
        tasks: What to train on, and the tools.
        folder: The run's folder.
        bar: Progress.
        stop: Ends training at the next step when set.
        resume_from: A checkpoint to go on from.
        processes: Those that train together.

    Returns:
        The trainer, whose ``model`` is trained.

    Raises:
        Interrupted: A stop was asked for; a checkpoint is written.
        OSError: The disk is full; earlier checkpoints are kept.
    """
    ends = ends_of(model, tokenizer)
    reward = RewardFunction(METHODS[config.method].reward, judge=tasks.judge, ends=ends, log_components=False)
    by_id = {task["id"]: task for task in tasks.train}
    trainer = Trainer(
        model=model,
        args=_settings(config, folder, processes),
        reward_funcs=reward,
        train_dataset=Dataset.from_list(to_columns(tasks.train)),
        processing_class=tokenizer,
        peft_config=_lora(config),
        tasks=by_id,
        chat=Chat(tokenizer, tasks.tools),
        budget=budget_of(config),
        ends=ends,
        folder=folder,
        keep=config.keep_checkpoints,
    )
    steps: int = trainer.args.max_steps
    every = max(1, steps // 8)

    def keep(scores: ScoreBatch, messages: list[Any], columns: dict[str, Any]) -> None:
        step = columns["trainer_state"].global_step + 1
        if not processes.main or (step != 1 and step % every and step != steps):
            return
        for at in _varied(scores, config.num_generations or 1):
            row = kept_rollout(scores, at, messages[at], by_id[columns["task_id"][at]])
            folder.append("completions.jsonl", {"phase": "grpo", "step": step, "split": "in_domain", **row})

    reward.on_scores = keep
    trainer.add_callback(_Watch(trainer, folder, bar, stop, processes))
    trainer.remove_callback(PrinterCallback)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
        trainer.train(resume_from_checkpoint=None if resume_from is None else str(resume_from))
    if stop.set and trainer.state.global_step < steps:
        raise Interrupted
    return trainer


def budget_of(config: TrainConfig, *, processes: int = 1) -> Budget:
    """A rollout's limits; a model from elsewhere is evaluated in batches of a step's size, which are known to fit."""
    step = {} if config.preset in BUILT else {"batch": max(1, (config.rollouts_per_step or 1) // processes)}
    return Budget(
        **step,
        max_tokens=config.max_completion_length or 1,
        max_turns=config.max_tool_turns or 1,
        max_tool_calls=config.max_tool_calls,
    )


def _settings(config: TrainConfig, folder: RunFolder, processes: Processes) -> GRPOConfig:
    gpu = torch.cuda.is_available()
    rollouts = (config.rollouts_per_step or 1) // processes.count
    micro = min(config.micro_batch or rollouts, rollouts)
    vllm: dict[str, Any] = {}
    if config.use_vllm:
        vllm = {
            "use_vllm": True,
            "vllm_mode": config.vllm_mode,
            "vllm_gpu_memory_utilization": config.vllm_gpu_memory_utilization,
            "vllm_tensor_parallel_size": config.vllm_tensor_parallel_size,
        }
        if config.vllm_server_base_url is not None:
            vllm["vllm_server_base_url"] = config.vllm_server_base_url
    return GRPOConfig(
        output_dir=str(folder.path / "checkpoints"),
        seed=config.seed,
        max_steps=config.max_steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=rollouts // micro,
        num_generations=config.num_generations,
        max_completion_length=config.max_completion_length,
        temperature=config.temperature,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        beta=config.beta,
        scale_rewards=config.scale_rewards,
        bf16=gpu,
        gradient_checkpointing=gpu and config.model is not None,
        use_cpu=not gpu,
        dataloader_pin_memory=gpu,
        report_to=config.report_to,
        logging_steps=1,
        save_strategy="steps",
        save_steps=config.save_steps,
        save_total_limit=None,
        disable_tqdm=True,
        **vllm,
    )


def _lora(config: TrainConfig) -> Any:
    if config.lora_r == 0:
        return None
    from peft import LoraConfig

    return LoraConfig(r=config.lora_r, lora_alpha=config.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM")


def _varied(scores: ScoreBatch, group: int) -> list[int]:
    """The best and the worst rollout of the first group, then of the next ones, until enough are kept."""
    rewards = [float(value) for value in scores.reward]
    found: list[int] = []
    for low in range(0, len(rewards), group):
        members = sorted(range(low, min(low + group, len(rewards))), key=lambda at: rewards[at])
        found += [members[-1], members[0]] if len(members) > 1 else members
        if len(found) >= _KEEP:
            break
    return found[:_KEEP]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
