"""Tools that run in the sandbox."""

from __future__ import annotations

import difflib
import inspect
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NoReturn

from mentor.errors import InputError
from mentor.sandbox import Fault, Limits, Outcome, Sandbox, Session
from mentor.tools.schema import Tool, check, copy_schema, read_tools
from mentor.tools.sources import collect

__all__ = ["ToolSet"]

_CALLS_PER_GUEST = 1_000
_WORTH_THREADS = 32  # calls of pure tools: below, one warm guest is as fast
_FILENAME = "<tools>"


class ToolSet:
    """Python functions as tools: described by schemas, called by name, executed in the sandbox only.

    Each call runs in a guest that is like new, so that tools keep nothing from call to call. Tools that keep no state
    anyway can be declared `pure`: one warm guest then serves many calls, about twice as fast. Safe to use from several
    threads, after a fork, and pickled into another process.

    Args:
        source: Python text; its public top-level functions are the tools, names with a leading underscore are helpers.
            Each tool needs type hints and a Google docstring that describes its parameters.
        limits: What one call may use.
        seed: Seed of each guest.
        pure: Whether the tools keep no state between calls. The guest is replaced after any fault and every 1,000
            calls.

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

    def __init__(self, source: str, *, limits: Limits | None = None, seed: int = 0, pure: bool = False) -> None:
        if not isinstance(source, str):
            raise TypeError(f"source must be a str, not {type(source).__name__}")
        self._setup(source, read_tools(source), Sandbox(limits=limits, seed=seed), pure)

    def _setup(self, source: str, tools: Sequence[Tool], sandbox: Sandbox, pure: bool) -> None:
        self._source = source
        self._tools = {tool.name: tool for tool in tools}
        self._sandbox = sandbox
        self._pure = bool(pure)
        # Warm guests by process: after a fork the parent's are of no use. list.append and list.pop need no lock.
        self._warm: dict[int, list[_Warm]] = {}

    @classmethod
    def from_source(cls, source: str, *, limits: Limits | None = None, seed: int = 0, pure: bool = False) -> ToolSet:
        """Tools from Python text; the same as ``ToolSet(source, ...)``."""
        return cls(source, limits=limits, seed=seed, pure=pure)

    @classmethod
    def from_functions(
        cls,
        functions: Iterable[Callable[..., Any]],
        *,
        limits: Limits | None = None,
        seed: int = 0,
        pure: bool = False,
    ) -> ToolSet:
        """Tools from functions. Their source goes into the sandbox; the functions themselves are never called.

        Standard modules, plain constants and other functions that they use from around them are brought along.

        Args:
            functions: The functions, with type hints and Google docstrings.
            limits: What one call may use.
            seed: Seed of each guest.
            pure: Whether they keep no state between calls.

        Raises:
            InputError: A function is unusable as a tool; the message says what to write.
            TypeError: Something is no Python function.
        """
        source, names = collect(functions)
        return _rebuild(cls, source, names, Sandbox(limits=limits, seed=seed), pure)

    @property
    def names(self) -> list[str]:
        """Names of the tools, in their order."""
        return list(self._tools)

    @property
    def schemas(self) -> list[dict[str, Any]]:
        """Schema of each tool in OpenAI's format, as chat templates and `score_batch` take them."""
        return [copy_schema(tool) for tool in self._tools.values()]

    @property
    def source(self) -> str:
        """The text that runs in the guest."""
        return self._source

    @property
    def pure(self) -> bool:
        """Whether one guest serves many calls."""
        return self._pure

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
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {type(name).__name__}")
        text = self._check(name, arguments)
        if isinstance(text, Outcome):
            return text
        return self._call_warm(name, text) if self._pure else self._call_fresh(name, text)

    def _check(self, name: str, arguments: Mapping[str, Any] | str) -> str | Outcome:
        """The arguments as JSON, or why there is nothing to call."""
        tool = self._tools.get(name)
        if tool is None:
            return Outcome(fault=Fault("unknown_tool", self._unknown(name)))
        try:
            return _dump(check(tool, _load(arguments)))
        except (ValueError, TypeError, RecursionError) as error:
            return Outcome(fault=Fault("bad_arguments", str(error)))

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
        if self._pure and len(pairs) < _WORTH_THREADS:
            return [self.call(name, arguments) for name, arguments in pairs]
        outcomes = [self._check(name, arguments) for name, arguments in pairs]
        checked = [(name, text) for (name, _), text in zip(pairs, outcomes, strict=True) if isinstance(text, str)]
        called = iter(self._sandbox.call_batch(checked, self._source, env_filename=_FILENAME))
        return [next(called) if isinstance(outcome, str) else outcome for outcome in outcomes]

    def functions(self, *, results: Literal["value", "text"] = "value") -> list[Callable[..., Any]]:
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
        if results not in ("value", "text"):
            raise InputError(f"results must be 'value' or 'text', not {results!r}")
        return [_function(self, tool, results == "text") for tool in self._tools.values()]

    def _unknown(self, name: str) -> str:
        shown = name if len(name) <= 60 else name[:57] + "..."
        close = difflib.get_close_matches(shown, self._tools, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"the tools are {', '.join(self._tools)}"
        return f"unknown tool {shown!r}; {hint}"

    def _open(self) -> tuple[Session, Outcome]:
        session = self._sandbox.session()
        return session, session.run(self._source, filename=_FILENAME)

    def _call_fresh(self, name: str, arguments: str) -> Outcome:
        return self._sandbox.call(name, arguments, self._source, env_filename=_FILENAME)

    def _call_warm(self, name: str, arguments: str) -> Outcome:
        idle = self._warm.setdefault(os.getpid(), [])
        try:
            warm = idle.pop()
        except IndexError:
            session, loaded = self._open()
            if not loaded.ok:
                session.close()
                return loaded
            warm = _Warm(session)
        outcome = warm.session.call(name, arguments)
        warm.calls += 1
        if outcome.ok and warm.calls < _CALLS_PER_GUEST:
            idle.append(warm)
        else:
            warm.session.close()
        return outcome

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __len__(self) -> int:
        return len(self._tools)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._source, self.names, self._sandbox, self._pure)

    def __deepcopy__(self, memo: object) -> ToolSet:
        return self  # nothing in it can change, and copies should share the warm guests

    def __repr__(self) -> str:
        return f"ToolSet({', '.join(self._tools)})"


class _Warm:
    """A session with the tools loaded."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.calls = 0


def _rebuild(cls: type[ToolSet], source: str, names: Sequence[str], sandbox: Sandbox, pure: bool) -> ToolSet:
    toolset = cls.__new__(cls)
    toolset._setup(source, read_tools(source, names), sandbox, pure)
    return toolset


def _load(arguments: Mapping[str, Any] | str) -> dict[str, Any]:
    loaded: Any = arguments
    if isinstance(arguments, str):
        try:
            loaded = json.loads(arguments, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the arguments are no valid JSON: {error}") from error
    if not isinstance(loaded, Mapping):
        raise ValueError(f"the arguments must be a JSON object, not {_KINDS.get(type(loaded), type(loaded).__name__)}")
    return dict(loaded)


_KINDS = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "a boolean", type(None): "null"}


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _dump(arguments: dict[str, Any]) -> str:
    try:
        return json.dumps(arguments, allow_nan=False)
    except RecursionError as error:
        raise ValueError("the arguments are nested too deeply") from error
    except (ValueError, TypeError) as error:
        raise ValueError(f"the arguments are no JSON: {error}") from error


def _function(toolset: ToolSet, tool: Tool, as_text: bool) -> Callable[..., Any]:
    signature, name = tool.signature, tool.name
    positional = [p.name for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]

    def function(*args: Any, **kwargs: Any) -> Any:
        if len(args) > len(positional):
            raise TypeError(f"{name}() takes {len(positional)} positional arguments, {len(args)} were given")
        arguments = dict(zip(positional, args, strict=False))
        if twice := arguments.keys() & kwargs.keys():
            raise TypeError(f"{name}() got two values for {min(twice)!r}")
        outcome = toolset.call(name, arguments | kwargs)
        if outcome.fault is not None:
            return f"error: {outcome.fault.message}"
        if as_text and not isinstance(outcome.value, str):
            return json.dumps(outcome.value)
        return outcome.value

    annotations = {parameter.name: parameter.annotation for parameter in signature.parameters.values()}
    if signature.return_annotation is not inspect.Signature.empty:
        annotations["return"] = signature.return_annotation
    function.__name__ = function.__qualname__ = name
    function.__doc__ = tool.doc
    function.__annotations__ = annotations
    function.__signature__ = signature  # type: ignore[attr-defined]
    return function
