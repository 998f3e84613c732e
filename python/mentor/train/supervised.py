"""Supervised training on chat trajectories: the base model, the warm start and the ``sft`` method.

Only the assistant's tokens carry loss. Matrices are updated by Muon, everything else by AdamW: on the tiny model,
copying numbers into arguments emerges after about 60 steps of Muon, where AdamW needed several hundred.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mentor.errors import ModelError
from mentor.evaluate.processes import Processes

__all__ = ["Example", "Fit", "encode", "fit"]

ALONE = Processes()
IGNORED = -100
"""Label of a token without loss."""


@dataclass(frozen=True)
class Example:
    """One tokenized trajectory.

    Attributes:
        ids: Token ids, shape (T,).
        labels: The same where the assistant wrote the token, else ``IGNORED``; shape (T,).
    """

    ids: list[int]
    labels: list[int]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How to fit.

    Attributes:
        steps: Optimizer steps.
        batch: Trajectories per step.
        learning_rate: Peak rate of AdamW (embeddings, norms).
        muon_rate: Peak rate of Muon (all other matrices); 0 leaves everything to AdamW.
        warmup: Steps of linear warm-up; cosine decay to 5 % follows.
        window: Batches drawn together and sorted by length among themselves, which saves padding; 1 keeps every batch
            a fair draw, which matters where length tells behaviours apart.
        seed: Seed of the order of the examples.
        goal: Loss at which the skill is there: copying appears all at once, sooner with one seed than with another. The
            rates then stay high until the mean loss of 20 steps is below it, fall over ``settle`` steps, and fitting
            ends; ``steps`` is the most. 0: a cosine over ``steps``.
        settle: Steps of the decay that follows ``goal``.
        micro: Trajectories per forward and backward pass; 0 takes a step's all at once. The gradients are the same, to
            rounding.
    """

    steps: int
    batch: int = 32
    learning_rate: float = 3e-3
    muon_rate: float = 0.02
    warmup: int = 20
    window: int = 8
    seed: int = 0
    goal: float = 0.0
    settle: int = 60
    micro: int = 0


def encode(tokenizer: Any, conversations: Sequence[list[dict[str, Any]]], *, tools: Sequence[Any]) -> list[Example]:
    """Render and tokenize conversations, with the loss on the assistant's tokens.

    Args:
        tokenizer: A tokenizer whose chat template has ``{% generation %}`` markers.
        conversations: Message lists, prompt and completion together.
        tools: The tools offered, as JSON schemas or functions.

    Returns:
        One example per conversation.

    Raises:
        ModelError: The template marks no assistant tokens.
    """
    batch = tokenizer.apply_chat_template(
        list(conversations),
        tools=list(tools) or None,
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    examples = []
    for ids, mask in zip(batch["input_ids"], batch["assistant_masks"], strict=True):
        labels = [token if marked else IGNORED for token, marked in zip(ids, mask, strict=True)]
        examples.append(Example(ids=list(ids), labels=labels))
    if examples and all(label == IGNORED for label in examples[0].labels):
        raise ModelError("the chat template marks no assistant tokens ({% generation %}), so SFT has nothing to learn")
    return examples


def fit(
    model: Any,
    examples: Sequence[Example],
    settings: Fit,
    *,
    pad: int,
    start: int = 0,
    state: dict[str, Any] | None = None,
    on_step: Callable[[int, float, Callable[[], dict[str, Any]]], None] | None = None,
    processes: Processes = ALONE,
) -> None:
    """Fit a model in place, on a GPU with bfloat16 arithmetic.

    Args:
        model: A causal language model with ``model`` and ``lm_head`` (or ``get_decoder`` and the output embeddings).
        examples: What to learn.
        settings: Steps, rates, seed.
        pad: Id that fills short rows; padding is on the right and carries no loss, so no attention mask is needed.
        start: Steps already done, when going on from a checkpoint; the batches drawn are those of an unbroken run.
        state: The optimizers' state at ``start``.
        on_step: Called after each step with (steps done, loss, a function that returns the optimizers' state).
        processes: Those that share each step; every one has the whole model, and the same one.
    """
    optimizers = _optimizers(model, settings)
    peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    if state is not None:
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
    model.train()
    device = next(model.parameters()).device
    batches = _batches(examples, settings)
    last, recent = settings.steps, deque[float](maxlen=20)
    for step in range(settings.steps):
        rows = next(batches)
        if step < start:
            continue
        if step == last:
            break
        scale = _schedule(step, settings) if settings.goal == 0 else _plateau(step, last, settings)
        for optimizer, rates in zip(optimizers, peaks, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * scale
        loss = _backward(model, rows, settings.micro, pad, device, processes)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        recent.append(loss)
        if last == settings.steps and len(recent) == 20 and sum(recent) / 20 < settings.goal:
            last = min(last, step + 1 + settings.settle)
        if on_step is not None:
            on_step(step + 1, recent[-1], lambda: {"optimizers": [o.state_dict() for o in optimizers]})
    model.eval()


def _backward(
    model: Any, rows: Sequence[Example], micro: int, pad: int, device: torch.device, processes: Processes
) -> float:
    """Gradients of the mean loss over all marked tokens of a step; returns that loss."""
    total = max(1, _marked(rows))
    own = rows[processes.index :: processes.count]
    size = micro or max(1, len(own))
    found = torch.zeros((), device=device)
    for part in (own[low : low + size] for low in range(0, len(own), size)):
        if count := _marked(part):
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                loss = _loss(model, *_collate(part, pad, device)) * (count / total)
            torch.autograd.backward(loss)
            found += loss.detach()
    if processes.count > 1:
        torch.distributed.all_reduce(found)
        for parameter in model.parameters():
            if parameter.requires_grad:
                if parameter.grad is None:  # none of its rows had a marked token
                    parameter.grad = torch.zeros_like(parameter)
                torch.distributed.all_reduce(parameter.grad)
    return float(found)


def _marked(rows: Sequence[Example]) -> int:
    """Tokens with loss; a row's first is predicted from nothing."""
    return sum(label != IGNORED for row in rows for label in row.labels[1:])


def _schedule(step: int, settings: Fit) -> float:
    warm = min(1.0, (step + 1) / max(1, settings.warmup))
    return warm * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / settings.steps)))


def _plateau(step: int, last: int, settings: Fit) -> float:
    warm = min(1.0, (step + 1) / max(1, settings.warmup))
    return warm * (0.05 + 0.95 * min(1.0, (last - step) / settings.settle))


def _optimizers(model: Any, settings: Fit) -> list[torch.optim.Optimizer]:
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    matrices, others = [], []
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        if settings.muon_rate > 0 and parameter.ndim == 2 and id(parameter) not in embeddings:
            matrices.append(parameter)
        else:
            others.append(parameter)
    optimizers: list[torch.optim.Optimizer] = []
    if matrices:
        optimizers.append(torch.optim.Muon(matrices, lr=settings.muon_rate, momentum=0.95, weight_decay=0.0))
    if others:
        optimizers.append(torch.optim.AdamW(others, lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.0))
    return optimizers


def _batches(examples: Sequence[Example], settings: Fit) -> Iterator[list[Example]]:
    """Yield batches without end; within a window, rows of like length go together."""
    rng = random.Random(settings.seed)
    size, window = settings.batch, settings.batch * settings.window
    while True:
        order = list(range(len(examples)))
        rng.shuffle(order)
        groups = []
        for low in range(0, len(order), window):
            chunk = sorted(order[low : low + window], key=lambda at: len(examples[at].ids))
            groups += [chunk[at : at + size] for at in range(0, len(chunk), size)]
        rng.shuffle(groups)
        for group in groups:
            yield [examples[at] for at in group]


def _collate(rows: Sequence[Example], pad: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    length = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), length), pad, dtype=torch.long)
    labels = torch.full((len(rows), length), IGNORED, dtype=torch.long)
    for at, row in enumerate(rows):
        ids[at, : len(row.ids)] = torch.tensor(row.ids)
        labels[at, : len(row.labels)] = torch.tensor(row.labels)
    return ids.to(device), labels.to(device)


def _loss(model: Any, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy; the head runs only where a label asks for it."""
    hidden = model.get_decoder()(input_ids=ids).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    marked = wanted != IGNORED
    logits = model.get_output_embeddings()(hidden[marked]).float()
    return torch.nn.functional.cross_entropy(logits, wanted[marked])
