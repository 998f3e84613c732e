"""The tiny preset's base model and its warm start.

Stage one teaches the skill: reading a task, copying numbers into arguments, reading results. It sees correct
trajectories over the whole space of tasks, as a pre-trained model has seen more than any fine-tuning set holds. Stage
two teaches habits, mostly bad ones (:mod:`mentor.suites.behaviours`). What reinforcement learning then has to find out
is which of its habits pay.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mentor.models.tiny import ModelShape, build_model, build_tokenizer
from mentor.suites import BEHAVIOURS, Behaviour, Split, Task, demonstrate, make_tasks
from mentor.train.supervised import Fit, encode, fit

__all__ = ["BaseRecipe", "build_base", "warm_start"]

_SPACE = (Split(depths=(1, 2, 3, 4, 4), low=2, high=99), Split(depths=(1, 2, 3, 4, 4), low=2, high=999))
"""The whole space of tasks: every depth and operand size that any split draws."""


@dataclass(frozen=True, kw_only=True)
class BaseRecipe:
    """Everything that makes the base model, so that its hash can name a cache entry.

    Attributes:
        shape: The model's size.
        trajectories: Correct trajectories that the base sees.
        bare: Share of them that show no list of tools: shorter, hence cheaper, and just as good for copying.
        fit: How to fit the base.
        habits: Trajectories of mixed behaviour in the warm start.
        warm: How to fit the warm start.
    """

    shape: ModelShape = field(default_factory=ModelShape)
    trajectories: int = 11_200
    bare: float = 0.25
    fit: Fit = field(default_factory=lambda: Fit(steps=350))
    habits: int = 1_000
    warm: Fit = field(default_factory=lambda: Fit(steps=25, learning_rate=6e-4, muon_rate=0.0, warmup=5, window=1))


Call = Callable[[str, dict[str, Any]], Any]
OnStep = Callable[[int, float, Callable[[], dict[str, Any]]], None]


def build_base(
    recipe: BaseRecipe, *, seed: int, names: list[str], schemas: Sequence[Any], call: Call, on_step: OnStep | None
) -> tuple[Any, Any]:
    """Build tokenizer and model from nothing.

    Args:
        recipe: Sizes and steps.
        seed: Seed of weights, tasks and order; the same seed gives the same model on the same machine.
        names: Tools that the tasks offer.
        schemas: The same tools as JSON schemas.
        call: Runs one tool.
        on_step: Called after each step.

    Returns:
        The model and its tokenizer.
    """
    rng = random.Random(f"base-{seed}")
    tasks = _space_tasks(recipe.trajectories, seed=seed, names=names, call=call)
    conversations = [_conversation(task, Behaviour.CORRECT, rng) for task in tasks]
    flawed = [_conversation(task, rng.choice(list(Behaviour)), rng) for task in tasks[:400]]
    tokenizer = build_tokenizer(_texts(conversations[:800] + flawed, schemas), recipe.shape)
    model = build_model(tokenizer, recipe.shape, seed=seed)
    bare = round(len(conversations) * recipe.bare)
    examples = encode(tokenizer, conversations[bare:], tools=schemas) + encode(
        tokenizer, conversations[:bare], tools=()
    )
    fit(model, examples, recipe.fit, pad=tokenizer.pad_token_id, on_step=on_step)
    return model, tokenizer


def warm_start(
    model: Any,
    tokenizer: Any,
    recipe: BaseRecipe,
    *,
    seed: int,
    names: list[str],
    schemas: Sequence[Any],
    call: Call,
    on_step: OnStep | None,
) -> None:
    """Teach the base its mixed habits, in place; arguments as for :func:`build_base`."""
    rng = random.Random(f"warm-{seed}")
    tasks = _space_tasks(recipe.habits, seed=seed + 1, names=names, call=call)
    kinds = rng.choices(list(BEHAVIOURS), list(BEHAVIOURS.values()), k=len(tasks))
    conversations = [_conversation(task, kind, rng) for task, kind in zip(tasks, kinds, strict=True)]
    fit(
        model,
        encode(tokenizer, conversations, tools=schemas),
        recipe.warm,
        pad=tokenizer.pad_token_id,
        on_step=on_step,
    )


def _space_tasks(count: int, *, seed: int, names: list[str], call: Call) -> list[Task]:
    tasks: list[Task] = []
    for at, split in enumerate(_SPACE):
        share = count // len(_SPACE)
        tasks += make_tasks(split, share, seed=seed + at, tools=names, call=call, prefix=f"space-{at}")
    random.Random(seed).shuffle(tasks)
    return tasks


def _conversation(task: Task, behaviour: Behaviour, rng: random.Random) -> list[dict[str, Any]]:
    return [{"role": "user", "content": task["prompt"]}, *demonstrate(task, behaviour, rng)]


def _texts(conversations: list[list[dict[str, Any]]], schemas: Sequence[Any]) -> list[str]:
    """Render without a tokenizer, which does not exist yet."""
    from transformers.utils.chat_template_utils import render_jinja_template

    from mentor.models.template import CHAT_TEMPLATE

    rendered, _ = render_jinja_template(conversations=conversations, tools=list(schemas), chat_template=CHAT_TEMPLATE)
    return list(rendered)
