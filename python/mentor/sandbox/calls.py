"""The record of what a program called of the host's functions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mentor import _core
from mentor.errors import InputError

__all__ = ["HostCall", "as_replay"]


@dataclass(frozen=True, slots=True)
class HostCall:
    """One call that a program made of a function of the host.

    Attributes:
        name: Name of the function.
        arguments: Positional and keyword arguments as JSON: ``[[1], {"x": 2}]``. A program that goes its own ways may
            send any text; then `args` and `kwargs` are empty.
        result: What it returned, as JSON; ``None`` where it raised.
        error: What it raised, ``Class: message``; ``None`` where it returned.

    Example:
        >>> HostCall("add", '[[1], {"y": 2}]', "3").kwargs
        {'y': 2}
    """

    name: str
    arguments: str
    result: str | None = None
    error: str | None = None

    @property
    def args(self) -> list[Any]:
        """The positional arguments."""
        return self._arguments()[0]

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments."""
        return self._arguments()[1]

    def _arguments(self) -> tuple[list[Any], dict[str, Any]]:
        try:
            args, kwargs = json.loads(self.arguments)
        except (ValueError, TypeError, RecursionError):
            return [], {}
        return (args, kwargs) if isinstance(args, list) and isinstance(kwargs, dict) else ([], {})

    @property
    def value(self) -> Any:
        """What it returned; ``None`` also where it raised."""
        return None if self.result is None else json.loads(self.result)


def as_replay(replay: object) -> list[_core._Call] | None:
    """Calls as the extension takes them."""
    if replay is None:
        return None
    if isinstance(replay, HostCall) or not isinstance(replay, tuple | list):
        raise TypeError(f"replay must be a list of HostCall, such as outcome.calls, not {type(replay).__name__}")
    calls = []
    for index, call in enumerate(replay):
        if not isinstance(call, HostCall):
            raise TypeError(f"replay[{index}] must be a HostCall, not {type(call).__name__}")
        text = call.result if call.error is None else call.error
        if text is None:
            raise InputError(f"replay[{index}] has neither a result nor an error")
        calls.append((call.name, call.arguments, call.error is None, text))
    return calls
