"""Formats of tool calls: their names, and which one a model writes."""

from __future__ import annotations

from typing import Any

from mentor import _core
from mentor.errors import InputError, InputTypeError

__all__ = ["FORMATS", "detect_format", "format_name"]

FORMATS: tuple[str, ...] = tuple(_core.FORMATS)
"""The names of all formats; ``auto`` first."""


def detect_format(model: Any) -> str:
    """The format in which a model writes its tool calls, as serving engines choose it.

    Args:
        model: A tokenizer (its chat template is looked at, then its name), the name or path of a model, or the text of
            a chat template.

    Returns:
        The name of a format, for ``score_batch(format=...)``.

    Raises:
        InputError: The format is not known.
        InputTypeError: ``model`` is neither a text nor a tokenizer.

    Example:
        >>> detect_format("Qwen/Qwen2.5-7B-Instruct")
        'hermes'
    """
    texts = [model] if isinstance(model, str) else _texts(model)
    for text in texts:
        found = _core.detect_format(text.encode("utf-8", "replace").decode())
        if found is not None:
            return found
    shown = model if isinstance(model, str) and len(model) < 100 else f"this {type(model).__name__}"
    raise InputError(f"format: cannot tell how {shown!r} writes tool calls; name one of {', '.join(FORMATS)}")


def format_name(format: Any) -> str:
    """The name of a format given by name, by model or by tokenizer."""
    if isinstance(format, str) and format in FORMATS:
        return format
    return detect_format(format)


def _texts(tokenizer: Any) -> list[str]:
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):
        template = template.get("tool_use") or template.get("default")
    name = getattr(tokenizer, "name_or_path", None)
    texts = [text for text in (template, name) if isinstance(text, str) and text]
    if not texts and not hasattr(tokenizer, "chat_template"):
        raise InputTypeError(f"format: must be a name or a tokenizer, got {type(tokenizer).__name__}")
    return texts
