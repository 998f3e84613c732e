"""mentor serve against clients that ask wrongly, too much, too slowly, or go away."""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs the extra `serve`")
import httpx

from serving import CLIENT, ENDLESS, Server, read_all, request, serving, wait_until

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with narrow limits."""
    options = ["--max-body-kb", "64", "--arrival-ms", "1000", "--max-running", "3", "--max-timeout-ms", "3000"]
    with serving(*options, "--max-connections", "40", "--max-wait-ms", "20000") as server:
        yield server


@pytest.fixture(autouse=True)
def it_still_works(server: Server) -> Iterator[None]:
    yield
    wait_until(lambda: server.metric("mentor_running_requests ") == 0)
    assert server.execute("def f(x): return x + 1", "f(1)")["result"] == 2


def raw(server: Server, data: bytes) -> bytes:
    with server.connect() as connection:
        connection.sendall(data)
        return read_all(connection)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (b"{", "", "the body is no JSON"),
        (b"", "", "the body is no JSON"),
        (b'{"env": "\xff", "call": "1"}', "", "the body is no JSON"),
        (b'{"env": "\\ud800", "call": "1"}', "", "the body is no JSON"),
        (b'{"env": "", "call": "1", "timeout": NaN}', "", "the body is no JSON"),
        (b"[" * 60_000, "", "the body is no JSON"),
        (b"[]", "", "the body must be a JSON object, not an array"),
        (b"null", "", "the body must be a JSON object, not null"),
        (b"{}", "env", "env is missing"),
        (b'{"env": ""}', "call", "call is missing"),
        (b'{"env": null, "call": "1"}', "env", "env must be a string, not null"),
        (b'{"env": "", "call": ["f"]}', "call", "call must be a string, not an array"),
        (b'{"env": "", "call": "1", "timeout": "5"}', "timeout", "timeout must be a number of seconds, not a string"),
        (b'{"env": "", "call": "1", "timeout": -1}', "timeout", "timeout must be more than 0 seconds, not -1"),
        (
            b'{"env": "", "call": "1", "timeout": false}',
            "timeout",
            "timeout must be a number of seconds, not a boolean",
        ),
    ],
)
def test_wrong_bodies(server: Server, body: bytes, field: str, message: str) -> None:
    response = CLIENT.post(f"{server.url}/execute", content=body, headers={"Content-Type": "application/json"})
    error = response.json()["error"]
    assert (response.status_code, error["status"], error.get("field", "")) == (400, "Bad Request", field)
    assert error["message"].startswith(message)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/execute", 405),
        ("PUT", "/run_code", 405),
        ("DELETE", "/healthz", 405),
        ("POST", "/metrics", 405),
        ("GET", "/", 404),
        ("POST", "/execute/", 404),
        ("GET", "/%2e%2e/etc/passwd", 404),
        ("HEAD", "/healthz", 200),
        ("OPTIONS", "/execute", 405),
    ],
)
def test_wrong_methods_and_paths(server: Server, method: str, path: str, expected: int) -> None:
    response = CLIENT.request(method, server.url + path)
    assert response.status_code == expected
    if expected == 405:
        assert response.headers["allow"] in ("POST", "GET, HEAD")
    if method != "HEAD":
        assert response.json()["error"]["message"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_the_content_type_must_be_json(server: Server, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    response = CLIENT.post(f"{server.url}/execute", content=b'{"env": "", "call": "1"}', headers=headers)
    assert response.status_code == 415
    for kind in ("application/json", "Application/JSON; charset=utf-8"):
        response = CLIENT.post(
            f"{server.url}/execute", content=b'{"env":"","call":"1"}', headers={"Content-Type": kind}
        )
        assert response.json()["result"] == 1


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "169.254.1.1", ""])
def test_other_names_of_this_machine_are_refused(server: Server, host: str) -> None:
    """A web page can make its own name mean this machine; its browser still says the name."""
    response = CLIENT.post(f"{server.url}/execute", json={"env": "", "call": "1"}, headers={"Host": host})
    assert response.status_code == 421
    for host in ("localhost", "127.0.0.1:1", "[::1]:80", "LOCALHOST:8080", "mentor.localhost"):
        assert CLIENT.get(f"{server.url}/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /execute HTTP/9.9\r\n\r\n",
        b"CONNECT example.com:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"POST /execute HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http(server: Server, data: bytes) -> None:
    assert status(raw(server, data)) in (400, 404, 405)


def test_a_request_that_is_too_large(server: Server) -> None:
    body = {"env": "#" * 100_000, "call": "1"}
    response = CLIENT.post(f"{server.url}/execute", json=body)
    assert response.status_code == 413
    assert response.json()["error"]["message"] == "the request is larger than 64 KB"

    def parts() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 8_000

    response = CLIENT.post(f"{server.url}/execute", content=parts(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413
    # An announced size is refused before anything is sent.
    head = b"POST /execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    assert status(raw(server, head + b"Content-Length: 99999999999999999999\r\n\r\n")) in (400, 413)
    assert status(raw(server, head + b"Content-Length: 9999999999\r\n\r\n")) == 413
    body = {"env": "#" * 60_000, "call": "1"}
    assert CLIENT.post(f"{server.url}/execute", json=body).json()["result"] == 1


def test_headers_without_end(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"POST /execute HTTP/1.1\r\nHost: localhost\r\n")
        answer = b""
        try:
            for number in range(200):
                connection.sendall(b"x-%d: %s\r\n" % (number, b"a" * 1_000))
                time.sleep(0.001)
        except OSError:
            pass
        answer = read_all(connection)
    assert answer == b"" or status(answer) == 431


def test_clients_that_hang_are_sent_away(server: Server) -> None:
    head = b"POST /execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    beginnings = [
        b"",
        b"POST /exec",
        head + b"Content-",
        head + b"Content-Length: 50\r\n\r\n{",
        head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        request("/execute", {"env": "", "call": "1"}) + b"POST /exec",  # the second one on its connection
    ]
    started = time.monotonic()
    connections = [server.connect() for _ in beginnings]
    for connection, data in zip(connections, beginnings, strict=True):
        connection.sendall(data)
    for connection, data in zip(connections, beginnings, strict=True):
        with connection:
            answer = read_all(connection)
        assert 0.8 < time.monotonic() - started < 6
        if data.endswith(b"}POST /exec"):
            assert status(answer) == 200
            answer = answer[answer.index(b"HTTP/1.1 408") :]
        assert status(answer) == 408
        error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
        assert error == {"status": "Request Timeout", "message": "the request did not arrive within 1 s"}


def test_a_client_that_drips_is_sent_away(server: Server) -> None:
    data = request("/execute", {"env": "", "call": "1"})
    with server.connect() as connection:
        started = time.monotonic()
        try:
            for byte in data:
                connection.sendall(bytes([byte]))
                time.sleep(0.05)
        except OSError:
            pass
        assert time.monotonic() - started < 6


def test_hanging_clients_do_not_stop_others(server: Server) -> None:
    idle = [server.connect() for _ in range(30)]
    try:
        for connection in idle:
            connection.sendall(b"POST /execute HTTP/1.1\r\n")
        for _ in range(10):
            assert server.execute("", "1")["result"] == 1
    finally:
        for connection in idle:
            connection.close()


def test_too_many_connections(server: Server) -> None:
    idle = [server.connect() for _ in range(45)]
    try:
        answers = []
        for connection in idle[40:]:
            connection.settimeout(5)
            answers.append(connection.recv(4_096))
        refused = [answer for answer in answers if answer]
        assert refused and all(status(answer) == 503 and b"retry-after: 1" in answer for answer in refused)
    finally:
        for connection in idle:
            connection.close()
    wait_until(lambda: _answers(server))


def _answers(server: Server) -> bool:
    try:
        return CLIENT.get(f"{server.url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_too_many_requests(server: Server) -> None:
    running = [server.connect() for _ in range(3)]
    for connection in running:
        connection.sendall(request("/execute", ENDLESS))
    wait_until(lambda: server.metric("mentor_running_requests ") == 3)
    response = CLIENT.post(f"{server.url}/execute", json={"env": "", "call": "1"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["error"]["message"] == "3 requests are under way, the most at once; try again"
    for connection in running:
        connection.close()
    wait_until(lambda: server.metric("mentor_running_requests ") == 0)


def test_the_servers_longest_timeout_holds(server: Server) -> None:
    started = time.monotonic()
    answer = server.execute(ENDLESS["env"], "f()", timeout=1e6)
    assert answer["error"] == "timeout: stopped after 3000 ms (timeout_ms)"
    assert time.monotonic() - started < 10


def test_a_client_that_goes_away_stops_its_run(server: Server) -> None:
    before = server.metric("mentor_abandoned_requests_total")
    with server.connect() as connection:
        connection.sendall(request("/run_code", {"code": "while True: pass", "language": "python"}))
        wait_until(lambda: server.metric("mentor_running_requests ") == 1)
    closed = time.monotonic()
    wait_until(lambda: server.metric("mentor_running_requests ") == 0)
    assert time.monotonic() - closed < 1.5  # far less than the timeout
    assert server.metric("mentor_abandoned_requests_total") == before + 1
    with server.connect() as connection:  # while it still sends
        connection.sendall(request("/execute", ENDLESS)[:-5])
    wait_until(lambda: server.metric("mentor_abandoned_requests_total") == before + 2)


def test_requests_one_behind_the_other_on_one_connection(server: Server) -> None:
    data = b"".join(request("/execute", {"env": "", "call": str(number)}) for number in range(20))
    with server.connect() as connection:
        connection.sendall(data + request("/execute", {"env": "", "call": "'last'"}, Connection="close"))
        answers = read_all(connection)
    assert answers.count(b"HTTP/1.1 200 OK") == 21
    at = [answers.index(b'"result":%d,' % number) for number in range(20)]
    assert at == sorted(at)


def test_an_endless_loop_leaves_the_others_alone(server: Server) -> None:
    def latencies() -> list[float]:
        times = []
        with httpx.Client(verify=False) as client:
            for number in range(60):
                started = time.perf_counter()
                response = client.post(f"{server.url}/execute", json={"env": "", "call": f"{number} + 1"})
                times.append(time.perf_counter() - started)
                assert response.json()["result"] == number + 1
        return times

    alone = latencies()
    with server.connect() as connection:
        connection.sendall(request("/execute", ENDLESS))
        wait_until(lambda: server.metric("mentor_running_requests ") == 1)
        beside = latencies()
        assert server.metric("mentor_running_requests ") == 1
    # The loop has a core for turns of 10 ms; without such turns each request would wait for its whole timeout.
    assert statistics.median(beside) < 10 * statistics.median(alone) + 0.03
    assert max(beside) < 1


def test_many_clients_at_once_get_their_own_answers() -> None:
    async def ask(client: httpx.AsyncClient, url: str, number: int) -> None:
        body = {"env": "def f(x):\n    print(x)\n    return [x]", "call": f"f({number})"}
        response = await client.post(f"{url}/execute", json=body, timeout=60)
        assert response.json() == {"output": f"{number}\n", "result": [number], "error": None}

    async def everyone(url: str) -> None:
        async with httpx.AsyncClient(verify=False, limits=httpx.Limits(max_connections=32)) as client:
            await asyncio.gather(*(ask(client, url, number) for number in range(120)))

    with serving() as server:
        asyncio.run(everyone(server.url))
        assert server.metric('mentor_requests_total{route="/execute",status="200"}') == 120


def test_an_answer_has_its_time_waiting_included() -> None:
    with serving("--max-wait-ms", "500") as server:
        response = CLIENT.post(f"{server.url}/execute", json=ENDLESS)
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert response.json()["error"]["message"] == "no answer within 0.5 s"
        wait_until(lambda: server.metric("mentor_running_requests ") == 0)
        assert server.execute("", "1")["result"] == 1


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_clients_that_do_not_read_their_answers() -> None:
    def sockets(server: Server) -> int:
        folder = Path(f"/proc/{server.process.pid}/fd")
        return sum(str(file.readlink()).startswith("socket:") for file in folder.iterdir())

    # More than the buffers of the kernel hold.
    body = {"code": "print('x' * 10_000_000)", "language": "python"}
    with serving("--idle-ms", "1000", "--arrival-ms", "1000", "--output-kb", "16384") as server:
        time.sleep(0.3)  # the connection that found the server up is closed by then
        before = sockets(server)
        clients = [socket.socket() for _ in range(2)]
        try:
            for client, header in zip(clients, ("keep-alive", "close"), strict=True):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                client.connect(server.address)
                client.sendall(request("/run_code", body, Connection=header))
            wait_until(lambda: sockets(server) >= before + 2)
            wait_until(lambda: server.metric('mentor_requests_total{route="/run_code",status="200"}') == 2)
            wait_until(lambda: sockets(server) <= before)
        finally:
            for client in clients:
                client.close()


def test_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with serving("--host", "::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert server.execute("", "2")["result"] == 2
