"""What ``mentor score`` reads: the rows of a file, as columns that can be scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from mentor.data import BadLine
from mentor.data.blocks import line_blocks
from mentor.data.jsonl import Unreadable, check_readable, parse_line
from mentor.errors import DataError, InputError
from mentor.score import Reference, score_batch

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["REFERENCE_KEYS", "ROLLOUT_KEYS", "SHOWN_BAD_LINES", "Rows", "read_rows"]

ROLLOUT_KEYS = ("rollout", "completion", "messages")
REFERENCE_KEYS = ("reference", "ref")
SHOWN_BAD_LINES = 5  # of a batch, and of a run
KEPT = 1 << 12  # references, and lists of tools, that are kept read
KEPT_BYTES = 1 << 14  # a longer one is read for each of its rows: this bounds the memory of those kept
BATCH_BYTES = 1 << 20  # of a Parquet file's rows
BATCH_ROWS = 1 << 12
TEXTS = (str, bytes)


@dataclass(slots=True)
class Rows:
    """Some rows of a file, as columns, and what was left out between them."""

    lines: list[int] = field(default_factory=list)
    ids: list[str | None] = field(default_factory=list)
    rollouts: list[Any] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    tools: list[list[Any] | None] = field(default_factory=list)
    size: int = 0
    bad: list[BadLine] = field(default_factory=list)
    bad_count: int = 0

    def leave_out(self, path: Path, line: int, reason: str) -> None:
        """Counts a row that cannot be scored; the first ones are kept to be shown."""
        self.bad_count += 1
        if len(self.bad) < SHOWN_BAD_LINES:
            self.bad.append(BadLine(str(path), line, reason))


def read_rows(path: Path, rollout_keys: Sequence[str], reference_keys: Sequence[str]) -> Iterator[Rows]:
    """Yield the rows of a JSON lines file (plain or compressed), a Parquet file or standard input, in batches.

    References and lists of tools that are the same text are read once, as long as they are among those used last.

    Args:
        path: the file; ``-`` is standard input, and one that ends in ``.parquet`` is read as such.
        rollout_keys: names of the rollout's key or column; the first one that a row has counts.
        reference_keys: the same for the reference.

    Raises:
        DataError: the file is missing or unreadable as a whole, or, a Parquet file, lacks a column.
    """
    reader = _Reader(path, tuple(rollout_keys), tuple(reference_keys))
    return reader.parquet() if path.suffix.lower() == ".parquet" else reader.json_lines()


class _Reader:
    def __init__(self, path: Path, rollout_keys: tuple[str, ...], reference_keys: tuple[str, ...]) -> None:
        self.path, self.rollout_keys, self.reference_keys = path, rollout_keys, reference_keys
        self.reference = lru_cache(KEPT)(Reference)
        self.tools = lru_cache(KEPT)(_checked_tools)

    def json_lines(self) -> Iterator[Rows]:
        for block in line_blocks(self.path):
            rows = Rows(size=block.size)
            for number, line in enumerate(block.lines, block.first):
                if line is not None and (not line or line.isspace()):
                    continue
                try:
                    row = parse_line(line)
                except Unreadable as error:
                    last = block.cut and number == block.first + len(block.lines) - 1
                    rows.leave_out(self.path, number, error.reason(last))
                    continue
                rollout, reference = _first(row, self.rollout_keys), _first(row, self.reference_keys)
                self._take(rows, number, row.get("id"), rollout, reference, row.get("tools"))
            yield rows

    def parquet(self) -> Iterator[Rows]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        check_readable(self.path)
        try:
            # Buffered: a column of a row group is read a piece at a time, however large the group.
            with pq.ParquetFile(self.path, buffer_size=BATCH_BYTES, pre_buffer=False) as file:
                names = file.schema_arrow.names
                keys = [self._column(names, self.rollout_keys), self._column(names, self.reference_keys)]
                columns = [*keys, *(name for name in ("id", "tools") if name in names)]
                size = self.path.stat().st_size / max(file.metadata.num_rows, 1)
                number = 1
                for batch in file.iter_batches(_batch_rows(file.metadata), columns=columns):
                    yield self._record_batch(batch, keys, number, round(size * batch.num_rows))
                    number += batch.num_rows
        except DataError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:  # damaged pages or footers
            raise DataError(f"{self.path}: no readable Parquet file: {error}") from None

    def _record_batch(self, batch: pa.RecordBatch, keys: list[str], number: int, size: int) -> Rows:
        columns = {name: _values(batch, name) for name in batch.schema.names}
        marked = (batch.schema.field(keys[0]).metadata or {}).get(b"mentor") == b"json"
        nothing = [None] * batch.num_rows
        rollouts = map(_loads if marked else _messages, columns[keys[0]])
        rest = zip(columns.get("id", nothing), columns[keys[1]], columns.get("tools", nothing), strict=True)
        rows = Rows(size=size)
        for line, (rollout, (name, reference, tools)) in enumerate(zip(rollouts, rest, strict=True), number):
            self._take(rows, line, name, rollout, reference, tools)
        return rows

    def _column(self, names: list[str], keys: tuple[str, ...]) -> str:
        for key in keys:
            if key in names:
                return key
        raise DataError(f"{self.path}: there is no column {' or '.join(keys)}; there are {', '.join(names) or 'none'}")

    def _take(self, rows: Rows, line: int, name: Any, rollout: Any, reference: Any, tools: Any) -> None:
        """Takes one row, or leaves it out and says why."""
        try:
            if not isinstance(rollout, TEXTS) and not _is_messages(rollout):
                key = self.rollout_keys[0]
                raise InputError(f"the row needs a `{key}`: text, or a list of message objects")
            if reference is None:
                raise InputError(f"the row needs a `{self.reference_keys[0]}`: {{answer, tool_calls}}")
            prepared = _cached(self.reference, reference)
            offered = None if tools is None else _cached(self.tools, tools)
        except InputError as error:
            rows.leave_out(self.path, line, str(error))
            return
        rows.lines.append(line)
        rows.ids.append(None if name is None else str(name))
        rows.rollouts.append(rollout)
        rows.references.append(prepared)
        rows.tools.append(offered)


def _first(row: dict[str, Any], keys: tuple[str, ...]) -> Any:
    for key in keys:
        if key in row:
            return row[key]
    return None


def _is_messages(rollout: Any) -> bool:
    return isinstance(rollout, list) and all(isinstance(message, dict) for message in rollout)


def _cached(read: Any, value: Any) -> Any:
    """Reads a value, or its JSON, once for all rows that have it."""
    if not isinstance(value, TEXTS):
        try:
            value = orjson.dumps(value)
        except TypeError:  # nested too deeply: said with the argument's name
            return read.__wrapped__(value)
    return read(value) if len(value) <= KEPT_BYTES else read.__wrapped__(value)


def _checked_tools(source: str | bytes) -> list[Any]:
    try:
        tools = orjson.loads(source)
        if isinstance(tools, list):
            score_batch([], [], tools=tools)
            return tools
    except (orjson.JSONDecodeError, InputError):
        pass
    raise InputError("`tools` must be a list of names or tool schemas")


def _batch_rows(metadata: Any) -> int:
    size = sum(metadata.row_group(at).total_byte_size for at in range(metadata.num_row_groups))
    return int(min(max(BATCH_BYTES * metadata.num_rows // max(size, 1), 1), BATCH_ROWS))


def _values(batch: pa.RecordBatch, name: str) -> list[Any]:
    import pyarrow as pa

    column = batch.column(name)
    values: list[Any] = column.to_pylist()
    return [_without_nulls(value) for value in values] if pa.types.is_nested(column.type) else values


def _without_nulls(value: Any) -> Any:
    """A nested value as JSON would have it: Arrow fills a struct with nulls under the names of all rows' fields."""
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _loads(text: Any) -> Any:
    """The value of a column that is marked as JSON; what is no JSON is no rollout either."""
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _messages(rollout: Any) -> Any:
    """A list of messages where a text is the JSON of one: objects that each have a role."""
    if isinstance(rollout, str) and rollout.lstrip(" \t\r\n")[:1] == "[":
        try:
            messages = orjson.loads(rollout)
        except orjson.JSONDecodeError:
            return rollout
        if messages and _is_messages(messages) and all("role" in message for message in messages):
            return messages
    return rollout
