"""The answer judge: native where that decides, math-verify in worker processes for the rest.

The workers are plain child processes that talk over pipes. Unlike a pool of ``multiprocessing`` they need no
``if __name__ == "__main__"`` in the user's script, can be started from any thread and from daemonic processes, and can
be killed whatever the library is doing. So the time of a call has a bound: the caller's budget.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import orjson

from mentor import _core
from mentor.errors import InputError, InputTypeError, JudgeError

__all__ = ["DEFAULT_BUDGET_MS", "Verdicts", "judge_batch"]

DEFAULT_BUDGET_MS = 10_000
PAIR_BUDGET_S = 2.0  # what one pair may take of a call's budget
START_BUDGET_S = 120.0  # a worker that is not ready by then has failed; calls do not wait for it beyond their budget
MAX_WORKERS = 4
MAX_ANSWER = 4096  # characters; longer answers are undecided without asking
CACHE_SIZE = 1 << 16

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Verdicts(Sequence[str]):
    """The judge's verdicts, in order: ``equal``, ``different`` or ``undecided``.

    Attributes:
        verdicts: One per pair.
        rules: What decided: the native judge's rule (``integer``, ``radical``, ``tuple``, ...; docs/judge.md lists
            them) or ``math-verify``; ``none`` for undecided pairs.
    """

    verdicts: tuple[str, ...]
    rules: tuple[str, ...]

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        return self.verdicts[index]

    def __len__(self) -> int:
        return len(self.verdicts)


def judge_batch(
    predictions: Sequence[str],
    golds: Sequence[str],
    *,
    fallback: Literal["math-verify"] | None = "math-verify",
    budget_ms: int = DEFAULT_BUDGET_MS,
) -> Verdicts:
    r"""Judges whether predicted answers equal gold answers.

    Args:
        predictions: N predicted answers, without the ``\boxed{}`` around them.
        golds: N gold answers.
        fallback: Who judges the pairs that the native judge leaves undecided: ``"math-verify"``, or ``None`` for
            nobody.
        budget_ms: Milliseconds that the call waits for the fallback in all, starting its processes included. One pair
            may take 2,000 of them; then its process is killed. Pairs without a verdict at the end are undecided.

    Returns:
        N verdicts.

    Raises:
        InputError: The lengths differ, or ``fallback`` is unknown.
        JudgeError: No worker process could be started.

    Example:
        >>> list(judge_batch(["1,000", "7", "x"], ["1000", "8", "y"], fallback=None))
        ['equal', 'different', 'undecided']
    """
    if len(predictions) != len(golds):
        raise InputError(f"judge_batch: {len(predictions)} predictions but {len(golds)} golds")
    for name, texts in (("predictions", predictions), ("golds", golds)):
        for at, text in enumerate(texts):
            if not isinstance(text, str):
                raise InputTypeError(f"judge_batch: {name}[{at}] must be a str, got {type(text).__name__}")
    if fallback not in (None, "math-verify"):
        raise InputError(f"judge_batch: unknown fallback {fallback!r}; known: 'math-verify', None")
    _check_budget(budget_ms)
    decisions = _core.judge([_clean(text) for text in predictions], [_clean(text) for text in golds])
    verdicts, rules = [verdict for verdict, _ in decisions], [rule for _, rule in decisions]
    if fallback:
        open_rows = [at for at, verdict in enumerate(verdicts) if verdict is None]
        asked = library_verdicts([(golds[at], predictions[at]) for at in open_rows], budget_ms)
        for at, verdict in zip(open_rows, asked, strict=True):
            if verdict is not None:
                verdicts[at], rules[at] = verdict, "math-verify"
    names = {True: "equal", False: "different", None: "undecided"}
    return Verdicts(tuple(names[verdict] for verdict in verdicts), tuple(rules))


def library_verdicts(pairs: Sequence[Pair], budget_ms: int) -> list[bool | None]:
    """What math-verify says of ``(gold, predicted)`` pairs; ``None`` where it fails or takes too long.

    Returns within ``budget_ms`` (and the moment that killing processes takes), however many pairs there are, whether or
    not worker processes have to be started first.
    """
    _check_budget(budget_ms)
    known: dict[Pair, bool | None] = {}
    for pair in pairs:
        if pair in _cache:
            known[pair] = _cache[pair]
    unknown = [pair for pair in dict.fromkeys(pairs) if pair not in known]
    askable = [pair for pair in unknown if max(map(len, pair)) <= MAX_ANSWER]
    if askable:
        known.update(_pool().ask(askable, budget_ms / 1000))
    decided = {pair: verdict for pair, verdict in known.items() if verdict is not None}
    if len(_cache) + len(decided) > CACHE_SIZE:
        _cache.clear()
    _cache.update(decided)
    return [known.get(pair) for pair in pairs]


_cache: dict[Pair, bool | None] = {}


def _check_budget(budget_ms: int) -> None:
    if not isinstance(budget_ms, int) or budget_ms <= 0:
        raise InputError(f"judge: budget_ms must be a positive number of milliseconds, got {budget_ms!r}")


class _Worker:
    """One worker process; started when first asked."""

    def __init__(self) -> None:
        # The worker must find what this process finds, however it was made importable.
        path = os.pathsep.join(entry for entry in sys.path if entry)
        if not sys.executable:
            raise JudgeError("judge: sys.executable is empty, so no worker process can be started; use judge='native'")
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mentor.score.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
                bufsize=0,
                start_new_session=True,  # Ctrl-C is this process's to handle
            )
        except OSError as error:
            raise JudgeError(f"judge: cannot start a worker process ({sys.executable}): {error}") from error
        self.ready = False
        self.pair: Pair | None = None
        self.deadline = time.monotonic() + START_BUDGET_S
        self._pending = b""

    def send(self, pair: Pair, deadline: float) -> None:
        """Sends a pair; a worker that died in the meantime is noticed when its answer is read."""
        assert self.process.stdin is not None
        self.pair = pair
        self.deadline = deadline
        line = orjson.dumps({"gold": _clean(pair[0]), "predicted": _clean(pair[1])}) + b"\n"
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(line)

    def read(self) -> bytes | None:
        """A line that came in; ``None`` for none yet. Raises EOFError for a dead worker."""
        assert self.process.stdout is not None
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        if not data:
            raise EOFError
        self._pending += data
        if b"\n" not in self._pending:
            return None
        line, self._pending = self._pending.split(b"\n", 1)
        return line

    def close(self) -> None:
        """Kills the process and reaps it."""
        self.process.kill()
        self.process.wait()
        self.hang_up()

    def hang_up(self) -> None:
        """Closes this side's ends of the pipes."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


class _Pool:
    """Idle workers, shared by all threads of this process."""

    def __init__(self) -> None:
        self.size = max(1, min(MAX_WORKERS, os.cpu_count() or 1))
        self.idle: list[_Worker | None] = [None] * self.size
        self.changed = threading.Condition()

    @contextlib.contextmanager
    def _taken(self, wanted: int, until: float) -> Iterator[list[_Worker | None]]:
        """Some idle workers; none if other threads have them all until the time is up."""
        taken: list[_Worker | None] = []
        try:
            with self.changed:
                self.changed.wait_for(lambda: bool(self.idle), max(0.0, until - time.monotonic()))
                while self.idle and len(taken) < wanted:
                    taken.append(self.idle.pop())
            yield taken
        finally:
            with self.changed:
                self.idle.extend(taken)
                self.changed.notify_all()

    def ask(self, pairs: list[Pair], budget_s: float) -> dict[Pair, bool | None]:
        """Judges distinct pairs, all of them in the budget."""
        until = time.monotonic() + budget_s
        with self._taken(len(pairs), until) as workers:
            try:
                return _Round(workers, pairs, until).run() if workers else {}
            finally:
                for at, worker in enumerate(workers):
                    # Out of time or interrupted: its answer must not be read later. A worker that is still starting
                    # goes on, for the next call.
                    if worker is not None and worker.pair is not None:
                        worker.close()
                        workers[at] = None

    def close(self) -> None:
        """Ends the idle workers."""
        with self.changed:
            for worker in self.idle:
                if worker is not None:
                    worker.close()
            self.idle = [None] * self.size


class _Round:
    """One call's pairs on the workers that it got."""

    def __init__(self, workers: list[_Worker | None], pairs: list[Pair], until: float) -> None:
        self.workers = workers
        self.until = until
        self.waiting = pairs[::-1]
        self.open = len(pairs)
        self.verdicts: dict[Pair, bool | None] = {}
        self.failed_starts = 0

    def run(self) -> dict[Pair, bool | None]:
        while self.open and time.monotonic() < self.until:
            for at in range(len(self.workers)):
                self._feed(at)
            self._wait()
        return self.verdicts

    def _feed(self, at: int) -> None:
        if not self.waiting:
            return
        worker = self.workers[at]
        if worker is None:
            worker = self.workers[at] = _Worker()
        if worker.ready and worker.pair is None:
            worker.send(self.waiting.pop(), min(self.until, time.monotonic() + PAIR_BUDGET_S))

    def _wait(self) -> None:
        busy = {at: w for at, w in enumerate(self.workers) if w is not None and (w.pair is not None or not w.ready)}
        with selectors.DefaultSelector() as selector:
            for at, worker in busy.items():
                assert worker.process.stdout is not None
                selector.register(worker.process.stdout, selectors.EVENT_READ, at)
            soonest = min(self.until, *(worker.deadline for worker in busy.values()))
            events = selector.select(max(0.0, soonest - time.monotonic()))
        for key, _ in events:
            self._read(key.data)
        now = time.monotonic()
        for at, worker in busy.items():
            still_busy = worker.pair is not None or not worker.ready
            if self.workers[at] is worker and still_busy and now >= worker.deadline:
                self._lose(at, worker)

    def _read(self, at: int) -> None:
        worker = self.workers[at]
        assert worker is not None
        try:
            line = worker.read()
        except EOFError:
            self._lose(at, worker)
            return
        if line is None:
            return
        if not worker.ready:
            worker.ready = True
        elif worker.pair is not None:
            self._settle(worker, orjson.loads(line))

    def _settle(self, worker: _Worker, verdict: bool | None) -> None:
        assert worker.pair is not None
        self.verdicts[worker.pair] = verdict
        worker.pair = None
        self.open -= 1

    def _lose(self, at: int, worker: _Worker) -> None:
        """A worker that died, or whose time is up: its pair is undecided; the next pair gets a new worker."""
        if worker.pair is not None:
            self._settle(worker, None)
        worker.close()
        self.workers[at] = None
        if not worker.ready:
            self.failed_starts += 1
            if self.failed_starts > len(self.workers):
                raise JudgeError(
                    "judge: the worker processes end before they are ready; is math-verify installed and importable by "
                    f"{sys.executable}? (`{sys.executable} -m mentor.score.worker` shows the error)"
                )


_state: dict[str, _Pool] = {}
_state_lock = threading.Lock()


def _pool() -> _Pool:
    with _state_lock:
        if "pool" not in _state:
            _state["pool"] = _Pool()
        return _state["pool"]


def _close() -> None:
    pool = _state.pop("pool", None)
    if pool is not None:
        pool.close()


def _forget() -> None:
    """In a forked child: the workers are the parent's. Drop them without touching their processes."""
    global _state_lock
    _state_lock = threading.Lock()
    pool = _state.pop("pool", None)
    for worker in pool.idle if pool else ():
        if worker is not None:
            worker.process.returncode = 0  # nothing to reap here
            worker.hang_up()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
