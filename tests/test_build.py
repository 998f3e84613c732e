"""The build says in one line what is missing, and a source archive holds what a build needs."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def missing(path: Path) -> list[str]:
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'build_backend')!r})\n"
    code += "import mentor_build; print(*mentor_build.missing_tools(), sep='\\n')"
    # -I -S: not even the packages of this environment, so that componentize-py is missing too
    code = f"import sys; sys.path.append({maturin_home()!r})\n" + code
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": str(path)})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def maturin_home() -> str:
    import maturin

    home = Path(maturin.__file__).parent
    alone = ROOT / "target" / "test-maturin"
    alone.mkdir(parents=True, exist_ok=True)
    link = alone / "maturin"
    if not link.exists():
        link.symlink_to(home)
    return str(alone)


def test_every_missing_tool_is_one_line(tmp_path: Path) -> None:
    assert missing(tmp_path) == [
        "mentor-rs: no Rust toolchain (cargo) found; install Rust 1.95 or newer with rustup",
        "mentor-rs: no C compiler (cc) found; install gcc or clang (Debian: build-essential)",
        "mentor-rs: componentize-py not found; `pip install componentize-py==0.25.1`, "
        "or set MENTOR_GUEST to a prebuilt guest",
    ]


@pytest.mark.parametrize("tool", ["cargo", "cc", "componentize-py"])
def test_tools_that_are_there_are_not_asked_for(tmp_path: Path, tool: str) -> None:
    program = tmp_path / tool
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert len(missing(tmp_path)) == 2


def test_the_makefile_says_it_too(tmp_path: Path) -> None:
    for tool in ("sh", "find", "python3"):
        (tmp_path / tool).symlink_to(f"/bin/{tool}" if tool != "python3" else sys.executable)
    env = {"PATH": str(tmp_path)}
    done = subprocess.run(["/usr/bin/make", "tools"], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        "mentor-rs: no Rust toolchain (cargo) found; install Rust 1.95 or newer with rustup"
    )


def test_the_source_archive_is_complete(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "maturin", "sdist", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.split("/", 1)[1] for name in tar.getnames()}
    wanted = {
        "Cargo.toml",
        "Cargo.lock",
        "LICENSE",
        "README.md",
        "build.rs",
        "build_backend/mentor_build.py",
        "pyproject.toml",
        "python/mentor/__init__.py",
        "python/mentor/py.typed",
        "src/lib.rs",
    }
    assert wanted <= names
    assert any(name.startswith("guest/") for name in names)
    assert not [name for name in names if name.endswith((".so", ".pyc"))]


def test_training_without_the_extra_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "jsonargparse.py").write_text("raise ModuleNotFoundError(\"No module named 'jsonargparse'\")\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "mentor.train"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    message = "error: training needs the extra: pip install 'mentor-rs[train]' (No module named 'jsonargparse')\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
