"""The arguments of a call: read, checked, and written as the JSON that a tool gets."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NoReturn

from mentor.errors import InputError
from mentor.sandbox.schemas import ArgumentSchema
from mentor.tools.fit import Fitter
from mentor.tools.schema import Tool

__all__ = ["MAX_ARGUMENTS", "Checker"]

MAX_ARGUMENTS = 1 << 20
"""Characters of JSON that the arguments of a call may have."""

_FITS, _ODD_NUMBERS = 1, 2
_KINDS = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "a boolean", type(None): "null"}


class Checker:
    """Checks the arguments of one tool.

    The schema of a tool that was read from its source takes no other arguments than the function does; one that was
    given decides itself.
    """

    def __init__(self, tool: Tool, *, coerce: bool) -> None:
        self.tool = tool
        self.coerce = coerce
        self._fitter = Fitter(coerce=coerce)

    @cached_property
    def _schema(self) -> ArgumentSchema:
        try:
            return ArgumentSchema(json.dumps(strict(self.tool)))
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(f"tools: {self.tool.name}: its parameters are no JSON Schema: {error}") from None

    @cached_property
    def _rules(self) -> dict[str, Any]:
        rules: dict[str, Any] = json.loads(self._schema.normal)
        return rules

    def prepare(self) -> None:
        """Compiles the schema now instead of at the first call.

        Raises:
            InputError: It is no JSON Schema.
        """
        _ = self._schema

    def text(self, arguments: Mapping[str, Any] | str) -> str:
        """The arguments as JSON that the tool can take.

        Raises:
            ValueError: They do not fit; the message is for the model that made them.
        """
        text = arguments if isinstance(arguments, str) else None
        if text is None:
            text = self._dump_early(arguments)
        if text is not None:
            if len(text) > MAX_ARGUMENTS:
                raise ValueError(f"the arguments have {len(text):,} characters of JSON; at most {MAX_ARGUMENTS:,} fit")
            if text.isascii() and text.isprintable() and self._schema.fits(text) == _FITS:
                return text
        try:
            return self._text_slowly(_load(arguments))
        except RecursionError as error:
            raise ValueError("the arguments are nested too deeply") from error

    @staticmethod
    def _dump_early(arguments: Any) -> str | None:
        """JSON of what is JSON; other things are left to the words for them."""
        if not isinstance(arguments, Mapping):
            return None
        try:
            return json.dumps(arguments if type(arguments) is dict else dict(arguments), allow_nan=False)
        except (ValueError, TypeError, RecursionError):
            return None

    def _text_slowly(self, loaded: dict[str, Any]) -> str:
        try:
            text = _dump(loaded)
        except ValueError:
            self._fitter.fit(self.tool.name, loaded, self._rules)  # has better words for some of it
            raise
        verdict = self._schema.fits(text)
        if verdict is None:
            raise ValueError("the arguments are nested too deeply")
        if verdict == _FITS:
            return text
        try:
            fitted = self._fitter.fit(self.tool.name, json.loads(text), self._rules)
        except ValueError:
            if verdict == _ODD_NUMBERS:
                return text
            raise
        text = _dump(fitted)
        if not self._schema.fits(text):
            raise ValueError(f"{self.tool.name}: {self._schema.fault(text)}")
        return text


def strict(tool: Tool) -> dict[str, Any]:
    """The schema that arguments are checked against."""
    schema = copy.deepcopy(tool.parameters)
    schema.setdefault("type", "object")
    if not tool.open:
        schema.setdefault("additionalProperties", False)
    if not tool.declared:
        _close(schema)
    return schema


def _close(schema: Any) -> None:
    """Tuples have the length that their hint says, which the published schema leaves open."""
    if isinstance(schema, dict):
        items = schema.get("prefixItems")
        if isinstance(items, list):
            schema["minItems"] = schema["maxItems"] = len(items)
        for inner in schema.values():
            _close(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _close(inner)


def _load(arguments: Mapping[str, Any] | str) -> dict[str, Any]:
    loaded: Any = arguments
    if isinstance(arguments, str):
        try:
            # Models write line breaks into strings as they are; scoring reads them too.
            loaded = json.loads(arguments, parse_constant=_refuse, strict=False)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the arguments are no valid JSON: {error}") from error
    if not isinstance(loaded, Mapping):
        raise ValueError(f"the arguments must be a JSON object, not {_KINDS.get(type(loaded), type(loaded).__name__)}")
    return dict(loaded)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _dump(arguments: dict[str, Any]) -> str:
    try:
        return json.dumps(arguments, allow_nan=False)
    except RecursionError as error:
        raise ValueError("the arguments are nested too deeply") from error
    except (ValueError, TypeError) as error:
        raise ValueError(f"the arguments are no JSON: {error}") from error
