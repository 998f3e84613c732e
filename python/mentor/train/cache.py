"""A cache of base models, in the user's own cache folder, keyed by everything that made them."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from mentor.train.base import BaseRecipe
from mentor.train.folder import complete_folder

__all__ = ["cached_base", "key_of", "store_base"]

_CODE = (
    "models/tiny.py",
    "models/template.py",
    "suites/arithmetic.py",
    "suites/behaviours.py",
    "suites/chains.py",
    "train/base.py",
    "train/supervised.py",
)


def key_of(recipe: BaseRecipe, *, seed: int, schemas: list[Any]) -> str:
    """Hash the recipe, the seed, the tools, the code that builds, and the libraries' versions."""
    import mentor

    root = Path(str(mentor.__file__)).parent
    digest = hashlib.sha256()
    facts = {"recipe": asdict(recipe), "seed": seed, "tools": schemas}
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


def cached_base(key: str) -> tuple[Any, Any, Path] | None:
    """Load a cached base.

    Returns:
        Model, tokenizer and the folder they came from; ``None`` when there is no usable entry.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = cache_folder() / key
    if not (folder / "config.json").is_file():
        return None
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
    except Exception:  # noqa: BLE001 - a damaged entry, whatever its damage, is built again
        return None
    return model, tokenizer, folder


def store_base(key: str, model: Any, tokenizer: Any) -> Path | None:
    """Store a base; a cache that cannot be written costs time later, not this run.

    Returns:
        The entry's folder, or ``None`` if nothing was stored.
    """
    folder = cache_folder() / key
    try:
        with complete_folder(folder) as partial:
            model.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
    except OSError:
        return None
    return folder
