"""score_batch: golden rows, conversion, errors, threads, forks."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mentor
from mentor.errors import InputError, InputTypeError
from mentor.score import FORMATS

GOLDEN = Path(__file__).parent / "golden"
TOOLS = (
    "add subtract multiply divide sum_numbers floor ceil round_number power sqrt abs_value modulo".split()  # noqa: SIM905
)
COLUMNS = {
    "mentor": "mentor",
    "overlap": "ablation2",
    "valid": "ablation3",
    "f1": "ablation4",
    "sparse": "sparse",
}
CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'
END = "<|im_end|>"
REF = {"answer": "3", "tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}
HONEST = (
    f"{CALL}{END}\n<|im_start|>user\n<tool_response>\n3\n</tool_response>{END}\n"
    f"<|im_start|>assistant\n\\boxed{{3}}{END}"
)


@pytest.fixture(scope="module")
def golden() -> list[dict]:
    return [orjson.loads(line) for line in (GOLDEN / "reward_official.jsonl").read_bytes().splitlines()]


@pytest.mark.parametrize("reward", COLUMNS)
def test_official_scores(golden: list[dict], reward: str) -> None:
    scores = mentor.score_batch(
        [row["rollout"] for row in golden], [row["reference"] for row in golden], reward=reward, tools=TOOLS
    )
    want = [row["official"][COLUMNS[reward]] for row in golden]
    assert len(golden) == 1040
    assert scores.reward.tolist() == want


def test_a_teacher_trajectory_is_a_reference() -> None:
    teacher = [
        {"role": "user", "content": "1 + 2?"},
        {"role": "assistant", "tool_calls": [{"function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}]},
        {"role": "tool", "content": "3"},
        {"role": "assistant", "content": "\\boxed{3}"},
    ]
    reference = mentor.Reference(teacher)
    assert (reference.answer, reference.tool_calls) == ("3", REF["tool_calls"])
    assert mentor.score_batch([teacher[1:]], [reference], tools=TOOLS).reward.tolist() == [1.0]


def test_every_form_of_a_rollout_and_a_reference_scores_alike() -> None:
    messages = [
        {"role": "assistant", "content": CALL},
        {"role": "tool", "content": "3"},
        {"role": "assistant", "content": "\\boxed{3}"},
    ]
    rollouts = [HONEST, HONEST.encode(), messages, orjson.dumps(messages), tuple(messages)]
    for reference in (REF, mentor.Reference(REF), orjson.dumps(REF), orjson.dumps(REF).decode()):
        scores = mentor.score_batch(rollouts, [reference] * len(rollouts), tools=TOOLS)
        assert scores.reward.tolist() == [1.0] * len(rollouts)


def test_what_a_score_says() -> None:
    results = "".join(f"<tool_response>\n{text}\n</tool_response>" for text in ("3", "no such tool", "what?"))
    text = (
        f"é {CALL} {CALL.replace('add', 'ad')}<tool_call>{{</tool_call>{END}\n<|im_start|>user\n{results}{END}"
        f"\n<|im_start|>assistant\n\\boxed{{4}}{END}"
    )
    scores = mentor.score_batch([text], [REF], tools=TOOLS)
    score = scores[0]
    raw = text.encode()
    assert [raw[slice(*call.span)].decode() for call in score.calls] == [CALL, CALL.replace("add", "ad")]
    assert [(call.name, call.arguments, call.turn, call.result) for call in score.calls] == [
        ("add", {"a": 1, "b": 2}, 0, "3"),
        ("ad", {"a": 1, "b": 2}, 0, "no such tool"),
    ]
    assert (score.answer, score.correct, score.verdict) == ("4", False, "different")
    assert raw[slice(*score.answer_span)] == b"4"
    assert [(m.call, m.reference, m.exact, m.similarity) for m in score.matches] == [(0, 0, True, 1.0)]
    assert [(defect.kind, defect.message) for defect in score.defects] == [
        ("malformed_call", "the call cannot be read: unexpected text at byte 157"),
        ("unknown_tool", 'no tool named "ad" was offered'),
    ]
    assert score.components["unknown_calls"] == score.components["bad_calls"] == 1
    # One of three calls is the reference's: F1 is 2 * 1 / (3 + 1); a wrong answer leaves a quarter of the process.
    assert score.reward == scores.reward[0] == 0.25 * (0.3 * 0.5 + 0.1 * 0.0)
    assert sum(turn.credit for turn in score.turns) == pytest.approx(score.reward)
    assert sum(value for _, value in score.terms) == pytest.approx(score.reward)
    assert scores.defects == {"malformed_call": 1, "unknown_tool": 1}
    assert scores[-1] == score
    assert scores[:] == [score] == list(scores)
    assert np.asarray(scores).tolist() == [score.reward]
    assert not scores.reward.flags.writeable
    assert repr(scores) == "ScoreBatch(1 rollouts, mean reward 0.037)"


def test_an_empty_batch() -> None:
    scores = mentor.score_batch([], [])
    assert (len(scores), scores.reward.shape, scores.components["correct"].shape) == (0, (0,), (0,))


def test_tools_come_from_the_call_the_row_or_the_reference() -> None:
    schema = {"type": "function", "function": {"name": "add", "parameters": {}}}
    rows = [HONEST] * 4
    per_row = mentor.score_batch(rows, [REF] * 4, tools=[["add"], [schema], [], None]).components["valid"]
    assert per_row.tolist() == [1, 1, 0, 1]
    assert mentor.score_batch(rows[:1], [REF], tools=[{"name": "add"}]).components["valid"].tolist() == [1]
    own = {**REF, "tools": ["subtract"]}
    assert mentor.score_batch(rows[:1], [own]).components["valid"].tolist() == [0]
    assert mentor.score_batch(rows[:1], [own], tools=["add"]).components["valid"].tolist() == [1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: mentor.score_batch(HONEST, [REF]),
            InputTypeError,
            "score_batch: rollouts must be a list, got str (one rollout? put it in a list)",
        ),
        (
            lambda: mentor.score_batch([HONEST], REF),
            InputTypeError,
            "score_batch: refs must be a list, got dict",
        ),
        (
            lambda: mentor.score_batch([HONEST, 7], [REF, REF]),
            InputTypeError,
            "score_batch: rollouts[1] must be text, a list of messages, or JSON bytes of one, got int",
        ),
        (
            lambda: mentor.score_batch([[{"role": "assistant"}, 3]], [REF]),
            InputTypeError,
            "score_batch: rollouts[0][1] must be a message dict, got int",
        ),
        (
            lambda: mentor.score_batch([[{"role": object()}]], [REF]),
            InputTypeError,
            "score_batch: rollouts[0] cannot be written as JSON: Type is not JSON serializable: object",
        ),
        (
            lambda: mentor.score_batch([HONEST], []),
            InputError,
            "score_batch: 1 rollouts but 0 refs; give one reference per rollout",
        ),
        (
            lambda: mentor.score_batch([HONEST] * 2, [REF, {"tool_calls": []}]),
            InputError,
            "score_batch: refs[1]: answer: is missing",
        ),
        (
            lambda: mentor.score_batch([HONEST], [{"answer": "3", "tool_calls": [{"name": 3}]}]),
            InputError,
            "score_batch: refs[0]: tool_calls[0]: the call's name is no string, or an empty one",
        ),
        (
            lambda: mentor.score_batch([HONEST], [3]),
            InputTypeError,
            "score_batch: refs[0]: expected a dict, a list of messages, or JSON, got int",
        ),
        (
            lambda: mentor.score_batch([HONEST], [REF], reward="best"),
            InputError,
            'reward: unknown reward "best"; known rewards: mentor-dense, mentor, overlap, valid, f1, sparse, strict, '
            "toolrl",
        ),
        (
            lambda: mentor.score_batch([HONEST], [REF], format="xml"),
            InputError,
            f"format: cannot tell how 'xml' writes tool calls; name one of {', '.join(FORMATS)}",
        ),
        (
            lambda: mentor.score_batch([HONEST], [REF], judge="me"),
            InputError,
            "score_batch: unknown judge 'me'; known judges: auto, native, math-verify",
        ),
        (
            lambda: mentor.score_batch([HONEST], [REF], threads=0),
            InputError,
            "score_batch: threads must be a positive number or None, got 0",
        ),
        (
            lambda: mentor.score_batch([HONEST], [REF], tools="add"),
            InputTypeError,
            "score_batch: tools must be a list of names or schemas, got str",
        ),
        (
            lambda: mentor.score_batch([HONEST], [REF], tools=[["add"], ["add"]]),
            InputError,
            "score_batch: 1 rollouts but 2 lists of tools; give one for all, or one per row",
        ),
        (
            lambda: mentor.score_batch([HONEST], [REF], tools=[{"nome": "add"}]),
            InputError,
            "score_batch: tools must be a list of names or schemas: item 0 is neither a name nor a tool schema",
        ),
    ],
)
def test_bad_input(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value) == message
    assert type(raised.value) is error


def test_bad_rollouts_are_data() -> None:
    bad = ["", "\ud800 \\boxed{3}<|im_end|>", b"\xff\xfe", "\0", [], [{}], b"[]", b"[1, 2]", [{"role": "\ud800"}]]
    scores = mentor.score_batch(bad, [REF] * len(bad), tools=TOOLS)
    assert all(score.defects for score in scores)
    assert scores[1].answer == "3"
    assert {"invalid_utf8"} <= set(scores.defects)


@pytest.mark.parametrize("value", [10**30, -(10**400), float("nan"), "\ud800", [[]], {1: 2, "\udfff": 3}])
def test_whatever_a_model_writes_into_arguments_is_scored(value: object) -> None:
    for _ in range(300 if value == [[]] else 0):
        value = [value]
    call = {"type": "function", "function": {"name": "add", "arguments": {"a": value}}}
    rollout = [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "content": "?"}]
    rollout.append({"role": "assistant", "content": "\\boxed{3}"})
    score = mentor.score_batch([rollout], [REF], tools=TOOLS)[0]
    assert (score.correct, [call.name for call in score.calls]) == (True, ["add"])
    assert score.reward == 0.6  # no argument is the reference's: the outcome alone


def test_the_inputs_stay_as_they_are() -> None:
    messages = [{"role": "assistant", "content": "\\boxed{3}"}]
    before = copy.deepcopy((messages, REF))
    mentor.score_batch([messages], [REF])
    assert (messages, REF) == before


def test_threads_callers_and_batch_order_change_nothing(golden: list[dict]) -> None:
    rollouts, refs = [row["rollout"] for row in golden], [row["reference"] for row in golden]
    want = mentor.score_batch(rollouts, refs, tools=TOOLS, threads=1).reward
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(
            lambda n: mentor.score_batch(rollouts, refs, tools=TOOLS, threads=n).reward, [1, 2, 3, 4] * 3
        ):
            assert got.tobytes() == want.tobytes()
    order = np.random.default_rng(0).permutation(len(golden))
    shuffled = mentor.score_batch([rollouts[i] for i in order], [refs[i] for i in order], tools=TOOLS)
    assert shuffled.reward.tobytes() == want[order].tobytes()
    single = [mentor.score_batch([r], [f], tools=TOOLS).reward[0] for r, f in zip(rollouts[:50], refs, strict=False)]
    assert single == want[:50].tolist()


def test_a_forked_child_scores_too(golden: list[dict]) -> None:
    rollouts, refs = [row["rollout"] for row in golden], [row["reference"] for row in golden]
    want = mentor.score_batch(rollouts, refs, tools=TOOLS, threads=2).reward.sum()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        got = mentor.score_batch(rollouts, refs, tools=TOOLS, threads=2).reward.sum()
        verdict = mentor.judge_batch(["x+1"], ["1+x"])[0]
        os.write(write, f"{got} {verdict}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == f"{want} equal"


def test_other_threads_run_while_a_batch_is_scored() -> None:
    rollouts, refs = ["<tool_call>{" * 20_000] * 100, [REF] * 100
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.wait(0.0005):
            ticks += 1

    thread = threading.Thread(target=tick)
    thread.start()
    mentor.score_batch(rollouts, refs, threads=1)
    done.set()
    thread.join()
    assert ticks >= 2


def test_import_is_quick_and_brings_no_torch() -> None:
    code = "import sys, mentor; print('torch' in sys.modules, 'numpy' in sys.modules, mentor.__name__)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "False False mentor\n"
    timing = "import time; t = time.perf_counter(); import mentor; print(time.perf_counter() - t)"
    seconds = [
        float(subprocess.run([sys.executable, "-c", timing], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    assert min(seconds) < 0.1


def test_unknown_attributes_are_named() -> None:
    with pytest.raises(AttributeError, match="module 'mentor' has no attribute 'nothing'"):
        _ = mentor.nothing
    assert "score_batch" in dir(mentor)


text = st.text(st.characters(codec=None), max_size=60)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.sampled_from(["role", "content", "tool_calls", "name", "x"]), json_values), max_size=4)
)
def test_any_messages_give_a_bounded_reward(messages: list[dict]) -> None:
    scores = mentor.score_batch([messages], [REF], tools=TOOLS, judge="native")
    assert 0.0 <= scores.reward[0] <= 1.1
    assert scores[0].defects


@given(text | st.binary(max_size=60))
def test_any_text_gives_a_bounded_reward(rollout: str | bytes) -> None:
    assert 0.0 <= mentor.score_batch([rollout], [REF], tools=TOOLS, judge="native").reward[0] <= 1.1
