"""``mentor score``: scores for a file of rollouts."""

from __future__ import annotations

import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from mentor.cli.options import on_error_option

if TYPE_CHECKING:
    from rich.table import Table

    from mentor.data import BadLine

__all__ = ["score"]

ROLLOUT_KEYS = ("rollout", "completion", "messages")
REFERENCE_KEYS = ("reference", "ref")
BATCH = 512
SHOWN_BAD_LINES = 5


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-r", "--reward", default="mentor", show_default=True, help="mentor, overlap, valid, f1, sparse or strict."
)
@click.option(
    "-t", "--tools", help="Names of the offered tools, with commas between; without it each row's own `tools`."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write the scores to this .jsonl or .parquet file."
)
@click.option(
    "--judge",
    type=click.Choice(["auto", "native", "math-verify"]),
    default="auto",
    show_default=True,
    help="Who judges the answers.",
)
@click.option("--budget-ms", default=2000, show_default=True, help="Milliseconds that math-verify may take per answer.")
@on_error_option
@click.option("--threads", type=click.IntRange(min=1), help="Threads to use at most; one per core without it.")
def score(
    file: Path,
    reward: str,
    tools: str | None,
    output: Path | None,
    judge: str,
    budget_ms: int,
    on_error: str,
    threads: int | None,
) -> None:
    """Score the rollouts of a JSON lines FILE against their references and print a summary.

    Each line is an object with `rollout` (text in chat markup, or a list of messages; `completion` and `messages` are
    read as well), `reference` ({"answer": ..., "tool_calls": [...]}) and, where you like, `id` and `tools`. Ctrl-C
    stops after the current batch; what was scored is kept.

    Example: mentor score rollouts.jsonl -o scores.parquet
    """
    from rich.console import Console

    from mentor.data import write_table
    from mentor.data.tables import check_ending
    from mentor.errors import InputError
    from mentor.score import REWARDS

    if reward not in REWARDS:
        raise InputError(f"unknown reward {reward!r}; known rewards: {', '.join(REWARDS)}")
    if output is not None:
        check_ending(output)
    console = Console(stderr=True)
    names = None if tools is None else [name.strip() for name in tools.split(",") if name.strip()]
    options = {"reward": reward, "judge": judge, "budget_ms": budget_ms, "threads": threads}
    run = _Run(
        file, on_error, names, options, lambda bad: console.print(f"left out: {bad}", style="yellow", markup=False)
    )
    with _Interruptible(run), _Progress(console, file) as advance:
        rows = run.rows(advance)
        if output is None:
            for _ in rows:
                pass
        else:
            write_table(output, rows)
    Console().print(run.table())
    if output is not None:
        console.print(f"{run.count} scores written to {output}", markup=False)
    if run.interrupted:
        console.print(f"interrupted after {run.count} rows", style="yellow")
        raise SystemExit(130)


class _Run:
    """One pass over a file; rows come out as they are scored, totals stay."""

    def __init__(
        self,
        file: Path,
        on_error: str,
        tools: Sequence[str] | None,
        options: dict[str, Any],
        warn: Callable[[BadLine], None],
    ) -> None:
        self.file, self.on_error, self.tools, self.options, self.warn = file, on_error, tools, options, warn
        self.count = self.bad_lines = 0
        self.reward_sum = self.reward_squares = self.seconds = 0.0
        self.component_sums: defaultdict[str, float] = defaultdict(float)
        self.defects: Counter[str] = Counter()
        self.interrupted = False

    def rows(self, advance: Callable[[int], None]) -> Iterator[dict[str, Any]]:
        """Reads, scores and yields the rows."""
        from mentor.data import read_jsonl

        batch: list[tuple[int, dict[str, Any]]] = []
        lines = read_jsonl(self.file, on_error=self.on_error, on_bad=self._bad, progress=advance)  # type: ignore[arg-type]
        for line, row in lines:
            if self.interrupted:
                break
            if self._usable(line, row):
                batch.append((line, row))
            if len(batch) == BATCH:
                yield from self._score(batch)
                batch = []
        yield from self._score(batch)

    def _bad(self, bad: BadLine) -> None:
        self.bad_lines += 1
        if self.bad_lines <= SHOWN_BAD_LINES:
            self.warn(bad)

    def _usable(self, line: int, row: dict[str, Any]) -> bool:
        """Checks one row; a bad one stops, or is left out and counted, as an unreadable line does."""
        from mentor.data import BadLine
        from mentor.errors import DataError, InputError
        from mentor.score import Reference

        rollout = next((row[key] for key in ROLLOUT_KEYS if key in row), None)
        reference = next((row[key] for key in REFERENCE_KEYS if key in row), None)
        try:
            if not isinstance(rollout, str | list) or (
                isinstance(rollout, list) and not all(isinstance(message, dict) for message in rollout)
            ):
                raise InputError("the row needs a `rollout`: text, or a list of message objects")
            if reference is None:
                raise InputError("the row needs a `reference`: {answer, tool_calls}")
            row["reference"] = Reference(reference)
            _check_tools(row.get("tools"))
        except InputError as error:
            bad = BadLine(str(self.file), line, str(error))
            if self.on_error == "stop":
                raise DataError(f"{bad} (--on-error=skip leaves such lines out)") from None
            self._bad(bad)
            return False
        row["rollout"] = rollout
        return True

    def _score(self, batch: list[tuple[int, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        from mentor.score import score_batch

        if not batch:
            return
        started = time.perf_counter()
        rollouts = [row["rollout"] for _, row in batch]
        references = [row["reference"] for _, row in batch]
        tools = self.tools if self.tools is not None else [row.get("tools") for _, row in batch]
        scores = score_batch(rollouts, references, tools=tools, **self.options)
        self.seconds += time.perf_counter() - started
        self.count += len(scores)
        self.reward_sum += float(scores.reward.sum())
        self.reward_squares += float((scores.reward**2).sum())
        self.defects.update(scores.defects)
        for name, values in scores.components.items():
            self.component_sums[name] += float(values.sum())
        for (line, row), result in zip(batch, scores, strict=True):
            yield {
                "line": line,
                "id": None if row.get("id") is None else str(row["id"]),
                "reward": result.reward,
                **result.components,
                "answer": result.answer,
                "verdict": result.verdict,
                "defects": [defect.kind for defect in result.defects],
            }

    def table(self) -> Table:
        """The summary."""
        from rich.table import Table

        table = Table(title=f"{self.file.name}: {self.options['reward']} reward", title_justify="left")
        table.add_column("measure")
        table.add_column("value", justify="right")
        count = max(self.count, 1)
        mean = self.reward_sum / count
        spread = max(0.0, self.reward_squares / count - mean * mean) ** 0.5
        table.add_row("rollouts", f"{self.count:,}")
        table.add_row("lines left out", f"{self.bad_lines:,}")
        table.add_row("reward, mean ± sd", f"{mean:.4f} ± {spread:.4f}")
        for name, total in self.component_sums.items():
            table.add_row(f"  {name}, mean", f"{total / count:.4f}")
        table.add_section()
        for kind, rows in self.defects.most_common():
            table.add_row(f"defect {kind}", f"{rows:,} ({100 * rows / count:.1f} %)")
        table.add_section()
        table.add_row("scoring", f"{self.count / self.seconds:,.0f} rollouts/s" if self.seconds else "-")
        return table


def _check_tools(tools: Any) -> None:
    from mentor.errors import InputError

    if tools is not None and not (isinstance(tools, list) and all(isinstance(tool, str | dict) for tool in tools)):
        raise InputError("`tools` must be a list of names or tool schemas")


class _Interruptible:
    """The first Ctrl-C ends the run after the current batch, the second at once."""

    def __init__(self, run: _Run) -> None:
        self.run = run

    def __enter__(self) -> None:
        self.before = signal.signal(signal.SIGINT, self._stop)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self.before)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.run.interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _Progress:
    """A progress bar in bytes of the file, on a terminal only."""

    def __init__(self, console: Any, file: Path) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("scoring"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.total = file.stat().st_size if file.is_file() else None

    def __enter__(self) -> Callable[[int], None]:
        self.bar.__enter__()
        task = self.bar.add_task("scoring", total=self.total)
        return lambda size: self.bar.update(task, advance=size)

    def __exit__(self, *exc: Any) -> None:
        self.bar.__exit__(*exc)
