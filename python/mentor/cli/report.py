"""``mentor report``: run folders as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["report"]


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The file to write; default report.html in RUN, of several runs in the present folder.",
)
@click.option("--open", "open_it", is_flag=True, help="Show it in the browser.")
@click.option(
    "--max-mb",
    type=click.FloatRange(min=0),
    metavar="N",
    help="Megabytes of rollouts in the page (12): evaluations first, then training steps spread over the run.",
)
def report(runs: tuple[Path, ...], output: Path | None, open_it: bool, max_mb: float | None) -> None:
    """Write a report of one run, or of several side by side, and print its path.

    RUN is a folder that "python -m mentor.train" left, or a folder of such folders ("mentor compare"). A run that was
    interrupted or is still going will do. The file opens from disk in any browser.

    Examples: mentor report runs/tiny-mentor-dense --open; mentor report runs/mentor-0 runs/sparse-0 -o both.html
    """
    from mentor.errors import MentorError
    from mentor.report import write_report

    limit = {} if max_mb is None else {"max_mb": max_mb}
    try:
        path = write_report(list(runs), output=output, **limit)
    except MentorError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(2) from error
    except OSError as error:
        raise click.ClickException(str(error)) from error
    click.echo(path)
    if open_it:
        click.launch(path.resolve().as_uri())
