"""Whatever Python objects come in, scoring gives a result or says what is wrong: nothing else is raised."""

from __future__ import annotations

import collections
import math
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mentor
from mentor.errors import InputError

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'
END = "<|im_end|>"
REF = {"answer": "3", "tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}
REWARDS = ("mentor-dense", "mentor", "overlap", "valid", "f1", "sparse", "strict", "toolrl")
FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PIECES = [
    CALL,
    f"{END}\n<|im_start|>user\n<tool_response>\n3\n</tool_response>{END}\n<|im_start|>assistant\n",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "[TOOL_CALLS]",
    "<|python_tag|>",
    "<function=add><parameter=a>1</parameter></function>",
    '{"name": "add", "arguments": {"a": 1}}',
    "[add(a=1)]",
    "\\boxed{3}",
    "\\boxed{\\frac{6}{2}}",
    "\\boxed{",
    END,
    "\0",
    "\ud800",
    "é🦀\u2028",
    "1e999",
]
any_text = st.text(st.characters(codec=None), max_size=40)
rollout_text = st.lists(st.sampled_from(PIECES) | any_text, max_size=10).map("".join)


class Kind(dict):  # type: ignore[type-arg]
    """A dict of another class."""


def generator(items: list[Any]) -> Any:
    return (item for item in items)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**400])
    | st.floats()
    | any_text
    | rollout_text
    | st.binary(max_size=12)
    | st.sampled_from([np.int64(3), np.float32(0.5), np.bool_(True), np.arange(3), np.array("x"), np.array([[1.5]])])
    | st.sampled_from([object(), 3j, {1, 2}, range(3), collections.UserString("x"), ..., memoryview(b"x"), math.nan])
)
FIELDS = [
    "role",
    "content",
    "tool_calls",
    "name",
    "arguments",
    "function",
    "type",
    "text",
    "id",
    "answer",
    "tools",
    "call_id",
    "output",
    "parameters",
    "properties",
    "input",
    "finish_reason",
]
WORDS = ["assistant", "tool", "user", "function_call", "function_call_output", "tool_use", "tool_result", "add", "3"]


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, max_size=4)
    keys = st.sampled_from(FIELDS) | any_text | st.integers(0, 3) | st.none() | st.tuples(st.integers(0, 1))
    dicts = st.dictionaries(keys, inner | st.sampled_from(WORDS), max_size=5)
    return (
        lists
        | lists.map(tuple)
        | lists.map(generator)
        | lists.map(collections.deque)
        | dicts
        | dicts.map(Kind)
        | dicts.map(collections.OrderedDict)
        | dicts.map(MappingProxyType)
    )


anything = st.recursive(scalars, nested, max_leaves=12)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["assistant", "tool", "user"])},
        optional={
            "content": rollout_text | anything,
            "tool_calls": st.lists(
                st.fixed_dictionaries({"name": st.just("add"), "arguments": anything}) | anything, max_size=3
            ),
        },
    ),
    max_size=4,
)
references = st.fixed_dictionaries(
    {"answer": st.sampled_from(["3", "\\frac{1}{2}", "x"]) | anything},
    optional={
        "tool_calls": st.lists(
            st.fixed_dictionaries({"name": st.just("add") | anything, "arguments": anything}), max_size=3
        )
        | anything,
        "tools": anything,
    },
)
rewards = st.sampled_from(REWARDS)


def check(scores: mentor.ScoreBatch) -> None:
    """A result: finite numbers, and details that are the columns' rows."""
    columns = scores.components
    assert np.isfinite(scores.reward).all()
    for at, score in enumerate(scores):
        assert score.reward == scores.reward[at]
        assert dict(score.components) == {name: column[at] for name, column in columns.items()}
    kinds = {kind: sum(any(d.kind == kind for d in score.defects) for score in scores) for kind in scores.defects}
    # Details keep the first 64 defects of a row; the counts have them all.
    assert all(count <= scores.defects[kind] for kind, count in kinds.items())


@FEW
@given(st.data())
def test_any_arguments_give_a_result_or_an_input_error(data: st.DataObject) -> None:
    rollouts = data.draw(st.lists(messages | rollout_text | anything, max_size=3) | anything)
    refs = data.draw(st.lists(references | anything, max_size=3) | anything)
    if isinstance(rollouts, list) and data.draw(st.booleans()):
        refs = [data.draw(references) for _ in rollouts]
    options = data.draw(
        st.fixed_dictionaries(
            {},
            optional={
                "reward": rewards | anything,
                "tools": st.just(["add"]) | anything,
                "format": st.sampled_from(["auto", "hermes"]) | any_text,
                "threads": st.sampled_from([None, 1, 2]) | st.sampled_from([0, -1, "2", 1.5]),
            },
        )
    )
    try:
        scores = mentor.score_batch(rollouts, refs, judge="native", **options)
    except InputError as error:
        assert str(error)
    else:
        check(scores)


@FEW
@given(st.lists(messages | rollout_text | st.binary(max_size=60), max_size=6), rewards)
def test_any_rollouts_give_results(rollouts: list[Any], reward: str) -> None:
    try:
        scores = mentor.score_batch(rollouts, [REF] * len(rollouts), reward=reward, judge="native")
    except InputError as error:
        # Only objects that no JSON has are refused.
        assert "rollouts[" in str(error)
    else:
        assert len(scores) == len(rollouts)
        check(scores)


@FEW
@given(references | anything)
def test_any_reference_is_read_or_refused_by_name(reference: Any) -> None:
    try:
        prepared = mentor.Reference(reference)
    except InputError as error:
        assert str(error).startswith("reference: ")
    else:
        assert prepared.answer.strip()
        assert all(set(call) >= {"name", "arguments"} for call in prepared.tool_calls)
        assert repr(prepared)


@FEW
@given(st.lists(any_text | rollout_text, max_size=5), st.data())
def test_any_answers_are_judged(answers: list[str], data: st.DataObject) -> None:
    golds = data.draw(st.permutations(answers))
    verdicts = mentor.judge_batch(answers, golds, fallback=None)
    assert len(verdicts) == len(answers)
    assert set(verdicts) <= {"equal", "different", "undecided"}
    single = [mentor.judge_batch([a], [g], fallback=None)[0] for a, g in zip(answers, golds, strict=True)]
    assert list(verdicts) == single


@FEW
@given(st.lists(rollout_text, min_size=1, max_size=8), rewards, st.data())
def test_batches_loops_and_permutations_agree(rollouts: list[str], reward: str, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(rollouts))))
    refs = [REF if at % 2 else {"answer": "x", "tool_calls": []} for at in range(len(rollouts))]
    options = {"reward": reward, "judge": "native", "tools": ["add"]}
    scores = mentor.score_batch(rollouts, refs, **options)
    one_by_one = [mentor.score_batch([r], [ref], **options) for r, ref in zip(rollouts, refs, strict=True)]
    assert [one.reward.tobytes() for one in one_by_one] == [r.tobytes() for r in scores.reward]
    assert [one[0] for one in one_by_one] == list(scores)
    shuffled = mentor.score_batch([rollouts[at] for at in order], [refs[at] for at in order], **options)
    assert shuffled.reward.tobytes() == scores.reward[list(order)].tobytes()
    assert [shuffled[place] for place in range(len(order))] == [scores[at] for at in order]
    for name, column in scores.components.items():
        assert shuffled.components[name].tobytes() == column[list(order)].tobytes()


@settings(max_examples=25, deadline=None)
@given(st.lists(rollout_text, min_size=1, max_size=6), rewards)
def test_the_number_of_threads_and_the_calling_thread_change_no_bit(rollouts: list[str], reward: str) -> None:
    rollouts = [text + "x" * 3000 for text in rollouts] * 30  # enough to be worth other threads
    refs = [REF] * len(rollouts)

    def score(threads: int) -> bytes:
        scores = mentor.score_batch(rollouts, refs, reward=reward, judge="native", threads=threads)
        return scores.reward.tobytes() + b"".join(column.tobytes() for column in scores.components.values())

    want = score(1)
    assert [score(threads) for threads in (2, 3, 4)] == [want] * 3
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(score, [1, 2, 3, 4])) == {want}


@pytest.mark.parametrize("threads", [2**31, 2**64, 10**30])
def test_more_threads_than_any_machine_has(threads: int) -> None:
    try:
        scores = mentor.score_batch(["\\boxed{3}"], [REF], judge="native", threads=threads)
    except InputError as error:
        assert "threads" in str(error)
    else:
        assert len(scores) == 1


def test_endless_nesting_is_refused_or_read() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    try:
        for bad in ({"answer": "3", "tool_calls": deep}, {"answer": "3", "tools": deep}, deep):
            with pytest.raises(InputError):
                mentor.score_batch(["x"], [bad])
        with pytest.raises(InputError):
            mentor.score_batch(["x"], [REF], tools=[deep])
        assert len(mentor.score_batch([[{"role": "assistant", "content": deep}]], [REF], judge="native")) == 1
    finally:
        while deep:  # freeing it in one go would recurse as deeply
            deep = deep.pop()


def test_objects_that_hold_themselves_are_refused_or_read() -> None:
    loop: dict[str, Any] = {"role": "assistant"}
    loop["content"] = [loop]
    with pytest.raises(InputError):
        mentor.Reference(loop)
    assert len(mentor.score_batch([[loop]], [REF], judge="native")) == 1


class Faulty:
    """A sequence whose items cannot be had."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, at: int) -> Any:
        raise RuntimeError("no such item")


collections.abc.Sequence.register(Faulty)


def test_what_a_callers_own_object_raises_comes_through() -> None:
    with pytest.raises(RuntimeError, match="no such item"):
        mentor.score_batch(Faulty(), [REF])  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="no such item"):
        mentor.score_batch([Faulty()], [REF])  # type: ignore[list-item]
