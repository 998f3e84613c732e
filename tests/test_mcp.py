"""mentor mcp: the SDK's own client against the real process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="needs the extra `mcp`")
from click.testing import CliRunner
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from mentor import tools
from mentor.cli import main

SOURCE = '''
"""Tools for the tests."""
import math

raise_at_import = None
SEEN = []

def area(width: float, height: float = 1) -> float:
    """Area of a rectangle.

    Args:
        width: Width in metres.
        height: Height in metres.
    """
    return width * height

def words(text: str) -> list[str]:
    """Words of a text.

    Args:
        text: The text.
    """
    print("counting")
    return text.split()

def forever() -> int:
    """Never ends."""
    while True:
        pass

def remember(word: str) -> list[str]:
    """All words so far.

    Args:
        word: The next one.
    """
    SEEN.append(word)
    return SEEN

def secret(path: str) -> str:
    """Reads a file.

    Args:
        path: Its path.
    """
    return open(path).read()

def _helper():
    return 1
'''
COMMAND = ["-c", "from mentor.cli import main; main()", "mcp"]


def talk(action: Callable[[ClientSession], Awaitable[Any]], *options: str) -> Any:
    """Starts the server, lets a client act, and gives what it got."""

    async def run() -> Any:
        server = StdioServerParameters(command=sys.executable, args=[*COMMAND, *options], env=dict(os.environ))
        async with stdio_client(server) as (reader, writer), ClientSession(reader, writer) as session:
            await session.initialize()
            return await action(session)

    return asyncio.run(asyncio.wait_for(run(), 60))


def texts(result: Any) -> list[str]:
    return [part.text for part in result.content]


def test_a_suite_is_listed_and_called() -> None:
    async def action(session: ClientSession) -> Any:
        listed = await session.list_tools()
        arguments = [("add", {"a": 19, "b": 23}), ("sum_numbers", {"numbers": [1, 2.5]}), ("divide", {"a": 1, "b": 0})]
        return listed.tools, [await session.call_tool(name, given) for name, given in arguments]

    listed, (total, floats, fault) = talk(action, "--suite", "arithmetic")
    schemas = [schema["function"] for schema in tools.arithmetic().schemas]
    assert [(tool.name, tool.description, tool.input_schema) for tool in listed] == [
        (schema["name"], schema["description"], schema["parameters"]) for schema in schemas
    ]
    assert (total.is_error, texts(total)) == (False, ["42"])
    assert (floats.is_error, texts(floats)) == (False, ["3.5"])
    assert (fault.is_error, texts(fault)) == (True, ["ZeroDivisionError: division by zero"])


def test_functions_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "tools.py"
    file.write_text(SOURCE)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("area", {"width": 6, "height": 7}),
        ("area", {"width": 6}),
        ("words", {"text": "ein Wört \U0001f600"}),
        ("area", {"width": "6"}),
        ("area", {}),
        ("aera", {}),
        ("_helper", {}),
        ("forever", {}),
        ("secret", {"path": "/etc/passwd"}),
        ("add", {"a": 1, "b": 2}),
    ]

    async def action(session: ClientSession) -> Any:
        listed = await session.list_tools()
        one_by_one = [await session.call_tool(name, given) for name, given in calls]
        together = await asyncio.gather(*(session.call_tool("area", {"width": n}) for n in range(20)))
        return [tool.name for tool in listed.tools], one_by_one, together

    options = ["--source", str(file), "--suite", "arithmetic", "--timeout-ms", "300"]
    names, results, together = talk(action, *options)
    assert names[:2] == ["add", "subtract"]
    assert names[-5:] == ["area", "words", "forever", "remember", "secret"]
    assert [(result.is_error, texts(result)) for result in results] == [
        (False, ["42"]),
        (False, ["6"]),
        (False, ['["ein", "Wört", "\U0001f600"]', "printed:\ncounting\n"]),
        (True, ['area: width must be a number, not a string ("6")']),
        (True, ["area lacks the argument 'width'"]),
        (True, ["unknown tool 'aera'; did you mean 'area'?"]),
        (True, [texts(results[6])[0]]),
        (True, ["stopped after 300 ms (timeout_ms); the tools' state is lost, they begin anew"]),
        (True, ["FileNotFoundError: [Errno 44] No such file or directory: '/etc/passwd'"]),
        (False, ["3"]),
    ]
    assert texts(results[6])[0].startswith("unknown tool '_helper'")
    assert [texts(result) for result in together] == [[str(n)] for n in range(20)]


def test_tools_keep_their_state_for_one_client(tmp_path: Path) -> None:
    file = tmp_path / "tools.py"
    file.write_text(SOURCE)

    async def action(session: ClientSession) -> Any:
        told = [texts(await session.call_tool("remember", {"word": word})) for word in "ab"]
        assert (await session.call_tool("forever", {})).is_error
        return told, texts(await session.call_tool("remember", {"word": "c"}))

    for _ in range(2):  # another client finds nothing of the first one
        told, anew = talk(action, "--source", str(file), "--timeout-ms", "300")
        assert told == [['["a"]'], ['["a", "b"]']]
        assert anew == ['["c"]']


def test_it_ends_with_its_input() -> None:
    initialize = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
    done = subprocess.run(
        [sys.executable, *COMMAND, "--suite", "arithmetic", "--name", "sums"],
        input=json.dumps(initialize) + "\n",
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)  # nothing else is on the wire
    assert answer["result"]["serverInfo"]["name"] == "sums"
    assert "tools" in answer["result"]["capabilities"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "say what to serve: --suite NAME, --source FILE, or both"),
        (["--suite", "nothing"], "--suite: there is no 'nothing'; there are: arithmetic"),
        (["--suite", "ToolSet"], "--suite: there is no 'ToolSet'"),
        (["--source", "/nowhere.py"], "/nowhere.py: no such file"),
        (["--suite", "arithmetic", "--suite", "arithmetic"], "two tools have the name 'add'; serve only one of them"),
    ],
)
def test_wrong_usage(options: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["mcp", *options])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_a_file_that_is_no_tool_set(tmp_path: Path) -> None:
    file = tmp_path / "tools.py"
    file.write_text("def f(x):\n    return x\n")
    result = CliRunner().invoke(main, ["mcp", "--source", str(file)])
    assert result.exit_code == 2 and str(file) in result.output
    file.write_text("import os\n")
    assert CliRunner().invoke(main, ["mcp", "--source", str(file)]).exit_code == 2


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("mentor.mcp")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp_types", None)
    result = CliRunner().invoke(main, ["mcp", "--suite", "arithmetic"])
    assert result.exit_code == 1
    assert "pip install 'mentor-rs[mcp]'" in result.output
