"""What a comparison shows while it runs: bars on a terminal, a line per arm elsewhere."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from mentor.compare.plan import Arm

__all__ = ["Display"]


class Display:
    """Shows arms done, the step of those that run, and the time that is left."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description:<26}"), BarColumn(bar_width=24), TextColumn("{task.fields[text]}"))
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._all: TaskID | None = None
        self._arms: dict[str, tuple[TaskID, Path, float]] = {}
        self._total, self._done, self._jobs, self._looked = 0, 0, 1, 0.0
        self._spent: list[float] = []

    def __enter__(self) -> Display:
        self._progress.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.__exit__(None, None, None)

    def begin(self, total: int, finished: int, jobs: int) -> None:
        """So many arms, so many of them finished before, so many at a time."""
        self._total, self._done, self._jobs = total, finished, jobs
        self._all = self._progress.add_task("arms", total=total, completed=finished, text=f"{finished}/{total}")
        before = f", {finished} finished before" if finished else ""
        self._say(f"{total} arms{before}, {jobs} at a time")

    def started(self, arm: Arm, folder: Path, *, resumed: bool) -> None:
        """An arm's process was started."""
        task = self._progress.add_task(f"  {arm.name}", total=None, text="going on" if resumed else "starting")
        self._arms[arm.name] = (task, folder, time.monotonic())

    def ended(self, arm: Arm, what: str, seconds: float) -> None:
        """It ended: ``finished``, ``failed`` or ``stopped``."""
        if (found := self._arms.pop(arm.name, None)) is not None:
            self._progress.remove_task(found[0])
        if what == "finished":
            self._done += 1
            self._spent.append(seconds)
        self._say(f"{self._done}/{self._total}  {arm.name}: {what}, {seconds:.0f} s{self._left()}")

    def stopping(self, running: int) -> None:
        """The user asked to stop; so many arms are still running."""
        self._say(f"stopping: {running} arms finish their step; Ctrl-C again ends them at once")

    def tick(self) -> None:
        """Look where the arms are, once a second."""
        if self._progress.disable or self._all is None or time.monotonic() - self._looked < 1:
            return
        self._looked = time.monotonic()
        for task, folder, began in self._arms.values():
            phase, step, total = _where(folder)
            text = f"{phase} {step}/{total}" if total else phase
            self._progress.update(task, total=total, completed=step, text=f"{text}  {time.monotonic() - began:.0f} s")
        self._progress.update(self._all, completed=self._done, text=f"{self._done}/{self._total}{self._left()}")

    def _left(self) -> str:
        """The time that is left, from the arms that finished in this call."""
        rest = self._total - self._done
        if not self._spent or not rest:
            return ""
        mean = sum(self._spent) / len(self._spent)
        under_way = sum(min(0.95, (time.monotonic() - began) / mean) for _, _, began in self._arms.values())
        seconds = max(1.0, mean * max(0.1, rest - under_way) / self._jobs)
        return f", about {seconds / 60:.0f} min left" if seconds > 90 else f", about {seconds:.0f} s left"

    def _say(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)


def _where(folder: Path) -> tuple[str, int, int | None]:
    """Phase, step and steps of a run, from the last line that it logged."""
    import yaml

    try:
        with (folder / "metrics.jsonl").open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 65_536))
            lines = file.read().split(b"\n")[:-1]
        row = json.loads(lines[-1])
        phase, step = str(row["phase"]), int(row["step"])
        if phase not in ("grpo", "sft"):
            return phase, step, None
        total = int(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["max_steps"])
        return (phase if step < total else "evaluating"), step, total
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        return "preparing", 0, None
