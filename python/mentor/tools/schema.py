"""Tools read from source text: signature, type hints and docstring, without running any of it.

The schemas are those of ``transformers.utils.get_json_schema``, from Google docstrings; transformers is not needed.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import json
import re
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Optional, Union, get_args, get_origin

from mentor.errors import InputError

__all__ = ["OMITTED", "Tool", "check", "read_tools"]


class _Omitted:
    """Stands for a default that only the guest can compute."""

    def __repr__(self) -> str:
        return "<the tool's own default>"

    def __reduce__(self) -> str:
        return "OMITTED"


OMITTED = _Omitted()

_NAMES: dict[str, Any] = {
    "int": int, "float": float, "str": str, "bool": bool, "None": NoneType, "Any": Any,
    # The bare builtins would become objects in transformers' schema, their typing twins arrays.
    "list": typing.List, "tuple": typing.Tuple, "dict": dict,  # noqa: UP006
    "List": typing.List, "Tuple": typing.Tuple, "Dict": dict,  # noqa: UP006
    "Sequence": typing.List, "Iterable": typing.List, "Mapping": dict,  # noqa: UP006
}  # fmt: skip
_GENERICS: dict[str, Any] = {
    **dict.fromkeys(("list", "List", "Sequence", "Iterable"), list),
    **dict.fromkeys(("dict", "Dict", "Mapping"), dict),
    **dict.fromkeys(("tuple", "Tuple"), tuple),
}
_BASIC = {int: "integer", float: "number", str: "string", bool: "boolean", NoneType: "null"}
_HINTS = (
    "int, float, str, bool, None, list[...], dict[str, ...], tuple[...], Literal[...], Optional[...], Union[...], Any"
)


@dataclass(frozen=True)
class Tool:
    """One tool.

    Attributes:
        name: Its name.
        doc: Its docstring.
        signature: Its signature, with types as annotations.
        schema: Its schema in OpenAI's format.
    """

    name: str
    doc: str
    signature: inspect.Signature
    schema: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Any]:
        """Schema of the arguments."""
        parameters: dict[str, Any] = self.schema["function"]["parameters"]
        return parameters


def read_tools(source: str, names: Sequence[str] | None = None) -> list[Tool]:
    """The tools in a source text.

    Args:
        source: Python text.
        names: Which of its top-level functions are tools; ``None`` for all whose name starts with no underscore.

    Raises:
        InputError: The text is no Python, has no function, or one of them lacks a type hint or a description.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"tools: the source is no valid Python: {error}") from error
    tools: dict[str, Tool] = {}
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_") if names is None else node.name not in names:
            continue
        if isinstance(node, ast.AsyncFunctionDef):
            raise InputError(f"tools: {node.name}: write `def`, not `async def`; a call waits for its result anyway")
        if node.name in tools:
            raise InputError(f"tools: {node.name} is defined twice")
        tools[node.name] = _read(node)
    if not tools:
        raise InputError("tools: the source defines no function at its top level (names with a leading _ are helpers)")
    return list(tools.values()) if names is None else [tools[name] for name in names]


def _read(node: ast.FunctionDef) -> Tool:
    name = node.name
    doc = ast.get_docstring(node)
    if not doc:
        raise InputError(f"tools: {name} has no docstring; say what it does, and describe each parameter under Args:")
    text, described, returned = _sections(doc)
    parameters = _parameters(name, node.args)
    properties: dict[str, Any] = {}
    required = []
    for parameter in parameters:
        schema = _schema(parameter.annotation)
        if parameter.name not in described:
            raise InputError(
                f"tools: {name}: the docstring has no description of {parameter.name!r}; "
                f"add a line `{parameter.name}: ...` under Args:"
            )
        description = described[parameter.name]
        if choices := re.search(r"\(choices:\s*(.*?)\)\s*$", description, re.IGNORECASE):
            try:
                values = json.loads(choices[1])
            except ValueError as error:
                raise InputError(f"tools: {name}: the choices of {parameter.name!r} are no JSON list") from error
            schema["enum"] = [value.strip() if isinstance(value, str) else value for value in values]
            description = description[: choices.start()].strip()
        schema["description"] = description
        properties[parameter.name] = schema
        if parameter.default is inspect.Parameter.empty:
            required.append(parameter.name)
    function: dict[str, Any] = {
        "name": name,
        "description": text,
        "parameters": {"type": "object", "properties": properties},
    }
    if required:
        function["parameters"]["required"] = required
    result: Any = inspect.Signature.empty
    if node.returns is not None:
        result = _hint(f"{name}: the return value", node.returns)
        function["return"] = _schema(result)
        if returned is not None:
            function["return"]["description"] = returned
    signature = inspect.Signature(parameters, return_annotation=result)
    return Tool(name, doc, signature, {"type": "function", "function": function})


def _parameters(name: str, args: ast.arguments) -> list[inspect.Parameter]:
    if args.vararg or args.kwarg:
        raise InputError(f"tools: {name} takes *args or **kwargs, which no schema can describe; name its parameters")
    if args.posonlyargs:
        raise InputError(f"tools: {name} has positional-only parameters, but calls name their arguments: remove `/`")
    missing: list[ast.expr | None] = [None] * (len(args.args) - len(args.defaults))
    parameters = []
    for arg, default in zip(args.args + args.kwonlyargs, missing + args.defaults + args.kw_defaults, strict=True):
        if arg.annotation is None:
            raise InputError(f"tools: {name}: {arg.arg!r} has no type hint; write `{arg.arg}: float` or the like")
        keyword_only = inspect.Parameter.KEYWORD_ONLY
        kind = keyword_only if arg in args.kwonlyargs else inspect.Parameter.POSITIONAL_OR_KEYWORD
        annotation = _hint(f"{name}: {arg.arg!r}", arg.annotation)
        value = inspect.Parameter.empty if default is None else _default(default)
        parameters.append(inspect.Parameter(arg.arg, kind, default=value, annotation=annotation))
    return parameters


def _default(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return OMITTED


def _hint(what: str, node: ast.expr) -> Any:
    """The type that a type hint means."""
    refused = InputError(f"tools: {what} has the type hint `{ast.unparse(node)}`, which has no schema; use {_HINTS}")
    if isinstance(node, ast.Constant):
        if node.value is None:
            return NoneType
        if not isinstance(node.value, str):
            raise refused
        try:
            return _hint(what, ast.parse(node.value, mode="eval").body)
        except SyntaxError as error:
            raise refused from error
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return Union[_hint(what, node.left), _hint(what, node.right)]  # noqa: UP007
    if isinstance(node, ast.Name | ast.Attribute):
        bare = node.id if isinstance(node, ast.Name) else node.attr
        if bare not in _NAMES:
            raise refused
        return _NAMES[bare]
    if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name | ast.Attribute):
        raise refused
    generic = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if generic == "Literal":
        return _literal(refused, inner)
    types = tuple(_hint(what, item) for item in inner)
    if generic == "Optional" and len(types) == 1:
        return Optional[types[0]]  # noqa: UP045
    if generic == "Union":
        return Union[types]  # noqa: UP007
    if generic == "Annotated":
        return types[0]
    fitting = {list: len(types) == 1, dict: len(types) == 2, tuple: len(types) > 1}
    if not fitting.get(_GENERICS.get(generic, object)):
        raise refused
    return _GENERICS[generic][types if len(types) > 1 else types[0]]


def _literal(refused: InputError, nodes: list[ast.expr]) -> Any:
    try:
        values = tuple(ast.literal_eval(node) for node in nodes)
    except ValueError as error:
        raise refused from error
    if not values or any(type(value) not in _BASIC for value in values):
        raise refused
    return Literal[values]


def _schema(hint: Any) -> dict[str, Any]:
    """The JSON schema of a type, in transformers' dialect."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return {}
    if origin is None:
        return {"type": _BASIC[hint]} if hint in _BASIC else {"type": "object"}
    if origin in (Union, UnionType):
        options = [_schema(arg) for arg in args if arg is not NoneType]
        if len(options) == 1:
            schema = options[0]
        elif all(isinstance(option.get("type"), str) for option in options):
            schema = {"type": sorted(option["type"] for option in options)}
        else:
            schema = {"anyOf": options}
        return {**schema, "nullable": True} if NoneType in args else schema
    if origin is Literal:
        names = list(dict.fromkeys(_BASIC[type(arg)] for arg in args))
        return {"type": names[0] if len(names) == 1 else names, "enum": list(args)}
    if origin is dict:
        return {"type": "object", **({"additionalProperties": _schema(args[1])} if len(args) == 2 else {})}
    if origin is tuple and args:
        return {"type": "array", "prefixItems": [_schema(arg) for arg in args]}
    return {"type": "array", "items": _schema(args[0])} if args else {"type": "array"}


def _sections(doc: str) -> tuple[str, dict[str, str], str | None]:
    """Description, parameters and result of a Google docstring."""
    parts: dict[str, list[str]] = {"": []}
    current = ""
    for line in doc.splitlines():
        header = line.strip()
        if header in ("Args:", "Returns:", "Raises:"):
            current = header
            parts.setdefault(current, [])
        else:
            parts[current].append(line)
    described: dict[str, str] = {}
    last = None
    for line in parts.get("Args:", []):
        if match := re.match(r"\s*(\w+):\s*(.*)", line):
            last = match[1]
            described[last] = match[2].strip()
        elif last is not None and line.strip():
            described[last] = f"{described[last]} {line.strip()}".strip()
    returned = "\n".join(parts["Returns:"]).strip() if "Returns:" in parts else None
    return "\n".join(parts[""]).strip(), described, returned or None


_JSON_NAMES = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", NoneType: "null"}
_WANTED = {
    "integer": "an integer", "number": "a number", "string": "a string", "boolean": "a boolean", "null": "null",
    "array": "an array", "object": "an object",
}  # fmt: skip


def check(tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments that fit the tool.

    Integral floats become ints where the tool wants integers, as in JSON schema; nothing else is converted.

    Raises:
        ValueError: They do not fit; the message is for the model that made them.
    """
    properties = tool.parameters["properties"]
    for name in arguments:
        if name not in properties:
            known = ", ".join(properties) or "none"
            raise ValueError(f"{tool.name} has no argument {name!r}; it takes {known}")
    missing = [name for name in tool.parameters.get("required", ()) if name not in arguments]
    if missing:
        raise ValueError(f"{tool.name} lacks the argument {', '.join(map(repr, missing))}")
    return {name: _fit(f"{tool.name}: {name}", value, properties[name]) for name, value in arguments.items()}


def _fit(where: str, value: Any, schema: dict[str, Any]) -> Any:
    if value is None and schema.get("nullable"):
        return None
    if "anyOf" in schema:
        return _fit_any(where, value, schema["anyOf"])
    wanted = schema.get("type")
    if wanted is not None:
        options = wanted if isinstance(wanted, list) else [wanted]
        if not any(_is(value, option) for option in options):
            raise ValueError(f"{where} must be {' or '.join(_WANTED[o] for o in options)}, not {_describe(value)}")
        if isinstance(value, float) and "integer" in options and "number" not in options:
            value = int(value)
    if "enum" in schema and not any(type(value) is type(item) and value == item for item in schema["enum"]):
        raise ValueError(f"{where} must be one of {json.dumps(schema['enum'])}, not {_describe(value)}")
    if isinstance(value, list | tuple):
        return _fit_items(where, list(value), schema)
    if isinstance(value, dict):
        inner = schema.get("additionalProperties", {})
        return {key: _fit(f"{where}[{key!r}]", item, inner) for key, item in value.items()} if inner else value
    return value


def _fit_any(where: str, value: Any, options: list[dict[str, Any]]) -> Any:
    for option in options:
        with contextlib.suppress(ValueError):
            return _fit(where, value, option)
    raise ValueError(f"{where} fits none of its types; it is {_describe(value)}")


def _fit_items(where: str, values: list[Any], schema: dict[str, Any]) -> list[Any]:
    if "prefixItems" in schema:
        items = schema["prefixItems"]
        if len(values) != len(items):
            raise ValueError(f"{where} must have {len(items)} items, not {len(values)}")
    else:
        items = [schema.get("items", {})] * len(values)
    return [_fit(f"{where}[{at}]", value, item) for at, (value, item) in enumerate(zip(values, items, strict=True))]


def _is(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    if isinstance(value, float):
        return wanted == "number" or (wanted == "integer" and value.is_integer())
    if isinstance(value, int):
        return wanted in ("integer", "number")
    types: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "null": (NoneType,),
        "array": (list, tuple),
        "object": (dict,),
    }
    return isinstance(value, types.get(wanted, ()))


def _describe(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "an array"
    if isinstance(value, dict):
        return "an object"
    shown = _JSON_NAMES.get(type(value), f"a {type(value).__name__}")
    text = json.dumps(value) if isinstance(value, str | int | float) else ""
    return f"{shown} ({text if len(text) <= 40 else text[:37] + '...'})" if text else shown


def copy_schema(tool: Tool) -> dict[str, Any]:
    """The schema, for callers who may change it."""
    return copy.deepcopy(tool.schema)
