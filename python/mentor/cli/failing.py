"""How commands end that cannot start."""

from __future__ import annotations

import click

__all__ = ["Unusable"]


class Unusable(click.ClickException):
    """What was given cannot be used: ``Error: ...`` and exit code 2, nothing was started."""

    exit_code = 2
