"""Files of programs: a tree in memory that behaves like a file system, with bounds, and nothing of the host."""

from __future__ import annotations

import asyncio
import os
import pickle
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mentor
from file_programs import PROGRAMS, SOURCE
from mentor import Limits, Outcome, Sandbox
from mentor.errors import InputError

ISOLATIONS = ("auto", "fresh")


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


def value(outcome: Outcome) -> Any:
    assert outcome.fault is None, outcome.fault
    return outcome.value


def error(outcome: Outcome) -> str:
    assert outcome.fault is not None, outcome.value
    return outcome.fault.message


# --- like a file system ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", range(0, 60, 10))
def test_the_same_work_gives_what_a_real_file_system_gives(start: int) -> None:
    play = _play()
    sandbox = Sandbox(limits=Limits(output_kb=4096, files_kb=20_000))
    for seed in range(start, start + 10):
        with tempfile.TemporaryDirectory() as folder:
            expected = play(folder, seed, 60)
        code = f"import os\nos.mkdir('/work')\nplay('/work', {seed}, 60)"
        found = value(sandbox.run(code, env=SOURCE))
        for real, ours in zip(expected, found, strict=True):
            assert ours == real, seed


def _play() -> Any:
    namespace: dict[str, Any] = {}
    exec(SOURCE, namespace)
    return namespace["play"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_library_works_on_files(sandbox: Sandbox, name: str) -> None:
    assert value(sandbox.run(PROGRAMS[name])) is True


def test_the_same_program_leaves_the_same() -> None:
    code = "import os, tempfile\nfd, name = tempfile.mkstemp()\nos.write(fd, b'x')\n"
    code += "[name, list(os.stat(name)), os.listdir('/tmp')]"
    outcomes = [Sandbox(isolation=isolation).run(code) for isolation in ISOLATIONS for _ in range(2)]
    assert len({repr((outcome.value, dict(outcome.files))) for outcome in outcomes}) == 1
    assert all(outcome.reproducible for outcome in outcomes)
    assert value(outcomes[0])[1][8] == 1_767_225_600  # the virtual clock's day


# --- in and out --------------------------------------------------------------------------------------------------


def test_files_go_in_and_come_out(sandbox: Sandbox) -> None:
    code = "text = open('in/data.csv').read()\nopen('out.txt', 'w').write(text.upper())\ntext"
    outcome = sandbox.run(code, files={"in/data.csv": "a,b\né"})
    assert value(outcome) == "a,b\né"
    assert dict(outcome.files) == {"out.txt": "A,B\nÉ".encode()}
    assert error(sandbox.run("open('in/data.csv')")).startswith("FileNotFoundError")
    assert sandbox.run("1").files == {}


def test_only_what_changed_comes_out(sandbox: Sandbox) -> None:
    code = """
import os
open('same', 'r+').write('as it was')
open('read').read()
open('longer', 'a').write('!')
os.rename('old', 'new')
os.unlink('gone')
os.mkdir('folder')
open('made', 'w').close()
"""
    given = {name: "as it was" for name in ("same", "read", "longer", "old", "gone")}
    outcome = sandbox.run(code, files=given)
    assert list(outcome.files.items()) == [("longer", b"as it was!"), ("made", b""), ("new", b"as it was")]


def test_what_comes_out_is_a_mapping_that_nobody_changes(sandbox: Sandbox) -> None:
    outcome = sandbox.run("for n in (2, 10, 1): open(f'f{n}', 'wb').write(bytes(n))")
    files = outcome.files
    assert isinstance(files, Mapping) and not hasattr(files, "__setitem__")
    assert list(files) == ["f1", "f10", "f2"] and len(files) == 3 and "f2" in files and "f3" not in files
    assert files == {"f1": b"\0", "f10": bytes(10), "f2": b"\0\0"}
    assert files.get("/f1") is None and files.get("\ud800") is None and files.get(3) is None  # type: ignore[call-overload]
    with pytest.raises(KeyError):
        files["f3"]
    again = pickle.loads(pickle.dumps(outcome))
    assert again == outcome and again.files == files and hash(again.files) == hash(files)
    assert pickle.loads(pickle.dumps(sandbox.run("1"))).files == {}
    assert "'f10': 10 bytes" in repr(files)


def test_files_are_there_also_when_a_run_is_stopped(sandbox: Sandbox) -> None:
    write = "with open('x', 'w') as f: f.write('so far')\n"
    strict = Sandbox(limits=Limits(timeout_ms=50))
    for runner, end, kind in (
        (sandbox, "1 / 0", "exception"),
        (sandbox, "import os\nos._exit(0)", "trap"),
        (strict, "while True: pass", "timeout"),
    ):
        outcome = runner.run(write + end)
        assert outcome.fault is not None and outcome.fault.kind == kind
        assert outcome.files == {"x": b"so far"}


def test_files_of_the_sandbox_are_there_each_time() -> None:
    sandbox = Sandbox(files={"a.txt": b"one", "b.txt": "two"})
    for _ in range(3):
        outcome = sandbox.run("text = open('a.txt').read()\nopen('a.txt', 'w').write('changed')\ntext")
        assert value(outcome) == "one" and outcome.files == {"a.txt": b"changed"}
    both = sandbox.run("open('a.txt').read() + open('b.txt').read()", files={"b.txt": "other"})
    assert value(both) == "oneother"
    again = pickle.loads(pickle.dumps(sandbox))
    assert value(again.run("open('b.txt').read()")) == "two"


def test_every_way_to_run_takes_files(sandbox: Sandbox) -> None:
    code, env, files = "open('x').read()", "def f(): return open('x').read()", {"x": "42"}

    async def later() -> list[Outcome]:
        return [await sandbox.arun(code, files=files), await sandbox.acall("f", {}, env, files=files)]

    outcomes = [
        sandbox.run(code, files=files),
        sandbox.call("f", {}, env, files=files),
        sandbox.start(code, files=files).result(timeout=30),
        *sandbox.run_batch([code] * 3, files=files),
        *sandbox.call_batch([("f", {})] * 3, env, files=files),
        *sandbox.stream([code] * 3, files=files),
        *asyncio.run(later()),
    ]
    assert [value(outcome) for outcome in outcomes] == ["42"] * 14


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/etc/x", "absolute"),
        ("", "empty"),
        ("../x", "'..'"),
        ("a/../x", "'..'"),
        ("./x", "'.'"),
        ("a//x", "empty parts"),
        ("a/", "empty parts"),
        ("a\\b", "divide its parts by '/'"),
        ("a\0b", "NUL"),
        ("x" * 256, "too long"),
        ("/".join("d" * 65), "too deep"),
        ("\ud800", "surrogate"),
        ("tmp", "place of a folder"),
    ],
)
def test_paths_that_are_none_are_refused(sandbox: Sandbox, path: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        sandbox.run("1", files={path: b""})
    with pytest.raises(InputError, match=says):
        Sandbox(files={path: b""})
    with sandbox.session() as session, pytest.raises(InputError, match=says):
        session.files[path] = b""


@pytest.mark.parametrize("files", [["x"], "x", {1: b""}, {"x": 1}, {"x": None}, {"x": ["a"]}])
def test_wrong_types_are_refused(sandbox: Sandbox, files: Any) -> None:
    with pytest.raises(TypeError):
        sandbox.run("1", files=files)
    with pytest.raises(TypeError):
        Sandbox(files=files)


def test_files_that_exclude_each_other_are_refused(sandbox: Sandbox) -> None:
    with pytest.raises(InputError, match="within a file"):
        sandbox.run("1", files={"a": b"", "a/b": b""})
    with pytest.raises(InputError, match="place of a folder"):
        Sandbox(files={"a/b": b""}).run("1", files={"a": b""})
    with pytest.raises(InputError, match="UTF-8"):
        sandbox.run("1", files={"a": "\ud800"})


NAMES = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=("Cs",)), min_size=1, max_size=20)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES.filter(lambda n: n not in (".", "..", "tmp")), st.binary(max_size=300), max_size=5))
def test_any_name_and_content_come_through(sandbox: Sandbox, files: dict[str, bytes]) -> None:
    copy = "import os\nnames = [n for n in os.listdir() if n != 'tmp']\nos.mkdir('to')\nfor n in names:\n"
    copy += "    open('to/' + n, 'wb').write(open(n, 'rb').read())\nlen(names)"
    outcome = sandbox.run(copy, files={f"{path}": content for path, content in files.items() if path != "to"})
    expected = {f"to/{path}": content for path, content in files.items() if path != "to"}
    assert value(outcome) == len(expected) and dict(outcome.files) == expected


# --- limits ------------------------------------------------------------------------------------------------------

FULL = """
import os
def fill():
    try:
        with open('big', 'wb', buffering=0) as f:
            while True: f.write(bytes(1000))
    except OSError as error:
        return [os.strerror(error.errno), os.stat('big').st_size]
fill()
"""


@pytest.mark.parametrize("kilobytes", [1, 64, 1024])
def test_the_room_is_exactly_what_was_given(kilobytes: int) -> None:
    sandbox = Sandbox(limits=Limits(files_kb=kilobytes))
    assert value(sandbox.run(FULL)) == ["No space left on device", 1024 * kilobytes - len("big")]


def test_what_was_put_there_costs_nothing() -> None:
    sandbox = Sandbox(limits=Limits(files_kb=4))
    given = {"big": bytes(100_000), "other": bytes(100_000)}
    code = FULL.replace("'wb'", "'ab'")
    assert value(sandbox.run(code, files=given)) == ["No space left on device", 100_000 + 4096]
    assert value(sandbox.run("import os\nos.unlink('other')\n" + code, files=given))[1] == 100_000 + 4096


def test_room_is_free_again_when_it_is_not_used() -> None:
    sandbox = Sandbox(limits=Limits(files_kb=8))
    code = """
import os
for _ in range(50):
    with open('a', 'wb') as f: f.write(bytes(8000))
    os.rename('a', 'b')
    os.unlink('b')
    with open('a', 'wb') as f: f.write(bytes(8000))
    os.truncate('a', 0)
    os.mkdir('d'); os.rmdir('d')
    os.unlink('a')
with open('last', 'wb') as f: f.write(bytes(8188))
"""
    assert len(sandbox.run(code).files["last"]) == 8188


def test_without_room_files_are_read_only() -> None:
    sandbox = Sandbox(limits=Limits(files_kb=0))
    code = """
import errno, os, shutil, tempfile
found = []
for call in (
    lambda: open('in', 'w'), lambda: open('in', 'a'), lambda: open('in', 'r+'), lambda: open('new', 'w'),
    lambda: os.mkdir('d'), lambda: os.unlink('in'), lambda: os.rename('in', 'out'), lambda: os.utime('in'),
    lambda: os.truncate('in', 0), lambda: os.rmdir('tmp'), lambda: tempfile.mkdtemp(dir='/tmp'),
):
    try:
        found.append(str(call()))
    except OSError as error:
        found.append(errno.errorcode[error.errno])
[sorted(set(found)), open('in').read(), os.listdir(), os.access('in', os.R_OK), os.access('in', os.W_OK)]
"""
    outcome = sandbox.run(code, files={"in": "text"})
    assert value(outcome) == [["EROFS"], "text", ["in", "tmp"], True, False]
    assert outcome.files == {}
    assert error(sandbox.run("import os\nos.listdir('/')")).startswith("FileNotFoundError")


@pytest.mark.parametrize("value_", [-1, 2**32, 2**20 + 1])
def test_impossible_room_is_refused(value_: int) -> None:
    with pytest.raises(InputError, match="files_kb"):
        Sandbox(limits=Limits(files_kb=value_))


def test_host_memory_does_not_follow_the_program() -> None:
    code = """
for n in range(300):
    f = open(f'{n % 3}', 'wb')
    for at in (1 << 62, 1 << 40, 1 << 31, 1 << 21, 900_000):
        try:
            f.seek(at); f.write(b'x'); f.flush()
        except OSError: pass
        try: f.truncate(at)
        except OSError: pass
"""
    sandbox = Sandbox()
    sandbox.run(code)
    before = _resident_kb()
    for _ in range(5):
        assert sandbox.run(code).fault is None
    assert _resident_kb() - before < 20_000


def _resident_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


# --- environments and kept outcomes --------------------------------------------------------------------------------


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_an_environment_finds_the_files_of_its_run(isolation: str) -> None:
    sandbox = Sandbox(isolation=isolation)
    env = "table = open('in').read()"
    for text in ("a", "a", "a", "b", "b", "a", "c"):
        assert value(sandbox.run("table + open('in').read()", env, files={"in": text})) == text * 2
    assert error(sandbox.run("table", env)).startswith("FileNotFoundError")


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_an_environment_that_reads_nothing_is_kept_for_all_files(isolation: str) -> None:
    sandbox = Sandbox(isolation=isolation, seed=77)
    env = "import random\ndef f(): return open('in').read()\nx = random.random()"
    states = []
    for number in range(6):
        assert value(sandbox.run("f()", env, files={"in": str(number)})) == str(number)
        states.append(sandbox.stats()["states"])
    assert states[1] == states[-1]
    assert error(sandbox.run("f()", env)).startswith("FileNotFoundError")


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_what_an_environment_writes_is_there_and_is_not_the_programs(isolation: str) -> None:
    sandbox = Sandbox(isolation=isolation)
    env = "import os\nopen('made', 'w').write('by env')\nhandle = open('made')\nos.mkdir('d')"
    for _ in range(4):
        outcome = sandbox.run("open('d/x', 'w').write(handle.read())", env)
        assert outcome.files == {"d/x": b"by env"}


def test_kept_outcomes_depend_on_the_files() -> None:
    sandbox = Sandbox(cache_mb=4)
    code = "text = open('in').read()\nopen('out', 'w').write(text * 2)\ntext"
    for text in ("a", "b", "a", "a"):
        outcome = sandbox.run(code, files={"in": text})
        assert value(outcome) == text and outcome.files == {"out": text.encode() * 2}
    first, again = (sandbox.run(code, files={"in": "a"}) for _ in range(2))
    assert first.wall_ms == again.wall_ms  # the kept one
    assert value(sandbox.run_batch([code], files={"in": "z"})[0]) == "z"
    assert error(sandbox.run(code)).startswith("FileNotFoundError")
    other = Sandbox(cache_mb=4, files={"in": "own"})
    assert value(other.run(code)) == "own" and value(other.run(code, files={"in": "x"})) == "x"


# --- sessions ------------------------------------------------------------------------------------------------------


def test_files_of_a_session_are_a_mapping(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        files = session.files
        assert len(files) == 0 and not files
        files["in.txt"] = "text"
        files["a/b.bin"] = b"\0\1"
        assert list(files) == ["a/b.bin", "in.txt"] and files["in.txt"] == b"text"
        assert value(session.run("open('in.txt').read() + str(len(open('a/b.bin', 'rb').read()))")) == "text2"
        outcome = session.run("open('out', 'w').write('made')\nopen('in.txt', 'a').write('!')")
        assert outcome.files == {"in.txt": b"text!", "out": b"made"}
        assert dict(files) == {"a/b.bin": b"\0\1", "in.txt": b"text!", "out": b"made"}
        assert session.run("1").files == {}
        del files["in.txt"]
        assert "in.txt" not in files and files.get("in.txt") is None and "/etc" not in files and 3 not in files
        for missing in ("in.txt", "a", "../x", "/out", "\ud800"):
            with pytest.raises(KeyError):
                files[missing]
            with pytest.raises(KeyError):
                del files[missing]
        files.update({"x": "1", "y": "2"})
        assert files.pop("x") == b"1" and sorted(files) == ["a/b.bin", "out", "y"]
        files.clear()
        assert dict(files) == {} and value(session.run("import os\nos.listdir()")) == ["a", "tmp"]


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_files_go_with_forks_and_saved_states(isolation: str) -> None:
    sandbox = Sandbox(isolation=isolation)
    with sandbox.session() as session:
        session.files["x"] = "start"
        session.run("handle = open('x', 'a')")
        state = session.save()
        branches = session.fork(3)
        for number, branch in enumerate(branches):
            branch.run(f"_ = handle.write('{number}'); handle.flush(); open('own', 'w').write('{number}')")
        session.run("import os\nos.unlink('x')")
        found = [dict(branch.files) for branch in branches]
        assert found == [{"own": str(n).encode(), "x": f"start{n}".encode()} for n in range(3)]
        assert dict(session.files) == {}
        session.restore(state)
        assert dict(session.files) == {"x": b"start"}
        assert session.run("import os\nos._exit(1)").fault is not None
        assert dict(session.files) == {"x": b"start"}  # what there was when it ended
        session.rebuild()
        assert value(session.run("handle.write('?')")) == 1
    with sandbox.restore(state) as other:
        assert dict(other.files) == {"x": b"start"}
        assert value(other.run("_ = handle.write('+'); handle.flush(); open('x').read()")) == "start+"
    with sandbox.session() as fresh:
        assert dict(fresh.files) == {}


def test_sessions_start_with_the_files_of_their_sandbox() -> None:
    sandbox = Sandbox(files={"a": "1"})
    with sandbox.session() as first, sandbox.session() as second:
        first.files["a"] = "changed"
        assert second.files["a"] == b"1" and value(first.run("open('a').read()")) == "changed"
        first.rebuild()
        assert dict(first.files) == {"a": b"1"}


def test_a_fork_copies_no_file() -> None:
    sandbox = Sandbox()
    with sandbox.session() as session:
        session.files["big"] = bytes(50 << 20)
        session.run("open('small', 'w').write('x')")
        before = _resident_kb()
        branches = session.fork(20)
        for branch in branches:
            assert value(branch.run("open('small', 'a').write('y')\nlen(open('big', 'rb').read(10))")) == 10
        assert _resident_kb() - before < 200_000  # 20 copies would be a gigabyte


def test_a_session_s_own_function_cannot_use_its_files() -> None:
    uses: dict[str, Callable[[Any], Any]] = {
        "read": lambda files: files["x"].decode(),
        "write": lambda files: files.update(x=b"2"),
        "remove": lambda files: files.pop("x"),
        "list": list,
        "count": len,
        "has": lambda files: "x" in files,
    }
    sandbox = Sandbox(functions={"use": lambda how: uses[how](files)}, limits=Limits(timeout_ms=3_000))
    with sandbox.session() as session:
        files = session.files
        files["x"] = b"1"
        for how in uses:
            outcome = session.run(f"use({how!r})")
            assert outcome.fault is not None
            assert "SandboxError: this session is in the midst of a step" in outcome.fault.message
        assert dict(files) == {"x": b"1"}


def test_a_closed_session_has_no_files(sandbox: Sandbox) -> None:
    session = sandbox.session()
    session.close()
    with pytest.raises(mentor.errors.SandboxError, match="closed"):
        session.files["x"] = "1"
    with pytest.raises(mentor.errors.SandboxError, match="closed"):
        len(session.files)


def test_nothing_reaches_the_host(sandbox: Sandbox, tmp_path: Path) -> None:
    mark = f"mentor-{os.getpid()}"
    sandbox.run(f"open('/tmp/{mark}', 'w').close()\nopen('{mark}', 'w').close()")
    assert not Path("/tmp", mark).exists() and not Path(mark).exists()
    inside = tmp_path / "secret"
    inside.write_text("canary")
    assert error(sandbox.run(f"open({str(inside)!r}).read()")).startswith("FileNotFoundError")
