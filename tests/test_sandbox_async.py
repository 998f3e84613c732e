"""mentor.Sandbox in asyncio: many at once, a free event loop, cancelled tasks; streams of programs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from mentor import Limits, Sandbox
from mentor.errors import InputError

LOOP = "while True: pass"


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    sandbox = Sandbox(limits=Limits(timeout_ms=20_000))
    sandbox.run_batch(["1"] * 50)  # the threads of the sandbox, its instances
    return sandbox


# --- asyncio -------------------------------------------------------------------------------------------------------


def test_a_hundred_at_once_need_no_thread_each(sandbox: Sandbox) -> None:
    async def main() -> list[Any]:
        before, most = threading.active_count(), 0
        tasks = [asyncio.create_task(sandbox.arun(f"sum(range({n}))\n{n} * 2")) for n in range(100)]
        tasks += [asyncio.create_task(sandbox.acall("f", {"x": n}, "def f(x): return [x]")) for n in range(20)]
        native = native_threads()
        while not all(task.done() for task in tasks):
            most = max(most, threading.active_count())
            native = max(native, native_threads())
            await asyncio.sleep(0.001)
        assert most <= before + 1, "no Python thread per call"
        assert native <= start + 4, "no thread of the system per call"
        return [(await task).value for task in tasks]

    start = native_threads()
    assert asyncio.run(main()) == [n * 2 for n in range(100)] + [[n] for n in range(20)]


def native_threads() -> int:
    with open("/proc/self/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))


def test_the_event_loop_is_free_while_endless_programs_run() -> None:
    sandbox = Sandbox(limits=Limits(timeout_ms=700))

    async def main() -> None:
        tasks = [asyncio.create_task(sandbox.arun(LOOP)) for _ in range(2)]
        ticks, longest, last = 0, 0.0, time.monotonic()
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.005)
            now = time.monotonic()
            ticks, longest, last = ticks + 1, max(longest, now - last), now
        assert [outcome.fault.kind for task in tasks if (outcome := task.result()).fault] == ["timeout"] * 2
        assert ticks > 30
        assert longest < 0.4

    asyncio.run(main())


def test_a_quick_program_does_not_wait_for_endless_ones(sandbox: Sandbox) -> None:
    async def main() -> float:
        tasks = [asyncio.create_task(sandbox.arun(LOOP)) for _ in range(6)]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        assert (await sandbox.arun("6 * 7")).value == 42
        took = time.monotonic() - began
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return took

    assert asyncio.run(main()) < 2


def test_cancelling_a_task_stops_its_guest() -> None:
    sandbox = Sandbox(limits=Limits(timeout_ms=60_000))

    async def main() -> None:
        with sandbox.session() as session:
            session.run("n = 1")
            for start in (lambda: sandbox.arun(LOOP), lambda: session.arun(LOOP)):
                for _ in range(3):
                    task = asyncio.create_task(start())
                    await asyncio.sleep(0.05)
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
                    if start is not None and session.ended is not None:
                        session.rebuild()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(sandbox.arun(LOOP), 0.05)

    asyncio.run(main())
    assert idle_after(3), "the guests went on"


def idle_after(seconds: float) -> bool:
    """Whether this process stops computing within that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = time.process_time()
        time.sleep(0.2)
        if time.process_time() - before < 0.05:
            return True
    return False


def test_a_cancelled_step_ends_its_session() -> None:
    sandbox = Sandbox(limits=Limits(timeout_ms=60_000))

    async def main() -> None:
        with sandbox.session() as session:
            await session.arun("x = 1")
            await asyncio.to_thread(session.save)
            task = asyncio.create_task(session.arun(LOOP))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            outcome = await session.arun("x")  # waits for the step before it
            assert outcome.fault is not None
            assert session.ended == "cancelled"
            session.rebuild()
            assert (await session.arun("x")).value == 1

    asyncio.run(main())


def test_steps_of_one_session_take_turns(sandbox: Sandbox) -> None:
    async def main() -> Any:
        with sandbox.session() as session:
            await session.arun("n = 0\ndef add(k):\n    global n\n    n += k\n    return n")
            await asyncio.gather(*(session.acall("add", {"k": 1}) for _ in range(50)))
            return (await session.arun("n")).value

    assert asyncio.run(main()) == 50


def test_a_loop_that_was_closed_meanwhile() -> None:
    sandbox = Sandbox(limits=Limits(timeout_ms=300))

    async def main() -> None:
        asyncio.get_running_loop().create_task(sandbox.arun(LOOP))
        await asyncio.sleep(0.02)

    for _ in range(3):
        asyncio.run(main())
    assert idle_after(3)
    assert sandbox.run("1").value == 1


def test_faults_and_wrong_arguments(sandbox: Sandbox) -> None:
    async def main() -> None:
        outcome = await sandbox.arun("1 / 0", filename="mine.py")
        assert outcome.fault is not None
        assert 'File "mine.py", line 1' in outcome.fault.traceback
        assert (await sandbox.arun("x", "x = 3")).value == 3
        with pytest.raises(TypeError, match="code must be a str"):
            await sandbox.arun(1)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="arguments must be a mapping"):
            await sandbox.acall("f", 1)  # type: ignore[arg-type]

    asyncio.run(main())


# --- streams -------------------------------------------------------------------------------------------------------


class Source:
    """Counts what is taken from it."""

    def __init__(self, code: str = "{} * 2") -> None:
        self.taken = 0
        self.code = code

    def __iter__(self) -> Iterator[str]:
        for number in count():
            self.taken += 1
            yield self.code.format(number)


def test_a_stream_keeps_the_order(sandbox: Sandbox) -> None:
    codes = [f"sum(range({5000 * (40 - n) % 70_000}))\n{n}" for n in range(40)]
    assert [outcome.value for outcome in sandbox.stream(codes)] == list(range(40))
    assert [outcome.value for outcome in sandbox.stream(iter(codes), pending=1)] == list(range(40))
    assert [outcome.value for outcome in sandbox.stream(["x", "x + 1"], "x = 1")] == [1, 2]
    assert list(sandbox.stream([])) == []


@pytest.mark.parametrize("pending", [1, 2, 7, 40])
def test_a_stream_takes_no_more_than_pending_ahead(sandbox: Sandbox, pending: int) -> None:
    source = Source()
    stream = sandbox.stream(source, pending=pending)
    assert source.taken == 0
    for number in range(60):
        assert next(stream).value == number * 2
        assert source.taken <= number + pending
    time.sleep(0.05)
    assert source.taken <= 59 + pending
    stream.close()  # type: ignore[attr-defined]
    with pytest.raises(StopIteration):
        next(stream)


def test_closing_a_stream_stops_its_programs() -> None:
    sandbox = Sandbox(limits=Limits(timeout_ms=60_000))
    stream = sandbox.stream(["1"] + [LOOP] * 8)
    assert next(stream).value == 1
    stream.close()  # type: ignore[attr-defined]
    assert idle_after(3), "the guests went on"


def test_an_error_of_the_source_comes_through(sandbox: Sandbox) -> None:
    def source() -> Iterator[Any]:
        yield "1"
        yield "2"
        raise LookupError("no more")

    stream = sandbox.stream(source(), pending=1)
    assert next(stream).value == 1
    assert next(stream).value == 2
    with pytest.raises(LookupError, match="no more"):
        next(stream)
    stream = sandbox.stream(["1", None], pending=1)  # type: ignore[list-item]
    assert next(stream).value == 1
    with pytest.raises(TypeError, match=r"codes\[1\] must be a str, not NoneType"):
        next(stream)


@pytest.mark.parametrize(
    ("pending", "error", "message"),
    [
        (0, InputError, "at least 1, not 0"),
        (-3, InputError, "not -3"),
        (1.5, TypeError, "float"),
        (True, TypeError, "bool"),
    ],
)
def test_wrong_numbers_of_pending(sandbox: Sandbox, pending: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sandbox.stream([], pending=pending)


def test_a_stream_of_one_text(sandbox: Sandbox) -> None:
    with pytest.raises(TypeError, match="for one program use `run`"):
        sandbox.stream("1")
