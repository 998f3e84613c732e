"""What a command line asks for, as a configuration and a folder, and what can be checked of it at once."""

from __future__ import annotations

import time
from pathlib import Path

import yaml

from mentor.config import TrainConfig, resolve
from mentor.config.cli import Request
from mentor.errors import ConfigError
from mentor.train.folder import RunFolder, check_new, latest_run
from mentor.train.tasks import check_splits

__all__ = ["check_cheaply", "open_run"]

RUNS = Path("runs")
"""Where runs go that name no folder."""


def check_cheaply(request: Request) -> None:
    """Check what needs neither torch nor a task: the folder, the names of suites and splits.

    Raises:
        ConfigError: The folder is in use, there is nothing to resume, or there is no such split.
        InputError: There is no such suite or option.
    """
    config, folder = open_run(request)
    if request.resume is None:
        check_new(folder.path)
    check_splits(config)


def open_run(request: Request) -> tuple[TrainConfig, RunFolder]:
    """The configuration and the folder of the run that is asked for.

    Raises:
        ConfigError: There is nothing to resume.
    """
    if request.resume is None:
        config = request.config
        stamp = time.strftime("%Y%m%d-%H%M%S")
        default = RUNS / f"{stamp}-{config.preset}-{config.method}-{config.seed}"
        return config, RunFolder(Path(config.output_dir) if config.output_dir else default)
    path = latest_run(RUNS) if request.resume == "latest" else Path(request.resume)
    try:
        saved = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))
        saved.pop("versions", None)
        return resolve(TrainConfig(**saved)), RunFolder(path)
    except OSError as error:
        raise ConfigError(f"nothing to resume in {str(path)!r}: config.yaml: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, AttributeError):
        raise ConfigError(f"nothing to resume in {str(path)!r}: config.yaml holds no configuration") from None
