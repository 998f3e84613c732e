"""Tools for a small tree of text files that lasts for one rollout."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from mentor.errors import InputError
from mentor.sandbox import Limits
from mentor.tools.sources import collect
from mentor.tools.toolset import ToolSet

__all__ = ["files"]

_MAX_FILES = 1_000
_MAX_PATH = 200
_MAX_SIZE = 1_000_000
_MAX_FOUND = 200
_FILES: dict[str, str] = {}  # in the guest: path -> text


def list_files(folder: str = "") -> list[str]:
    """List the files of a folder and its subfolders.

    Args:
        folder: The folder, such as "notes"; empty for all files.

    Returns:
        The paths, in alphabetical order.
    """
    return [path for path in sorted(_FILES) if _is_in(path, _folder(folder))]


def read_file(path: str, first_line: int = 1, last_line: int | None = None) -> str:
    """Read a text file, or some lines of it.

    Args:
        path: The file, such as "notes/todo.txt".
        first_line: The first line to read, counted from 1.
        last_line: The last line to read; the end of the file without it.

    Returns:
        The text.
    """
    text = _FILES[_existing(path)]
    if first_line < 1 or (last_line is not None and last_line < first_line):
        raise ValueError("lines count from 1, and last_line is not before first_line")
    if first_line == 1 and last_line is None:
        return text
    return "".join(text.splitlines(keepends=True)[first_line - 1 : last_line])


def write_file(path: str, text: str) -> str:
    """Write a text file; a file that exists is replaced. Folders need not be made.

    Args:
        path: The file, such as "notes/todo.txt".
        text: Its whole text.

    Returns:
        What was done, such as "created notes/todo.txt, 12 characters".
    """
    name = _path(path)
    done = "replaced" if name in _FILES else "created"
    _keep(name, text, _FILES)
    return f"{done} {name}, {len(text)} characters"


def append_file(path: str, text: str) -> str:
    """Append text to the end of a file, which is created where it does not exist.

    Args:
        path: The file, such as "notes/todo.txt".
        text: What to append, with its line break.

    Returns:
        What was done.
    """
    name = _path(path)
    _keep(name, _FILES.get(name, "") + text, _FILES)
    return f"appended to {name}, {len(_FILES[name])} characters"


def delete_file(path: str) -> str:
    """Delete a file.

    Args:
        path: The file, such as "notes/todo.txt".

    Returns:
        What was done.
    """
    name = _existing(path)
    del _FILES[name]
    return f"deleted {name}"


def move_file(path: str, new_path: str) -> str:
    """Move or rename a file.

    Args:
        path: The file, such as "notes/todo.txt".
        new_path: Where it should be; no file may be there.

    Returns:
        What was done.
    """
    name, target = _existing(path), _path(new_path)
    if target in _FILES:
        raise FileExistsError(f"there is a file {target!r} already; delete it first")
    text = _FILES.pop(name)
    try:
        _keep(target, text, _FILES)
    except (OSError, ValueError):
        _FILES[name] = text
        raise
    return f"moved {name} to {target}"


def search_files(text: str, folder: str = "", ignore_case: bool = False) -> list[str]:
    """Search the lines of all files for a text.

    Args:
        text: What to search for, exactly as it is written.
        folder: Only in this folder and its subfolders; empty for all files.
        ignore_case: Whether upper and lower case are the same.

    Returns:
        Up to 200 lines as "path:line number: line".
    """
    if not text:
        raise ValueError("text is empty; give what to search for")
    wanted = text.casefold() if ignore_case else text
    found: list[str] = []
    for path in list_files(folder):
        for number, line in enumerate(_FILES[path].splitlines(), 1):
            if len(found) < _MAX_FOUND and wanted in (line.casefold() if ignore_case else line):
                found.append(f"{path}:{number}: {line if len(line) <= 300 else line[:297] + '...'}")
    return found


def _path(path: str) -> str:
    """The path in one spelling: relative, with single slashes."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError("a path must not have '..'; all paths start at the top folder")
    if not parts or path.endswith("/"):
        raise ValueError(f"{path[:60]!r} names no file; give a path such as 'notes/todo.txt'")
    name = "/".join(parts)
    if len(name) > _MAX_PATH:
        raise ValueError(f"a path has at most {_MAX_PATH} characters, not {len(name)}")
    if "\\" in name or not name.isprintable():
        raise ValueError("a path has '/' between its parts, and neither backslashes nor control characters")
    return name


def _folder(folder: str) -> str:
    return "" if folder.strip("./") == "" and ".." not in folder else _path(folder.rstrip("/"))


def _is_in(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(folder + "/")


def _existing(path: str) -> str:
    name = _path(path)
    if name in _FILES:
        return name
    if any(_is_in(other, name) for other in _FILES):
        raise IsADirectoryError(f"{name!r} is a folder; list_files lists its files")
    close = difflib.get_close_matches(name, _FILES, n=1)
    hint = (
        f"did you mean {close[0]!r}?" if close else "list_files lists the files" if _FILES else "there are no files yet"
    )
    raise FileNotFoundError(f"there is no file {name!r}; {hint}")


def _keep(name: str, text: str, tree: dict[str, str]) -> None:
    parts = name.split("/")
    for end in range(1, len(parts)):
        if "/".join(parts[:end]) in tree:
            raise NotADirectoryError(f"{'/'.join(parts[:end])!r} is a file, not a folder")
    if any(_is_in(other, name) for other in tree if other != name):
        raise IsADirectoryError(f"{name!r} is a folder")
    if name not in tree and len(tree) >= _MAX_FILES:
        raise OSError(f"no room left: there are {_MAX_FILES} files; delete some")
    try:
        size = _size({**tree, name: text})
    except UnicodeEncodeError:
        raise ValueError("the path or the text has lone surrogates, which no file can hold") from None
    if size > _MAX_SIZE:
        raise OSError(f"no room left: {size} bytes, where {_MAX_SIZE} fit; delete some files")
    tree[name] = text


def _size(tree: dict[str, str]) -> int:
    return sum(len(path.encode()) + len(text.encode()) for path, text in tree.items())


_TOOLS = (list_files, read_file, write_file, append_file, delete_file, move_file, search_files)


def files(*, files: Mapping[str, str] | None = None, limits: Limits | None = None) -> ToolSet:
    r"""Seven tools for text files: list, read, write, append, delete, move, search. At most 1,000 files and 1 MB.

    The tree belongs to one rollout and touches no file of the host.

    Args:
        files: What there is at first, text by path.
        limits: What one call may use; without it 1 second, 128 MB and 8,192 KB, which the largest file takes as JSON.

    Raises:
        InputError: A path is unusable, or the files are too many.
        TypeError: A path or a text is no str.

    Example:
        >>> tools = files(files={"notes/todo.txt": "milk\nbread\n"})
        >>> tools.call("search_files", {"text": "bread"}).value
        ['notes/todo.txt:2: bread']
        >>> tools.call("read_file", {"path": "todo.txt"}).fault.message
        "FileNotFoundError: there is no file 'todo.txt'; did you mean 'notes/todo.txt'?"
    """
    limits = Limits(timeout_ms=1_000, memory_mb=128, output_kb=8_192) if limits is None else limits
    source, _ = collect(_TOOLS)
    return ToolSet.from_source(f"{source}\n_FILES.update({_initial(files or {})!r})\n", limits=limits, check=False)


def _initial(files: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(files, Mapping):
        raise TypeError(f"files must be a mapping from path to text, not {type(files).__name__}")
    tree: dict[str, str] = {}
    for path, text in files.items():
        if not isinstance(path, str) or not isinstance(text, str):
            raise TypeError("files must map paths to texts, str to str")
        try:
            _keep(_path(path), text, tree)
        except (ValueError, OSError) as error:
            raise InputError(f"files: {path[:60]!r}: {error}") from error
    return tree
