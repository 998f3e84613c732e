"""Run a plan's arms as processes of ``python -m mentor.train``, side by side, so that it can be stopped and go on."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any, Protocol

from mentor.compare.plan import PLAN_FILE, Arm, Plan
from mentor.compare.runs import RUNS, read_run
from mentor.config import BUILT
from mentor.errors import ConfigError, DataError

__all__ = ["LOGS", "Outcome", "Watcher", "run_plan"]

LOGS = "logs"
TRAIN = (sys.executable, "-m", "mentor.train")
_POLL = 0.2
_GIVE_UP = 3
"""So many failures at the start, with nothing finished, end the comparison: the rest would fail as well."""


@dataclass
class Outcome:
    """What became of a plan's arms.

    Attributes:
        finished: Names of the arms that have a result, those of earlier calls included.
        ran: Names of those that finished in this call.
        failed: Name -> why, the last lines of the arm's log.
        left: Names of the arms that were not run to their end: stopped, not started, or run by another process.
        interrupted: Whether the user stopped it.
    """

    finished: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    interrupted: bool = False


class Watcher(Protocol):
    """Who is told what happens; see :class:`mentor.compare.progress.Display`."""

    def begin(self, total: int, finished: int, jobs: int) -> None:
        """So many arms, so many of them finished before, so many at a time."""

    def started(self, arm: Arm, folder: Path, *, resumed: bool) -> None:
        """An arm's process was started."""

    def ended(self, arm: Arm, what: str, seconds: float) -> None:
        """It ended: ``finished``, ``failed`` or ``stopped``."""

    def tick(self) -> None:
        """Called several times a second."""

    def stopping(self, running: int) -> None:
        """The user asked to stop; so many arms are still running."""


@dataclass
class _Running:
    arm: Arm
    folder: Path
    process: subprocess.Popen[bytes]
    began: float


def run_plan(plan: Plan, output: Path, *, jobs: int, watcher: Watcher) -> Outcome:
    """Run what is not finished yet.

    Finished arms are skipped, stopped ones go on from their last checkpoint, failed ones are tried again. While an arm
    builds a base that others need as well, the others wait, so that no base is built twice.

    Args:
        plan: What to run.
        output: The comparison's folder.
        jobs: Arms at a time.
        watcher: Who is told.

    Returns:
        What became of the arms.

    Raises:
        ConfigError: An arm cannot run, or its folder holds a run with other settings; raised before any work.
    """
    if jobs < 1:
        raise ConfigError(f"jobs is {jobs}, must be at least 1")
    plan.check()
    try:
        for name in (RUNS, LOGS):
            (output / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"output {str(output)!r}: {error.strerror}") from None
    planned = plan.arms()
    done = {arm.name for arm in planned if _finished(arm, output)}
    arms, outcome = [arm for arm in planned if arm.name not in done], Outcome(finished=sorted(done))
    (output / PLAN_FILE).write_text(plan.to_yaml(), encoding="utf-8")
    watcher.begin(len(planned), len(done), jobs)
    _Runner(output, arms, jobs, watcher, outcome).go()
    return outcome


def _finished(arm: Arm, output: Path) -> bool:
    folder = output / RUNS / arm.name
    if not (folder / "config.yaml").is_file():
        return False
    record = read_run(folder, label=arm.label)
    if differing := arm.differing(record.config):
        raise ConfigError(
            f"{folder} holds a run with other settings ({'; '.join(differing[:3])}); "
            "choose another output, or remove that folder"
        )
    return record.finished


class _Runner:
    def __init__(self, output: Path, arms: list[Arm], jobs: int, watcher: Watcher, outcome: Outcome) -> None:
        self._output, self._waiting, self._jobs, self._watcher = output, arms, jobs, watcher
        self._outcome, self._running = outcome, list[_Running]()
        self._built: set[Hashable] = set()
        self._signals = 0

    def go(self) -> None:
        with self._heeding_signals():
            try:
                while self._running or (self._waiting and not self._stopped()):
                    self._start_some()
                    time.sleep(_POLL)
                    self._watcher.tick()
                    self._collect()
            finally:  # whatever happens here, no process is left behind
                for running in self._running:
                    running.process.kill()
                    running.process.wait()
        self._outcome.left += [arm.name for arm in self._waiting]

    def _stopped(self) -> bool:
        hopeless = len(self._outcome.failed) >= _GIVE_UP and not self._outcome.ran and not self._outcome.finished
        return bool(self._signals) or hopeless

    def _start_some(self) -> None:
        while len(self._running) < self._jobs and not self._stopped():
            arm = next((arm for arm in self._waiting if not self._base_in_work(arm)), None)
            if arm is None:
                return
            self._waiting.remove(arm)
            self._start(arm)

    def _start(self, arm: Arm) -> None:
        folder = self._output / RUNS / arm.name
        resumed = (folder / "config.yaml").is_file()
        if not resumed:
            shutil.rmtree(folder, ignore_errors=True)
        config = self._output / RUNS / f".{arm.name}.yaml"
        config.write_text(arm.yaml(), encoding="utf-8")
        words = ["--resume", str(folder)] if resumed else ["--config", str(config), "--output-dir", str(folder)]
        threads = str(arm.options.get("threads") or "")
        environment = {**os.environ, "COLUMNS": "100", **({"OMP_NUM_THREADS": threads} if threads else {})}
        with _arm_lock(self._output / RUNS / f".{arm.name}.lock") as lock, self._log(arm).open("ab") as log:
            if lock is None:
                self._outcome.left.append(arm.name)
                self._watcher.ended(arm, "left out: another process runs it", 0.0)
                return
            process = subprocess.Popen(
                [*TRAIN, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # Ctrl-C on a terminal reaches this process alone, which passes it on
                pass_fds=(lock.fileno(),),
            )
        self._running.append(_Running(arm, folder, process, time.monotonic()))
        self._watcher.started(arm, folder, resumed=resumed)

    def _collect(self) -> None:
        for running in list(self._running):
            code = running.process.poll()
            if code is None:
                if self._signals > 1:
                    running.process.kill()
                continue
            self._running.remove(running)
            self._ended(running, code)

    def _ended(self, running: _Running, code: int) -> None:
        arm, seconds = running.arm, time.monotonic() - running.began
        what = "failed"
        if code == 0 and self._has_result(running):
            self._outcome.finished.append(arm.name)
            self._outcome.ran.append(arm.name)
            (self._output / RUNS / f".{arm.name}.yaml").unlink(missing_ok=True)
            (self._output / RUNS / f".{arm.name}.lock").unlink(missing_ok=True)
            what = "finished"
        elif self._signals:
            self._outcome.left.append(arm.name)
            what = "stopped"
        else:
            self._outcome.failed[arm.name] = f"exit code {code}: {_last_lines(self._log(arm))}"
        self._watcher.ended(arm, what, seconds)

    def _has_result(self, running: _Running) -> bool:
        try:
            return read_run(running.folder).finished
        except (DataError, ConfigError):
            return False

    def _log(self, arm: Arm) -> Path:
        return self._output / LOGS / f"{arm.name}.log"

    def _base_in_work(self, arm: Arm) -> bool:
        """Whether a running arm is building the base that this one needs."""
        key = _base_key(arm)
        if key is None or key in self._built:
            return False
        builders = [running for running in self._running if _base_key(running.arm) == key]
        if any(self._base_is_there(running) for running in builders):
            self._built.add(key)
            return False
        return bool(builders)

    def _base_is_there(self, running: _Running) -> bool:
        if (running.folder / "eval.jsonl").is_file() or (running.folder / "checkpoints" / "start").is_dir():
            return True
        with contextlib.suppress(OSError):
            return b"base model:" in self._log(running.arm).read_bytes()
        return False

    @contextlib.contextmanager
    def _heeding_signals(self) -> Iterator[None]:
        """The first Ctrl-C lets the arms write a checkpoint, the second one ends them at once; SIGTERM the same."""

        def heed(number: int, frame: FrameType | None) -> None:
            self._signals += 1
            self._outcome.interrupted = True
            if self._signals == 1:
                for running in self._running:
                    running.process.send_signal(signal.SIGINT)
                self._watcher.stopping(len(self._running))

        old = {number: signal.signal(number, heed) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)


def _base_key(arm: Arm) -> Hashable | None:
    """Which base an arm starts from; ``None`` where nothing has to be built."""
    if arm.options.get("model") or str(arm.options.get("preset") or "tiny") not in BUILT:
        return None
    base = arm.options.get("base_seed")
    return (arm.seed if base is None else base, str(arm.options.get("suite")), str(arm.options.get("preset")))


def _last_lines(log: Path, count: int = 3) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return f"no log ({error.strerror})"
    told = [line.strip() for line in lines if line.strip()][-count:]
    return " / ".join(told)[-600:] or f"nothing in {log}"


@contextlib.contextmanager
def _arm_lock(path: Path) -> Iterator[IO[Any] | None]:
    """Lock a file that the arm's process inherits: it stays locked while that lives, whatever becomes of this one."""
    with path.open("a") as file:
        try:
            import fcntl
        except ImportError:  # not on Windows
            yield file
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
        else:
            yield file
