"""Attacks on the compiled guest on disk: loading it means trusting it, so nothing damaged, foreign or open is loaded.

Each case runs in a new process. One compiled guest serves all of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # most cases compile the guest

#: Says what the program gives, and whether the guest had to be compiled.
SCRIPT = """
import logging, mentor, time
logging.basicConfig(format="%(name)s: %(message)s")
started = time.perf_counter()
outcome = mentor.Sandbox().run("print('x')\\n6 * 7")
print(outcome.value, outcome.stdout.strip(), time.perf_counter() - started < 1.5)  # else compiled
"""


def start(folder: Path) -> tuple[str, str]:
    """What a new process with this cache folder prints, and what it logs."""
    environment = {**os.environ, "MENTOR_CACHE_DIR": str(folder)}
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, timeout=200
    )
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the compiled guest, made by a process of its own."""
    folder = tmp_path_factory.mktemp("compiled") / "cache"
    assert start(folder)[0].startswith("42 x")
    return folder


@pytest.fixture
def folder(compiled: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    copy = tmp_path / "cache"
    shutil.copytree(compiled, copy)
    copy.chmod(0o700)
    return copy


def the_file(folder: Path, kind: str = "cwasm") -> Path:
    """The compiled guest, or the ``image`` of its memory."""
    (file,) = folder.glob(f"guest-*.{kind}")
    return file


def test_the_whole_file_is_loaded(folder: Path) -> None:
    content = the_file(folder).read_bytes()
    out, log = start(folder)
    assert out.startswith("42 x")
    assert "compiling" not in log
    assert the_file(folder).read_bytes() == content


def flip(at: float) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[min(int(len(content) * at), len(content) - 1)] ^= 1
        file.write_bytes(content)

    return damage


def cut(to: float) -> Callable[[Path], None]:
    return lambda file: os.truncate(file, int(file.stat().st_size * to))


def write(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def rename(file: Path) -> None:
    file.rename(file.with_name("other-" + "0" * 24 + file.suffix))


def replace_by_link_to_nowhere(file: Path) -> None:
    file.unlink()
    file.symlink_to("/nonexistent/x")


def replace_by_folder(file: Path) -> None:
    file.unlink()
    file.mkdir(mode=0o700)
    (file / "x").write_text("x")


def replace_by_link(file: Path) -> None:
    elsewhere = file.parent.parent / "elsewhere.cwasm"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


def replace_by_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "first-bit": flip(0.0),
    "a-bit-of-code": flip(0.5),
    "a-bit-of-the-digest": flip(1.0),
    "empty": cut(0.0),
    "half": cut(0.5),
    "one-byte-short": lambda file: os.truncate(file, file.stat().st_size - 1),
    "one-byte-more": lambda file: write(file, file.read_bytes() + b"x"),
    "zeros": lambda file: write(file, bytes(file.stat().st_size)),
    "shared-library": lambda file: write(file, b"\x7fELF" + bytes(5_000_000)),
    "mode-of-the-file": lambda file: file.chmod(0o666),
    "mode-of-the-folder": lambda file: file.parent.chmod(0o777),
    "group-may-write": lambda file: file.chmod(0o620),
    "folder-in-place-of-it": replace_by_folder,
    "link": replace_by_link,
    "link-to-nowhere": replace_by_link_to_nowhere,
    "pipe": replace_by_pipe,
    "foreign-build": rename,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_not_loaded(folder: Path, damage: str) -> None:
    DAMAGES[damage](the_file(folder))
    out, _ = start(folder)
    assert out == "42 x False\n"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_image_is_not_used(folder: Path, damage: str) -> None:
    """The master image is made again, the same as before."""
    image = the_file(folder, "image")
    content = image.read_bytes()
    DAMAGES[damage](image)
    out, _ = start(folder)
    assert out.startswith("42 x")
    if damage not in ("mode-of-the-folder", "folder-in-place-of-it"):
        assert the_file(folder, "image").read_bytes() == content


def test_two_files_that_changed_places(folder: Path) -> None:
    """The guest that counts fuel under the other's name."""
    environment = {**os.environ, "MENTOR_CACHE_DIR": str(folder)}
    plain = the_file(folder)
    script = "import mentor\nassert mentor.Sandbox(limits=mentor.Limits(fuel=10**10)).run('1').ok"
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, timeout=90)
    (metered,) = (file for file in folder.glob("*.cwasm") if file != plain)
    middle = folder / "middle"
    plain.rename(middle)
    metered.rename(plain)
    middle.rename(metered)
    out, _ = start(folder)
    assert out.startswith("42 x")


def test_a_cache_on_which_many_start_at_once(tmp_path: Path) -> None:
    environment = {**os.environ, "MENTOR_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", SCRIPT]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(3)]
    for process in processes:
        assert process.communicate(timeout=300)[0].startswith("42 x")
    names = [path.name for path in (tmp_path / "cache").iterdir()]
    assert len([name for name in names if name.endswith(".cwasm")]) == 1
    assert not [name for name in names if name.startswith(".tmp")]


@pytest.mark.parametrize("folder_name", ["/proc/mentor", "/dev/null/cache", "\udcff"])
def test_folders_that_cannot_be_made(tmp_path: Path, folder_name: str) -> None:
    if folder_name.startswith("\udcff"):
        folder_name = str(tmp_path / folder_name)
    out, _ = start(Path(folder_name))
    assert out.startswith("42 x")
