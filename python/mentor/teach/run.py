"""The whole of it: samples of all tasks, judged, the best kept, nothing lost."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mentor.data import Task, write_jsonl, write_tasks
from mentor.data.atomic import check_place
from mentor.data.tables import check_ending
from mentor.errors import InputError, ModelError
from mentor.teach.assignments import Assignment
from mentor.teach.choose import best, reference_task, rejection
from mentor.teach.conversation import Conversations, Sample, Stopped
from mentor.teach.execution import Executor
from mentor.teach.journal import Journal
from mentor.teach.playing import Playing
from mentor.teach.report import Progress, TeachReport
from mentor.teach.settings import TeachSettings
from mentor.teach.spending import Spending
from mentor.teach.teacher import Player, Reply, Teacher
from mentor.teach.verify import Verdict, verify
from mentor.tools import ToolSet

__all__ = ["ateach", "check_output", "check_work", "files_of", "teach"]

_ANSWERS = ("reference", "answer")  # the keys that hold a known answer


def teach(
    assignments: Sequence[Assignment],
    teacher: Teacher | Player,
    *,
    tools: ToolSet,
    output: str | Path,
    settings: TeachSettings | None = None,
    ask_again: bool = False,
    watch: Callable[[Progress], None] | None = None,
) -> TeachReport:
    r"""Ask a teacher for references, execute and judge what it does, and write the best of each task.

    Replies that cost something go to ``OUTPUT.journal.jsonl`` before they are used: the same call again goes on where
    this one ended, however it ended, and asks for nothing twice. Ctrl-C lets requests under way come back, writes what
    is decided and returns; a second one gives them up.

    Args:
        assignments: The tasks, of `assign` or `read_assignments`.
        teacher: Whom to ask.
        tools: The tools of all tasks.
        output: File of references, ``.jsonl`` or ``.parquet``; tasks without a right sample go to
            ``OUTPUT.rejected.jsonl``, with reasons.
        settings: How to ask, what to keep.
        ask_again: Go on with a journal that was made with other settings; what differs is asked again.
        watch: Called with the numbers when a task is done, and now and then.

    Returns:
        What was kept, and what became of the rest.

    Raises:
        InputError: The arguments cannot be used, or the journal was made with other settings.
        ModelError: The teacher refuses to work, or too many samples in a row failed. What was decided is written.
        DataError: A file cannot be written, or the journal is damaged.

    Example:
        >>> import tempfile
        >>> from mentor.suites import open_suite
        >>> suite = open_suite("arithmetic")
        >>> tools = suite.open_tools()
        >>> tasks = suite.draw("in_domain", 2, seed=0, tools=tools, exclude=())
        >>> from mentor.teach import Solver, assign
        >>> output = Path(tempfile.mkdtemp(), "references.jsonl")
        >>> report = teach(assign(tasks, tools), Solver(), tools=tools, output=output)
        >>> len(report.tasks), report.tasks[0].meta["right"]
        (2, 1)
    """
    stop = threading.Event()
    work = ateach(
        assignments,
        teacher,
        tools=tools,
        output=output,
        settings=settings,
        ask_again=ask_again,
        watch=watch,
        stop=stop,
    )
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_interruptible(work, stop))
    # Called within an event loop, as in a notebook: a loop of its own, in a thread of its own.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _interruptible(work, stop)).result()


async def ateach(
    assignments: Sequence[Assignment],
    teacher: Teacher | Player,
    *,
    tools: ToolSet,
    output: str | Path,
    settings: TeachSettings | None = None,
    ask_again: bool = False,
    watch: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> TeachReport:
    """`teach` for who has an event loop. Setting ``stop`` does what Ctrl-C does there; cancelling gives up at once."""
    settings = settings or TeachSettings()
    output = check_output(output)
    check_work(assignments, settings)
    journal = None
    try:
        if teacher.paid:
            made = {**teacher.settings(), **settings.asked(), "tools": _fingerprint(tools)}
            journal = Journal(files_of(output)[2], made, ask_again=ask_again)
        run = _Run(list(assignments), teacher, tools, output, settings, journal, watch, stop or threading.Event())
        return await run.run()
    finally:
        if journal is not None:
            journal.close()
        await teacher.close()


class _Run:
    """One run: which samples are there, which verdicts, what is written at the end."""

    def __init__(
        self,
        assignments: list[Assignment],
        teacher: Teacher | Player,
        tools: ToolSet,
        output: Path,
        settings: TeachSettings,
        journal: Journal | None,
        watch: Callable[[Progress], None] | None,
        stop: threading.Event,
    ) -> None:
        self.assignments, self.teacher, self.output = assignments, teacher, output
        self.settings, self.journal, self.watch, self.stop = settings, journal, watch, stop
        self.executor = Executor(tools)
        self.spending = Spending(settings)
        if journal is not None:
            self.spending.remember(map(Reply.from_dict, journal.replies), journal.failures)
        self.source: Conversations | Playing
        if isinstance(teacher, Player):
            self.source = Playing(teacher, tools, settings, self.spending, journal)
        else:
            self.source = Conversations(teacher, self.executor, settings, self.spending, journal, self._stopping)
        self.samples: list[list[Sample]] = [[] for _ in assignments]
        self.verdicts: list[list[Verdict]] = [[] for _ in assignments]
        self.progress = Progress(tasks=len(assignments))
        self.error: Exception | None = None
        self.limit = False
        self.failed = 0  # samples in a row
        self.began = time.monotonic()

    async def run(self) -> TeachReport:
        if isinstance(self.source, Playing):
            workers = [asyncio.ensure_future(self._play(self.source))]
        else:
            pairs = iter([(at, n) for at in range(len(self.assignments)) for n in range(self.settings.samples)])
            workers = [asyncio.ensure_future(self._work(self.source, pairs)) for _ in range(self.settings.concurrency)]
        ticking = asyncio.ensure_future(self._tick())
        interrupted = False
        try:
            await asyncio.gather(*workers)
        except asyncio.CancelledError:
            interrupted = True
        finally:
            for task in (ticking, *workers):
                task.cancel()
            await asyncio.gather(ticking, *workers, return_exceptions=True)
        for at, samples in enumerate(self.samples):
            # Of a task whose samples are not all there: a right one is enough for a reference.
            if samples and not self.verdicts[at] and (self.assignments[at].answer is not None):
                await self._judge(at)
        report = self._write("interrupted" if interrupted or self.stop.is_set() else "limit" if self.limit else "")
        if self.error is not None:
            raise self.error
        return report

    def _stopping(self) -> bool:
        return self.stop.is_set() or self.error is not None

    async def _play(self, source: Playing) -> None:
        """Batches of tasks, the first sample of each, the second, ..."""
        size = self.settings.concurrency
        for low in range(0, len(self.assignments), size):
            for number in range(self.settings.samples):
                await self._part(source, low, number, size)

    async def _part(self, source: Playing, low: int, number: int, size: int) -> None:
        try:
            over = self._stopping() or self.limit  # then only what was played before is taken in, as below
            for at, sample in (await source.hold(self.assignments[low : low + size], low, number, known=over)).items():
                await self._add(at, sample)
            self.limit = source.limited
        except Exception as error:  # noqa: BLE001 - as below
            self.error = self.error or error

    async def _work(self, source: Conversations, pairs: Iterator[tuple[int, int]]) -> None:
        for at, number in pairs:
            # After a stop only what was paid for before is taken in: a run must not leave less than the one before it.
            if (self._stopping() or self.limit) and not source.begun(self.assignments[at], number):
                continue
            try:
                await self._add(at, await source.hold(self.assignments[at], number))
            except Stopped:
                self.limit |= not self._stopping()
            except Exception as error:  # noqa: BLE001 - whatever it is ends the run, after the others have come back
                self.error = self.error or error

    async def _add(self, at: int, sample: Sample) -> None:
        """Take a sample in; judge its task with the last one; end the run where nothing works any more."""
        self.samples[at].append(sample)
        if len(self.samples[at]) == self.settings.samples:
            await self._judge(at)
        # A sample that ran out of its budget was answered all the same.
        self.failed = self.failed + 1 if sample.failure and not sample.messages else 0
        if self.failed >= self.settings.max_failures:
            raise ModelError(
                f"{self.failed} samples in a row failed, the last one: {sample.failure}: "
                f"{sample.detail or 'no details'}; what was replied is kept, the same command goes on"
            )

    async def _judge(self, at: int) -> None:
        samples = sorted(self.samples[at], key=lambda sample: sample.number)
        self.verdicts[at] = await verify(self.assignments[at], samples, self.executor, self.settings)
        self.progress.done += len(samples) == self.settings.samples
        self.progress.kept += best(self.verdicts[at]) is not None
        self._show()

    def _show(self) -> None:
        progress, spending = self.progress, self.spending
        progress.asked, progress.replayed = self.source.asked, self.source.replayed
        progress.tokens_in, progress.tokens_out, progress.cost = spending.tokens_in, spending.tokens_out, spending.cost
        progress.seconds = time.monotonic() - self.began
        progress.stopping = self.stop.is_set()
        if self.watch is not None:
            self.watch(progress)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self._show()

    def _write(self, stopped: str) -> TeachReport:
        kept: list[Task] = []
        rejected: list[dict[str, Any]] = []
        reasons: Counter[str] = Counter()
        undecided = 0
        for assignment, verdicts in zip(self.assignments, self.verdicts, strict=True):
            chosen = best(verdicts)
            reasons.update(verdict.reason for verdict in verdicts if not verdict.right)
            if chosen is not None:
                kept.append(reference_task(assignment, verdicts, chosen, self.teacher.name))
            elif len(verdicts) == self.settings.samples:
                rejected.append(rejection(assignment, verdicts))
            else:
                undecided += 1
        if kept or self.error is None:  # a run that broke off with nothing leaves no empty file
            write_tasks(self.output, kept)
        refused = files_of(self.output)[1]
        if rejected:
            write_jsonl(refused, rejected)
        else:
            refused.unlink(missing_ok=True)
        self._show()
        return TeachReport(
            output=self.output,
            rejected=refused if rejected else None,
            journal=None if self.journal is None else self.journal.path,
            tasks=kept,
            stopped=stopped,
            progress=self.progress,
            reasons=reasons,
            open=undecided,
            estimated=self.spending.estimated,
        )


def check_output(output: str | Path) -> Path:
    """The file of references, checked before any work.

    Raises:
        InputError: Its ending is unknown.
        DataError: Its folder does not exist or takes no file, or it is a folder itself.
    """
    output = Path(output)
    check_ending(output)
    check_place(output)
    return output


def files_of(output: Path) -> tuple[Path, Path, Path]:
    """All that a run writes: references, rejected tasks, the journal."""
    return output, Path(f"{output}.rejected.jsonl"), Path(f"{output}.journal.jsonl")


def check_work(assignments: Sequence[Assignment], settings: TeachSettings) -> None:
    """Tasks that can be taught so.

    Raises:
        InputError: There is none, or one has no known answer where that is asked for.
    """
    if not assignments:
        raise InputError("assignments: there is no task")
    for assignment in assignments:
        if assignment.answer is None and settings.accept == "known":
            place = f"{assignment.place}: " if assignment.place else ""
            keys = [(key, get_close_matches(key.lower(), _ANSWERS, 1, 0.75)) for key in assignment.task.meta]
            meant = next((f" (is {near[0]!r} meant by {key[:40]!r}?)" for key, near in keys if near), "")
            raise InputError(
                f"{place}task {assignment.id}: its answer is not known{meant}; "
                "say how to accept one (--accept majority, --accept any), or mend the row"
            )


def _fingerprint(tools: ToolSet) -> str:
    """Names what the tools do, as far as their source says it."""
    return hashlib.sha256(tools.source.encode()).hexdigest()[:16]


async def _interruptible(work: Any, stop: threading.Event) -> TeachReport:
    task = asyncio.ensure_future(work)

    def heard() -> None:
        task.cancel() if stop.is_set() else stop.set()

    with _signals(heard):
        report: TeachReport = await task
        return report


@contextmanager
def _signals(heard: Callable[[], object]) -> Iterator[None]:
    """Ctrl-C, and the SIGTERM of schedulers, where this is the main thread; elsewhere they are not ours to take."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    old = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            loop.add_signal_handler(number, heard)
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, old[number])
