"""Judging calls by the values that are allowed for each of their arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from mentor.sandbox.schemas import ArgumentSchema

__all__ = ["first_allowed", "matches"]

_OPTIONAL = ""  # among the allowed values: the argument may be left out
_NOISE = re.compile(r"[ ,./\-_*^]")


def matches(calls: Sequence[Mapping[str, Any]], alternatives: Sequence[Mapping[str, Any]]) -> bool:
    """Whether calls are what is allowed: as many, and one for each, in any order.

    A call is allowed where its name is (a dot and an underscore are the same), each argument has one of the listed
    values, and what it leaves out may be left out (``""`` is listed). Texts are compared without case, spaces and
    ``,./-_*^``; numbers by value, so 5 and 5.0 are the same.

    Args:
        calls: ``{name, arguments}`` of each call.
        alternatives: ``{name: {argument: [allowed values]}}`` of each call; none means that nothing may be called.

    Example:
        >>> allowed = [{"area": {"base": [10], "unit": ["cm", "centimetres", ""]}}]
        >>> matches([{"name": "area", "arguments": {"base": 10}}], allowed)
        True
        >>> matches([{"name": "area", "arguments": {"base": 10, "unit": "m"}}], allowed)
        False
    """
    if len(calls) != len(alternatives):
        return False
    fitting = [[at for at, one in enumerate(alternatives) if _call_matches(call, one)] for call in calls]
    taken: dict[int, int] = {}
    return all(_place(number, fitting, taken, set()) for number in range(len(calls)))


def _place(call: int, fitting: Sequence[Sequence[int]], taken: dict[int, int], tried: set[int]) -> bool:
    """Find a place for a call, moving others on: what fits first need not be what is left for it."""
    for place in fitting[call]:
        if place in tried:
            continue
        tried.add(place)
        if place not in taken or _place(taken[place], fitting, taken, tried):
            taken[place] = call
            return True
    return False


def _call_matches(call: Mapping[str, Any], allowed: Mapping[str, Any]) -> bool:
    if len(allowed) != 1:
        return False
    ((name, values),) = allowed.items()
    arguments = call.get("arguments")
    if not isinstance(arguments, Mapping) or str(call.get("name")).replace(".", "_") != name.replace(".", "_"):
        return False
    return _object_matches(arguments, values)


def _object_matches(given: Mapping[str, Any], allowed: Mapping[str, Any]) -> bool:
    return all(name in allowed and _is_one_of(value, allowed[name]) for name, value in given.items()) and all(
        name in given or _may_be_absent(values) for name, values in allowed.items()
    )


def _may_be_absent(values: Any) -> bool:
    return isinstance(values, list) and any(value == _OPTIONAL for value in values if isinstance(value, str))


def _is_one_of(value: Any, allowed: Any) -> bool:
    return any(_equal(value, one) for one in (allowed if isinstance(allowed, list) else [allowed]))


def _equal(value: Any, allowed: Any) -> bool:
    if isinstance(value, bool) or isinstance(allowed, bool):
        return value is allowed
    if isinstance(value, int | float) and isinstance(allowed, int | float):
        return value == allowed
    if isinstance(value, str) and isinstance(allowed, str):
        return _plain(value) == _plain(allowed)
    if isinstance(value, list) and isinstance(allowed, list):
        return len(value) == len(allowed) and all(map(_equal, value, allowed))
    if isinstance(value, Mapping) and isinstance(allowed, Mapping):
        return _object_matches(value, allowed)
    return value is None and allowed is None


def _plain(text: str) -> str:
    return _NOISE.sub("", text).lower().replace("'", '"')


def first_allowed(allowed: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A call with the first allowed value of each argument that fits the tool's schema; ``""`` leaves it out.

    Example:
        >>> first_allowed({"f": {"a": [1, 2], "b": ["", True]}}, [])
        {'name': 'f', 'arguments': {'a': 1}}
    """
    name, values = next(iter(allowed.items()))
    parameters: Mapping[str, Any] = {}
    for tool in tools:
        if tool["function"]["name"] == name:
            parameters = tool["function"]["parameters"]
    properties, required = parameters.get("properties", {}), parameters.get("required", [])
    arguments = {}
    for key, options in values.items():
        for option in options:
            if isinstance(option, str) and option == _OPTIONAL and key not in required:
                break
            value = _resolved(option)
            if _fits(value, properties.get(key, {})):
                arguments[key] = value
                break
        else:
            if options:
                arguments[key] = _resolved(options[0])
    return {"name": name, "arguments": arguments}


def _resolved(option: Any) -> Any:
    """An allowed value as an argument: inside objects, each key has a list of allowed values again."""
    if isinstance(option, Mapping):
        found = {}
        for key, values in option.items():
            kept = [value for value in values if value != _OPTIONAL] if isinstance(values, list) else [values]
            if kept:
                found[key] = _resolved(kept[0])
        return found
    return [_resolved(inner) for inner in option] if isinstance(option, list) else option


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    try:
        compiled = ArgumentSchema(orjson.dumps({"type": "object", "properties": {"value": schema}}).decode())
    except ValueError:
        return True
    return bool(compiled.fits(orjson.dumps({"value": value}).decode()))
