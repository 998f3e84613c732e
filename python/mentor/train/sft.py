"""The ``sft`` method: imitate the references as chat trajectories, with the results that their calls gave."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mentor.config import METHODS, TrainConfig
from mentor.errors import ConfigError
from mentor.evaluate.processes import Processes
from mentor.tools import ToolSet
from mentor.tools.functions import as_text
from mentor.train.folder import RunFolder, complete_folder
from mentor.train.progress import Bar
from mentor.train.signals import Interrupted, StopFlag
from mentor.train.supervised import Example, Fit, encode, fit
from mentor.train.tasks import TaskSets

__all__ = ["demonstrations", "run_sft", "trajectory"]


def trajectory(row: Mapping[str, Any], tools: ToolSet) -> list[dict[str, Any]]:
    """Write a reference out as a conversation, executing its calls once more.

    Args:
        row: A row with ``messages``, ``reference`` and ``setup``.
        tools: Run the calls.

    Returns:
        Prompt, one assistant turn and one tool message per call, and the answer in a box.
    """
    messages = list(row["messages"])
    with tools.session() as session:
        for call in row.get("setup") or ():
            session.call(call["name"], call["arguments"])
        for call in row["reference"]["tool_calls"]:
            function = {"name": call["name"], "arguments": call["arguments"]}
            asked = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}
            result = as_text(session.call(call["name"], call["arguments"]))
            messages += [asked, {"role": "tool", "name": call["name"], "content": result}]
    answer = f"\\boxed{{{row['reference']['answer']}}}"
    return [*messages, {"role": "assistant", "content": answer}]


def demonstrations(config: TrainConfig, tasks: TaskSets) -> list[tuple[tuple[str, ...], list[dict[str, Any]]]]:
    """What ``sft`` imitates: the tools that each demonstration shows, and the conversation.

    Raises:
        ConfigError: A long-winded teacher is wanted, and there is none.
    """
    rows = tasks.train[: config.demonstrations]
    found = []
    for row in rows:
        if METHODS[config.method].verbose:
            messages = [*row["messages"], *_verbose(row, tasks)]
        else:
            messages = trajectory(row, tasks.tools)
        found.append((tuple(row["tools"]), messages))
    return found


def _verbose(row: Mapping[str, Any], tasks: TaskSets) -> list[dict[str, Any]]:
    """The teacher's own words: the suite's, or those that came with the dataset."""
    if tasks.suite is not None and tasks.suite.verbose is not None:
        return tasks.suite.verbose(row["task"])
    if messages := row["task"].reference.get("messages"):
        return [dict(message) for message in messages]
    raise ConfigError(
        f"method 'sft-verbose': task {row['id']!r} has no messages of a teacher; add reference.messages, or use sft"
    )


def _examples(tokenizer: Any, shown: Sequence[tuple[tuple[str, ...], list[dict[str, Any]]]], tools: ToolSet) -> Any:
    """Encode conversations that show different tools, in order."""
    found: list[Example | None] = [None] * len(shown)
    for names in dict.fromkeys(names for names, _ in shown):
        places = [at for at, (own, _) in enumerate(shown) if own == names]
        schemas = tools.only(*names).schemas
        for at, example in zip(places, encode(tokenizer, [shown[at][1] for at in places], tools=schemas), strict=True):
            found[at] = example
    return [example for example in found if example is not None]


def run_sft(
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
    """Train a policy on references; arguments, result and errors as for :func:`mentor.train.grpo.run_grpo`.

    Processes that were launched together share each step's demonstrations; each holds the whole model.
    """
    examples = _examples(tokenizer, demonstrations(config, tasks), tasks.tools)
    settings = Fit(
        steps=config.max_steps or 1,
        batch=min(config.rollouts_per_step or 1, 32, len(examples)),
        learning_rate=config.learning_rate or 1e-5,
        muon_rate=0.0,
        warmup=5,
        seed=config.seed,
        micro=config.micro_batch or 0,
    )
    saving = torch.cuda.is_available() and config.model is not None
    if saving:
        model.gradient_checkpointing_enable()
    done, state = 0, None
    if resume_from is not None:
        saved = torch.load(resume_from / "state.pt", weights_only=True)
        done, state = int(saved.pop("step")), saved
    began = time.monotonic()

    def after(step: int, loss: float, optimizers: Any) -> None:
        row = {"phase": "sft", "step": step, "time_s": time.monotonic() - began, "loss": loss}
        if processes.main:
            folder.append("metrics.jsonl", row)
            bar.update(step, loss=loss)
        stopped = any(processes.gather([stop.set])) if processes.count > 1 else stop.set
        if not processes.main:
            if stopped and step < settings.steps:
                raise Interrupted
            return
        if stopped or step % (config.save_steps or 1) == 0 or step == settings.steps:
            with complete_folder(folder.path / "checkpoints" / f"checkpoint-{step}") as partial:
                model.save_pretrained(partial)
                tokenizer.save_pretrained(partial)
                torch.save({"step": step, **optimizers()}, partial / "state.pt")
            folder.prune(config.keep_checkpoints)
        if stopped and step < settings.steps:
            raise Interrupted

    pad = tokenizer.pad_token_id
    fit(model, examples, settings, pad=pad, start=done, state=state, on_step=after, processes=processes)
    if saving:
        model.gradient_checkpointing_disable()
    return model
