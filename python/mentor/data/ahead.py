"""Work that runs ahead of who takes its results."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Generic, TypeVar

__all__ = ["Ahead"]

T = TypeVar("T")


class _End:
    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Ahead(Generic[T]):
    """Runs an iterator in a thread of its own, at most ``depth`` items ahead; what it raises is raised here.

    Pays where both sides spend their time with the GIL released, or one of them does.

    Example:
        >>> with Ahead(iter(range(3)), depth=2) as numbers:
        ...     list(numbers)
        [0, 1, 2]
    """

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._items = items
        # SimpleQueue.put may interrupt itself or get: a signal handler can call stop.
        self._ready: SimpleQueue[T | _End] = SimpleQueue()
        self._room = threading.Semaphore(depth)
        self._stopped = False
        # A daemon: a read of standard input that never returns must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="mentor-ahead", daemon=True)

    def __enter__(self) -> Ahead[T]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._room.release()
        self._thread.join(timeout=1.0)

    def __iter__(self) -> Iterator[T]:
        while True:
            item = self._ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            if self._stopped:
                return
            yield item
            self._room.release()

    def stop(self) -> None:
        """Ends the iteration after the item that is being worked on. A signal handler may call it."""
        self._stopped = True
        self._ready.put(_End())

    def _run(self) -> None:
        try:
            while True:
                self._room.acquire()
                if self._stopped:
                    return
                self._ready.put(next(self._items))
        except StopIteration:
            self._ready.put(_End())
        except BaseException as error:  # noqa: BLE001  (handed over)
            self._ready.put(_End(error))
