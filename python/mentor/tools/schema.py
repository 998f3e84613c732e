"""Tools read from source text: signature, type hints and docstring, without running any of it.

The schemas are those of ``transformers.utils.get_json_schema``, from Google docstrings; transformers is not needed.
"""

from __future__ import annotations

import ast
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

__all__ = ["OMITTED", "Tool", "as_tool", "copy_schema", "find_functions", "read_tools", "schema_of"]


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
        declared: Whether the schema was given, not read from the function.
        open: Whether it takes arguments that its schema does not list.
    """

    name: str
    doc: str
    signature: inspect.Signature
    schema: dict[str, Any]
    declared: bool = False
    open: bool = False

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
    found = find_functions(source, names)
    if not found:
        raise InputError("tools: the source defines no function at its top level (names with a leading _ are helpers)")
    return [_read(node) for node in found.values()] if names is None else [_read(found[name]) for name in names]


def find_functions(source: str, names: Sequence[str] | None = None) -> dict[str, ast.FunctionDef]:
    """The definitions of functions at the top level of a source text, by name; without `names` all public ones.

    Raises:
        InputError: The text is no Python, or one of the functions cannot be a tool.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"tools: the source is no valid Python: {error}") from error
    found: dict[str, ast.FunctionDef] = {}
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_") if names is None else node.name not in names:
            continue
        if isinstance(node, ast.AsyncFunctionDef):
            raise InputError(f"tools: {node.name}: write `def`, not `async def`; a call waits for its result anyway")
        if node.name in found:
            raise InputError(f"tools: {node.name} is defined twice")
        found[node.name] = node
    return found


def _read(node: ast.FunctionDef) -> Tool:
    doc = ast.get_docstring(node)
    if not doc:
        raise _undocumented(node.name)
    result: Any = inspect.Signature.empty
    parameters = _parameters(node.name, node.args)
    if node.returns is not None:
        result = _hint(f"{node.name}: the return value", node.returns)
    return as_tool(node.name, doc, inspect.Signature(parameters, return_annotation=result))


def _undocumented(name: str) -> InputError:
    return InputError(f"tools: {name} has no docstring; say what it does, and describe each parameter under Args:")


def as_tool(name: str, doc: str | None, signature: inspect.Signature) -> Tool:
    """A tool from its docstring and its signature, whose types have schemas.

    Raises:
        InputError: The docstring is missing, or does not describe a parameter.
    """
    if not doc:
        raise _undocumented(name)
    text, described, returned = _sections(doc)
    properties: dict[str, Any] = {}
    required = []
    for parameter in signature.parameters.values():
        schema = schema_of(parameter.annotation)
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
    if signature.return_annotation is not inspect.Signature.empty:
        function["return"] = schema_of(signature.return_annotation)
        if returned is not None:
            function["return"]["description"] = returned
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


def schema_of(hint: Any) -> dict[str, Any]:
    """The JSON schema of a type, in transformers' dialect."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return {}
    if origin is None:
        return {"type": _BASIC[hint]} if hint in _BASIC else {"type": "object"}
    if origin in (Union, UnionType):
        options = [schema_of(arg) for arg in args if arg is not NoneType]
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
        return {"type": "object", **({"additionalProperties": schema_of(args[1])} if len(args) == 2 else {})}
    if origin is tuple and args:
        return {"type": "array", "prefixItems": [schema_of(arg) for arg in args]}
    return {"type": "array", "items": schema_of(args[0])} if args else {"type": "array"}


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


def copy_schema(tool: Tool) -> dict[str, Any]:
    """The schema, for callers who may change it."""
    return copy.deepcopy(tool.schema)
