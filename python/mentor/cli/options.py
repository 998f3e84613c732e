"""Options that several commands share."""

from __future__ import annotations

import click

__all__ = ["on_error_option"]

on_error_option = click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="At an unreadable line: stop, or leave it out and count it.",
)
