"""Base models that are built on the spot: tokens, recipes, the cache, the same bits for the same seed."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch

from mentor.errors import ConfigError
from mentor.models.tiny import ModelShape, build_tokenizer
from mentor.suites.hints import hints
from mentor.train.cache import cache_folder, key_of, start_model
from mentor.train.recipes import RECIPES, BaseRecipe, recipe_for
from mentor.train.supervised import Example, Fit, fit

pytestmark = pytest.mark.train

SUITE = hints()
SHORT = replace(
    recipe_for("tiny", "hints", base_steps=3, warmup_steps=2),
    shape=ModelShape(hidden=16, inner=1, layers=1, heads=1, context=256, vocabulary=640, values=True),
    trajectories=128,
    habits=64,
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENTOR_CACHE_DIR", str(tmp_path / "cache"))


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_every_value_is_one_token_and_any_text_survives() -> None:
    tokenizer = build_tokenizer(["take 3 mix 45 tie 7 hint 99"] * 3, ModelShape(vocabulary=640, values=True))
    for value in range(100):
        assert len(tokenizer(str(value))["input_ids"]) == 1
    assert [tokenizer.decode([token]) for token in tokenizer("12345")["input_ids"]] == ["12", "34", "5"]
    for text in ("take 3 mix 45", 'é漢 {"a": 7}\n\n x', "<|im_start|>user\nhi<|im_end|>\n"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_call_takes_eight_tokens() -> None:
    tokenizer = start_model(SHORT, seed=0).tokenizer
    task = SUITE.draw("in_domain", 1, seed=1, tools=SUITE.open_tools(), exclude=())[0]
    assert SUITE.behave is not None
    messages = [*task.messages, *SUITE.behave(task, "correct", random.Random(0))]
    batch = tokenizer.apply_chat_template(
        [messages], tools=[], tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    calls = len(task.reference["tool_calls"])
    assert sum(batch["assistant_masks"][0]) == 8 * calls + 4


def test_the_same_seed_gives_the_same_bits() -> None:
    first, again = (start_model(SHORT, seed=1, cache=False) for _ in range(2))
    assert first.built and first.folder is None
    assert same(weights(first.model), weights(again.model))
    assert not same(weights(first.model), weights(start_model(SHORT, seed=2, cache=False).model))
    assert not cache_folder().exists()


def test_the_second_one_comes_out_of_the_cache() -> None:
    told: list[tuple[str, int]] = []
    first = start_model(SHORT, seed=1, on_step=lambda phase, step, loss: told.append((phase, step)))
    assert told == [("base", 1), ("base", 2), ("base", 3), ("warmup", 1), ("warmup", 2)]
    again = start_model(SHORT, seed=1, on_step=lambda phase, step, loss: told.append((phase, step)))
    assert (first.built, again.built, len(told)) == (True, False, 5)
    assert first.folder == again.folder == cache_folder() / key_of(SHORT, seed=1)
    assert same(weights(first.model), weights(again.model))


def test_a_damaged_entry_is_built_again() -> None:
    first = start_model(SHORT, seed=1)
    assert first.folder is not None
    (first.folder / "model.safetensors").write_bytes(b"torn")
    again = start_model(SHORT, seed=1)
    assert again.built
    assert same(weights(first.model), weights(again.model))
    assert not start_model(SHORT, seed=1).built


def test_a_cache_that_cannot_be_written_costs_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MENTOR_CACHE_DIR", str(tmp_path / "file"))
    start = start_model(SHORT, seed=1)
    assert start.built
    assert start.folder is None


def test_whatever_makes_a_base_is_in_its_key() -> None:
    keys = {key_of(SHORT, seed=seed) for seed in (0, 1)}
    keys |= {
        key_of(replace(SHORT, **change), seed=0)
        for change in (
            {"trajectories": 129},
            {"fit": replace(SHORT.fit, goal=0.1)},
            {"space": (("hints", "nohint", 1.0),)},
            {"skills": (("correct", 1.0),)},
        )
    }
    assert len(keys) == 6


def test_processes_that_want_the_same_base_build_it_once() -> None:
    text = (
        "from dataclasses import replace\n"
        "from mentor.models.tiny import ModelShape\n"
        "from mentor.train.cache import start_model\n"
        "from mentor.train.recipes import recipe_for\n"
        "recipe = recipe_for('tiny', 'hints', base_steps=3, warmup_steps=2)\n"
        f"print(start_model(replace(recipe, shape={SHORT.shape}, habits=64), seed=3).built)\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(process.communicate(timeout=120)[0].split()[-1] for process in both) == ["False", "True"]


def test_fitting_to_a_goal_ends_when_the_skill_is_there() -> None:
    start = start_model(SHORT, seed=1)
    examples = [Example(ids=[5, 6, 7, 8], labels=[-100, 6, 7, 8])] * 8
    seen: list[float] = []
    settings = Fit(steps=400, batch=8, goal=0.2, settle=10, warmup=1)
    fit(start.model, examples, settings, pad=0, on_step=lambda step, loss, _: seen.append(loss))
    reached = next(at for at in range(20, 400) if sum(seen[at - 20 : at]) / 20 < 0.2)
    assert len(seen) == reached + 10 < 400


@pytest.mark.parametrize("preset", RECIPES)
def test_recipes_draw_from_suites_that_there_are(preset: str) -> None:
    for recipe in RECIPES[preset].values():
        assert isinstance(recipe, BaseRecipe)
        assert len(key_of(replace(recipe, trajectories=64), seed=0)) == 24


def test_a_suite_without_a_recipe_is_refused() -> None:
    with pytest.raises(ConfigError, match="preset 'custom' has no base model for the suite 'hints'; known: none"):
        recipe_for("custom", "hints")
