"""A cache of base models, in the user's own cache folder, keyed by everything that made them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from mentor.train.base import build_base, sample, warm_start
from mentor.train.folder import complete_folder
from mentor.train.recipes import BaseRecipe

__all__ = ["Start", "key_of", "start_model"]

_CODE = ("models/tiny.py", "models/template.py", "train/base.py", "train/supervised.py")


@dataclass(frozen=True)
class Start:
    """A base model that is ready for training.

    Attributes:
        model: The model, after its warm start.
        tokenizer: Its tokenizer.
        folder: Its place in the cache, if it has one.
        built: Whether it was built now.
    """

    model: Any
    tokenizer: Any
    folder: Path | None
    built: bool


def start_model(
    recipe: BaseRecipe, *, seed: int, cache: bool = True, on_step: Callable[[str, int, float], None] | None = None
) -> Start:
    """Take a base model from the cache, or build it: base, then warm start.

    Of several processes that want the same model, one builds it and the others wait for it.

    Args:
        recipe: What to build.
        seed: Seed of weights, tasks and order; the same seed gives the same model on the same machine.
        cache: Whether to use and fill the cache. One that cannot be written costs time later, not this run.
        on_step: Called after each step with the phase (``base``, ``warmup``), the steps done and the loss.

    Returns:
        The model; on the CPU, in float32.
    """
    if not cache:
        return Start(*_build(recipe, seed, on_step), None, True)
    folder = cache_folder() / key_of(recipe, seed=seed)
    with _alone(folder):
        if (found := _load(folder)) is not None:
            return Start(*found, folder, False)
        model, tokenizer = _build(recipe, seed, on_step)
        try:
            with complete_folder(folder) as partial:
                model.save_pretrained(partial)
                tokenizer.save_pretrained(partial)
        except OSError:
            return Start(model, tokenizer, None, True)
    return Start(model, tokenizer, folder, True)


def key_of(recipe: BaseRecipe, *, seed: int) -> str:
    """Hash the recipe, its first demonstrations, the seed, the code that builds, and the libraries' versions."""
    import mentor

    root = Path(str(mentor.__file__)).parent
    digest = hashlib.sha256()
    facts = {"recipe": asdict(recipe), "seed": seed, "sample": sample(recipe, seed=seed)}
    digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
    for name in _CODE:
        digest.update((root / name).read_bytes())
    for name in ("torch", "transformers", "tokenizers"):
        digest.update(metadata.version(name).encode())
    return digest.hexdigest()[:24]


def cache_folder() -> Path:
    """Return ``bases`` below ``$MENTOR_CACHE_DIR``, else ``$XDG_CACHE_HOME/mentor-rs``, else ``~/.cache/mentor-rs``."""
    if own := os.environ.get("MENTOR_CACHE_DIR"):
        return Path(own) / "bases"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mentor-rs" / "bases"


def _build(recipe: BaseRecipe, seed: int, on_step: Callable[[str, int, float], None] | None) -> tuple[Any, Any]:
    def tell(phase: str) -> Callable[[int, float, Any], None] | None:
        return None if on_step is None else lambda step, loss, _: on_step(phase, step, loss)

    model, tokenizer = build_base(recipe, seed=seed, on_step=tell("base"))
    if recipe.warm.steps:
        warm_start(model, tokenizer, recipe, seed=seed, on_step=tell("warmup"))
    return model, tokenizer


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time look for, or build, an entry; where locks do not work, let all."""
    from filelock import FileLock

    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _load(folder: Path) -> tuple[Any, Any] | None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not (folder / "config.json").is_file():
        return None
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
    except Exception:  # noqa: BLE001 - a damaged entry, whatever its damage, is built again
        return None
    return model, tokenizer
