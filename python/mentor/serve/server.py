"""Sockets, processes and signals."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Callable
from types import FrameType

import uvicorn
from uvicorn.supervisors import Multiprocess

from mentor.errors import InputError
from mentor.sandbox import Sandbox
from mentor.serve.app import App
from mentor.serve.metrics import FOLDER
from mentor.serve.protocol import Connection
from mentor.serve.settings import Settings

__all__ = ["serve"]

_BACKLOG = 2_048
_HUNG = 60  # seconds without a sign of life, imports included, after which a worker is replaced


def serve(settings: Settings, *, on_listening: Callable[[str], object] | None = None) -> None:
    """Serves until a signal: SIGTERM and SIGINT refuse new connections and let what runs come to its end.

    Args:
        settings: How.
        on_listening: Called with the server's address as soon as clients can connect.

    Raises:
        InputError: The address cannot be listened on, or there is no such guest.
        BuildError: The guest has to be built, which fails.
        SandboxError: The guest can be neither loaded nor compiled.
    """
    Sandbox(guest=settings.guest).prepare()  # what goes wrong here should be said before anyone connects
    listener = _listen(settings)
    config = uvicorn.Config(
        App(settings),
        interface="asgi3",
        workers=settings.workers,
        loop="uvloop",
        http=Connection,
        ws="none",
        lifespan="on",
        log_level="info" if settings.access_log else "error",
        access_log=settings.access_log,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=max(1, settings.idle_ms // 1_000),
        timeout_worker_healthcheck=_HUNG,
        timeout_graceful_shutdown=max(1, settings.grace_ms // 1_000),
    )
    # After its last answer uvicorn raises the signal again, for whoever had a handler before.
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        if on_listening is not None:
            on_listening(_url(settings.host, listener))
        if settings.workers == 1:
            uvicorn.Server(config).run([listener])
            return
        with tempfile.TemporaryDirectory(prefix="mentor-metrics-") as folder:
            os.environ[FOLDER] = folder  # the workers inherit it
            try:
                _Workers(config, [listener]).run()
            finally:
                del os.environ[FOLDER]
    finally:
        listener.close()
        signal.signal(signal.SIGTERM, before)


class _Workers(Multiprocess):
    def terminate_all(self) -> None:
        """Ends the workers; without the parent's own socket new connections are refused at once."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error
        raise InputError(f"cannot listen on {settings.host} port {settings.port}: {why}") from error


def _url(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
