"""Packages in pure Python, gathered in a folder for a guest."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path, PurePosixPath

from mentor.errors import BuildError, InputError

__all__ = ["Packages", "collect_packages"]

#: CPython of the guest, for pip.
_PYTHON = "3.14"


@dataclass
class Packages:
    """What was gathered.

    Attributes:
        versions: Versions by name.
        modules: Modules to import, packages that others depend on first.
    """

    versions: dict[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()


def collect_packages(requirements: Sequence[str], wheels: Sequence[str | Path], folder: Path) -> Packages:
    """Gather packages and what they depend on.

    Args:
        requirements: Names, or requirements with versions.
        wheels: Files of further packages.
        folder: Where they go; it is made.

    Raises:
        InputError: One is not to be had, or has compiled parts.
        BuildError: The extra ``guest`` is not installed.
    """
    folder.mkdir(parents=True)
    for wheel in wheels:
        if not Path(wheel).is_file():
            raise InputError(f"{wheel}: no such wheel")
    here = [] if wheels else _installed(requirements)
    if here:
        for distribution in here:
            _copy(distribution, folder)
    else:
        _fetch([*requirements, *map(str, wheels)], folder)
    found = Packages()
    modules: list[str] = []
    for distribution in sorted(metadata.distributions(path=[str(folder)]), key=lambda one: one.name):
        found.versions[distribution.name] = distribution.version
        modules += [name for name in _top_level(distribution) if name not in modules]
    if not modules:
        raise InputError(f"no module to import in {', '.join(map(str, [*requirements, *wheels]))}")
    found.modules = tuple(modules)
    return found


def _installed(requirements: Sequence[str]) -> list[metadata.Distribution]:
    """The distributions in this environment that fulfil all requirements; none where one is missing."""
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError as error:
        raise BuildError("building a guest needs more packages: pip install 'mentor-rs[guest]'") from error
    found: dict[str, metadata.Distribution] = {}
    extras: dict[str, set[str]] = {}
    # With the extras of who wants it; what is asked for itself has no marker of an extra.
    todo: list[tuple[str, set[str]]] = [(text, set()) for text in requirements]
    while todo:
        text, wanted = todo.pop()
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise InputError(f"{text!r} is no requirement: {error}") from error
        if requirement.marker is not None and not any(
            requirement.marker.evaluate({"extra": extra}) for extra in wanted | {""}
        ):
            continue
        try:
            distribution = metadata.distribution(requirement.name)
        except metadata.PackageNotFoundError:
            return []
        if requirement.specifier and not requirement.specifier.contains(distribution.version, prereleases=True):
            return []
        name = distribution.name.lower()
        if name in found and requirement.extras <= extras[name]:
            continue
        found[name] = distribution
        extras.setdefault(name, set()).update(requirement.extras)
        todo += [(text, extras[name]) for text in distribution.requires or []]
    return list(found.values())


def _copy(distribution: metadata.Distribution, folder: Path) -> None:
    """Copy an installed distribution's Python files and its metadata."""
    files = distribution.files
    if not files:
        raise InputError(f"{distribution.name} is installed without a list of its files; pass its wheel")
    if "Root-Is-Purelib: true" not in (distribution.read_text("WHEEL") or ""):
        raise InputError(f"{distribution.name} has compiled parts; only packages in pure Python work in the sandbox")
    for file in files:
        parts = PurePosixPath(file).parts
        if ".." in parts or PurePosixPath(file).is_absolute() or "__pycache__" in parts:
            continue
        if file.suffix == ".py" or parts[0].endswith(".dist-info"):
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(distribution.locate_file(file)), target)


def _fetch(requirements: Iterable[str], folder: Path) -> None:
    """Have pip fetch wheels that fit any machine."""
    wanted = list(requirements)
    if importlib.util.find_spec("pip") is None:
        raise BuildError(f"pip is not installed, and would have to fetch {', '.join(wanted)}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--target", str(folder), "--only-binary=:all:", "--platform", "any", "--implementation", "py"]
    command += ["--abi", "none", "--python-version", _PYTHON, *wanted]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason = " | ".join(lines[-3:])[-1000:]
        raise InputError(f"pip finds no pure Python wheels of {', '.join(wanted)}: {reason}")


def _top_level(distribution: metadata.Distribution) -> list[str]:
    """Modules and packages that a distribution brings, without those that only hold tests."""
    names = set()
    for file in distribution.files or []:
        parts = PurePosixPath(file).parts
        if len(parts) == 1 and parts[0].endswith(".py"):
            names.add(parts[0][:-3])
        elif len(parts) == 2 and parts[1] == "__init__.py":
            names.add(parts[0])
    return sorted(name for name in names if name.isidentifier() and name not in ("tests", "test"))
