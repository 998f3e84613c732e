"""``mentor serve``: the sandbox behind HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

__all__ = ["serve"]

_positive = click.IntRange(min=1)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; other than loopback needs a token.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="Port; 0: a free one.")
@click.option("--workers", type=_positive, default=1, show_default=True, help="Processes that answer.")
@click.option("--token", envvar="MENTOR_TOKEN", show_envvar=True, help="What requests must carry as bearer token.")
@click.option("--token-file", type=click.Path(path_type=Path), help="The same from a file: others see no arguments.")
@click.option("--max-timeout-ms", type=_positive, default=60_000, show_default=True, help="Longest run.")
@click.option("--memory-mb", type=_positive, default=256, show_default=True, help="Memory of a guest.")
@click.option("--output-kb", type=_positive, default=1_024, show_default=True, help="Limit of stdout and stderr.")
@click.option("--files-kb", type=click.IntRange(min=0), default=16_384, show_default=True, help="Limit of files.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of every run.")
@click.option("--guest", help="A guest with packages, as of: mentor guest build.")
@click.option("--max-body-kb", type=_positive, default=4_096, show_default=True, help="Largest request, else 413.")
@click.option("--max-running", type=_positive, default=256, show_default=True, help="Requests at once, else 503.")
@click.option("--max-connections", type=_positive, default=1_024, show_default=True, help="Connections, else 503.")
@click.option("--max-wait-ms", type=_positive, default=120_000, show_default=True, help="Longest wait, else 503.")
@click.option("--arrival-ms", type=_positive, default=30_000, show_default=True, help="Time to arrive or be read.")
@click.option("--idle-ms", type=_positive, default=60_000, show_default=True, help="Life of an idle connection.")
@click.option("--grace-ms", type=_positive, default=30_000, show_default=True, help="Wait for what runs at the end.")
@click.option("--access-log", is_flag=True, help="Log each request to stdout.")
def serve(token: str | None, token_file: Path | None, **options: Any) -> None:
    """Serve the sandbox over HTTP: POST /execute (MENTOR, ReCall) and POST /run_code (SandboxFusion).

    Limits hold per worker. GET /healthz and GET /metrics tell how it is. SIGTERM and Ctrl-C let what runs come to its
    end. Example: mentor serve --port 8080 --workers 2
    """
    from mentor.cli.extras import needs
    from mentor.errors import InputError

    with needs("serve"):
        from mentor.serve import Settings
        from mentor.serve import serve as run
    if token_file is not None:
        if token is not None:
            raise click.UsageError("give the token once: --token-file, or --token or MENTOR_TOKEN")
        try:
            token = token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"--token-file: {error}") from error
    try:
        settings = Settings(token=token, **options)
    except InputError as error:
        raise click.UsageError(str(error)) from error
    try:
        run(settings, on_listening=lambda address: click.echo(f"mentor: serving on {address}", err=True))
    except KeyboardInterrupt:
        raise click.exceptions.Exit(130) from None
