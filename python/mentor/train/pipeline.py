"""One training run from a configuration to a report."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import AutoConfig
from transformers.utils import logging as transformers_logging

from mentor.config import TrainConfig, resolve
from mentor.config.cli import Request
from mentor.errors import ConfigError
from mentor.evaluate import Budget, evaluate_split
from mentor.models.loading import load_model, load_tokenizer
from mentor.report import write_report
from mentor.train.base import BaseRecipe, build_base, warm_start
from mentor.train.cache import cached_base, key_of, store_base
from mentor.train.folder import RunFolder, complete_folder, latest_run
from mentor.train.grpo import run_grpo
from mentor.train.progress import Reporter, results_table
from mentor.train.sft import run_sft
from mentor.train.signals import stop_on_interrupt
from mentor.train.toolbox import TaskSets, Toolbox, check_lengths, load_tasks

__all__ = ["run"]

RUNS = Path("runs")
"""Where runs go that name no folder."""


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
    config, folder = _open(request)
    tasks, toolbox = load_tasks(config)
    tokenizer = load_tokenizer(config.model) if config.model is not None else None
    _check_lengths(config, tasks, toolbox, tokenizer)
    torch.set_num_threads(config.threads or torch.get_num_threads())
    if request.dry_run:
        shown = ", ".join(f"{name} {len(rows)}" for name, rows in tasks.splits.items())
        what = config.model or "a model built on the spot"
        reporter.say(f"dry run: {config.method} on {what}, {len(tasks.train)} tasks, evaluation on {shown}: all usable")
        return folder.path
    if request.resume is None:
        folder = RunFolder.create(folder.path, config)
    reporter.folder = folder.path
    reporter.say(f"run folder: {folder.path}")
    _Run(config, folder, toolbox, tasks, reporter).go(tokenizer)
    return folder.path


def _open(request: Request) -> tuple[TrainConfig, RunFolder]:
    if request.resume is None:
        config = request.config
        stamp = time.strftime("%Y%m%d-%H%M%S")
        default = RUNS / f"{stamp}-{config.preset}-{config.method}-{config.seed}"
        return config, RunFolder(Path(config.output_dir) if config.output_dir else default)
    path = latest_run(RUNS) if request.resume == "latest" else Path(request.resume)
    try:
        saved = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))
        saved.pop("versions", None)
        return resolve(TrainConfig(**saved)), RunFolder(path)
    except OSError as error:
        raise ConfigError(f"nothing to resume in {str(path)!r}: config.yaml: {error.strerror}") from None
    except (yaml.YAMLError, TypeError, AttributeError):
        raise ConfigError(f"nothing to resume in {str(path)!r}: config.yaml holds no configuration") from None


def _check_lengths(config: TrainConfig, tasks: TaskSets, toolbox: Toolbox, tokenizer: Any | None) -> None:
    """Check that every prompt of a dataset fits; without a tokenizer yet (tiny), bytes stand for tokens."""
    if config.dataset is None:
        return
    context = BaseRecipe().shape.context
    if config.model is not None:
        context = int(getattr(AutoConfig.from_pretrained(config.model).get_text_config(), "max_position_embeddings", 0))
    if not context:
        return

    def count(messages: list[dict[str, Any]]) -> int:
        if tokenizer is None:
            return sum(len(str(message["content"]).encode()) for message in messages) + _TINY_FRAME
        return len(tokenizer.apply_chat_template(messages, tools=toolbox.schemas, tokenize=True, return_dict=False))

    rows = [*tasks.train, *tasks.splits["in_domain"]]
    check_lengths(rows, count=count, room=context - (config.max_completion_length or 0), where=config.dataset)


_TINY_FRAME = 100
"""Tokens of the tiny template around a prompt, the list of tools included; a few more than there are."""


class _Run:
    """The phases of a run, in order; each is skipped when the folder shows that it is done."""

    def __init__(
        self, config: TrainConfig, folder: RunFolder, toolbox: Toolbox, tasks: TaskSets, reporter: Reporter
    ) -> None:
        self.config, self.folder, self.toolbox, self.tasks, self.reporter = config, folder, toolbox, tasks, reporter

    def go(self, tokenizer: Any | None) -> None:
        """Run what is left to run."""
        if self._evaluated("after"):
            self.reporter.say("this run is finished; nothing to resume")
            return
        trained = self.folder.path / "model"
        if trained.is_dir():
            model, tokenizer = load_model(str(trained)), load_tokenizer(str(trained))
        else:
            model, tokenizer = self._policy(tokenizer)
            self._evaluate(model, tokenizer, "before")
            model = self._train(model, tokenizer)
            with complete_folder(trained) as partial:
                merged = model.merge_and_unload() if self.config.lora_r else model
                merged.save_pretrained(partial)
                tokenizer.save_pretrained(partial)
            model = merged
        self._evaluate(model, tokenizer, "after")
        report = write_report(self.folder.path)
        title = f"{self.config.method}, seed {self.config.seed}: before -> after"
        self.reporter.console.print(results_table(self.folder.rows("eval.jsonl"), title))
        self.reporter.say(f"report: {report}")

    def _policy(self, tokenizer: Any | None) -> tuple[Any, Any]:
        """The policy before training, from the user's folder, from this run's start, or built."""
        if self.config.model is not None:
            return load_model(self.config.model), tokenizer
        start = self.folder.path / "checkpoints" / "start"
        if start.is_dir():
            return load_model(str(start)), load_tokenizer(str(start))
        model, tokenizer = self._tiny()
        with complete_folder(start) as partial:
            model.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
        return load_model(str(start)), tokenizer  # by its path, TRL finds the reference model of the KL term

    def _tiny(self) -> tuple[Any, Any]:
        config, default = self.config, BaseRecipe()
        steps = config.base_steps or 0
        recipe = replace(
            default,
            trajectories=max(128, steps * default.fit.batch),
            fit=replace(default.fit, steps=steps),
            warm=replace(default.warm, steps=config.warmup_steps or 0),
        )
        tools: dict[str, Any] = {
            "names": self.toolbox.names,
            "schemas": self.toolbox.schemas,
            "call": self.toolbox.call,
        }
        self.folder.keep_rows("metrics.jsonl", lambda row: row["phase"] not in ("base", "warmup"))
        key = key_of(recipe, seed=config.seed, schemas=self.toolbox.schemas)
        cached = cached_base(key) if config.cache else None
        if cached is not None:
            model, tokenizer, where = cached
            self.reporter.say(f"base model: from the cache, {where}")
        else:
            with self.reporter.phase("base", recipe.fit.steps) as bar:
                model, tokenizer = build_base(recipe, seed=config.seed, on_step=self._logger("base", bar), **tools)
            stored = store_base(key, model, tokenizer) if config.cache else None
            self.reporter.say(f"base model: built, {'not cached' if stored is None else f'cached in {stored}'}")
        if recipe.warm.steps:
            with self.reporter.phase("warm-up", recipe.warm.steps) as bar:
                logger = self._logger("warmup", bar)
                warm_start(model, tokenizer, recipe, seed=config.seed, on_step=logger, **tools)
        return model, tokenizer

    def _logger(self, phase: str, bar: Any) -> Any:
        began = time.monotonic()

        def log(step: int, loss: float, _: Any) -> None:
            row = {"phase": phase, "step": step, "time_s": time.monotonic() - began, "loss": loss}
            self.folder.append("metrics.jsonl", row)
            bar.update(step, loss=loss)

        return log

    def _train(self, model: Any, tokenizer: Any) -> Any:
        config, phase = self.config, "sft" if self.config.method == "sft" else "grpo"
        checkpoints = self.folder.checkpoints
        done, resume_from = checkpoints[-1] if checkpoints else (0, None)
        self.folder.keep_rows("metrics.jsonl", lambda row: row["phase"] != phase or row["step"] <= done)
        self.folder.keep_rows("completions.jsonl", lambda row: row["phase"] != phase or row["step"] <= done)
        if resume_from is not None:
            self.reporter.say(f"going on from {resume_from}")
            if phase == "sft":
                model = load_model(str(resume_from))
        train = run_sft if phase == "sft" else run_grpo
        with stop_on_interrupt() as stop, self.reporter.phase(phase, config.max_steps or 0) as bar:
            return train(
                model,
                tokenizer,
                config,
                self.tasks,
                self.toolbox,
                self.folder,
                bar=bar,
                stop=stop,
                resume_from=resume_from,
            )

    def _evaluated(self, stage: str) -> bool:
        found = {row["split"] for row in self.folder.rows("eval.jsonl") if row["stage"] == stage}
        return found >= set(self.tasks.splits)

    def _evaluate(self, model: Any, tokenizer: Any, stage: str) -> None:
        if self._evaluated(stage):
            return
        self.folder.keep_rows("eval.jsonl", lambda row: row["stage"] != stage)
        self.folder.keep_rows("completions.jsonl", lambda row: row["phase"] != f"eval_{stage}")
        config = self.config
        budget = Budget(max_tokens=config.max_completion_length or 1, max_turns=config.max_tool_turns or 1)
        total = 2 * sum(map(len, self.tasks.splits.values()))
        with self.reporter.phase(f"eval {stage}", total) as bar:
            for split, tasks in self.tasks.splits.items():
                measured = evaluate_split(
                    model,
                    tokenizer,
                    tasks,
                    tools=self.toolbox.functions,
                    schemas=self.toolbox.schemas,
                    reward="mentor" if config.method == "sft" else config.method,
                    budget=budget,
                    seed=config.seed,
                    judge=self.tasks.judge,
                    temperature=config.temperature or 1.0,
                    on_batch=bar.advance,
                )
                step = 0 if stage == "before" else config.max_steps
                for row in measured.rollouts:
                    entry = {"phase": f"eval_{stage}", "step": step, "split": split, **row}
                    self.folder.append("completions.jsonl", entry)
                self.folder.append("eval.jsonl", {"stage": stage, "split": split, **measured.numbers})
