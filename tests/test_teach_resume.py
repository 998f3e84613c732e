"""Nothing is paid twice: kill -9, Ctrl-C, limits, damaged journals. The server counts what it answered."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from click.testing import CliRunner, Result

import mentor
from mentor.cli import main
from mentor.data import Task, read_tasks, write_tasks
from mentor.errors import DataError, InputError, ModelError
from mentor.suites import open_suite
from mentor.teach import Endpoint as Client
from mentor.teach import Reply, TeachReport, TeachSettings, assign, ateach, teach
from mentor.teach.journal import Journal
from mentor.tools import ToolSet
from teacher_server import Endpoint, says, serving, solver

COMMAND = [sys.executable, "-c", "from mentor.cli import main; main()", "teach"]


@pytest.fixture(scope="module")
def tools() -> ToolSet:
    return mentor.tools.arithmetic()


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    suite = open_suite("arithmetic")
    return suite.draw("in_domain", 6, seed=5, tools=suite.open_tools(), exclude=())


@pytest.fixture
def file(tasks: list[Task], tmp_path: Path) -> Path:
    path = tmp_path / "tasks.jsonl"
    write_tasks(path, tasks)
    return path


@pytest.fixture
def endpoint(tasks: list[Task]) -> Iterator[Endpoint]:
    with serving(solver(tasks)) as served:
        yield served


def needed(tasks: list[Task], samples: int = 2) -> int:
    return samples * sum(len(task.reference["tool_calls"]) + 1 for task in tasks)


def start(endpoint: Endpoint, file: Path, output: Path, *options: str) -> subprocess.Popen[str]:
    arguments = [
        str(file),
        "--tools",
        "arithmetic",
        "-o",
        str(output),
        "--model",
        "teacher",
        "--base-url",
        endpoint.url,
    ]
    return subprocess.Popen(
        [*COMMAND, *arguments, "--samples", "2", "--concurrency", "3", "--retries", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENAI_API_KEY": "k", "COLUMNS": "120"},
    )


def finish(process: subprocess.Popen[str], seconds: float = 60) -> tuple[int, str]:
    """Exit status and stderr."""
    with process:
        _, err = process.communicate(timeout=seconds)
    return process.returncode, err


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def replies(output: Path) -> int:
    journal = Path(f"{output}.journal.jsonl")
    return journal.read_text().count('"type":"reply"') if journal.exists() else 0


def each_was_answered_as_often_as_it_is_needed(endpoint: Endpoint) -> None:
    """A task's two samples send the same requests here: each is to be answered twice."""
    counts = Counter(json.dumps(body["messages"]) for body in endpoint.answered)
    assert set(counts.values()) == {2}


def test_kill_9_pays_nothing_twice(
    endpoint: Endpoint, tasks: list[Task], tools: ToolSet, file: Path, tmp_path: Path
) -> None:
    output, whole = tmp_path / "o.jsonl", tmp_path / "whole.jsonl"
    for limit in (7, 16):  # killed twice, at different places
        endpoint.hold_after = len(endpoint.seen) + limit - len(endpoint.answered)
        endpoint.released.clear()
        process = start(endpoint, file, output)
        until(lambda: endpoint.now == 3 and replies(output) == len(endpoint.answered))
        process.kill()
        finish(process)
        assert not output.exists()
        paid = len(endpoint.answered)
        endpoint.fail = lambda number: "close"  # those under way when it was killed were never answered
        endpoint.released.set()
        until(lambda: endpoint.now == 0)
        assert len(endpoint.answered) == paid < needed(tasks)
        endpoint.fail = lambda number: None
    endpoint.hold_after = None
    assert finish(start(endpoint, file, output)) == (0, ANY)
    assert len(endpoint.answered) == needed(tasks)
    each_was_answered_as_often_as_it_is_needed(endpoint)
    run(endpoint, tasks, tools, output)
    assert len(endpoint.answered) == needed(tasks)  # all of it again, for nothing
    run(endpoint, tasks, tools, whole)
    assert output.read_bytes() == whole.read_bytes()


def test_ctrl_c_lets_requests_come_back(
    endpoint: Endpoint, tasks: list[Task], tools: ToolSet, file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "o.jsonl"
    endpoint.hold_after = 12
    process = start(endpoint, file, output)
    until(lambda: endpoint.now == 3)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None  # three replies are still to come
    endpoint.released.set()
    code, err = finish(process)
    assert code == 130, err
    assert "stopping when what is under way has come back" in err
    assert "the same command goes on from here" in err
    assert "Traceback" not in err
    assert len(endpoint.answered) == len(endpoint.seen) == replies(output) == 15
    assert 0 < len(output.read_text().splitlines()) < 6
    endpoint.hold_after = None
    run(endpoint, tasks, tools, output)
    assert len(output.read_text().splitlines()) == 6
    assert len(endpoint.answered) == needed(tasks)
    each_was_answered_as_often_as_it_is_needed(endpoint)


def test_a_second_ctrl_c_does_not_wait(endpoint: Endpoint, file: Path, tmp_path: Path) -> None:
    output = tmp_path / "o.jsonl"
    endpoint.hold_after = 9
    process = start(endpoint, file, output)
    until(lambda: endpoint.now == 3 and replies(output) == 9)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    code, err = finish(process, 20)
    assert code == 130, err
    assert "Traceback" not in err
    assert replies(output) == 9
    assert output.exists()


def run(endpoint: Endpoint, tasks: list[Task], tools: ToolSet, output: Path, **options: Any) -> TeachReport:
    again = options.pop("ask_again", False)
    settings = TeachSettings(**{"samples": 2, **options})
    client = Client("teacher", base_url=endpoint.url, api_key="k", retries=0, temperature=settings.temperature)
    return teach(assign(tasks, tools), client, tools=tools, output=output, settings=settings, ask_again=again)


def test_more_samples_and_tasks_pay_for_the_new_ones_only(
    endpoint: Endpoint, tasks: list[Task], tools: ToolSet, tmp_path: Path
) -> None:
    output = tmp_path / "o.jsonl"
    run(endpoint, tasks[:3], tools, output, samples=1)
    assert len(endpoint.answered) == needed(tasks[:3], 1)
    run(endpoint, tasks, tools, output, samples=1, concurrency=2, max_failures=5)
    assert len(endpoint.answered) == needed(tasks, 1)
    report = run(endpoint, tasks, tools, output, samples=2)
    assert len(endpoint.answered) == needed(tasks, 2)
    assert [task.meta["right"] for task in report.tasks] == [2] * 6


def test_other_settings_are_an_error_or_asked_again(
    endpoint: Endpoint, tasks: list[Task], tools: ToolSet, tmp_path: Path
) -> None:
    output = tmp_path / "o.jsonl"
    run(endpoint, tasks, tools, output)
    with pytest.raises(
        InputError, match=r"made with other settings: temperature was None and is 0\.5; go back to them"
    ):
        run(endpoint, tasks, tools, output, temperature=0.5)
    with pytest.raises(InputError, match="made with other settings: tools was"):
        run(endpoint, tasks, tools + ToolSet.from_source('def one() -> int:\n    """One."""\n    return 1'), output)
    assert len(endpoint.answered) == needed(tasks)
    run(endpoint, tasks, tools, output, temperature=0.5, ask_again=True)
    assert len(endpoint.answered) == 2 * needed(tasks)
    run(endpoint, tasks, tools, output, ask_again=True)  # back: what was paid then is still there
    assert len(endpoint.answered) == 2 * needed(tasks)
    # A task that was changed under its id is another request.
    changed = [
        Task(id=tasks[0].id, prompt=tasks[1].prompt, tools=tasks[1].tools, reference=tasks[1].reference),
        *tasks[1:],
    ]
    run(endpoint, changed, tools, output)
    assert len(endpoint.answered) == 2 * needed(tasks) + needed(tasks[1:2])


def test_a_limit_of_requests_holds_over_all_runs(
    endpoint: Endpoint, tasks: list[Task], tools: ToolSet, tmp_path: Path
) -> None:
    output = tmp_path / "o.jsonl"
    report = run(endpoint, tasks, tools, output, max_requests=10, concurrency=2)
    assert (report.stopped, len(endpoint.seen)) == ("limit", 10)
    assert 0 < len(report.tasks) < 6
    assert report.open == 6 - len(report.tasks)
    assert report.rejected is None
    run(endpoint, tasks, tools, output, max_requests=13, concurrency=2)
    assert len(endpoint.seen) == 13
    report = run(endpoint, tasks, tools, output)
    assert (report.stopped, len(report.tasks), len(endpoint.answered)) == ("", 6, needed(tasks))


def test_a_limit_of_cost_is_never_passed(endpoint: Endpoint, tasks: list[Task], tools: ToolSet, tmp_path: Path) -> None:
    output = tmp_path / "o.jsonl"
    # A reply costs 100 tokens in and 7 out, 0.0137; at most it could cost much more, and that counts beforehand.
    prices = {"price_in": 67.0, "price_out": 1000.0, "max_tokens": 60}
    limit = 0.0137 * 9 + 0.2
    report = run(endpoint, tasks, tools, output, max_cost=limit, **prices)
    assert report.stopped == "limit"
    assert report.progress.cost == pytest.approx(0.0137 * len(endpoint.answered))
    assert 0.02 < report.progress.cost <= limit
    before = len(endpoint.answered)
    run(endpoint, tasks, tools, output, max_cost=limit, **prices)
    assert len(endpoint.answered) == before  # what earlier runs cost counts
    report = run(endpoint, tasks, tools, output, max_cost=100, **prices)
    assert (report.stopped, len(endpoint.answered)) == ("", needed(tasks))
    assert report.progress.cost == pytest.approx(0.0137 * needed(tasks))


def test_a_torn_last_line_is_cut_off(endpoint: Endpoint, tasks: list[Task], tools: ToolSet, tmp_path: Path) -> None:
    output, journal = tmp_path / "o.jsonl", tmp_path / "o.jsonl.journal.jsonl"
    run(endpoint, tasks, tools, output)
    data = journal.read_bytes()
    lines = data.splitlines(keepends=True)
    journal.write_bytes(data[: -len(lines[-1]) // 2])
    run(endpoint, tasks, tools, output)
    assert len(endpoint.answered) == needed(tasks) + 1  # the torn one
    assert sorted(journal.read_bytes().splitlines(keepends=True)) == sorted(lines)
    lines[3] = lines[3][:40] + b"\n"
    journal.write_bytes(b"".join(lines))
    with pytest.raises(DataError, match=r"o\.jsonl\.journal\.jsonl:4: damaged: half-written JSON.*remove this line"):
        run(endpoint, tasks, tools, output)
    lines[3] = b'{"type":"reply","task":"1"}\n'
    journal.write_bytes(b"".join(lines))
    with pytest.raises(DataError, match=r"jsonl:4: damaged: lacks 'sample'"):
        run(endpoint, tasks, tools, output)
    del lines[3]
    journal.write_bytes(b"".join(lines))
    run(endpoint, tasks, tools, output)
    assert len(endpoint.answered) == needed(tasks) + 2


def test_a_journal_belongs_to_one_run(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, {"a": 1}), pytest.raises(InputError, match="another run is writing to it"):
        Journal(path, {"a": 1})
    with Journal(path, {"a": 1}) as journal:
        assert len(journal) == 0


def test_replies_at_once_are_all_on_disk_before_they_are_used(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"

    async def one(journal: Journal, at: int) -> None:
        await journal.append(("task", at, 0), "hash", Reply(content=str(at)).to_dict())
        assert f'"content":"{at}"' in path.read_text()

    async def all_of_them(journal: Journal) -> None:
        await asyncio.gather(*(one(journal, at) for at in range(50)))

    with Journal(path, {}) as journal:
        asyncio.run(all_of_them(journal))
    with Journal(path, {}) as journal:
        assert len(journal) == 50
        known = journal.reply(("task", 7, 0), "hash")
        assert known is not None
        assert Reply.from_dict(known).content == "7"
        assert journal.reply(("task", 7, 0), "other") is None


def test_a_full_disk_ends_the_run_and_nothing_unwritten_is_used(
    endpoint: Endpoint, tasks: list[Task], tools: ToolSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "o.jsonl"
    written = Journal._write

    def full(self: Journal, data: bytes) -> None:
        if self.path.stat().st_size > 2000:
            raise OSError(28, "No space left on device")
        written(self, data)

    monkeypatch.setattr(Journal, "_write", full)
    with pytest.raises(DataError, match=r"cannot be written: .*No space left on device"):
        run(endpoint, tasks, tools, output, concurrency=1)
    kept = replies(output)
    assert len(endpoint.answered) == kept + 1  # one reply was lost to the disk; the next was not asked for
    monkeypatch.undo()
    run(endpoint, tasks, tools, output)
    assert len(endpoint.answered) == needed(tasks) + 1


def test_cancelling_gives_up_and_writes_what_is_decided(
    endpoint: Endpoint, tasks: list[Task], tools: ToolSet, tmp_path: Path
) -> None:
    output = tmp_path / "o.jsonl"
    endpoint.hold_after = 14

    async def cancelled() -> TeachReport:
        client = Client("teacher", base_url=endpoint.url, api_key="k", retries=0)
        work = asyncio.ensure_future(
            ateach(assign(tasks, tools), client, tools=tools, output=output, settings=TeachSettings(concurrency=2))
        )
        while endpoint.now < 2:
            await asyncio.sleep(0.02)
        work.cancel()
        return await work

    report = asyncio.run(cancelled())
    assert report.stopped == "interrupted"
    assert 0 < len(report.tasks) < 6
    assert replies(output) == 14


def cli(*arguments: str, key: str = "") -> Result:
    return CliRunner(env={"OPENAI_API_KEY": key, "COLUMNS": "120"}).invoke(main, ["teach", *arguments])


def test_the_command_shows_what_it_did(endpoint: Endpoint, tasks: list[Task], file: Path, tmp_path: Path) -> None:
    output = tmp_path / "o.jsonl"
    common = [str(file), "--tools", "arithmetic", "-o", str(output), "--model", "teacher", "--base-url", endpoint.url]
    dry = cli(*common, "--dry-run", "--samples", "2", "--price-in", "1", "--price-out", "10")
    assert dry.exit_code == 0, dry.stderr
    assert "first request, to teacher" in dry.stderr
    assert f"6 tasks, 2 samples each: about {needed(tasks)} requests" in " ".join(dry.stderr.split())
    assert (len(endpoint.seen), output.exists(), Path(f"{output}.journal.jsonl").exists()) == (0, False, False)
    done = cli(*common, "--samples", "2", "--price-in", "1", "--price-out", "10", "--stream")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"{output}\n"
    told = " ".join(done.stderr.split())
    number = needed(tasks)
    assert re.search(rf"with a reference .{{1,5}} 6 .*requests .{{1,5}} {number} ", told)
    assert f"{100 * number:,} in, {7 * number:,} out" in told
    assert f"{(100 * number + 70 * number) / 1e6:.4f}" in told
    valid = CliRunner().invoke(main, ["validate", str(output), "--tools", "arithmetic", "--execute", "--strict"])
    assert (valid.exit_code, "no problems" in valid.output) == (0, True), valid.output


def test_the_command_without_a_teacher_takes_the_suites_solver(tmp_path: Path) -> None:
    output = tmp_path / "o.jsonl"
    done = cli("--suite", "arithmetic", "--split", "in_domain", "--count", "5", "-o", str(output))
    assert done.exit_code == 0, done.stderr
    assert len(output.read_text().splitlines()) == 5


def test_wrong_usage_is_one_line(file: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "o.jsonl")
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "?", "tools": ["plus"]}')
    unknown = tmp_path / "unknown.jsonl"
    unknown.write_text('{"prompt": "?"}')
    misspelt = tmp_path / "misspelt.jsonl"
    misspelt.write_text('{"prompt": "!", "answer": "1"}\n{"id": "r3", "prompt": "?", "refrence": {"answer": "1"}}')
    for arguments, message in (
        (
            [str(misspelt), "--tools", "arithmetic", "-o", output],
            "misspelt.jsonl:2: task r3: its answer is not known (is 'reference' meant by 'refrence'?); "
            "say how to accept one (--accept majority, --accept any), or mend the row",
        ),
        ([str(file), "--tools", "tools.p", "-o", output], "and Python files (.py)"),
        ([str(file), "--tools", "arithmetic", "-o", output, "--local", "nosuch"], "model 'nosuch': no such folder"),
        ([str(bad), "--tools", "arithmetic", "-o", output, "--local", "nosuch"], "bad.jsonl:1: tools[0]"),
        (["-o", output], "say what to teach"),
        (["--suite", "arithmetik", "-o", output], "did you mean 'arithmetic'?"),
        (
            ["--suite", "arithmetic", "--split", "deep", "-o", output],
            "--split: there is no 'deep'; there are: in_domain",
        ),
        ([str(file), "-o", output], "--tools: say which tools"),
        ([str(file), "--tools", "none", "-o", output], "--tools: there is no 'none'; there are: "),
        ([str(file), "--tools", "none.py", "-o", output], "none.py: no such file"),
        ([str(file), "--tools", "arithmetic", "-o", "o.txt"], "the ending '.txt' is unknown"),
        ([str(file), "--tools", "arithmetic", "-o", "no/folder.jsonl"], "the folder"),
        ([str(file), "--tools", "arithmetic", "-o", output, "--model", "m"], "OPENAI_API_KEY is not set"),
        ([str(file), "--tools", "arithmetic", "-o", output, "--model", "m", "--solver"], "one teacher is wanted"),
        ([str(file), "--tools", "arithmetic", "-o", output, "--base-url", "http://x"], "--model is wanted as well"),
        ([str(file), "--tools", "arithmetic", "-o", output, "--max-cost", "1"], "the prices are needed"),
        ([str(bad), "--tools", "arithmetic", "-o", output], "bad.jsonl:1: tools[0]: 'plus' is none of the tools"),
        ([str(unknown), "--tools", "arithmetic", "-o", output], "task 1: its answer is not known"),
        (
            [
                str(file),
                "--tools",
                "arithmetic",
                "-o",
                output,
                "--model",
                "m",
                "--base-url",
                "http://x",
                "--extra-body",
                "[]",
            ],
            "extra-body: a JSON object is wanted",
        ),
    ):
        done = cli(*arguments)
        assert done.exit_code == 2, (arguments, done.output, done.exception)
        assert message in " ".join(done.output.split()), (arguments, done.output)
        assert not Path(output).exists()


def test_nothing_kept_and_a_dead_endpoint_are_failures(file: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "o.jsonl")
    common = [str(file), "--tools", "arithmetic", "-o", output, "--model", "m", "--retries", "0"]
    with serving(lambda body: says("\\boxed{77777}")) as endpoint:
        done = cli(*common, "--base-url", endpoint.url)
        assert (done.exit_code, "no task has a reference" in done.stderr) == (1, True), done.stderr
        endpoint.fail = lambda number: "key"
        done = cli(*common, "--base-url", endpoint.url, "--ask-again", "--temperature", "1", key="wrong")
    assert done.exit_code == 1
    assert "refuses all requests: 401 Incorrect API key provided; check the API key" in " ".join(done.stderr.split())
    assert "wrong" not in Path(f"{output}.journal.jsonl").read_text()
    assert "Traceback" not in done.stderr
    done = cli(
        *common[:3], "-o", str(tmp_path / "p.jsonl"), *common[5:], "--base-url", endpoint.url, "--max-failures", "2"
    )
    assert done.exit_code == 1
    told = f"nothing listens at {endpoint.url}, the connection is refused; check the base URL (it ends in /v1"
    assert told in " ".join(done.stderr.split())
    assert not (tmp_path / "p.jsonl").exists()


def test_a_run_that_stops_early_leaves_no_less_than_the_one_before(
    endpoint: Endpoint, tasks: list[Task], tools: ToolSet, tmp_path: Path
) -> None:
    output = tmp_path / "o.jsonl"
    assert len(run(endpoint, tasks, tools, output, samples=1).tasks) == 6
    paid = needed(tasks, 1)
    # The second sample of the first task is one too many; the other tasks have their first ones.
    report = run(endpoint, tasks, tools, output, samples=2, max_requests=paid, concurrency=1)
    assert (report.stopped, [task.id for task in report.tasks]) == ("limit", [task.id for task in tasks])
    endpoint.fail = lambda number: "key"
    with pytest.raises(ModelError, match="401"):
        run(endpoint, tasks, tools, output, samples=2, concurrency=1)
    assert len(list(read_tasks(output))) == 6
    assert (len(endpoint.answered), len(endpoint.seen)) == (paid, paid + 1)


def test_a_journal_with_a_reply_that_cannot_be_read_names_its_line(
    endpoint: Endpoint, tasks: list[Task], tools: ToolSet, tmp_path: Path
) -> None:
    output, journal = tmp_path / "o.jsonl", tmp_path / "o.jsonl.journal.jsonl"
    run(endpoint, tasks[:1], tools, output, samples=1)
    lines = journal.read_text().splitlines(keepends=True)
    row = json.loads(lines[1])
    del row["reply"]["tool_calls"]
    journal.write_text("".join([lines[0], json.dumps(row) + "\n", *lines[2:]]))
    with pytest.raises(DataError, match=r"journal\.jsonl:2: damaged: lacks 'tool_calls'; remove this line"):
        run(endpoint, tasks[:1], tools, output, samples=1)


def test_the_tasks_are_not_written_over(file: Path, tmp_path: Path) -> None:
    before = file.read_bytes()
    output = tmp_path / "o.jsonl"
    rejected = Path(f"{output}.rejected.jsonl")
    rejected.write_bytes(before)
    for tasks, to in ((file, file), (file, tmp_path / "." / file.name), (rejected, output)):
        done = cli(str(tasks), "--tools", "arithmetic", "-o", str(to))
        assert (done.exit_code, "this file is read; give the output another name" in done.stderr) == (2, True)
    assert (file.read_bytes(), rejected.read_bytes(), output.exists()) == (before, before, False)


def test_a_dry_run_refuses_what_a_run_refuses(tmp_path: Path) -> None:
    asked, output = tmp_path / "asked.jsonl", str(tmp_path / "o.jsonl")
    asked.write_text('{"prompt": "?"}')
    model = ("--model", "m", "--base-url", "http://127.0.0.1:9/v1")
    done = cli(str(asked), "--tools", "arithmetic", "-o", output, *model, "--dry-run")
    assert (done.exit_code, "its answer is not known" in done.stderr) == (2, True)
    asked.write_text('{"prompt": "?", "answer": 4}')
    planned = cli(str(asked), "--tools", "arithmetic", "-o", output, "--model", "m", "--dry-run", key="")
    assert (planned.exit_code, "nothing was asked" in planned.stderr) == (0, True)  # a plan needs no key
    done = cli(str(asked), "--tools", "arithmetic", "-o", output)
    assert (done.exit_code, "no teacher is named" in done.stderr) == (2, True)


def test_a_journal_without_a_reply_blocks_nothing(file: Path, endpoint: Endpoint, tmp_path: Path) -> None:
    output = tmp_path / "o.jsonl"
    common = [str(file), "--tools", "arithmetic", "-o", str(output), "--base-url", endpoint.url]
    endpoint.fail = lambda number: "model"
    done = cli(*common, "--model", "techer")
    assert done.exit_code == 1
    assert f"check the model's name and the base URL {endpoint.url} (it ends in /v1" in " ".join(done.stderr.split())
    assert not output.exists()
    endpoint.fail = lambda number: None
    done = cli(*common, "--model", "teacher")
    assert done.exit_code == 0, done.output
    assert len(output.read_text().splitlines()) == 6


def test_a_server_that_is_down_is_named_soon_and_one_that_comes_up_is_waited_for(file: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    output = tmp_path / "o.jsonl"
    common = [str(file), "--tools", "arithmetic", "-o", str(output), "--model", "m"]
    began = time.monotonic()
    done = cli(*common, "--base-url", f"http://127.0.0.1:{port}/v1", "--retries", "0")
    assert (done.exit_code, f"nothing listens at http://127.0.0.1:{port}/v1" in done.stderr) == (1, True), done.stderr
    assert time.monotonic() - began < 15

    def listen() -> None:
        time.sleep(1)
        with socket.create_server(("127.0.0.1", port)):
            time.sleep(2)

    late = threading.Thread(target=listen)
    late.start()
    asyncio.run(Client("m", base_url=f"http://127.0.0.1:{port}/v1", api_key="k")._reach())
    late.join()
