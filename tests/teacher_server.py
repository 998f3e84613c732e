"""An HTTP server that plays an OpenAI-compatible endpoint: a teacher who solves tasks with tools, and what fails."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mentor.data import Task

Body = dict[str, Any]
SOON = {"retry-after-ms": "20"}


def call(name: str, arguments: Any, at: int = 0) -> Body:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": f"call_{at}", "type": "function", "function": {"name": name, "arguments": text}}


def says(content: str | None = None, *calls: Body, finish: str | None = None, tokens: int = 7) -> Body:
    """A chat completion."""
    message: Body = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = list(calls)
    choice = {"index": 0, "message": message, "finish_reason": finish or ("tool_calls" if calls else "stop")}
    usage = {"prompt_tokens": 100, "completion_tokens": tokens, "total_tokens": 100 + tokens}
    row = {"id": "x", "object": "chat.completion", "created": 1, "model": "teacher", "choices": [choice]}
    return row | {"usage": usage}


def asked(body: Body) -> str:
    """The task's prompt in a request."""
    return next(message["content"] for message in body["messages"] if message["role"] == "user")


def results(body: Body) -> list[str]:
    """The tool results in a request."""
    return [message["content"] for message in body["messages"] if message["role"] == "tool"]


def solver(tasks: Sequence[Task]) -> Callable[[Body], Body]:
    """A teacher who makes one call per turn and believes the tools: the last result is the answer."""
    plans = {task.messages[0]["content"]: task.reference["tool_calls"] for task in tasks}

    def play(body: Body) -> Body:
        done, plan = results(body), plans[asked(body)]
        if len(done) < len(plan):
            step = plan[len(done)]
            return says(None, call(step["name"], step["arguments"], len(done)))
        return says(f"Done.\n\\boxed{{{done[-1]}}}")

    return play


@dataclass
class Endpoint:
    """The server: what it says, how it fails, what it saw."""

    play: Callable[[Body], Body]
    fail: Callable[[int], str | None] = lambda number: None
    seen: list[Body] = field(default_factory=list)
    answered: list[Body] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    hold_after: int | None = None
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""
    most: int = 0
    now: int = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        endpoint = self.server.endpoint
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert self.path == "/v1/chat/completions", self.path
        with endpoint.lock:
            number = len(endpoint.seen)
            endpoint.seen.append(body)
            endpoint.times.append(time.monotonic())
            endpoint.keys.add(self.headers.get("authorization", ""))
            endpoint.now += 1
            endpoint.most = max(endpoint.most, endpoint.now)
            held = endpoint.hold_after is not None and number >= endpoint.hold_after
        try:
            if held:
                endpoint.released.wait(60)
            fault = endpoint.fail(number)
            if fault is not None:
                getattr(self, f"fault_{fault}")(body)
                return
            said = endpoint.play(body)
            with endpoint.lock:  # before it is sent: who has read it finds it counted
                endpoint.answered.append(body)
            self.say(said, body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client went away
        finally:
            with endpoint.lock:
                endpoint.now -= 1

    def say(self, said: Body, body: Body) -> None:
        if body.get("stream"):
            chunks = pieces(said)
            # The usage comes to those who ask for it.
            self.stream(chunks if "stream_options" in body else [*chunks[:-2], chunks[-1]])
        else:
            self.send(200, json.dumps(said).encode())

    def send(self, status: int, data: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def stream(self, chunks: Sequence[Body | str], *, end: bool = True) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            text = f"data: {chunk if isinstance(chunk, str) else json.dumps(chunk)}\n\n".encode()
            self.wfile.write(f"{len(text):x}\r\n".encode() + text + b"\r\n")
        if end:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.wfile.flush()
            self.close_connection = True

    def error(self, status: int, message: str, code: str | None = None, **headers: str) -> None:
        row = {"error": {"message": message, "type": "error", "param": None, "code": code}}
        self.send(status, json.dumps(row).encode(), **headers)

    def fault_rate(self, body: Body) -> None:
        self.error(429, "slow down", **{"retry-after": "1"})

    def fault_rate_soon(self, body: Body) -> None:
        self.error(429, "slow down", **SOON)

    def fault_server(self, body: Body) -> None:
        self.error(500, "out of memory", **SOON)

    def fault_hang(self, body: Body) -> None:
        time.sleep(1.5)
        self.close_connection = True

    def fault_close(self, body: Body) -> None:
        self.close_connection = True

    def fault_broken(self, body: Body) -> None:
        self.send(200, json.dumps(says("\\boxed{1}")).encode()[:-20])

    def fault_cut(self, body: Body) -> None:
        data = json.dumps(says("\\boxed{1}")).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:40])
        self.close_connection = True

    def fault_html(self, body: Body) -> None:
        self.send(200, b"<html>Sign in to the hotel's network</html>", "text/html")

    def fault_empty(self, body: Body) -> None:
        self.send(200, b'{"object": "chat.completion", "choices": []}')

    def fault_stream_cut(self, body: Body) -> None:
        self.stream(pieces(says("I will now say something long \\boxed{1}"))[:3], end=False)

    def fault_stream_short(self, body: Body) -> None:
        self.stream(pieces(says("I will now say something long \\boxed{1}"))[:3])

    def fault_stream_broken(self, body: Body) -> None:
        self.stream([*pieces(says("hm"))[:1], '{"choices": [{"del'])

    def fault_stream_error(self, body: Body) -> None:
        self.stream([*pieces(says("hm"))[:1], {"error": {"message": "the engine died"}}])

    def fault_key(self, body: Body) -> None:
        self.error(401, "Incorrect API key provided", "invalid_api_key")

    def fault_model(self, body: Body) -> None:
        self.error(404, "The model `teacher` does not exist", "model_not_found")

    def fault_quota(self, body: Body) -> None:
        self.error(429, "You exceeded your current quota", "insufficient_quota", **SOON)

    def fault_refused(self, body: Body) -> None:
        self.error(400, "This model's maximum context length is 10 tokens", "context_length_exceeded")

    def fault_old(self, body: Body) -> None:
        """An older server: it knows streams, but not how to tell their tokens."""
        if "stream_options" in body:
            self.fault_options(body)
        else:
            self.say(self.server.endpoint.play(body), body)

    def fault_whole(self, body: Body) -> None:
        """A server that does not stream, whatever it is asked for."""
        self.send(200, json.dumps(self.server.endpoint.play(body)).encode(), "application/json; charset=utf-8")

    def fault_gateway(self, body: Body) -> None:
        self.send(200, b'{"error": {"message": "Provider returned error:\\noverloaded", "code": 502}}')

    def fault_options(self, body: Body) -> None:
        assert "stream_options" in body
        self.error(400, "stream_options: Extra inputs are not permitted")

    def log_message(self, *args: Any) -> None:
        pass


def pieces(said: Body) -> list[Body | str]:
    """A chat completion as it is streamed: text in pieces, calls in pieces, the finish, the usage, the end."""
    message, finish = said["choices"][0]["message"], said["choices"][0]["finish_reason"]
    rows: list[Body | str] = [_piece({"role": "assistant", "content": ""})]
    text = message["content"] or ""
    rows += [_piece({"content": text[low : low + 5]}) for low in range(0, len(text), 5)]
    for at, made in enumerate(message.get("tool_calls", ())):
        function = made["function"]
        head = {"name": function["name"], "arguments": ""}
        rows.append(_piece({"tool_calls": [{"index": at, "id": made["id"], "type": "function", "function": head}]}))
        for low in range(0, len(function["arguments"]), 4):
            part = {"index": at, "function": {"arguments": function["arguments"][low : low + 4]}}
            rows.append(_piece({"tool_calls": [part]}))
    rows.append(_piece({}, finish))
    rows.append({"id": "x", "object": "chat.completion.chunk", "choices": [], "usage": said["usage"]})
    return [*rows, "[DONE]"]


def _piece(delta: Body, finish: str | None = None) -> Body:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "teacher", "choices": [choice]}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.endpoint = endpoint
        endpoint.url = f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that went away


@contextmanager
def serving(play: Callable[[Body], Body], **more: Any) -> Iterator[Endpoint]:
    """Serve on a free port."""
    endpoint = Endpoint(play, **more)
    server = Server(endpoint)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
