"""``mentor score``: scores for a file of rollouts."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import click

from mentor.cli.failing import keep_inputs
from mentor.cli.options import on_error_option
from mentor.score import REWARDS
from mentor.score.batch import JUDGES
from mentor.score.formats import FORMATS

__all__ = ["score"]

AHEAD = 4  # batches read while others are scored


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("-r", "--reward", type=click.Choice(REWARDS), default=REWARDS[0], show_default=True, help="The reward.")
@click.option(
    "-t", "--tools", help="Names of the offered tools, with commas between; without it each row's own `tools`."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write the scores to this .jsonl, .parquet or .csv file.",
)
@click.option(
    "-f",
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="How tool calls are written.",
)
@click.option("--rollout-key", help="The rollouts' key or column.  [default: rollout, completion or messages]")
@click.option("--reference-key", help="The references' key or column.  [default: reference or ref]")
@click.option("--judge", type=click.Choice(JUDGES), default="auto", show_default=True, help="Who judges the answers.")
@click.option(
    "--budget-ms", default=10_000, show_default=True, help="Milliseconds to wait for math-verify at most, per batch."
)
@on_error_option
@click.option("--threads", type=click.IntRange(min=1), help="Threads to use at most; one per core without it.")
def score(
    file: Path,
    reward: str,
    tools: str | None,
    output: Path | None,
    format_: str,
    rollout_key: str | None,
    reference_key: str | None,
    judge: str,
    budget_ms: int,
    on_error: str,
    threads: int | None,
) -> None:
    """Score the rollouts of a FILE against their references and print a summary.

    FILE holds JSON lines (.gz and .zst are unpacked; - is standard input) or is a .parquet file. Each row has a
    `rollout` (text in chat markup, or a list of messages), a `reference` ({"answer": ..., "tool_calls": [...]}) and,
    where you like, `id` and `tools`. In Parquet, messages, references and tools are structs and lists, or JSON text.
    Memory does not grow with the file. Ctrl-C stops after the current batch; what was scored is kept.

    Example: mentor score rollouts.jsonl -o scores.parquet
    """
    from rich.console import Console

    from mentor.cli.score_rows import REFERENCE_KEYS, ROLLOUT_KEYS, Rows, read_rows
    from mentor.cli.score_run import Run
    from mentor.data.ahead import Ahead
    from mentor.data.blocks import STDIN
    from mentor.data.columns import column_writer, known_ending

    if output is not None:
        known_ending(output)
        keep_inputs(output, [file])
    console = Console(stderr=True)
    names = None if tools is None else [name.strip() for name in tools.split(",") if name.strip()]
    options = {"reward": reward, "format": format_, "judge": judge, "budget_ms": budget_ms, "threads": threads}
    run = Run(
        on_error == "stop",
        names,
        options,
        lambda bad: console.print(f"left out: {bad}", style="yellow", markup=False),
    )
    parts = read_rows(
        file,
        ROLLOUT_KEYS if rollout_key is None else (rollout_key,),
        REFERENCE_KEYS if reference_key is None else (reference_key,),
    )
    ahead: Ahead[Rows] = Ahead(parts, AHEAD)
    with ExitStack() as stack:
        interruption = stack.enter_context(_Interruption(ahead.stop))
        write = None if output is None else stack.enter_context(column_writer(output, run.kinds()))
        stack.enter_context(ahead)
        advance = stack.enter_context(_Progress(console, file))
        for rows in run.score(ahead, write):
            advance(rows.size, run.count)
    name = "standard input" if file == STDIN else file.name
    Console().print(run.table(f"{name}: {reward} reward"))
    if output is not None:
        console.print(f"{run.count} scores written to {output}", markup=False)
    if interruption.happened:
        console.print(f"interrupted after {run.count} rows", style="yellow")
        raise SystemExit(130)


class _Interruption:
    """The first Ctrl-C ends the run after the current batch, the second at once."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self.stop, self.happened = stop, False

    def __enter__(self) -> _Interruption:
        self.before = signal.signal(signal.SIGINT, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self.before)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.happened = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.stop()


class _Progress:
    """A progress bar in bytes of the file, on a terminal only."""

    def __init__(self, console: Any, file: Path) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        rows = TextColumn("{task.fields[rows]:,} rollouts")
        columns = (TextColumn("scoring"), BarColumn(), DownloadColumn(), rows, TimeRemainingColumn())
        self.bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.total = file.stat().st_size if file.is_file() else None

    def __enter__(self) -> Callable[[int, int], None]:
        self.bar.__enter__()
        task = self.bar.add_task("scoring", total=self.total, rows=0)
        return lambda size, rows: self.bar.update(task, advance=size, rows=rows)

    def __exit__(self, *exc: Any) -> None:
        self.bar.__exit__(*exc)
