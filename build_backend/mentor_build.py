"""PEP 517 backend: maturin's, after a check of the tools that the build needs.

The check exists for its messages: without it a missing tool surfaces as a hundred lines of cargo output.
"""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec

import maturin
from maturin import *  # noqa: F403  (the PEP 517 hooks)


def missing_tools() -> list[str]:
    """One line for each tool that is missing, saying what to install."""
    lines = []
    if not shutil.which("cargo"):
        lines.append("mentor-rs: no Rust toolchain (cargo) found; install Rust 1.95 or newer with rustup")
    if not any(shutil.which(cc) for cc in (os.environ.get("CC"), "cc", "gcc", "clang") if cc):
        lines.append("mentor-rs: no C compiler (cc) found; install gcc or clang (Debian: build-essential)")
    if not os.environ.get("MENTOR_GUEST") and not (shutil.which("componentize-py") or find_spec("componentize_py")):
        lines.append(
            "mentor-rs: componentize-py not found; `pip install componentize-py==0.25.1`, "
            "or set MENTOR_GUEST to a prebuilt guest"
        )
    return lines


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):  # noqa: ANN001, ANN201, D103
    if lines := missing_tools():
        sys.exit("\n".join(lines))
    return maturin.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):  # noqa: ANN001, ANN201, D103
    if lines := missing_tools():
        sys.exit("\n".join(lines))
    return maturin.build_editable(wheel_directory, config_settings, metadata_directory)
