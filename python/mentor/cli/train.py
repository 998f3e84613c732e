"""``mentor train``: the same as ``python -m mentor.train``."""

from __future__ import annotations

import runpy
import sys

import click

__all__ = ["train"]


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
@click.pass_context
def train(ctx: click.Context) -> None:
    """Train a model; every option goes to ``python -m mentor.train``."""
    sys.argv = ["mentor train", *ctx.args]
    runpy.run_module("mentor.train", run_name="__main__", alter_sys=False)
