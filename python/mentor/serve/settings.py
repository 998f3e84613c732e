"""What a server is told: where it listens, whom it answers, what it may spend."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from mentor.errors import InputError
from mentor.sandbox import Limits

__all__ = ["Settings", "is_loopback"]

_SHORTEST_TOKEN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a server runs. Every limit holds per worker process.

    Attributes:
        host: Address to listen on. Other than loopback needs a `token`.
        port: TCP port; 0 takes a free one.
        workers: Processes that answer.
        token: What requests must carry as ``Authorization: Bearer TOKEN``; at least 16 characters.
        max_timeout_ms: Longest time a request may ask for; what asks for more gets this.
        memory_mb: Memory of a guest; a request may ask for less.
        output_kb: KB of stdout and stderr together, and of a result as JSON.
        files_kb: KB that a program may add to its files.
        seed: Seed of every run.
        guest: Name of a guest with packages in it (``mentor guest build``); without it the built-in one.
        max_body_kb: Largest request; larger ones get 413.
        max_running: Requests under way at once; the next one gets 503.
        max_connections: Open connections; the next one gets 503.
        max_wait_ms: Longest time from a request's arrival to its answer, waiting for a core included; then 503.
        arrival_ms: Time within which a request must have arrived whole, else 408, and its answer been read.
        idle_ms: How long a connection without a request is kept.
        grace_ms: How long a server that was asked to stop waits for what runs.
        access_log: Whether each request is logged to stdout.

    Raises:
        TypeError: A value has the wrong type.
        InputError: A value is out of its range, or other machines could reach the server without a token.

    Example:
        >>> Settings(port=9000).max_timeout_ms
        60000
    """

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    token: str | None = None
    max_timeout_ms: int = 60_000
    memory_mb: int = 256
    output_kb: int = 1_024
    files_kb: int = 16_384
    seed: int = 0
    guest: str | None = None
    max_body_kb: int = 4_096
    max_running: int = 256
    max_connections: int = 1_024
    max_wait_ms: int = 120_000
    arrival_ms: int = 30_000
    idle_ms: int = 60_000
    grace_ms: int = 30_000
    access_log: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.host, str):
            raise TypeError(f"host must be a str, not {type(self.host).__name__}")
        for name in _NUMBERS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be an int, not {type(value).__name__}")
            first, last = _RANGES.get(name, (1, 2**31 - 1))
            if not first <= value <= last:
                raise InputError(f"{name} must be from {first} to {last}, not {value}")
        if self.guest is not None and not isinstance(self.guest, str):
            raise TypeError(f"guest must be a str, not {type(self.guest).__name__}")
        _check_token(self.token)
        if self.token is None and not is_loopback(self.host):
            raise InputError(
                f"on {self.host} other machines can reach the server: give it a token "
                "(MENTOR_TOKEN, --token-file or --token), or listen on 127.0.0.1"
            )

    def limits(self, timeout_ms: int, memory_mb: int) -> Limits:
        """Limits of one run, within the server's own."""
        return Limits(
            timeout_ms=min(timeout_ms, self.max_timeout_ms),
            memory_mb=min(memory_mb, self.memory_mb),
            output_kb=self.output_kb,
            files_kb=self.files_kb,
        )


_NUMBERS = (
    "port",
    "workers",
    "max_timeout_ms",
    "memory_mb",
    "output_kb",
    "files_kb",
    "seed",
    "max_body_kb",
    "max_running",
    "max_connections",
    "max_wait_ms",
    "arrival_ms",
    "idle_ms",
    "grace_ms",
)
_RANGES = {
    "port": (0, 65_535),
    "workers": (1, 1_024),
    "memory_mb": (48, 4_096),
    "output_kb": (1, 2**20),
    "files_kb": (0, 2**20),
    "seed": (0, 2**64 - 1),
    "max_body_kb": (1, 2**20),
}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_token(token: object) -> None:
    if token is None:
        return
    if not isinstance(token, str):
        raise TypeError(f"token must be a str, not {type(token).__name__}")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise InputError("token must be of printable ASCII characters without spaces")
    if len(token) < _SHORTEST_TOKEN:
        raise InputError(f"token must have at least {_SHORTEST_TOKEN} characters, not {len(token)}")
