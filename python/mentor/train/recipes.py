"""What makes a base model: its size, its space of tasks, its steps; one recipe per preset and suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from mentor.errors import ConfigError
from mentor.models.tiny import ModelShape
from mentor.train.supervised import Fit

__all__ = ["RECIPES", "BaseRecipe", "recipe_for"]


@dataclass(frozen=True, kw_only=True)
class BaseRecipe:
    """Everything that makes a base model, so that its hash can name a cache entry.

    Attributes:
        shape: The model's size and its tokenizer's pieces.
        space: (suite, split, share): where the tasks come from. What training is measured on later is drawn with other
            seeds.
        skills: (behaviour, share): what the base learns before it learns habits.
        trajectories: Trajectories that the base sees.
        bare: Share of them that show no list of tools: shorter, hence cheaper, and just as good for copying.
        fit: How to fit the base.
        habits: Trajectories of mixed behaviour in the warm start.
        warm: How to fit the warm start.
    """

    shape: ModelShape = field(default_factory=ModelShape)
    space: tuple[tuple[str, str, float], ...]
    skills: tuple[tuple[str, float], ...] = (("correct", 1.0),)
    trajectories: int
    bare: float = 0.25
    fit: Fit
    habits: int = 1_000
    warm: Fit


_ARITHMETIC = BaseRecipe(
    space=tuple(
        ("arithmetic", split, share)
        for split, share in {
            "in_domain": 3.0,
            "depth": 3.0,
            "operands": 3.0,
            "phrasing": 1.0,
            "combinations": 1.0,
            "paths": 1.0,
            "distractors": 1.0,
            "hint": 1.0,
        }.items()
    ),
    trajectories=11_200,
    fit=Fit(steps=350),
    warm=Fit(steps=25, learning_rate=6e-4, muon_rate=0.0, warmup=5, window=1),
)

_HINTS = BaseRecipe(
    shape=ModelShape(hidden=96, inner=2, layers=3, heads=3, context=512, vocabulary=640, values=True),
    space=(("hints", "space", 1.0),),
    skills=(("correct", 0.7), ("follow", 0.3)),
    trajectories=12_800,
    bare=0.5,
    fit=Fit(steps=900, learning_rate=6e-3, goal=0.15, settle=150),
    habits=6_400,
    warm=Fit(steps=200, learning_rate=2e-3, muon_rate=0.0, warmup=5, window=1),
)

_SMALL = BaseRecipe(
    shape=ModelShape(hidden=384, layers=8, heads=6, head=64, vocabulary=4_096),
    space=(
        *_ARITHMETIC.space,
        *(("store", split, 1.0) for split in ("in_domain", "depth", "operands", "phrasing", "combinations")),
        *(("everyday", split, 1.0) for split in ("in_domain", "depth", "operands", "phrasing", "combinations")),
    ),
    trajectories=60_000,
    fit=Fit(steps=2_000, batch=64, warmup=100),
    habits=4_000,
    warm=Fit(steps=60, batch=64, learning_rate=6e-4, muon_rate=0.0, warmup=5, window=1),
)
"""14.7 M parameters over three suites, for one GPU."""

RECIPES: Mapping[str, Mapping[str, BaseRecipe]] = MappingProxyType(
    {
        "tiny": MappingProxyType({"arithmetic": _ARITHMETIC, "hints": _HINTS}),
        "small": MappingProxyType(dict.fromkeys(("arithmetic", "store", "everyday"), _SMALL)),
    }
)
"""Preset -> suite -> recipe."""


def recipe_for(
    preset: str, suite: str, *, base_steps: int | None = None, warmup_steps: int | None = None
) -> BaseRecipe:
    """The recipe of a preset for a suite.

    Args:
        preset: A preset that builds its model, ``tiny`` or ``small``.
        suite: The suite's name, without options: those of ``hints`` share one base.
        base_steps: Steps of the base in place of the recipe's; the number of trajectories follows.
        warmup_steps: Steps of the warm start in place of the recipe's.

    Returns:
        The recipe.

    Raises:
        ConfigError: There is none.

    Example:
        >>> recipe_for("tiny", "hints").shape.hidden
        96
    """
    known = RECIPES.get(preset, {})
    recipe = known.get(suite)
    if recipe is None:
        raise ConfigError(
            f"preset {preset!r} has no base model for the suite {suite!r}; known: {', '.join(known) or 'none'}"
        )
    if base_steps is not None and base_steps != recipe.fit.steps:
        count = max(128, min(recipe.trajectories, base_steps * recipe.fit.batch))
        recipe = replace(recipe, trajectories=count, fit=replace(recipe.fit, steps=base_steps))
    if warmup_steps is not None:
        recipe = replace(recipe, warm=replace(recipe.warm, steps=warmup_steps))
    return recipe
