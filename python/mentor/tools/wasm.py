"""Tools from WebAssembly of the user's own."""

from __future__ import annotations

import copy
import inspect
import keyword
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mentor.errors import InputError
from mentor.sandbox import Limits, Outcome, WasmFunction, WasmModule
from mentor.tools.part import Done, Part
from mentor.tools.schema import OMITTED, Tool

__all__ = ["WasmPart"]

_TYPES: dict[str, Any] = {
    "integer": int, "number": float, "string": str, "boolean": bool, "object": dict[str, Any], "array": list[Any],
}  # fmt: skip


class WasmPart(Part):
    """Functions of a WebAssembly file as tools: each call in a new instance, so that nothing is kept.

    Args:
        source: Path or bytes of a component (WASI 0.2), of a core module, or of the text of either.
        only: Names of the functions that are tools; ``None`` for all that can be.
        descriptions: What the tools do, by name, and what their parameters mean, by ``tool.parameter``. Without one a
            tool is described by its signature.
        schemas: Schemas in OpenAI's format instead of those that are made from the types, for some of the tools. What
            they allow must fit the types all the same.
        limits: What one call may use.
        seed: Decides the random bytes that a tool gets.

    Raises:
        TypeError: An argument has the wrong type.
        InputError: The file cannot be loaded, or a name is not in it.

    Example:
        >>> text = b'(module (func (export "add") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1))))'
        >>> part = WasmPart(text, descriptions={"add": "Add two integers.", "add.a": "First.", "add.b": "Second."})
        >>> part.tools["add"].schema["function"]["description"]
        'Add two integers.'
        >>> part.call("add", '{"a": 40, "b": 2}').value
        42
    """

    def __init__(
        self,
        source: str | Path | bytes,
        *,
        only: Iterable[str] | None = None,
        descriptions: Mapping[str, str] | None = None,
        schemas: Iterable[Mapping[str, Any]] | None = None,
        limits: Limits | None = None,
        seed: int = 0,
    ) -> None:
        self._module = WasmModule(source, limits=limits, seed=seed)
        functions = {function.name: function for function in self._module.functions}
        names = list(functions) if only is None else _names(only)
        for name in names:
            if name not in functions:
                raise InputError(f"wasm: {_missing(name, functions, self._module.skipped)}")
        if not names:
            raise InputError(f"wasm: there is no function that could be a tool{_reasons(self._module.skipped)}")
        own = _schemas(schemas, names, functions)
        words = _words(descriptions, names, functions)
        self._tools = {name: _tool(functions[name], own.get(name), words) for name in names}

    @property
    def module(self) -> WasmModule:
        """The functions as they are, and what was left out."""
        return self._module

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools by name, in their order."""
        return self._tools

    @property
    def pure(self) -> bool:
        """True: a new instance for each call keeps nothing."""
        return True

    @property
    def source(self) -> str:
        """Empty, as no guest runs it."""
        return ""

    def call(self, name: str, arguments: str) -> Outcome:
        """One call in a new instance."""
        return self._module.call(name, arguments)

    def call_batch(self, calls: Sequence[tuple[str, str]]) -> list[Outcome]:
        """Many calls, on all cores, in order."""
        return self._module.call_batch(calls)

    def start(self, name: str, arguments: str, done: Done) -> Callable[[], object]:
        """Starts a call in the background; gives what stops it."""
        return self._module.start(name, arguments, done)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._module, self._tools)

    def __repr__(self) -> str:
        return f"WasmPart({', '.join(self._tools)})"


def _rebuild(cls: type[WasmPart], module: WasmModule, tools: dict[str, Tool]) -> WasmPart:
    part = cls.__new__(cls)
    part._module, part._tools = module, tools
    return part


def _names(only: object) -> list[str]:
    if isinstance(only, str) or not isinstance(only, Iterable):
        raise TypeError(f"only must be a list of names, not {type(only).__name__}")
    names = list(only)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"only must be a list of names; it has a {type(name).__name__}")
    return list(dict.fromkeys(names))


def _missing(name: str, functions: Mapping[str, WasmFunction], skipped: Mapping[str, str]) -> str:
    if name in skipped:
        return f"{name!r} cannot be a tool: {skipped[name]}"
    return f"there is no function {name!r}; it has {', '.join(functions) or 'none'}"


def _reasons(skipped: Mapping[str, str]) -> str:
    told = [f"{name!r}: {reason}" for name, reason in list(skipped.items())[:5]]
    return f" ({'; '.join(told)})" if told else ""


def _words(
    descriptions: Mapping[str, str] | None, names: Sequence[str], functions: Mapping[str, WasmFunction]
) -> dict[str, str]:
    if descriptions is None:
        return {}
    if not isinstance(descriptions, Mapping):
        raise TypeError(f"descriptions must be a mapping, not {type(descriptions).__name__}")
    known = {*names, *(f"{name}.{part}" for name in names for part in functions[name].parameters["properties"])}
    for name, text in descriptions.items():
        if not isinstance(text, str):
            raise TypeError(f"descriptions[{name!r}] must be a str, not {type(text).__name__}")
        if name not in known:
            raise InputError(f"descriptions: there is no tool or parameter {name!r}; write `tool` or `tool.parameter`")
    return dict(descriptions)


def _schemas(
    schemas: Iterable[Mapping[str, Any]] | None, names: Sequence[str], functions: Mapping[str, WasmFunction]
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    if schemas is None:
        return found
    if isinstance(schemas, Mapping | str) or not isinstance(schemas, Iterable):
        raise TypeError(f"schemas must be a list of schemas, not {type(schemas).__name__}")
    for at, schema in enumerate(schemas):
        function = schema.get("function", schema) if isinstance(schema, Mapping) else None
        if not isinstance(function, Mapping):
            raise TypeError(f"schemas[{at}] must be a schema in OpenAI's format")
        name = function.get("name")
        if not isinstance(name, str) or name not in names:
            raise InputError(f"schemas[{at}]: there is no tool {name!r}; the tools are {', '.join(names)}")
        parameters = function.get("parameters", {})
        properties = parameters.get("properties", {}) if isinstance(parameters, Mapping) else None
        if not isinstance(properties, Mapping):
            raise InputError(f"schemas[{at}]: {name}: parameters must be a JSON Schema of an object")
        real = functions[name].parameters
        if unknown := [part for part in properties if part not in real["properties"]]:
            takes = ", ".join(real["properties"]) or "none"
            raise InputError(f"schemas[{at}]: {name} has no parameter {unknown[0]!r}; it takes {takes}")
        if missing := [part for part in real["required"] if part not in parameters.get("required", ())]:
            raise InputError(f"schemas[{at}]: {name} needs {missing[0]!r}: list it under `required`")
        found[name] = copy.deepcopy(dict(function))
    return found


def _tool(function: WasmFunction, own: dict[str, Any] | None, words: Mapping[str, str]) -> Tool:
    schema = own or {
        "name": function.name,
        "description": function.description,
        "parameters": copy.deepcopy(function.parameters),
    }
    if own is None and function.returns is not None:
        schema["return"] = copy.deepcopy(function.returns)
    if function.name in words:
        schema["description"] = words[function.name]
    parameters = schema.setdefault("parameters", copy.deepcopy(function.parameters))
    for part, one in parameters.get("properties", {}).items():
        if f"{function.name}.{part}" in words:
            one["description"] = words[f"{function.name}.{part}"]
    doc = _doc(str(schema.get("description") or function.description), parameters.get("properties", {}))
    return Tool(function.name, doc, _signature(parameters), {"type": "function", "function": schema}, declared=True)


def _doc(description: str, properties: Mapping[str, Any]) -> str:
    """A docstring in Google's style, as transformers reads it of a typed callable."""
    lines = [f"    {name}: {' '.join(str(one.get('description', name)).split())}" for name, one in properties.items()]
    return "\n".join([description, *(["", "Args:", *lines] if lines else [])])


def _signature(parameters: Mapping[str, Any]) -> inspect.Signature:
    found = []
    for name, schema in parameters.get("properties", {}).items():
        if name.isidentifier() and not keyword.iskeyword(name):
            default = inspect.Parameter.empty if name in parameters.get("required", ()) else OMITTED
            wanted = schema.get("type") if isinstance(schema, Mapping) else None
            annotation = _TYPES.get(wanted, Any) if isinstance(wanted, str) else Any
            found.append(
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            )
    return inspect.Signature(found)
