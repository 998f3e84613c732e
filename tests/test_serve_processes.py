"""mentor serve as a process: tokens, workers, metrics, signals, usage."""

from __future__ import annotations

import os
import pickle
import select
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="needs the extra `serve`")
import httpx
from click.testing import CliRunner

from mentor.cli import main
from mentor.errors import InputError
from mentor.serve import Settings
from serving import CLIENT, ENDLESS, Server, read_all, request, serving, wait_until

TOKEN = "a-token-of-some-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def test_a_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    with serving("--host", "0.0.0.0", "--token-file", str(file)) as server:
        server.url = server.url.replace("0.0.0.0", "127.0.0.1")
        body = {"env": "", "call": "1"}
        for wrong in (
            {},
            {"Authorization": TOKEN},
            {"Authorization": "Bearer"},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": f"Bearer {TOKEN[:-1]}"},
            {"Authorization": f"bearer {TOKEN}"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": b"Bearer \xff\xfe"},
        ):
            for method, path in (("POST", "/execute"), ("POST", "/run_code"), ("GET", "/metrics")):
                response = CLIENT.request(method, server.url + path, json=body, headers=wrong)
                assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
        # With a token the name in the URL does not matter.
        response = CLIENT.post(f"{server.url}/execute", json=body, headers={**BEARER, "Host": "box.example"})
        assert response.json()["result"] == 1
        assert CLIENT.get(f"{server.url}/healthz").json()["status"] == "ok"
        assert server.metric('mentor_requests_total{route="/execute",status="401"}', **BEARER) == 8
        # Nothing is read before the token: no body is needed for a refusal.
        with server.connect() as connection:
            connection.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 401")
        assert TOKEN not in server.said()


def test_the_token_of_the_environment() -> None:
    with serving(env={"MENTOR_TOKEN": TOKEN}) as server:
        assert CLIENT.post(f"{server.url}/execute", json={"env": "", "call": "1"}).status_code == 401
        answer = CLIENT.post(f"{server.url}/execute", json={"env": "", "call": "1"}, headers=BEARER).json()
        assert answer["result"] == 1
        code = {"env": "import os", "call": "dict(os.environ)"}
        assert CLIENT.post(f"{server.url}/execute", json=code, headers=BEARER).json()["result"] == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "on 0.0.0.0 other machines can reach the server: give it a token"),
        (["--host", "::"], "on :: other machines can reach the server"),
        (["--host", "box.example"], "on box.example other machines can reach the server"),
        (["--token", "short"], "token must have at least 16 characters, not 5"),
        (["--token", ""], "token must have at least 16 characters, not 0"),
        (["--token", "with a space in the middle"], "token must be of printable ASCII characters without spaces"),
        (["--token-file", "/nowhere/token"], "--token-file: [Errno 2] No such file or directory: '/nowhere/token'"),
        (["--token", TOKEN, "--token-file", "x"], "give the token once"),
        (["--memory-mb", "10"], "memory_mb must be from 48 to 4096, not 10"),
        (["--host", "1.2.3.4", "--token", TOKEN], "cannot listen on 1.2.3.4 port 0: "),
        (["--guest", "no-such-guest"], "no-such-guest"),
        (["--port", "70000"], "70000 is not in the range"),
    ],
)
def test_wrong_usage(options: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--port", "0", *options])
    assert result.exit_code in (1, 2)
    assert message in " ".join(result.output.split()), result.output


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = CliRunner().invoke(main, ["serve", "--port", str(port)])
    assert result.exit_code == 1
    assert result.output == f"Error: cannot listen on 127.0.0.1 port {port}: Address already in use\n"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"port": 1.5}, TypeError),
        ({"workers": 0}, InputError),
        ({"host": 1}, TypeError),
        ({"token": 1}, TypeError),
        ({"guest": 1}, TypeError),
    ],
)
def test_wrong_settings(change: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind, match=next(iter(change))):
        Settings(**change)


def test_settings_reach_the_workers_whole() -> None:
    settings = Settings(host="::1", port=1, token=TOKEN, access_log=True)
    assert pickle.loads(pickle.dumps(settings)) == settings


def stop_while_it_works(server: Server) -> tuple[bytes, float]:
    """SIGTERM during a run of two seconds; what the client gets, and how long the server took to end."""
    body = {"env": "def f():\n    while True: pass", "call": "f()", "timeout": 2}
    with server.connect() as busy, server.connect() as idle:
        busy.sendall(request("/execute", body))
        wait_until(lambda: server.metric("mentor_running_requests") == 1)
        server.process.send_signal(signal.SIGTERM)
        sent = time.monotonic()
        wait_until(lambda: refuses(server), 3)
        assert not select.select([busy], [], [], 0)[0]  # refused before what runs has ended
        answer = read_all(busy)
        assert read_all(idle) == b""
        assert server.process.wait(timeout=10) == 0
    return answer, time.monotonic() - sent


def refuses(server: Server) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_finishes_what_runs_and_refuses_new_clients(workers: str) -> None:
    with serving("--workers", workers) as server:
        answer, seconds = stop_while_it_works(server)
    assert answer.startswith(b"HTTP/1.1 200 OK") and b"connection: close" in answer.lower()
    assert b'"error":"timeout: stopped after 2000 ms (timeout_ms)"' in answer
    assert seconds < 8
    assert "Traceback" not in server.said()


def test_what_does_not_end_in_time_is_stopped() -> None:
    with serving("--grace-ms", "1000") as server, server.connect() as connection:
        connection.sendall(request("/execute", ENDLESS))
        wait_until(lambda: server.metric("mentor_running_requests") == 1)
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 8
        answer = read_all(connection)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 503")


def test_ctrl_c() -> None:
    with serving() as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=10) == 130
        assert "Traceback" not in server.said()


def children(server: Server) -> list[int]:
    """The workers, without the process that multiprocessing keeps for itself."""
    pids = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [int(pid) for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def ask(server: Server, count: int) -> None:
    """Requests on connections of their own, some at once, so that each worker has some."""

    def some() -> None:
        for _ in range(count // 4):
            assert server.execute("", "1")["result"] == 1

    threads = [threading.Thread(target=some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_metrics_are_those_of_all_workers_also_of_dead_ones() -> None:
    name = 'mentor_requests_total{route="/execute",status="200"}'
    with serving("--workers", "2") as server:
        workers = children(server)
        assert len(workers) == 2
        ask(server, 40)
        assert [server.metric(name) for _ in range(8)] == [40] * 8  # whichever worker answers
        assert server.metric('mentor_request_seconds_count{route="/execute"}') == 40
        server.execute("", "1 / 0")
        assert server.metric('mentor_faults_total{kind="exception",route="/execute"}') == 1
        with server.connect() as first, server.connect() as second:
            for connection in (first, second):
                connection.sendall(request("/execute", ENDLESS))
            wait_until(lambda: server.metric("mentor_running_requests") == 2)
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            assert (read_all(first), read_all(second)) == (b"", b"")
        wait_until(lambda: len(set(children(server)) - set(workers)) == 2, 20)
        wait_until(lambda: answers(server), 20)
        assert server.metric(name) == 41
        assert server.metric("mentor_running_requests") == 0
        # Workers end when their parent is killed: nobody keeps the port.
        server.process.kill()
        wait_until(lambda: refuses(server), 20)


def answers(server: Server) -> bool:
    try:
        return CLIENT.get(f"{server.url}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_health_and_log() -> None:
    import mentor

    with serving("--access-log") as server:
        health = CLIENT.get(f"{server.url}/healthz").json()
        assert health == {
            "status": "ok",
            "version": mentor.__version__,
            "guest": mentor.Sandbox().guest,
            "running": 0,
        }
        server.execute("SECRET = 1", "SECRET")
        wait_until(lambda: '"POST /execute HTTP/1.1" 200' in server.said())
        assert "SECRET" not in server.said()
    with serving() as server:
        server.execute("", "1")
        assert "POST" not in server.said()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [
        name for name in sys.modules if name.partition(".")[0] == "uvicorn" or name.startswith("mentor.serve")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = CliRunner().invoke(main, ["serve"])
    assert result.exit_code == 1
    assert "pip install 'mentor-rs[serve]'" in result.output
