"""The dry run: everything that can be found out before any work."""

from __future__ import annotations

import time
from typing import Any

from rich.table import Table
from trl.chat_template_utils import has_generation_markers

from mentor.config import METHODS, TrainConfig
from mentor.errors import ConfigError, ModelError
from mentor.evaluate.processes import Processes
from mentor.models.loading import check_weights, load_shape
from mentor.rollouts import Chat, Request
from mentor.train.memory import available, estimate, shown
from mentor.train.references import EXECUTED, execute_references
from mentor.train.tasks import Row, TaskSets

__all__ = ["check_memory", "check_template", "dry_run"]


def dry_run(config: TrainConfig, tasks: TaskSets, tokenizer: Any | None, processes: Processes) -> Table:
    """Check model, template, tools, data and memory.

    Args:
        config: A resolved configuration.
        tasks: Its tasks.
        tokenizer: Of the model, ``None`` where the model is built on the spot.
        processes: Those that would train.

    Returns:
        What was found, for people.

    Raises:
        ModelError: The chat template cannot be used.
        DataError: A reference's call fails.
        ConfigError: The model does not fit.
    """
    table = Table(title=f"dry run: {config.method}, {config.preset}", title_justify="left", show_header=False)
    table.add_row("model", config.model or "built on the spot")
    if tokenizer is not None:
        prompt = check_template(tokenizer, tasks, tasks.train[0], marked=METHODS[config.method].phase == "sft")
        table.add_row(
            "template", f"calls are read back, results keep what stands before them; {prompt} tokens of prompt"
        )
    table.add_row("tools", ", ".join(tasks.tools))
    table.add_row("references", _executed(config, tasks))
    table.add_row("training tasks", str(len(tasks.train)))
    table.add_row("evaluation", ", ".join(f"{name} {len(split.rows)}" for name, split in tasks.splits.items()))
    if tokenizer is not None:
        for name, size in check_memory(config, prompt, processes):
            table.add_row(name, size)
    return table


def _executed(config: TrainConfig, tasks: TaskSets) -> str:
    """Execute references: one of each split of a suite, whose solver made them in the sandbox, but those of a file."""
    began, calls, done, whole = time.perf_counter(), 0, 0, 0
    for name, rows, tools in (
        ("train", tasks.train, tasks.tools),
        *((name, split.rows, split.tools) for name, split in tasks.splits.items()),
    ):
        own = config.dataset is not None and "/" not in name
        some = rows[: EXECUTED if own else 1]
        calls += execute_references(some, tools, where=f"{config.dataset if own else name}: ")
        done, whole = done + len(some), whole + len(rows)
    shown = f"{done} of {whole}" if done < whole else f"all {whole}"
    return f"of {shown} tasks executed; {calls} calls in {time.perf_counter() - began:.2f} s"


def check_template(tokenizer: Any, tasks: TaskSets, row: Row, *, marked: bool = False) -> int:
    """Write a call with the template, read it back, and append its result.

    Args:
        tokenizer: Has the template.
        tasks: The tools.
        row: A task.
        marked: Whether the template has to mark what the assistant wrote, as SFT asks.

    Returns:
        Tokens of the row's prompt.

    Raises:
        ModelError: What comes back is not what was written, or `marked` is wanted and the template marks nothing.
    """
    if marked and not has_generation_markers(tokenizer.chat_template):
        raise ModelError(
            "the chat template marks no assistant tokens ({% generation %}), so SFT has nothing to learn; "
            "GRPO can do without"
        )
    chat = Chat(tokenizer, tasks.tools)
    prompt = chat.prompt(row)
    calls = row["reference"]["tool_calls"] or [{"name": row["tools"][0], "arguments": {}}]
    function = {"name": calls[0]["name"], "arguments": calls[0]["arguments"]}
    asked = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}
    whole = chat.render([*row["messages"], asked], tools=tasks.tools.only(*row["tools"]).schemas)
    if whole[: len(prompt)] != prompt:
        raise ModelError("the chat template is not prefix-preserving: an answer changes the tokens of its prompt")
    ends = [at for at, token in enumerate(whole) if at >= len(prompt) and token == tokenizer.eos_token_id]
    answer = whole[len(prompt) : ends[0] + 1 if ends else len(whole)]
    turn = chat.turn(row, prompt, answer)
    if turn.requests != (Request(function["name"], function["arguments"]),):
        raise ModelError(
            f"the chat template writes a call of {function['name']!r} that is not read back; "
            "set tokenizer.response_template"
        )
    chat.results([{"role": "tool", "name": function["name"], "content": "0"}])
    return len(prompt)


def check_memory(config: TrainConfig, prompt: int, processes: Processes) -> list[tuple[str, str]]:
    """Compare what the run needs with what there is.

    Raises:
        ConfigError: The weights and what training adds to them do not fit.
        ModelError: The weights are not there, or the model is no causal language model.
    """
    import torch

    check_weights(str(config.model))
    needed = estimate(load_shape(str(config.model)), config, prompt=prompt, processes=processes.count)
    where, free = available()
    sharded = processes.count > 1 and torch.cuda.is_available()  # FSDP and ZeRO split what is fixed
    share = needed.fixed // (processes.count if sharded else 1)
    if share > free:
        raise ConfigError(
            f"model {config.model!r}: weights, gradients and optimizer take {shown(share)}, "
            f"{where} has {shown(free)} free; use --lora-r 16, more processes, or a smaller model"
        )
    verdict = "" if needed.total <= free else ": too much at one time; lower --micro-batch or --rollouts-per-step"
    return [*needed.rows(), (where, f"{shown(free)} free{verdict}")]
