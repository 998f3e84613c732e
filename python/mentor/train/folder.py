"""The run folder: append-only JSON lines, and folders that are either complete or absent."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from mentor.config import TrainConfig
from mentor.errors import ConfigError, MentorError

__all__ = ["RunFolder", "check_new", "complete_folder", "disk_trouble", "latest_run"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_WORDS = ("No space left on device", "File too large", "Disk quota exceeded", "PytorchStreamWriter")


def disk_trouble(error: BaseException) -> str | None:
    """Return why the disk refused a write, or ``None`` if the error is about something else.

    The writers of tensors (safetensors, torch) wrap the system's error in their own classes, so their text is read.
    """
    if isinstance(error, OSError) and error.errno in _FULL:
        return os.strerror(error.errno)
    for words in _FULL_WORDS:
        if not isinstance(error, OSError) and words in str(error):
            return "the disk is full or a limit was reached" if words == "PytorchStreamWriter" else words
    return None


@contextmanager
def complete_folder(path: Path) -> Iterator[Path]:
    """Fill a folder under another name and rename it when it is complete.

    Args:
        path: The folder to end up with; an older one of that name stays until the new one is complete.

    Yields:
        The folder to write into.

    Raises:
        OSError: The disk is full; ``filename`` is ``path``. Nothing half-written remains.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        yield partial
        old = path.with_name(f".{path.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.rename(old)
        partial.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if (reason := disk_trouble(error)) is not None:
            raise OSError(errno.ENOSPC, reason, str(path)) from error
        raise


def check_new(path: Path) -> None:
    """Check that nothing is in the way of a new run.

    Raises:
        ConfigError: The folder exists and is not empty, or cannot be read.
    """
    try:
        used = path.is_dir() and any(path.iterdir())
    except OSError as error:
        raise ConfigError(f"output_dir {str(path)!r}: {error.strerror}") from None
    if used:
        raise ConfigError(f"output_dir {str(path)!r} is not empty; choose another, or go on with --resume {path}")


class RunFolder:
    """One run's folder; see the contract in ``DESIGN.md``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, config: TrainConfig) -> RunFolder:
        """Make a new folder with its ``config.yaml``.

        Raises:
            ConfigError: The folder exists and is not empty, or cannot be made.
        """
        check_new(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if disk_trouble(error) is not None:
                raise
            raise ConfigError(f"output_dir {str(path)!r}: {error.strerror}") from None
        folder = cls(path)
        folder.write_text("config.yaml", yaml.safe_dump({**config.to_dict(), "versions": _versions()}, sort_keys=False))
        return folder

    def write_text(self, name: str, text: str) -> None:
        """Write a small file completely or not at all."""
        partial = self.path / f".{name}.partial"
        try:
            partial.write_text(text, encoding="utf-8")
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror, str(self.path / name)) from error
        partial.replace(self.path / name)

    def append(self, name: str, row: Mapping[str, Any]) -> None:
        """Append one JSON line; a line that does not fit on the disk leaves no half of it behind.

        Raises:
            MentorError: A number is not finite, as the loss of a policy that diverged.
            OSError: The disk is full.
        """
        target = self.path / name
        before = target.stat().st_size if target.exists() else 0
        try:
            line = json.dumps(row, ensure_ascii=False, allow_nan=False, default=str) + "\n"
        except ValueError:
            broken = [key for key, value in row.items() if isinstance(value, float) and not math.isfinite(value)]
            bad = broken[0] if broken else name
            raise MentorError(f"the policy diverged: {bad} is no longer finite; lower learning_rate") from None
        try:
            with target.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            if target.exists():
                os.truncate(target, before)
            raise OSError(error.errno, error.strerror, str(target)) from error

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Read the complete lines of a file; a last line without its end was torn by a crash and is left out."""
        target = self.path / name
        if not target.exists():
            return []
        return [json.loads(line) for line in target.read_bytes().split(b"\n")[:-1]]

    def keep_rows(self, name: str, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Drop the rows that a resumed run will write again."""
        rows = [row for row in self.rows(name) if wanted(row)]
        if (self.path / name).exists():
            self.write_text(name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    @property
    def checkpoints(self) -> list[tuple[int, Path]]:
        """Complete checkpoints as (step, folder), oldest first."""
        found = []
        for path in (self.path / "checkpoints").glob("checkpoint-*"):
            step = path.name.removeprefix("checkpoint-")
            if step.isdigit() and path.is_dir():
                found.append((int(step), path))
        return sorted(found)

    def prune(self, keep: int) -> None:
        """Delete all but the newest checkpoints; called only after a newer one is complete."""
        for _, path in self.checkpoints[:-keep]:
            shutil.rmtree(path, ignore_errors=True)


def latest_run(parent: Path) -> Path:
    """Return the run folder under ``parent`` that was touched last.

    Raises:
        ConfigError: There is none.
    """
    runs = [path.parent for path in parent.glob("*/config.yaml")]
    if not runs:
        raise ConfigError(f"nothing to resume: no run folder under {str(parent)!r}; name one with --resume DIR")
    return max(runs, key=lambda path: max(entry.stat().st_mtime for entry in path.iterdir()))


def _versions() -> dict[str, str]:
    import mentor

    found = {"mentor": str(mentor.__version__), "guest": mentor.Sandbox().guest}
    for name in ("torch", "transformers", "trl"):
        found[name] = metadata.version(name)
    return found
