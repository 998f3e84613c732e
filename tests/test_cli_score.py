"""`mentor score`: the summary, the files it writes, bad lines, Ctrl-C."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import orjson
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from mentor.cli import main
from mentor.score import REWARDS, score_batch
from mentor.score.formats import FORMATS

GOLDEN = Path(__file__).parent / "golden" / "reward_official.jsonl"
ARITHMETIC = "add,subtract,multiply,divide,sum_numbers,floor,ceil,round_number,power,sqrt,abs_value,modulo"
GOOD = {"id": 7, "rollout": "\\boxed{3}<|im_end|>", "reference": {"answer": "3", "tool_calls": [{"name": "add"}]}}


def mentor(*args: object) -> SimpleNamespace:
    done = CliRunner().invoke(main, [*map(str, args)], prog_name="mentor")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rollouts.jsonl"


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "csv"])
def test_scores_of_a_file(tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"scores.{ending}"
    done = mentor("score", GOLDEN, "-o", output, "--tools", ARITHMETIC, "--reward", "mentor")
    assert done.returncode == 0, done.stderr
    assert re.search(r"│ rollouts +│ +1,040 │", done.stdout)
    assert f"1040 scores written to {output}" in done.stderr.replace("\n", "")
    if ending == "parquet":
        rows = pq.read_table(output).to_pylist()
    elif ending == "csv":
        texts = pyarrow.csv.ConvertOptions(column_types={"id": "string", "answer": "string", "defects": "string"})
        rows = pyarrow.csv.read_csv(output, convert_options=texts).to_pylist()
        for row in rows:
            row["defects"] = row["defects"].split(";") if row["defects"] else []
    else:
        rows = [orjson.loads(line) for line in output.read_bytes().splitlines()]
    golden = [orjson.loads(line) for line in GOLDEN.read_bytes().splitlines()]
    assert [row["reward"] for row in rows] == [row["official"]["mentor"] for row in golden]
    assert (rows[0]["line"], rows[0]["id"], rows[0]["answer"], rows[0]["verdict"]) == (1, "0", "2250", "equal")
    assert rows[0]["correct"] == 1.0
    assert {kind for row in rows for kind in row["defects"]} == {
        "not_finished",
        "no_answer",
        "empty_answer",
        "unknown_tool",
        "repeated_call",
    }


BAD_LINES = [
    (b'{"rollout": "x", "refer', "half-written"),
    (b"[1]", "object"),
    (b'{"reference": {"answer": "3"}}', "the row needs a `rollout`: text, or a list of message objects"),
    (b'{"rollout": "x"}', "the row needs a `reference`: {answer, tool_calls}"),
    (b'{"rollout": "x", "reference": {"tool_calls": []}}', "reference: answer: is missing"),
    (
        b'{"rollout": "x", "reference": {"answer": "3"}, "tools": "add"}',
        "`tools` must be a list of names or tool schemas",
    ),
    (
        b'{"rollout": "x", "reference": {"answer": "3"}, "tools": [{"title": "add"}]}',
        "`tools` must be a list of names or tool schemas",
    ),
    (b'{"rollout": "x", "reference": ' + b"[" * 600 + b"]" * 600 + b"}", "reference: "),
    (
        b'{"rollout": [3], "reference": {"answer": "3"}}',
        "the row needs a `rollout`: text, or a list of message objects",
    ),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_bad_lines_are_named_and_the_rest_is_scored(file: Path, line: bytes, reason: str) -> None:
    good = orjson.dumps(GOOD)
    file.write_bytes(b"\n".join([good, line, good]))
    done = mentor("score", file)
    assert done.returncode == 1
    assert f"Error: {file}:2: " in done.stderr
    assert reason in done.stderr
    output = file.with_suffix(".scores.jsonl")
    done = mentor("score", file, "--on-error=skip", "-o", output)
    assert done.returncode == 0, done.stderr
    assert f"left out: {file}:2:" in done.stderr.replace("\n", "")
    assert [orjson.loads(row)["line"] for row in output.read_bytes().splitlines()] == [1, 3]
    assert "lines left out" in done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--reward", "best"], f"'best' is not one of {', '.join(map(repr, REWARDS))}"),
        (["--format", "prose"], f"'prose' is not one of {', '.join(map(repr, FORMATS))}"),
        (["-o", "scores.txt"], "scores.txt: the ending '.txt' is unknown; known are .jsonl, .parquet, .csv"),
        (["-o", "nowhere/scores.csv"], "nowhere/scores.csv: the folder "),
    ],
)
def test_bad_options(file: Path, args: list[str], message: str) -> None:
    file.write_bytes(orjson.dumps(GOOD))
    done = mentor("score", file, *args)
    assert done.returncode in (1, 2)
    assert message in done.stderr


def test_the_rollouts_are_not_written_over(file: Path) -> None:
    file.write_bytes(orjson.dumps(GOOD))
    done = mentor("score", file, "-o", file.parent / "." / file.name)
    assert (done.returncode, "this file is read; give the output another name" in done.stderr) == (2, True)
    assert file.read_bytes() == orjson.dumps(GOOD)


@pytest.mark.parametrize("reward", REWARDS)
def test_each_reward_and_format_reaches_the_scores(file: Path, reward: str) -> None:
    file.write_bytes(GOLDEN.read_bytes())
    output = file.with_suffix(".csv")
    assert mentor("score", file, "--reward", reward, "--format", "hermes", "-o", output).returncode == 0
    golden = [orjson.loads(line) for line in GOLDEN.read_bytes().splitlines()]
    texts, refs = [row["rollout"] for row in golden], [row["reference"] for row in golden]
    expected = score_batch(texts, refs, reward=reward, format="hermes").reward.tolist()
    assert pyarrow.csv.read_csv(output)["reward"].to_pylist() == expected


def test_other_keys(file: Path) -> None:
    file.write_bytes(orjson.dumps({"sample": GOOD["rollout"], "gold": GOOD["reference"], "rollout": 3}))
    done = mentor("score", file, "--rollout-key", "sample", "--reference-key", "gold")
    assert (done.returncode, "reward, mean" in done.stdout) == (0, True), done.stderr
    done = mentor("score", file, "--rollout-key", "samples", "--reference-key", "gold")
    assert "the row needs a `samples`: text, or a list of message objects" in done.stderr


def test_each_row_has_its_own_tools(file: Path) -> None:
    call = '<tool_call>\n{"name": "add", "arguments": {}}\n</tool_call>' + GOOD["rollout"]
    offers = (["add"], ["subtract"], None, [{"name": "add"}], [])
    file.write_bytes(b"\n".join(orjson.dumps({**GOOD, "rollout": call, "tools": tools}) for tools in offers))
    output = file.with_suffix(".scores.jsonl")
    assert mentor("score", file, "-o", output).returncode == 0
    assert [orjson.loads(row)["unknown_calls"] for row in output.read_bytes().splitlines()] == [0, 1, 0, 0, 1]


def test_a_missing_file(tmp_path: Path) -> None:
    done = mentor("score", tmp_path / "none.jsonl")
    assert (done.returncode, done.stderr) == (1, f"Error: {tmp_path / 'none.jsonl'}: no such file\n")


def test_an_empty_file(file: Path) -> None:
    file.write_bytes(b"")
    done = mentor("score", file)
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_keeps_what_was_scored(file: Path) -> None:
    with file.open("wb") as out:
        for _ in range(100):
            out.write(GOLDEN.read_bytes())
    output = file.with_suffix(".scores.jsonl")
    command = [sys.executable, "-c", "from mentor.cli import main; main()", "score", str(file), "-o", str(output)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(part.stat().st_size for part in file.parent.glob(".*.tmp")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    rows = [orjson.loads(row) for row in output.read_bytes().splitlines()]
    assert process.returncode == 130
    assert 0 < len(rows) < 100 * 1040
    assert f"interrupted after {len(rows)} rows" in err
    assert "rollouts" in out


def test_help_names_the_commands() -> None:
    done = mentor("--help")
    assert all(name in done.stdout for name in ("import", "report", "run", "score", "train"))
    assert mentor("nothing").returncode == 2
    assert shutil.which("mentor", path=str(Path(sys.executable).parent))
