"""Why a rollout got its reward, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mentor.types import Call, ReferenceCall, Score, Turn

__all__ = ["Explanation"]

LONGEST = 60
"""Characters of a value that are shown."""
MAX_ROWS = 200
"""Calls that are shown; the rest are counted."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A student's call, a teacher's call, or both side by side."""

    student: str
    reference: str
    worth: str
    notes: tuple[str, ...]
    kind: str  # "same", "alike", "extra" or "missing"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The reward of one rollout taken apart.

    ``str()`` gives plain text; rich consoles and notebooks that use rich show tables.

    Attributes:
        score: What is explained.
    """

    score: Score

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        score = self.score
        yield self._sum()
        yield self._answer()
        rows = list(self._rows())
        if rows:
            left = max(len("student"), *(len(row.student) for row in rows))
            right = max(len("reference"), *(len(row.reference) for row in rows))
            yield ""
            yield f"  {'student':<{left}}  {'reference':<{right}}  worth"
            for row in rows:
                yield f"  {row.student:<{left}}  {row.reference:<{right}}  {row.worth:>5}"
                for note in row.notes:
                    yield f"      {note}"
            yield from (f"  {line}" for line in self._left_out())
        else:
            yield "neither the student nor the reference calls a tool"
        if score.defects:
            yield ""
            yield "defects"
            for defect in score.defects:
                yield f"  {defect.kind}{_place(defect.span)}: {_plain(defect.message)}"
        if score.turns:
            yield ""
            yield "turns"
            for at, turn in enumerate(score.turns):
                yield f"  {at + 1}{_where(turn)}: {turn.credit:+.4f}"

    def _sum(self) -> str:
        terms = [f"{value:.4f} {name}" for name, value in self.score.terms if value]
        parts = f" = {' + '.join(terms)}".replace("+ -", "- ") if terms else ""
        return f"reward {self.score.reward:.4f} ({self.score.reward_name}){parts}"

    def _answer(self) -> str:
        score = self.score
        if score.answer is None:
            return f"no answer; the reference's is {_short(score.reference_answer)}"
        verdict = {"equal": "equal", "different": "different", "undecided": "undecided: counts as wrong"}
        said = verdict.get(score.verdict or "", "not judged")
        return f"answer {_short(score.answer)}, reference {_short(score.reference_answer)}: {said}"

    def _rows(self) -> Iterator[_Row]:
        score = self.score
        by_call = {match.call: match for match in score.matches}
        unmatched = set(range(len(score.reference_calls))) - {match.reference for match in score.matches}
        for at, call in enumerate(score.calls[:MAX_ROWS]):
            match = by_call.get(at)
            notes = () if call.result is not None else ("has no result: it was not executed",)
            if match is None:
                yield _Row(_call(call, at), "-", "0", ("stands for no call of the reference", *notes), "extra")
                continue
            reference = score.reference_calls[match.reference]
            kind = "same" if match.similarity == 1.0 else "alike"
            yield _Row(
                _call(call, at),
                _call(reference, match.reference),
                f"{match.similarity:.2f}",
                (*match.reasons, *notes),
                kind,
            )
        for at in sorted(unmatched)[:MAX_ROWS]:
            yield _Row(
                "-", _call(score.reference_calls[at], at), "0", ("no call of the student's stands for it",), "missing"
            )

    def _left_out(self) -> Iterator[str]:
        more = len(self.score.calls) - MAX_ROWS
        if more > 0:
            yield f"... and {more:,} more calls of the student's"

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        score = self.score
        good = "green" if score.correct else "red"
        parts: list[RenderableType] = [Text(self._sum(), style="bold"), Text(self._answer(), style=good)]
        rows = list(self._rows())
        if rows:
            table = Table("student", "reference", box=None, header_style="dim")
            table.add_column("worth", justify="right")
            table.add_column("why")
            styles = {"same": "green", "alike": "yellow", "extra": "red", "missing": "red"}
            for row in rows:
                cells = (row.student, row.reference, row.worth, "; ".join(row.notes))
                table.add_row(*map(Text, cells), style=styles[row.kind])
            parts.append(table)
        parts += [Text(line, style="dim") for line in self._left_out()]
        if score.defects:
            table = Table("defect", "where", "what", box=None, header_style="dim")
            for defect in score.defects:
                table.add_row(Text(defect.kind, style="red"), _place(defect.span).strip(), Text(_plain(defect.message)))
            parts.append(table)
        if score.turns:
            table = Table("turn", "where", box=None, header_style="dim")
            table.add_column("credit", justify="right")
            for at, turn in enumerate(score.turns):
                table.add_row(str(at + 1), _where(turn).strip(), f"{turn.credit:+.4f}")
            parts.append(table)
        return Group(*parts)


def _call(call: Call | ReferenceCall, at: int) -> str:
    result = "" if call.result is None else f" -> {_short(call.result)}"
    return f"{at + 1} {_short(call.name)}({_arguments(call.arguments)}){result}"


def _arguments(arguments: Mapping[str, Any]) -> str:
    return _cut(", ".join(f"{_short(name)}={_short(value)}" for name, value in arguments.items()))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _cut(_plain(text))


def _plain(text: str) -> str:
    """One line without control characters: a model's text must not steer the terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(text.split()))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _place(span: tuple[int, int] | None) -> str:
    return "" if span is None else f" (bytes {span[0]} to {span[1]})"


def _where(turn: Turn) -> str:
    return _place(turn.span) if turn.message is None else f" (message {turn.message})"
