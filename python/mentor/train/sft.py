"""The ``sft`` method: imitate the references as chat trajectories, with the results that their calls gave."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from mentor.config import TrainConfig
from mentor.train.folder import RunFolder, complete_folder
from mentor.train.progress import Bar
from mentor.train.signals import Interrupted, StopFlag
from mentor.train.supervised import Fit, encode, fit
from mentor.train.toolbox import TaskSets, Toolbox

__all__ = ["run_sft", "trajectory"]


def trajectory(task: dict[str, Any], toolbox: Toolbox) -> list[dict[str, Any]]:
    """Write a reference out as a conversation, executing its calls once more.

    Args:
        task: A row with ``messages`` and ``reference``.
        toolbox: Runs the calls.

    Returns:
        Prompt, one assistant turn and one tool message per call, and the answer in a box.
    """
    functions = dict(zip(toolbox.names, toolbox.functions, strict=True))
    messages = list(task["messages"])
    for call in task["reference"]["tool_calls"]:
        try:
            result = str(functions[call["name"]](**call["arguments"]))
        except (
            KeyError,
            TypeError,
        ) as error:  # a tool or an argument that does not exist: the text that TRL would show
            result = str({"error": str(error)})
        function = {"name": call["name"], "arguments": call["arguments"]}
        messages.append(
            {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}
        )
        messages.append({"role": "tool", "name": call["name"], "content": result})
    answer = f"\\boxed{{{task['reference']['answer']}}}"
    return [*messages, {"role": "assistant", "content": answer}]


def run_sft(
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
    """Train a policy on references; arguments, result and errors as for :func:`mentor.train.grpo.run_grpo`."""
    examples = encode(tokenizer, [trajectory(task, toolbox) for task in tasks.train], tools=toolbox.schemas)
    settings = Fit(
        steps=config.max_steps or 1,
        batch=min(config.rollouts_per_step or 1, 32),
        learning_rate=config.learning_rate or 1e-5,
        muon_rate=0.0,
        warmup=5,
        seed=config.seed,
    )
    done, state = 0, None
    if resume_from is not None:
        saved = torch.load(resume_from / "state.pt", weights_only=True)
        done, state = int(saved.pop("step")), saved
    began = time.monotonic()

    def after(step: int, loss: float, optimizers: Any) -> None:
        row = {"phase": "sft", "step": step, "time_s": time.monotonic() - began, "loss": loss}
        folder.append("metrics.jsonl", row)
        bar.update(step, loss=loss)
        if stop.set or step % (config.save_steps or 1) == 0 or step == settings.steps:
            with complete_folder(folder.path / "checkpoints" / f"checkpoint-{step}") as partial:
                model.save_pretrained(partial)
                tokenizer.save_pretrained(partial)
                torch.save({"step": step, **optimizers()}, partial / "state.pt")
            folder.prune(config.keep_checkpoints)
        if stop.set and step < settings.steps:
            raise Interrupted

    fit(model, examples, settings, pad=tokenizer.pad_token_id, start=done, state=state, on_step=after)
    return model
