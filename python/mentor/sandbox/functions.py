"""Functions of the host that programs may call."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import contextvars
import inspect
import json
import keyword
import os
import pickle
import sys
import threading
import unicodedata
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from typing import Any, TypeAlias

from mentor import _core
from mentor.errors import InputError, SandboxError

__all__ = ["HostFunctions", "answering", "as_functions", "refuse_within", "serve", "within"]

_MESSAGE = 2_000
_Function: TypeAlias = "Callable[..., Any]"
_Table: TypeAlias = "Mapping[str, _Function]"
# Sessions whose steps wait for what runs here, each in a collection of its own, which may be emptied later.
_within: contextvars.ContextVar[tuple[Collection[int], ...]] = contextvars.ContextVar("mentor_within", default=())
_encode = json.JSONEncoder(allow_nan=False).encode
_decode = json.JSONDecoder().decode
_plain = frozenset((type(None), bool, int, float, str, list, dict, tuple))
# What a guest could mistake for its own end is a `RuntimeError` there.
_ERRORS = frozenset(
    kind
    for kind in vars(builtins).values()
    if isinstance(kind, type) and issubclass(kind, Exception) and kind is not MemoryError
)


class HostFunctions(Mapping[str, _Function]):
    """Functions of this process that programs in a sandbox may call, and how much.

    Plain functions run on threads of their own, `async` ones in the event loop that waits for the program (`arun`),
    else in one in the background. Arguments and results cross as JSON.

    Args:
        functions: The functions by the names that programs call.
        timeout_ms: Milliseconds that one call may take; then the program sees a `TimeoutError`. An `async` function is
            cancelled, another one goes on to its end.
        max_calls: Calls of one run; further ones are a `RuntimeError` in the program.
        max_kb: KB (2**10 bytes) of all arguments and results of one run; what would be more is a `RuntimeError`.

    Raises:
        TypeError: `functions` is no mapping of str to callables, or a limit is no int.
        InputError: A name is none that a program could use, or a limit is out of its range.

    Example:
        >>> import mentor
        >>> prices = {"apple": 3}
        >>> tools = HostFunctions({"price": prices.__getitem__}, max_calls=10)
        >>> outcome = mentor.Sandbox(functions=tools).run("2 * price('apple')")
        >>> outcome.value, outcome.calls[0].args
        (6, ['apple'])
    """

    def __init__(
        self,
        functions: Mapping[str, _Function],
        *,
        timeout_ms: int = 10_000,
        max_calls: int = 1_000,
        max_kb: int = 1_024,
    ) -> None:
        if not isinstance(functions, Mapping):
            raise TypeError(f"functions must be a mapping of names to callables, not {type(functions).__name__}")
        for name, function in functions.items():
            _check_name(name)
            if not callable(function):
                raise TypeError(f"functions[{name!r}] must be callable, not {type(function).__name__}")
        for what, value in (("timeout_ms", timeout_ms), ("max_calls", max_calls), ("max_kb", max_kb)):
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{what} must be an int, not {type(value).__name__}")
            if not 0 < value < 2**20 and not (what == "timeout_ms" and 0 < value < 2**32):
                raise InputError(f"{what} must be from 1 to 2**{32 if what == 'timeout_ms' else 20} - 1, not {value}")
        self._functions = dict(functions)
        self.timeout_ms = timeout_ms
        self.max_calls = max_calls
        self.max_kb = max_kb

    def __getitem__(self, name: str) -> _Function:
        return self._functions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)

    def __repr__(self) -> str:
        limits = f"timeout_ms={self.timeout_ms}, max_calls={self.max_calls}, max_kb={self.max_kb}"
        return f"HostFunctions({', '.join(self._functions)}; {limits})"

    def __getstate__(self) -> dict[str, Any]:
        for name, function in self._functions.items():
            _check_pickles(name, function)
        return dict(self.__dict__)


def _check_pickles(name: str, function: _Function) -> None:
    try:
        pickle.dumps(function)
    except Exception as error:
        raise TypeError(
            f"the host function {name!r} cannot be pickled ({error}); define it at the top level of a module, or make "
            "the sandbox in the process that uses it"
        ) from error


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"names of functions must be str, not {type(name).__name__}")
    usable = name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")
    # Programs are read with their names in this form.
    if not usable or unicodedata.normalize("NFKC", name) != name or len(name.encode()) > 200:
        raise InputError(
            f"a function cannot be called {name[:80]!r}: a name must be a Python identifier of at most 200 bytes, no "
            "keyword, and must not begin with two underscores"
        )


def as_functions(functions: Mapping[str, _Function] | None) -> HostFunctions | None:
    """Functions as `Sandbox` takes them; none where there is nothing to call."""
    if functions is None or isinstance(functions, HostFunctions):
        return functions or None
    return HostFunctions(functions) if functions or not isinstance(functions, Mapping) else None


class _Answering:
    """Answers the calls of one run; called on a thread of the pool."""

    def __init__(self, functions: HostFunctions, loop: asyncio.AbstractEventLoop | None, session: int | None) -> None:
        self._functions = functions._functions
        self._loop = loop
        self._context = contextvars.copy_context()
        if session is not None:
            self._context.run(_within.set, (*_within.get(), (session,)))

    def __call__(self, name: str, arguments: str, reply: _core.Reply) -> None:
        try:
            args, kwargs = _arguments(name, arguments)
            # A copy, as a context cannot be entered twice at a time.
            context = self._context.copy()
            result = context.run(self._functions[name], *args, **kwargs)
            if type(result) not in _plain and inspect.isawaitable(result):
                context.run(self._later, name, result, reply)
                return
            text = _as_json(name, result)
        except BaseException as error:  # noqa: BLE001 - whatever a function raises is the program's to see
            reply.send(False, _describe(error))
        else:
            reply.send(True, text)

    def _later(self, name: str, result: Awaitable[Any], reply: _core.Reply) -> None:
        """Awaits a result in an event loop."""

        async def finish() -> None:
            try:
                text = _as_json(name, await result)
            except asyncio.CancelledError:
                reply.send(False, f"RuntimeError: {name} was cancelled")
                raise
            except BaseException as error:  # noqa: BLE001 - as above
                reply.send(False, _describe(error))
            else:
                reply.send(True, text)

        loop = self._loop or _background()
        steps = finish()
        try:
            future = asyncio.run_coroutine_threadsafe(steps, loop)
        except RuntimeError:  # the loop was closed in the meantime
            steps.close()
            if inspect.iscoroutine(result):
                result.close()
            raise
        reply.when_abandoned(lambda: loop.is_closed() or future.cancel())


def answering(
    functions: HostFunctions, loop: asyncio.AbstractEventLoop | None = None, session: int | None = None
) -> _Answering:
    """What answers the calls of one run that starts here; `async` functions run in `loop`."""
    return _Answering(functions, loop, session)


@contextlib.contextmanager
def within(session: int | None) -> Iterator[None]:
    """Around what a step of a session waits for on the caller's own thread."""
    if session is None:
        yield
        return
    steps = [session]
    token = _within.set((*_within.get(), steps))
    try:
        yield
    finally:
        _within.reset(token)
        steps.clear()  # tasks that were begun inside keep their copy of the context, and may use the session later


def refuse_within(session: int) -> None:
    """Refuses what a session's own host functions and listeners cannot ask of it, as its step waits for them."""
    if any(session in sessions for sessions in _within.get()):
        raise SandboxError(
            "this session is in the midst of a step that waits for this function; use another session, or a fork of it "
            "made before"
        )


def _arguments(name: str, text: str) -> tuple[list[Any], dict[str, Any]]:
    # The program may have sent this by a way of its own.
    try:
        args, kwargs = _decode(text)
    except (ValueError, TypeError, RecursionError):
        raise TypeError(f"{name}: the arguments are no JSON of a list and an object") from None
    if type(args) is not list or type(kwargs) is not dict:
        raise TypeError(f"{name}: the arguments are no JSON of a list and an object")
    return args, kwargs


def _as_json(name: str, result: object) -> str:
    try:
        return _encode(result)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"{name}: the result is no JSON: {error}") from None


def _describe(error: BaseException) -> str:
    """``Class: message`` of an error, without traceback and paths; of a builtin class, else a `RuntimeError`."""
    kind = type(error)
    try:
        if isinstance(error, OSError) and error.strerror is not None:
            message = f"[Errno {error.errno}] {error.strerror}"  # without the file's name
        elif len(error.args) == 1 and kind.__str__ in (BaseException.__str__, KeyError.__str__):
            message = str(error.args[0])
        else:
            message = str(error)
        if len(message) > _MESSAGE:
            message = message[: _MESSAGE - 3] + "..."
        text = f"{kind.__name__}: {message}" if kind in _ERRORS else f"RuntimeError: {kind.__name__}: {message}"
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
    except BaseException:  # noqa: BLE001 - an error's own methods may raise anything
        return "RuntimeError: the function raised an error that cannot be shown"


def serve() -> None:
    """Works for guests, on a thread that ends when there was nothing to do for a while."""
    home = os.getpid()
    while (work := _core.sandbox_work()) is not None:
        function, arguments = work
        try:
            function(*arguments)
        except BaseException:  # noqa: BLE001 - the thread serves others
            sys.excepthook(*sys.exc_info())
        # A function may fork; what comes back here in the child has no work to do.
        if os.getpid() != home:
            return
        del work, function, arguments


_loop_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}  # by process


def _background() -> asyncio.AbstractEventLoop:
    """The event loop of this process for functions whose caller has none."""
    home = os.getpid()
    with _loop_lock:
        if home not in _loops:
            _loops[home] = asyncio.new_event_loop()
            threading.Thread(target=_loops[home].run_forever, name="mentor-host-loop", daemon=True).start()
        return _loops[home]


def _after_fork() -> None:
    global _loop_lock
    _loop_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
