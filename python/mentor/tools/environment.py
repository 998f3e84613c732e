"""Environments for TRL: tools as methods, with a session for each rollout."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from mentor.errors import InputError
from mentor.sandbox import Fault, FaultKind, Outcome
from mentor.tools.functions import as_text, bind, dress
from mentor.tools.schema import Tool
from mentor.tools.session import ToolSession
from mentor.tools.toolset import ToolSet

__all__ = ["ToolCall", "ToolEnvironment", "make_environment"]

_TAKEN = ("reset", "get_reward", "calls", "session")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a rollout made.

    Attributes:
        name: Name of the tool.
        arguments: As the model gave them.
        outcome: What came back.
        text: What the model read of it.
    """

    name: str
    arguments: dict[str, Any]
    outcome: Outcome
    text: str


class ToolEnvironment:
    """One rollout's tools, for TRL's ``environment_factory=``; `ToolSet.environment` makes the classes.

    TRL makes instances, calls `reset` with the dataset's row before each rollout, and calls the tools, which are the
    other public methods. A session is taken when a tool is called first, and given back at the next `reset` or when the
    instance goes. TRL shows a model all tools of the class, by name; a tool that a task does not offer answers that it
    is not there.
    """

    _tools: ClassVar[ToolSet]
    _max_calls: ClassVar[int | None] = None
    _column: ClassVar[str] = "tools"
    _text: ClassVar[bool] = True

    def __init__(self) -> None:
        self._session: ToolSession | None = None
        self._offered = self._tools
        self._calls: list[ToolCall] = []
        self._used = 0

    def reset(self, **row: Any) -> None:
        """Begin another rollout: no calls, no state, the tools that the row offers.

        Raises:
            InputError: The row offers a tool that there is not.
        """
        self._close()
        names = _names(row.get(self._column), self._column)
        self._offered = self._tools if names is None else self._tools.only(*names)
        self._calls, self._used = [], 0

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """What the rollout called so far, for rewards: TRL hands them the instances as ``environments``."""
        return tuple(self._calls)

    @property
    def session(self) -> ToolSession:
        """The rollout's session, for rewards that look at the state it left."""
        if self._session is None:
            self._session = self._offered.session()
        return self._session

    def _call(self, name: str, arguments: dict[str, Any]) -> Any:
        outcome = self._answer(name, arguments)
        text = as_text(outcome)
        self._calls.append(ToolCall(name, arguments, outcome, text))
        return text if self._text or outcome.fault is not None else outcome.value

    def _answer(self, name: str, arguments: dict[str, Any]) -> Outcome:
        limit = self._max_calls
        if limit is not None and self._used >= limit:
            plural = "" if limit == 1 else "s"
            return _refused(
                "exception", f"no calls are left: this task allows {limit} call{plural}; answer with what you have"
            )
        self._used += 1
        if name not in self._offered:
            return _refused(
                "unknown_tool", f"this task does not offer {name!r}; it offers {', '.join(self._offered) or 'no tools'}"
            )
        return self.session.call(name, arguments)

    def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def __del__(self) -> None:
        if getattr(self, "_session", None) is not None:
            self._close()


def make_environment(tools: ToolSet, *, max_calls: int | None, column: str, text: bool) -> type[ToolEnvironment]:
    """A class whose public methods are the tools."""
    if max_calls is not None:
        if isinstance(max_calls, bool) or not isinstance(max_calls, int):
            raise TypeError(f"max_calls must be an int, not {type(max_calls).__name__}")
        if max_calls < 1:
            raise InputError(f"max_calls must be at least 1, not {max_calls}")
    if not isinstance(column, str):
        raise TypeError(f"column must be a str, not {type(column).__name__}")
    for name in tools:
        if name in _TAKEN or name.startswith("_"):
            raise InputError(f"tools: TRL cannot call {name!r} of an environment; rename it")
    members: dict[str, Any] = {name: _method(tools._tool(name)) for name in tools}
    members |= {"_tools": tools, "_max_calls": max_calls, "_column": column, "_text": text}
    return type("ToolEnvironment", (ToolEnvironment,), members)


def _method(tool: Tool) -> Callable[..., Any]:
    def method(self: ToolEnvironment, /, *args: Any, **kwargs: Any) -> Any:
        return self._call(tool.name, bind(tool, args, kwargs))

    receiver = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    rest = tool.signature.parameters.values()
    return dress(method, tool, tool.signature.replace(parameters=[receiver, *rest]))


def _names(value: Any, column: str) -> list[str] | None:
    """Names of a dataset's cell: names or schemas, as a list or as JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise InputError(f"column {column!r} holds neither a list of tools nor JSON of one: {error}") from error
    if value is None:
        return None
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise InputError(f"column {column!r} must hold a list of tools, not {type(value).__name__}")
    return [_name(item, column) for item in value]


def _name(item: Any, column: str) -> str:
    name = item.get("function", item).get("name") if isinstance(item, Mapping) else item
    if not isinstance(name, str):
        raise InputError(f"column {column!r} must hold names of tools or their schemas, not {type(item).__name__}")
    return name


def _refused(kind: FaultKind, message: str) -> Outcome:
    return Outcome(fault=Fault(kind, message))
