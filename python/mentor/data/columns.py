"""Tables written column by column, a part at a time, to a file whose ending says how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias

import orjson

from mentor.data.atomic import atomic_file
from mentor.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["COLUMN_ENDINGS", "Columns", "Kind", "column_writer", "known_ending"]

Kind = Literal["integer", "number", "text", "texts"]
Columns: TypeAlias = "Mapping[str, Sequence[Any] | NDArray[Any]]"

COLUMN_ENDINGS = (".jsonl", ".parquet", ".csv")
GROUP_ROWS = 1 << 14
GROUP_BYTES = 16 << 20
BETWEEN_TEXTS = ";"


@contextmanager
def column_writer(path: str | Path, kinds: Mapping[str, Kind]) -> Iterator[Callable[[Columns], None]]:
    """Give a function that writes some rows; the file appears under its name, complete, when the block ends well.

    Memory is that of the rows handed over last, and for Parquet of one row group. In CSV, a list of texts is one field
    with semicolons between; an empty field is null, a quoted empty one the empty text.

    Args:
        path: a name ending in ``.jsonl``, ``.parquet`` or ``.csv``.
        kinds: the columns' names and kinds: ``integer``, ``number``, ``text``, or ``texts`` (lists of them).

    Raises:
        InputError: unknown ending.
        DataError: the folder is missing.
        OSError: the disk is full or refuses; no half file is left.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "t.csv")
        >>> with column_writer(file, {"line": "integer", "defects": "texts"}) as write:
        ...     write({"line": [1, 2], "defects": [[], ["no_answer", "not_finished"]]})
        >>> print(file.read_text(), end="")
        "line","defects"
        1,""
        2,"no_answer;not_finished"
    """
    path = Path(path)
    opened = {".jsonl": _jsonl, ".parquet": _parquet, ".csv": _csv}[known_ending(path)]
    with atomic_file(path) as file, opened(file, kinds) as write:
        yield write


def known_ending(path: Path) -> str:
    """The ending of a table's name, InputError when ``column_writer`` does not know it: asked before long work."""
    ending = path.suffix.lower()
    if ending not in COLUMN_ENDINGS:
        found = f"the ending {ending!r} is unknown" if ending else "the name has no ending"
        raise InputError(f"{path}: {found}; known are {', '.join(COLUMN_ENDINGS)}")
    return ending


@contextmanager
def _jsonl(file: BinaryIO, kinds: Mapping[str, Kind]) -> Iterator[Callable[[Columns], None]]:
    keys = (orjson.dumps(name).replace(b"%", b"%%") + b":%b" for name in kinds)
    line = b"{" + b",".join(keys) + b"}\n"

    def write(columns: Columns) -> None:
        texts = [_json_texts(columns[name], kind) for name, kind in kinds.items()]
        file.write(b"".join([line % row for row in zip(*texts, strict=True)]))

    yield write


def _json_texts(values: Sequence[Any] | NDArray[Any], kind: Kind) -> Sequence[bytes]:
    if kind == "texts":
        lists = [*map(tuple, values)]
        known = {texts: orjson.dumps(texts) for texts in set(lists)}
        return [known[texts] for texts in lists]
    # All in one go, each in a line of its own: in JSON a newline is never part of a value.
    lines = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_INDENT_2)
    return lines[len("[\n  ") : -len("\n]")].split(b",\n  ") if len(values) else []


@contextmanager
def _parquet(file: BinaryIO, kinds: Mapping[str, Kind]) -> Iterator[Callable[[Columns], None]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(kinds)
    waiting: list[pa.RecordBatch] = []
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:

        def flush() -> None:
            writer.write_table(pa.Table.from_batches(waiting, schema))
            waiting.clear()

        def write(columns: Columns) -> None:
            waiting.append(_record_batch(columns, schema))
            rows, size = sum(part.num_rows for part in waiting), sum(part.nbytes for part in waiting)
            if rows >= GROUP_ROWS or size >= GROUP_BYTES:
                flush()

        yield write
        if waiting:
            flush()


@contextmanager
def _csv(file: BinaryIO, kinds: Mapping[str, Kind]) -> Iterator[Callable[[Columns], None]]:
    import pyarrow.csv as pc

    schema = _schema({name: "text" if kind == "texts" else kind for name, kind in kinds.items()})
    lists = [name for name, kind in kinds.items() if kind == "texts"]
    with pc.CSVWriter(file, schema) as writer:

        def write(columns: Columns) -> None:
            joined = {name: [*map(BETWEEN_TEXTS.join, columns[name])] for name in lists}
            writer.write_batch(_record_batch({**columns, **joined}, schema))

        yield write


def _schema(kinds: Mapping[str, Kind]) -> pa.Schema:
    import pyarrow as pa

    types: dict[Kind, pa.DataType] = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string()}
    types["texts"] = pa.list_(pa.string())
    return pa.schema([(name, types[kind]) for name, kind in kinds.items()])


def _record_batch(columns: Columns, schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.record_batch([pa.array(columns[field.name], field.type) for field in schema], schema=schema)
