"""A table of tools: which there are, how their arguments are judged, where they run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from mentor.errors import InputError
from mentor.sandbox import Fault, Outcome
from mentor.tools.arguments import Checker
from mentor.tools.fit import suggestion
from mentor.tools.part import Part
from mentor.tools.schema import Tool, copy_schema

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Catalog", "Entry"]

Entry: TypeAlias = "tuple[Checker, Part]"


class Catalog:
    """Tools by name, in their order. Never changes."""

    def _setup(self, entries: Iterable[Entry]) -> None:
        self._entries = {checker.tool.name: (checker, part) for checker, part in entries}

    @classmethod
    def _of(cls, entries: Iterable[Entry]) -> Self:
        made = cls.__new__(cls)
        made._setup(entries)
        return made

    @property
    def names(self) -> list[str]:
        """Names of the tools, in their order."""
        return list(self._entries)

    @property
    def schemas(self) -> list[dict[str, Any]]:
        """Schema of each tool in OpenAI's format, as chat templates and `score_batch` take them."""
        return [copy_schema(checker.tool) for checker, _ in self._entries.values()]

    @property
    def source(self) -> str:
        """The text that runs in the guest; of a joined set the texts of its parts, each of which has its own."""
        return "\n\n".join(part.source for part in self._parts() if part.source)

    @property
    def pure(self) -> bool:
        """Whether all tools were declared to keep no state between calls."""
        return all(part.pure for part in self._parts())

    def only(self, *names: str) -> Self:
        """The tools of these names, in this order; they keep sharing their guests with this set.

        Raises:
            InputError: There is no tool of a name.

        Example:
            >>> import mentor
            >>> mentor.tools.arithmetic().only("add", "divide").names
            ['add', 'divide']
        """
        for name in names:
            if name not in self._entries:
                raise InputError(self._unknown(str(name)))
        return self._of(self._entries[name] for name in dict.fromkeys(names))

    def coercing(self, coerce: bool = True) -> Self:
        """The same tools, converting arguments of the wrong type where they clearly mean the right one.

        Where a value does not fit as it is: ``"3"`` is the number, ``"true"`` the boolean, ``"[1]"`` the array and
        ``'{"a": 1}'`` the object that it spells, a single value the array of it, and null for an optional argument
        leaves it out. The result has to fit the schema.

        Example:
            >>> import mentor
            >>> mentor.tools.arithmetic().coercing().call("sum_numbers", {"numbers": "[1, 2]"}).value
            3
        """
        return self._of((Checker(checker.tool, coerce=bool(coerce)), part) for checker, part in self._entries.values())

    def misfit(self, name: str, arguments: Mapping[str, Any] | str) -> Fault | None:
        """Why a call would not get as far as its tool, or ``None``; nothing is run.

        Raises:
            TypeError: `name` is no str.

        Example:
            >>> import mentor
            >>> mentor.tools.arithmetic().misfit("sqrt", {"x": "nine"}).kind
            'bad_arguments'
        """
        found = self._find(name, arguments)
        return found.fault if isinstance(found, Outcome) else None

    def _parts(self) -> list[Part]:
        return list(dict.fromkeys(part for _, part in self._entries.values()))

    def _tool(self, name: str) -> Tool:
        return self._entries[name][0].tool

    def _find(self, name: str, arguments: Mapping[str, Any] | str) -> tuple[Part, str] | Outcome:
        """Where the tool runs and its arguments as JSON, or why there is nothing to call."""
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {type(name).__name__}")
        entry = self._entries.get(name)
        if entry is None:
            return Outcome(fault=Fault("unknown_tool", self._unknown(name)))
        try:
            return entry[1], entry[0].text(arguments)
        except ValueError as error:
            return Outcome(fault=Fault("bad_arguments", str(error)))

    def _unknown(self, name: str) -> str:
        shown = name if len(name) <= 60 else name[:57] + "..."
        hint = suggestion(shown, self._entries) or f"the tools are {', '.join(self._entries) or 'none'}"
        return f"unknown tool {shown!r}; {hint}"

    def __add__(self, other: object) -> Self:
        if not isinstance(other, type(self)):
            return NotImplemented
        twice = [name for name in other._entries if name in self._entries]
        if twice:
            raise InputError(
                f"tools: both sets have {', '.join(map(repr, twice))}; leave it out of one with `only`, or rename it"
            )
        return self._of([*self._entries.values(), *other._entries.values()])

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __reduce__(self) -> tuple[Any, ...]:
        entries = [(checker.tool, checker.coerce, part) for checker, part in self._entries.values()]
        return _rebuild, (type(self), entries)

    def __deepcopy__(self, memo: object) -> Self:
        return self  # nothing in it can change, and copies should share the warm guests

    def __copy__(self) -> Self:
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._entries)})"


def _rebuild(cls: type[Catalog], entries: list[tuple[Tool, bool, Part]]) -> Catalog:
    return cls._of((Checker(tool, coerce=coerce), part) for tool, coerce, part in entries)
