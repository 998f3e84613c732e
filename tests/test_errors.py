"""The exceptions: each is listed, pickles, and is also what a caller without mentor would catch."""

from __future__ import annotations

import pickle

import pytest

from mentor import errors

BUILTINS = {
    "BuildError": RuntimeError,
    "ConfigError": ValueError,
    "DataError": ValueError,
    "InputError": ValueError,
    "InputTypeError": TypeError,
    "JudgeError": RuntimeError,
    "MentorError": Exception,
    "ModelError": ValueError,
    "SandboxError": RuntimeError,
}


def test_the_table_is_complete() -> None:
    assert sorted(BUILTINS) == sorted(errors.__all__)


@pytest.mark.parametrize("name", BUILTINS)
def test_each_pickles_and_inherits_the_builtin(name: str) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, BUILTINS[name])
    assert issubclass(kind, errors.MentorError)
    again = pickle.loads(pickle.dumps(kind("refs[3]: answer: is missing")))
    assert (type(again), str(again)) == (kind, "refs[3]: answer: is missing")
