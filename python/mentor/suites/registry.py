"""The suites by name."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from mentor.errors import InputError
from mentor.suites.suite import Suite

__all__ = ["SUITES", "open_suite"]

_NAMES = ("arithmetic", "store", "everyday", "library", "hints")
"""Each is a module beside this one, with a function of the same name that opens the suite."""


def _opener(name: str) -> Callable[..., Suite]:
    """The function that opens a suite; its module is imported here."""
    opener: Callable[..., Suite] = getattr(importlib.import_module(f"mentor.suites.{name}"), name)
    return opener


def _open(name: str, **options: Any) -> Suite:
    return _opener(name)(**options)


SUITES: Mapping[str, Callable[..., Suite]] = MappingProxyType({name: partial(_open, name) for name in _NAMES})
"""Suites by name; calling one opens it. A suite's module is imported when it is first opened."""


def open_suite(name: str, **options: Any) -> Suite:
    """Open a suite by name.

    Args:
        name: The suite's name, a key of ``SUITES``.
        **options: What the suite's own function takes.

    Raises:
        InputError: There is no such suite, or it has no such option; the message names those there are.
        TypeError: `name` is no str.

    Example:
        >>> suite = open_suite("arithmetic")
        >>> tools = suite.open_tools()
        >>> task = suite.draw("in_domain", 1, seed=0, tools=tools, exclude=())[0]
        >>> task.meta["split"], len(task.meta["results"]) == len(task.reference["tool_calls"])
        ('in_domain', True)
        >>> open_suite("aritmetic")
        Traceback (most recent call last):
        mentor.errors.InputError: unknown suite 'aritmetic'; did you mean 'arithmetic'?
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if name not in SUITES:
        close = difflib.get_close_matches(name[:60], SUITES, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"the suites are {', '.join(SUITES)}"
        raise InputError(f"unknown suite {name[:60]!r}; {hint}")
    opener = _opener(name)
    known = inspect.signature(opener).parameters
    if unknown := next((option for option in options if option not in known), None):
        hint = f"its options are {', '.join(known)}" if known else "it has none"
        raise InputError(f"the suite {name!r} has no option {unknown!r}; {hint}")
    return opener(**options)
