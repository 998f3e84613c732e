"""Tools for models: named, described by schemas, checked, called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mentor.sandbox import Limits, Outcome, Sandbox
from mentor.tools.arguments import Checker
from mentor.tools.catalog import Catalog, Entry
from mentor.tools.declared import read_schemas
from mentor.tools.definition import check_definition
from mentor.tools.functions import Results, as_function, check_results
from mentor.tools.guest import GuestPart
from mentor.tools.host import HostPart
from mentor.tools.part import Part
from mentor.tools.schema import Tool, read_tools
from mentor.tools.sources import collect
from mentor.tools.wasm import WasmPart

if TYPE_CHECKING:
    from mentor.tools.environment import ToolEnvironment
    from mentor.tools.session import ToolSession

__all__ = ["ToolSet"]


class ToolSet(Catalog):
    """Tools for models: described by schemas, called by name, executed in the sandbox or where you say.

    Made from Python functions (`from_functions`), source text (`from_source`), schemas and source (`from_schemas`), or
    functions that stay on the host (`from_host`). ``a + b`` joins sets; each part keeps its own guest, limits and
    state. `only` selects. A set never changes, pickles, and works from several threads and after a fork.

    Each `call` runs in a guest that is like new, so that tools keep nothing from call to call; `session` keeps the
    state of one rollout. Tools that keep no state anyway can be declared `pure`: one warm guest then serves many calls.

    Args:
        source: Python text; its public top-level functions are the tools, names with a leading underscore are helpers.
            Each tool needs type hints and a Google docstring that describes its parameters.
        limits: What one call may use.
        seed: Seed of each guest.
        guest: Which guest, such as ``sympy``, as for `mentor.Sandbox`.
        pure: Whether the tools keep no state between calls. The guest is replaced after any fault and every 1,000
            calls.
        coerce: Whether arguments of the wrong type are converted where they clearly mean the right one, see `coercing`.
        check: Whether the source is loaded in the sandbox now, once per text, so that what cannot work is an error here
            instead of a fault of each call.

    Raises:
        InputError: The source is unusable; the message says where and what to write.
        TypeError: An argument has the wrong type.

    Example:
        >>> def double(x: float) -> float:
        ...     '''Double a number.
        ...
        ...     Args:
        ...         x: The number.
        ...     '''
        ...     return 2 * x
        >>> tools = ToolSet.from_functions([double])
        >>> tools.call("double", {"x": 21}).value
        42
        >>> tools.call("dubble", {"x": 21}).fault.message
        "unknown tool 'dubble'; did you mean 'double'?"
    """

    def __init__(
        self,
        source: str,
        *,
        limits: Limits | None = None,
        seed: int = 0,
        guest: str | None = None,
        pure: bool = False,
        coerce: bool = False,
        check: bool = True,
    ) -> None:
        if not isinstance(source, str):
            raise TypeError(f"source must be a str, not {type(source).__name__}")
        self._setup(
            _define(source, read_tools(source), Sandbox(limits=limits, seed=seed, guest=guest), pure, coerce, check)
        )

    @classmethod
    def from_part(cls, part: Part, *, coerce: bool = False) -> ToolSet:
        """Tools that run wherever `part` says.

        Raises:
            InputError: A schema is unusable.
        """
        return cls._of(_entries(part, coerce))

    @classmethod
    def from_source(
        cls,
        source: str,
        *,
        limits: Limits | None = None,
        seed: int = 0,
        guest: str | None = None,
        pure: bool = False,
        coerce: bool = False,
        check: bool = True,
    ) -> ToolSet:
        """Tools from Python text; the same as ``ToolSet(source, ...)``."""
        if not isinstance(source, str):
            raise TypeError(f"source must be a str, not {type(source).__name__}")
        sandbox = Sandbox(limits=limits, seed=seed, guest=guest)
        return cls._of(_define(source, read_tools(source), sandbox, pure, coerce, check))

    @classmethod
    def from_functions(
        cls,
        functions: Iterable[Callable[..., Any]],
        *,
        limits: Limits | None = None,
        seed: int = 0,
        guest: str | None = None,
        pure: bool = False,
        coerce: bool = False,
        check: bool = True,
    ) -> ToolSet:
        """Tools from functions. Their source goes into the sandbox; the functions themselves are never called.

        Standard modules, plain constants and other functions that they use from around them are brought along.

        Args:
            functions: The functions, with type hints and Google docstrings.
            limits: What one call may use.
            seed: Seed of each guest.
            guest: Which guest, as for `mentor.Sandbox`.
            pure: Whether they keep no state between calls.
            coerce: Whether arguments of the wrong type are converted, see `coercing`.
            check: Whether their source is loaded in the sandbox now.

        Raises:
            InputError: A function is unusable as a tool; the message says what to write.
            TypeError: Something is no Python function.
        """
        source, names = collect(functions)
        sandbox = Sandbox(limits=limits, seed=seed, guest=guest)
        return cls._of(_define(source, read_tools(source, names), sandbox, pure, coerce, check))

    @classmethod
    def from_schemas(
        cls,
        schemas: Iterable[Mapping[str, Any]],
        source: str,
        *,
        limits: Limits | None = None,
        seed: int = 0,
        guest: str | None = None,
        pure: bool = False,
        coerce: bool = False,
        check: bool = True,
    ) -> ToolSet:
        """Tools whose schemas are given; the functions need no type hints and no docstrings.

        Arguments are judged by the schema, any JSON Schema. It is what `schemas` shows.

        Args:
            schemas: In OpenAI's format, ``{"type": "function", "function": {...}}``, or the inner object alone.
            source: Python text with a top-level function for each.
            limits: What one call may use.
            seed: Seed of each guest.
            guest: Which guest, as for `mentor.Sandbox`.
            pure: Whether the tools keep no state between calls.
            coerce: Whether arguments of the wrong type are converted, see `coercing`.
            check: Whether the source is loaded in the sandbox now.

        Raises:
            InputError: A schema is none, or its function is not there or cannot take one of its parameters.
            TypeError: An argument has the wrong type.

        Example:
            >>> schema = {
            ...     "name": "repeat",
            ...     "description": "Repeat a text.",
            ...     "parameters": {
            ...         "type": "object",
            ...         "properties": {"text": {"type": "string"}, "times": {"type": "integer", "maximum": 9}},
            ...         "required": ["text"],
            ...     },
            ... }
            >>> tools = ToolSet.from_schemas([schema], "def repeat(text, times=2): return text * times")
            >>> tools.call("repeat", {"text": "ab"}).value
            'abab'
            >>> tools.call("repeat", {"text": "ab", "times": 10}).fault.message
            'repeat: argument `times` must be at most 9'
        """
        if not isinstance(source, str):
            raise TypeError(f"source must be a str, not {type(source).__name__}")
        sandbox = Sandbox(limits=limits, seed=seed, guest=guest)
        return cls._of(_define(source, read_schemas(schemas, source), sandbox, pure, coerce, check))

    @classmethod
    def from_host(
        cls, functions: Iterable[Callable[..., Any]], *, max_kb: int = 256, threads: int = 1, coerce: bool = False
    ) -> ToolSet:
        """Functions that run on the host, in this process: for search, databases, whatever a guest cannot do.

        They may do what the process may: nothing confines them, and a model decides when they are called and with what.
        What they raise is a fault, whose message the model reads. They have no time limit but their own, and keep their
        state in the process; sessions do not separate it. Coroutine functions are waited for.

        Args:
            functions: Functions or bound methods with type hints and Google docstrings.
            max_kb: KB (2**10 bytes) that a result may have as JSON.
            threads: How many calls of a batch may run side by side; with 1 all run in the thread that calls.
            coerce: Whether arguments of the wrong type are converted, see `coercing`.

        Raises:
            InputError: A function lacks a type hint or a description; the message says what to write.
            TypeError: An argument has the wrong type.

        Example:
            >>> prices = {"tea": 3}
            >>> def price(item: str) -> int:
            ...     '''Price of an item.
            ...
            ...     Args:
            ...         item: Its name.
            ...     '''
            ...     return prices[item]
            >>> tools = ToolSet.from_host([price])
            >>> tools.call("price", {"item": "tea"}).value
            3
            >>> tools.call("price", {"item": "milk"}).fault.message
            "KeyError: 'milk'"
        """
        return cls.from_part(HostPart(functions, max_kb=max_kb, threads=threads), coerce=coerce)

    @classmethod
    def from_wasm(
        cls,
        source: str | Path | bytes,
        *,
        only: Iterable[str] | None = None,
        descriptions: Mapping[str, str] | None = None,
        schemas: Iterable[Mapping[str, Any]] | None = None,
        limits: Limits | None = None,
        seed: int = 0,
        coerce: bool = False,
    ) -> ToolSet:
        """Functions of a WebAssembly file: a component (WASI 0.2), a core module, or the text of either.

        Each call runs in a new instance, so that nothing is kept; see ``docs/tools-wasm.md``.

        Args:
            source: Path of the file, or its bytes.
            only: Names of the functions that are tools; ``None`` for all that can be.
            descriptions: What the tools do, by name, and what their parameters mean, by ``tool.parameter``.
            schemas: Schemas in OpenAI's format instead of those that are made from the types.
            limits: What one call may use.
            seed: Decides the random bytes that a tool gets.
            coerce: Whether arguments of the wrong type are converted, see `coercing`.

        Raises:
            InputError: The file cannot be loaded, or a name is not in it.
            TypeError: An argument has the wrong type.
            OSError: The file cannot be read.

        Example:
            >>> text = b'''(module (func (export "add") (param $a i64) (param $b i64) (result i64)
            ...     (i64.add (local.get $a) (local.get $b))))'''
            >>> ToolSet.from_wasm(text, descriptions={"add": "Add two integers."}).call("add", {"a": 40, "b": 2}).value
            42
        """
        part = WasmPart(source, only=only, descriptions=descriptions, schemas=schemas, limits=limits, seed=seed)
        return cls.from_part(part, coerce=coerce)

    def call(self, name: str, arguments: Mapping[str, Any] | str) -> Outcome:
        """Call one tool.

        Args:
            name: Name of the tool.
            arguments: Arguments by name, or the text of a JSON object.

        Returns:
            The outcome. An unknown tool (kind ``unknown_tool``) and arguments that do not fit (``bad_arguments``) start
            no guest; a result that is not JSON is a ``bad_result``.

        Raises:
            TypeError: `name` is no str.
            SandboxError: The host failed to do its part.
        """
        found = self._find(name, arguments)
        return found if isinstance(found, Outcome) else found[0].call(name, found[1])

    def call_batch(self, calls: Iterable[tuple[str, Mapping[str, Any] | str]]) -> list[Outcome]:
        """Call many tools, side by side where that pays.

        Args:
            calls: Pairs of name and arguments.

        Returns:
            One outcome per call, in order.

        Raises:
            TypeError: A call is no pair, or its name no str.
            SandboxError: The host failed to do its part.
        """
        pairs = list(calls)
        for index, pair in enumerate(pairs):
            if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str)):
                raise TypeError(f"calls[{index}] must be a pair (name, arguments)")
        outcomes: list[Outcome | None] = [None] * len(pairs)
        parts: dict[Part, list[tuple[int, tuple[str, str]]]] = {}
        for index, (name, arguments) in enumerate(pairs):
            found = self._find(name, arguments)
            if isinstance(found, Outcome):
                outcomes[index] = found
            else:
                parts.setdefault(found[0], []).append((index, (name, found[1])))
        for part, checked in parts.items():
            answers = part.call_batch([call for _, call in checked])
            for (index, _), outcome in zip(checked, answers, strict=True):
                outcomes[index] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    def session(self, files: Mapping[str, bytes | str] | None = None) -> ToolSession:
        """The tools with their state kept from call to call, such as for one rollout.

        Guests start in the state after their source, when they are first called. Close it, or use it in a ``with``
        block.

        Args:
            files: What tools find in the file system of their guest, paths to contents; each part has its own.

        Raises:
            TypeError: `files` is no mapping. A path that cannot be is an `InputError` of the first call.

        Example:
            >>> source = '''
            ... total = 0
            ... def add(x: int) -> int:
            ...     \"\"\"Add to the total.
            ...
            ...     Args:
            ...         x: How much.
            ...     \"\"\"
            ...     global total
            ...     total += x
            ...     return total
            ... '''
            >>> with ToolSet.from_source(source).session() as session:
            ...     [session.call("add", {"x": 2}).value for _ in range(3)]
            [2, 4, 6]
        """
        from mentor.tools.session import ToolSession

        return ToolSession(self, files)

    def functions(self, *, results: Results = "value") -> list[Callable[..., Any]]:
        """Typed callables, one per tool, for the ``tools=`` of TRL and transformers.

        Each has the tool's name, docstring, signature and types, so that ``transformers.utils.get_json_schema`` sees
        the same schema. Calling one executes the tool in the sandbox. A fault gives the text that the model should
        read, such as ``error: ZeroDivisionError: division by zero``; only failures of the host raise.

        Args:
            results: ``value`` returns the result itself, ``text`` its JSON (text stays as it is). TRL takes a list for
                a multimodal message, so choose ``text`` where a tool returns lists.

        Raises:
            InputError: `results` is neither.
        """
        text = check_results(results)
        return [_function(self, checker.tool, text) for checker, _ in self._entries.values()]

    def environment(
        self, *, max_calls: int | None = None, column: str = "tools", results: Results = "text"
    ) -> type[ToolEnvironment]:
        """A class for the ``environment_factory=`` of TRL's trainers: each rollout has a session of its own.

        Its public methods are the tools. `mentor.tools.environment.ToolEnvironment` says what else it has.

        Args:
            max_calls: So many calls a rollout may make; further ones are answered with a message that says so.
            column: Dataset column with the names of the tools that a task offers; ``None`` or no such column offers
                all.
            results: As for `functions`.

        Raises:
            InputError: `max_calls` is less than 1, or a tool has a name that TRL keeps for itself.
            TypeError: An argument has the wrong type.
        """
        from mentor.tools.environment import make_environment

        return make_environment(self, max_calls=max_calls, column=column, text=check_results(results))


def _define(source: str, tools: Sequence[Tool], sandbox: Sandbox, pure: bool, coerce: bool, check: bool) -> list[Entry]:
    entries = _entries(GuestPart(source, tools, sandbox, pure=bool(pure)), coerce)
    if check:
        check_definition(source, sandbox, stacklevel=3)
    return entries


def _entries(part: Part, coerce: bool) -> list[Entry]:
    checkers = [Checker(tool, coerce=bool(coerce)) for tool in part.tools.values()]
    for checker in checkers:
        if checker.tool.declared:
            checker.prepare()
    return [(checker, part) for checker in checkers]


def _function(toolset: ToolSet, tool: Tool, text: bool) -> Callable[..., Any]:
    return as_function(tool, lambda arguments: toolset.call(tool.name, arguments), text=text)
