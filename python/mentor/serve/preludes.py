"""Python that the server adds around what clients send. It runs in the guest, never here."""

from __future__ import annotations

import base64

__all__ = ["ENCODE", "with_stdin"]


def with_stdin(text: str | None) -> str:
    """An environment with a standard input, for all the ways in which programs read one."""
    return _STDIN.format(base64.b64encode((text or "").encode()).decode())


# `sys.stdin` with its `buffer`, and file descriptor 0 by `open` and `os.read`. Nothing stays in the globals. Each step
# of a guest begins with an empty `sys.stdin`, the first `StringIO` that is made: the real one is put in its place.
_STDIN = """\
def _setup(data):
    import binascii, builtins, io, os, sys
    raw = io.BytesIO(binascii.a2b_base64(data))
    real_open, real_read = builtins.open, os.read
    def open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        if type(file) is not int or file != 0:
            return real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        return raw if "b" in mode else io.TextIOWrapper(raw, encoding or "utf-8", errors, newline)
    def read(fd, size, /):
        return raw.read(size) if type(fd) is int and fd == 0 else real_read(fd, size)
    real_text = io.StringIO
    def stdin(*_):
        io.StringIO = real_text
        return io.TextIOWrapper(raw, "utf-8", "surrogateescape")
    builtins.open, io.open, os.read, io.StringIO = open, open, read, stdin
_setup("{}")
del _setup
"""

# What is no JSON becomes JSON in the way in which FastAPI does it: a call's result went through it on the other server.
ENCODE = """\
def _encode(value, depth=0):
    import collections, dataclasses, datetime, decimal, enum, pathlib, types, uuid
    if depth > 200:
        raise ValueError("the result is nested too deeply")
    if isinstance(value, enum.Enum):
        return _encode(value.value, depth + 1)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, dict):
        return {_encode(key, depth + 1): _encode(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, collections.deque, types.GeneratorType)):
        return [_encode(item, depth + 1) for item in value]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, decimal.Decimal):
        return int(value) if value.as_tuple().exponent >= 0 else float(value)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (pathlib.PurePath, uuid.UUID)):
        return str(value)
    try:
        return _encode(dict(value), depth + 1)
    except Exception:
        return _encode(vars(value), depth + 1)
response = _encode(response)
"""
