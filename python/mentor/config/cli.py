"""The command line of ``python -m mentor.train``: options from the dataclass, YAML below them, presets below both."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from mentor.config.presets import PRESETS
from mentor.config.schema import TrainConfig, known, resolve
from mentor.errors import ConfigError

__all__ = ["Request", "parse_config"]

_KINDS: dict[type, str] = {int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for.

    Attributes:
        config: The resolved configuration.
        resume: ``None``, ``"latest"`` or a run folder.
        dry_run: Check everything, train nothing.
    """

    config: TrainConfig
    resume: str | None = None
    dry_run: bool = False


def parse_config(argv: Sequence[str]) -> Request:
    """Parse a command line.

    Args:
        argv: Arguments without the program's name.

    Returns:
        The request, with the configuration resolved.

    Raises:
        ConfigError: An option, a key of the YAML file or a value is wrong; one line says which.
        SystemExit: ``--help`` was asked for.
    """
    import jsonargparse

    parser = _parser(jsonargparse)
    try:
        parsed = parser.parse_args(list(argv))
    except jsonargparse.ArgumentError as error:
        raise ConfigError(_reason(str(error)) + _meant(str(error))) from None
    given = {name: value for name, value in vars(parsed).items() if value is not None}
    given.pop("accelerate", None)  # for who starts the processes
    resume, dry_run = given.pop("resume", None), bool(given.pop("dry_run", False))
    path = given.pop("config", None)
    if resume is not None and (given or path is not None):
        others = ["config"] * (path is not None) + sorted(given)
        raise ConfigError(f"--resume goes on with the run's own configuration; leave out {', '.join(others)}")
    from_file = _read_yaml(Path(str(path)), parser, jsonargparse) if path is not None else {}
    return Request(config=resolve(TrainConfig(**{**from_file, **given})), resume=resume, dry_run=dry_run)


def _parser(jsonargparse: Any) -> Any:
    parser = jsonargparse.ArgumentParser(
        prog="python -m mentor.train",
        description="Teacher-guided GRPO with tools in a sandbox. Without options: the tiny preset, in minutes on CPU.",
        exit_on_error=False,
        default_env=False,
        allow_abbrev=False,
    )
    parser.add_argument("--config", type=str, metavar="FILE", help="YAML file; the command line wins over it")
    parser.add_argument(
        "--resume", nargs="?", const="latest", metavar="RUN", type=str, help="go on with a run; default: the latest"
    )
    parser.add_argument("--dry-run", "--dry_run", action="store_true", help="check model, tools and data, then stop")
    parser.add_argument(
        "--accelerate",
        metavar="PROFILE",
        type=str,
        help="start through accelerate launch: single, multi_gpu, multi_cpu, fsdp, zero2, zero3 or a file",
    )
    hints = get_type_hints(TrainConfig)
    for entry in fields(TrainConfig):
        dashed = entry.name.replace("_", "-")
        names = [f"--{dashed}"] + ([f"--{entry.name}"] if dashed != entry.name else [])
        parser.add_argument(
            *names, dest=entry.name, type=_type(hints[entry.name]), default=None, help=_help(entry), metavar="VALUE"
        )
    return parser


def _type(hint: Any) -> Any:
    return _Names() if hint == tuple[str, ...] | None else hint | None


class _Names:
    """The type of an option that takes names; help shows what it is called."""

    def __call__(self, value: Any) -> tuple[str, ...]:
        """Names, or one text of them with commas."""
        if isinstance(value, str):
            value = [name.strip() for name in value.split(",") if name.strip()]
        if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
            raise ValueError("names are wanted, separated by commas")
        return tuple(value)

    def __repr__(self) -> str:
        return "names"


def _help(entry: Any) -> str:
    text = str(entry.metadata["help"])
    if entry.default is not None:
        return f"{text} ({entry.default})"
    if entry.name == "system_prompt":  # too long to be shown
        return text
    presets = {name: values[entry.name] for name, values in PRESETS.items() if entry.name in values}
    shown = ", ".join(f"{name} {value}" for name, value in presets.items())
    return f"{text} ({shown})" if shown else text


def _read_yaml(path: Path, parser: Any, jsonargparse: Any) -> dict[str, Any]:
    """Read a YAML file and check its keys, then its values with the same types as the command line's."""
    import yaml

    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"config file {str(path)!r}: {reason}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"config file {str(path)!r}: {_one_line(str(error))}") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"config file {str(path)!r}: expected keys and values, found a {type(loaded).__name__}")
    names = [entry.name for entry in fields(TrainConfig)]
    values = {str(key).replace("-", "_"): value for key, value in loaded.items() if key != "versions"}
    for key in values:
        known("key", key, names, where=f"config file {str(path)!r}: ")
    try:
        parsed = parser.parse_object({key: value for key, value in values.items() if value is not None})
    except jsonargparse.ArgumentError as error:
        raise ConfigError(f"config file {str(path)!r}: {_reason(str(error))}") from None
    return {name: value for name, value in vars(parsed).items() if value is not None and name in names}


def _reason(text: str) -> str:
    """Say in one line what jsonargparse found wrong, without its talk of unions and classes."""
    line = _one_line(text)
    key = re.match(r'Parser key "(\w+)"', line)
    value = re.search(r"Given value: (.*?)$", line)
    if key is None or value is None:
        return re.sub(r'^Parser key "(\w+)":', r"\1:", line)
    kind = get_type_hints(TrainConfig).get(key[1])
    wanted = next((words for type_, words in _KINDS.items() if kind in (type_, type_ | None)), "a text")
    return f"{key[1]} is {value[1]}, must be {wanted}"


def _meant(text: str) -> str:
    """What an unknown option was probably meant to be, and where they all are."""
    unknown = re.search(r"[Uu]nrecognized arguments: (--[\w-]+)", text)
    if unknown is None:
        return ""
    names = [entry.name for entry in fields(TrainConfig)] + ["config", "resume", "dry-run", "accelerate"]
    close = difflib.get_close_matches(unknown[1], [f"--{name.replace('_', '-')}" for name in names], n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"; {hint}--help lists the options"


def _one_line(text: str) -> str:
    return " ".join(text.split())
