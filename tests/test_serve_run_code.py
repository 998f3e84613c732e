"""POST /run_code: what a client of SandboxFusion sees."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

pytest.importorskip("uvicorn", reason="needs the extra `serve`")
import requests

from serving import Server, serving


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def test_a_program_that_ends_well(server: Server) -> None:
    answer = server.run_code("import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7")
    assert answer["run_result"].pop("execution_time") > 0
    assert answer == {
        "status": "Success",
        "message": "",
        "compile_result": None,
        "run_result": {"status": "Finished", "return_code": 0, "stdout": "out\n", "stderr": "err\n"},
        "executor_pod_name": None,
        "files": {},
    }


@pytest.mark.parametrize(
    ("code", "return_code", "stderr"),
    [
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit(256 + 7)", 7, ""),
        ("import sys; sys.exit(-1)", 255, ""),
        ("import sys; sys.exit('no luck')", 1, "no luck\n"),
        ("import sys; sys.exit()", 0, ""),
        ("import os; os._exit(0)", 0, ""),
        ("import os; os._exit(5)", 1, "the program ended its process (failure)\n"),
        ("import os; os.abort()", -6, ""),
        ("x = [0] * 10**9", 1, "MemoryError\n"),
        ("import subprocess; subprocess.run(['ls'])", 1, ""),
        ("raise KeyboardInterrupt", 1, "KeyboardInterrupt\n"),
    ],
)
def test_return_codes(server: Server, code: str, return_code: int, stderr: str) -> None:
    answer = server.run_code(f"print('first', flush=True)\n{code}")
    assert answer["run_result"]["status"] == "Finished"
    assert (answer["status"], answer["run_result"]["return_code"]) == (
        "Success" if return_code == 0 else "Failed",
        return_code,
    )
    assert answer["run_result"]["stdout"] == "first\n"
    assert answer["run_result"]["stderr"].endswith(stderr)


def test_a_program_that_is_no_python(server: Server) -> None:
    result = server.run_code("print(1)\ndef f(:")["run_result"]
    assert (result["status"], result["return_code"], result["stdout"]) == ("Finished", 1, "")
    assert result["stderr"] == '  File "main.py", line 2\n    def f(:\n          ^\nSyntaxError: invalid syntax\n'


def test_the_traceback_has_the_programs_lines(server: Server) -> None:
    answer = server.run_code("def f():\n    return 1 / 0\n\nf()")
    assert 'File "main.py", line 4, in <module>\n    f()\n' in answer["run_result"]["stderr"]


def test_a_timeout(server: Server) -> None:
    answer = server.run_code("print('begun')\nwhile True: pass", run_timeout=0.2)
    assert answer["status"] == "Failed" and answer["message"] == ""
    result = answer["run_result"]
    assert (result["status"], result["return_code"], result["stdout"]) == ("TimeLimitExceeded", None, "begun\n")
    assert 0.15 < result["execution_time"] < 5


@pytest.mark.parametrize(
    "code",
    [
        "print(int(input()) + int(input()))",
        "import sys; print(sum(map(int, sys.stdin)))",
        "import sys; print(sum(map(int, sys.stdin.read().split())))",
        "import sys; print(sum(map(int, sys.stdin.buffer.read().split())))",
        "import sys; print(sum(int(line) for line in sys.stdin.readlines()))",
        "print(sum(map(int, open(0).read().split())))",
        "print(sum(map(int, open(0, 'rb'))))",
        "import os; print(sum(map(int, os.read(0, 100).split())))",
        "import sys, io; input = io.BytesIO(sys.stdin.buffer.read()).readline; print(int(input()) + int(input()))",
        "import fileinput; print(sum(map(int, fileinput.input())))",
        "from io import StringIO; import sys; StringIO(); print(int(input()) + int(sys.stdin.readline()))",
    ],
)
def test_standard_input(server: Server, code: str) -> None:
    for _ in range(2):
        answer = server.run_code(code, stdin="19\n23\n")
        assert answer["run_result"]["stdout"] == "42\n", answer


def test_standard_input_ends(server: Server) -> None:
    assert server.run_code("input()")["run_result"]["stderr"].endswith("EOFError: EOF when reading a line\n")
    assert server.run_code("import sys; print([sys.stdin.read()])", stdin=None)["run_result"]["stdout"] == "['']\n"
    text = "é\u2028\U0001f600\r\n\x00'\"\\{}"
    answer = server.run_code("import sys; print(ascii(sys.stdin.buffer.read().decode()))", stdin=text)
    assert answer["run_result"]["stdout"] == ascii(text) + "\n"


def test_the_prelude_leaves_no_names(server: Server) -> None:
    answer = server.run_code("print(__name__, [name for name in globals() if name[0] != '_' or name == '_setup'])")
    assert answer["run_result"]["stdout"] == "__main__ []\n"


def test_memory_limit(server: Server) -> None:
    code = "x = bytearray(120 * 2**20)\nprint(len(x))"
    assert server.run_code(code)["run_result"]["return_code"] == 0
    assert server.run_code(code, memory_limit_MB=100)["run_result"]["return_code"] == 1
    assert (
        server.run_code("print(1)", memory_limit_MB=1)["status"] == "Success"
    )  # never less than the interpreter needs
    assert server.run_code("x = [0] * 10**8", memory_limit_MB=10**6)["run_result"]["return_code"] == 1


def test_output_that_has_no_end(server: Server) -> None:
    answer = server.run_code("while True: print('x' * 1000)")
    assert answer["status"] == "Failed"
    assert len(answer["run_result"]["stdout"]) == 1 << 20
    assert answer["run_result"]["stderr"].startswith("output_limit: ")


def test_what_a_verl_reward_sends(server: Server) -> None:
    body = {
        "compile_timeout": 10,
        "run_timeout": 10,
        "code": "print(input()[::-1])",
        "stdin": "abc",
        "memory_limit_MB": 1024,
        "language": "python",
        "files": {},
        "fetch_files": [],
    }
    answer = requests.post(f"{server.url}/run_code", json=body, timeout=20).json()
    assert answer["status"] == "Success" and answer["run_result"]["stdout"].strip() == "cba"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"language": "python"}, "code"),
        ({"code": 1, "language": "python"}, "code"),
        ({"code": "1"}, "language"),
        ({"code": "1", "language": "cpp"}, "language"),
        ({"code": "1", "language": "python", "run_timeout": 0}, "run_timeout"),
        ({"code": "1", "language": "python", "run_timeout": "5"}, "run_timeout"),
        ({"code": "1", "language": "python", "run_timeout": True}, "run_timeout"),
        ({"code": "1", "language": "python", "compile_timeout": -1}, "compile_timeout"),
        ({"code": "1", "language": "python", "memory_limit_MB": 1.5}, "memory_limit_MB"),
        ({"code": "1", "language": "python", "stdin": ["a"]}, "stdin"),
        ({"code": "1", "language": "python", "files": []}, "files"),
        ({"code": "1", "language": "python", "files": {"a": 1}}, "files"),
        ({"code": "1", "language": "python", "files": {"a": "???"}}, "files"),
        ({"code": "1", "language": "python", "fetch_files": "a"}, "fetch_files"),
        ({"code": "1", "language": "python", "fetch_files": [1]}, "fetch_files"),
        ({"code": "1", "language": "python", "args": {}}, "args"),
    ],
)
def test_wrong_fields_are_named(server: Server, body: dict[str, object], field: str) -> None:
    response = requests.post(f"{server.url}/run_code", json=body, timeout=10)
    error = response.json()["error"]
    assert (response.status_code, error["status"], error["field"]) == (400, "Bad Request", field)
    assert field in error["message"]


def encoded(**files: bytes) -> dict[str, str]:
    return {name.replace("_", "."): base64.b64encode(content).decode() for name, content in files.items()}


def test_files_go_in_and_out(server: Server) -> None:
    code = (
        "data = open('in.bin', 'rb').read()\nopen('out.bin', 'wb').write(data[::-1])\nopen('other.txt', 'w').write('x')"
    )
    sent = encoded(in_bin=bytes(range(256)))
    wanted = ["out.bin", "in.bin", "./out.bin", "/out.bin", "missing.txt", "../../etc/passwd", "", "."]
    answer = server.run_code(code, files={**sent, "none.txt": None}, fetch_files=wanted)
    assert answer["status"] == "Success", answer
    backwards = encoded(out_bin=bytes(range(255, -1, -1)))["out.bin"]
    assert answer["files"] == {
        "out.bin": backwards,
        "in.bin": sent["in.bin"],
        "./out.bin": backwards,
        "/out.bin": backwards,
    }
    assert server.run_code("print(open('in.bin'))")["run_result"]["return_code"] == 1  # nothing stays


def test_files_also_after_a_fault_and_in_folders(server: Server) -> None:
    code = "import os\nos.makedirs('a/b')\nopen('a/b/c.txt', 'w').write('made')\n1 / 0"
    answer = server.run_code(code, fetch_files=["a/b/c.txt", "a"])
    assert answer["status"] == "Failed" and answer["files"] == {"a/b/c.txt": "bWFkZQ=="}
    answer = server.run_code("print(open('a/b/c.txt').read(), input())", files={"a/b/c.txt": "aGk="}, stdin="there")
    assert answer["run_result"]["stdout"] == "hi there\n"


@pytest.mark.parametrize("path", ["/abs.txt", "../up.txt", "a//b", "", "a/../b", "a\\b", "x" * 300])
def test_paths_that_are_none(server: Server, path: str) -> None:
    body = {"code": "1", "language": "python", "files": {path: "aGk="}}
    response = requests.post(f"{server.url}/run_code", json=body, timeout=10)
    assert (response.status_code, response.json()["error"]["field"]) == (400, "files")


def test_asking_for_a_file_many_times(server: Server) -> None:
    body = {"code": "open('big', 'wb').write(b'x' * (8 << 20))", "language": "python"}
    for paths in (["./" * number + "big" for number in range(9)], ["big"] * 1_001):
        response = requests.post(f"{server.url}/run_code", json={**body, "fetch_files": paths}, timeout=20)
        assert (response.status_code, response.json()["error"]["field"]) == (400, "fetch_files")


def test_files_have_a_limit(server: Server) -> None:
    result = server.run_code("open('big', 'wb').write(b'x' * (20 << 20))", fetch_files=["big"])["run_result"]
    assert result["return_code"] == 1 and "No space left on device" in result["stderr"]
