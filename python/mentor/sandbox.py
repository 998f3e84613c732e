r"""CPython inside WebAssembly, in this process: for programs that a model wrote.

A program sees no file, network, process or clock of the host. It runs in a fresh instance, within limits, and the same
program gives the same outcome each time. Whatever goes wrong inside is a `Fault` in its `Outcome`, never an exception.

    >>> import mentor
    >>> outcome = mentor.Sandbox().run("print('hello')\n6 * 7")
    >>> outcome.value, outcome.stdout
    (42, 'hello\n')
    >>> mentor.Sandbox().run("1 / 0").fault.message
    'ZeroDivisionError: division by zero'
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Literal, NoReturn

from mentor import _core
from mentor.errors import BuildError, InputError

__all__ = ["Fault", "FaultKind", "Limits", "Outcome", "Sandbox", "Session"]

FaultKind = Literal[
    "exception",
    "trap",
    "timeout",
    "out_of_fuel",
    "memory_limit",
    "output_limit",
    "bad_arguments",
    "bad_result",
    "unknown_tool",
]

_log = logging.getLogger(__name__)
_ready: set[tuple[int, bool]] = set()  # (process, whether fuel is counted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may use; each limit has its own kind of fault.

    Attributes:
        timeout_ms: Wall-clock milliseconds, kept to about 10 ms. Fault ``timeout``.
        memory_mb: Memory of the guest in MB (2**20 bytes), about 30 MB of it the interpreter's own; at least 48.
            Fault ``memory_limit``.
        output_kb: KB (2**10 bytes) of stdout and stderr together, and of the value as JSON. Faults ``output_limit``
            and, for a tool's result, ``bad_result``.
        fuel: Budget of WebAssembly operations; the same program always uses the same. Counting makes programs about
            1.2 times slower; ``None`` counts nothing. Fault ``out_of_fuel``.

    Raises:
        TypeError: A limit is no whole number.
        InputError: A limit is out of its range; raised by the `Sandbox` that gets it.
    """

    timeout_ms: int = 10_000
    memory_mb: int = 256
    output_kb: int = 256
    fuel: int | None = None

    def __post_init__(self) -> None:
        for name in ("timeout_ms", "memory_mb", "output_kb", "fuel"):
            value = getattr(self, name)
            if name == "fuel" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be an int, not {type(value).__name__}")
            if not 0 < value < 2**32 and not (name == "fuel" and 0 < value < 2**64):
                raise InputError(f"{name} must be from 1 to 2**{64 if name == 'fuel' else 32} - 1, not {value}")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a program or a call has no value.

    Attributes:
        kind: ``exception`` (the program's own), ``timeout``, ``out_of_fuel``, ``memory_limit``, ``output_limit``,
            ``trap`` (the instance broke: ``os._exit``, an exhausted stack), and of tool calls ``unknown_tool``,
            ``bad_arguments`` and ``bad_result``.
        message: One line for people and models; of an exception ``TypeName: text``.
        traceback: Python's traceback with the program's own line numbers; empty where there is none.
        type_name: Class of the exception; empty where there is none.
    """

    kind: FaultKind
    message: str
    traceback: str = ""
    type_name: str = ""

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back from a run. All of it was made by untrusted code; it is bounded by the limits.

    Attributes:
        stdout: What the program printed, up to the limit.
        stderr: The same for stderr.
        value: Value of the last expression, or the result of a call, as JSON types; ``None`` where it is not JSON.
        value_repr: Its ``repr``; ``None`` where a program ends without a value, and for calls.
        fault: Why there is no value; ``None`` on success.
        fuel: WebAssembly operations used; ``None`` unless the limits set a budget.
        wall_ms: Milliseconds from the start of the run to its end.
        truncated: Output was dropped at the limit.
        reproducible: The same program, seed, limits and guest give the same outcome; false where the wall clock
            decided.
    """

    stdout: str = ""
    stderr: str = ""
    value: Any = None
    value_repr: str | None = None
    fault: Fault | None = None
    fuel: int | None = None
    wall_ms: float = 0.0
    truncated: bool = False
    reproducible: bool = True

    @property
    def ok(self) -> bool:
        """Whether there is no fault."""
        return self.fault is None


class Sandbox:
    """Runs programs, each in a fresh instance of the guest.

    Cheap to make, and safe to use from several threads, after a fork, and pickled into another process. The guest is
    compiled once per machine (some seconds) and cached; see ``docs/sandbox.md``.

    Args:
        limits: What each run may use.
        seed: Decides ``random``, ``os.urandom``, ``uuid4`` and the like; 0 to 2**64 - 1.

    Raises:
        TypeError: An argument has the wrong type.
        InputError: A limit or the seed is out of its range.
        BuildError: The extension was built without the sandbox.

    Example:
        >>> sandbox = Sandbox(limits=Limits(timeout_ms=200))
        >>> sandbox.run("while True: pass").fault.kind
        'timeout'
    """

    def __init__(self, *, limits: Limits | None = None, seed: int = 0) -> None:
        limits = Limits() if limits is None else limits
        if not isinstance(limits, Limits):
            raise TypeError(f"limits must be mentor.Limits, not {type(limits).__name__}")
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise TypeError(f"seed must be an int, not {type(seed).__name__}")
        if not 0 <= seed < 2**64:
            raise InputError(f"seed must be from 0 to 2**64 - 1, not {seed}")
        if not hasattr(_core, "Sandbox"):
            raise BuildError("this build has no sandbox; build with the cargo feature `sandbox`")
        self._limits = limits
        self._seed = seed
        self._core = _core.Sandbox(limits.timeout_ms, limits.memory_mb, limits.output_kb, limits.fuel, seed)

    @property
    def limits(self) -> Limits:
        """What each run may use."""
        return self._limits

    @property
    def seed(self) -> int:
        """The seed of each run."""
        return self._seed

    @cached_property
    def guest(self) -> str:
        """SHA-256 of the guest, in hex: runs are reproducible as long as it stays the same."""
        return str(_core.GUEST_SHA256)

    def prepare(self) -> None:
        """Compile or load the guest now; the first run does it otherwise.

        Raises:
            SandboxError: The guest can be neither loaded nor compiled.
        """
        metered = self._limits.fuel is not None
        key = (os.getpid(), metered)
        if key in _ready:
            return
        if not _core.sandbox_is_compiled(metered):
            _log.warning("compiling the sandbox's guest, once; this takes some seconds")
        _core.sandbox_prepare(metered)
        _ready.add(key)

    def run(self, code: str, env: str | None = None, *, filename: str = "<code>") -> Outcome:
        """Run one program in a fresh instance.

        Args:
            code: Python source. The value of its last expression, if it ends with one, is the outcome's value.
            env: Python source that runs first in the same namespace, such as definitions that the program uses.
            filename: What tracebacks call the program.

        Returns:
            The outcome; a failing program gives a fault.

        Raises:
            TypeError: `code`, `env` or `filename` is no str.
            SandboxError: The host failed to do its part.
            KeyboardInterrupt: Ctrl-C; the program is stopped.
        """
        program = (_source("code", code), env if env is None else _source("env", env), _source("filename", filename))
        self.prepare()
        return _outcome(self._core.run(*program))

    def run_batch(
        self,
        codes: Iterable[str],
        env: str | None = None,
        *,
        progress: Callable[[int], object] | None = None,
    ) -> list[Outcome]:
        """Run many programs side by side, on as many threads as there are cores.

        Args:
            codes: The programs.
            env: Python source that runs first in each of them.
            progress: Called from time to time with the number of programs that were finished since its last call.

        Returns:
            One outcome per program, in order.

        Raises:
            TypeError: An argument has the wrong type.
            SandboxError: The host failed to do its part.
            KeyboardInterrupt: Ctrl-C; the programs are stopped.
        """
        if isinstance(codes, str | bytes):
            raise TypeError("codes must be a list of str; for one program use `run`")
        sources = [_source(f"codes[{index}]", code) for index, code in enumerate(codes)]
        env = env if env is None else _source("env", env)
        if progress is not None and not callable(progress):
            raise TypeError(f"progress must be callable, not {type(progress).__name__}")
        if not sources:
            return []
        self.prepare()
        seen = 0

        def advance(done: int, total: int) -> None:
            nonlocal seen
            if progress is not None and done > seen:
                step, seen = done - seen, done
                progress(step)

        return [_outcome(raw) for raw in self._core.run_batch(sources, env, None if progress is None else advance)]

    def session(self) -> Session:
        """One instance that keeps its globals from run to run.

        Example:
            >>> with Sandbox().session() as session:
            ...     _ = session.run("x = 20")
            ...     session.run("x + 1").value
            21
        """
        self.prepare()
        return Session(self._core.session())

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._limits, self._seed)

    def __repr__(self) -> str:
        return f"Sandbox(limits={self._limits}, seed={self._seed})"


class Session:
    """A warm instance that keeps its globals; made by `Sandbox.session`.

    Each `run` gets the whole limits again. A program that was stopped from outside (``timeout``, ``out_of_fuel``,
    ``trap``) takes its instance along: later runs give a fault of kind ``trap`` that says so. Runs from several threads
    take turns.
    """

    def __init__(self, core: _core.Session) -> None:
        self._core = core

    def run(self, code: str, *, filename: str = "<code>") -> Outcome:
        """Run a program in the session's namespace.

        Args:
            code: Python source, as in `Sandbox.run`.
            filename: What tracebacks call the program.

        Raises:
            TypeError: An argument is no str.
            SandboxError: The session is closed, belongs to another process, or the host failed.
        """
        return _outcome(self._core.run(_source("code", code), None, _source("filename", filename)))

    def call(self, name: str, arguments: str) -> Outcome:
        """Call a function of the session's namespace; its result must be JSON.

        Args:
            name: Name of the function.
            arguments: Keyword arguments, a JSON object.

        Raises:
            TypeError: An argument is no str.
            SandboxError: As in `run`.
        """
        return _outcome(self._core.call(_source("name", name), _source("arguments", arguments)))

    def close(self) -> None:
        """End the session and free its memory. Closing twice does nothing."""
        self._core.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a session is a live instance and cannot be pickled; pickle its Sandbox")


def _rebuild(limits: Limits, seed: int) -> Sandbox:
    return Sandbox(limits=limits, seed=seed)


def _source(name: str, text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str, not {type(text).__name__}")
    # Lone surrogates have no UTF-8. As escapes they mean the same in a string literal, and nothing elsewhere.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _outcome(raw: _core._Outcome) -> Outcome:
    stdout, stderr, value_json, value_repr, raw_fault, fuel, wall_ms, truncated, reproducible = raw
    value = fault = None
    if raw_fault is not None:
        kind, type_name, message, traceback = raw_fault
        if kind == "exception":
            message = f"{type_name}: {message}" if message else type_name
        fault = Fault(kind, message, traceback, type_name)
    elif value_json is not None:
        try:
            value = json.loads(value_json, parse_constant=_refuse, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            value_repr = None
            fault = Fault("bad_result", f"the value cannot be read: {str(error)[:200]}")
    return Outcome(stdout, stderr, value, value_repr, fault, fuel, wall_ms, truncated, reproducible)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:50]} is beyond the numbers")
    return number
