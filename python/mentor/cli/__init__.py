"""The command line: ``mentor``."""

from __future__ import annotations

import importlib

import click

from mentor.errors import MentorError

__all__ = ["main"]

_COMMANDS = {
    "compare": ("mentor.cli.compare", "compare", "Train methods over seeds and set them side by side."),
    "eval": ("mentor.cli.eval", "evaluate", "Evaluate saved models on tasks."),
    "guest": ("mentor.cli.guest", "guest", "Build guests of the sandbox with packages in them."),
    "import": ("mentor.cli.importing", "import_group", "Turn published data sets into task files."),
    "mcp": ("mentor.cli.mcp", "mcp", "Serve tools over the Model Context Protocol."),
    "report": ("mentor.cli.report", "report", "Write a report of runs, one HTML file."),
    "run": ("mentor.cli.run", "run", "Run a Python script in the sandbox."),
    "score": ("mentor.cli.score", "score", "Score rollouts against their references."),
    "serve": ("mentor.cli.serve", "serve", "Serve the sandbox over HTTP."),
    "teach": ("mentor.cli.teach", "teach", "Get references from a teacher: ask, execute, verify, keep the best."),
    "train": ("mentor.cli.train", "train", "Train a model (as python -m mentor.train)."),
    "validate": ("mentor.cli.validate", "validate", "Check task files, row by row."),
}


class _Group(click.Group):
    """Loads a command when it is called: `mentor --help` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, _, help_text) in sorted(_COMMANDS.items())])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except MentorError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mentor-rs", prog_name="mentor")
def main() -> None:
    """Teacher-guided rewards, a tool sandbox and training for distilling tool use into small language models."""
