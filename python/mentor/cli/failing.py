"""How commands end that cannot start, and how they show what files and servers say."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

__all__ = ["Unusable", "keep_inputs", "shown"]


class Unusable(click.ClickException):
    """What was given cannot be used: ``Error: ...`` and exit code 2, nothing was started."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))


def shown(text: str) -> str:
    r"""A text for the terminal: what would steer it is replaced.

    Example:
        >>> shown("a\x1b[31mb") == "a\ufffd[31mb"
        True
    """
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)


def keep_inputs(output: Path, inputs: Iterable[Path | None]) -> None:
    """Refuses an output that would replace a file that is read.

    Raises:
        Unusable: It is the same file, by whatever name.
    """
    for file in inputs:
        if file is not None and output.is_file() and file.is_file() and output.samefile(file):
            raise Unusable(f"{output}: this file is read; give the output another name")
