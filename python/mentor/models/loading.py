"""Load a local causal language model, after checking that TRL's tool loop can use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mentor.errors import ModelError

__all__ = [
    "calm",
    "check_tokenizer",
    "check_weights",
    "context_of",
    "load_model",
    "load_shape",
    "load_tokenizer",
    "on_gpu",
]


def load_tokenizer(folder: str) -> Any:
    """Load a tokenizer and make it ready for tool calls.

    Args:
        folder: A local transformers model, or its name on the hub.

    Returns:
        The tokenizer, padding on the left, with a way to parse responses and a template that fits training.

    Raises:
        ModelError: It cannot be loaded, or its chat template knows no tools.
    """
    from transformers import AutoTokenizer

    local = Path(folder).is_dir()
    if not local and folder.startswith(("/", "./", "../", "~")):
        raise ModelError(f"model {folder!r}: no such folder")
    if local and not (Path(folder) / "config.json").is_file():
        raise ModelError(f"model {folder!r}: no config.json there; a folder saved by save_pretrained is wanted")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=local, padding_side="left")
    except Exception as error:  # noqa: BLE001 - whatever a file can get wrong
        raise ModelError(f"model {folder!r}: its tokenizer cannot be loaded: {_first_line(error)}") from None
    check_tokenizer(tokenizer, folder)
    return tokenizer


def check_tokenizer(tokenizer: Any, folder: str) -> None:
    """Check a tokenizer's chat template and complete it for training, in place.

    Raises:
        ModelError: The template is missing, knows no tools, or TRL can neither parse nor train with it.
    """
    from trl.chat_template_utils import (
        add_response_schema,
        get_training_chat_template,
        is_chat_template_prefix_preserving,
        supports_tool_calling,
    )

    if tokenizer.chat_template is None:
        raise ModelError(
            f"model {folder!r}: its tokenizer has no chat template; an instruct model with tools is wanted"
        )
    if not supports_tool_calling(tokenizer):
        raise ModelError(f"model {folder!r}: its chat template cannot show tool calls and their results")
    if getattr(tokenizer, "response_template", None) is None and getattr(tokenizer, "response_schema", None) is None:
        try:
            add_response_schema(tokenizer)
        except ValueError:
            raise ModelError(
                f"model {folder!r}: its chat template is unknown to TRL; set tokenizer.response_template and save again"
            ) from None
    try:
        patched = get_training_chat_template(tokenizer)
    except ValueError:  # TRL has none that fits
        try:
            preserving = is_chat_template_prefix_preserving(tokenizer)
        except Exception:  # noqa: BLE001 - whatever a template raises
            preserving = False
        if not preserving:
            raise ModelError(f"model {folder!r}: its chat template is not prefix-preserving") from None
        patched = None  # good for rollouts; what imitates needs {% generation %} markers and looks for them itself
    if patched is not None:
        tokenizer.chat_template = patched
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token


def context_of(model: str) -> int:
    """Longest sequence that a model takes, 0 where it does not say.

    Raises:
        ModelError: Its ``config.json`` cannot be used.
    """
    return int(getattr(_config(model).get_text_config(), "max_position_embeddings", 0) or 0)


def load_shape(model: str) -> Any:
    """The model without the values of its weights, on torch's ``meta`` device, where it takes no memory.

    Raises:
        ModelError: It is no causal language model.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = _config(model)
    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config)
    except Exception as error:  # noqa: BLE001 - whatever a config can get wrong
        raise ModelError(f"model {model!r}: is no causal language model: {_first_line(error)}") from None


def check_weights(folder: str) -> None:
    """Check that the weights of a local model are there and complete, without reading them.

    Raises:
        ModelError: A file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open
    from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, WEIGHTS_INDEX_NAME, WEIGHTS_NAME

    place = Path(folder)
    if not place.is_dir():
        return  # a name on the hub
    kinds = (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME, WEIGHTS_NAME, WEIGHTS_INDEX_NAME)
    found = next((name for name in kinds if (place / name).is_file()), None)
    if found is None:
        raise ModelError(f"model {folder!r}: no weights there; a folder saved by save_pretrained is wanted")
    name = found
    try:
        parts = [found]
        if found.endswith(".json"):
            parts = sorted(set(json.loads((place / found).read_bytes())["weight_map"].values()))
        for name in parts:
            if name.endswith(".safetensors"):
                with safe_open(place / name, framework="pt"):
                    pass
            else:
                (place / name).stat()
    except (OSError, ValueError, LookupError, AttributeError, TypeError, SafetensorError) as error:
        raise ModelError(f"model {folder!r}: {name} cannot be read: {_first_line(error)}") from None


def _config(model: str) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(model, local_files_only=Path(model).is_dir())
    except Exception as error:  # noqa: BLE001 - whatever a file can get wrong
        raise ModelError(f"model {model!r}: its config.json cannot be used: {_first_line(error)}") from None


def load_model(folder: str, *, dtype: Any = None) -> Any:
    """Load the weights.

    Args:
        folder: A local transformers model, or its name on the hub.
        dtype: Of the weights; float32 by default, since steps of GRPO are too small for bfloat16 to hold.

    Raises:
        ModelError: They cannot be loaded.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        return AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=Path(folder).is_dir(), dtype=dtype or torch.float32
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise ModelError(f"model {folder!r}: cannot be loaded: {_first_line(error)}") from None


def on_gpu(model: Any) -> Any:
    """Move a model to the GPU where there is one."""
    import torch

    return model.to("cuda") if torch.cuda.is_available() else model


def calm(threads: int | None = None) -> None:
    """Silence transformers' own messages and progress bars; let torch use so many threads of the CPU."""
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if threads is not None:
        torch.set_num_threads(threads)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
