"""All exceptions that mentor raises.

Each also inherits the built-in class that a caller would expect, so ``except ValueError`` works as well. Flaws in a
model's text are *defects* of its score, failures of guest code are *faults* of its outcome: neither is an exception.
"""

from __future__ import annotations

__all__ = [
    "BuildError",
    "ConfigError",
    "DataError",
    "InputError",
    "InputTypeError",
    "JudgeError",
    "MentorError",
    "ModelError",
    "SandboxError",
]


class MentorError(Exception):
    """Base class of every exception that mentor raises on purpose."""


class InputError(MentorError, ValueError):
    """An argument of a call is unusable; the message names the argument, the row and the field."""


class InputTypeError(InputError, TypeError):
    """An argument of a call has the wrong type; the message says what is expected."""


class ConfigError(MentorError, ValueError):
    """A configuration cannot run; raised before any work."""


class DataError(MentorError, ValueError):
    """A data file holds something unreadable; the message names the file and the line (counted from 1)."""


class ModelError(MentorError, ValueError):
    """A model or tokenizer cannot be used, for example because its chat template knows no tools."""


class JudgeError(MentorError, RuntimeError):
    """The judge's worker processes could not be started at all. A single slow or crashing pair is no error."""


class SandboxError(MentorError, RuntimeError):
    """The host side of the sandbox failed: the guest could not be compiled, cached or started."""


class BuildError(MentorError, RuntimeError):
    """The extension was built without a part that this call needs."""
