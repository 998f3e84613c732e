"""What a run may use, and what comes back from it."""

from __future__ import annotations

import json
import json.scanner
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from mentor import _core
from mentor.errors import InputError
from mentor.sandbox.calls import HostCall
from mentor.sandbox.files import NO_FILES, Files

__all__ = ["Fault", "FaultKind", "Limits", "Outcome", "read_outcome"]

FaultKind = Literal[
    "exception",
    "trap",
    "timeout",
    "out_of_fuel",
    "memory_limit",
    "output_limit",
    "cancelled",
    "replay",
    "bad_arguments",
    "bad_result",
    "unknown_tool",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may use; each limit has its own kind of fault.

    Attributes:
        timeout_ms: Milliseconds on a thread, kept to about 10 ms; waiting for one does not count. Fault ``timeout``.
        memory_mb: Memory of the guest in MB (2**20 bytes), about 30 MB of it the interpreter's own; at least 48.
            Fault ``memory_limit``.
        output_kb: KB (2**10 bytes) of stdout and stderr together, and of the value as JSON. Faults ``output_limit``
            and, for a tool's result, ``bad_result``.
        files_kb: KB (2**10 bytes) that a program may add to its files, names included; what the caller puts there does
            not count. Beyond it the program gets an ``OSError`` (no space left). 0: files can only be read.
        fuel: Budget of WebAssembly operations; the same program always uses the same. Counting makes programs about
            1.2 times slower; ``None`` counts nothing. Fault ``out_of_fuel``.

    Raises:
        TypeError: A limit is no whole number.
        InputError: A limit is out of its range; raised by the `Sandbox` that gets it.
    """

    timeout_ms: int = 10_000
    memory_mb: int = 256
    output_kb: int = 256
    files_kb: int = 1_024
    fuel: int | None = None

    def __post_init__(self) -> None:
        for name in ("timeout_ms", "memory_mb", "output_kb", "files_kb", "fuel"):
            value = getattr(self, name)
            if name == "fuel" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be an int, not {type(value).__name__}")
            least, bits = int(name != "files_kb"), 64 if name == "fuel" else 32
            if not least <= value < 2**bits:
                raise InputError(f"{name} must be from {least} to 2**{bits} - 1, not {value}")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a program or a call has no value.

    Attributes:
        kind: ``exception`` (the program's own), ``timeout``, ``out_of_fuel``, ``memory_limit``, ``output_limit``,
            ``trap`` (the instance broke: ``os._exit``, an exhausted stack), ``cancelled`` (by `Run.cancel` and the
            like), ``replay`` (it called other functions of the host than the record that it was to repeat), and of tool
            calls ``unknown_tool``, ``bad_arguments`` and ``bad_result``.
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


@dataclass(frozen=True)  # without slots: see `read_outcome`
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
        reproducible: The same program, seed, limits and guest give the same outcome; false after a timeout, a
            cancellation, where the native stack was exhausted, or where a function of the host ran.
        calls: What it called of the host's functions (`HostFunctions`), in order; calls of its environment come first.
        files: Files that the program made or changed, by path; of a run that was stopped what there was by then. What
            an `env` did is not among them.
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
    calls: tuple[HostCall, ...] = ()
    files: Mapping[str, bytes] = NO_FILES

    @property
    def ok(self) -> bool:
        """Whether there is no fault."""
        return self.fault is None


def read_outcome(raw: _core._Outcome) -> Outcome:
    """An outcome of what the extension gives."""
    stdout, stderr, value_json, value_repr, raw_fault, fuel, wall_ms, truncated, reproducible, raw_calls, changes = raw
    value = fault = None
    if raw_fault is not None:
        kind, type_name, message, traceback = raw_fault
        if kind == "exception":
            message = f"{type_name}: {message}" if message else type_name
        fault = Fault(kind, message, traceback, type_name)
    elif value_json is not None:
        try:
            value = _read(value_json)
        except (ValueError, RecursionError) as error:
            value_repr = None
            fault = Fault("bad_result", f"the value cannot be read: {str(error)[:200]}")
    # After a run the processor's caches hold little of this interpreter: a frozen class's own `__init__`, a call per
    # field, takes 6 us then, this a tenth of it.
    outcome = object.__new__(Outcome)
    outcome.__dict__.update(
        stdout=stdout,
        stderr=stderr,
        value=value,
        value_repr=value_repr,
        fault=fault,
        fuel=fuel,
        wall_ms=wall_ms,
        truncated=truncated,
        reproducible=reproducible,
    )
    if raw_calls is not None:
        outcome.__dict__["calls"] = tuple(map(_read_call, raw_calls))
    if changes is not None:
        outcome.__dict__["files"] = Files(changes)
    return outcome


def _read_call(raw: _core._Call) -> HostCall:
    name, arguments, returned, text = raw
    return HostCall(name, arguments, text) if returned else HostCall(name, arguments, None, text)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:50]} is beyond the numbers")
    return number


_decoder = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
_scan = json.scanner.make_scanner(_decoder)  # type: ignore[arg-type]  # typed as if it took itself


def _read(text: str) -> Any:
    """A value of its JSON; `JSONDecoder.decode` alone looks for space around it first, which takes longer."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        end = -1
    return value if end == len(text) else _decoder.decode(text)
