"""Programs and calls, each in an instance of its own."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from queue import SimpleQueue
from typing import Any, TypeAlias

from mentor import _core
from mentor.errors import BuildError, InputError
from mentor.sandbox.arguments import as_call, as_environment, as_source, check_whole, wait_for
from mentor.sandbox.cache import OutcomeCache, copied
from mentor.sandbox.calls import HostCall
from mentor.sandbox.files import Inputs, as_inputs, core_files, files_digest
from mentor.sandbox.functions import HostFunctions, as_functions
from mentor.sandbox.guests import find_guest
from mentor.sandbox.handle import OnOutput, Run, as_listener, begin
from mentor.sandbox.outcome import Limits, Outcome, read_outcome
from mentor.sandbox.session import SavedState, Session, core_state
from mentor.sandbox.ties import tie

__all__ = ["Sandbox"]

_CLOCK = 1_767_225_600  # 2026-01-01T00:00:00Z
_Result: TypeAlias = "tuple[Any, Any]"
_log = logging.getLogger(__name__)
_ready: set[tuple[int, bool, str | None]] = set()  # (process, whether fuel is counted, file of the guest)


class Sandbox:
    """Runs programs and calls, each in an instance of the guest that is like new.

    Cheap to make, and safe to use from several threads, after a fork, and pickled into another process. The guest is
    compiled once per machine (some seconds) and cached; see ``docs/sandbox.md``.

    Args:
        limits: What each run may use.
        seed: Decides ``random``, ``os.urandom``, ``uuid4`` and the like; 0 to 2**64 - 1.
        isolation: How a run gets an instance of its own. ``reset``: instances are made equal to new ones after each
            run, by copying back the pages that were written (tens of microseconds). ``fresh``: a new instance per run,
            made ahead of its use (about a millisecond). ``auto``: ``reset`` where the kernel allows it, else ``fresh``.
            The outcomes are the same.
        clock: Where the guest's virtual clock starts, seconds since 1970; by default 2026-01-01T00:00:00Z.
        cache_mb: MB of outcomes that are kept, by content: the same program, environment, seed, clock and limits are
            not run again, as they would give the same. 0 keeps none. Only reproducible outcomes are kept.
        guest: Name of a guest with packages in it, such as ``sympy``, or the start of its hash; ``mentor guest build``
            makes one. By default the built-in guest, which has the standard library.
        files: Files that each run and each session finds in its working folder, by relative path such as
            ``data/in.csv``; text is written as UTF-8. Each has its own copy.
        functions: Functions of this process that programs may call, by name, as globals and from module `host`;
            `HostFunctions` sets limits. Kept outcomes are then not used.

    Raises:
        TypeError: An argument has the wrong type.
        InputError: A limit, the seed or another argument is out of its range.
        SandboxError: ``reset`` was asked for where the kernel cannot do it.
        BuildError: The extension was built without the sandbox, or the guest has to be built, which fails.

    Example:
        >>> sandbox = Sandbox(limits=Limits(timeout_ms=200))
        >>> sandbox.run("while True: pass").fault.kind
        'timeout'
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        seed: int = 0,
        isolation: str = "auto",
        clock: int = _CLOCK,
        cache_mb: int = 0,
        guest: str | None = None,
        files: Mapping[str, bytes | str] | None = None,
        functions: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        limits = Limits() if limits is None else limits
        if not isinstance(limits, Limits):
            raise TypeError(f"limits must be mentor.Limits, not {type(limits).__name__}")
        check_whole("seed", seed, 2**64)
        check_whole("clock", clock, 2**33)
        check_whole("cache_mb", cache_mb, 2**20)
        if not isinstance(isolation, str):
            raise TypeError(f"isolation must be a str, not {type(isolation).__name__}")
        if not hasattr(_core, "Sandbox"):
            raise BuildError("this build has no sandbox; build with the cargo feature `sandbox`")
        self._limits = limits
        self._seed = seed
        self._isolation = isolation
        self._clock = clock
        self._files = as_inputs(files)
        self._cache = OutcomeCache(cache_mb << 20) if cache_mb else None
        self._guest = None if guest is None else find_guest(guest)
        self._path = None if self._guest is None else self._guest.file
        self._core = _core.Sandbox(
            limits.timeout_ms,
            limits.memory_mb,
            limits.output_kb,
            limits.files_kb,
            limits.fuel,
            seed,
            clock,
            isolation,
            self._path,
            core_files(self._files),
        )
        self._functions = granted = as_functions(functions)
        if granted is not None:
            self._core = self._core.granting(sorted(granted), granted.timeout_ms, granted.max_calls, granted.max_kb)

    @property
    def limits(self) -> Limits:
        """What each run may use."""
        return self._limits

    @property
    def seed(self) -> int:
        """The seed of each run."""
        return self._seed

    @property
    def isolation(self) -> str:
        """How a run gets an instance of its own, as it was asked for."""
        return self._isolation

    @property
    def clock(self) -> int:
        """Where the guest's clock starts, seconds since 1970."""
        return self._clock

    @property
    def functions(self) -> HostFunctions | None:
        """What programs may call of this process; ``None`` where that is nothing."""
        return self._functions

    @cached_property
    def guest(self) -> str:
        """SHA-256 of the guest, in hex: runs are reproducible as long as it stays the same."""
        return str(_core.GUEST_SHA256) if self._guest is None else self._guest.hash

    def prepare(self) -> None:
        """Compile or load the guest now; the first run does it otherwise.

        Raises:
            SandboxError: The guest can be neither loaded nor compiled.
        """
        metered = self._limits.fuel is not None
        key = (os.getpid(), metered, self._path)
        if key in _ready:
            return
        if not _core.sandbox_is_compiled(metered, self._path):
            _log.warning("compiling the sandbox's guest, once; this takes some seconds")
        _core.sandbox_prepare(metered, self._path)
        _ready.add(key)

    def run(
        self,
        code: str,
        env: str | None = None,
        *,
        filename: str = "<code>",
        replay: Sequence[HostCall] | None = None,
        on_output: OnOutput | None = None,
        files: Mapping[str, bytes | str] | None = None,
    ) -> Outcome:
        """Run one program in an instance that is like new.

        Args:
            code: Python source. The value of its last expression, if it ends with one, is the outcome's value.
            env: Python source that runs first in the same namespace, such as definitions that the program uses. The
                state after it is kept when it comes again; later runs with the same `env` start from there.
            filename: What tracebacks call the program.
            replay: Answers to the calls of host functions, such as ``outcome.calls`` of an earlier run: no function
                runs, and a program that calls anything else gets the fault ``replay``.
            on_output: Called on this thread with ``"stdout"`` or ``"stderr"`` and text, as output leaves the guest.
                What it raises stops the program and is raised here.
            files: Files that this run finds, beside those of the sandbox, by relative path; `env` finds them too.

        Returns:
            The outcome; a failing program gives a fault.

        Raises:
            TypeError: `code`, `env` or `filename` is no str, or another argument has the wrong type.
            InputError: `replay` has calls, and the sandbox grants no functions; the path of a file is not relative, or
                otherwise none.
            SandboxError: The host failed to do its part.
            KeyboardInterrupt: Ctrl-C; the program is stopped.
        """
        step = (as_source("code", code), as_source("filename", filename))
        return self._one(step, as_environment(env), tie(self._functions, replay, on_output), as_inputs(files))

    def call(
        self,
        name: str,
        arguments: str | Mapping[str, Any],
        env: str | None = None,
        *,
        env_filename: str = "<env>",
        replay: Sequence[HostCall] | None = None,
        files: Mapping[str, bytes | str] | None = None,
    ) -> Outcome:
        """Call one function that `env` defines, in an instance that is like new; its result must be JSON.

        Args:
            name: Name of the function.
            arguments: Keyword arguments by name, or the text of a JSON object.
            env: Python source that defines the function; the state after it is kept, as in `run`.
            env_filename: What tracebacks call it.
            replay: As in `run`.
            files: As in `run`.

        Raises:
            TypeError: An argument has the wrong type, or `arguments` are no JSON.
            InputError: As in `run`.
            SandboxError: The host failed to do its part.
            KeyboardInterrupt: Ctrl-C; the call is stopped.

        Example:
            >>> Sandbox().call("double", {"x": 21}, env="def double(x): return 2 * x").value
            42
        """
        ties = tie(self._functions, replay)
        return self._one(as_call(name, arguments), as_environment(env, env_filename), ties, as_inputs(files))

    def run_batch(
        self,
        codes: Iterable[str],
        env: str | None = None,
        *,
        progress: Callable[[int], object] | None = None,
        files: Mapping[str, bytes | str] | None = None,
    ) -> list[Outcome]:
        """Run many programs side by side, on as many threads as there are cores.

        A program that runs long shares its core with the others, so none waits longer for it than for any other.

        Args:
            codes: The programs.
            env: Python source that runs first in each of them.
            progress: Called from time to time with the number of programs that were finished since its last call.
            files: Files that each of them finds, as in `run`.

        Returns:
            One outcome per program, in order.

        Raises:
            TypeError: An argument has the wrong type.
            InputError: As in `run`.
            SandboxError: The host failed to do its part.
            KeyboardInterrupt: Ctrl-C; the programs are stopped.
        """
        if isinstance(codes, str | bytes):
            raise TypeError("codes must be a list of str; for one program use `run`")
        steps = [(as_source(f"codes[{index}]", code), "<code>") for index, code in enumerate(codes)]
        return self._many(steps, as_environment(env), progress, as_inputs(files))

    def call_batch(
        self,
        calls: Iterable[tuple[str, str | Mapping[str, Any]]],
        env: str | None = None,
        *,
        env_filename: str = "<env>",
        progress: Callable[[int], object] | None = None,
        files: Mapping[str, bytes | str] | None = None,
    ) -> list[Outcome]:
        """Call many functions that `env` defines, side by side, each in an instance that is like new.

        Args:
            calls: Pairs of a name and arguments, as in `call`.
            env: Python source that defines the functions.
            env_filename: What tracebacks call it.
            progress: As in `run_batch`.
            files: Files that each of them finds, as in `run`.

        Returns:
            One outcome per call, in order.

        Raises:
            TypeError: An argument has the wrong type.
            InputError: As in `run`.
            SandboxError: The host failed to do its part.
            KeyboardInterrupt: Ctrl-C; the calls are stopped.
        """
        steps = []
        for index, pair in enumerate(calls):
            if not (isinstance(pair, tuple | list) and len(pair) == 2):
                raise TypeError(f"calls[{index}] must be a pair (name, arguments)")
            steps.append(as_call(*pair, where=f"calls[{index}]: "))
        return self._many(steps, as_environment(env, env_filename), progress, as_inputs(files))

    def stream(
        self,
        codes: Iterable[str],
        env: str | None = None,
        *,
        pending: int | None = None,
        files: Mapping[str, bytes | str] | None = None,
    ) -> Iterator[Outcome]:
        """Run programs as they come, and give the outcomes in order.

        Programs are taken from `codes` only as outcomes are taken from here: at most `pending` are under way or wait to
        be fetched, however many there are. Closing the generator stops what still runs. Kept outcomes (`cache_mb`) are
        not used here.

        Args:
            codes: The programs; may be endless.
            env: Python source that runs first in each of them.
            pending: How many may be under way; 16 per core by default.
            files: Files that each of them finds, as in `run`.

        Raises:
            TypeError: An argument has the wrong type.
            InputError: `pending` is less than 1, or as in `run`.
            SandboxError: The host failed to do its part.

        Example:
            >>> [outcome.value for outcome in Sandbox().stream(f"{n} ** 2" for n in range(4))]
            [0, 1, 4, 9]
        """
        pending = 16 * (os.cpu_count() or 1) if pending is None else pending
        if isinstance(pending, bool) or not isinstance(pending, int):
            raise TypeError(f"pending must be an int, not {type(pending).__name__}")
        if pending < 1:
            raise InputError(f"pending must be at least 1, not {pending}")
        if isinstance(codes, str | bytes):
            raise TypeError("codes must yield str; for one program use `run`")
        environment, inputs = as_environment(env), as_inputs(files)
        self.prepare()
        return self._stream(enumerate(codes), environment, pending, inputs)

    def _stream(
        self, codes: Iterator[tuple[int, str]], env: tuple[str, str] | None, pending: int, files: Inputs | None
    ) -> Iterator[Outcome]:
        waiting: deque[tuple[_core.Handle, SimpleQueue[_Result]]] = deque()
        ties = tie(self._functions)
        try:
            while True:
                while len(waiting) < pending and (item := next(codes, None)) is not None:
                    done: SimpleQueue[_Result] = SimpleQueue()
                    step = (as_source(f"codes[{item[0]}]", item[1]), "<code>")
                    waiting.append((self._core.spawn(step, env, partial(_put, done), ties, core_files(files)), done))
                if not waiting:
                    return
                raw, error = waiting[0][1].get()
                waiting.popleft()
                if error is not None:
                    raise error
                yield read_outcome(raw)
        finally:
            for handle, _ in waiting:
                handle.cancel()

    def start(
        self,
        code: str,
        env: str | None = None,
        *,
        filename: str = "<code>",
        replay: Sequence[HostCall] | None = None,
        on_output: OnOutput | None = None,
        files: Mapping[str, bytes | str] | None = None,
    ) -> Run:
        """Run one program in the background.

        Args:
            code: As in `run`.
            env: As in `run`.
            filename: As in `run`.
            replay: As in `run`.
            on_output: As in `run`, but called on a thread of its own. What it raises stops the program, and
                `Run.result` raises it.
            files: As in `run`.

        Returns:
            A handle to wait for the outcome, or to stop the program. Without it the program goes on all the same.

        Raises:
            TypeError: As in `run`.
            InputError: As in `run`.

        Example:
            >>> run = Sandbox().start("6 * 7")
            >>> run.result(timeout=10).value
            42
        """
        step, environment = (as_source("code", code), as_source("filename", filename)), as_environment(env)
        listener, inputs = as_listener(on_output), core_files(as_inputs(files))
        tie(self._functions, replay)  # refuses before anything starts
        self.prepare()

        def spawn(done: Callable[[Any, Any], None], inbox: _core.Inbox | None) -> _core.Handle:
            return self._core.spawn(step, environment, done, tie(self._functions, replay, inbox=inbox), inputs)

        return begin(spawn, listener)

    async def arun(
        self,
        code: str,
        env: str | None = None,
        *,
        filename: str = "<code>",
        replay: Sequence[HostCall] | None = None,
        files: Mapping[str, bytes | str] | None = None,
    ) -> Outcome:
        """`run` for asyncio: no thread waits for it, and the event loop stays free.

        Cancelling the task stops the program. `async` host functions run in this event loop.
        """
        step = (as_source("code", code), as_source("filename", filename))
        return await self._later(step, as_environment(env), replay, as_inputs(files))

    async def acall(
        self,
        name: str,
        arguments: str | Mapping[str, Any],
        env: str | None = None,
        *,
        env_filename: str = "<env>",
        replay: Sequence[HostCall] | None = None,
        files: Mapping[str, bytes | str] | None = None,
    ) -> Outcome:
        """`call` for asyncio."""
        step = as_call(name, arguments)
        return await self._later(step, as_environment(env, env_filename), replay, as_inputs(files))

    def session(self) -> Session:
        """One instance that keeps its globals from run to run.

        Example:
            >>> with Sandbox().session() as session:
            ...     _ = session.run("x = 20")
            ...     session.run("x + 1").value
            21
        """
        self.prepare()
        return Session(self._core.session(), self._functions)

    def restore(self, state: SavedState) -> Session:
        """A new session that goes on from a saved state of this process.

        Raises:
            TypeError: `state` is none.
            InputError: It was saved with other host functions granted.
        """
        self.prepare()
        return Session(self._core.restore(core_state(state, self._functions)), self._functions)

    def stats(self) -> dict[str, int]:
        """What happened to the instances of this process so far, by engine (with and without a fuel limit).

        Returns:
            ``made``, ``reset`` (runs after which an instance was made like new), ``checked`` (resets that were compared
            with the master image), ``dropped_...`` by reason (``grown`` memory, too many ``pages``, ``differing`` from
            the image, ``untracked``), ``idle`` instances and their private ``idle_pages`` of 4 KB, kept ``states`` and
            their ``state_bytes``. ``dropped_differing`` above 0 would be a bug.
        """
        self.prepare()
        return _core.sandbox_stats(self._limits.fuel is not None, self._path)

    @cached_property
    def _origin(self) -> tuple[object, ...]:
        return (self.guest, self._seed, self._clock, files_digest(self._files))

    def _key(self, cache: OutcomeCache, step: _core._Step, env: tuple[str, str] | None, files: bytes | None) -> bytes:
        return cache.key(self._limits, (*self._origin, files), step, env)

    def _one(
        self, step: _core._Step, env: tuple[str, str] | None, ties: _core._Ties | None, files: Inputs | None
    ) -> Outcome:
        if ties is not None:
            self.prepare()
            return read_outcome(self._core.run(step, env, ties, core_files(files)))
        key = None
        if self._cache is not None:
            key = self._key(self._cache, step, env, files_digest(files))
            if (known := self._cache.get(key)) is not None:
                return known
        self.prepare()
        outcome = read_outcome(self._core.run(step, env, None, core_files(files)))
        if self._cache is not None and key is not None:
            self._cache.put(key, outcome)
        return outcome

    def _many(
        self,
        steps: Sequence[_core._Step],
        env: tuple[str, str] | None,
        progress: Callable[[int], object] | None,
        files: Inputs | None,
    ) -> list[Outcome]:
        if progress is not None and not callable(progress):
            raise TypeError(f"progress must be callable, not {type(progress).__name__}")
        if not steps:
            return []
        if self._cache is not None and self._functions is None:
            return self._many_cached(self._cache, steps, env, progress, files)
        return self._batch(steps, env, progress, files)

    def _batch(
        self,
        steps: Sequence[_core._Step],
        env: tuple[str, str] | None,
        progress: Callable[[int], object] | None,
        files: Inputs | None,
    ) -> list[Outcome]:
        self.prepare()
        seen = 0

        def advance(done: int, total: int) -> None:
            nonlocal seen
            if progress is not None and done > seen:
                step, seen = done - seen, done
                progress(step)

        report, ties = None if progress is None else advance, tie(self._functions)
        return [read_outcome(raw) for raw in self._core.run_batch(steps, env, report, ties, core_files(files))]

    def _many_cached(
        self,
        cache: OutcomeCache,
        steps: Sequence[_core._Step],
        env: tuple[str, str] | None,
        progress: Callable[[int], object] | None,
        files: Inputs | None,
    ) -> list[Outcome]:
        digest = files_digest(files)
        keys = [self._key(cache, step, env, digest) for step in steps]
        known = {key: outcome for key in keys if (outcome := cache.get(key)) is not None}
        missing = {key: step for key, step in zip(keys, steps, strict=True) if key not in known}
        ready = len(keys) - len(missing)
        if progress is not None and ready:
            progress(ready)
        if missing:
            for key, outcome in zip(missing, self._batch(list(missing.values()), env, progress, files), strict=True):
                cache.put(key, outcome)
                known[key] = outcome
        # Whoever changes the value of one does not change that of another.
        again = Counter(keys)
        return [known[key] if again[key] == 1 else _apart(known[key]) for key in keys]

    async def _later(
        self,
        step: _core._Step,
        env: tuple[str, str] | None,
        replay: Sequence[HostCall] | None,
        files: Inputs | None,
    ) -> Outcome:
        key = None
        ties = tie(self._functions, replay, loop=asyncio.get_running_loop())
        if self._cache is not None and ties is None:
            key = self._key(self._cache, step, env, files_digest(files))
            if (known := self._cache.get(key)) is not None:
                return known
        if (os.getpid(), self._limits.fuel is not None, self._path) not in _ready:
            await asyncio.to_thread(self.prepare)
        outcome = await wait_for(lambda done: self._core.spawn(step, env, done, ties, core_files(files)))
        if self._cache is not None and key is not None:
            self._cache.put(key, outcome)
        return outcome

    def __reduce__(self) -> tuple[Any, ...]:
        cache_mb = 0 if self._cache is None else self._cache.limit >> 20
        guest = None if self._guest is None else self._guest.name
        files = None if self._files is None else dict(self._files.items)
        made = partial(
            Sandbox,
            limits=self._limits,
            seed=self._seed,
            isolation=self._isolation,
            clock=self._clock,
            cache_mb=cache_mb,
            guest=guest,
            functions=self._functions,
            files=files,
        )
        return made, ()

    def __repr__(self) -> str:
        return f"Sandbox(limits={self._limits}, seed={self._seed})"


def _apart(outcome: Outcome) -> Outcome:
    try:
        return copied(outcome)
    except RecursionError:
        return outcome


def _put(queue: SimpleQueue[_Result], raw: Any, error: Any) -> None:
    queue.put((raw, error))
