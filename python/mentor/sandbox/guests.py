"""Guests with packages in them, which are built once and kept."""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mentor import _core
from mentor.errors import BuildError, InputError
from mentor.sandbox.componentize import componentize
from mentor.sandbox.packages import collect_packages

__all__ = ["GuestInfo", "build_guest", "find_guest", "list_guests", "remove_guest"]

#: Guests that are built when they are first asked for: names of packages that the extra of that name brings along.
_READY = {"sympy": ("sympy", "mpmath")}
_NAME = re.compile(r"[a-z0-9][a-z0-9_+-]{0,63}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GuestInfo:
    """A guest that was built.

    Attributes:
        name: What ``Sandbox(guest=...)`` takes.
        hash: SHA-256 of what it is made of, in hex: runs are reproducible as long as it stays the same.
        packages: Versions by package.
        file: Where it is kept.
    """

    name: str
    hash: str
    packages: dict[str, str]
    file: str

    @property
    def nbytes(self) -> int:
        """Size of its file; what it is compiled to comes on top."""
        return Path(self.file).stat().st_size if Path(self.file).is_file() else 0


def build_guest(packages: Sequence[str], *, name: str | None = None, wheels: Sequence[str | Path] = ()) -> GuestInfo:
    """Build a guest that has packages beside the standard library, and keep it in the cache folder.

    They are imported while it is built, so that programs find them loaded. Takes half a minute to some minutes, and
    needs ``pip install 'mentor-rs[guest]'``. The first run compiles it, which takes some seconds more.

    Args:
        packages: Names, or requirements such as ``sympy==1.14``. What is installed here, with what it depends on, is
            taken from here; what is not, pip fetches. Only packages in pure Python work; data files are left out.
        name: What `Sandbox` calls it; by default the first package's name.
        wheels: Files of further packages.

    Raises:
        InputError: A package is not to be had or has compiled parts, or the name is unusable.
        BuildError: componentize-py is not installed, or a package cannot be imported in the guest; the message says
            why.
    """
    if isinstance(packages, str):
        raise InputError("packages must be a list of names, not one text")
    if not packages and not wheels:
        raise InputError("a guest needs at least one package or wheel")
    name = re.split(r"[^\w-]", str(packages[0] if packages else Path(wheels[0]).name))[0] if name is None else name
    name = name.lower()
    if not _NAME.fullmatch(name) or re.fullmatch(r"[0-9a-f]{12,64}", name):
        raise InputError(f"the name {name!r} is unusable; take small letters, digits, - and _, and no hash")
    with tempfile.TemporaryDirectory(prefix="mentor-guest-") as folder:
        root = Path(folder)
        found = collect_packages(packages, wheels, root / "packages")
        for file, text in _core.guest_sources():
            target = root / "guest" / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        listed = f"MODULES = {found.modules!r}\n"
        (root / "guest" / "packages.py").write_text(listed, encoding="utf-8")
        component = componentize(root / "guest", [root / "packages"], root / "guest.wasm")
        digest, path = _core.guest_build(component)
    info = GuestInfo(name, digest, found.versions, str(path))
    _write(info)
    return info


def list_guests() -> list[GuestInfo]:
    """The guests that were built, by name; the built-in one is not among them."""
    folder = _folder()
    infos = [_read(path) for path in sorted(folder.glob("guest-*.json"))] if folder.is_dir() else []
    return [info for info in infos if info is not None]


def find_guest(name: str) -> GuestInfo:
    """The guest of that name, or whose hash starts so; ``sympy`` is built if it is not there yet.

    Raises:
        InputError: There is none; the message says how to build one.
        BuildError: It has to be built, which fails.
    """
    if not isinstance(name, str):
        raise TypeError(f"guest must be a str, not {type(name).__name__}")
    known = list_guests()
    for info in known:
        if name == info.name or (len(name) >= 12 and info.hash.startswith(name)):
            try:
                _core.guest_hash(info.file)
            except ValueError as error:
                if name not in _READY:
                    again = " ".join(f"--with {package}" for package in info.packages)
                    raise InputError(f"{error}: mentor guest build {again} --name {name}") from None
                break
            return info
    if name in _READY:
        _log.warning("building the guest %r, once; this takes some minutes", name)
        return build_guest(_READY[name], name=name)
    there = f"there are {', '.join(info.name for info in known)}" if known else "there is none yet"
    raise InputError(f"no guest {name!r}; build it: mentor guest build --with PACKAGE --name {name}; {there}")


def remove_guest(name: str) -> None:
    """Forget a guest, and delete its file and what it was compiled to.

    Raises:
        InputError: There is none of that name.
        SandboxError: A file cannot be deleted.
    """
    for info in list_guests():
        if info.name == name:
            (_folder() / f"guest-{name}.json").unlink(missing_ok=True)
            if any(other.file == info.file for other in list_guests()):
                return
            try:
                _core.guest_remove(info.file)
            except ValueError:  # damaged, or of another version: nothing runs it
                Path(info.file).unlink(missing_ok=True)
            return
    raise InputError(f"no guest {name!r}")


def _folder() -> Path:
    folder = _core.cache_folder()
    if folder is None:
        raise BuildError("there is no folder to keep guests in: set MENTOR_CACHE_DIR")
    return Path(folder)


def _write(info: GuestInfo) -> None:
    handle, temporary = tempfile.mkstemp(dir=_folder())
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(asdict(info), file, indent=1)
    Path(temporary).replace(_folder() / f"guest-{info.name}.json")


def _read(path: Path) -> GuestInfo | None:
    """What is written there; none where it is damaged, as the guest can be built again."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return GuestInfo(str(data["name"]), str(data["hash"]), dict(data["packages"]), str(data["file"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
