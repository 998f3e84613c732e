"""Base models that are built on the spot: a skill first, then habits.

Stage one teaches skills: reading a task, copying values into arguments, reading results. It sees correct trajectories
over the whole space of tasks, as a pre-trained model has seen more than any fine-tuning set holds. Stage
two teaches habits, mostly bad ones (a suite's ``behaviours``). What reinforcement learning then has to find out is
which of its habits pay.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mentor.data import Task
from mentor.models.tiny import build_model, build_tokenizer
from mentor.suites import Suite, open_suite
from mentor.tools import ToolSet
from mentor.train.recipes import BaseRecipe
from mentor.train.supervised import Example, encode, fit

__all__ = ["OnStep", "build_base", "sample", "warm_start"]

OnStep = Callable[[int, float, Callable[[], dict[str, Any]]], None]
"""Called after each step with (steps done, loss, a function that returns the optimizers' state)."""


@dataclass(frozen=True)
class Shown:
    """A demonstration: the messages, and the schemas of the tools that it offers."""

    messages: list[dict[str, Any]]
    schemas: tuple[dict[str, Any], ...]


def build_base(recipe: BaseRecipe, *, seed: int, on_step: OnStep | None = None) -> tuple[Any, Any]:
    """Build tokenizer and model from nothing, and teach them the skill.

    Args:
        recipe: Sizes, tasks and steps.
        seed: Seed of weights, tasks and order; the same seed gives the same model on the same machine.
        on_step: Called after each step.

    Returns:
        The model and its tokenizer.
    """
    rng = random.Random(f"base-{seed}")
    shown = list(_demonstrations(recipe, recipe.trajectories, seed=seed, rng=rng, skilled=True))
    others = [*_demonstrations(recipe, _CORPUS // 2, seed=seed, rng=rng, skilled=False), *_verbose(recipe, seed=seed)]
    tokenizer = build_tokenizer(_texts([*shown[:_CORPUS], *others]), recipe.shape)
    model = build_model(tokenizer, recipe.shape, seed=seed)
    bare = round(len(shown) * recipe.bare)
    examples = _encode(tokenizer, [Shown(each.messages, ()) for each in shown[:bare]] + shown[bare:])
    fit(model, examples, recipe.fit, pad=tokenizer.pad_token_id, on_step=on_step)
    return model, tokenizer


def warm_start(model: Any, tokenizer: Any, recipe: BaseRecipe, *, seed: int, on_step: OnStep | None = None) -> None:
    """Teach the base its mixed habits, in place; arguments as for :func:`build_base`."""
    rng = random.Random(f"warm-{seed}")
    shown = list(_demonstrations(recipe, recipe.habits, seed=seed + 1, rng=rng, skilled=False))
    fit(model, _encode(tokenizer, shown), recipe.warm, pad=tokenizer.pad_token_id, on_step=on_step)


def sample(recipe: BaseRecipe, *, seed: int) -> list[Any]:
    """The first demonstrations of a recipe, as plain values: what they look like names a cache entry."""
    rng = random.Random(0)
    few = [list(_demonstrations(recipe, _SAMPLE, seed=seed, rng=rng, skilled=skilled)) for skilled in (True, False)]
    return [[each.messages, each.schemas] for part in few for each in part]


_CORPUS = 800
"""Demonstrations that the tokenizer is trained on."""

_SAMPLE = 64


def _verbose(recipe: BaseRecipe, *, seed: int) -> Iterator[Shown]:
    """Long-winded trajectories: the model never sees them, but its tokenizer knows their words."""
    for name in dict.fromkeys(name for name, _, _ in recipe.space):
        suite = open_suite(name)
        if suite.verbose is not None:
            tasks = suite.draw("in_domain", _CORPUS // 8, seed=seed, tools=suite.open_tools(), exclude=())
            yield from (Shown([*task.messages, *suite.verbose(task)], ()) for task in tasks)


def _demonstrations(recipe: BaseRecipe, count: int, *, seed: int, rng: random.Random, skilled: bool) -> Iterator[Shown]:
    """Draw tasks from the recipe's space and show each one, solved or with the suite's habits."""
    suites: dict[str, tuple[Suite, ToolSet, dict[str, dict[str, Any]]]] = {}
    drawn: list[tuple[str, Task]] = []
    total = sum(share for _, _, share in recipe.space)
    for at, (name, split, share) in enumerate(recipe.space):
        if name not in suites:
            suite = open_suite(name)
            tools = suite.open_tools()
            suites[name] = suite, tools, {schema["function"]["name"]: schema for schema in tools.schemas}
        suite, tools, _ = suites[name]
        wanted = max(1, round(count * share / total))
        drawn += [(name, task) for task in suite.draw(split, wanted, seed=seed + 7 * at, tools=tools, exclude=())]
    random.Random(seed).shuffle(drawn)
    for name, task in drawn:
        suite, _, schemas = suites[name]
        if suite.behave is None:
            raise ValueError(f"suite {name!r} shows no behaviours, so no base can be built on it")
        shares = dict(recipe.skills) if skilled else suite.behaviours
        kind = rng.choices(list(shares), list(shares.values()))[0]
        messages = [*task.messages, *suite.behave(task, kind, rng)]
        yield Shown(messages, tuple(schemas[str(tool)] for tool in task.tools))


def _encode(tokenizer: Any, shown: Sequence[Shown]) -> list[Example]:
    """Tokenize, those together that offer the same tools; the order stays."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for at, each in enumerate(shown):
        groups.setdefault(tuple(schema["function"]["name"] for schema in each.schemas), []).append(at)
    found: dict[int, Example] = {}
    for members in groups.values():
        conversations = [shown[at].messages for at in members]
        found |= zip(members, encode(tokenizer, conversations, tools=shown[members[0]].schemas), strict=True)
    return [found[at] for at in range(len(shown))]


def _texts(shown: Sequence[Shown]) -> list[str]:
    """Render without a tokenizer, which does not exist yet."""
    from transformers.utils.chat_template_utils import render_jinja_template

    from mentor.models.template import CHAT_TEMPLATE

    texts = []
    for each in shown:
        rendered, _ = render_jinja_template(
            conversations=[each.messages], tools=list(each.schemas), chat_template=CHAT_TEMPLATE
        )
        texts += rendered
    return texts
