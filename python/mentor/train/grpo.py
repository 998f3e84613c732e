"""Teacher-guided GRPO through TRL's ``GRPOTrainer``, with the tools in the sandbox."""

from __future__ import annotations

import math
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState
from trl import GRPOConfig, GRPOTrainer

from mentor.config import TrainConfig
from mentor.evaluate.measure import kept_rollout
from mentor.rewards import RewardFunction
from mentor.score import ScoreBatch
from mentor.train.folder import RunFolder, complete_folder
from mentor.train.progress import Bar
from mentor.train.signals import Interrupted, StopFlag
from mentor.train.toolbox import TaskSets, Toolbox, to_columns

__all__ = ["run_grpo"]

_FROM_TRL = ("loss", "kl", "entropy", "grad_norm", "learning_rate", "step_time")
_KEEP = 4


class _Trainer(GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer whose checkpoints are complete or absent, and never push out the last good one."""

    def __init__(self, *arguments: Any, folder: RunFolder, keep: int, **options: Any) -> None:
        self._folder, self._keep = folder, keep
        self._partial: Path | None = None
        super().__init__(*arguments, **options)

    def create_model_card(self, *arguments: Any, **options: Any) -> None:
        """Write no card: the run folder says what the model is."""

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._partial or super()._get_output_dir(trial))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        name = f"checkpoint-{self.state.global_step}"
        with complete_folder(self._folder.path / "checkpoints" / name) as partial:
            self._partial = partial / "inner"
            try:
                super()._save_checkpoint(model, trial)
            finally:
                self._partial = None
            for path in (partial / "inner" / name).iterdir():
                path.rename(partial / path.name)
            (partial / "inner" / name).rmdir()
            (partial / "inner").rmdir()
        self._folder.prune(self._keep)


class _Watch(TrainerCallback):  # type: ignore[misc]
    """Writes metrics, moves the bar, and stops at the user's wish."""

    def __init__(self, folder: RunFolder, reward: RewardFunction, bar: Bar, stop: StopFlag) -> None:
        self._folder, self._reward, self._bar, self._stop = folder, reward, bar, stop
        self._start = time.monotonic()

    def on_log(
        self, args: Any, state: TrainerState, control: TrainerControl, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        logs, last = logs or {}, self._reward.last
        if "loss" not in logs or last is None:
            return
        row: dict[str, Any] = {"phase": "grpo", "step": state.global_step, "time_s": time.monotonic() - self._start}
        row |= {name: float(logs[name]) for name in _FROM_TRL if _finite(logs.get(name))}
        row |= {
            "reward": last.reward,
            "accuracy": last.accuracy,
            "tool_validity": last.tool_validity,
            "alignment_f1": last.alignment_f1,
            "calls_per_rollout": last.calls,
            "truncated": last.truncated,
        }
        if _finite(logs.get("frac_reward_zero_std")):
            row["zero_variance_groups"] = float(logs["frac_reward_zero_std"])
        self._folder.append("metrics.jsonl", row)
        self._bar.update(state.global_step, reward=last.reward, accuracy=last.accuracy, validity=last.tool_validity)

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self._stop.set:
            control.should_save = True
            control.should_training_stop = True


def run_grpo(
    model: Any,
    tokenizer: Any,
    config: TrainConfig,
    tasks: TaskSets,
    toolbox: Toolbox,
    folder: RunFolder,
    *,
    bar: Bar,
    stop: StopFlag,
    resume_from: Path | None,
) -> Any:
    """Train a policy.

    Args:
        model: The policy; trained in place (with LoRA, wrapped).
        tokenizer: Its tokenizer.
        config: A resolved configuration.
        tasks: What to train on.
        toolbox: The tools.
        folder: The run's folder.
        bar: Progress.
        stop: Ends training at the next step when set.
        resume_from: A checkpoint to go on from.

    Returns:
        The trained model.

    Raises:
        Interrupted: A stop was asked for; a checkpoint is written.
        OSError: The disk is full; earlier checkpoints are kept.
    """
    reward = RewardFunction(config.method, judge=tasks.judge, ends=_ends(model, tokenizer), log_components=False)
    trainer = _trainer(model, tokenizer, config, tasks.train, toolbox, folder, reward)
    by_id = {task["id"]: task for task in tasks.train}
    steps: int = trainer.args.max_steps
    every = max(1, steps // 8)

    def keep(scores: ScoreBatch, messages: list[Any], columns: dict[str, Any]) -> None:
        step = columns["trainer_state"].global_step + 1
        if step != 1 and step % every and step != steps:
            return
        for at in _varied(scores, config.num_generations or 1):
            row = kept_rollout(scores, at, messages[at], by_id[columns["task_id"][at]])
            folder.append("completions.jsonl", {"phase": "grpo", "step": step, "split": "in_domain", **row})

    reward.on_scores = keep
    trainer.add_callback(_Watch(folder, reward, bar, stop))
    trainer.remove_callback(PrinterCallback)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
        trainer.train(resume_from_checkpoint=None if resume_from is None else str(resume_from))
    if stop.set and trainer.state.global_step < steps:
        raise Interrupted
    return trainer.model


def _trainer(
    model: Any,
    tokenizer: Any,
    config: TrainConfig,
    tasks: list[dict[str, Any]],
    toolbox: Toolbox,
    folder: RunFolder,
    reward: RewardFunction,
) -> _Trainer:
    gpu = torch.cuda.is_available()
    rollouts = config.rollouts_per_step or 1
    micro = config.micro_batch or rollouts
    settings = GRPOConfig(
        output_dir=str(folder.path / "checkpoints"),
        seed=config.seed,
        max_steps=config.max_steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=rollouts // micro,
        num_generations=config.num_generations,
        max_completion_length=config.max_completion_length,
        max_tool_calling_iterations=config.max_tool_turns,
        temperature=config.temperature,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        beta=config.beta,
        scale_rewards=config.scale_rewards,
        bf16=gpu,
        gradient_checkpointing=gpu,
        use_cpu=not gpu,
        dataloader_pin_memory=gpu,
        report_to=config.report_to,
        logging_steps=1,
        save_strategy="steps",
        save_steps=config.save_steps,
        save_total_limit=None,
        disable_tqdm=True,
    )
    return _Trainer(
        model=model,
        args=settings,
        reward_funcs=reward,
        train_dataset=Dataset.from_list(to_columns(tasks)),
        processing_class=tokenizer,
        tools=toolbox.functions,
        peft_config=_lora(config),
        folder=folder,
        keep=config.keep_checkpoints,
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


def _ends(model: Any, tokenizer: Any) -> set[int]:
    declared = model.generation_config.eos_token_id
    ends = set(declared) if isinstance(declared, list) else {declared}
    return {token for token in {*ends, tokenizer.eos_token_id} if token is not None}


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
