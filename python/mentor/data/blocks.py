"""Large JSON lines files in blocks of whole lines: plain, compressed, or from standard input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mentor.data import jsonl
from mentor.errors import DataError

__all__ = ["COMPRESSIONS", "STDIN", "Block", "line_blocks"]

STDIN = Path("-")
COMPRESSIONS: dict[str, Literal["gzip", "zstd"]] = {".gz": "gzip", ".zst": "zstd"}
BLOCK = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Block:
    """Some lines of a file, one after the other.

    Attributes:
        first: The number of the first line, from 1.
        lines: The lines, without their newlines; ``None`` for one longer than ``MAX_LINE_MB``.
        size: Bytes of the file, compressed if it is, that were read for this block; all blocks' make the file's size.
        cut: Whether the last line had no newline.
    """

    first: int
    lines: list[bytes | None]
    size: int
    cut: bool = False


def line_blocks(path: Path, block_bytes: int = BLOCK) -> Iterator[Block]:
    r"""Yield the lines of a file in blocks of about ``block_bytes``, with one block in memory at a time.

    Args:
        path: a file of lines, one that ends in ``.gz`` or ``.zst`` and is compressed so, or ``-``, standard input.
        block_bytes: how much is read at a time; a longer line is put together of several reads.

    Raises:
        DataError: the file is missing, a folder, unreadable, or not compressed as its name says.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "rows.jsonl")
        >>> _ = file.write_text('{"a": 1}\n{"a": 2}\n')
        >>> [(block.first, block.lines, block.size) for block in line_blocks(file)]
        [(1, [b'{"a": 1}', b'{"a": 2}'], 18)]
    """
    with _opened(path) as (read, position):
        done = 0
        for first, lines, cut in _lines(read, block_bytes):
            yield Block(first, lines, position() - done, cut)
            done = position()


def _lines(read: Callable[[int], bytes], block_bytes: int) -> Iterator[tuple[int, list[bytes | None], bool]]:
    limit = jsonl.MAX_LINE_MB * 1_000_000
    block_bytes = min(block_bytes, limit)  # only a line that is put together can be too long
    number = 1
    pieces: list[bytes] = []  # of a line whose end has not been read
    held = 0  # their bytes; those of a line that is too long are counted, not kept
    while data := read(block_bytes):
        head, newline, tail = data.rpartition(b"\n")
        if not newline:
            held += len(tail)
            pieces.append(tail)
            if held > limit:
                pieces.clear()
            continue
        lines: list[bytes | None] = [*b"".join((*pieces, head)).split(b"\n")]
        _finish_first(lines, number, held > limit, limit)
        yield number, lines, False
        number += len(lines)
        pieces, held = [tail], len(tail)
    if held:
        lines = [b"".join(pieces)]
        _finish_first(lines, number, held > limit, limit)
        yield number, lines, True


def _finish_first(lines: list[bytes | None], number: int, too_long: bool, limit: int) -> None:
    first = lines[0] or b""
    if too_long or len(first) > limit:
        lines[0] = None
    elif number == 1:
        lines[0] = first.removeprefix(jsonl.BOM)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Callable[[int], bytes], Callable[[], int]]]:
    """How to read a file's bytes, and how many of them have been read."""
    compression = COMPRESSIONS.get(path.suffix.lower())
    if path != STDIN:
        jsonl.check_readable(path)
    with ExitStack() as stack:
        try:
            # Not sys.stdin: a thread that waits in its lock would be in the way when the process ends.
            file = open(0, "rb", closefd=False) if path == STDIN else path.open("rb")  # noqa: SIM115
        except OSError as error:
            raise DataError(f"{path}: cannot be opened: {error.strerror}") from error
        stack.enter_context(file)
        if compression is None:
            count = [0]

            def read(size: int) -> bytes:
                data = file.read(size)
                count[0] += len(data)
                return data

            yield read, lambda: count[0]
        else:
            import pyarrow as pa

            stream = stack.enter_context(pa.CompressedInputStream(pa.PythonFile(file, mode="r"), compression))

            def decompress(size: int) -> bytes:
                try:
                    data: bytes = stream.read(size)
                except (pa.ArrowException, OSError) as error:
                    raise DataError(f"{path}: cannot be decompressed as {compression}: {error}") from None
                return data

            yield decompress, file.tell
