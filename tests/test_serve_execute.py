"""POST /execute: what a client of the MENTOR and ReCall sandbox sees."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="needs the extra `serve`")
import httpx
import requests

from serving import Server, serving

TOOLS = """
import math
from dataclasses import dataclass

def add(a, b):
    print("adding", a, b)
    return a + b

def fail(text=""):
    print("before")
    raise ValueError(text)

def area(radius):
    return math.pi * radius ** 2

def look(data, key):
    return data[key]
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def reference(env: str, call: str) -> dict[str, Any]:
    """What the other server does, for programs that are known to be harmless."""
    output, result, error = io.StringIO(), None, None
    try:
        with contextlib.redirect_stdout(output):
            scope: dict[str, Any] = {}
            exec(compile(env, "<env>", "exec"), scope)
            exec(compile(f"response = {call}", "<call>", "exec"), scope)
            result = scope.get("response")
    except Exception as exception:  # noqa: BLE001
        error = str(exception)
    return json.loads(json.dumps({"output": output.getvalue(), "result": result, "error": error}))


@pytest.mark.parametrize(
    ("env", "call"),
    [
        (TOOLS, "add(a=1, b=2)"),
        (TOOLS, "add(a='é', b='\\n\\u2028')"),
        (TOOLS, "area(radius=2.5)"),
        (TOOLS, "look(data={'a': [1, None, True]}, key='a')"),
        (TOOLS, "look(data={}, key='missing')"),
        (TOOLS, "fail()"),
        (TOOLS, "fail(text='no')"),
        (TOOLS, "add(1)"),
        (TOOLS, "nothing(1)"),
        (TOOLS, "add(1, 2) + 3"),
        (TOOLS, "add(1, 2), add(3, 4)"),
        (TOOLS, "add(1, 2); print('more'); add(5, 6)"),
        (TOOLS, "add(1, 2)\nprint('more')"),
        (TOOLS, "add(1, 2)  # why"),
        (TOOLS, "(add(1,\n 2))"),
        (TOOLS, "x = add(2, 2)"),
        (TOOLS, "[add(n, n) for n in range(3)]"),
        (TOOLS, "lambda: 1"),
        (TOOLS, "add(1, 2"),
        (TOOLS, "Parse tool call failed: Expecting value"),
        (TOOLS, "if(1): add(1, 2)"),
        (TOOLS, "import os"),
        (TOOLS, ""),
        (TOOLS, "None"),
        (TOOLS, "'a' * 10_000"),
        (TOOLS, "10 ** 40"),
        (TOOLS, "-0.0"),
        ("", "1"),
        ("print('loaded')\nx = 3", "x"),
        ("print('loaded')\n1 / 0", "1"),
        ("def broken(:", "1"),
        ("import nothing_of_the_kind", "1"),
        ("response = 5", "response"),
        ("class E(Exception):\n    def __str__(self): return 'own text'\ndef f(): raise E", "f()"),
    ],
)
def test_it_answers_as_the_reference_does(server: Server, env: str, call: str) -> None:
    try:
        expected = reference(env, call)
    except TypeError:  # no JSON: the other server fails
        expected = None
    for _ in range(2):  # the second time from what is kept of the environment
        answer = server.execute(env, call)
        if expected is None:
            assert answer["result"] is None or answer["error"] is None
        else:
            assert answer == expected


def test_results_that_are_no_json_become_json_as_fastapi_makes_it(server: Server) -> None:
    env = (
        "import datetime, decimal, enum, uuid\nfrom dataclasses import dataclass\nfrom pathlib import Path\n"
        "@dataclass\nclass P:\n    x: int\n    tags: set\n"
        "class C(enum.Enum):\n    RED = 'red'\n"
        "class O:\n    def __init__(self): self.a = (1, {2})\n"
    )
    call = (
        "[P(1, {2}), C.RED, O(), (1, 2), {3}, decimal.Decimal('1.5'), decimal.Decimal(7), datetime.date(2026, 1, 2), "
        "datetime.timedelta(minutes=1), b'bytes', Path('/a/b'), uuid.UUID(int=5), (n for n in range(2))]"
    )
    answer = server.execute(env, call)
    assert answer["error"] is None
    assert answer["result"] == [
        {"x": 1, "tags": [2]},
        "red",
        {"a": [1, [2]]},
        [1, 2],
        [3],
        1.5,
        7,
        "2026-01-02",
        60.0,
        "bytes",
        "/a/b",
        "00000000-0000-0000-0000-000000000005",
        [0, 1],
    ]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("float('nan')", "bad_result: the result is too large, or no JSON (infinite or no number)"),
        ("'x' * 2_000_000", "bad_result: the result is too large, or no JSON (infinite or no number)"),
        ("(lambda: 1)()()", "'int' object is not callable"),
        ("__import__('sys').exit(3)", "SystemExit: 3"),
        ("__import__('os')._exit(3)", "trap: the program ended its process (failure)"),
        ("[0] * 10**9", "memory_limit: needs more than 256 MB (memory_mb)"),
    ],
)
def test_faults_are_errors_of_the_answer(server: Server, call: str, error: str) -> None:
    answer = server.execute("", call)
    assert (answer["result"], answer["error"]) == (None, error)
    assert server.execute("", "1 + 1")["result"] == 2


def test_surrogates_deep_values_and_self_references(server: Server) -> None:
    assert server.execute("", "'\\ud800x'")["result"] == "\ud800x"
    deep = server.execute("x = []\nfor _ in range(500): x = [x]", "x")
    assert deep["error"] is None or "nested" in deep["error"] or "recursion" in deep["error"]
    loop = server.execute("x = []\nx.append(x)", "x")
    assert loop["result"] is None and loop["error"]


def test_the_timeout_ends_an_endless_loop(server: Server) -> None:
    env = "def f():\n    print('begun')\n    while True: pass"
    answer = server.execute(env, "f()", timeout=0.2)
    assert answer == {"output": "begun\n", "result": None, "error": "timeout: stopped after 200 ms (timeout_ms)"}
    assert server.execute("while True: pass", "1", timeout=0.2)["error"].startswith("timeout")


def test_nothing_stays_between_requests(server: Server) -> None:
    env = "seen = []\ndef f(x):\n    seen.append(x)\n    return seen"
    assert [server.execute(env, f"f({n})")["result"] for n in range(3)] == [[0], [1], [2]]
    server.execute("import builtins, math\nmath.pi = 3\nbuiltins.len = None", "1")
    assert server.execute("import math", "len([math.pi])")["result"] == 1
    assert server.execute("", "open('/etc/passwd').read()")["error"].startswith("[Errno")


def test_the_clients_that_people_have(server: Server) -> None:
    body = {"env": TOOLS, "call": "add(a=19, b=23)"}
    expected = {"output": "adding 19 23\n", "result": 42, "error": None}
    url = f"{server.url}/execute"
    assert requests.post(url, json=body, timeout=10).json() == expected
    assert httpx.post(url, json=body).json() == expected
    with httpx.Client() as client:  # one connection
        assert [client.post(url, json=body).json() for _ in range(3)] == [expected] * 3
    plain = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json; charset=utf-8"})
    with urllib.request.urlopen(plain) as response:
        assert json.load(response) == expected
        assert response.headers["content-type"] == "application/json"
    if curl := shutil.which("curl"):
        command = [curl, "-s", "-d", json.dumps(body), "-H", "Content-Type: application/json", url]
        assert json.loads(subprocess.run(command, capture_output=True, check=True).stdout) == expected


def test_recalls_own_client_finds_what_it_reads(server: Server) -> None:
    """The texts that the ReCall agent makes of an answer."""

    def said(call: str) -> str:
        response = requests.post(f"{server.url}/execute", json={"env": TOOLS, "call": call}, timeout=3)
        if response.status_code != 200:
            return f"error: {response.status_code}"
        answer = response.json()
        return "".join(f"{key}: \n{answer[key]}\n" for key in ("result", "output", "error") if answer[key]).strip()

    assert said("add(a=1, b=2)") == "result: \n3\noutput: \nadding 1 2"
    assert said("fail(text='no')") == "output: \nbefore\n\nerror: \nno"
