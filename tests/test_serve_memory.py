"""What mentor serve holds in memory for its clients, inside one process."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="needs the extra `serve`")
import uvicorn

from mentor import Sandbox
from mentor.serve import app as app_module
from mentor.serve import guests as guests_module
from mentor.serve.app import App
from mentor.serve.fields import BadRequest, base64_files
from mentor.serve.guests import Guests
from mentor.serve.protocol import Connection
from mentor.serve.settings import Settings
from serving import read_all, request, wait_until

LARGE = {"code": "print('x' * 10_000_000)", "language": "python"}  # more than the buffers of the kernel hold


@contextmanager
def served(settings: Settings) -> Iterator[tuple[App, tuple[str, int]]]:
    """A real server on a thread of this process."""
    Sandbox().prepare()  # where the guest is compiled first, the server has no time limit for it
    app = App(settings)
    config = uvicorn.Config(app, interface="asgi3", loop="uvloop", http=Connection, ws="none", log_level="error")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield app, listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(20)


def small_window(address: tuple[str, int]) -> socket.socket:
    client = socket.socket()
    client.settimeout(20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.connect(address)
    return client


def ask(address: tuple[str, int], body: object) -> bytes:
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(request("/run_code", body, Connection="close"))
        return read_all(client)


def test_answers_nobody_reads_count_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "_BODIES", 15_000_000)
    settings = Settings(output_kb=16_384, arrival_ms=2_000, idle_ms=60_000)
    with served(settings) as (app, address), small_window(address) as deaf:
        deaf.sendall(request("/run_code", LARGE))
        wait_until(lambda: app._held > 10_000_000)
        # One more such answer would be too much; a small one is not.
        answer = ask(address, LARGE)
        assert answer.startswith(b"HTTP/1.1 503") and b"retry-after: 1" in answer
        assert b"the server holds as many large answers as it can; try again" in answer
        assert ask(address, {"code": "print(1)", "language": "python"}).startswith(b"HTTP/1.1 200")
        # What it sends meanwhile gives it no more time.
        started = time.monotonic()
        while app._held and time.monotonic() - started < 10:
            try:
                deaf.sendall(b"\r\n")
            except OSError:
                break
            time.sleep(0.1)
        wait_until(lambda: app._held == 0, 1)
        assert time.monotonic() - started < 5
        answer = ask(address, LARGE)
        assert answer.startswith(b"HTTP/1.1 200") and len(answer) > 10_000_000
        wait_until(lambda: app._held == 0)


def test_an_answer_behind_an_unread_one_goes_with_it() -> None:
    settings = Settings(output_kb=16_384, arrival_ms=1_000, idle_ms=60_000)
    with served(settings) as (app, address), small_window(address) as deaf:
        deaf.sendall(request("/run_code", LARGE) * 2)
        wait_until(lambda: app._held > 20_000_000)
        wait_until(lambda: app._held == 0)


def test_a_client_that_reads_in_time_keeps_its_connection() -> None:
    settings = Settings(output_kb=16_384, arrival_ms=1_500, idle_ms=60_000)
    with served(settings) as (app, address), small_window(address) as slow:
        slow.sendall(request("/run_code", LARGE))
        wait_until(lambda: app._held > 10_000_000)
        time.sleep(0.3)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        answer = bytearray()
        while len(answer.partition(b"\r\n\r\n")[2]) < 10_000_000 or not answer.endswith(b'"files":{}}'):
            part = slow.recv(1 << 20)
            assert part
            answer += part
        wait_until(lambda: app._held == 0)
        time.sleep(1.5)  # the time to read is over, and nothing is left to be read
        slow.sendall(request("/run_code", {"code": "print(1)", "language": "python"}, Connection="close"))
        assert read_all(slow).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/execute", {"env": "def f():\n    while True: pass", "call": "f()", "timeout": 30}),
        ("/run_code", {"code": "while True: pass", "language": "python", "run_timeout": 30}),
    ],
)
def test_a_run_does_not_hold_what_it_does_not_use(path: str, body: dict[str, Any]) -> None:
    app = App(Settings())
    sent = json.dumps(body | {"not_a_" + "field": [[]] * 1_000}).encode()

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": sent}

    async def send(message: MutableMapping[str, Any]) -> None:
        pass

    def parsed() -> int:
        return sum(type(thing) is dict and "not_a_" + "field" in thing for thing in gc.get_objects())

    async def look() -> None:
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {"type": "http", "path": path, "method": "POST", "headers": headers}
        task = asyncio.create_task(app(scope, receive, send))
        await asyncio.sleep(0.3)
        try:
            assert app._running == 1 and app._held == len(sent)
            assert parsed() == 0
        finally:
            task.cancel()
            await task
        assert app._held == 0

    asyncio.run(look())


def test_files_have_a_number() -> None:
    content = base64.b64encode(b"x").decode()
    assert len(base64_files({"files": {str(number): content for number in range(4_096)}}, "files")) == 4_096
    with pytest.raises(BadRequest, match="files must be at most 4096 files, not 4097") as caught:
        base64_files({"files": {str(number): "" for number in range(4_097)}}, "files")
    assert caught.value.field == "files"


@pytest.mark.parametrize("text", ["#", "#" + "\N{GRINNING FACE}" * 300, "#" + "e" * 300])
def test_what_environments_print_has_a_bound(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guests_module, "_PRINTED", 12_000)
    guests = Guests(Settings())

    async def load() -> None:
        for number in range(60):
            assert (await guests.load(guests.sandbox(1_000), f"{number}{text}")).ok

    asyncio.run(load())
    printed = guests._printed
    assert 0 < sum(sys.getsizeof(env) + sys.getsizeof(out) + 150 for env, out in printed.items()) <= 12_000
    while printed:  # nothing is lost from the count
        env, out = printed.popitem()
        guests._bytes -= guests_module._size(env, out)
    assert guests._bytes == 0
