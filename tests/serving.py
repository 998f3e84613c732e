"""A server process for tests, and how to talk to it with nothing but a socket."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

import httpx

from mentor import Sandbox

COMMAND = [sys.executable, "-c", "from mentor.cli import main; main()", "serve", "--port", "0"]
# A connection for each request, and no time spent on loading certificates.
CLIENT = httpx.Client(verify=False, limits=httpx.Limits(max_keepalive_connections=0), timeout=60)
ENDLESS = {"env": "def f():\n    while True: pass", "call": "f()", "timeout": 30}


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    url: str
    log: IO[bytes]
    last_words: str = ""

    def said(self) -> str:
        """What it wrote to stdout and stderr so far."""
        return self.last_words or os.pread(self.log.fileno(), 1 << 20, 0).decode()

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host.strip("[]"), int(port)

    def execute(self, env: str = "", call: str = "1", **more: Any) -> dict[str, Any]:
        response = CLIENT.post(f"{self.url}/execute", json={"env": env, "call": call, **more})
        assert response.status_code == 200, response.text
        return response.json()

    def run_code(self, code: str, **more: Any) -> dict[str, Any]:
        body = {"code": code, "language": "python", **more}
        response = CLIENT.post(f"{self.url}/run_code", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def metric(self, name: str, **headers: str) -> float:
        """Sum of all values of one metric whose line begins so."""
        text = CLIENT.get(f"{self.url}/metrics", headers=headers).text
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=20)

    def stop(self) -> int:
        """Asks it to end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


@contextmanager
def serving(*options: str, env: dict[str, str] | None = None) -> Iterator[Server]:
    """A server on a free port."""
    Sandbox().prepare()  # where the guest is compiled first, the server has no time limit for it
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*COMMAND, *options], stdout=log, stderr=log, env={**os.environ, **(env or {})})
        server = Server(process, "", log)
        try:
            wait_until(lambda: "serving on" in server.said() or process.poll() is not None, 30)
            found = re.search(r"serving on (http://\S+)", server.said())
            assert found, f"the server did not start: {server.said()}"
            server.url = found[1]
            wait_until(lambda: _is_up(server), 30)
            yield server
        finally:
            if process.poll() is None:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=10)
            if process.poll() is None:
                process.kill()
                process.wait()
            server.last_words = server.said()


def _is_up(server: Server) -> bool:
    try:
        return CLIENT.get(f"{server.url}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def wait_until(condition: Any, seconds: float = 10) -> None:
    """Waits for a condition, at most so long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


def request(path: str, body: object, **headers: str) -> bytes:
    """The bytes of a POST request."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(data)}"]
    given = {"Content-Type": "application/json"} | headers
    return "\r\n".join(lines + [f"{name}: {value}" for name, value in given.items()]).encode() + b"\r\n\r\n" + data


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    parts = []
    with suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)
