"""Files that appear under their name only when complete."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mentor.errors import DataError

__all__ = ["atomic_file"]


@contextmanager
def atomic_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a temporary neighbour of ``path`` and rename it to ``path`` when the block ends well.

    After an exception, Ctrl-C or a full disk the temporary file is removed and what was at ``path`` before is as it
    was. A symbolic link is followed; a pipe or a device (``/dev/stdout``) is written directly.

    Raises:
        DataError: the folder of ``path`` does not exist, or ``path`` is a folder.
        OSError: the file system refuses.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "note.txt")
        >>> with atomic_file(file) as out:
        ...     _ = out.write(b"complete")
        >>> file.read_text()
        'complete'
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise DataError(f"{path}: this is a folder, a file name is wanted")
    if not target.parent.is_dir():
        raise DataError(f"{path}: the folder {target.parent} does not exist; create it first")
    if target.exists() and not target.is_file():
        with target.open("wb") as device:
            yield device
        return
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
