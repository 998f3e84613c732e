"""Tools for verifiers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, Optional

from mentor.adapters.needed import as_set
from mentor.tools import ToolSession, ToolSet
from mentor.tools.functions import as_text, bind, dress
from mentor.tools.schema import OMITTED, Tool

__all__ = ["verifiers"]


def verifiers(tools: ToolSet | ToolSession) -> list[Callable[..., Any]]:
    """One typed coroutine function per tool, for the ``tools=`` of ``verifiers.ToolEnv``.

    They give the text that a model reads, also of a fault. `ToolEnv` shares its functions among all rollouts, so give
    it a set, not a session, unless one rollout is all there is.

    Raises:
        TypeError: `tools` is neither a `ToolSet` nor a `ToolSession`.
    """
    return [_function(tools, checker.tool) for checker, _ in as_set(tools)._entries.values()]


def _function(tools: ToolSet | ToolSession, tool: Tool) -> Callable[..., Any]:
    # A default that only the guest knows is None here: the argument is left out.
    unknown = {name for name, parameter in tool.signature.parameters.items() if parameter.default is OMITTED}

    async def function(*args: Any, **kwargs: Any) -> str:
        bound = bind(tool, args, kwargs)
        arguments = {name: value for name, value in bound.items() if value is not None or name not in unknown}
        return as_text(await asyncio.to_thread(tools.call, tool.name, arguments))

    parameters = [_optional(parameter) for parameter in tool.signature.parameters.values()]
    signature = tool.signature.replace(parameters=parameters, return_annotation=str)
    dress(function, tool, signature)
    function.__annotations__ = {name: p.annotation for name, p in signature.parameters.items()} | {"return": str}
    return function


def _optional(parameter: inspect.Parameter) -> inspect.Parameter:
    if parameter.default is not OMITTED:
        return parameter
    return parameter.replace(default=None, annotation=Optional[parameter.annotation])  # noqa: UP045
