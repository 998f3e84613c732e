"""mentor.teach against a real server on this machine that plays the endpoint, with its faults."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mentor
from mentor.data import Task, read_tasks, write_table
from mentor.errors import ConfigError, DataError, InputError, ModelError
from mentor.suites import SUITES, open_suite
from mentor.teach import Assignment, Solver, TeachReport, TeachSettings, assign, read_assignments, teach
from mentor.teach import Endpoint as Client
from mentor.tools import ToolSet
from teacher_server import Body, Endpoint, asked, call, results, says, serving, solver

TASK = Task(
    id="sum", prompt="What is 2 + 3, times 4?", tools=("add", "multiply"), reference={"answer": "20", "tool_calls": []}
)
PLAN = [call("add", {"a": 2, "b": 3}), call("multiply", {"a": 5, "b": 4})]


@pytest.fixture(scope="module")
def tools() -> ToolSet:
    return mentor.tools.arithmetic()


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    suite = open_suite("arithmetic")
    return suite.draw("in_domain", 8, seed=3, tools=suite.open_tools(), exclude=())


def client(endpoint: Endpoint, **options: Any) -> Client:
    return Client("teacher", base_url=endpoint.url, api_key="secret", **{"timeout": 10, "retries": 3, **options})


def run(
    endpoint: Endpoint, tools: ToolSet, output: Path, tasks: list[Task] | list[Assignment] | None = None, **options: Any
) -> TeachReport:
    """Teach; options of the client go to it, the others are settings."""
    of_client = {name: options.pop(name) for name in ("stream", "timeout", "retries", "extra") if name in options}
    again = options.pop("ask_again", False)
    work = [TASK] if tasks is None else tasks
    given = work if isinstance(work[0], Assignment) else assign(work, tools)  # type: ignore[arg-type]
    settings = TeachSettings(**options)
    teacher = client(endpoint, temperature=settings.temperature, **of_client)
    return teach(given, teacher, tools=tools, output=output, settings=settings, ask_again=again)


def script(*turns: Body) -> Callable[[Body], Body]:
    """A teacher who says the same whatever the results are: one reply per turn."""
    return lambda body: turns[sum(message["role"] == "assistant" for message in body["messages"])]


def reasons(report: TeachReport) -> dict[str, int]:
    return dict(report.reasons)


@pytest.mark.parametrize("stream", [False, True])
def test_a_teacher_who_solves_with_tools(tools: ToolSet, tasks: list[Task], tmp_path: Path, stream: bool) -> None:
    output = tmp_path / "references.jsonl"
    with serving(solver(tasks)) as endpoint:
        report = run(endpoint, tools, output, tasks, stream=stream)
    assert (len(report.tasks), report.stopped, report.open, report.rejected) == (8, "", 0, None)
    calls = sum(len(task.reference["tool_calls"]) for task in tasks)
    assert report.progress.asked == len(endpoint.answered) == calls + 8
    assert (report.progress.tokens_in, report.progress.tokens_out) == (100 * (calls + 8), 7 * (calls + 8))
    assert endpoint.keys == {"Bearer secret"}
    assert all(bool(body.get("stream")) is stream for body in endpoint.seen)
    written = list(read_tasks(output))
    assert [task.id for task in written] == [task.id for task in tasks]
    for task, made in zip(tasks, written, strict=True):
        assert made.reference["tool_calls"] == task.reference["tool_calls"]
        assert made.reference["answer"] == task.reference["answer"]
        assert (made.prompt, made.tools) == (task.prompt, task.tools)
        told = [message["content"] for message in made.reference["messages"] if message["role"] == "tool"]
        assert made.meta["results"] == told == task.meta["results"]
        assert (made.meta["teacher"], made.meta["samples"], made.meta["right"]) == ("teacher", 1, 1)
        assert made.meta["tokens"] == 7 * (len(told) + 1)
    scores = mentor.score_batch(
        [task.reference["messages"] for task in written], [dict(task.reference) for task in written], tools=tools.names
    )
    assert set(scores.reward) == {1.0}  # the teacher earns full marks against itself


def test_what_the_teacher_is_sent(tools: ToolSet, tmp_path: Path) -> None:
    with serving(script(says(None, PLAN[0]), says(None, PLAN[1]), says("\\boxed{20}"))) as endpoint:
        run(endpoint, tools, tmp_path / "o.jsonl", temperature=0.5, extra={"top_p": 0.9}, max_tokens=50)
    first, second, _ = endpoint.seen
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert "\\boxed" in first["messages"][0]["content"]
    assert first["tools"] == tools.only("add", "multiply").schemas
    assert (first["model"], first["temperature"], first["top_p"], first["max_tokens"]) == ("teacher", 0.5, 0.9, 50)
    assert second["max_tokens"] == 50 - 7
    assert second["messages"][2:] == [
        {"role": "assistant", "content": None, "tool_calls": [PLAN[0]]},
        {"role": "tool", "tool_call_id": "call_0", "content": "5"},
    ]


def test_a_system_message_of_the_task_stays(tools: ToolSet, tmp_path: Path) -> None:
    prompt = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 3?"})
    task = Task(id="1", prompt=prompt, tools=("add",), reference={"answer": 5, "tool_calls": []})
    with serving(script(says(None, PLAN[0]), says("\\boxed{5}"))) as endpoint:
        report = run(endpoint, tools, tmp_path / "o.jsonl", [task], system="Use tools.")
    assert endpoint.seen[0]["messages"][0] == {"role": "system", "content": "Be brief.\n\nUse tools."}
    assert report.tasks[0].prompt == prompt  # the student's prompt is the task's


@pytest.mark.parametrize(
    ("stream", "faults"),
    [
        (False, ["server", "server"]),
        (False, ["rate_soon", "server", "rate_soon"]),
        (False, ["close"]),
        (False, ["hang"]),
        (False, ["broken", "html"]),
        (False, ["cut", "empty"]),
        (True, ["server", "rate_soon"]),
        (True, ["close"]),
        (True, ["hang"]),
        (True, ["html", "stream_cut"]),
        (True, ["stream_short", "stream_broken"]),
        (True, ["stream_error"]),
    ],
)
def test_what_passes_is_tried_again(tools: ToolSet, tmp_path: Path, stream: bool, faults: list[str]) -> None:
    def fail(number: int) -> str | None:  # the second turn fails
        return faults[number - 1] if 1 <= number <= len(faults) else None

    play = script(says(None, PLAN[0]), says(None, PLAN[1]), says("\\boxed{20}"))
    with serving(play, fail=fail) as endpoint:
        report = run(endpoint, tools, tmp_path / "o.jsonl", stream=stream, timeout=1)
    assert len(report.tasks) == 1
    assert len(endpoint.answered) == 3
    assert len(endpoint.seen) == 3 + len(faults)
    assert len({json.dumps(body) for body in endpoint.seen}) == 3  # the same request again


def test_retry_after_is_heeded(tools: ToolSet, tmp_path: Path) -> None:
    play = script(says(None, PLAN[0]), says(None, PLAN[1]), says("\\boxed{20}"))
    with serving(play, fail=lambda number: "rate" if number == 0 else None) as endpoint:
        run(endpoint, tools, tmp_path / "o.jsonl")
    assert endpoint.times[1] - endpoint.times[0] >= 1


@pytest.mark.parametrize(
    ("stream", "fault", "reason", "retries"),
    [
        (False, "server", "server error", 2),
        (False, "rate_soon", "rate limited", 2),
        (False, "hang", "timeout", 0),
        (False, "close", "connection lost", 0),
        (False, "broken", "broken JSON", 1),
        (False, "html", "no chat completion", 0),
        (False, "empty", "no chat completion", 0),
        (False, "refused", "refused", 3),
        (True, "stream_cut", "cut off", 1),
        (True, "stream_short", "cut off", 0),
        (True, "stream_broken", "broken JSON", 0),
        (True, "stream_error", "server error", 0),
    ],
)
def test_what_does_not_pass_fails_the_sample_by_reason(
    tools: ToolSet, tmp_path: Path, stream: bool, fault: str, reason: str, retries: int
) -> None:
    other = Task(id="other", prompt="2 + 3?", tools=("add",), reference={"answer": 5, "tool_calls": []})

    def play(body: Body) -> Body:
        return says("\\boxed{5}") if results(body) else says(None, PLAN[0])

    with serving(play, fail=lambda number: fault if number <= tries else None) as endpoint:
        tries = 0 if reason == "refused" else retries
        report = run(
            endpoint,
            tools,
            tmp_path / "o.jsonl",
            [TASK, other],
            stream=stream,
            timeout=1,
            retries=retries,
            concurrency=1,
        )
    assert reasons(report) == {reason: 1}
    assert [task.id for task in report.tasks] == ["other"]
    assert len(endpoint.seen) == tries + 1 + 2
    rejected = [json.loads(line) for line in (tmp_path / "o.jsonl.rejected.jsonl").read_text().splitlines()]
    assert [(row["id"], row["reasons"]) for row in rejected] == [("sum", {reason: 1})]
    assert rejected[0]["samples"][0]["detail"]


def test_failed_requests_are_asked_again_by_the_next_run(tools: ToolSet, tmp_path: Path) -> None:
    output = tmp_path / "o.jsonl"
    play = script(says(None, PLAN[0]), says(None, PLAN[1]), says("\\boxed{20}"))
    with serving(play, fail=lambda number: "server" if number in (1, 2) else None) as endpoint:
        first = run(endpoint, tools, output, retries=1)
        second = run(endpoint, tools, output, retries=1)
    assert reasons(first) == {"server error": 1}
    assert len(second.tasks) == 1
    assert second.rejected is None
    assert not (tmp_path / "o.jsonl.rejected.jsonl").exists()
    assert (len(endpoint.answered), second.progress.replayed) == (3, 1)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("key", "401 Incorrect API key"),
        ("model", "404 The model `teacher`"),
        ("quota", "You exceeded your current quota"),
    ],
)
def test_a_refusal_of_everything_ends_the_run(
    tools: ToolSet, tasks: list[Task], tmp_path: Path, fault: str, message: str
) -> None:
    output = tmp_path / "o.jsonl"
    with serving(solver(tasks), fail=lambda number: fault if number >= 12 else None) as endpoint:
        with pytest.raises(ModelError, match=re.escape(message)):
            run(endpoint, tools, output, tasks, concurrency=1, retries=0)
        assert 0 < len(list(read_tasks(output))) < 8  # what was decided is there
        endpoint.fail = lambda number: None
        assert len(run(endpoint, tools, output, tasks, concurrency=1).tasks) == 8
    assert len(endpoint.answered) == sum(len(task.reference["tool_calls"]) + 1 for task in tasks)


def test_an_endpoint_that_is_down_ends_the_run(tools: ToolSet, tasks: list[Task], tmp_path: Path) -> None:
    with (
        serving(solver(tasks), fail=lambda number: "server") as endpoint,
        pytest.raises(ModelError, match=r"3 samples in a row failed, the last one: server error: 500 out of memory"),
    ):
        run(endpoint, tools, tmp_path / "o.jsonl", tasks, retries=0, max_failures=3, concurrency=1)
    assert len(endpoint.seen) == 3


def test_flawed_calls_are_answered_and_the_teacher_goes_on(tools: ToolSet, tmp_path: Path) -> None:
    turns = [
        says("First.", call("add", '{"a": 2, "b":')),
        says(None, call("sum", {"a": 2})),
        says(None, call("subtract", {"a": 2, "b": 1})),  # the task does not offer it
        says(None, call("add", {"a": "2", "b": [3]})),
        says(None, PLAN[0], call("add", {"a": 2}, 1), call("multiply", {"a": 5, "b": 4}, 2)),
        says("\\boxed{20}"),
    ]
    with serving(script(*turns)) as endpoint:
        report = run(endpoint, tools, tmp_path / "o.jsonl")
        strict = run(endpoint, tools, tmp_path / "p.jsonl", only_valid=True)
    last = endpoint.seen[5]["messages"]
    told = [message["content"] for message in last if message["role"] == "tool"]
    assert told[0].startswith("error: ") and "JSON" in told[0]
    assert told[1].startswith("error: unknown tool 'sum'")
    assert told[2].startswith("error: unknown tool 'subtract'")
    assert told[3].startswith("error: add: ")
    assert (told[4], told[6]) == ("5", "20")
    assert told[5] == "error: add lacks the argument 'b'"
    for message in last:
        for made in message.get("tool_calls", ()):
            assert isinstance(json.loads(made["function"]["arguments"]), dict)  # servers parse what they get back
    task = report.tasks[0]
    assert [made["name"] for made in task.reference["tool_calls"]] == ["add", "multiply"]
    assert (task.meta["failed_calls"], task.meta["results"]) == (5, ["5", "20"])
    kept = task.reference["messages"]
    assert [message["role"] for message in kept] == ["assistant", "tool", "tool", "assistant"]
    assert [made["function"] for made in kept[0]["tool_calls"]] == task.reference["tool_calls"]
    assert (strict.tasks, reasons(strict)) == ([], {"a call failed": 1})


LOOP = says(None, PLAN[0])


@pytest.mark.parametrize(
    ("turns", "settings", "reason"),
    [
        ([LOOP] * 9, {"max_turns": 3}, "out of turns"),
        ([LOOP] * 9, {"max_calls": 4}, "out of calls"),
        ([says(None, *[call("add", {"a": 1, "b": 2}, at) for at in range(9)])], {"max_calls": 8}, "out of calls"),
        ([LOOP] * 9, {"max_tokens": 20}, "out of tokens"),
        ([says("\\boxed{20", finish="length")], {}, "out of tokens"),
        ([says("", finish="content_filter")], {}, "filtered by the endpoint"),
        ([LOOP, says("\\boxed{21}")], {}, "wrong answer"),
        ([LOOP, says("It is 20.")], {}, "no answer"),
        ([LOOP, says("")], {}, "no answer"),
        ([says("\\boxed{20}")], {}, "too few calls"),
        ([LOOP, says("\\boxed{20}")], {"min_calls": 2}, "too few calls"),
        ([says('<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call>')], {}, "calls as text"),
    ],
)
def test_samples_that_cannot_be_references(
    tools: ToolSet, tmp_path: Path, turns: list[Body], settings: dict[str, int], reason: str
) -> None:
    with serving(script(*turns)) as endpoint:
        report = run(endpoint, tools, tmp_path / "o.jsonl", **settings)
    assert (report.tasks, reasons(report)) == ([], {reason: 1})
    assert len(endpoint.seen) <= 5


def test_an_answer_without_calls_is_taken_where_none_is_asked_for(tools: ToolSet, tmp_path: Path) -> None:
    with serving(script(says("\\boxed{20}"))) as endpoint:
        report = run(endpoint, tools, tmp_path / "o.jsonl", min_calls=0)
    assert report.tasks[0].reference["tool_calls"] == []


class Taking:
    """Gives each sample of a task a script of its own; a script is recognised by the first call it made."""

    def __init__(self, *scripts: list[Body]) -> None:
        self.scripts, self.begun = scripts, 0

    def __call__(self, body: Body) -> Body:
        spoken = [message for message in body["messages"] if message["role"] == "assistant"]
        if not spoken:
            self.begun += 1
            return self.scripts[self.begun - 1][0]
        first = json.loads(spoken[0]["tool_calls"][0]["function"]["arguments"])
        found = next(s for s in self.scripts if json.loads(_first(s)["function"]["arguments"]) == first)
        return found[len(spoken)]


def _first(turns: list[Body]) -> Body:
    made: Body = turns[0]["choices"][0]["message"]["tool_calls"][0]
    return made


def test_the_best_sample_is_kept(tools: ToolSet, tmp_path: Path) -> None:
    def turns(a: int, calls: int, answer: str, tokens: int) -> list[Body]:
        made = [says(None, call("add", {"a": a, "b": at}), tokens=tokens) for at in range(calls)]
        return [*made, says(f"\\boxed{{{answer}}}", tokens=tokens)]

    wrong = turns(1, 1, "7", 1)
    faulty = [says(None, call("add", {"a": 50})), says(None, PLAN[0]), says("\\boxed{20}")]
    longer, wordy, best = turns(2, 3, "20", 2), turns(3, 2, "20", 9), turns(4, 2, "20", 5)
    equal = turns(5, 2, "20", 5)  # as good as the best, but later
    for order in ([wrong, faulty, longer, wordy, best, equal], [best, equal, wordy, longer, faulty, wrong]):
        output = tmp_path / f"{id(order)}.jsonl"
        with serving(Taking(*order)) as endpoint:
            report = run(endpoint, tools, output, samples=6, concurrency=1)
        (task,) = report.tasks
        assert task.reference["tool_calls"][0]["arguments"]["a"] == 4
        assert (task.meta["samples"], task.meta["right"], task.meta["tokens"]) == (6, 5, 15)
        assert reasons(report) == {"wrong answer": 1}
    with serving(Taking(wrong, faulty)) as endpoint:
        (task,) = run(endpoint, tools, tmp_path / "last.jsonl", samples=2, concurrency=1).tasks
    assert task.meta["failed_calls"] == 1  # better than none


def test_tasks_without_a_known_answer(tools: ToolSet, tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"prompt": "What is 2 + 3, times 4?", "tools": ["add", "multiply"]}\n')
    given = read_assignments(file, tools)
    assert given[0].answer is None
    paths = [
        [says(None, call("add", {"a": a, "b": 1})), says(f"\\boxed{{{answer}}}")]
        for a, answer in enumerate(("20", "21", "20.0"))
    ]
    with serving(Taking(*paths)) as endpoint:
        with pytest.raises(InputError, match="task 1: its answer is not known; say how to accept one"):
            run(endpoint, tools, tmp_path / "0.jsonl", given)
        assert not endpoint.seen
        report = run(endpoint, tools, tmp_path / "1.jsonl", given, samples=3, accept="majority", concurrency=1)
    assert report.tasks[0].reference["answer"] == "20"
    assert (report.tasks[0].meta["right"], reasons(report)) == (2, {"outvoted": 1})
    with serving(Taking(*paths[:2])) as endpoint:
        report = run(endpoint, tools, tmp_path / "2.jsonl", given, samples=2, accept="majority", concurrency=1)
    assert (report.tasks, reasons(report)) == ([], {"no majority": 2})
    with serving(Taking(*paths[1:2])) as endpoint:
        report = run(endpoint, tools, tmp_path / "3.jsonl", given, accept="any")
    assert report.tasks[0].reference["answer"] == "21"


SHELF = '''
shelf = []

def put(item: str) -> int:
    """Put an item on the shelf.

    Args:
        item: The item.
    """
    shelf.append(item)
    return len(shelf)

def take() -> str:
    """Take the last item."""
    if not shelf:
        raise ValueError("the shelf is empty")
    return shelf.pop()
'''


def test_state_is_each_samples_own_and_begins_with_the_setup(tmp_path: Path) -> None:
    shelf = ToolSet.from_source(SHELF)
    setup = [{"name": "put", "arguments": {"item": "tea"}}, {"name": "put", "arguments": {"item": "milk"}}]
    task = Task(
        id="1",
        prompt="What is on top?",
        tools=("take",),
        reference={"answer": "milk", "tool_calls": []},
        meta={"setup": setup},
    )
    with serving(
        lambda body: says(f"\\boxed{{{results(body)[-1]}}}") if results(body) else says(None, call("take", {}))
    ) as endpoint:
        report = run(endpoint, shelf, tmp_path / "o.jsonl", [task], samples=5, concurrency=5)
    assert (report.tasks[0].meta["right"], report.tasks[0].meta["results"]) == (5, ["milk"])
    assert report.tasks[0].meta["setup"] == setup
    # A failed call is left out; what follows must stand without it.
    turns = [says(None, call("put", {"item": 3})), says(None, call("take", {})), says("\\boxed{milk}")]
    with serving(script(*turns)) as endpoint:
        report = run(endpoint, shelf, tmp_path / "p.jsonl", [task])
    assert report.tasks[0].reference["tool_calls"] == [{"name": "take", "arguments": {}}]
    broken = Task(
        id="2",
        prompt="?",
        tools=("take",),
        reference={"answer": "x", "tool_calls": []},
        meta={"setup": [{"name": "take", "arguments": {}}]},
    )
    with serving(script()) as endpoint:
        report = run(endpoint, shelf, tmp_path / "q.jsonl", [broken])
    assert (reasons(report), endpoint.seen) == ({"setup failed": 1}, [])


def test_results_that_do_not_come_again_are_no_reference(tmp_path: Path) -> None:
    count = iter(range(9))

    def ticket() -> int:
        """Draw a number."""
        return next(count)

    tools = ToolSet.from_host([ticket])
    task = Task(id="1", prompt="Draw.", tools=("ticket",), reference={"answer": "0", "tool_calls": []})
    with serving(
        lambda body: says(f"\\boxed{{{results(body)[-1]}}}") if results(body) else says(None, call("ticket", {}))
    ) as endpoint:
        report = run(endpoint, tools, tmp_path / "o.jsonl", [task])
        assert reasons(report) == {"results differ": 1}
        again = run(endpoint, tools, tmp_path / "o.jsonl", [task])
    assert len(endpoint.answered) == 2  # the request with the old result is not paid again
    assert again.progress.replayed == 2


def test_many_at_once_and_never_more(tools: ToolSet, tasks: list[Task], tmp_path: Path) -> None:
    one, four = tmp_path / "1.jsonl", tmp_path / "4.jsonl"
    with serving(solver(tasks)) as endpoint:
        run(endpoint, tools, one, tasks, samples=2, concurrency=1)
    assert endpoint.most == 1
    with serving(solver(tasks)) as endpoint:
        run(endpoint, tools, four, tasks, samples=2, concurrency=4)
    assert endpoint.most <= 4
    assert one.read_bytes() == four.read_bytes()


def test_odd_shapes_of_replies_are_read(tools: ToolSet, tmp_path: Path) -> None:
    def play(body: Body) -> Body:
        if not results(body):
            # Arguments as an object, no ids, two calls, text as parts, no usage.
            made = [
                {"function": {"name": step["function"]["name"], "arguments": json.loads(step["function"]["arguments"])}}
                for step in PLAN
            ]
            reply = says(None, *made)
            del reply["usage"]
            return reply
        reply = says("")
        reply["choices"][0]["message"]["content"] = [{"type": "text", "text": "\ud800 \\boxed{20}"}]
        return reply

    with serving(play) as endpoint:
        report = run(endpoint, tools, tmp_path / "o.jsonl")
    assert len(report.tasks) == 1
    assert report.estimated == 1
    ids = [message["tool_call_id"] for message in endpoint.seen[1]["messages"] if message["role"] == "tool"]
    assert ids == ["call_0", "call_1"]


def test_a_server_that_does_not_know_how_to_stream_its_usage(tools: ToolSet, tmp_path: Path) -> None:
    play = script(says(None, PLAN[0]), says(None, PLAN[1]), says("\\boxed{20}"))
    with serving(play, fail=lambda number: "options" if number == 0 else None) as endpoint:
        report = run(endpoint, tools, tmp_path / "o.jsonl", stream=True)
    assert (len(report.tasks), report.estimated, len(endpoint.seen)) == (1, 3, 4)
    assert report.progress.tokens_in > 300  # estimated rather too high


def test_the_solver_needs_nobody(tools: ToolSet, tasks: list[Task], tmp_path: Path) -> None:
    wrong = Task(
        id="wrong",
        prompt="2 + 2?",
        tools=("add",),
        reference={"answer": "5", "tool_calls": [{"name": "add", "arguments": {"a": 2, "b": 2}}]},
    )
    broken = Task(
        id="broken",
        prompt="2 / 0?",
        tools=("divide",),
        reference={"answer": "5", "tool_calls": [{"name": "divide", "arguments": {"a": 2, "b": 0}}]},
    )
    report = teach(assign([*tasks, wrong, broken], tools), Solver(), tools=tools, output=tmp_path / "o.parquet")
    written = list(read_tasks(tmp_path / "o.parquet"))
    # An answer is the reference's own; what a solver can prove is that its calls run.
    assert [task.id for task in written] == [*(task.id for task in tasks), "wrong"]
    assert reasons(report) == {"too few calls": 1}
    assert report.journal is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.parquet", "o.parquet.rejected.jsonl"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"tools": ["add"]}', "prompt: missing"),
        ('{"prompt": " "}', "prompt: empty"),
        ('{"prompt": "?", "tools": ["plus"]}', "tools[0]: 'plus' is none of the tools given, which are add,"),
        ('{"prompt": "?", "tools": "add"}', "tools: a list is wanted, found a string"),
        ('{"prompt": "?", "answer": [1]}', "answer: a text or a number is wanted, found a list"),
        ('{"prompt": "?", "answer": ""}', "answer: empty"),
        ('{"prompt": "?", "reference": []}', "reference: an object is wanted, found a list"),
        ('{"prompt": "?", "reference": {"answer": true}}', "reference.answer: a text or a number is wanted"),
        ('{"prompt": "?", "meta": {"setup": {}}}', "meta.setup: a list of calls is wanted, found an object"),
        ('{"prompt": "?", "meta": {"setup": [1]}}', "meta.setup[0]: a call with name and arguments is wanted"),
        ('{"prompt": "?", "id": "a"}\n{"prompt": "?", "id": "a"}', "id: 'a' is the id of line 1 as well"),
        ('{"prompt": "?"', "half-written JSON"),
        ("", "the file has no task"),
    ],
)
def test_bad_rows_are_named(tools: ToolSet, tmp_path: Path, row: str, message: str) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text(row)
    with pytest.raises(DataError, match=re.escape(message)):
        read_assignments(file, tools)


def test_rows_with_and_without_references(tools: ToolSet, tmp_path: Path) -> None:
    rows = [
        {"id": "a", "prompt": "?", "answer": 4},
        {
            "id": "b",
            "prompt": "?",
            "tools": ["add"],
            "reference": {"answer": "4", "tool_calls": [{"name": "add", "arguments": {}}]},
        },
        {"id": "c", "prompt": "?", "tools": [tools.schemas[0]], "reference": None},
        {"id": "d", "prompt": "?", "reference": {"tool_calls": []}},
    ]
    file = tmp_path / "tasks.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_assignments(file, tools)
    assert [(each.id, each.answer) for each in found] == [("a", "4"), ("b", "4"), ("c", None), ("d", None)]
    assert [each.tools for each in found][1:3] == [("add",), (tools.names[0],)]
    assert found[0].tools == tuple(tools.names)
    assert len(read_assignments(file, tools, limit=2)) == 2
    listed = tmp_path / "tasks.json"
    listed.write_text(json.dumps(rows, indent=1))
    assert [(each.id, each.answer) for each in read_assignments(listed, tools)] == [
        (one.id, one.answer) for one in found
    ]
    table = tmp_path / "tasks.parquet"
    write_table(table, {"prompt": ["?", "?"], "answer": [4.0, float("nan")]})  # an empty cell of a table
    with pytest.raises(DataError, match=r"tasks.parquet:2: answer: a text or a number is wanted, found NaN"):
        read_assignments(table, tools)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 0}, "samples: a whole number from 1 on"),
        ({"max_turns": True}, "max_turns: a whole number"),
        ({"accept": "all"}, "accept: known, majority or any"),
        ({"temperature": -1}, "temperature: a number from 0 on"),
        ({"temperature": float("inf")}, "temperature: a number from 0 on"),
        ({"price_in": 1}, "price_in, price_out: give both"),
        ({"max_cost": 1}, "max_cost: the prices are needed"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        TeachSettings(**settings)


def test_clients_that_cannot_be() -> None:
    for options, message in (
        ({"model": ""}, "model: the teacher's name"),
        ({"model": "m", "timeout": 0}, "timeout must be above 0"),
        ({"model": "m", "extra": {"messages": []}}, "extra: 'messages' is set by mentor itself"),
        ({"model": "m", "extra": {"max_tokens": 9}}, "extra: 'max_tokens' is set by mentor itself"),
        ({"model": "m", "extra": {"limit": 9}, "token_field": "limit"}, "extra: 'limit' is set by mentor itself"),
        ({"model": "m", "extra": {"top_p": float("nan")}}, "extra: no JSON: Out of range"),
        ({"model": "m", "api_key": "schlüssel"}, "api_key: it has characters that no header"),
        ({"model": "m", "api_key": "a\nb"}, "api_key: it has characters that no header"),
        ({"model": "m", "base_url": "localhost:8000/v1"}, "base_url: 'localhost:8000/v1' is no address; one looks"),
        ({"model": "m", "base_url": "http://"}, "base_url: 'http://' is no address"),
        ({"model": "m", "base_url": "http://["}, "is no address"),
        ({"model": "m", "base_url": ""}, "base_url: '' is no address"),
    ):
        with pytest.raises(ConfigError, match=re.escape(message)):
            Client(**{"api_key": "k", **options})


def test_a_key_read_from_a_file_ends_in_a_newline(tools: ToolSet, tmp_path: Path) -> None:
    with serving(script(says("\\boxed{20}"))) as endpoint:
        teacher = Client("teacher", base_url=endpoint.url, api_key="secret\n", retries=0)
        settings = TeachSettings(min_calls=0)
        report = teach(assign([TASK], tools), teacher, tools=tools, output=tmp_path / "o.jsonl", settings=settings)
    assert (len(report.tasks), endpoint.keys) == (1, {"Bearer secret"})


@pytest.mark.parametrize("name", list(SUITES))
def test_the_solver_of_each_suite(name: str, tmp_path: Path) -> None:
    suite = open_suite(name)
    tools = suite.open_tools()
    tasks = suite.draw("in_domain", 10, seed=4, tools=tools, exclude=())
    report = teach(assign(tasks, tools), Solver(), tools=tools, output=tmp_path / "o.jsonl")
    assert [task.id for task in report.tasks] == [task.id for task in tasks]
    assert [task.meta["results"] for task in report.tasks] == [task.meta["results"] for task in tasks]


def test_within_an_event_loop(tools: ToolSet, tasks: list[Task], tmp_path: Path) -> None:
    async def notebook() -> TeachReport:
        return teach(assign(tasks, tools), Solver(), tools=tools, output=tmp_path / "o.jsonl")

    assert len(asyncio.run(notebook()).tasks) == 8


def test_an_older_server_asked_by_many_at_once(tools: ToolSet, tasks: list[Task], tmp_path: Path) -> None:
    with serving(solver(tasks), fail=lambda number: "old") as endpoint:
        report = run(endpoint, tools, tmp_path / "o.jsonl", tasks, stream=True, retries=0, concurrency=8)
    assert (len(report.tasks), reasons(report)) == (8, {})
    assert report.estimated == report.progress.asked


def test_a_server_that_does_not_stream_is_read_all_the_same(tools: ToolSet, tasks: list[Task], tmp_path: Path) -> None:
    with serving(solver(tasks), fail=lambda number: "whole") as endpoint:
        report = run(endpoint, tools, tmp_path / "o.jsonl", tasks, stream=True, retries=0)
    assert (len(report.tasks), reasons(report), report.estimated) == (8, {}, 0)


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_that_comes_as_a_success_says_what_it_is(tools: ToolSet, tmp_path: Path, stream: bool) -> None:
    with serving(script(), fail=lambda number: "gateway") as endpoint:
        report = run(endpoint, tools, tmp_path / "o.jsonl", retries=0, stream=stream)
    assert reasons(report) == {"server error": 1}
    (row,) = (tmp_path / "o.jsonl.rejected.jsonl").read_text().splitlines()
    assert json.loads(row)["samples"][0]["detail"] == "Provider returned error: overloaded (tried once)"


@pytest.mark.parametrize("depth", [200, 251, 900])
def test_arguments_that_no_file_holds_end_no_run(tools: ToolSet, tasks: list[Task], tmp_path: Path, depth: int) -> None:
    """The rejected sample goes to a file as well."""
    deep = '{"a": ' + "[" * depth + "]" * depth + "}"
    play, first = solver(tasks), tasks[0].prompt

    def odd(body: Body) -> Body:
        if asked(body) != first:
            return play(body)
        return says("\\boxed{77777}") if results(body) else says(None, call("add", deep))

    with serving(odd) as endpoint:
        report = run(endpoint, tools, tmp_path / "o.jsonl", tasks)
    assert (len(report.tasks), reasons(report)) == (7, {"wrong answer": 1})
    assert len((tmp_path / "o.jsonl.rejected.jsonl").read_text().splitlines()) == 1


def test_half_surrogate_pairs_in_a_tools_result(tmp_path: Path) -> None:
    own = ToolSet.from_source('def odd() -> str:\n    """Odd."""\n    return "4" + chr(0xD800)')
    task = Task(id="odd", prompt="?", tools=(), reference={"answer": "4", "tool_calls": []})
    with serving(script(says(None, call("odd", {})), says("\\boxed{4}"))) as endpoint:
        report = run(endpoint, own, tmp_path / "o.jsonl", [task])
    assert [made.meta["results"] for made in report.tasks] == [["4?"]]
    assert list(read_tasks(tmp_path / "o.jsonl")) == report.tasks


def test_tokens_that_only_half_are_told(tools: ToolSet, tmp_path: Path) -> None:
    def play(body: Body) -> Body:
        said = says("\\boxed{20}")
        del said["usage"]["prompt_tokens"]
        return said

    with serving(play) as endpoint:
        report = run(endpoint, tools, tmp_path / "o.jsonl", min_calls=0)
    assert (report.estimated, report.progress.tokens_out) == (1, 7)
    assert report.progress.tokens_in > 100


def test_what_meta_said_of_an_earlier_reference_is_gone(tools: ToolSet, tmp_path: Path) -> None:
    meta = {"names_only": True, "executable": False, "failed_calls": 3, "source": "x"}
    reference = {"answer": "20", "answers": ["20", "20.0"], "tool_calls": [{"name": "add", "arguments": {}}]}
    task = Task(id="sum", prompt=TASK.prompt, tools=TASK.tools, reference=reference, meta=meta)
    with serving(script(says(None, PLAN[0]), says(None, PLAN[1]), says("\\boxed{20}"))) as endpoint:
        (made,) = run(endpoint, tools, tmp_path / "o.jsonl", [task]).tasks
    assert (made.meta["source"], made.reference["answers"]) == ("x", ["20", "20.0"])
    assert not {"names_only", "executable", "failed_calls"} & made.meta.keys()


def test_the_solver_does_not_make_answers_up(tools: ToolSet, tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"prompt": "What is it?"}')
    how = TeachSettings(accept="any", min_calls=0)
    report = teach(read_assignments(file, tools), Solver(), tools=tools, output=tmp_path / "o.jsonl", settings=how)
    assert (report.tasks, reasons(report)) == ([], {"no reference": 1})


def test_rejected_tasks_can_be_taught_again(tools: ToolSet, tmp_path: Path) -> None:
    """With their tools and their state, and without the reasons of their rejection."""
    before = {"setup": [{"name": "add", "arguments": {"a": 1, "b": 1}}], "source": "x"}
    task = Task(id="sum", prompt=TASK.prompt, tools=TASK.tools, reference=TASK.reference, meta=before)
    with serving(script(says("\\boxed{3}"))) as endpoint:
        run(endpoint, tools, tmp_path / "o.jsonl", [task])
    (again,) = read_assignments(tmp_path / "o.jsonl.rejected.jsonl", tools)
    assert (again.id, again.answer, again.tools, again.task.meta) == ("sum", "20", TASK.tools, before)
    assert [call["name"] for call in again.setup] == ["add"]
