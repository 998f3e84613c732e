"""Connections: uvicorn's HTTP/1.1 protocol, with what it does not limit by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from mentor.serve.settings import Settings

__all__ = ["ON_CLOSE", "WHEN_WRITTEN", "Connection"]

ON_CLOSE = "mentor.on_close"  # in a request's scope: what to call when its connection is lost
WHEN_WRITTEN = "mentor.when_written"  # takes what to call when what was sent is no longer held here
_HEAD = 32 << 10  # bytes of a request's line and headers


class Connection(HttpToolsProtocol):
    """One connection. Settings bound the head, the time to arrive and to be read, and the number of connections."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        settings: Settings = config.app.settings  # type: ignore[union-attr]
        self._max_connections = settings.max_connections
        self._arrival = settings.arrival_ms / 1_000
        self._on_close: set[Callable[[], None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._unwritten: list[Callable[[], None]] = []
        self._lost = False
        self._arriving = True  # a request is expected, or has not arrived whole
        self._in_head = False
        self._head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected."""
        super().connection_made(transport)
        if len(self.connections) > self._max_connections:
            self._refuse(503, "too many connections; try again", b"retry-after: 1\r\n")
            return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended; whoever works for it is told."""
        self._lost = True
        self._stop_timer()
        self._stop_unread()
        super().connection_lost(exc)
        self._tell_written()
        for call in list(self._on_close):
            call()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if not self._arriving:
            self._stop_timer()
            return
        if self._in_head:
            self._head += len(data)
            if self._head > _HEAD:
                self._refuse(431, f"the headers are larger than {_HEAD >> 10} KB")
                return
        if self._timer is None:
            self._start_timer()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[ON_CLOSE] = self._on_close
        cast("dict[str, Any]", self.scope)[WHEN_WRITTEN] = self._when_written
        self._arriving = self._in_head = True
        self._head = 0

    def on_headers_complete(self) -> None:
        """Its headers are there."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it is there."""
        self._arriving = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is written; a client has so long to read it."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._stop_timer()
        self._expect_reading()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP."""
        super().send_400_response(msg)
        self._expect_reading()

    def resume_writing(self) -> None:
        """The client read nearly all of what waited for it."""
        super().resume_writing()
        self._tell_written()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for a while. What the client has not read by now it never will."""
        self.transport.abort()

    def _when_written(self, call: Callable[[], None]) -> None:
        """Calls back when next to nothing of what was sent is held here: at once, where the kernel took it."""
        if self._lost or not self.flow.write_paused:
            call()
        else:
            self._unwritten.append(call)

    def _tell_written(self) -> None:
        calls, self._unwritten = self._unwritten, []
        for call in calls:
            call()

    def _expect_reading(self) -> None:
        # The loop hands what was written to the kernel at the end of its turn: usually nothing is left by the next one.
        self.loop.call_soon(self._start_unread)

    def _start_unread(self) -> None:
        # Each answer has its own time: the next one does not begin before nearly all of the last one is read.
        self._stop_unread()
        if not self._lost and self.transport.get_write_buffer_size() > 0:
            self._unread = self.loop.call_later(self._arrival, self._end_unread)

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _end_unread(self) -> None:
        self._unread = None
        if self.transport.get_write_buffer_size() > 0:
            self.transport.abort()

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self._arrival, self._expire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        if self.transport.is_closing():
            return
        if self._on_close:  # the request before this one is under way, and nothing is read meanwhile
            self._start_timer()
            return
        self._refuse(408, f"the request did not arrive within {self._arrival:g} s")

    def _refuse(self, status: int, message: str, header: bytes = b"") -> None:
        """Answers without the application, where no answer has begun, and closes the connection."""
        self._stop_timer()
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            name = STATUS_LINE[status].split(b" ", 2)[2].strip().decode()
            body = orjson.dumps({"error": {"status": name, "message": message}})
            length = b"content-length: %d\r\n" % len(body)
            kind = b"content-type: application/json\r\nconnection: close\r\n"
            self.transport.write(STATUS_LINE[status] + kind + header + length + b"\r\n" + body)
        self.transport.close()
        self._expect_reading()
