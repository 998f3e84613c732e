"""Large files: blocks of lines, reading ahead, Parquet in all its shapes, columns out, memory."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentor.cli.score_rows import REFERENCE_KEYS, ROLLOUT_KEYS, Rows, read_rows
from mentor.data import jsonl, write_table
from mentor.data.ahead import Ahead
from mentor.data.blocks import line_blocks
from mentor.data.columns import column_writer
from mentor.errors import DataError
from mentor.score import score_batch

GOLDEN = Path(__file__).parent / "golden" / "reward_official.jsonl"
TEXT = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>\\boxed{3}<|im_end|>'
REFERENCE = {"answer": "3", "tool_calls": [{"name": "add", "arguments": {"a": 1}}]}
CALL = {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
MESSAGES = [{"role": "assistant", "content": "\\boxed{3}", "tool_calls": [CALL]}]
OTHER = {"answer": "4", "tool_calls": [{"name": "power", "arguments": {"base": 2, "exponent": 2}}]}


def read(path: Path) -> list[Rows]:
    return list(read_rows(path, ROLLOUT_KEYS, REFERENCE_KEYS))


# Blocks of lines


@given(
    lines=st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line), max_size=20),
    block=st.integers(1, 40),
    cut=st.booleans(),
)
def test_blocks_hold_the_lines_whatever_their_size(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], block: int, cut: bool
) -> None:
    file = tmp_path_factory.mktemp("blocks") / "rows.jsonl"
    cut = cut and bool(lines) and bool(lines[-1])
    file.write_bytes(b"\n".join(lines) + (b"" if cut or not lines else b"\n"))
    blocks = list(line_blocks(file, block))
    assert [line for part in blocks for line in part.lines] == [
        line.removeprefix(b"\xef\xbb\xbf") if at == 0 else line for at, line in enumerate(lines)
    ]
    assert sum(part.size for part in blocks) == file.stat().st_size
    assert [part.first for part in blocks] == [
        1 + sum(len(before.lines) for before in blocks[:at]) for at in range(len(blocks))
    ]
    assert [part.cut for part in blocks][-1:] == ([cut] if lines else [])


def test_a_line_that_is_too_long_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE_MB", 1)
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"a\n" + b"x" * 2_500_000 + b"\nb\n" + b"y" * 1_500_000)
    for block in (1000, 1 << 20, 1 << 23):
        assert [line for part in line_blocks(file, block) for line in part.lines] == [b"a", None, b"b", None]
    rows = read(file)
    assert sum(part.bad_count for part in rows) == 4
    assert "2: the line is longer than 1 MB" in " ".join(str(bad) for part in rows for bad in part.bad)


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_compressed_files(tmp_path: Path, ending: str) -> None:
    def packed(data: bytes) -> bytes:
        return gzip.compress(data) if ending == ".gz" else pa.Codec("zstd").compress(data, asbytes=True)

    file = tmp_path / f"rows.jsonl{ending}"
    half = [line + b"\n" for line in GOLDEN.read_bytes().splitlines()[:500]]
    data = packed(b"".join(half[:200])) + packed(b"".join(half[200:]))  # as two files put together
    file.write_bytes(data)
    parts = read(file)
    assert [line for part in parts for line in part.lines] == list(range(1, 501))
    assert sum(part.size for part in parts) == len(data)
    for damaged in (data[: len(data) // 2], b"plain text\n", b"\0" * 100):
        file.write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be decompressed as"):
            read(file)


def test_standard_input() -> None:
    command = [sys.executable, "-c", "from mentor.cli import main; main()", "score", "-", "--judge", "native"]
    done = subprocess.run(command, input=GOLDEN.read_bytes(), capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "standard input: mentor-dense reward" in done.stdout.decode()
    assert "1,040" in done.stdout.decode()


def test_ctrl_c_ends_a_wait_for_standard_input(tmp_path: Path) -> None:
    output = tmp_path / "scores.csv"
    command = [
        sys.executable,
        "-c",
        "from mentor.cli import main; main()",
        "score",
        "-",
        "--judge=native",
        "-o",
        str(output),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(GOLDEN.read_bytes() * 3)  # more than one block; the rest of the second never comes
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not any(part.stat().st_size for part in tmp_path.glob(".*.tmp")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr is not None
        assert b"interrupted after " in process.stderr.read()
    assert output.read_text().count("\n") > 500


# Reading ahead


def test_ahead_keeps_order_and_bounds_what_waits() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for item in range(50):
            made.append(item)
            yield item

    with Ahead(items(), depth=3) as ahead:
        for taken, item in enumerate(ahead):
            assert item == taken
            assert len(made) <= taken + 3
    assert len(made) == 50


def test_ahead_hands_errors_over_and_stops() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise DataError("bad")

    with pytest.raises(DataError, match="bad"), Ahead(failing(), depth=2) as ahead:
        assert next(iter(ahead)) == 1
        list(ahead)

    waiting = threading.Event()
    with Ahead((waiting.wait() or 1 for _ in range(3)), depth=2) as blocked:  # its thread hangs, as on a silent pipe
        threading.Timer(0.05, blocked.stop).start()
        started = time.monotonic()
        assert list(blocked) == []
        assert time.monotonic() - started < 5
        waiting.set()


# Rows


def test_the_same_reference_text_is_read_once_and_few_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mentor.cli.score_rows.KEPT", 2)
    file = tmp_path / "rows.jsonl"
    big = {**REFERENCE, "note": "x" * 20_000}
    order = [REFERENCE, REFERENCE, OTHER, REFERENCE, {"answer": "5"}, OTHER, big, big]
    file.write_bytes(b"\n".join(orjson.dumps({"rollout": TEXT, "reference": reference}) for reference in order))
    references = [reference for part in read(file) for reference in part.references]
    first, again, other, third, _, other_later, *large = references
    assert first is again is third
    assert other is not other_later  # the two used last are kept
    assert large[0] is not large[1]  # so long a text is not kept
    assert [reference.answer for reference in references] == [reference["answer"] for reference in order]


def test_bad_lines_are_counted_and_a_few_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"{}\n\n \t\r\n" * 50_000 + b'{"rollout": "x')
    parts = read(file)
    assert sum(part.bad_count for part in parts) == 50_001
    assert max(len(part.bad) for part in parts) == 5
    assert f"{file}:150001: half-written JSON" in str(parts[-1].bad[-1])
    assert [bad.line for bad in parts[0].bad] == [1, 4, 7, 10, 13]


SHAPES: dict[str, dict[str, Any]] = {
    "texts and structs": {"rollout": [TEXT, TEXT], "reference": [REFERENCE, OTHER]},
    "texts and JSON": {"completion": [TEXT, TEXT], "ref": [orjson.dumps(r).decode() for r in (REFERENCE, OTHER)]},
    "message structs": {"messages": [MESSAGES, MESSAGES], "reference": [REFERENCE, OTHER]},
    "messages as JSON": {"rollout": [orjson.dumps(MESSAGES).decode(), TEXT], "reference": [REFERENCE, OTHER]},
    "large strings": {
        "rollout": pa.array([TEXT, TEXT], pa.large_string()),
        "reference": pa.array([orjson.dumps(r) for r in (REFERENCE, OTHER)], pa.binary()),
    },
    "a dictionary": {"rollout": pa.array([TEXT, TEXT]).dictionary_encode(), "reference": [REFERENCE, OTHER]},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_parquet_in_all_its_shapes(tmp_path: Path, shape: str) -> None:
    file = tmp_path / "rows.parquet"
    extra = {"id": [7, 8], "tools": [["add"], None], "unused": [b"", b""]}
    pq.write_table(pa.table({**SHAPES[shape], **extra}), file)
    [rows] = read(file)
    assert (rows.lines, rows.ids, rows.tools, rows.bad) == ([1, 2], ["7", "8"], [["add"], None], [])
    scores = score_batch(rows.rollouts, rows.references, tools=rows.tools)
    assert scores.components["correct"].tolist() == [1, 0]
    # Structs of two rows: each call has nulls for the other's arguments, which are not arguments.
    assert scores.components["exact_f1"].tolist() == [1, 0]
    assert [reference.tool_calls for reference in rows.references] == [REFERENCE["tool_calls"], OTHER["tool_calls"]]


def test_parquet_as_write_table_makes_it(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    rollouts = [TEXT, MESSAGES, [], 3, None, '[{"role": "assistant", "content": "as text"}]']
    tools = [["add"], [{"name": "add"}], [], ["add"], None, ["add"]]
    write_table(
        file, [{"rollout": r, "reference": REFERENCE, "tools": t} for r, t in zip(rollouts, tools, strict=True)]
    )
    [rows] = read(file)
    assert rows.rollouts == [rollouts[at] for at in (0, 1, 2, 5)]
    assert rows.tools == [tools[at] for at in (0, 1, 2, 5)]
    assert [str(bad) for bad in rows.bad] == [
        f"{file}:{line}: the row needs a `rollout`: text, or a list of message objects" for line in (4, 5)
    ]


def test_parquet_without_the_columns_or_damaged(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": ["x"], "reference": ["y"]}), file)
    with pytest.raises(DataError, match="no column rollout or completion or messages; there are text, reference"):
        read(file)
    pq.write_table(pa.table({"rollout": [TEXT] * 50, "reference": [REFERENCE] * 50}), file)
    whole = file.read_bytes()
    refused = 0
    for place in range(0, len(whole), 11):
        for damaged in (whole[:place], whole[:place] + b"\xff\x80\x00" + whole[place + 3 :]):
            file.write_bytes(damaged)
            try:
                read(file)
            except DataError as error:
                assert str(error).startswith(str(file))
                refused += 1
    assert refused > len(whole) // 11


# Columns


def test_the_columns_of_a_batch_say_what_its_scores_say() -> None:
    rows = [orjson.loads(line) for line in GOLDEN.read_bytes().splitlines()][:200]
    texts = [row["rollout"] for row in rows] + ["", "\\boxed{}<|im_end|>", "\\boxed{x^2+}<|im_end|>", "\ud800"]
    batch = score_batch(texts, [row["reference"] for row in rows] + [REFERENCE] * 4, judge="native")
    assert batch.answers == [score.answer for score in batch]
    assert batch.verdicts == [score.verdict for score in batch]
    assert {*batch.verdicts} == {"equal", "different", "undecided", None}
    assert [{*kinds} for kinds in batch.defect_kinds] == [{d.kind for d in score.defects} for score in batch]
    assert all(len({*kinds}) == len(kinds) for kinds in batch.defect_kinds)


COLUMNS = {
    "line": [1, 2, 2**40],
    "reward": [0.1, 1.0, -1e-300],
    "50 %": ['a "quoted"\ntext, ä', "", None],
    "defects": [[], ["no_answer", "bad_name"], ["x"]],
}


@pytest.mark.parametrize("ending", [".jsonl", ".parquet", ".csv"])
def test_columns_come_back(tmp_path: Path, ending: str) -> None:
    import numpy as np
    import pyarrow.csv

    file = tmp_path / f"t{ending}"
    with column_writer(file, {"line": "integer", "reward": "number", "50 %": "text", "defects": "texts"}) as write:
        write({**COLUMNS, "reward": np.array(COLUMNS["reward"])})
        write({name: [] for name in COLUMNS})
        write(COLUMNS)
    if ending == ".jsonl":
        rows = [orjson.loads(line) for line in file.read_bytes().splitlines()]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
    elif ending == ".parquet":
        columns = pq.read_table(file).to_pydict()
    else:
        quoted = pyarrow.csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
        lines = pyarrow.csv.ParseOptions(newlines_in_values=True)
        columns = pyarrow.csv.read_csv(file, parse_options=lines, convert_options=quoted).to_pydict()
        columns["defects"] = [text.split(";") if text else [] for text in columns["defects"]]
    assert columns == {name: values * 2 for name, values in COLUMNS.items()}


@pytest.mark.parametrize("ending", [".jsonl", ".parquet", ".csv"])
def test_a_failed_run_leaves_nothing_and_an_empty_one_a_table(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"t{ending}"
    with pytest.raises(KeyboardInterrupt), column_writer(file, {"line": "integer"}) as write:
        write({"line": [1]})
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with column_writer(file, {"line": "integer"}):
        pass
    assert (pq.read_table(file).column_names if ending == ".parquet" else file.read_text()) == {
        ".jsonl": "",
        ".parquet": ["line"],
        ".csv": '"line"\n',
    }[ending]


def test_row_groups_are_large(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    with column_writer(file, {"line": "integer"}) as write:
        for start in range(0, 200_000, 1000):
            write({"line": range(start, start + 1000)})
    with pq.ParquetFile(file) as table:
        assert (table.metadata.num_rows, table.num_row_groups) == (200_000, 12)
        assert table.read()["line"].to_pylist() == list(range(200_000))


# Memory

BENCH = Path(__file__).parents[1] / "benches" / "python" / "score_stream.py"
MARGIN_MB = 48  # of some 600 MB more input; what the allocators keep differs between runs


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_memory_does_not_grow_with_the_file_and_a_batch_takes_at_most_twice_its_input() -> None:
    command = [sys.executable, str(BENCH), "--json", "--rows", "50000", "400000"]
    figures = orjson.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.splitlines()[-1])
    peaks: dict[tuple[str, str], dict[int, float]] = {}
    for run in figures["files"]:
        peaks.setdefault((run["input"], run["output"]), {})[run["rows"]] = run["peak_mb"]
    assert len(peaks) == 6
    for what, peak in peaks.items():
        assert peak[400_000] <= peak[50_000] + MARGIN_MB, (what, peak)
    for form, run in figures["batches"].items():
        assert run["input_mb"] >= 200
        assert run["growth_mb"] <= 2 * run["input_mb"], (form, run)
