"""mentor.teach with a local model: one that was built here and has learned trajectories by heart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from click.testing import CliRunner

import mentor
from mentor.cli import main
from mentor.data import Task, read_tasks, write_tasks
from mentor.models.tiny import ModelShape, build_model, build_tokenizer
from mentor.teach import Local, Reply, Request, TeachReport, TeachSettings, assign, teach
from mentor.teach.choose import reference_task
from mentor.teach.conversation import Sample
from mentor.teach.execution import Executor
from mentor.teach.verify import Verdict, verify
from mentor.tools import ToolSet
from mentor.train.supervised import Fit, encode, fit
from mentor.train.tasks import dataset_tools, to_row

pytestmark = pytest.mark.train

CALLS = [{"name": "add", "arguments": {"a": 34, "b": 12}}, {"name": "multiply", "arguments": {"a": 46, "b": 3}}]
TASKS = [
    Task(
        id="two",
        prompt="What is 34 plus 12, times 3?",
        tools=("add", "multiply"),
        reference={"answer": "138", "tool_calls": []},
    ),
    Task(id="odd", prompt="Add 5 to 6!", tools=("add", "multiply"), reference={"answer": "11", "tool_calls": []}),
]


def asked(call: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": call}]}


def told(name: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "name": name, "content": text}


SOLVED = [
    asked(CALLS[0]),
    told("add", "46"),
    asked(CALLS[1]),
    told("multiply", "138"),
    {"role": "assistant", "content": "The answer is \\boxed{138}."},
]
INVENTED = [
    asked({"name": "plus", "arguments": {"a": 5, "b": 6}}),
    told("plus", "error: unknown tool 'plus'; the tools are add, multiply"),
    {"role": "assistant", "content": "The answer is \\boxed{7}."},
]


@pytest.fixture(scope="module")
def tools() -> mentor.ToolSet:
    return mentor.tools.arithmetic().only("add", "multiply")


@pytest.fixture(scope="module")
def folder(tools: mentor.ToolSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    prompts = [str(task.prompt) for task in TASKS]
    tokenizer = build_tokenizer(
        [f"{' '.join(prompts)} add multiply plus The answer is . error: unknown tool; the tools are"] * 3,
        ModelShape(vocabulary=420),
    )
    model = build_model(tokenizer, ModelShape(hidden=64, layers=2, heads=2), seed=0)
    learned = [
        [{"role": "user", "content": prompt}, *done] for prompt, done in zip(prompts, (SOLVED, INVENTED), strict=True)
    ]
    settings = Fit(steps=150, batch=2, window=1, learning_rate=1e-2, muon_rate=0.04)
    losses: list[float] = []
    examples = encode(tokenizer, learned, tools=tools.schemas)
    fit(model, examples, settings, pad=tokenizer.pad_token_id, on_step=lambda step, loss, _: losses.append(loss))
    assert losses[-1] < 0.01 < losses[0]
    path = tmp_path_factory.mktemp("teacher") / "model"
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def run(
    folder: Path, tools: mentor.ToolSet, output: Path, *, temperature: float | None = None, **options: Any
) -> TeachReport:
    settings = TeachSettings(**{"system": "", "max_tokens": 200, "temperature": temperature, **options})
    teacher = Local(folder, temperature=temperature, seed=1)
    return teach(assign(TASKS, tools), teacher, tools=tools, output=output, settings=settings)


def test_a_local_teacher_is_rolled_out_and_verified(folder: Path, tools: mentor.ToolSet, tmp_path: Path) -> None:
    output = tmp_path / "o.jsonl"
    report = run(folder, tools, output)
    (task,) = read_tasks(output)
    assert (task.id, task.reference["tool_calls"], task.meta["results"]) == ("two", CALLS, ["46", "138"])
    assert task.reference["messages"] == SOLVED
    assert (task.meta["teacher"], task.meta["right"]) == ("model", 1)
    assert dict(report.reasons) == {"wrong answer": 1}
    assert report.progress.tokens_out > task.meta["tokens"] > 20
    again = run(folder, tools, output)
    assert (report.progress.asked, again.progress.asked, again.progress.replayed) == (2, 0, 2)


def test_batches_and_interruptions_change_nothing(folder: Path, tools: mentor.ToolSet, tmp_path: Path) -> None:
    outputs = [tmp_path / f"{name}.jsonl" for name in ("whole", "single", "cut")]
    for output, size in zip(outputs, (2, 1, 1), strict=True):
        run(folder, tools, output, samples=3, temperature=5.0, concurrency=size)
    journal = Path(f"{outputs[2]}.journal.jsonl")
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:4]))  # settings and three samples
    outputs[2].unlink()
    report = run(folder, tools, outputs[2], samples=3, temperature=5.0, concurrency=1)
    assert (report.progress.asked, report.progress.replayed) == (3, 3)
    texts = {output.read_text() for output in outputs}
    assert len(texts) == 1
    rows = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    samples = [json.dumps(row["reply"]["rollout"]) for row in rows if row["task"] == "two"]
    assert len(samples) == 3
    assert len(set(samples)) > 1  # each sample is drawn anew


def test_the_budget_of_a_sample(folder: Path, tools: mentor.ToolSet, tmp_path: Path) -> None:
    report = run(folder, tools, tmp_path / "o.jsonl", max_tokens=20)
    assert (report.tasks, dict(report.reasons)) == ([], {"out of tokens": 2})


def test_the_command(folder: Path, tmp_path: Path) -> None:
    tasks, output = tmp_path / "tasks.jsonl", tmp_path / "o.jsonl"
    write_tasks(tasks, TASKS)
    arguments = ["teach", str(tasks), "--tools", "arithmetic", "-o", str(output), "--system", "", "--max-tokens", "200"]
    done = CliRunner().invoke(main, [*arguments, "--local", str(folder)])
    assert done.exit_code == 0, done.output
    assert [task.id for task in read_tasks(output)] == ["two"]
    missing = CliRunner().invoke(main, [*arguments, "--local", str(tmp_path)])
    assert (missing.exit_code, "no config.json there" in " ".join(missing.output.split())) == (2, True)
    nowhere = CliRunner().invoke(main, [*arguments, "--local", str(tmp_path / "none")])
    assert (nowhere.exit_code, "no such folder" in " ".join(nowhere.output.split())) == (2, True)


def judged(tools: mentor.ToolSet, *messages: dict[str, Any]) -> Verdict:
    (assignment,) = assign(TASKS[:1], tools)
    sample = Sample(number=0, messages=list(messages))
    return asyncio.run(verify(assignment, [sample], Executor(tools), TeachSettings()))[0]


def test_calls_that_a_model_wrote_as_text_are_read_like_a_students(tools: mentor.ToolSet) -> None:
    def text(call: str) -> dict[str, Any]:
        return {"role": "assistant", "content": f"<tool_call>\n{call}\n</tool_call>"}

    verdict = judged(
        tools,
        text('{"name": "add", "arguments": {"a": 34, "b": 12'),
        told("error", "error: the call is no JSON"),
        text(json.dumps(CALLS[0])),
        told("add", "46"),
        text(json.dumps(CALLS[1])),
        told("multiply", "138"),
        SOLVED[-1],
    )
    assert (verdict.reason, verdict.calls, verdict.results, verdict.faults) == ("", CALLS, ["46", "138"], 1)
    (assignment,) = assign(TASKS[:1], tools)
    messages = reference_task(assignment, [verdict], verdict, "teacher").reference["messages"]
    assert messages == verdict.sample.messages[2:]  # without the turn that failed


def test_results_that_the_tools_do_not_give_are_found(tools: mentor.ToolSet) -> None:
    verdict = judged(tools, asked(CALLS[0]), told("add", "138"), SOLVED[-1])
    assert verdict.reason == "results differ"
    assert verdict.detail == "add gave 138, and 46 when it was executed again"


def test_only_what_is_missing_of_a_batch_is_played(folder: Path, tools: mentor.ToolSet, tmp_path: Path) -> None:
    output = tmp_path / "o.jsonl"
    whole = run(folder, tools, output, samples=2, temperature=5.0, concurrency=2)
    text = output.read_text()
    journal = Path(f"{output}.journal.jsonl")
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]))  # killed while the last batch was written
    report = run(folder, tools, output, samples=2, temperature=5.0, concurrency=2)
    assert (whole.progress.asked, report.progress.asked, report.progress.replayed) == (4, 1, 3)
    assert output.read_text() == text


def test_a_limit_leaves_what_was_played(folder: Path, tools: mentor.ToolSet, tmp_path: Path) -> None:
    output = tmp_path / "o.jsonl"
    run(folder, tools, output, concurrency=1)
    report = run(folder, tools, output, concurrency=1, samples=2, max_requests=2)
    assert (report.stopped, report.progress.asked) == ("limit", 0)
    assert [task.id for task in report.tasks] == ["two"]


class Odd:
    """A player whose parser reads what no file takes."""

    name, paid = "odd", True

    def settings(self) -> dict[str, Any]:
        return {}

    def body(self, request: Request) -> dict[str, Any]:
        return {"task": request.assignment.id}

    def play(self, requests: Sequence[Request], *, first: int, tools: ToolSet, settings: TeachSettings) -> list[Reply]:
        deep: Any = []
        for _ in range(300):
            deep = [deep]
        odd = [asked({"name": "add", "arguments": {"a": value, "b": 1}}) for value in (2**70, "\ud800", deep)]
        return [Reply(rollout=(*odd, *SOLVED)) for _ in requests]

    async def close(self) -> None:
        pass


def test_arguments_that_no_file_takes_are_kept_as_text(tools: mentor.ToolSet, tmp_path: Path) -> None:
    output = tmp_path / "o.jsonl"
    for replayed in (0, 2):
        report = teach(assign(TASKS, tools), Odd(), tools=tools, output=output, settings=TeachSettings())
        assert [task.reference["tool_calls"] for task in report.tasks] == [CALLS]
        assert (report.progress.replayed, dict(report.reasons)) == (replayed, {"wrong answer": 1})
    assert list(read_tasks(output)) == report.tasks
    (rejected,) = Path(f"{output}.rejected.jsonl").read_text().splitlines()
    calls = json.loads(rejected)["samples"][0]["messages"][0]["tool_calls"]
    assert calls[0]["function"]["arguments"] == '{"a": 1180591620717411303424, "b": 1}'


def test_references_of_own_tools_can_be_trained_on(tmp_path: Path) -> None:
    """A task file does not say what its tools are; the references do."""
    source = tmp_path / "tools.py"
    source.write_text(
        'def shift(a: int, b: int) -> int:\n    """Add oddly.\n\n    Args:\n        a: One.\n        b: Two.\n    """\n'
        "    return a + b + 100\n"
    )
    tasks, output = tmp_path / "tasks.jsonl", tmp_path / "o.jsonl"
    call = {"name": "shift", "arguments": {"a": 1, "b": 2}}
    write_tasks(tasks, [Task(id="1", prompt="?", tools=("shift",), reference={"answer": "103", "tool_calls": [call]})])
    done = CliRunner().invoke(main, ["teach", str(tasks), "--tools", str(source), "-o", str(output)])
    assert done.exit_code == 0, done.output
    found = dataset_tools(read_tasks(output))
    assert found.call("shift", call["arguments"]).value == 103
    assert found.call("subtract", {"a": 3, "b": 2}).value == 1
    begun = Task(
        id="1", prompt="?", tools=(), reference={"answer": "1", "tool_calls": []}, meta={"setup": [{"name": "f"}]}
    )
    assert to_row(begun, found)["setup"] == [{"name": "f", "arguments": {}}]
