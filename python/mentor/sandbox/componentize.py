"""Runs componentize-py, which makes a WebAssembly component of CPython and some sources."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mentor.errors import BuildError

__all__ = ["componentize"]

# The package cannot be run with `-m`.
_START = "import sys, componentize_py as c; sys.argv[0] = 'componentize-py'; c.script()"


def componentize(guest: Path, folders: Sequence[Path], target: Path) -> bytes:
    """Make a component of the guest's sources.

    Args:
        guest: Folder of ``app.py`` and ``wit``.
        folders: Where it finds packages while it is built.
        target: File for the component.

    Raises:
        BuildError: componentize-py is not installed or fails; the message has its reason.
    """
    if importlib.util.find_spec("componentize_py") is None:
        raise BuildError("building a guest needs componentize-py: pip install 'mentor-rs[guest]'")
    paths = [argument for folder in folders for argument in ("-p", str(folder))]
    arguments = ["-d", "wit", "-w", "guest", "componentize", "app", "-p", ".", *paths, "-o", str(target)]
    # Else the packages of the active environment would be searched too.
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    done = subprocess.run(
        [sys.executable, "-c", _START, *arguments],
        cwd=guest,
        env=environment | {"RUST_BACKTRACE": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0 or not target.is_file():
        raise BuildError(f"the guest cannot be built: {_reason(done.stderr)}")
    return target.read_bytes()


def _reason(text: str) -> str:
    """The last lines before the tool's own traces, which hold the Python error."""
    lines = [line.strip() for line in text.split("Stack backtrace")[0].splitlines() if line.strip()]
    return " | ".join(lines[-6:])[-1500:] or "componentize-py says nothing"
