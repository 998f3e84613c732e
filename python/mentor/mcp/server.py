"""A tool set as an MCP server on standard input and output."""

from __future__ import annotations

import asyncio
import difflib
import json
from collections.abc import Iterable
from typing import Any

import mcp_types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from mentor import __version__
from mentor.errors import InputError
from mentor.sandbox import Fault, Outcome
from mentor.tools import ToolSession, ToolSet

__all__ = ["serve"]


def serve(toolsets: Iterable[ToolSet], *, name: str = "mentor") -> None:
    """Serves tools on standard input and output until the client closes it.

    Each call runs in the sandbox. A fault is a result with ``isError``, for the model to read.

    Args:
        toolsets: The tools.
        name: What the server calls itself.

    Raises:
        InputError: There is no tool, or two have the same name.
    """
    asyncio.run(_serve(_server(_Connection(toolsets), name)))


async def _serve(server: Server[Any]) -> None:
    async with stdio_server() as (reader, writer):
        await server.run(reader, writer, server.create_initialization_options())


def _server(connection: _Connection, name: str) -> Server[Any]:
    async def list_tools(
        context: ServerRequestContext[Any], params: mcp_types.PaginatedRequestParams | None
    ) -> mcp_types.ListToolsResult:
        return mcp_types.ListToolsResult(tools=connection.tools)

    async def call_tool(
        context: ServerRequestContext[Any], params: mcp_types.CallToolRequestParams
    ) -> mcp_types.CallToolResult:
        # Waiting for a guest lets go of the GIL; a thread leaves the connection free for other requests.
        return _result(await asyncio.to_thread(connection.call, params.name, params.arguments or {}))

    return Server(name, version=__version__, on_list_tools=list_tools, on_call_tool=call_tool)


class _Connection:
    """The tools as one client sees them. Standard input and output carry one connection per process."""

    def __init__(self, toolsets: Iterable[ToolSet]) -> None:
        self._homes: dict[str, ToolSession] = {}
        self.tools: list[mcp_types.Tool] = []
        for toolset in toolsets:
            session = toolset.session()  # tools keep their state for as long as the connection lasts
            for schema in toolset.schemas:
                function = schema["function"]
                if function["name"] in self._homes:
                    raise InputError(f"two tools have the name {function['name']!r}; serve only one of them")
                self._homes[function["name"]] = session
                self.tools.append(
                    mcp_types.Tool(
                        name=function["name"],
                        description=function.get("description"),
                        input_schema=function["parameters"],
                    )
                )
        if not self._homes:
            raise InputError("there is no tool to serve")

    def call(self, name: str, arguments: dict[str, Any]) -> Outcome:
        """Calls a tool."""
        home = self._homes.get(name)
        if home is None:
            close = difflib.get_close_matches(name[:60], self._homes, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the tools are {', '.join(self._homes)}"
            return Outcome(fault=Fault("unknown_tool", f"unknown tool {name[:60]!r}; {hint}"))
        return home.call(name, arguments)


def _result(outcome: Outcome) -> mcp_types.CallToolResult:
    fault = None if outcome.fault is None else outcome.fault.message
    texts: list[str] = []
    try:
        texts = [outcome.value if isinstance(outcome.value, str) else json.dumps(outcome.value, ensure_ascii=False)]
    except RecursionError:
        fault = "the result is nested too deeply"
    if fault is not None:
        texts = [fault]
    if outcome.stdout:
        texts.append(f"printed:\n{outcome.stdout}")
    content: list[mcp_types.ContentBlock] = [mcp_types.TextContent(text=_clean(text)) for text in texts]
    return mcp_types.CallToolResult(content=content, is_error=fault is not None)


def _clean(text: str) -> str:
    """Lone surrogates have no UTF-8, and the wire is UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
