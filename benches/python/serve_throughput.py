"""Requests per second of `mentor serve` beside servers built the usual way, measured in one run.

    python benches/python/serve_throughput.py [--requests 3000] [--rounds 5] [--connections 16] [--json FILE]

The peers are below: `/execute` as the reference's sandbox does it (FastAPI and `exec` in the server's own process: no
isolation, and its `timeout` is ignored), `/run_code` as SandboxFusion does it (FastAPI and an interpreter per program).
Every round takes each contender once, so that a busy machine slows all alike: trust the ratios. The client, a few
keep-alive connections in one process, runs on the same cores. Every answer is checked. Then small requests are timed
one by one, with and without a request beside them that computes for some seconds.

Needs `pip install 'mentor-rs[serve,bench]'`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import uvloop
from rich.console import Console
from rich.table import Table

import mentor

SMALL = "def add(a, b):\n    return a + b\n"
TOOLS = mentor.tools.arithmetic().source
BUSY = 3  # seconds
CASES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "/execute, 1 function": ("/execute", {"env": SMALL, "call": "add(a=19, b=23)"}, 42),
    "/execute, 12 functions": ("/execute", {"env": TOOLS, "call": "multiply(a=6, b=7)"}, 42),
    "/run_code, print": ("/run_code", {"code": "print(6 * 7)", "language": "python"}, "42\n"),
}


def peer() -> Any:
    """The servers built the usual way."""
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Call(BaseModel):
        env: str
        call: str
        timeout: int = 5

    class Program(BaseModel):
        code: str
        language: str
        run_timeout: float = 10

    async def execute(request: Call) -> dict[str, Any]:
        output, result, error = io.StringIO(), None, None
        try:
            with contextlib.redirect_stdout(output):
                scope: dict[str, Any] = {}
                exec(compile(request.env, "<env>", "exec"), scope)
                exec(compile(f"response = {request.call}", "<call>", "exec"), scope)
                result = scope.get("response")
        except Exception as exception:  # noqa: BLE001
            error = str(exception)
        return {"output": output.getvalue(), "result": result, "error": error}

    async def run_code(request: Program) -> dict[str, Any]:
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            file.write(request.code)
            file.flush()
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(sys.executable, file.name, stdout=pipe, stderr=pipe)
            stdout, stderr = await asyncio.wait_for(process.communicate(), request.run_timeout)
        result = {"return_code": process.returncode, "stdout": stdout.decode(), "stderr": stderr.decode()}
        return {"status": "Success", "run_result": {"status": "Finished", **result}}

    # The annotations of functions within functions are not found by name.
    execute.__annotations__["request"], run_code.__annotations__["request"] = Call, Program
    app = FastAPI()
    app.post("/execute", response_model=None)(execute)
    app.post("/run_code", response_model=None)(run_code)
    return app


def serve_peer() -> None:
    import uvicorn

    uvicorn.run(peer(), port=0, log_level="info", access_log=False)


@contextlib.contextmanager
def server(command: list[str]) -> Iterator[int]:
    """Starts a server, gives its port."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while not (found := re.search(rb"(?:serving|running) on http://[\d.]+:(\d+)", _read(log))):
                assert process.poll() is None and time.monotonic() < deadline, _read(log).decode()
                time.sleep(0.05)
            yield int(found[1])
        finally:
            process.terminate()
            process.wait()


def _read(log: Any) -> bytes:
    log.seek(0)
    return log.read()


class Connection(asyncio.Protocol):
    """Sends the same request again and again; every answer is checked and timed."""

    def __init__(self, request: bytes, expected: Any, todo: list[int], times: list[float]) -> None:
        self.request, self.expected, self.todo, self.times = request, expected, todo, times
        self.done = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.started = 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        if not self.todo[0]:
            self.transport.close()
            return
        self.todo[0] -= 1
        self.started = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(re.search(rb"content-length: (\d+)", head.lower())[1])
        if len(rest) < length:
            return
        self.times.append(time.perf_counter() - self.started)
        self.buffer = rest[length:]
        answer = orjson.loads(rest[:length])
        value = answer["result"] if "result" in answer else answer["run_result"]["stdout"]
        if value != self.expected:
            self.transport.abort()
            self.done.set_exception(AssertionError(answer))
            return
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or AssertionError("closed")) if self.todo[0] else self.done.set_result(None)


def as_request(path: str, body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
    return head.encode() + b"\r\n\r\n" + data


async def load(port: int, case: str, requests: int, connections: int) -> tuple[float, list[float]]:
    """Requests per second, and the seconds of each."""
    path, body, expected = CASES[case]
    todo, times = [requests], []
    loop = asyncio.get_running_loop()
    request = as_request(path, body)
    started = time.perf_counter()
    opened = [
        loop.create_connection(lambda: Connection(request, expected, todo, times), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in await asyncio.gather(*opened)))
    assert len(times) == requests
    return requests / (time.perf_counter() - started), times


async def beside_busy(port: int, busy: dict[str, Any] | None) -> list[float]:
    """Seconds of small requests, one after the other, while another one computes."""
    writer = None
    if busy is not None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(as_request("/execute", busy))
        await asyncio.sleep(0.3)
    times: list[float] = []
    end = time.perf_counter() + BUSY - 1
    while time.perf_counter() < end:
        times += (await load(port, "/execute, 1 function", 20, 1))[1]
    if writer is not None:
        writer.close()
        await asyncio.sleep(0.2)
    return times


def milliseconds(times: list[float]) -> dict[str, float]:
    times = sorted(times)
    return {"p50": times[len(times) // 2] * 1e3, "p99": times[int(len(times) * 0.99)] * 1e3, "max": times[-1] * 1e3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        serve_peer()
        return
    mentor.Sandbox().prepare()
    ours = [sys.executable, "-c", "from mentor.cli import main; main()", "serve", "--port", "0"]
    rates: dict[str, dict[str, list[float]]] = {case: {} for case in CASES}
    delays: dict[str, dict[str, dict[str, float]]] = {}
    loop = {"env": "def f():\n    while True: pass", "call": "f()", "timeout": BUSY}
    # The peer has no timeout; its loop looks at the clock, which stands nearly still in our guest.
    timed = {"env": f"import time\ndef f():\n    end = time.time() + {BUSY}\n    while time.time() < end: pass"}
    with (
        server(ours) as one,
        server([*ours, "--workers", "2"]) as two,
        server([sys.executable, __file__, "--peer"]) as usual,
    ):
        ports = {"mentor serve": one, "mentor serve, 2 workers": two, "FastAPI": usual}
        for _ in range(options.rounds):
            for case in CASES:
                for name, port in ports.items():
                    # An interpreter per program takes its time.
                    count = options.requests if name != "FastAPI" or "run_code" not in case else 100
                    uvloop.run(load(port, case, min(count, 200), options.connections))
                    rate, _ = uvloop.run(load(port, case, count, options.connections))
                    rates[case].setdefault(name, []).append(rate)
        for name, port in (("mentor serve", one), ("FastAPI", usual)):
            busy = loop if port == one else {**timed, "call": "f()"}
            delays[name] = {
                "alone": milliseconds(uvloop.run(beside_busy(port, None))),
                "beside a loop": milliseconds(uvloop.run(beside_busy(port, busy))),
            }
    medians = {case: {name: statistics.median(values) for name, values in by.items()} for case, by in rates.items()}
    best = {case: {name: max(values) for name, values in by.items()} for case, by in rates.items()}
    show(medians, best, delays)
    if options.json:
        figures = {"requests_per_second": medians, "best": best, "milliseconds": delays}
        options.json.write_text(json.dumps({**figures, "options": {"requests": options.requests}}, indent=1))


def show(medians: Any, best: Any, delays: Any) -> None:
    console = Console()
    table = Table(title="requests/s: median (best) of the rounds, against the peer", title_justify="left")
    table.add_column("")
    for name in next(iter(medians.values())):
        table.add_column(name, justify="right")
    for case, row in medians.items():
        cells = [f"{rate:,.0f} ({best[case][name]:,.0f}) x{rate / row['FastAPI']:.2f}" for name, rate in row.items()]
        table.add_row(case, *cells)
    console.print(table)
    table = Table(title=f"milliseconds of small requests beside one that computes for {BUSY} s", title_justify="left")
    for column in ("", "", "p50", "p99", "max"):
        table.add_column(column, justify="right" if column else "left")
    for name, rows in delays.items():
        for when, row in rows.items():
            table.add_row(name, when, *(f"{row[key]:,.2f}" for key in ("p50", "p99", "max")))
    console.print(table)


if __name__ == "__main__":
    main()
