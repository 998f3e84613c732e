"""``mentor run``: a script in the sandbox."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress

    from mentor.sandbox import Outcome

__all__ = ["read_script", "run"]

_PATIENCE = 0.5  # seconds before there is something to see


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--timeout-ms", type=click.IntRange(min=1), default=10_000, show_default=True, help="Wall-clock limit.")
@click.option("--memory-mb", type=click.IntRange(min=1), default=256, show_default=True, help="Memory limit.")
@click.option(
    "--output-kb", type=click.IntRange(min=1), default=256, show_default=True, help="Limit of stdout and stderr."
)
@click.option(
    "--file",
    "inputs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A file that the script finds under its bare name; may be repeated.",
)
@click.option(
    "--files-kb", type=click.IntRange(min=0), default=1024, show_default=True, help="Limit of files it makes."
)
@click.option("--fuel", type=click.IntRange(min=1), help="Budget of WebAssembly operations; without it none.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all randomness.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole outcome as a line of JSON.")
def run(
    file: Path,
    timeout_ms: int,
    memory_mb: int,
    output_kb: int,
    inputs: tuple[Path, ...],
    files_kb: int,
    fuel: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Run a Python script in the sandbox: no file of this machine, network or process within its reach.

    FILE is the script, - stands for standard input. What it prints comes out when it ends, then the value of its last
    expression. Exit status: 0, 1 if the script failed (the traceback goes to stderr), 2 for wrong usage. Example:
    mentor run script.py --timeout-ms 2000 --file data.csv

    Files that the script makes live in memory; --json gives them as base64.
    """
    from mentor.errors import InputError
    from mentor.sandbox import Limits, Sandbox

    source, name = read_script(file)
    try:
        limits = Limits(timeout_ms=timeout_ms, memory_mb=memory_mb, output_kb=output_kb, files_kb=files_kb, fuel=fuel)
        sandbox = Sandbox(limits=limits, seed=seed, files={path.name: path.read_bytes() for path in inputs})
    except InputError as error:
        raise click.UsageError(str(error)) from error
    with _Spinner("compiling the guest, once") as spinner:
        sandbox.prepare()
        spinner.say(f"running {name}")
        outcome = sandbox.run(source, filename=name)
    _show(outcome, as_json)
    if not outcome.ok:
        raise click.exceptions.Exit(1)


def read_script(file: Path) -> tuple[str, str]:
    """Source and name of the script; Python's own rule for its encoding (PEP 263)."""
    import io
    import tokenize

    name = "<stdin>" if str(file) == "-" else str(file)
    try:
        with click.open_file(str(file), "rb") as stream:
            data: bytes = stream.read()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding), name
    except FileNotFoundError as error:
        raise click.UsageError(f"{name}: no such file") from error
    except OSError as error:
        raise click.UsageError(f"{name}: {error.strerror}") from error
    except (SyntaxError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{name}: no Python text: {error}") from error


def _show(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        shown = asdict(outcome)
        del shown["calls"]  # nothing of the host is granted here
        files = {path: base64.b64encode(content).decode() for path, content in outcome.files.items()}
        click.echo(json.dumps({"ok": outcome.ok, **shown, "files": files}))
        return
    click.echo(outcome.stdout, nl=False)
    click.echo(outcome.stderr, nl=False, err=True)
    if outcome.truncated:
        click.echo("mentor: output was cut off at its limit (--output-kb)", err=True)
    if outcome.fault is None:
        if outcome.value_repr is not None:
            click.echo(outcome.value_repr)
    elif outcome.fault.traceback:
        click.echo(outcome.fault.traceback, nl=False, err=True)
    else:
        click.echo(f"mentor: {outcome.fault.kind}: {outcome.fault.message}", err=True)


class _Spinner:
    """Elapsed time on stderr, when that is a terminal and there is time to see it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._progress: Progress | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> _Spinner:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        if console.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
            self._progress = Progress(*columns, console=console, transient=True)
            self._progress.add_task(self._text, total=None)
            self._timer = threading.Timer(_PATIENCE, self._start)
            self._timer.daemon = True
            self._timer.start()
        return self

    def say(self, text: str) -> None:
        """Changes the text and starts the clock again."""
        if self._progress is not None:
            self._progress.reset(self._progress.task_ids[0], description=text)

    def _start(self) -> None:
        with self._lock:
            if self._progress is not None:
                self._progress.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            if self._progress is not None:
                self._progress.stop()
                self._progress = None
