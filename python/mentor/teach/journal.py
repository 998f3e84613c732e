"""Every reply that was paid for, on disk before it is used."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from mentor.data.jsonl import Unreadable, encode, parse_line
from mentor.errors import DataError, InputError
from mentor.teach.teacher import Reply

__all__ = ["Journal", "request_hash"]

Key = tuple[str, int, int]


def request_hash(body: Mapping[str, Any]) -> str:
    """Names a request by all that is sent.

    Example:
        >>> request_hash({"a": 1, "b": 2}) == request_hash({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


class Journal:
    """Replies by task, sample, turn and request, appended to a file and synced before `append` returns.

    A file belongs to one process at a time. A half-written last line, which a killed process leaves, is cut off. A file
    without a reply holds nothing that was paid for: it goes on with whatever settings.

    Args:
        path: The file; made when it is not there.
        settings: What decides the replies; those of a journal that is there have to be the same.
        ask_again: Go on with other settings: what differs is asked again, what is the same is not.

    Raises:
        InputError: Another process writes to the file, or the settings differ; the message says which.
        DataError: A line is damaged; the message names it.
        OSError: The file system refuses.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any], *, ask_again: bool = False) -> None:
        self.path = Path(path)
        self._replies: dict[tuple[Key, str], dict[str, Any]] = {}
        self._results: dict[tuple[Key, str], list[str]] = {}
        self.failures = 0
        self._pending: list[bytes] = []
        self._lock = asyncio.Lock()
        self._broken: BaseException | None = None
        if not self.path.parent.is_dir():
            raise DataError(f"{path}: the folder {self.path.parent} does not exist; create it first")
        self._file = self.path.open("a+b")
        try:
            self._claim()
            known = self._read()
            if self._replies and known is not None and known != dict(settings) and not ask_again:
                raise InputError(f"{self.path}: {_difference(known, settings)}")
            if known != dict(settings):
                self._write(_line({"type": "settings", "version": 1, "settings": dict(settings)}))
        except BaseException:
            self._file.close()
            raise

    @property
    def replies(self) -> list[dict[str, Any]]:
        """All replies, as `Reply.to_dict` wrote them."""
        return list(self._replies.values())

    def __len__(self) -> int:
        return len(self._replies)

    def reply(self, key: Key, request: str) -> dict[str, Any] | None:
        """The reply to a request, if it was paid for."""
        return self._replies.get((key, request))

    def results(self, key: Key, before: str) -> list[str] | None:
        """The tool results that a turn's request was made with, ``before`` being the hash of the turn before it."""
        return self._results.get((key, before))

    async def append(
        self, key: Key, request: str, reply: Mapping[str, Any], *, before: str = "", results: list[str] | None = None
    ) -> None:
        """Keep a reply; it is on disk when this returns."""
        entry = {"type": "reply", "task": key[0], "sample": key[1], "turn": key[2], "request": request}
        entry |= {"before": before, "results": results or [], "reply": dict(reply)}
        await self._commit(entry)
        self._take(entry)

    async def fail(self, key: Key, request: str, reason: str, message: str) -> None:
        """Note that a request failed; another run will ask again."""
        entry = {"type": "failure", "task": key[0], "sample": key[1], "turn": key[2], "request": request}
        await self._commit({**entry, "reason": reason, "message": message})
        self.failures += 1

    def close(self) -> None:
        """Write what waits, and let others have the file."""
        try:
            if self._pending and self._broken is None:
                data, self._pending = b"".join(self._pending), []
                self._write(data)
        finally:
            self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def _commit(self, entry: Mapping[str, Any]) -> None:
        """Replies that come in while the disk is busy are written together, with one sync."""
        self._pending.append(_line(entry))
        async with self._lock:
            if self._pending and self._broken is None:
                data, self._pending = b"".join(self._pending), []
                # The thread goes on when this is cancelled: the lock must be kept until it is done.
                writing = asyncio.ensure_future(asyncio.to_thread(self._write, data))
                try:
                    await asyncio.shield(writing)
                except asyncio.CancelledError:
                    await asyncio.wait([writing])
                    raise
                except OSError as error:
                    self._broken = error
            if self._broken is not None:
                raise DataError(f"{self.path}: cannot be written: {self._broken}") from self._broken

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _claim(self) -> None:
        try:
            import fcntl
        except ImportError:  # no such locks on this system
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"{self.path}: another run is writing to it; wait for it, or choose another output"
            ) from None

    def _read(self) -> dict[str, Any] | None:
        """Take in what is there; the settings of its last run, if it has any."""
        settings: dict[str, Any] | None = None
        self._file.seek(0)
        end = 0
        for number, line in enumerate(self._file, start=1):
            if not line.endswith(b"\n"):
                break  # what a killed process was writing
            try:
                entry = parse_line(line)
                if entry.get("type") == "settings":
                    settings = dict(entry["settings"])
                else:
                    self._take(entry)
            except (Unreadable, KeyError, TypeError, ValueError) as error:
                reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
                raise DataError(
                    f"{self.path}:{number}: damaged: {reason}; remove this line to ask for its reply again"
                ) from None
            end += len(line)
        self._file.truncate(end)
        self._file.seek(0, os.SEEK_END)
        return settings

    def _take(self, entry: Mapping[str, Any]) -> None:
        if entry["type"] == "failure":
            self.failures += 1
            return
        if entry["type"] != "reply":
            raise ValueError(f"type: {entry['type']!r} is unknown")
        key = (str(entry["task"]), int(entry["sample"]), int(entry["turn"]))
        Reply.from_dict(entry["reply"])  # one that cannot be read is damaged
        self._replies[key, str(entry["request"])] = dict(entry["reply"])
        if key[2] > 0:
            self._results[key, str(entry["before"])] = [str(text) for text in entry["results"]]


def _line(entry: Mapping[str, Any]) -> bytes:
    return encode(dict(entry), "journal") + b"\n"


def _difference(known: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    names = [name for name in {**known, **settings} if known.get(name) != settings.get(name)]
    first = names[0]
    told = f"{first} was {_short(known.get(first))} and is {_short(settings.get(first))}"
    others = f" ({', '.join(names[1:])} differ as well)" if names[1:] else ""
    return (
        f"made with other settings: {told}{others}; go back to them, choose another output, or ask again what differs "
        "(--ask-again)"
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
