"""mentor.data: JSON lines, tables and tasks."""

from __future__ import annotations

import gzip
import json
import os
import re
import tracemalloc
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from mentor.cli import main
from mentor.data import BadLine, Task, jsonl, read_jsonl, read_tasks, write_jsonl, write_table, write_tasks
from mentor.data.atomic import atomic_file
from mentor.data.jsonl import OnError
from mentor.data.tables import read_parquet
from mentor.errors import DataError, InputError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
GOOD = {"prompt": "2 + 2?", "tools": ["add"], "reference": {"answer": "4", "tool_calls": []}}


def put(folder: Path, data: bytes) -> Path:
    file = folder / "rows.jsonl"
    file.write_bytes(data)
    return file


OTHER_FILES = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PAR1")  # named as such, not read line by line


@given(rows=st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=6))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]) -> None:
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    assert write_jsonl(file, rows) == len(rows)
    assert list(read_jsonl(file)) == list(enumerate(rows, start=1))


@given(data=st.binary(max_size=200).filter(lambda data: not data.startswith(OTHER_FILES)))
def test_any_bytes_give_rows_and_reported_bad_lines(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = put(tmp_path_factory.mktemp("noise"), data)
    bad: list[BadLine] = []
    rows = list(read_jsonl(file, on_error="skip", on_bad=bad.append))
    lines = [line for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip(b" \t\r")]
    assert len(rows) + len(bad) == len(lines)


def test_bom_crlf_empty_lines_and_a_missing_last_newline_are_fine(tmp_path: Path) -> None:
    file = put(tmp_path, b'\xef\xbb\xbf{"a": 1}\r\n\r\n  \n{"a": 2}')
    assert list(read_jsonl(file)) == [(1, {"a": 1}), (4, {"a": 2})]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            b'{"a": "bcd',
            "half-written JSON: the line ends inside a string at byte 10 (it starts at byte 6); "
            "the last line of an interrupted write?",
        ),
        (
            b'{"a": 12',
            "half-written JSON: the line ends inside an object at byte 8 (it starts at byte 0); "
            "the last line of an interrupted write?",
        ),
        (
            b'{"a": [1, tr\n',
            "half-written JSON: the line ends inside a list at byte 12 (it starts at byte 6)",
        ),
        (b'{"a": \x00}\n', "a NUL byte at byte 6; was the file damaged by a crash?"),
        (b'{"a": "\xe4"}\n', "not UTF-8 at byte 7 (0xe4)"),
        (b"\xff\xfe{\x00}\x00\n\x00", "the file is UTF-16; save it as UTF-8"),
        (b"[1, 2]\n", "an object is wanted, found a list"),
        (b"3\n", "an object is wanted, found a number"),
        (b"null\n", "an object is wanted, found null"),
        (b'"x"\n', "an object is wanted, found a string"),
    ],
)
def test_a_bad_line_is_named_with_its_reason(tmp_path: Path, line: bytes, message: str) -> None:
    file = put(tmp_path, b'{"ok": 1}\n' + line)
    with pytest.raises(DataError) as caught:
        list(read_jsonl(file))
    assert str(caught.value) == f"{file}:2: {message}"


@pytest.mark.parametrize("line", [b"{'a': 1}\n", b'{"a": 1} {"b": 2}\n', b'{"a" 1}\n', b'{"a": NaN}\n'])
def test_text_that_is_no_json_names_the_byte(tmp_path: Path, line: bytes) -> None:
    with pytest.raises(DataError, match=r"rows\.jsonl:1: not JSON at byte \d+: "):
        list(read_jsonl(put(tmp_path, line)))


def test_lenient_reads_what_pythons_json_writes(tmp_path: Path) -> None:
    rows = [{"loss": float("inf")}, {"text": "\ud800"}]
    file = put(tmp_path, "\n".join(map(json.dumps, rows)).encode())
    assert [row for _, row in read_jsonl(file, lenient=True)] == rows
    with pytest.raises(DataError):
        list(read_jsonl(file))


def test_skip_keeps_the_rest_and_reports_each_bad_line(tmp_path: Path) -> None:
    file = put(tmp_path, b'{"a": 1}\nnope\n{"a": 2}\n{"a"')
    bad: list[BadLine] = []
    assert [line for line, _ in read_jsonl(file, on_error="skip", on_bad=bad.append)] == [1, 3]
    assert [entry.line for entry in bad] == [2, 4]
    assert str(bad[0]).startswith(f"{file}:2: not JSON at byte ")


def test_skip_without_a_listener_warns_once(tmp_path: Path) -> None:
    file = put(tmp_path, b'nope\n{"a": 2}\nnope\n')
    with pytest.warns(UserWarning, match=r"2 rows left out; the first: .*rows\.jsonl:1: ") as caught:
        assert len(list(read_jsonl(file, on_error="skip"))) == 1
    assert len(caught) == 1


def test_a_missing_file_a_folder_and_a_wrong_option_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_jsonl(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="this is a folder, a file is wanted"):
        read_jsonl(tmp_path)
    with pytest.raises(InputError, match='"stop" or "skip" is wanted'):
        read_jsonl(put(tmp_path, b""), on_error="ignore")  # type: ignore[arg-type]


def test_a_line_above_the_limit_is_bad_and_the_next_one_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE_MB", 1)
    file = put(tmp_path, b'{"a": "' + b"x" * 2_500_000 + b'"}\n{"a": 2}\n')
    bad: list[BadLine] = []
    read: list[int] = []
    rows = list(read_jsonl(file, on_error="skip", on_bad=bad.append, progress=read.append))
    assert rows == [(2, {"a": 2})]
    assert bad == [BadLine(str(file), 1, "the line is longer than 1 MB")]
    assert sum(read) == file.stat().st_size


def test_progress_adds_up_to_the_files_size(tmp_path: Path) -> None:
    file = put(tmp_path, b'\xef\xbb\xbf{"a": 1}\r\n\n{"a": 2}')
    read: list[int] = []
    list(read_jsonl(file, progress=read.append))
    assert sum(read) == file.stat().st_size


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = put(tmp_path, b'{"old": 1}\n')

    def rows() -> object:
        yield {"new": 1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_jsonl(file, rows())  # type: ignore[arg-type]
    assert file.read_bytes() == b'{"old": 1}\n'
    assert [found.name for found in tmp_path.iterdir()] == ["rows.jsonl"]


def test_writing_follows_links_and_writes_devices_directly(tmp_path: Path) -> None:
    file = put(tmp_path, b"old")
    link = tmp_path / "link.jsonl"
    link.symlink_to(file)
    write_jsonl(link, [{"a": 1}])
    assert link.is_symlink()
    assert file.read_bytes() == b'{"a":1}\n'
    with atomic_file(os.devnull) as out:
        out.write(b"gone")


def test_writing_names_the_missing_folder_the_folder_and_the_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist; create it first"):
        write_jsonl(tmp_path / "none" / "a.jsonl", [])
    with pytest.raises(DataError, match="this is a folder"):
        write_jsonl(tmp_path, [])
    with pytest.raises(InputError, match="row 1: "):
        write_jsonl(tmp_path / "a.jsonl", [{"a": 1}, {"a": object()}])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_table_of_columns_equals_a_table_of_rows(tmp_path: Path, ending: str) -> None:
    rows = [{"step": 1, "calls": [{"a": 1}]}, {"step": 2, "calls": [{"b": [2]}]}]
    one, two = tmp_path / f"one.{ending}", tmp_path / f"two.{ending}"
    assert write_table(one, rows) == write_table(two, {"step": [1, 2], "calls": [row["calls"] for row in rows]}) == 2
    assert one.read_bytes() == two.read_bytes()
    read = list(read_parquet(one)) if ending == "parquet" else [row for _, row in read_jsonl(one)]
    assert read == rows


def test_a_table_with_a_wrong_name_or_wrong_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the ending '\.csv' is unknown; known are \.jsonl, \.parquet"):
        write_table(tmp_path / "t.csv", [])
    with pytest.raises(InputError, match=r"the name has no ending; known are"):
        write_table(tmp_path / "t", [])
    with pytest.raises(InputError, match="columns of unequal length: a 1, b 2"):
        write_table(tmp_path / "t.parquet", {"a": [1], "b": [1, 2]})
    with pytest.raises(InputError, match="column a: the values have no common type"):
        write_table(tmp_path / "t.parquet", {"a": [1, "x"]})
    with pytest.raises(InputError, match="column a: half a surrogate pair in a text: no UTF-8"):
        write_table(tmp_path / "t.parquet", {"a": ["\ud800"]})
    with pytest.raises(InputError, match=r"column a, row 1: Integer exceeds 64-bit range"):
        write_table(tmp_path / "t.parquet", {"a": [{}, {"x": 2**70}]})
    with pytest.raises(InputError, match=r"column '\\ud800': "):
        write_table(tmp_path / "t.parquet", {"\ud800": [1]})
    with pytest.raises(InputError, match=r"column 1: Dict key must be str"):
        write_table(tmp_path / "t.parquet", {1: [1]})  # type: ignore[dict-item]
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_parquet_file_is_read_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    with pytest.raises(DataError, match="no such file"):
        list(read_parquet(file))
    write_table(file, [{"step": i, "text": "x" * i, "reference": {"answer": i}} for i in range(50)])
    whole = file.read_bytes()
    refused = 0
    for place in range(0, len(whole), 7):
        for damaged in (whole[:place], whole[:place] + b"\xff\x80\x00" + whole[place + 3 :]):
            file.write_bytes(damaged)
            try:
                list(read_parquet(file))
            except DataError as error:
                assert str(error).startswith(f"{file}: no readable Parquet file: ")
                refused += 1
    assert refused > len(whole) // 7


@given(
    tasks=st.lists(
        st.builds(
            Task,
            id=st.uuids().map(str),
            prompt=st.text(min_size=1).filter(str.strip),
            tools=st.lists(st.text(), max_size=2).map(tuple),
            reference=st.fixed_dictionaries(
                {
                    "answer": st.text(min_size=1).filter(str.strip) | st.integers(-(2**53), 2**53),
                    "tool_calls": st.lists(
                        st.fixed_dictionaries(
                            {"name": st.text(), "arguments": st.dictionaries(st.text(), JSON, max_size=2)}
                        ),
                        max_size=2,
                    ),
                }
            ),
            meta=st.dictionaries(st.text(), JSON, max_size=2),
        ),
        unique_by=lambda task: task.id,
        max_size=4,
    )
)
def test_any_task_survives_both_formats(tmp_path_factory: pytest.TempPathFactory, tasks: list[Task]) -> None:
    folder = tmp_path_factory.mktemp("tasks")
    for ending in ("jsonl", "parquet"):
        write_tasks(folder / f"t.{ending}", tasks)
        assert list(read_tasks(folder / f"t.{ending}")) == tasks


def test_reading_takes_the_memory_of_one_line(tmp_path: Path) -> None:
    file = put(tmp_path, b'{"text": "' + b"x" * 50_000 + b'"}\n')
    file.write_bytes(file.read_bytes() * 200)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_jsonl(file)) == 200
        assert tracemalloc.get_traced_memory()[1] < 1_000_000 < file.stat().st_size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": None}, "prompt: null"),
        ({"prompt": " "}, "prompt: empty"),
        ({"prompt": 3}, "prompt: a text or a list of messages is wanted, found a number"),
        ({"prompt": [{"content": "x"}]}, "prompt[0].role: missing"),
        ({"tools": "add"}, "tools: a list is wanted, found a string"),
        ({"tools": ["add", 3]}, "tools[1]: a name or a schema is wanted, found a number"),
        ({"tools": [{"type": "function"}]}, "tools[0]: the schema has no name"),
        ({"id": True}, "id: a string is wanted, found a boolean"),
        ({"meta": [1]}, "meta: an object is wanted, found a list"),
        ({"reference": []}, "reference: an object is wanted, found a list"),
        ({"reference": {"tool_calls": []}}, "reference.answer: missing"),
        ({"reference": {"answer": ""}}, "reference.answer: empty"),
        ({"reference": {"answer": ["4"]}}, "reference.answer: a text or a number is wanted, found a list"),
        (
            {"reference": {"answer": "4", "tool_calls": {}}},
            "reference.tool_calls: a list is wanted, found an object",
        ),
        ({"reference": {"answer": "4", "tool_calls": [{}]}}, "reference.tool_calls[0].name: missing"),
        (
            {"reference": {"answer": "4", "tool_calls": [{"name": "add", "arguments": [1]}]}},
            "reference.tool_calls[0].arguments: an object is wanted, found a list",
        ),
        (
            {"reference": {"answer": "4", "tool_calls": [{"name": ["add"]}]}},
            "reference.tool_calls[0].name: a string is wanted, found a list",
        ),
    ],
)
def test_a_wrong_field_of_a_task_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    file = tmp_path / "tasks.jsonl"
    write_jsonl(file, [GOOD, GOOD | change])
    with pytest.raises(DataError) as caught:
        list(read_tasks(file))
    assert str(caught.value) == f"{file}:2: {message}"
    bad: list[BadLine] = []
    assert len(list(read_tasks(file, on_error="skip", on_bad=bad.append))) == 1
    assert [entry.reason for entry in bad] == [message]


def test_a_bad_task_and_a_bad_line_are_counted_together(tmp_path: Path) -> None:
    file = put(tmp_path, b'nope\n{"prompt": "x"}\n' + json.dumps(GOOD).encode())
    with pytest.warns(UserWarning, match=r"2 rows left out; the first: .*:1: not JSON"):
        assert [task.id for task in read_tasks(file, on_error="skip")] == ["3"]


def test_two_tasks_with_one_id_are_an_error(tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    write_jsonl(file, [GOOD | {"id": "a"}, GOOD | {"id": "a"}])
    with pytest.raises(DataError, match=r":2: id: 'a' is the id of line 1 as well"):
        list(read_tasks(file))


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_tasks_keep_every_field(tmp_path: Path, ending: str) -> None:
    calls = [{"name": "add", "arguments": {"a": 1, "b": 2}}, {"name": "sum_numbers", "arguments": {"numbers": [1, 2]}}]
    messages = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "?"})
    reference = {"answer": "4", "tool_calls": calls, "messages": [{"role": "assistant", "content": "4"}]}
    tasks = [
        Task(id="a", prompt=messages, tools=("add", {"name": "f"}), reference=reference, meta={"source": "x"}),
        Task(id="b", prompt="text", tools=(), reference={"answer": 4, "tool_calls": []}),
    ]
    file = tmp_path / f"tasks.{ending}"
    counted: list[int] = []
    assert write_tasks(file, tasks) == 2
    assert list(read_tasks(file, progress=counted.append)) == tasks
    assert sum(counted) == (2 if ending == "parquet" else file.stat().st_size)


def test_openai_calls_and_unknown_keys_are_understood() -> None:
    call = {"type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    row = GOOD | {"reference": {"answer": 4, "tool_calls": [call]}, "level": 3}
    task = Task.from_dict(row, default_id="7")
    assert task.reference["tool_calls"] == [{"name": "add", "arguments": {"a": 1}}]
    assert (task.id, task.meta) == ("7", {"level": 3})


@pytest.mark.parametrize("on_error", ["stop", "skip"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(
            gzip.compress(b'{"a": 1}\n' * 99, mtime=0), "the file is compressed (gzip); unpack it first", id="gzip"
        ),
        pytest.param(b"\x28\xb5\x2f\xfd\x04\n\x00", "the file is compressed (zstd); unpack it first", id="zstd"),
        pytest.param(b"PAR1\x15\x04\n", "the file is Parquet; give it a name that ends in .parquet", id="parquet"),
    ],
)
def test_a_file_of_another_kind_is_named_once(tmp_path: Path, data: bytes, message: str, on_error: OnError) -> None:
    file = put(tmp_path, data)
    with pytest.raises(DataError, match=re.escape(f"{file}: {message}")):
        list(read_jsonl(file, on_error=on_error))


def test_tasks_are_read_from_a_json_list_as_well(tmp_path: Path) -> None:
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps([GOOD | {"id": "a"}, GOOD | {"prompt": ""}, GOOD], indent=1))
    with pytest.raises(DataError, match=r"tasks.json:2: prompt: empty"):
        list(read_tasks(file))
    bad: list[BadLine] = []
    assert [task.id for task in read_tasks(file, on_error="skip", on_bad=bad.append)] == ["a", "3"]
    assert [entry.line for entry in bad] == [2]


def test_an_empty_cell_of_a_table_is_no_answer() -> None:
    with pytest.raises(InputError, match=r"reference\.answer: a text or a number is wanted, found NaN"):
        Task.from_dict(GOOD | {"reference": {"answer": float("nan")}})


def test_parquet_of_other_writers_gives_values_of_json(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    arguments = {"a": Decimal("2.50"), "b": Decimal("3.00"), "when": datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc)}
    row = {"prompt": b"2.5 + 3?", "reference": {"answer": "5.5", "tool_calls": [{"name": "f", "arguments": arguments}]}}
    table = pa.Table.from_pylist([row]).append_column("extra", pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())))
    pq.write_table(table, file)
    (task,) = read_tasks(file)
    (call,) = task.reference["tool_calls"]
    assert call["arguments"] == {"a": 2.5, "b": 3, "when": "2026-01-02 03:04:00+00:00"}
    assert (task.prompt, task.meta) == ("2.5 + 3?", {"extra": {"k": 1}})
    write_tasks(tmp_path / "t.jsonl", [task])
    pq.write_table(pa.table({"image": [b"\xff\x00a"]}), file)
    assert list(read_parquet(file)) == [{"image": "\\xff\x00a"}]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that takes no file, whoever asks")
@pytest.mark.parametrize("command", [["score"], ["validate"], ["import", "gsm8k"], ["teach", "--tools", "arithmetic"]])
def test_a_folder_that_takes_no_file_is_one_line_that_names_the_path(command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "2 + 2?", "rollout": "", "reference": {"answer": "4", "tool_calls": []}}\n')
    result = CliRunner().invoke(main, [*command, str(file), "-o", "/proc/s.jsonl"])
    assert result.exit_code in (1, 2) and isinstance(result.exception, SystemExit), result.output
    assert "Error: /proc/s.jsonl: cannot be written: the folder /proc takes no file" in result.stderr
    assert ".tmp" not in result.output and "Errno" not in result.output


def test_a_name_that_the_file_system_refuses_is_named(tmp_path: Path) -> None:
    file = tmp_path / f"{'x' * 300}.jsonl"
    with pytest.raises(DataError, match="cannot be written: File name too long"), atomic_file(file) as out:
        out.write(b"1")
    assert list(tmp_path.iterdir()) == []
