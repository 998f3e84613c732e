"""Tools read from functions that run on the host: from the objects, as there may be no source."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from mentor.errors import InputError
from mentor.tools.schema import Tool, as_tool

__all__ = ["read_function"]

_HINTS = (
    "int, float, str, bool, None, list[...], dict[str, ...], tuple[...], Literal[...], Optional[...], Union[...], Any"
)
_LISTS = (list, Sequence, Iterable)
_MAPPINGS = (dict, Mapping)
# The bare builtins would become objects in transformers' schema, their typing twins arrays.
_BARE: dict[Any, Any] = {
    **dict.fromkeys((int, float, str, bool, NoneType, dict)),
    **dict.fromkeys(_LISTS, typing.List), tuple: typing.Tuple, Mapping: dict,  # noqa: UP006
}  # fmt: skip


def read_function(function: Callable[..., Any]) -> Tool:
    """A tool from a function, a bound method or another callable with a name.

    Raises:
        TypeError: It is no callable.
        InputError: It lacks a name, a type hint or a description.
    """
    if not callable(function) or isinstance(function, type):
        raise TypeError(f"functions must be functions or methods, not {type(function).__name__}")
    name = getattr(function, "__name__", "")
    if not name.isidentifier():
        raise InputError(f"tools: {name or type(function).__name__} has no name that a call could use; write a `def`")
    try:
        signature = inspect.signature(function)
        target = function if hasattr(function, "__annotations__") else type(function).__call__
        hints = typing.get_type_hints(target, include_extras=True)
    except (ValueError, TypeError, NameError, AttributeError) as error:
        raise InputError(f"tools: {name}: its signature cannot be read: {error}") from error
    parameters = [_parameter(name, parameter, hints) for parameter in signature.parameters.values()]
    result: Any = inspect.Signature.empty
    if "return" in hints:
        result = _known(f"{name}: the return value", hints["return"])
    return as_tool(name, inspect.getdoc(function), inspect.Signature(parameters, return_annotation=result))


def _parameter(name: str, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> inspect.Parameter:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise InputError(f"tools: {name} takes *args or **kwargs, which no schema can describe; name its parameters")
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise InputError(f"tools: {name} has positional-only parameters, but calls name their arguments: remove `/`")
    if parameter.name not in hints:
        raise InputError(
            f"tools: {name}: {parameter.name!r} has no type hint; write `{parameter.name}: float` or the like"
        )
    return parameter.replace(annotation=_known(f"{name}: {parameter.name!r}", hints[parameter.name]))


def _known(what: str, hint: Any) -> Any:
    """The hint in the form that `schema_of` reads."""
    if hint is Any:
        return hint
    origin, args = get_origin(hint), get_args(hint)
    if origin is None:
        if isinstance(hint, type) and hint in _BARE:
            return _BARE[hint] or hint
    elif origin is Annotated:
        return _known(what, args[0])
    elif origin is Literal:
        if all(type(value) in (int, float, str, bool, NoneType) for value in args):
            return hint
    elif origin in (Union, UnionType):
        return Union[tuple(_known(what, arg) for arg in args)]  # noqa: UP007
    else:
        inner = tuple(_known(what, arg) for arg in args if arg is not Ellipsis)
        if not args:
            return _BARE.get(origin) or origin
        if origin in _LISTS and len(inner) == 1:
            return GenericAlias(list, inner)
        if origin in _MAPPINGS and len(inner) == 2:
            return GenericAlias(dict, inner)
        if origin is tuple and len(inner) == len(args):
            return GenericAlias(tuple, inner)
    raise InputError(f"tools: {what} has the type hint `{_name(hint)}`, which has no schema; use {_HINTS}")


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and get_origin(hint) is None else str(hint)
