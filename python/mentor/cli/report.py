"""``mentor report``: a run folder as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["report"]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def report(run: Path) -> None:
    """Write RUN/report.html and print its path.

    RUN is a folder that "python -m mentor.train" left; an interrupted run will do. The file opens from disk in any
    browser. Example: mentor report runs/tiny-mentor-dense
    """
    from mentor.errors import MentorError
    from mentor.report import write_report

    try:
        path = write_report(run)
    except (MentorError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(path)
