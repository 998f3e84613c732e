"""What commands share: packages that come with an extra, and errors of the caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from mentor.errors import MentorError

__all__ = ["needs", "refused"]


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Says what to install where an import within fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "mentor":
            raise
        raise click.ClickException(
            f"the package {error.name!r} is missing; install it with: pip install 'mentor-rs[{extra}]'"
        ) from error


@contextmanager
def refused() -> Iterator[None]:
    """Ends the command with exit code 2 and one line where what was asked for cannot be done."""
    try:
        yield
    except MentorError as error:
        raise _Refused(str(error)) from error


class _Refused(click.ClickException):
    exit_code = 2
