"""Supervised steps in parts: micro-batches are the whole batch, to rounding."""

from __future__ import annotations

import copy
from typing import Any

import pytest

pytest.importorskip("trl")

import torch

from mentor.models.tiny import ModelShape, build_model, build_tokenizer
from mentor.train.supervised import IGNORED, Example, Fit, fit

pytestmark = pytest.mark.train

SHAPE = ModelShape(hidden=32, layers=2, heads=2, vocabulary=300)


@pytest.fixture(scope="module")
def model() -> Any:
    return build_model(build_tokenizer(["add one to two"], SHAPE), SHAPE, seed=0)


def examples() -> list[Example]:
    """Of different lengths, with different shares of tokens that carry loss, one of them with none."""
    found = []
    for at in range(6):
        ids = [5 + (at * 7 + place) % 90 for place in range(6 + 5 * at)]
        kept = range(len(ids)) if at == 1 else range(len(ids) - at, len(ids))
        found.append(Example(ids=ids, labels=[token if place in kept else IGNORED for place, token in enumerate(ids)]))
    return found


def trained(model: Any, micro: int) -> tuple[list[float], dict[str, torch.Tensor]]:
    own, losses = copy.deepcopy(model), []
    settings = Fit(steps=4, batch=6, window=1, muon_rate=0.0, warmup=1, micro=micro)
    fit(own, examples(), settings, pad=0, on_step=lambda step, loss, _: losses.append(loss))
    return losses, own.state_dict()


@pytest.mark.parametrize("micro", [1, 4, 5])
def test_micro_batches_give_the_step_of_the_whole_batch(model: Any, micro: int) -> None:
    losses, weights = trained(model, micro)
    wanted, whole = trained(model, 0)
    assert losses == pytest.approx(wanted, rel=1e-5)
    assert wanted[-1] < wanted[0]
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, whole[name], rtol=1e-3, atol=1e-5)


def test_a_step_without_a_marked_token_changes_nothing(model: Any) -> None:
    own, losses = copy.deepcopy(model), []
    settings = Fit(steps=1, batch=1, muon_rate=0.0, warmup=1)
    unmarked = [Example(ids=[5, 6, 7], labels=[5, IGNORED, IGNORED])]
    fit(own, unmarked, settings, pad=0, on_step=lambda step, loss, _: losses.append(loss))
    assert losses == [0.0]
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in own.state_dict().items())
