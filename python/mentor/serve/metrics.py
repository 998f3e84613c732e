"""Numbers for Prometheus, summed over the worker processes."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
    multiprocess,
)

__all__ = ["FOLDER", "Metrics"]

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where worker processes put their numbers; prometheus_client's own name
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """What a process counts; `FOLDER` must be set before, where several are to be summed."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        if FOLDER not in os.environ:
            ProcessCollector(registry=self._registry)
            PlatformCollector(registry=self._registry)
        requests = Counter("mentor_requests", "Answered requests.", ["route", "status"], registry=self._registry)
        faults = Counter(
            "mentor_faults", "Programs and calls that failed, by kind.", ["route", "kind"], registry=self._registry
        )
        seconds = Histogram(
            "mentor_request_seconds",
            "Time from a request's arrival to its answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.running = Gauge(
            "mentor_running_requests",
            "Requests whose program or call is under way or waits for a core.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self.gone = Counter(
            "mentor_abandoned_requests",
            "Requests whose client went away.",
            registry=self._registry,
        )
        # To find a metric's child takes a lock and several times as long as to count.
        self._requests = lru_cache(maxsize=1_024)(requests.labels)
        self._faults = lru_cache(maxsize=1_024)(faults.labels)
        self._seconds = lru_cache(maxsize=1_024)(seconds.labels)

    def count(self, route: str, status: int, seconds: float, fault: str | None) -> None:
        """Counts an answered request."""
        self._requests(route, status).inc()
        self._seconds(route).observe(seconds)
        if fault is not None:
            self._faults(route, fault).inc()

    def page(self) -> tuple[bytes, str]:
        """All numbers as text, and its content type."""
        folder = os.environ.get(FOLDER)
        if folder is None:
            return generate_latest(self._registry), CONTENT_TYPE_LATEST
        _forget_the_dead(Path(folder))
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST


def _forget_the_dead(folder: Path) -> None:
    """What a process had under way ends with it; its counts stay."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        except PermissionError:  # someone else's now
            multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
