"""Which reward, with which weights: frozen configs that ``score_batch`` takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import orjson

from mentor import _core
from mentor.errors import InputError, InputTypeError

__all__ = ["REWARDS", "DenseReward", "PublishedReward", "Reward", "prepared_reward", "reward_name"]

REWARDS: tuple[str, ...] = tuple(_core.REWARDS)
"""The names of all rewards, the default first."""

_NO_PENALTIES: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class DenseReward:
    """``mentor-dense`` with weights of its own; ``docs/mentor-dense.md`` has the formulas.

    Attributes:
        outcome: Weight of the right answer. Must be above ``wrong_scale * (process + validity)``.
        process: Weight of the process: F1 of the alignment with the reference's calls.
        validity: Weight of validity.
        wrong_scale: Factor of process and validity where the answer is wrong, from 0 to 1.
        evidence: ``required`` counts executed calls only, ``offline`` all that are written: for text without results.
        number_tolerance: Numbers of which one is no integer are equal if they differ by at most this share.
        equivalent: Similarity of another call with the same result, from 0 to 1.
        out_of_order: Factor of an argument that equals a result which was not yet there, from 0 to 1.
        same_words: Similarity of two texts of the same words in another writing, from 0 to 1.
        max_call_bytes: A call of more bytes counts as invalid.
        penalties: What a defect takes from validity, which begins at 1; by the defect's kind. Kinds that are left out
            keep their defaults.

    Raises:
        InputError: A value cannot be used; the message names the field.

    Example:
        >>> DenseReward(process=0.2, penalties={"unknown_tool": 1.0}).process
        0.2
    """

    outcome: float = 0.6
    process: float = 0.3
    validity: float = 0.1
    wrong_scale: float = 0.25
    evidence: Literal["required", "offline"] = "required"
    number_tolerance: float = 1e-6
    equivalent: float = 0.8
    out_of_order: float = 0.5
    same_words: float = 0.9
    max_call_bytes: int = 1 << 16
    penalties: Mapping[str, float] = field(default_factory=lambda: _NO_PENALTIES)

    def __post_init__(self) -> None:
        """Checks the values."""
        object.__setattr__(self, "penalties", MappingProxyType(dict(self.penalties)))
        _prepare(self)

    def __hash__(self) -> int:
        return hash(self._json())

    def __reduce__(self) -> tuple[Any, ...]:
        return _dense, (self._options(),)

    def _options(self) -> dict[str, Any]:
        options = {option.name: getattr(self, option.name) for option in dataclasses.fields(self)}
        return {**options, "penalties": dict(self.penalties)}

    def _json(self) -> str:
        return orjson.dumps({"name": "mentor-dense", **self._options()}).decode()


def _dense(options: dict[str, Any]) -> DenseReward:
    return DenseReward(**options)


@dataclass(frozen=True, slots=True)
class PublishedReward:
    """A published reward with an option.

    Attributes:
        name: ``mentor``, ``overlap``, ``valid``, ``f1``, ``sparse``, ``strict`` or ``toolrl``.
        require_call: Where the reference calls tools, pay the term for validity only to a rollout that calls one. The
            published rewards pay it to silence too, which teaches silence.

    Raises:
        InputError: There is no such reward, or it has no such option.

    Example:
        >>> PublishedReward("mentor", require_call=True).name
        'mentor'
    """

    name: str
    require_call: bool = False

    def __post_init__(self) -> None:
        """Checks the values."""
        _prepare(self)

    def _json(self) -> str:
        options = {"require_call": True} if self.require_call else {}
        return orjson.dumps({"name": self.name, **options}).decode()


Reward = str | DenseReward | PublishedReward | Mapping[str, Any]
"""What ``score_batch`` takes as ``reward``: a name, a config, or a dict of a name and options."""


def reward_name(reward: Reward) -> str:
    """The name of a reward."""
    if isinstance(reward, DenseReward):
        return "mentor-dense"
    if isinstance(reward, PublishedReward):
        return reward.name
    return str(reward["name"] if isinstance(reward, Mapping) else reward)


def prepared_reward(reward: Reward) -> _core.PreparedReward:
    """The reward as the scorer takes it.

    Args:
        reward: A name, a config, or a dict of a ``name`` and options.

    Returns:
        The prepared reward.

    Raises:
        InputError: There is no such reward, or an option cannot be used; the message names it.
        InputTypeError: It is something else.
    """
    if isinstance(reward, str | Mapping | DenseReward | PublishedReward):
        return _prepare(reward)
    raise InputTypeError(f"reward: must be a name, a DenseReward or a PublishedReward, got {type(reward).__name__}")


def _prepare(reward: Reward) -> _core.PreparedReward:
    if isinstance(reward, DenseReward | PublishedReward):
        text = reward._json()
    elif isinstance(reward, str):
        text = orjson.dumps(reward.encode("utf-8", "replace").decode()).decode()
    else:
        try:
            text = orjson.dumps(dict(reward)).decode()
        except TypeError as error:
            raise InputError(f"reward: cannot be written as JSON: {error}") from None
    try:
        return _core.PreparedReward(text)
    except ValueError as error:
        raise InputError(f"reward: {error}") from None
