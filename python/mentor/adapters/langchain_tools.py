"""Tools for LangChain."""

from __future__ import annotations

import asyncio
from typing import Any

from mentor.adapters.needed import as_set, needed
from mentor.tools import ToolSession, ToolSet
from mentor.tools.functions import as_text

__all__ = ["langchain"]


def langchain(tools: ToolSet | ToolSession) -> list[Any]:
    """One ``langchain_core.tools.StructuredTool`` per tool, for ``invoke`` and ``ainvoke``.

    Their schemas are those of the set. A result is the text that a model reads; a fault is a message with the status
    ``error``.

    Raises:
        TypeError: `tools` is neither a `ToolSet` nor a `ToolSession`.
        BuildError: langchain-core is not installed.
    """
    core = needed("langchain_core.tools", "langchain-core")
    return [_tool(core, tools, schema["function"]) for schema in as_set(tools).schemas]


def _tool(core: Any, tools: ToolSet | ToolSession, function: dict[str, Any]) -> Any:
    def run(**arguments: Any) -> str:
        outcome = tools.call(function["name"], arguments)
        if outcome.fault is not None:
            raise core.ToolException(as_text(outcome))
        return as_text(outcome)

    async def run_later(**arguments: Any) -> str:
        return await asyncio.to_thread(run, **arguments)

    return core.StructuredTool(
        name=function["name"],
        description=function.get("description", ""),
        args_schema=function["parameters"],
        func=run,
        coroutine=run_later,
        handle_tool_error=True,
    )
