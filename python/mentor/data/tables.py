"""Write rows or columns to a file whose ending says how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from mentor.data.atomic import atomic_file
from mentor.data.jsonl import check_readable, encode, write_jsonl
from mentor.errors import DataError, InputError

__all__ = ["TABLE_ENDINGS", "read_parquet", "write_table"]

TABLE_ENDINGS = (".jsonl", ".parquet")


_JSON_COLUMN = {b"mentor": b"json"}


def write_table(path: str | Path, data: Mapping[str, Iterable[Any]] | Iterable[Mapping[str, Any]]) -> int:
    """Write a table as JSON lines or Parquet, by the ending of the file's name; complete or not at all.

    In Parquet, a column that holds objects (a reference, messages, tool schemas) is stored as JSON text: Arrow would
    give all rows one struct, and fill each call's arguments with nulls under the names of the other tools' arguments.
    Numbers, texts, booleans and lists of them keep their types.

    Args:
        path: a name ending in ``.jsonl`` or ``.parquet``.
        data: columns (name -> values, all of one length; numpy arrays are fine) or an iterable of rows.

    Returns:
        The number of rows.

    Raises:
        InputError: unknown ending, columns of unequal length, a column whose values have no common type, or a text
            with half a surrogate pair.
        DataError: the folder is missing.

    Example:
        >>> import tempfile
        >>> write_table(Path(tempfile.mkdtemp(), "t.parquet"), {"step": [1, 2], "reward": [0.5, 0.75]})
        2
    """
    path = Path(path)
    ending = check_ending(path)
    if ending == ".jsonl":
        return write_jsonl(path, _as_rows(data) if isinstance(data, Mapping) else data)
    return _write_parquet(path, _listed(data) if isinstance(data, Mapping) else _as_columns(data))


def check_ending(path: Path) -> str:
    """The ending of a table's name, InputError when ``write_table`` does not know it: asked before long work."""
    ending = path.suffix.lower()
    if ending not in TABLE_ENDINGS:
        found = f"the ending {ending!r} is unknown" if ending else "the name has no ending"
        raise InputError(f"{path}: {found}; known are {', '.join(TABLE_ENDINGS)}")
    return ending


def _listed(columns: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    lists = {name: values.tolist() if hasattr(values, "tolist") else list(values) for name, values in columns.items()}
    sizes = {name: len(values) for name, values in lists.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"columns of unequal length: {', '.join(f'{name} {size}' for name, size in sizes.items())}")
    return lists


def _as_rows(columns: Mapping[str, Iterable[Any]]) -> Iterable[dict[str, Any]]:
    lists = _listed(columns)
    return (dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True))


def _as_columns(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    rows = list(rows)
    names = dict.fromkeys(chain.from_iterable(rows))
    return {name: [row.get(name) for row in rows] for name in names}


def _write_parquet(path: Path, columns: Mapping[str, Sequence[Any]]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = []
    fields = []
    for name, values in columns.items():
        encode({name: None}, f"column {name!r}")
        as_json = any(_holds_object(value) for value in values)
        if as_json:
            values = [
                None if value is None else encode(value, f"column {name}, row {row}").decode()
                for row, value in enumerate(values)
            ]
        try:
            array = pa.array(values)
        except UnicodeEncodeError:
            raise InputError(f"column {name}: half a surrogate pair in a text: no UTF-8") from None
        except (pa.ArrowException, OverflowError) as error:
            raise InputError(f"column {name}: the values have no common type: {error}") from None
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata=_JSON_COLUMN if as_json else None))
    table = pa.table(arrays, schema=pa.schema(fields))
    with atomic_file(path) as file:
        pq.write_table(table, file, compression="zstd")
    return int(table.num_rows)


def read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file in batches, with JSON columns of ``write_table`` decoded.

    What JSON does not have becomes what it has: bytes text, decimals numbers, times text, maps objects.

    Raises:
        DataError: the file is missing or no Parquet.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "t.parquet")
        >>> _ = write_table(file, [{"reference": {"answer": "4"}}])
        >>> list(read_parquet(file))
        [{'reference': {'answer': '4'}}]
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_readable(path)
    try:
        with pq.ParquetFile(path) as file:
            odd = [field.name for field in file.schema_arrow if not _is_plain(field.type)]
            encoded = [field.name for field in file.schema_arrow if (field.metadata or {}).get(b"mentor") == b"json"]
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    row |= {name: _plain(row[name]) for name in odd}
                    yield row | {name: orjson.loads(row[name]) for name in encoded if row[name] is not None}
    except (pa.ArrowException, OSError, ValueError) as error:  # damaged pages, footers, JSON, UTF-8
        raise DataError(f"{path}: no readable Parquet file: {error}") from None


def _is_plain(kind: Any) -> bool:
    """Whether the values of an Arrow type are those of JSON."""
    from pyarrow import types

    if types.is_struct(kind) or types.is_list(kind) or types.is_large_list(kind):
        return all(_is_plain(kind.field(at).type) for at in range(kind.num_fields))
    text = types.is_string(kind) or types.is_large_string(kind)
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    return bool(text or number or types.is_null(kind))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        pairs = bool(value) and all(isinstance(one, tuple) for one in value)
        return {str(key): _plain(inner) for key, inner in value} if pairs else [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value if isinstance(value, str | int | float | None) else str(value)


def _holds_object(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list | tuple) and any(map(_holds_object, value)))
