"""The server as an ASGI application: routes, the token, limits, and what is counted."""

from __future__ import annotations

import asyncio
import hmac
import multiprocessing
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import lru_cache, partial
from typing import Any

from mentor import __version__
from mentor.errors import SandboxError
from mentor.serve.execute import execute
from mentor.serve.fields import BadRequest, read_object
from mentor.serve.guests import Guests
from mentor.serve.metrics import Metrics
from mentor.serve.protocol import ON_CLOSE, WHEN_WRITTEN
from mentor.serve.reply import Reply, busy, failure, json_reply
from mentor.serve.run_code import run_code
from mentor.serve.settings import Settings, is_loopback

__all__ = ["App"]

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_RUNS: Mapping[str, Callable[[Guests, Mapping[str, Any]], Awaitable[Reply]]] = {
    "/execute": execute,
    "/run_code": run_code,
}
_PAGES = ("/healthz", "/metrics")
_BODIES = 256 << 20  # bytes of requests and of answers to be written that a process holds at once


class App:
    """Answers requests. Pickled, it is its settings: each worker process starts its own.

    Args:
        settings: How the server runs.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._guests = Guests(settings)
        self._authorization = None if settings.token is None else f"Bearer {settings.token}".encode()
        self._running = 0
        self._held = 0
        self._metrics: Metrics | None = None

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """One request, or the life of the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        started = time.perf_counter()
        path = scope["path"]
        reply = await self._answer(scope, receive)
        if reply is None:
            self._counted.gone.inc()
            return
        if path in _RUNS and reply.status == 200 and self._held + len(reply.body) > _BODIES:
            reply = busy("the server holds as many large answers as it can; try again")
        await self._send(reply, scope, send)
        route = path if path in _RUNS or path in _PAGES else "other"
        self._counted.count(route, reply.status, time.perf_counter() - started, reply.fault)

    async def _send(self, reply: Reply, scope: _Scope, send: _Send) -> None:
        """Sends a response, which counts as held until the client read it or is gone."""
        size = len(reply.body)
        headers = [*reply.headers, (b"content-length", b"%d" % size)]
        self._held += size
        try:
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})
        finally:
            scope.get(WHEN_WRITTEN, _at_once)(partial(self._release, size))

    def _release(self, size: int) -> None:
        self._held -= size

    @property
    def _counted(self) -> Metrics:
        if self._metrics is None:
            self._metrics = Metrics()
        return self._metrics

    async def _answer(self, scope: _Scope, receive: _Receive) -> Reply | None:
        """The response; none where the client is gone."""
        path, method = scope["path"], scope["method"]
        headers = dict(scope["headers"])
        if self._authorization is None and not _is_local(headers.get(b"host", b"")):
            # A web page whose name was made to mean this machine could read the answers.
            return failure(421, "without a token the server answers to localhost only", field="host")
        run = _RUNS.get(path)
        if run is None:
            if path not in _PAGES:
                return failure(404, f"there is no {path[:100]!r}; there are {', '.join([*_RUNS, *_PAGES])}")
            if method not in ("GET", "HEAD"):
                return failure(405, f"{path} is read with GET", headers=((b"allow", b"GET, HEAD"),))
            if path == "/healthz":
                return self._health()
        elif method != "POST":
            return failure(405, f"{path} is called with POST", headers=((b"allow", b"POST"),))
        if self._authorization is not None and not hmac.compare_digest(
            headers.get(b"authorization", b""), self._authorization
        ):
            return failure(
                401,
                "the token (Authorization: Bearer ...) is missing or wrong",
                headers=((b"www-authenticate", b"Bearer"),),
            )
        if run is None:
            page, kind = self._counted.page()
            return Reply(200, page, ((b"content-type", kind.encode()),))
        return await self._run(run, scope, headers, receive)

    async def _run(
        self,
        run: Callable[[Guests, Mapping[str, Any]], Awaitable[Reply]],
        scope: _Scope,
        headers: Mapping[bytes, bytes],
        receive: _Receive,
    ) -> Reply | None:
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
            return failure(415, "the content type must be application/json", field="content-type")
        body = bytearray()
        held = 0
        try:
            refused = await self._read(body, headers, receive)
            if refused is not None:
                return refused
            if self._running >= self.settings.max_running:
                return busy(f"{self._running} requests are under way, the most at once; try again")
            answer = run(self._guests, read_object(body))
            # The fields that are used stay as long as the run, and count as what they came in; the rest need not.
            held = len(body)
            body.clear()
            return await self._watched(answer, scope)
        except _Gone:
            return None
        except BadRequest as error:
            return failure(400, error.message, field=error.field)
        except SandboxError as error:
            return failure(500, f"the sandbox failed: {error}")
        finally:
            self._held -= held + len(body)

    async def _read(self, body: bytearray, headers: Mapping[bytes, bytes], receive: _Receive) -> Reply | None:
        """Reads the body, or says why not. That it arrives in time is the protocol's matter."""
        most = self.settings.max_body_kb << 10
        too_large = f"the request is larger than {self.settings.max_body_kb} KB"
        announced = headers.get(b"content-length", b"0")
        if len(announced) > 18 or int(announced) > most:
            return failure(413, too_large)
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            part = message.get("body", b"")
            body += part
            self._held += len(part)
            if len(body) > most:
                return failure(413, too_large)
            if self._held > _BODIES:
                return busy("the server holds as many large requests as it can; try again")
            if not message.get("more_body", False):
                return None

    async def _watched(self, answer: Awaitable[Reply], scope: _Scope) -> Reply:
        """Waits for an answer; stops what runs when the client goes away or when it takes too long."""
        watch = _Watch()
        on_close: set[Callable[[], None]] = scope.get(ON_CLOSE, set())
        on_close.add(watch.leave)
        late = asyncio.get_running_loop().call_later(self.settings.max_wait_ms / 1_000, watch.stop)
        self._running += 1
        self._counted.running.inc()
        try:
            return await answer
        except asyncio.CancelledError:
            if watch.gone:
                raise _Gone from None
            seconds = self.settings.max_wait_ms / 1_000
            return busy(f"no answer within {seconds:g} s" if watch.stopped else "the server stops")
        finally:
            self._running -= 1
            self._counted.running.dec()
            late.cancel()
            on_close.discard(watch.leave)

    def _health(self) -> Reply:
        guest = self._guests.sandbox(1).guest
        return json_reply({"status": "ok", "version": __version__, "guest": guest, "running": self._running})

    async def _live(self, receive: _Receive, send: _Send) -> None:
        parent = None
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                if parent is not None:
                    parent.cancel()
                await send({"type": "lifespan.shutdown.complete"})
                return
            try:
                await asyncio.to_thread(self._guests.sandbox(1).prepare)
            except SandboxError as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            if self.settings.workers > 1:
                parent = asyncio.create_task(_end_with_parent())
            await send({"type": "lifespan.startup.complete"})

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.settings,)


def _at_once(call: Callable[[], None]) -> None:
    call()


class _Gone(Exception):
    """The client went away."""


class _Watch:
    """Why a request was cancelled."""

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self.gone = self.stopped = False

    def leave(self) -> None:
        """The client went away."""
        self.gone = True
        self._cancel()

    def stop(self) -> None:
        """It took too long."""
        self.stopped = True
        self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


async def _end_with_parent() -> None:
    """A worker whose parent was killed would keep the port."""
    parent = multiprocessing.parent_process()
    while parent is None or parent.is_alive():
        await asyncio.sleep(1)
    signal.raise_signal(signal.SIGTERM)


@lru_cache(maxsize=64)
def _is_local(host: bytes) -> bool:
    """Whether a Host header names this machine."""
    name = host.decode("latin-1").lower()
    if name.startswith("["):
        return is_loopback(name[1:].partition("]")[0])
    name = name.partition(":")[0]
    return is_loopback(name) or name.endswith(".localhost")
