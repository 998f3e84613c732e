"""What the adapters share."""

from __future__ import annotations

import importlib
from typing import Any

from mentor.errors import BuildError
from mentor.tools import ToolSession, ToolSet

__all__ = ["as_set", "needed"]


def needed(module: str, package: str) -> Any:
    """A framework's module.

    Raises:
        BuildError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise BuildError(f"this adapter needs {package}: pip install '{package}'") from None


def as_set(tools: ToolSet | ToolSession) -> ToolSet:
    """The set that is adapted.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(tools, ToolSession):
        return tools.tools
    if not isinstance(tools, ToolSet):
        raise TypeError(f"tools must be a mentor.ToolSet or a ToolSession, not {type(tools).__name__}")
    return tools
