"""Standard streams of a guest, and an event loop that needs no sockets."""

import asyncio
import builtins
import io
import selectors
import sys
import time

from wit_world.imports import host

# As in `app`.
__builtins__ = dict(builtins.__dict__)

# Early lines leave at once, so that they survive a program that is stopped; later ones leave in blocks.
_EAGER_WRITES = 64
_BLOCK = 4096


class OutputLimit(BaseException):
    """The program printed more than its limit. Not an `Exception`, so that common handlers let it through."""


class _Raw(io.RawIOBase):
    """Sends bytes to the host."""

    def __init__(self, stream, live):
        self.stream = stream
        self.live = live
        self.writes = 0
        self.pending = bytearray()

    def writable(self):
        return True

    def write(self, data):
        if not self.live:
            return len(data)
        self.writes += 1
        self.pending += data
        if self.writes <= _EAGER_WRITES or len(self.pending) >= _BLOCK:
            self.push()
        return len(data)

    def push(self):
        if self.pending:
            block = bytes(self.pending)
            self.pending.clear()
            if not host.emit(self.stream, block):
                raise OutputLimit


def _is_usable(text):
    """Whether a stream is neither closed nor taken apart."""
    try:
        return not text.closed
    except ValueError:
        return False


class Streams:
    """stdout and stderr; `open` before a run and `finish` after it.

    Args:
        live: Whether a host listens; not so while the guest is built.
    """

    def __init__(self, live):
        self.live = live
        self.raw = []
        self.renew()

    def renew(self):
        """Makes new streams; the old ones are forgotten with what they hold, also where a program still has them."""
        for raw in self.raw:
            raw.live = False
            raw.pending.clear()
        self.raw = [_Raw(1, self.live), _Raw(2, self.live)]
        self.text = [
            io.TextIOWrapper(io.BufferedWriter(raw, _BLOCK), "utf-8", "backslashreplace", line_buffering=True)
            for raw in self.raw
        ]

    def open(self):
        # A program's own streams end here; where they were made on top of these, they close these too.
        sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None
        if not all(_is_usable(text) for text in self.text):
            self.renew()
        for raw in self.raw:
            raw.writes = 0
        sys.stdout, sys.stderr = self.text
        sys.__stdout__, sys.__stderr__ = self.text
        sys.stdin = sys.__stdin__ = io.StringIO("")

    def finish(self):
        """Sends what is still held.

        Raises:
            OutputLimit: It was too much.
        """
        for raw, text in zip(self.raw, self.text):
            if _is_usable(text):
                text.flush()
            raw.push()


class _NullSelector(selectors._BaseSelectorImpl):
    """Waits for timers only; the host's clock is virtual, so that waiting takes no time."""

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("asyncio waits for something that cannot happen in the sandbox")
        if timeout > 0:
            time.sleep(timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    """An event loop without the self-pipe, as there are no sockets, no signals and no other threads."""

    def __init__(self, selector=None):
        super().__init__(_NullSelector())

    def _make_self_pipe(self):
        pass

    def _close_self_pipe(self):
        pass

    def _write_to_self(self):
        pass


def install_event_loop():
    """Makes `asyncio.run` and friends use a loop that works here."""
    asyncio.new_event_loop = asyncio.events.new_event_loop = _Loop
    asyncio.SelectorEventLoop = asyncio.DefaultEventLoop = asyncio.EventLoop = _Loop
