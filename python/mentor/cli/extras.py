"""Commands whose packages come with an extra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

__all__ = ["needs"]


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
