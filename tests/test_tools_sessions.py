"""mentor.ToolSet: state that is kept for a rollout, and calls of many rollouts at once."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import mentor
from example_tools import message, source_of
from mentor import Limits, ToolSet
from mentor.errors import InputError, SandboxError
from mentor.tools import ToolSession, call_batch

COUNTER = '''
import os
seen = []
kept = {}

def count(by: int = 1) -> int:
    """Count.

    Args:
        by: How much.
    """
    seen.append(by)
    return sum(seen)

def fail() -> int:
    """Fail, after a change."""
    seen.append(100)
    raise ValueError("no")

def stop() -> None:
    """Never end."""
    while True: pass

def crash() -> None:
    """Break the guest."""
    os._exit(1)

def fill() -> None:
    """Take all the memory."""
    seen.append("x" * (1 << 30))

def work(steps: int) -> int:
    """Work.

    Args:
        steps: How much.
    """
    return sum(range(steps))
'''
SOURCE = COUNTER + "\n" * 3


@pytest.fixture(scope="module")
def tools() -> ToolSet:
    return ToolSet.from_source(SOURCE, limits=Limits(timeout_ms=300, memory_mb=96))


@pytest.fixture
def session(tools: ToolSet) -> Iterator[ToolSession]:
    with tools.session() as session:
        yield session


def test_a_session_keeps_what_tools_leave(tools: ToolSet, session: ToolSession) -> None:
    assert [session.call("count", {"by": n}).value for n in (1, 2, 3)] == [1, 3, 6]
    assert message(session.call("fail", {}), "exception") == "ValueError: no"
    assert session.call("count", '{"by": 1}').value == 107
    with tools.session() as other:
        assert other.call("count", {}).value == 1
    assert tools.call("count", {}).value == 1
    assert session.tools is tools
    assert repr(session) == "ToolSession(count, fail, stop, crash, fill, work)"


def test_flaws_of_a_call_open_nothing(tools: ToolSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mentor.Sandbox, "session", None)
    monkeypatch.setattr(mentor.Sandbox, "restore", None)
    session = tools.session()
    assert message(session.call("cuont", {}), "unknown_tool") == "unknown tool 'cuont'; did you mean 'count'?"
    assert message(session.call("count", {"by": "x"}), "bad_arguments").startswith("count: by must be an integer")
    session.close()


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("stop", "timeout", "stopped after 300 ms (timeout_ms); the tools' state is lost, they begin anew"),
        ("crash", "trap", "; the tools' state is lost, they begin anew"),
    ],
)
def test_a_session_goes_on_after_its_guest_ended(session: ToolSession, name: str, kind: str, text: str) -> None:
    assert session.call("count", {"by": 5}).value == 5
    assert message(session.call(name, {}), kind).endswith(text)
    assert session.call("count", {"by": 2}).value == 2


def test_a_fault_that_leaves_the_guest_alive_keeps_its_state(session: ToolSession) -> None:
    assert session.call("count", {"by": 5}).value == 5
    assert "state" not in message(session.call("fill", {}), "memory_limit")
    assert session.call("count", {"by": 2}).value == 7


def test_a_saved_state_is_where_a_broken_session_goes_back_to(session: ToolSession) -> None:
    session.call("count", {"by": 5})
    state = session.save()
    session.call("count", {"by": 7})
    assert message(session.call("crash", {}), "trap").endswith("; the tools are as they were last saved")
    assert session.call("count", {}).value == 6
    session.restore(state)
    assert session.call("count", {}).value == 6
    with pytest.raises(TypeError, match="a saved state belongs to its process and cannot be pickled"):
        pickle.dumps(state)
    with pytest.raises(TypeError, match="state must be a ToolState, not dict"):
        session.restore({})  # type: ignore[arg-type]


def test_a_state_of_before_the_first_call_is_the_beginning(session: ToolSession) -> None:
    state = session.save()
    session.call("count", {"by": 5})
    session.restore(state)
    assert session.call("count", {}).value == 1


def test_forks_go_their_own_ways(session: ToolSession) -> None:
    session.call("count", {"by": 5})
    branches = session.fork(3)
    assert [branch.call("count", {"by": n}).value for n, branch in enumerate(branches)] == [5, 6, 7]
    assert [branch.call("count", {"by": 0}).value for branch in branches] == [5, 6, 7]
    assert session.call("count", {"by": 0}).value == 5
    assert message(branches[0].call("crash", {}), "trap").endswith("; the tools are as they were last saved")
    assert branches[0].call("count", {"by": 0}).value == 5
    for branch in branches:
        branch.close()
    assert session.fork(0) == []
    with pytest.raises(InputError, match="count must not be negative, but is -1"):
        session.fork(-1)
    with pytest.raises(TypeError, match="count must be an int, not str"):
        session.fork("2")  # type: ignore[arg-type]


def test_parts_keep_their_own_state(tools: ToolSet) -> None:
    kept: list[int] = []

    def note(x: int) -> int:
        """Note.

        Args:
            x: X.
        """
        kept.append(x)
        return len(kept)

    other = ToolSet.from_source(COUNTER.replace("count", "tally"), limits=Limits(timeout_ms=300)).only("tally")
    both = tools.only("count", "crash") + other + mentor.tools.arithmetic() + ToolSet.from_host([note])
    with both.session() as one, both.session() as two:
        assert [one.call("count", {}).value, one.call("tally", {}).value, one.call("count", {}).value] == [1, 1, 2]
        assert one.call("add", {"a": 1, "b": 1}).value == 2
        assert [one.call("note", {"x": 1}).value, two.call("note", {"x": 1}).value] == [1, 2]  # the caller's own state
        assert not one.call("crash", {}).ok
        assert [one.call("count", {}).value, one.call("tally", {}).value] == [1, 2]
        fork = one.fork(1)[0]
        assert [fork.call("count", {}).value, fork.call("tally", {}).value] == [2, 3]
        assert two.call("tally", {}).value == 1


def test_a_closed_session_refuses(tools: ToolSet) -> None:
    session = tools.session()
    session.call("count", {})
    session.close()
    session.close()
    for act in (lambda: session.call("count", {}), session.save, lambda: session.fork(1)):
        with pytest.raises(SandboxError, match="this session is closed; start a new one"):
            act()
    with pytest.raises(TypeError, match="a session is live and cannot be pickled; pickle its ToolSet"):
        pickle.dumps(session)


def test_a_source_that_fails_fails_every_call_of_a_session() -> None:
    broken = ToolSet.from_source(source_of("return 1") + "boom\n", check=False)
    with broken.session() as session:
        for _ in range(2):
            assert message(session.call("f", {}), "exception") == "NameError: name 'boom' is not defined"
        assert session.save() is not None
        assert not session.fork(1)[0].call("f", {}).ok
        assert [outcome.ok for outcome in call_batch([(session, "f", {})])] == [False]


def test_a_session_starts_quickly(tools: ToolSet) -> None:
    tools.session().call("count", {})
    took = []
    for _ in range(50):
        began = time.perf_counter()
        with tools.session() as session:
            assert session.call("count", {}).value == 1
        took.append(time.perf_counter() - began)
    assert sorted(took)[25] < 0.005  # 0.06 ms on an idle machine


def test_threads_share_a_session(session: ToolSession) -> None:
    threads = [threading.Thread(target=lambda: [session.call("count", {}) for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session.call("count", {"by": 0}).value == 100


def in_child(tools: ToolSet) -> Any:
    with tools.session() as session:
        return [session.call("count", {}).value for _ in range(2)]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_child_processes_start_their_own(tools: ToolSet, session: ToolSession, method: str) -> None:
    assert session.call("count", {}).value == 1  # the state after the source is there to be inherited
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.apply(in_child, (tools,)) == [1, 2]
    assert session.call("count", {}).value == 2


# --- many sessions ----------------------------------------------------------------------------------------------------


def test_a_batch_keeps_the_order_within_each_session(tools: ToolSet) -> None:
    sessions = [tools.session() for _ in range(6)]
    calls = [(session, "count", {"by": n}) for n in (1, 10, 100) for session in sessions]
    calls.insert(3, (sessions[0], "cuont", {}))
    outcomes = call_batch(calls)
    values = [outcome.value for outcome in outcomes]
    assert values == [1] * 3 + [None] + [1] * 3 + [11] * 6 + [111] * 6
    assert message(outcomes[3], "unknown_tool").startswith("unknown tool 'cuont'")
    for session in sessions:
        session.close()
    assert call_batch([]) == []


def test_faults_in_a_batch_stay_in_their_session(tools: ToolSet) -> None:
    with tools.session() as one, tools.session() as two:
        outcomes = call_batch(
            [(one, "crash", {}), (two, "count", {}), (one, "count", {}), (two, "stop", {}), (two, "count", {})]
        )
        assert message(outcomes[0], "trap").endswith("they begin anew")
        assert message(outcomes[3], "timeout").endswith("they begin anew")
        assert [outcomes[at].value for at in (1, 2, 4)] == [1, 1, 1]


def test_a_batch_is_what_a_loop_gives(tools: ToolSet) -> None:
    def here(x: int) -> int:
        """Say which thread this is, and more.

        Args:
            x: X.
        """
        assert threading.current_thread() is threading.main_thread()
        return x + 1

    both = tools + mentor.tools.arithmetic() + ToolSet.from_host([here])
    plan = [("count", {"by": 2}), ("here", {"x": 1}), ("add", {"a": 1, "b": 2}), ("count", {"by": 3}), ("here", {})]
    alone = both.session()
    expected = [alone.call(*step).value for step in plan]
    sessions = [both.session() for _ in range(5)]
    outcomes = call_batch((session, *step) for step in plan for session in sessions)
    assert [outcome.value for outcome in outcomes] == [value for value in expected for _ in sessions]


def test_programs_of_a_batch_share_the_cores(tools: ToolSet) -> None:
    patient = ToolSet.from_source(SOURCE, limits=Limits(timeout_ms=1_000))
    slow, *quick = [patient.session() for _ in range(5)]
    with slow:
        outcomes = call_batch([(slow, "stop", {}), *((session, "work", {"steps": 1000}) for session in quick)])
    assert [outcome.ok for outcome in outcomes] == [False, True, True, True, True]
    assert all(outcome.wall_ms < 900 for outcome in outcomes[1:])


def test_pure_tools_in_a_batch_are_handed_over_where_they_are_slow() -> None:
    pure = ToolSet.from_source(SOURCE, limits=Limits(timeout_ms=300), pure=True)
    sessions = [pure.session() for _ in range(4)]
    for _ in range(3):
        outcomes = call_batch([(session, "work", {"steps": 200_000}) for session in sessions])
        assert [outcome.value for outcome in outcomes] == [sum(range(200_000))] * 4
        outcomes = call_batch([(session, name, {}) for name in ("crash", "stop", "fail") for session in sessions])
        assert [message(outcome, kind) for outcome, kind in zip(outcomes[8:], ["exception"] * 4, strict=True)]
        assert [outcome.fault.kind for outcome in outcomes if outcome.fault] == (
            ["trap"] * 4 + ["timeout"] * 4 + ["exception"] * 4
        )
        outcomes = call_batch([(session, "work", {"steps": 3}) for session in sessions * 20])
        assert [outcome.value for outcome in outcomes] == [3] * 80


def test_wrong_batches_are_the_callers_mistake(tools: ToolSet, session: ToolSession) -> None:
    for calls, text in (
        ([(session, "count")], r"calls\[0\] must be a triple \(session, name, arguments\)"),
        ([(tools, "count", {})], r"calls\[0\]: the session must be a ToolSession, not ToolSet"),
        ([(session, 3, {})], r"calls\[0\]: the name must be a str, not int"),
    ):
        with pytest.raises(TypeError, match=text):
            call_batch(calls)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"calls\[1\] must be a pair \(name, arguments\)"):
        session.call_batch([("count", {}), ("count",)])  # type: ignore[list-item]
    assert [outcome.value for outcome in session.call_batch([("count", {}), ("count", "{}")])] == [1, 2]
    session.close()
    with pytest.raises(SandboxError, match="this session is closed"):
        call_batch([(session, "count", {})])


# --- files ------------------------------------------------------------------------------------------------------------

READER = '''
def read(path: str) -> str:
    """Read a file.

    Args:
        path: Its path.
    """
    with open(path) as file:
        return file.read()

def write(path: str, text: str) -> int:
    """Write a file.

    Args:
        path: Its path.
        text: The text.
    """
    with open(path, "w") as file:
        return file.write(text)

def crash() -> None:
    """Break the guest."""
    import os
    os._exit(1)
'''


@pytest.mark.parametrize("pure", [False, True])
def test_files_are_there_for_one_session(pure: bool) -> None:
    tools = ToolSet.from_source(READER, pure=pure)
    with tools.session(files={"a.txt": "one", "data/b.bin": b"two"}) as session:
        assert session.call("read", {"path": "a.txt"}).value == "one"
        assert session.call("read", {"path": "data/b.bin"}).value == "two"
        assert session.call("write", {"path": "a.txt", "text": "three"}).value == 5
        fork = session.fork(1)[0]
        assert [place.call("read", {"path": "a.txt"}).value for place in (session, fork)] == ["three", "three"]
        assert not fork.call("crash", {}).ok
        assert fork.call("read", {"path": "a.txt"}).value == "three"
    with tools.session(files={"a.txt": "one"}) as session:
        session.call("write", {"path": "a.txt", "text": "three"})
        assert not session.call("crash", {}).ok
        assert session.call("read", {"path": "a.txt"}).value == "one"
    with tools.session() as session:
        assert message(session.call("read", {"path": "a.txt"}), "exception").startswith("FileNotFoundError")
    with pytest.raises(TypeError, match="files must be a mapping of paths to contents, not list"):
        tools.session(files=["a.txt"])  # type: ignore[arg-type]
    with pytest.raises(InputError), tools.session(files={"../a": "x"}) as session:
        session.call("read", {"path": "a"})
