"""Batched rollouts outside the trainer: generate, run the tools, go on, until an answer or the budget.

The loop does what TRL's ``GRPOTrainer`` does while it trains (same template, same parser, same error messages for
unknown tools, same budget over the whole trajectory), so a number measured here is comparable with one logged there.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from trl.chat_template_utils import parse_response

__all__ = ["Budget", "Rollout", "run_rollouts"]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits of one rollout.

    Attributes:
        max_tokens: Tokens of the whole completion, tool results included.
        max_turns: Rounds of tool calls.
        batch: Rollouts generated together.
    """

    max_tokens: int = 256
    max_turns: int = 8
    batch: int = 64


@dataclass
class Rollout:
    """One finished rollout.

    Attributes:
        messages: The completion: assistant and tool messages.
        truncated: Whether the budget ended it rather than the model.
        tokens: Length of the completion in tokens, tool results included.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    truncated: bool = False
    tokens: int = 0


def run_rollouts(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[dict[str, Any]]],
    *,
    tools: Sequence[Callable[..., Any]],
    schemas: Sequence[Any] | None = None,
    budget: Budget,
    temperature: float = 0.0,
    seed: int = 0,
    on_batch: Callable[[int], None] | None = None,
) -> list[Rollout]:
    """Roll a policy out on prompts.

    Args:
        model: The policy.
        tokenizer: Its tokenizer, with a chat template that knows tools and a way to parse responses.
        prompts: Message lists.
        tools: Functions that run the tools, by their ``__name__``.
        schemas: What the template shows; the functions themselves when absent.
        budget: Limits.
        temperature: 0 decodes greedily, else samples.
        seed: Seed of the sampling; the global generator is left as it was.
        on_batch: Called with the number of rollouts finished, after each batch.

    Returns:
        One rollout per prompt, in order.
    """
    functions = {tool.__name__: tool for tool in tools}
    shown = list(tools if schemas is None else schemas) or None
    finished: list[Rollout] = []
    training = model.training
    model.eval()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for low in range(0, len(prompts), budget.batch):
            part = list(prompts[low : low + budget.batch])
            finished += _batch(model, tokenizer, part, functions, shown, budget, temperature)
            if on_batch is not None:
                on_batch(len(finished))
    model.train(training)
    return finished


def _batch(
    model: Any,
    tokenizer: Any,
    prompts: list[list[dict[str, Any]]],
    functions: Mapping[str, Callable[..., Any]],
    shown: Sequence[Any] | None,
    budget: Budget,
    temperature: float,
) -> list[Rollout]:
    rollouts = [Rollout() for _ in prompts]
    starts = tokenizer.apply_chat_template(
        prompts, tools=shown, add_generation_prompt=True, tokenize=True, return_dict=True
    )["input_ids"]
    written: list[list[int]] = [[] for _ in prompts]
    active = list(range(len(prompts)))
    for turn in range(budget.max_turns + 1):
        room = budget.max_tokens - min(len(written[at]) for at in active)
        answers = _generate(model, tokenizer, [starts[at] + written[at] for at in active], room, temperature)
        going = []
        for at, answer in zip(active, answers, strict=True):
            answer = answer[: budget.max_tokens - len(written[at])]
            prefix = starts[at] + written[at]
            written[at] = written[at] + answer
            rollouts[at].truncated = not answer or answer[-1] not in _ends(model, tokenizer)
            if not answer:
                continue
            message = parse_response(tokenizer, answer, prefix=prefix, tools=shown)
            rollouts[at].messages.append(message)
            if message.get("tool_calls") and turn < budget.max_turns:
                results = [_run(functions, call) for call in message["tool_calls"]]
                suffix = _suffix(tokenizer, results)
                if len(written[at]) + len(suffix) > budget.max_tokens:
                    rollouts[at].truncated = True
                    continue
                written[at] = written[at] + suffix
                rollouts[at].messages += results
                going.append(at)
        active = going
        if not active:
            break
    for at, ids in enumerate(written):
        rollouts[at].tokens = len(ids)
    return rollouts


def _generate(model: Any, tokenizer: Any, rows: list[list[int]], room: int, temperature: float) -> list[list[int]]:
    """Generate for rows of different lengths at once; each answer ends with its end token, if it has one."""
    device = next(model.parameters()).device
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), tokenizer.pad_token_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, width - len(row) :] = torch.tensor(row)
        mask[at, width - len(row) :] = 1
    settings = copy.deepcopy(model.generation_config)
    settings.max_new_tokens = max(1, room)
    settings.max_length = None
    settings.do_sample = temperature > 0
    settings.temperature = temperature if temperature > 0 else 1.0
    settings.top_k, settings.top_p = (0, 1.0) if temperature > 0 else (50, 1.0)
    settings.pad_token_id = tokenizer.pad_token_id
    ends = _ends(model, tokenizer)
    settings.eos_token_id = sorted(ends)
    out = model.generate(input_ids=ids.to(device), attention_mask=mask.to(device), generation_config=settings)
    answers = []
    for row in out[:, width:].tolist():
        stop = next((at for at, token in enumerate(row) if token in ends), len(row) - 1)
        answers.append(row[: stop + 1])
    return answers


def _ends(model: Any, tokenizer: Any) -> set[int]:
    declared = model.generation_config.eos_token_id
    ends = set(declared) if isinstance(declared, list) else {declared}
    return {token for token in {*ends, tokenizer.eos_token_id} if token is not None}


def _run(functions: Mapping[str, Callable[..., Any]], call: dict[str, Any]) -> dict[str, Any]:
    """Run one call; whatever goes wrong becomes the message that the model reads, as in TRL."""
    function = call["function"]
    name = function["name"]
    try:
        if name not in functions:
            raise ValueError(f"Tool {name} not found.")
        result = functions[name](**function["arguments"])
    except Exception as error:  # noqa: BLE001 - any failure of a tool is the model's to read
        result = {"error": str(error)}
    return {"role": "tool", "name": name, "content": str(result)}


def _suffix(tokenizer: Any, results: list[dict[str, Any]]) -> list[int]:
    """Tokens between the end of an assistant turn and the start of the next: the results, then the role header."""
    call = {"type": "function", "function": {"name": results[0]["name"], "arguments": {}}}
    dummy = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    before = tokenizer.apply_chat_template(dummy, tokenize=True, return_dict=False)
    after = tokenizer.apply_chat_template(dummy + results, add_generation_prompt=True, tokenize=True, return_dict=False)
    ends = [at for at, token in enumerate(before) if token == tokenizer.eos_token_id]
    return list(after[(ends[-1] + 1) if ends else len(before) :])
