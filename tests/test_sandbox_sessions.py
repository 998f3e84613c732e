"""mentor.Session: forks, saved states, the way back after a fault, the processes that they live in."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from mentor import Limits, Outcome, Sandbox, Session, _core
from mentor.errors import InputError, SandboxError
from mentor.sandbox import SavedState

ISOLATIONS: list[str] = _core.sandbox_isolations()
GROW = (
    "grown = bytearray(40 << 20)\ngrown[::4096] = bytes(range(1, 129)) * (len(grown) // 4096 // 128)\nsum(grown[::64])"
)


@pytest.fixture(scope="module", params=ISOLATIONS)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return Sandbox(limits=Limits(timeout_ms=5_000, memory_mb=128), isolation=request.param)


def kind(outcome: Outcome) -> str | None:
    return outcome.fault and outcome.fault.kind


# --- forks ---------------------------------------------------------------------------------------------------------


def test_forks_are_independent(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        session.run("x = [1]\ndef add(n):\n    x.append(n)\n    return x")
        forks = session.fork(3)
        assert [fork.call("add", {"n": number}).value for number, fork in enumerate(forks)] == [[1, 0], [1, 1], [1, 2]]
        assert session.run("x").value == [1]
        session.run("x.append(9)")
        assert [fork.run("x").value for fork in forks] == [[1, 0], [1, 1], [1, 2]]
        forks[0].close()
        assert forks[1].run("x").value == [1, 1]


def test_forks_outlive_their_session(sandbox: Sandbox) -> None:
    session = sandbox.session()
    session.run("x = 5")
    first, second = session.fork(2)
    session.close()
    assert (first.run("x").value, second.run("x").value) == (5, 5)


def test_a_fork_before_the_first_step_is_a_new_session(sandbox: Sandbox) -> None:
    ask = "import random\n[random.random(), id(object())]"
    with sandbox.session() as session:
        (fork,) = session.fork(1)
        assert fork.run(ask).value == session.run(ask).value == sandbox.run(ask).value


def test_forks_go_the_same_way(sandbox: Sandbox) -> None:
    """Random numbers, addresses and the clock are part of the state."""
    ask = "import random, os, time\n[random.random(), os.urandom(4).hex(), id(object()), time.time(), time.monotonic()]"
    with sandbox.session() as session:
        session.run("import time\ntime.sleep(100)\nimport random\nrandom.random()")
        values = [fork.run(ask).value for fork in session.fork(3)]
        assert values[0] == values[1] == values[2] == session.run(ask).value


def test_many_forks(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        session.run("x = list(range(1000))")
        forks = session.fork(60)
        assert [fork.run(f"x[{number}] = -1\nsum(x)").value for number, fork in enumerate(forks)] == [
            499_500 - number - 1 for number in range(60)
        ]
        assert session.fork(0) == []


def test_forks_of_forks(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        session.run("path = ''")
        leaves: list[Session] = [session]
        for _ in range(3):
            following = []
            for leaf in leaves:
                for letter, fork in zip("ab", leaf.fork(2), strict=True):
                    fork.run(f"path += {letter!r}")
                    following.append(fork)
            leaves = following
        assert [leaf.run("path").value for leaf in leaves] == ["aaa", "aab", "aba", "abb", "baa", "bab", "bba", "bbb"]


def test_forks_of_grown_memory(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        total = session.run(GROW).value
        assert isinstance(total, int)
        for _ in range(3):
            first, second = session.fork(2)
            assert first.run("grown[64] = 9\nsum(grown[::64])").value == total + 9
            assert second.run("more = bytearray(10 << 20)\nsum(grown[::64])").value == total
            (again,) = first.fork(1)
            assert again.run("[grown[64], len(grown)]").value == [9, 40 << 20]
            for fork in (first, second, again):
                fork.close()
        assert session.run("grown[64]").value == 0
        assert kind(session.run("x = bytearray(100 << 20)")) == "memory_limit"
    assert sandbox.run("'grown' in globals()").value is False


@pytest.mark.parametrize(("count", "error"), [(-1, InputError), (1.0, TypeError), (True, TypeError), ("2", TypeError)])
def test_counts_of_forks(sandbox: Sandbox, count: Any, error: type[Exception]) -> None:
    with sandbox.session() as session, pytest.raises(error, match="count must"):
        session.fork(count)


# --- saved states --------------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[Limits, str, str | None]] = {
    "trap": (Limits(memory_mb=128), "x = 2\nimport os\nos._exit(1)", "trap"),
    "timeout": (Limits(memory_mb=128, timeout_ms=100), "x = 2\nwhile True: pass", "timeout"),
    "out_of_fuel": (Limits(memory_mb=128, fuel=10**8), "x = 2\nwhile True: pass", "out_of_fuel"),
    "exception": (Limits(memory_mb=128), "x = 2\n1 / 0", None),
    "memory": (Limits(memory_mb=128), "x = 2\n'a' * 10**9", None),
    "growth": (Limits(memory_mb=128), f"x = 2\n{GROW}", None),
}


@pytest.mark.parametrize("isolation", ISOLATIONS)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_way_back(isolation: str, fault: str) -> None:
    limits, code, ends = FAULTS[fault]
    with Sandbox(limits=limits, isolation=isolation).session() as session:
        assert session.run("x = 1\nkeep = [b'a' * 99] * 50").ok
        state = session.save()
        for _ in range(3):
            session.run(code)
            assert session.ended == ends
            assert kind(session.run("x")) == ("trap" if ends else None)
            session.rebuild()
            assert session.ended is None
            assert session.run("[x, len(keep), 'grown' in globals()]").value == [1, 50, False]
        session.run(code)
        session.restore(state)
        assert session.run("x += 1\nx").value == 2
        session.rebuild()
        assert session.run("x").value == 1


def test_what_has_ended_cannot_be_saved(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        session.run("import os\nos._exit(1)")
        assert session.ended == "trap"
        for act in (session.save, lambda: session.fork(1)):
            with pytest.raises(SandboxError, match="nothing to save; rebuild it first"):
                act()
        session.rebuild()
        assert session.run("globals().get('x')").ok
        session.save()


def test_rebuild_without_a_saved_state_is_the_beginning(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        first = session.run("x = 1\nimport random\n[random.random(), id(object())]").value
        session.rebuild()
        assert kind(session.run("x")) == "exception"
        session.rebuild()
        assert session.run("x = 1\nimport random\n[random.random(), id(object())]").value == first


def test_states_of_different_times(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        states = []
        for number in range(6):
            session.run(f"x = {number}\nkeep = [bytes({number} * 300)] * 100")
            states.append(session.save())
        for number in (3, 0, 5, 2, 2):
            session.restore(states[number])
            assert session.run("[x, len(keep[0])]").value == [number, number * 300]
        others = [sandbox.restore(state) for state in states]
    assert [other.run("x += 10\nx").value for other in others] == [10, 11, 12, 13, 14, 15]


def test_a_state_outlives_its_session(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        total = session.run(GROW).value
        state = session.save()
        session.run("grown[0] = 200")
    for _ in range(3):
        with sandbox.restore(state) as other:
            assert other.run("sum(grown[::64])").value == total
    assert isinstance(state, SavedState)
    assert state.nbytes > 40 << 20
    assert f"{state.nbytes:,}" in repr(state)


def test_a_small_state_is_small(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        session.run("x = 1")
        assert 4096 <= session.save().nbytes < 3 << 20


def test_states_go_between_isolations() -> None:
    sandboxes = [Sandbox(limits=Limits(memory_mb=128), isolation=isolation) for isolation in ISOLATIONS]
    for one in sandboxes:
        with one.session() as session:
            session.run(f"x = 7\n{GROW}")
            state = session.save()
        for other in sandboxes:
            with other.restore(state) as session:
                assert session.run("[x, grown[-1]]").value[0] == 7


def test_wrong_states(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        for call in (session.restore, sandbox.restore):
            with pytest.raises(TypeError, match="state must be a SavedState, not bytes"):
                call(b"x")  # type: ignore[arg-type]
        for thing in (session, session.save()):
            with pytest.raises(TypeError, match="cannot be pickled"):
                pickle.dumps(thing)


def test_a_closed_session_refuses_everything(sandbox: Sandbox) -> None:
    session = sandbox.session()
    session.run("x = 1")
    state = session.save()
    session.close()
    session.close()
    acts: list[Callable[[], object]] = [
        lambda: session.run("1"),
        lambda: session.call("f", {}),
        session.save,
        lambda: session.fork(1),
        lambda: session.restore(state),
        session.rebuild,
        lambda: session.ended,
    ]
    for act in acts:
        with pytest.raises(SandboxError, match="closed"):
            act()


# --- processes -----------------------------------------------------------------------------------------------------


def in_child(act: Callable[[], bool]) -> bool:
    """Whether `act` is true in a forked child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads: what is tested here
        child = os.fork()
    if child == 0:
        status = 2
        try:
            status = 0 if act() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_fork_of_the_process_beside_living_sessions(sandbox: Sandbox) -> None:
    sessions = [sandbox.session() for _ in range(4)]
    for number, session in enumerate(sessions):
        session.run(f"x = {number}")
    state = sessions[0].save()
    sessions += sessions[1].fork(2)

    def child() -> bool:
        for act in (lambda: sessions[0].run("x"), sessions[1].save, lambda: sessions[2].fork(1), sessions[3].rebuild):
            try:
                act()
            except SandboxError:
                continue
            return False
        for session in sessions:
            session.close()
        with sandbox.session() as own:
            own.run("y = 3")
            (fork,) = own.fork(1)
            values = [sandbox.run("1 + 1").value, fork.run("y").value, own.run("y").value]
        return values == [2, 3, 3] and sandbox.stats()["dropped_differing"] == 0

    for _ in range(2):
        assert in_child(child)
        values = [session.run("x").value for session in sessions]
        assert values == [0, 1, 2, 3, 1, 1]
        with sandbox.restore(state) as other:
            assert other.run("x").value == 0
        assert sandbox.run("2 + 2").value == 4


def test_a_saved_state_in_a_child(sandbox: Sandbox) -> None:
    """It is plain memory, so that the child may use its copy; the parent's stays as it is."""
    with sandbox.session() as session:
        session.run("x = 7")
        state = session.save()

    def child() -> bool:
        with sandbox.restore(state) as own:
            return bool(own.run("x += 1\nx").value == 8)

    assert in_child(child)
    with sandbox.restore(state) as other:
        assert other.run("x").value == 7
