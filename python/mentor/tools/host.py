"""Tools that run on the host, in the caller's process."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import pickle
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mentor.errors import InputError
from mentor.sandbox import Fault, Outcome
from mentor.tools.part import Part
from mentor.tools.schema import Tool
from mentor.tools.signatures import read_function

__all__ = ["HostPart"]

_MESSAGE = 4_000
_log = logging.getLogger(__name__)


class HostPart(Part):
    """Functions of the caller's process, which may do what the process may."""

    def __init__(self, functions: Iterable[Callable[..., Any]], *, max_kb: int, threads: int) -> None:
        if isinstance(functions, str) or callable(functions) or not isinstance(functions, Iterable):
            raise TypeError(f"functions must be a list of functions, not {type(functions).__name__}")
        for name, value in (("max_kb", max_kb), ("threads", threads)):
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be an int, not {type(value).__name__}")
            if value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")
        self._functions: dict[str, Callable[..., Any]] = {}
        self._tools: dict[str, Tool] = {}
        self._max_kb, self._threads = max_kb, threads
        for function in functions:
            tool = read_function(function)
            if tool.name in self._tools:
                raise InputError(f"tools: two functions have the same name: {tool.name}")
            self._functions[tool.name], self._tools[tool.name] = function, tool
        if not self._tools:
            raise InputError("tools: no function given")

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools by name."""
        return self._tools

    def call(self, name: str, arguments: str) -> Outcome:
        """One call, on this thread; an exception of the function is a fault."""
        began = time.perf_counter()
        value, fault = None, None
        try:
            value, fault = self._read(_result(self._functions[name](**json.loads(arguments))))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
            # The model reads the message; the traceback has the host's paths and is for the log.
            _log.debug("tool %s failed", name, exc_info=True)
            kind = type(error).__name__
            text = _cut(error)
            if isinstance(error, asyncio.CancelledError):
                # Not the caller's wish, whom nothing can cancel here: the coroutine's own, mostly without a word.
                text = f"the call was cancelled: {text}" if text else "the call was cancelled"
            fault = Fault("exception", f"{kind}: {text}" if text else kind, "", kind)
        return Outcome(value=value, fault=fault, wall_ms=(time.perf_counter() - began) * 1e3, reproducible=False)

    def _read(self, result: Any) -> tuple[Any, Fault | None]:
        try:
            text = json.dumps(result, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            return None, Fault("bad_result", f"the result is not JSON: {type(error).__name__}: {_cut(error)}")
        limit = self._max_kb << 10
        if len(text) > limit:
            return None, Fault("bad_result", f"the result is not JSON: {len(text)} bytes of JSON; the limit is {limit}")
        return json.loads(text), None

    def call_batch(self, calls: Sequence[tuple[str, str]]) -> list[Outcome]:
        """Many calls: on this thread, or on as many as the functions were declared to bear."""
        if self._threads == 1 or len(calls) < 2:
            return [self.call(name, arguments) for name, arguments in calls]
        with ThreadPoolExecutor(min(self._threads, len(calls)), "mentor-tools") as threads:
            return list(threads.map(lambda call: self.call(*call), calls))

    def __reduce__(self) -> tuple[Any, ...]:
        functions = list(self._functions.values())
        try:
            pickle.dumps(functions)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise TypeError(f"a tool set pickles only with host functions that do: {error}") from None
        return _rebuild, (functions, self._max_kb, self._threads)


def _rebuild(functions: list[Callable[..., Any]], max_kb: int, threads: int) -> HostPart:
    return HostPart(functions, max_kb=max_kb, threads=threads)


def _cut(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001
        return ""
    return text if len(text) <= _MESSAGE else text[: _MESSAGE - 3] + "..."


def _result(value: Any) -> Any:
    """The result itself, waited for where it is a coroutine."""
    if not inspect.iscoroutine(value):
        return value
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(value)
    return _run_beside(value)


def _run_beside(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Runs it on a thread of its own, as this one has a running loop."""
    found: list[tuple[Any, BaseException | None]] = []

    def run() -> None:
        try:
            found.append((asyncio.run(coroutine), None))
        except BaseException as error:  # noqa: BLE001 - it is raised on the caller's thread
            found.append((None, error))

    thread = threading.Thread(target=run, name="mentor-tools")
    thread.start()
    thread.join()
    value, error = found[0]
    if error is not None:
        raise error
    return value
