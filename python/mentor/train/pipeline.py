"""One training run from a configuration to a report."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers.utils import logging as transformers_logging

from mentor.config import METHODS, TrainConfig
from mentor.config.cli import Request
from mentor.errors import ConfigError
from mentor.evaluate import evaluate_split
from mentor.evaluate.processes import Processes
from mentor.models.loading import context_of, load_model, load_tokenizer
from mentor.report import write_report
from mentor.rollouts import Chat
from mentor.train.cache import start_model
from mentor.train.check import check_memory, check_template, dry_run
from mentor.train.folder import RunFolder, complete_folder
from mentor.train.grpo import budget_of, run_grpo
from mentor.train.opening import open_run
from mentor.train.processes import launched
from mentor.train.progress import Bar, Reporter, results_table
from mentor.train.recipes import BaseRecipe, recipe_for
from mentor.train.sft import demonstrations, run_sft
from mentor.train.signals import stop_on_interrupt
from mentor.train.tasks import Row, TaskSets, check_lengths, load_tasks, to_columns

__all__ = ["run"]


def run(request: Request, reporter: Reporter) -> Path:
    """Run, or go on with, a training run.

    Args:
        request: What the command line asked for.
        reporter: Where to tell what happens.

    Returns:
        The run's folder.

    Raises:
        ConfigError: The configuration cannot run; raised before any work.
        ModelError: The model cannot be used; raised before any work.
        DataError: The data cannot be used; raised before any work.
        Interrupted: Stopped by the user; :func:`mentor.train.app.main` says how to go on.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    processes = launched()
    if not processes.main:
        reporter.console = Console(quiet=True)
    config, folder = open_run(request)
    folder = RunFolder(processes.gather([folder.path])[0])  # names hold the time, and clocks differ
    _check_processes(config, processes)
    if config.model is None:
        _recipe(config)
    tasks = load_tasks(config)
    tokenizer = load_tokenizer(config.model) if config.model is not None else None
    _check_lengths(config, tasks, tokenizer)
    _check_count(config, tasks)
    if METHODS[config.method].verbose:
        demonstrations(replace(config, demonstrations=1), tasks)
    torch.set_num_threads(config.threads or torch.get_num_threads())
    if request.dry_run:
        reporter.console.print(dry_run(config, tasks, tokenizer, processes))
        reporter.say("all usable; nothing was started")
        return folder.path
    if tokenizer is not None:
        marked = METHODS[config.method].phase == "sft"
        check_memory(config, check_template(tokenizer, tasks, tasks.train[0], marked=marked), processes)
    if request.resume is None and processes.main:
        folder = RunFolder.create(folder.path, config)
    processes.wait()
    reporter.folder = folder.path
    reporter.say(f"run folder: {folder.path}")
    _Run(config, folder, tasks, reporter, processes).go(tokenizer)
    return folder.path


def _check_processes(config: TrainConfig, processes: Processes) -> None:
    rollouts, group = config.rollouts_per_step or 1, config.num_generations or 1
    if rollouts % processes.count:
        raise ConfigError(f"rollouts_per_step is {rollouts}, must be a multiple of the {processes.count} processes")
    share = rollouts // processes.count
    if config.micro_batch is not None and share % min(config.micro_batch, share):
        raise ConfigError(f"micro_batch is {config.micro_batch}, must divide the {share} rollouts of a process")
    if processes.count > 1 and METHODS[config.method].phase == "grpo" and group > rollouts:
        raise ConfigError(f"num_generations is {group}, must be at most rollouts_per_step ({rollouts})")


def _check_count(config: TrainConfig, tasks: TaskSets) -> None:
    """Check that the tasks fill one step: TRL drops what does not, and would train nothing without a word."""
    prompts = (config.rollouts_per_step or 1) // (config.num_generations or 1)
    if METHODS[config.method].phase == "grpo" and len(tasks.train) < prompts:
        raise ConfigError(
            f"{len(tasks.train)} training tasks are too few: a step takes {prompts} prompts "
            "(rollouts_per_step / num_generations); give more tasks, or lower rollouts_per_step"
        )


def _check_lengths(config: TrainConfig, tasks: TaskSets, tokenizer: Any | None) -> None:
    """Check that every prompt of a dataset fits, and of a suite one: they are all alike.

    Without a tokenizer yet (tiny), bytes stand for tokens; a suite with a base of its own has short prompts.
    """
    if config.dataset is None and config.model is None:
        return
    context = _recipe(config).shape.context if config.model is None else context_of(config.model)
    if not context:
        return
    chat = Chat(tokenizer, tasks.tools)
    if config.dataset is None:
        if (length := len(chat.prompt(tasks.train[0]))) >= context:
            raise ConfigError(
                f"model {config.model!r} has a context of {context} tokens, "
                f"which the prompt of task {tasks.train[0]['id']!r} fills ({length} tokens)"
            )
        return

    def count(row: Row) -> int:
        if tokenizer is None:
            return sum(len(message["content"].encode()) for message in to_columns([row])[0]["prompt"]) + _TINY_FRAME
        return len(chat.prompt(row))

    rows = [*tasks.train, *(tasks.splits["in_domain"].rows if "in_domain" in tasks.splits else ())]
    check_lengths(rows, count=count, room=context - (config.max_completion_length or 0), where=config.dataset)


def _recipe(config: TrainConfig) -> BaseRecipe:
    preset, suite = config.preset or "tiny", config.suite.partition(":")[0]
    return recipe_for(preset, suite, base_steps=config.base_steps, warmup_steps=config.warmup_steps)


_TINY_FRAME = 100
"""Tokens of the tiny template around a prompt, the list of tools included; a few more than there are."""


class _Run:
    """The phases of a run, in order; each is skipped when the folder shows that it is done."""

    def __init__(
        self, config: TrainConfig, folder: RunFolder, tasks: TaskSets, reporter: Reporter, processes: Processes
    ) -> None:
        self.config, self.folder, self.tasks, self.reporter, self.processes = config, folder, tasks, reporter, processes
        self.method = METHODS[config.method]

    def go(self, tokenizer: Any | None) -> None:
        """Run what is left to run."""
        if self._evaluated("after"):
            if self.processes.main and not (self.folder.path / "report.html").is_file():
                self._report()
            self.reporter.say("this run is finished; nothing to resume")
            return
        trained = self.folder.path / "model"
        if trained.is_dir():
            model, tokenizer = self._load(trained)
        else:
            model, tokenizer = self._policy(tokenizer)
            self._evaluate(model, tokenizer, "before")
            if self.method.phase != "base":
                self._save(self._train(model, tokenizer), tokenizer, trained)
                model, tokenizer = self._load(trained)
        if self.method.phase == "base":
            self._repeat_evaluation()
        else:
            self._evaluate(model, tokenizer, "after")
        if self.processes.main:
            self._report()
        self.processes.wait()

    def _report(self) -> None:
        report = write_report(self.folder.path)
        title = f"{self.config.method}, seed {self.config.seed}: before -> after"
        self.reporter.console.print(results_table(self.folder.rows("eval.jsonl"), title))
        self.reporter.say(f"report: {report}")

    def _load(self, folder: Path | str) -> tuple[Any, Any]:
        """A model and its tokenizer, on this process's device."""
        return self._placed(load_model(str(folder), dtype=self._dtype())), load_tokenizer(str(folder))

    def _dtype(self) -> torch.dtype:
        named = self.config.dtype
        if named == "auto":
            named = "bfloat16" if self.config.lora_r and torch.cuda.is_available() else "float32"
        return torch.bfloat16 if named == "bfloat16" else torch.float32

    def _placed(self, model: Any) -> Any:
        return model.to("cuda", non_blocking=True) if torch.cuda.is_available() else model

    def _policy(self, tokenizer: Any | None) -> tuple[Any, Any]:
        """The policy before training, from the user's folder, from this run's start, or built."""
        if self.config.model is not None:
            return self._placed(load_model(self.config.model, dtype=self._dtype())), tokenizer
        start = self.folder.path / "checkpoints" / "start"
        if not start.is_dir() and self.processes.main:
            model, tokenizer = self._built()
            with complete_folder(start) as partial:
                model.save_pretrained(partial)
                tokenizer.save_pretrained(partial)
        self.processes.wait()
        return self._load(start)  # by its path, TRL finds the reference model of the KL term

    def _built(self) -> tuple[Any, Any]:
        """A base model out of the cache, or built now; its steps are logged when they are taken."""
        config, bars = self.config, ExitStack()
        began, told = time.monotonic(), dict[str, Bar]()
        self.folder.keep_rows("metrics.jsonl", lambda row: row["phase"] not in ("base", "warmup"))
        recipe = _recipe(config)

        def log(phase: str, step: int, loss: float) -> None:
            nonlocal began
            if phase not in told:
                bars.close()
                began = time.monotonic()
                total = recipe.fit.steps if phase == "base" else recipe.warm.steps
                shown = "warm-up" if phase == "warmup" else phase
                told[phase] = bars.enter_context(self.reporter.phase(shown, total))
            row = {"phase": phase, "step": step, "time_s": time.monotonic() - began, "loss": loss}
            self.folder.append("metrics.jsonl", row)
            told[phase].update(step, loss=loss)

        seed = config.base_seed if config.base_seed is not None else config.seed
        self.reporter.building = True
        with bars:
            start = start_model(recipe, seed=seed, cache=config.cache, on_step=log)
        self.reporter.building = False
        where = "not cached" if start.folder is None else f"cached in {start.folder}"
        self.reporter.say(
            f"base model: built, {where}" if start.built else f"base model: from the cache, {start.folder}"
        )
        return start.model, start.tokenizer

    def _train(self, model: Any, tokenizer: Any) -> Any:
        config, phase = self.config, self.method.phase
        checkpoints = self.folder.checkpoints
        done, resume_from = checkpoints[-1] if checkpoints else (0, None)
        if self.processes.main:
            self.folder.keep_rows("metrics.jsonl", lambda row: row["phase"] != phase or row["step"] <= done)
            self.folder.keep_rows("completions.jsonl", lambda row: row["phase"] != phase or row["step"] <= done)
        if resume_from is not None:
            self.reporter.say(f"going on from {resume_from}")
            if phase == "sft":
                model = self._placed(load_model(str(resume_from), dtype=self._dtype()))
        train = run_sft if phase == "sft" else run_grpo
        with stop_on_interrupt() as stop, self.reporter.phase(phase, config.max_steps or 0) as bar:
            return train(
                model,
                tokenizer,
                config,
                self.tasks,
                self.folder,
                bar=bar,
                stop=stop,
                resume_from=resume_from,
                processes=self.processes,
            )

    def _save(self, trained: Any, tokenizer: Any, target: Path) -> None:
        """Write the trained policy; a sharded one is gathered by all processes together."""
        model = trained
        if hasattr(trained, "accelerator"):
            model = trained.accelerator.unwrap_model(trained.model)
            if trained.is_fsdp_enabled or trained.is_deepspeed_enabled:
                trained.save_model(str(self.folder.path / "checkpoints" / "last"))
                if self.processes.main:
                    model = self._gathered(self.folder.path / "checkpoints" / "last")
        if self.processes.main:
            with complete_folder(target) as partial:
                merged = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
                merged.save_pretrained(partial)
                tokenizer.save_pretrained(partial)
        self.processes.wait()

    def _gathered(self, folder: Path) -> Any:
        """The whole policy from what the trainer saved: its weights, or with LoRA its adapters."""
        if not self.config.lora_r:
            return load_model(str(folder), dtype=self._dtype())
        from peft import PeftModel

        return PeftModel.from_pretrained(load_model(str(self.config.model), dtype=self._dtype()), str(folder))

    def _evaluated(self, stage: str) -> bool:
        found = {row["split"] for row in self.folder.rows("eval.jsonl") if row["stage"] == stage}
        return found >= set(self.tasks.splits)

    def _evaluate(self, model: Any, tokenizer: Any, stage: str) -> None:
        if self._evaluated(stage):
            return
        if self.processes.main:
            self.folder.keep_rows("eval.jsonl", lambda row: row["stage"] != stage)
            self.folder.keep_rows("completions.jsonl", lambda row: row["phase"] != f"eval_{stage}")
        self.processes.wait()
        config = self.config
        total = 2 * sum(len(split.rows) for split in self.tasks.splits.values())
        with self.reporter.phase(f"eval {stage}", total) as bar:
            for name, split in self.tasks.splits.items():
                measured = evaluate_split(
                    model,
                    tokenizer,
                    split.rows,
                    tools=split.tools,
                    reward=self.method.reward,
                    budget=budget_of(config, processes=self.processes.count),
                    seed=config.seed,
                    judge=self.tasks.judge,
                    temperature=config.temperature or 1.0,
                    on_batch=bar.advance,
                    processes=self.processes,
                )
                if not self.processes.main:
                    continue
                step = 0 if stage == "before" else config.max_steps
                for row in measured.rollouts:
                    entry = {"phase": f"eval_{stage}", "step": step, "split": name, **row}
                    self.folder.append("completions.jsonl", entry)
                self.folder.append("eval.jsonl", {"stage": stage, "split": name, **measured.numbers})
        self.processes.wait()

    def _repeat_evaluation(self) -> None:
        """Without training, what was measured before holds after."""
        if self.processes.main:
            self.folder.keep_rows("eval.jsonl", lambda row: row["stage"] == "before")
            for row in self.folder.rows("eval.jsonl"):
                self.folder.append("eval.jsonl", {**row, "stage": "after"})
