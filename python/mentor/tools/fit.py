"""Arguments against a schema: what does not fit, in words for the model that wrote them, and what can be converted.

Whether arguments fit is decided by `mentor.sandbox.schemas.ArgumentSchema`. This is asked after a no, and where numbers
such as ``3.0`` stand for integers.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import math
from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any

__all__ = ["Fitter", "suggestion"]

_JSON_NAMES = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", NoneType: "null"}
_WANTED = {
    "integer": "an integer", "number": "a number", "string": "a string", "boolean": "a boolean", "null": "null",
    "array": "an array", "object": "an object",
}  # fmt: skip
_TYPES: dict[str, tuple[type, ...]] = {"string": (str,), "null": (NoneType,), "array": (list, tuple), "object": (dict,)}
_WORDS = {"true": True, "false": False}
_MAX_NUMBER = 400  # characters of a text that is read as a number


class Fitter:
    """Fits values to a schema, or says why they do not.

    Integral floats become ints where only integers fit. With `coerce` texts become the numbers, booleans, arrays and
    objects that they spell, a single value the array of it, and null for an optional argument leaves it out; each only
    where the value does not fit as it is.
    """

    def __init__(self, *, coerce: bool) -> None:
        self._coerce = coerce

    def fit(self, tool: str, arguments: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
        """Arguments that fit, as far as this class knows the schema's keywords.

        Raises:
            ValueError: They do not.
        """
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        for name in arguments:
            if name not in properties and schema.get("additionalProperties") is False:
                known = ", ".join(properties) or "none"
                hint = suggestion(name, properties)
                raise ValueError(f"{tool} has no argument {_quote(name)};{hint and f' {hint}'} it takes {known}")
        missing = [name for name in required if name not in arguments]
        if missing:
            raise ValueError(f"{tool} lacks the argument {', '.join(map(repr, missing))}")
        others = schema.get("additionalProperties", True)
        fitted = {}
        for name, value in arguments.items():
            rule = properties.get(name, others)
            if self._coerce and value is None and name not in required and not self._is_fit(None, rule):
                continue
            fitted[name] = self._fit(f"{tool}: {name}", value, rule)
        return fitted

    def _is_fit(self, value: Any, schema: Any) -> bool:
        with contextlib.suppress(ValueError):
            self._fit("", value, schema)
            return True
        return False

    def _fit(self, where: str, value: Any, schema: Any) -> Any:
        if not isinstance(schema, dict):
            return value
        options = [option for key in ("anyOf", "oneOf") for option in schema.get(key, ())]
        if options:
            value = self._fit_any(where, value, options)
        wanted = schema.get("type")
        if wanted is not None:
            types = wanted if isinstance(wanted, list) else [wanted]
            value = self._fit_type(where, value, types, schema)
        if "enum" in schema and not any(type(value) is type(item) and value == item for item in schema["enum"]):
            shown = json.dumps([item for item in schema["enum"] if item is not None or not schema.get("nullable")])
            raise ValueError(f"{where} must be one of {shown}, not {_describe(value)}")
        if isinstance(value, list | tuple):
            return self._fit_items(where, list(value), schema)
        if isinstance(value, dict):
            return self._fit_keys(where, value, schema)
        return value

    def _fit_any(self, where: str, value: Any, options: list[Any]) -> Any:
        for fitter in (_STRICT, self) if self._coerce else (self,):
            for option in options:
                with contextlib.suppress(ValueError):
                    return fitter._fit(where, value, option)
        raise ValueError(f"{where} fits none of its types; it is {_describe(value)}")

    def _fit_type(self, where: str, value: Any, types: list[str], schema: dict[str, Any]) -> Any:
        if any(_is(value, option) for option in types):
            if isinstance(value, float) and "integer" in types and "number" not in types:
                return int(value)
            return value
        if self._coerce:
            for converted in _spelled(value, types):
                return converted
            if "array" in types and value is not None and self._is_fit(value, schema.get("items")):
                return [value]
        named = [option for option in types if option != "null" or not schema.get("nullable")]
        wanted = " or ".join(_WANTED.get(option, option) for option in named)
        raise ValueError(f"{where} must be {wanted}, not {_describe(value)}")

    def _fit_items(self, where: str, values: list[Any], schema: dict[str, Any]) -> list[Any]:
        if "prefixItems" in schema:
            items = schema["prefixItems"]
            if len(values) != len(items) and schema.get("minItems") == schema.get("maxItems") == len(items):
                raise ValueError(f"{where} must have {len(items)} items, not {len(values)}")
            items = [*items, *[schema.get("items", {})] * (len(values) - len(items))]
        else:
            items = [schema.get("items", {})] * len(values)
        return [self._fit(f"{where}[{at}]", value, items[at]) for at, value in enumerate(values)]

    def _fit_keys(self, where: str, value: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        missing = [key for key in schema.get("required", ()) if key not in value]
        if missing:
            raise ValueError(f"{where} lacks {', '.join(map(repr, missing))}")
        if others is False:
            for key in value:
                if key not in properties:
                    known = ", ".join(properties) or "none"
                    hint = suggestion(key, properties)
                    raise ValueError(f"{where} has no {_quote(key)};{hint and f' {hint}'} it takes {known}")
        return {key: self._fit(f"{where}[{key!r}]", item, properties.get(key, others)) for key, item in value.items()}


_STRICT = Fitter(coerce=False)


def suggestion(name: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?``, or nothing where no name is near."""
    close = difflib.get_close_matches(str(name)[:60], known, n=1)
    return f"did you mean {close[0]!r}?" if close else ""


def _spelled(value: Any, types: list[str]) -> Iterable[Any]:
    """What a text spells, where that has one of the types."""
    if not isinstance(value, str):
        return
    text = value.strip()
    if text.lower() in _WORDS and "boolean" in types:
        yield _WORDS[text.lower()]
    number = _number(text)
    if number is not None and any(_is(number, option) for option in types):
        yield number if "number" in types else int(number)
    if text[:1] in ("[", "{"):
        with contextlib.suppress(ValueError, RecursionError):
            read = json.loads(text, strict=False)
            if any(_is(read, option) for option in types):
                yield read


def _number(text: str) -> int | float | None:
    if len(text) > _MAX_NUMBER:
        return None
    with contextlib.suppress(ValueError):
        read = json.loads(text)
        if isinstance(read, int) and not isinstance(read, bool):
            return read
        if isinstance(read, float) and math.isfinite(read):
            return read
    return None


def _is(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    if isinstance(value, float):
        return wanted == "number" or (wanted == "integer" and value.is_integer())
    if isinstance(value, int):
        return wanted in ("integer", "number")
    return isinstance(value, _TYPES.get(wanted, ()))


def _quote(name: object) -> str:
    text = str(name)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _describe(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "an array"
    if isinstance(value, Mapping):
        return "an object"
    shown = _JSON_NAMES.get(type(value), f"a {type(value).__name__}")
    text = json.dumps(value) if isinstance(value, str | int | float) else ""
    return f"{shown} ({text if len(text) <= 40 else text[:37] + '...'})" if text else shown
