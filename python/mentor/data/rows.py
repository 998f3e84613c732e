"""Rows of a file in any of the shapes that data sets come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from mentor.data.jsonl import BOM, BadLine, OnError, Skipped, check_readable, json_type, read_jsonl
from mentor.data.tables import read_parquet
from mentor.errors import DataError

__all__ = ["count_rows", "read_rows"]

MAX_LIST_MB = 2_000
"""A JSON list is read in one piece: a longer file has to be JSON lines or Parquet."""


def read_rows(
    path: str | Path,
    *,
    on_error: OnError = "stop",
    on_bad: Callable[[BadLine], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(number, object)`` of JSON lines, of one JSON list of objects, or of Parquet (by the name's ending).

    Numbers count from 1: lines of JSON lines, else rows.

    Args:
        path: the file.
        on_error: ``stop`` raises at the first row that is unreadable or no object; ``skip`` leaves such rows out.
        on_bad: with ``skip``, called with each of them.
        progress: called with the number of bytes (Parquet: rows) read since the last call.

    Raises:
        DataError: the file cannot be read, or, with ``stop``, one of its rows.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "rows.json")
        >>> _ = file.write_text('[{"a": 1}, {"a": 2}]')
        >>> list(read_rows(file))
        [(1, {'a': 1}), (2, {'a': 2})]
    """
    path = Path(path)
    check_readable(path)
    if path.suffix.lower() == ".parquet":
        return _counted(enumerate(read_parquet(path), start=1), progress)
    if _is_list(path):
        return _listed(path, Skipped(path, on_error, on_bad), progress)
    return read_jsonl(path, on_error=on_error, on_bad=on_bad, progress=progress)


def count_rows(path: str | Path) -> int | None:
    """How many rows ``read_rows`` would give at most, for a progress bar; None for a pipe, which is read only once."""
    path = Path(path)
    check_readable(path)
    if not path.is_file():
        return None
    if path.suffix.lower() == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return int(pq.read_metadata(path).num_rows)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(f"{path}: no readable Parquet file: {error}") from None
    if _is_list(path):
        return len(_read_list(path))
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _counted(
    rows: Iterator[tuple[int, dict[str, Any]]], progress: Callable[[int], None] | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    for row in rows:
        if progress is not None:
            progress(1)
        yield row


def _is_list(path: Path) -> bool:
    if not path.is_file():
        return False  # a pipe: what is read here would be missing there
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from error
    return start.removeprefix(BOM).lstrip()[:1] == b"["


def _read_list(path: Path) -> list[Any]:
    if path.stat().st_size > MAX_LIST_MB * 1_000_000:
        raise DataError(f"{path}: a JSON list of more than {MAX_LIST_MB} MB; write it as JSON lines or Parquet")
    data = path.read_bytes().removeprefix(BOM)
    try:
        rows: list[Any] = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        byte = len(error.doc[: error.pos].encode("utf-8", "surrogatepass")) if isinstance(error.doc, str) else error.pos
        raise DataError(f"{path}: not JSON at byte {byte}: {error.msg}") from None
    return rows


def _listed(
    path: Path, skipped: Skipped, progress: Callable[[int], None] | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = _read_list(path)
    share, rest = divmod(path.stat().st_size, max(len(rows), 1))
    for number, row in enumerate(rows, start=1):
        if progress is not None:
            progress(share + (rest if number == len(rows) else 0))
        if isinstance(row, dict):
            yield number, row
        else:
            skipped.add(BadLine(str(path), number, f"an object is wanted, found {json_type(row)}"))
    skipped.close()
