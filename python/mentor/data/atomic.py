"""Files that appear under their name only when complete."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mentor.errors import DataError

__all__ = ["atomic_file", "check_place"]


@contextmanager
def atomic_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a temporary neighbour of ``path`` and rename it to ``path`` when the block ends well.

    After an exception, Ctrl-C or a full disk the temporary file is removed and what was at ``path`` before is as it
    was. A symbolic link is followed; a pipe or a device (``/dev/stdout``) is written directly.

    Raises:
        DataError: the folder of ``path`` does not exist or takes no file, or ``path`` is a folder.
        OSError: the file system refuses what is written, as a full disk does.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "note.txt")
        >>> with atomic_file(file) as out:
        ...     _ = out.write(b"complete")
        >>> file.read_text()
        'complete'
    """
    target = _target(path)
    if _is_device(target):
        with target.open("wb") as device:
            yield device
        return
    temporary, file = _neighbour(path, target)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _rename(temporary, target, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def check_place(path: str | Path) -> None:
    """Check that a file can be made at ``path``, before the work that is to fill it.

    Raises:
        DataError: the folder of ``path`` does not exist or takes no file, or ``path`` is a folder.

    Example:
        >>> check_place("nowhere/scores.jsonl")
        Traceback (most recent call last):
        mentor.errors.DataError: nowhere/scores.jsonl: the folder ... does not exist; create it first
    """
    target = _target(path)
    if not _is_device(target):
        temporary, file = _neighbour(path, target)
        file.close()
        temporary.unlink()


def _target(path: str | Path) -> Path:
    """Where a file comes to lie, links followed."""
    target = Path(os.path.realpath(path))
    try:
        is_folder = target.is_dir()
    except OSError as error:  # such as a name that is too long
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    if is_folder:
        raise DataError(f"{path}: this is a folder, a file name is wanted")
    if not target.parent.is_dir():
        raise DataError(f"{path}: the folder {target.parent} does not exist; create it first")
    return target


def _is_device(target: Path) -> bool:
    return target.exists() and not target.is_file()


def _neighbour(path: str | Path, target: Path) -> tuple[Path, BinaryIO]:
    """A new file beside the target; errors name what the user named, not this one."""
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        return temporary, temporary.open("xb")
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path}: cannot be written: the folder {target.parent} takes no file: {reason}") from error


def _rename(temporary: Path, target: Path, path: str | Path) -> None:
    try:
        temporary.replace(target)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
