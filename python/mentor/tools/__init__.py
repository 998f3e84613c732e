"""Tools for models: described by schemas, checked, run in the sandbox or on the host.

>>> import mentor
>>> tools = mentor.tools.arithmetic()
>>> tools.call("add", {"a": 19, "b": 23}).value
42
"""

from mentor.tools.arithmetic import arithmetic
from mentor.tools.batch import call_batch
from mentor.tools.environment import ToolCall, ToolEnvironment
from mentor.tools.ready import calculator, dates, files, python, search, store, text, units
from mentor.tools.session import ToolSession, ToolState
from mentor.tools.toolset import ToolSet

__all__ = [
    "ToolCall",
    "ToolEnvironment",
    "ToolSession",
    "ToolSet",
    "ToolState",
    "arithmetic",
    "calculator",
    "call_batch",
    "dates",
    "files",
    "python",
    "search",
    "store",
    "text",
    "units",
]
