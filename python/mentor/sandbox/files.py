"""Files of programs: what they find, what they leave, and those of a session."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from mentor import _core
from mentor.errors import InputError

__all__ = ["NO_FILES", "Files", "Inputs", "SessionFiles", "as_inputs", "core_files", "files_digest", "files_size"]


class Files(Mapping[str, bytes]):
    """Files by path, read-only and sorted; contents are copied when they are asked for."""

    __slots__ = ("_changes",)

    def __init__(self, changes: _core.Changes | Mapping[str, bytes]) -> None:
        self._changes = changes

    def __getitem__(self, path: str) -> bytes:
        if isinstance(self._changes, Mapping):
            return self._changes[path]
        content = self._changes.read(path) if _is_path(path) else None
        if content is None:
            raise KeyError(path)
        return content

    def __iter__(self) -> Iterator[str]:
        return iter(self._changes if isinstance(self._changes, Mapping) else self._changes.paths())

    def __len__(self) -> int:
        return len(self._changes if isinstance(self._changes, Mapping) else self._changes.paths())

    def __hash__(self) -> int:
        return hash(tuple(self.items()))

    @property
    def nbytes(self) -> int:
        """Bytes of contents and paths."""
        if isinstance(self._changes, Mapping):
            return sum(len(path) + len(content) for path, content in self._changes.items())
        return self._changes.nbytes

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (Files, (dict(self),)) if self else "NO_FILES"

    def __repr__(self) -> str:
        shown = [f"{path!r}: {len(self[path])} bytes" for path in list(self)[:10]]
        return f"<files {', '.join(shown)}{', ...' if len(self) > 10 else ''}>" if shown else "<no files>"


NO_FILES = Files({})


def files_size(files: Mapping[str, bytes]) -> int:
    """Bytes of contents and paths."""
    return files.nbytes if isinstance(files, Files) else sum(len(path) + len(files[path]) for path in files)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Files that programs find, checked, in the form that the extension takes.

    Attributes:
        core: The files.
        items: The same as pairs.
    """

    core: _core.Files
    items: tuple[tuple[str, bytes], ...]


def files_digest(files: Inputs | None) -> bytes | None:
    """SHA-256 of paths and contents; none for none."""
    if files is None:
        return None
    whole = hashlib.sha256()
    for path, content in sorted(files.items):
        name = path.encode()
        whole.update(len(name).to_bytes(8, "little") + name + len(content).to_bytes(8, "little") + content)
    return whole.digest()


def as_inputs(files: Mapping[str, bytes | str] | None) -> Inputs | None:
    """Files, checked; none for none.

    Raises:
        TypeError: They are no mapping of str to bytes or str.
        InputError: A path is not relative, or otherwise none; a text has no UTF-8.
    """
    if files is None:
        return None
    if not isinstance(files, Mapping):
        raise TypeError(f"files must be a mapping of paths to bytes or str, not {type(files).__name__}")
    items = tuple((as_path(path), as_content(path, content)) for path, content in files.items())
    return Inputs(_core.Files(list(items)), items) if items else None


def core_files(files: Inputs | None) -> _core.Files | None:
    """Files as the extension takes them."""
    return None if files is None else files.core


def as_path(path: object) -> str:
    """A path, of which the extension checks the rest."""
    if not isinstance(path, str):
        raise TypeError(f"the path of a file must be a str such as 'data/in.csv', not {type(path).__name__}")
    if not _has_utf8(path):
        raise InputError(f"the path {path!r} of a file has a lone surrogate, which has no UTF-8; use another path")
    return path


def _is_path(path: object) -> bool:
    return isinstance(path, str) and _has_utf8(path)


def _has_utf8(text: str) -> bool:
    return text.isascii() or text.encode("utf-8", "ignore").decode("utf-8") == text


def as_content(path: str, content: object) -> bytes:
    """Content of a file: text as UTF-8."""
    if isinstance(content, str):
        try:
            return content.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"the text of the file {path!r} has no UTF-8 ({error}); give bytes instead") from error
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)
    raise TypeError(f"the content of the file {path!r} must be bytes or str, not {type(content).__name__}")


class SessionFiles(MutableMapping[str, bytes]):
    r"""The files of a session by path, sorted: reads and changes them.

    Each access waits for the step that is under way. What is put here does not count against ``files_kb``.

    Example:
        >>> import mentor
        >>> with mentor.Sandbox().session() as session:
        ...     session.files["in.txt"] = "6 7"
        ...     _ = session.run("a, b = open('in.txt').read().split()\nopen('out.txt', 'w').write(a + b)")
        ...     dict(session.files)
        {'in.txt': b'6 7', 'out.txt': b'67'}
    """

    __slots__ = ("_session",)

    def __init__(self, session: Callable[[], _core.Session]) -> None:
        # Asked at each access, as it refuses some: those of whom its own step waits for.
        self._session = session

    def __getitem__(self, path: str) -> bytes:
        content = self._session().read_file(path) if _is_path(path) else None
        if content is None:
            raise KeyError(path)
        return content

    def __setitem__(self, path: str, content: bytes | str) -> None:
        self._session().write_file(as_path(path), as_content(path, content))

    def __delitem__(self, path: str) -> None:
        if not (_is_path(path) and self._session().remove_file(path)):
            raise KeyError(path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._session().file_paths())

    def __len__(self) -> int:
        return len(self._session().file_paths())

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and _is_path(path) and self._session().read_file(path) is not None

    def __repr__(self) -> str:
        return f"<files of a session: {', '.join(self) or 'none'}>"
