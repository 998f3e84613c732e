"""Tools for models: Python functions that are described by schemas and run in the sandbox."""

from mentor.tools.arithmetic import arithmetic
from mentor.tools.toolset import ToolSet

__all__ = ["ToolSet", "arithmetic"]
