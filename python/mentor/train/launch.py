"""``python -m mentor.train --accelerate PROFILE``: the same command, started again by ``accelerate launch``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mentor.config.schema import known
from mentor.errors import ConfigError

__all__ = ["PROFILES", "profile_file", "relaunch", "split_launch"]

_FOLDER = Path(__file__).with_name("profiles")
PROFILES: tuple[str, ...] = tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))
"""Names of the profiles that come along."""

_OWN = ("--num_processes", "--num-processes", "--num_machines", "--machine_rank", "--main_process_port")


def profile_file(name: str) -> Path:
    """The file of a profile: one of the package's, or a file of the user's that ``accelerate config`` wrote.

    Raises:
        ConfigError: There is neither.
    """
    if name.endswith((".yaml", ".yml", ".json")):
        if not Path(name).is_file():
            raise ConfigError(f"accelerate {name!r}: no such file")
        return Path(name)
    known("profile of accelerate", name, PROFILES)
    return _FOLDER / f"{name}.yaml"


def split_launch(argv: Sequence[str]) -> list[str] | None:
    """Turn a command line with ``--accelerate`` into the one of ``accelerate launch``.

    Args:
        argv: Arguments without the program's name. ``--num_processes``, ``--num_machines``, ``--machine_rank`` and
            ``--main_process_port`` go to the launcher.

    Returns:
        The whole command, or ``None`` where no profile is asked for.

    Raises:
        ConfigError: The profile is missing or unknown.
    """
    profile: str | None = None
    launch: list[str] = []
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in ("--accelerate", *_OWN):
            rest.append(word)
            continue
        if not equals:
            value = next(words, "")
        if not value or value.startswith("--"):
            raise ConfigError(f"{name} wants a value")
        if name == "--accelerate":
            profile = value
        else:
            launch += [name.replace("num-processes", "num_processes"), value]
    if profile is None:
        if launch:
            raise ConfigError(f"{launch[0]} needs --accelerate PROFILE, one of {', '.join(PROFILES)}")
        return None
    file = str(profile_file(profile))
    return [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        file,
        *launch,
        "-m",
        "mentor.train",
        *rest,
    ]


def relaunch(command: Sequence[str]) -> int:
    """Replace this process by another."""
    os.execv(command[0], list(command))
