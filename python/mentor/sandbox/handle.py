"""A run in the background, and output as it comes."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any, TypeAlias

from mentor import _core
from mentor.sandbox.functions import within
from mentor.sandbox.outcome import Outcome, read_outcome

__all__ = ["OnOutput", "Run", "as_listener", "begin", "listening"]

OnOutput: TypeAlias = "Callable[[str, str], object]"


class Run:
    """A program that runs in the background; made by `Sandbox.start`. Usable from any thread.

    The program goes on, within its limits, also where nobody keeps its `Run`: only `cancel` stops it.

    Example:
        >>> import mentor
        >>> run = mentor.Sandbox().start("while True: pass")
        >>> run.cancel()
        >>> run.result().fault.kind
        'cancelled'
    """

    def __init__(self) -> None:
        self._future: concurrent.futures.Future[Outcome] = concurrent.futures.Future()
        self._handle: _core.Handle | None = None

    def result(self, timeout: float | None = None) -> Outcome:
        """Wait for the outcome.

        Args:
            timeout: Seconds to wait; ``None`` waits as long as it takes.

        Raises:
            TimeoutError: The program has not finished by then; it runs on.
            SandboxError: The host failed to do its part.
            Exception: What `on_output` raised.
        """
        try:
            return self._future.result(timeout)
        except concurrent.futures.TimeoutError:
            if self._future.done():
                raise  # the listener's own
            raise TimeoutError(f"the program has not finished within {timeout} seconds") from None

    def done(self) -> bool:
        """Whether there is an outcome."""
        return self._future.done()

    def cancel(self) -> None:
        """Stop the program at its next tick (10 ms), with the fault ``cancelled``. After its end this does nothing."""
        if self._handle is not None:
            self._handle.cancel()

    def __repr__(self) -> str:
        return f"<Run {'done' if self.done() else 'under way'}>"


class _Speaker:
    """Calls a listener on the threads for such work, and ends the run once everything was heard."""

    def __init__(self, run: Run, listener: OnOutput) -> None:
        self._run = run
        self._listener = listener
        self._end: tuple[Any, Any] | None = None
        self._failure: BaseException | None = None
        self.inbox = _core.Inbox(self._pump)

    def _pump(self) -> None:
        while (texts := self.inbox.take()) is not None:
            if self._failure is None:
                try:
                    _hear(texts, self._listener)
                except BaseException as error:  # noqa: BLE001 - it is raised by `Run.result`
                    self._failure = error
                    self._run.cancel()
            # What was printed before the end may have come after this look into the box.
            if self._end is not None and not self.inbox:
                end, self._end = self._end, None
                _settle(self._run, *end, self._failure)

    def done(self, raw: Any, error: Any) -> None:
        self._end = (raw, error)
        self.inbox.wake()


_Spawn: TypeAlias = "Callable[[Callable[[Any, Any], None], _core.Inbox | None], _core.Handle]"


def begin(spawn: _Spawn, listener: OnOutput | None) -> Run:
    """Starts what `spawn` starts."""
    run = Run()
    if listener is None:
        run._handle = spawn(lambda raw, error: _settle(run, raw, error), None)
    else:
        speaker = _Speaker(run, listener)
        run._handle = spawn(speaker.done, speaker.inbox)
        if speaker._failure is not None:  # before there was anything to cancel
            run.cancel()
    return run


def _settle(run: Run, raw: Any, error: Any, failure: BaseException | None = None) -> None:
    if failure is not None or error is not None:
        run._future.set_exception(failure or error)
    else:
        run._future.set_result(read_outcome(raw))


def _hear(texts: list[tuple[str, str]], listener: OnOutput) -> None:
    """Calls a listener."""
    for stream, text in texts:
        listener(stream, text)


def listening(listener: OnOutput, session: int | None = None) -> tuple[_core.Inbox, Callable[[], None]]:
    """A box for output of a step, and what is called on the caller's own thread to hear what is in it."""
    inbox = _core.Inbox(None)

    def pump() -> None:
        if (texts := inbox.take()) is not None:
            with within(session):
                _hear(texts, listener)

    return inbox, pump


def as_listener(listener: object) -> OnOutput | None:
    """A listener as the caller gave it."""
    if listener is not None and not callable(listener):
        raise TypeError(f"on_output must be callable, not {type(listener).__name__}")
    return listener
