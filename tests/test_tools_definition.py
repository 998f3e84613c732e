"""mentor.ToolSet: what is found out when tools are defined."""

from __future__ import annotations

import re
import warnings

import pytest

import mentor
from example_tools import source_of
from mentor import Limits, ToolSet
from mentor.errors import InputError
from mentor.tools.definition import _HOPELESS

LIBRARY = (
    "it has the standard library without ctypes, ssl, bz2, lzma, mmap, resource, fcntl and curses, and no other "
    "packages; use ToolSet.from_host for what must run on the host"
)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "import math\n\nimport numpy\n" + source_of("return 1"),
            f"tools: line 3: import numpy: the sandbox has no module 'numpy'; {LIBRARY}",
        ),
        (
            source_of("import pandas as pd\n    return 1"),
            f"tools: line 3: import pandas as pd: the sandbox has no module 'pandas'; {LIBRARY}",
        ),
        (
            "class Helper:\n    def work(self):\n        from torch.nn import Module\n" + source_of("return 1"),
            f"tools: line 3: from torch.nn import Module: the sandbox has no module 'torch'; {LIBRARY}",
        ),
        (source_of("import ssl"), f"tools: line 3: import ssl: the sandbox has no module 'ssl'; {LIBRARY}"),
        (
            source_of("from json import dumpz"),
            "tools: line 3: from json import dumpz: the sandbox's module 'json' has no 'dumpz'",
        ),
        (
            source_of("return 1") + "\nTABLE = {}\nFIRST = TABLE['x']\n",
            "tools: line 6: FIRST = TABLE['x']: KeyError: 'x'",
        ),
        ("def _help():\n    return 1 / 0\nX = _help()\n" + source_of("return X"), "tools: line 2: return 1 / 0: Zero"),
        ("raise SystemExit(3)\n" + source_of("return 1"), "tools: line 1: raise SystemExit(3): SystemExit: 3"),
    ],
)
def test_what_cannot_work_is_named_with_its_line(source: str, text: str) -> None:
    with pytest.raises(InputError, match="^" + re.escape(text)):
        ToolSet.from_source(source)
    assert ToolSet.from_source(source, check=False).names == ["f"]


def test_functions_and_schemas_are_checked_too() -> None:
    def f() -> int:
        """Do it."""
        import numpy

        return int(numpy.int64(1))

    with pytest.raises(InputError, match="line 3: import numpy: the sandbox has no module 'numpy'"):
        ToolSet.from_functions([f])
    with pytest.raises(InputError, match="line 2: import numpy: the sandbox has no module 'numpy'"):
        ToolSet.from_schemas([{"name": "g"}], "def g():\n    import numpy\n")


def test_a_source_that_never_ends_is_stopped() -> None:
    with pytest.raises(InputError, match=r"cannot be loaded in the sandbox: stopped after 200 ms \(timeout_ms\)"):
        ToolSet.from_source("while True: pass\n" + source_of("return 1"), limits=Limits(timeout_ms=200))


@pytest.mark.parametrize(
    "body",
    [
        "import xml.etree.ElementTree, os.path\n    from xml import etree\n    from concurrent.futures import thread",
        "try:\n        import numpy\n    except ImportError:\n        numpy = None",
        "if False:\n        import numpy",
        "from . import nothing",
        "def inner():\n        import decimal\n    return inner()",
    ],
)
def test_imports_that_work_or_are_guarded_pass(body: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ToolSet.from_source(source_of(body)).names == ["f"]


CALLS = {
    "threading.Thread": "threading.Thread(target=print).start()",
    "threading.Timer": "threading.Timer(1, print).start()",
    "concurrent.futures.ThreadPoolExecutor": "concurrent.futures.ThreadPoolExecutor().submit(print)",
    "concurrent.futures.ProcessPoolExecutor": "concurrent.futures.ProcessPoolExecutor().submit(print)",
    "_thread.start_new_thread": "_thread.start_new_thread(print, ())",
    "asyncio.to_thread": "asyncio.run(asyncio.to_thread(print))",
    "asyncio.create_subprocess_exec": "asyncio.run(asyncio.create_subprocess_exec('ls'))",
    "asyncio.create_subprocess_shell": "asyncio.run(asyncio.create_subprocess_shell('ls'))",
    "os.execv": "os.execv('/bin/ls', ['ls'])",
    "os.posix_spawn": "os.posix_spawn('/bin/ls', ['ls'], {})",
    "os.fork": "os.fork()",
    "socket.socket": "socket.socket()",
    "socket.create_connection": "socket.create_connection(('localhost', 80))",
    "urllib.request.urlopen": "urllib.request.urlopen('http://localhost')",
    "input": "input()",
}


@pytest.mark.parametrize("path", _HOPELESS)
def test_what_is_warned_of_fails_indeed(path: str) -> None:
    call = CALLS.get(path, f"{path}('ls')")
    module = path.rpartition(".")[0]
    first = f"import {module}; " if module else ""
    with pytest.warns(
        UserWarning, match=r"tools: line 3: .*; use ToolSet.from_host for what must run on the host"
    ) as w:
        tools = ToolSet.from_source(source_of(f"{first}{call}"))
    assert w[0].filename == __file__
    outcome = tools.call("f", {})
    assert outcome.fault is not None
    assert outcome.fault.kind == "exception"


def test_names_are_resolved() -> None:
    body = "from subprocess import run as go\n    import os as system\n    go('ls')\n    system.popen('ls')"
    with pytest.warns(UserWarning) as found:
        ToolSet.from_source(source_of(body))
    assert [str(warning.message).split(":")[1] for warning in found] == [" line 5", " line 6"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ToolSet.from_source("def _input(): return 1\ninput = _input\n" + source_of("return input()"))
        ToolSet.from_source(source_of("threading = None\n    return threading and threading.Thread()"))


def test_a_text_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    session = mentor.Sandbox.session

    def counted(self: mentor.Sandbox) -> mentor.Session:
        opened.append(self)
        return session(self)

    monkeypatch.setattr(mentor.Sandbox, "session", counted)
    source = source_of("import decimal\n    return 'checked once'")
    for _ in range(3):
        ToolSet.from_source(source)
    assert len(opened) == 1
    ToolSet.from_source(source + "\n", check=False)
    assert len(opened) == 1
    ToolSet.from_source(source, limits=Limits(timeout_ms=5_000))
    assert len(opened) == 2


def test_built_in_suites_start_no_guest_when_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mentor.Sandbox, "session", None)
    assert len(mentor.tools.arithmetic()) == 12
