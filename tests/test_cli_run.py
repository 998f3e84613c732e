"""mentor run: a script in the sandbox."""

from __future__ import annotations

import base64
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mentor.cli import main


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["run", *arguments], input=stdin)


def script(folder: Path, text: str) -> str:
    file = folder / "script.py"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_output_and_value_are_shown(tmp_path: Path) -> None:
    result = run(script(tmp_path, "import sys\nprint('out')\nprint('err', file=sys.stderr)\n'é'"))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "out\n'é'\n", "err\n")


def test_a_script_without_a_value_shows_none(tmp_path: Path) -> None:
    result = run(script(tmp_path, "x = 1"))
    assert (result.exit_code, result.output) == (0, "")


def test_a_fault_goes_to_stderr_with_status_1(tmp_path: Path) -> None:
    name = script(tmp_path, "print('before')\n\n1 / 0")
    result = run(name)
    assert result.exit_code == 1
    assert result.stdout == "before\n"
    assert result.stderr.startswith(f'Traceback (most recent call last):\n  File "{name}", line 3, in <module>\n')
    assert result.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_standard_input() -> None:
    result = run("-", stdin="print('hi')\n6 * 7\n")
    assert (result.exit_code, result.output) == (0, "hi\n42\n")
    assert 'File "<stdin>", line 1' in run("-", stdin="boom").stderr


def test_json_is_one_line_with_everything(tmp_path: Path) -> None:
    result = run(script(tmp_path, "print('out')\n[1, 2.0]"), "--json", "--fuel", str(10**10))
    outcome = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert outcome.pop("wall_ms") > 0
    assert outcome.pop("fuel") > 0
    assert outcome == {
        "ok": True,
        "stdout": "out\n",
        "stderr": "",
        "value": [1, 2.0],
        "value_repr": "[1, 2.0]",
        "fault": None,
        "truncated": False,
        "reproducible": True,
        "files": {},
    }
    result = run("-", "--json", stdin="1 / 0")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["fault"]["message"] == "ZeroDivisionError: division by zero"


def test_files_go_in_and_come_out(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_bytes(b"a,b")
    code = "open('out', 'wb').write(open('data.csv', 'rb').read() * 2)"
    result = run(script(tmp_path, code), "--json", "--file", str(data))
    assert json.loads(result.stdout)["files"] == {"out": base64.b64encode(b"a,ba,b").decode()}
    assert data.read_bytes() == b"a,b"
    assert "Read-only file system" in run(script(tmp_path, code), "--files-kb", "0", "--file", str(data)).stderr
    assert run(script(tmp_path, code), "--file", str(tmp_path / "none")).exit_code == 2


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--timeout-ms", "200"], "while True: pass", "mentor: timeout: stopped after 200 ms (timeout_ms)\n"),
        (["--fuel", "1000"], "sum(range(10**6))", "mentor: out_of_fuel: stopped after 1000 operations (fuel)\n"),
        (
            ["--output-kb", "1"],
            "while True: print('x' * 63)",
            "mentor: output was cut off at its limit (--output-kb)\n"
            "mentor: output_limit: printed more than 1 KB (output_kb)\n",
        ),
    ],
)
def test_limits(options: list[str], code: str, message: str) -> None:
    result = run("-", *options, stdin=code)
    assert result.exit_code == 1
    assert result.stderr == message


def test_memory_limit() -> None:
    result = run("-", "--memory-mb", "64", stdin="'x' * 10**9")
    assert result.exit_code == 1
    assert "MemoryError" in result.stderr


def test_seed() -> None:
    one, same, other = (run("-", "--seed", seed, stdin="import random\nrandom.random()").output for seed in "112")
    assert one == same != other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no such file.py"], "Error: no such file.py: no such file\n"),
        ([], "Error: Missing argument 'FILE'.\n"),
        (["-", "--timeout-ms", "0"], "Error: Invalid value for '--timeout-ms': 0 is not in the range x>=1.\n"),
        (["-", "--memory-mb", "5"], "must be between 48 (the interpreter's own need) and 4096, not 5\n"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], message: str) -> None:
    result = run(*arguments, stdin="1")
    assert result.exit_code == 2
    assert result.stderr.endswith(message)


def test_a_folder_and_a_binary_file_are_wrong_usage(tmp_path: Path) -> None:
    result = run(str(tmp_path))
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, f"Error: {tmp_path}: Is a directory")
    (tmp_path / "x.py").write_bytes(b"\xff\xfe\x00")
    result = run(str(tmp_path / "x.py"))
    assert result.exit_code == 2
    assert "no Python text" in result.stderr


def test_the_encoding_of_a_script_is_respected(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes("# -*- coding: latin-1 -*-\n'\xe9'".encode("latin-1"))
    assert run(str(tmp_path / "latin.py")).output == "'é'\n"


def test_a_spinner_on_a_terminal_only_when_it_takes_long(tmp_path: Path) -> None:
    def on_a_terminal(code: str) -> str:
        leader, follower = pty.openpty()
        command = [sys.executable, "-c", MAIN, "run", script(tmp_path, code), "--timeout-ms", "1500"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=follower, env=TERMINAL) as process:
            os.close(follower)
            shown = b""
            while True:
                try:
                    block = os.read(leader, 4096)
                except OSError:  # the other side is closed
                    break
                if not block:
                    break
                shown += block
            process.wait(timeout=60)
        os.close(leader)
        return shown.decode()

    assert "running" in on_a_terminal("while True: pass")
    assert on_a_terminal("1") == ""


TERMINAL = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
MAIN = "from mentor.cli import main; main()"
