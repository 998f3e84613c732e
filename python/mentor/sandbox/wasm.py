"""WebAssembly of the user's own: components and core modules, called with JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mentor import _core
from mentor.errors import BuildError, InputError
from mentor.sandbox.arguments import as_call, check_whole, wait_for
from mentor.sandbox.outcome import Limits, Outcome, read_outcome

__all__ = ["WasmFunction", "WasmModule"]


@dataclass(frozen=True, slots=True)
class WasmFunction:
    """A function that a module or component exports.

    Attributes:
        name: How it is called; WIT's ``max-depth`` is ``max_depth``.
        description: Its signature in words of WebAssembly's types.
        parameters: JSON Schema of the arguments.
        returns: JSON Schema of the result; ``None`` where there is none.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    returns: dict[str, Any] | None


class WasmModule:
    """The functions of a WebAssembly file, each call in a new instance.

    Takes components (WASI 0.2), core modules (``wasi_snapshot_preview1`` at most), and the text of either. It is
    compiled once per machine and cached. Safe to use from several threads, after a fork, and pickled into another
    process.

    Args:
        source: Path of the file, or its bytes.
        limits: What one call may use. ``memory_mb`` may be less than the 48 that Python needs.
        seed: Decides the random bytes that it gets; 0 to 2**64 - 1.

    Raises:
        TypeError: An argument has the wrong type.
        InputError: The file cannot be loaded, a limit or the seed is out of its range; the message says why.
        OSError: The file cannot be read.
        BuildError: The extension was built without the sandbox.

    Example:
        >>> text = b'(module (func (export "half") (param $x f64) (result f64) local.get 0 f64.const 0.5 f64.mul))'
        >>> module = WasmModule(text)
        >>> module.call("half", {"x": 5}).value
        2.5
        >>> module.functions[0].description
        'half(x: f64) -> f64'
    """

    def __init__(self, source: str | Path | bytes, *, limits: Limits | None = None, seed: int = 0) -> None:
        limits = Limits() if limits is None else limits
        if not isinstance(limits, Limits):
            raise TypeError(f"limits must be mentor.Limits, not {type(limits).__name__}")
        if not isinstance(source, str | Path | bytes):
            raise TypeError(f"source must be a path or bytes, not {type(source).__name__}")
        check_whole("seed", seed, 2**64)
        if not hasattr(_core, "WasmTools"):
            raise BuildError("this build has no sandbox; build with the cargo feature `sandbox`")
        self._wasm = source if isinstance(source, bytes) else Path(source).read_bytes()
        self._limits, self._seed = limits, seed
        try:
            self._core = _core.WasmTools(
                self._wasm, limits.timeout_ms, limits.memory_mb, limits.output_kb, limits.fuel, seed
            )
        except InputError as error:
            if isinstance(source, bytes):
                raise
            raise InputError(f"{source}: {error}") from None
        described = json.loads(self._core.describe())
        self._functions = tuple(WasmFunction(**function) for function in described["tools"])
        self._skipped = {one["name"]: one["reason"] for one in described["skipped"]}

    @property
    def functions(self) -> tuple[WasmFunction, ...]:
        """The functions, in the order of the file."""
        return self._functions

    @property
    def skipped(self) -> dict[str, str]:
        """Exported functions that cannot be called with JSON, and why."""
        return dict(self._skipped)

    @property
    def limits(self) -> Limits:
        """What one call may use."""
        return self._limits

    @property
    def seed(self) -> int:
        """The seed of each call."""
        return self._seed

    def call(self, name: str, arguments: str | Mapping[str, Any]) -> Outcome:
        """Call one function in a new instance.

        Args:
            name: Its name.
            arguments: Arguments by name, or the text of a JSON object.

        Returns:
            The outcome. Arguments that do not fit the types are a fault (``bad_arguments``), so is the error of a
            WIT ``result`` (``exception``) and a number that is not finite (``bad_result``).

        Raises:
            TypeError: `name` is no str, or `arguments` are no JSON.
            SandboxError: The host failed to do its part.
            KeyboardInterrupt: Ctrl-C; the call is stopped.
        """
        function, text, _ = as_call(name, arguments)
        return read_outcome(self._core.call(function, text))

    def call_batch(self, calls: Iterable[tuple[str, str | Mapping[str, Any]]]) -> list[Outcome]:
        """Call many functions on all cores, each in a new instance.

        Args:
            calls: Pairs of a name and arguments, as in `call`.

        Returns:
            One outcome per call, in order.

        Raises:
            TypeError: An argument has the wrong type.
            SandboxError: The host failed to do its part.
            KeyboardInterrupt: Ctrl-C; the calls are stopped.
        """
        pairs = []
        for index, pair in enumerate(calls):
            if not (isinstance(pair, tuple | list) and len(pair) == 2):
                raise TypeError(f"calls[{index}] must be a pair (name, arguments)")
            name, text, _ = as_call(*pair, where=f"calls[{index}]: ")
            pairs.append((name, text))
        return [read_outcome(raw) for raw in self._core.call_batch(pairs)]

    async def acall(self, name: str, arguments: str | Mapping[str, Any]) -> Outcome:
        """`call` for asyncio; cancelling the task stops the call."""
        function, text, _ = as_call(name, arguments)
        return await wait_for(partial(self._core.spawn, function, text))

    def start(
        self, name: str, arguments: str | Mapping[str, Any], done: Callable[[Outcome | None, Any], object]
    ) -> Callable[[], object]:
        """Starts a call in the background.

        Args:
            name: Its name.
            arguments: As in `call`.
            done: Called with the outcome or an exception, on another thread.

        Returns:
            What stops it.
        """
        function, text, _ = as_call(name, arguments)

        def report(raw: Any, error: Any) -> None:
            done(None if raw is None else read_outcome(raw), error)

        return self._core.spawn(function, text, report).cancel

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._wasm, self._limits, self._seed)

    def __repr__(self) -> str:
        return f"WasmModule({', '.join(function.name for function in self._functions)})"


def _rebuild(wasm: bytes, limits: Limits, seed: int) -> WasmModule:
    return WasmModule(wasm, limits=limits, seed=seed)
