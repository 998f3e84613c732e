"""Read and write JSON lines: streaming, and with errors that name the file, the line and the byte."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import orjson

from mentor.data.atomic import atomic_file
from mentor.errors import DataError, InputError

__all__ = ["MAX_LINE_MB", "BadLine", "OnError", "Skipped", "read_jsonl", "write_jsonl"]

OnError = Literal["stop", "skip"]

MAX_LINE_MB = 64
"""A longer line is an error: it bounds the memory that a damaged file can take."""

BOM = b"\xef\xbb\xbf"
# What a cut number, literal or separator leaves behind the place where the parser gave up.
_TAIL = re.compile(rb"[\w.+-]*|[\]}:,]")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_OTHER = {
    b"\x1f\x8b": "is compressed (gzip); unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed (zstd); unpack it first",
    b"PK\x03\x04": "is a zip archive; unpack it first",
    b"PAR1": "is Parquet; give it a name that ends in .parquet",
}


@dataclass(frozen=True)
class BadLine:
    """One unreadable row: ``str(bad)`` is ``FILE:LINE: what is wrong``, ``line`` counts from 1."""

    path: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


class Skipped:
    """What to do with bad rows: stop at the first, or count them, tell the caller and go on.

    Without a callback the count is reported once, at the end, as a ``UserWarning``: bad rows never vanish in silence.
    """

    def __init__(self, path: Path, on_error: OnError, on_bad: Callable[[BadLine], None] | None) -> None:
        if on_error not in ("stop", "skip"):
            raise InputError(f'on_error: "stop" or "skip" is wanted, found {on_error!r}')
        self._path, self._stop, self._on_bad = path, on_error == "stop", on_bad
        self._count, self._first = 0, ""

    def add(self, bad: BadLine, cause: Exception | None = None) -> None:
        """Raise (``stop``) or count and report (``skip``) one bad row."""
        if self._stop:
            raise DataError(str(bad)) from cause
        self._count += 1
        self._first = self._first or str(bad)
        if self._on_bad is not None:
            self._on_bad(bad)

    def close(self) -> None:
        """Say how many rows were left out, where nobody listened while it happened."""
        if self._count and self._on_bad is None:
            rows = "1 row" if self._count == 1 else f"{self._count} rows"
            warnings.warn(f"{self._path}: {rows} left out; the first: {self._first}", stacklevel=3)


def read_jsonl(
    path: str | Path,
    *,
    on_error: OnError = "stop",
    on_bad: Callable[[BadLine], None] | None = None,
    progress: Callable[[int], None] | None = None,
    lenient: bool = False,
) -> Iterator[tuple[int, dict[str, Any]]]:
    r"""Yield ``(line number, object)`` for each line of a JSON lines file, one line in memory at a time.

    A byte order mark, CRLF line ends, empty lines and a last line without newline are all fine. Half-written JSON,
    NUL bytes, bytes that are not UTF-8, a line that holds no object and a line above ``MAX_LINE_MB`` are bad lines.

    Args:
        path: the file.
        on_error: ``stop`` raises at the first bad line; ``skip`` leaves bad lines out and goes on.
        on_bad: with ``skip``, called with each ``BadLine``; without it one warning at the end gives their number.
        progress: called with the number of bytes read since the last call; together they make the file's size.
        lenient: also accept what Python's ``json`` writes though it is no JSON: NaN, Infinity, lone surrogates.

    Returns:
        An iterator of line numbers (from 1) and objects. The file is opened at the first ``next``.

    Raises:
        DataError: the file is missing, a folder or unreadable, or, with ``stop``, a line is bad.
        InputError: ``on_error`` is neither ``stop`` nor ``skip``.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp(), "rows.jsonl")
        >>> _ = file.write_text('{"a": 1}\n\n{"a": 2}\n')
        >>> list(read_jsonl(file))
        [(1, {'a': 1}), (3, {'a': 2})]
    """
    path = Path(path)
    skipped = Skipped(path, on_error, on_bad)
    check_readable(path)
    return _rows(path, skipped, progress, lenient)


def check_readable(path: Path) -> None:
    """Raise DataError, with the way out, when there is no file at ``path``."""
    if path.is_dir():
        raise DataError(f"{path}: this is a folder, a file is wanted")
    if not path.exists():
        raise DataError(f"{path}: no such file")


def _rows(
    path: Path, skipped: Skipped, progress: Callable[[int], None] | None, lenient: bool
) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from error
    with file:
        for number, line, size in _lines(file):
            if progress is not None:
                progress(size)
            if number == 1 and line is not None:
                for start, what in _OTHER.items():
                    if line.startswith(start):
                        raise DataError(f"{path}: the file {what}")
            if line is not None and not line.strip(b" \t\r\n"):
                continue
            try:
                row = parse_line(line, lenient)
            except Unreadable as error:
                last = line is not None and not line.endswith(b"\n")
                skipped.add(BadLine(str(path), number, error.reason(last)))
                continue
            yield number, row
    skipped.close()


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None, int]]:
    """Number, bytes and size of each line; None for the bytes of a line that is too long."""
    limit = MAX_LINE_MB * 1_000_000
    number = 0
    while line := file.readline(limit):
        number += 1
        if number == 1:
            line, size = line.removeprefix(BOM), len(line)
        else:
            size = len(line)
        if len(line) < limit or line.endswith(b"\n"):
            yield number, line, size
            continue
        while rest := file.readline(limit):
            size += len(rest)
            if rest.endswith(b"\n"):
                break
        yield number, None, size


class Unreadable(Exception):
    """A line that holds no JSON object; the text says why."""

    def __init__(self, message: str, *, half_written: bool = False) -> None:
        super().__init__(message)
        self.half_written = half_written

    def reason(self, last: bool) -> str:
        """The text, with a guess at the cause where this is the ``last`` line and has no newline."""
        return f"{self}; the last line of an interrupted write?" if last and self.half_written else str(self)


def parse_line(line: bytes | None, lenient: bool = False) -> dict[str, Any]:
    """The object of one line, ``None`` standing for a line that is too long; raises Unreadable."""
    if line is None:
        raise Unreadable(f"the line is longer than {MAX_LINE_MB} MB")
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        row = _parse_python(line) if lenient else None
        if row is None:
            raise _explain(line, error) from None
    if not isinstance(row, dict):
        raise Unreadable(f"an object is wanted, found {json_type(row)}")
    return row


def _parse_python(line: bytes) -> Any:
    """The standard library's reading of a line, None where that fails as well."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _explain(line: bytes, error: orjson.JSONDecodeError) -> Unreadable:
    """Say in a sentence, with a byte counted from 0, what is wrong with a line that orjson refuses."""
    if line.startswith(_UTF16):
        return Unreadable("the file is UTF-16; save it as UTF-8")
    nul = line.find(b"\0")
    if nul >= 0:
        return Unreadable(f"a NUL byte at byte {nul}; was the file damaged by a crash?")
    try:
        line.decode()
    except UnicodeDecodeError as bad:
        return Unreadable(f"not UTF-8 at byte {bad.start} (0x{line[bad.start]:02x})")
    text = line.rstrip(b" \t\r\n")
    where = _open_at_end(text)
    byte = len(error.doc[: error.pos].encode("utf-8", "surrogatepass"))
    if where is not None and ("a string" in where or _TAIL.fullmatch(text[byte:])):
        return Unreadable(f"half-written JSON: the line ends {where}", half_written=True)
    return Unreadable(f"not JSON at byte {byte}: {error.msg}")


def _open_at_end(text: bytes) -> str | None:
    """What is still open where the text ends, None when everything is closed."""
    stack: list[tuple[str, int]] = []
    string = -1
    escaped = False
    for index, byte in enumerate(text):
        if string >= 0:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                string = -1
        elif byte == 0x22:
            string = index
        elif byte in b"{[":
            stack.append(("an object" if byte == 0x7B else "a list", index))
        elif byte in b"}]" and stack:
            stack.pop()
    if string >= 0:
        return f"inside a string at byte {len(text)} (it starts at byte {string})"
    if stack:
        kind, start = stack[-1]
        return f"inside {kind} at byte {len(text)} (it starts at byte {start})"
    return None


def json_type(value: Any) -> str:
    """The JSON name of a value's type, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, float) and math.isnan(value):
        return "NaN"  # an empty cell of a table
    names = {dict: "an object", list: "a list", tuple: "a list", str: "a string", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write one JSON object per line; the file appears under its name only when it is complete.

    Args:
        path: the file to write or to replace.
        rows: mappings of JSON types; numpy numbers and arrays are fine. Consumed one at a time.

    Returns:
        The number of rows written.

    Raises:
        InputError: a row holds something that is no JSON; the message names the row, counted from 0.
        DataError: the folder is missing.
        OSError: the disk is full or refuses; no half file is left.

    Example:
        >>> import pathlib, tempfile
        >>> write_jsonl(pathlib.Path(tempfile.mkdtemp(), "rows.jsonl"), [{"a": 1}, {"a": 2}])
        2
    """
    count = 0
    with atomic_file(path) as file:
        for count, row in enumerate(rows, start=1):
            file.write(encode(row, f"row {count - 1}"))
            file.write(b"\n")
    return count


def encode(value: Any, where: str) -> bytes:
    """JSON bytes of a value, InputError naming ``where`` when there are none."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        raise InputError(f"{where}: {error}") from None
