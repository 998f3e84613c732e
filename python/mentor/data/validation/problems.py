"""What can be wrong with a task, and what was found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["KINDS", "Level", "Problem", "StopChecking", "ValidationReport"]

Level = Literal["error", "warning"]

KINDS: dict[str, tuple[Level, str]] = {
    "unreadable": ("error", "The line is no JSON object."),
    "missing": ("error", "A needed field is absent or null."),
    "wrong_type": ("error", "A field holds another kind of value than it should."),
    "empty": ("error", "A field that needs content has none, or a file has no row."),
    "refused": ("error", "Scoring refuses the reference."),
    "duplicate_id": ("error", "Another row of the file has the same id."),
    "duplicate_tool": ("error", "Two of a row's tools have one name."),
    "unknown_tool": ("error", "A row offers a tool that --tools does not have, or names tools that nothing can open."),
    "bad_schema": ("error", "A tool's parameters are no usable JSON Schema."),
    "tool_not_offered": ("error", "The reference calls a tool that the row does not offer."),
    "invalid_arguments": ("error", "The arguments of a reference call do not fit the tool's schema."),
    "failed_call": ("error", "A reference call fails when it is executed (--execute)."),
    "wrong_result": ("error", "A reference call gives another result than meta.results says (--execute)."),
    "overlap": ("error", "The prompt stands in another of the files as well."),
    "unknown_field": ("warning", "A key of the row or of meta looks like a misspelt field; no command reads it."),
    "odd_role": ("warning", "A prompt's message has a role that chat templates do not know."),
    "prompt_ends": ("warning", "The prompt's last message is the assistant's."),
    "duplicate_prompt": ("warning", "Another row of the file has the same prompt."),
    "unlisted_argument": ("warning", "A reference call has an argument that the tool's schema does not list."),
    "no_calls": ("warning", "The reference calls no tool: rewards for tool use have nothing to compare with."),
    "no_arguments": ("warning", "Only the names of the reference's calls are known."),
    "answer_in_prompt": ("warning", "The prompt holds the answer."),
    "unreadable_answer": ("warning", "The judge cannot read the answer: only the same text is sure to be right."),
    "answer_not_result": (
        "warning",
        "No reference call gives the answer, or an earlier one than the last (--execute).",
    ),
    "trajectory_answer": ("warning", "The teacher's messages end with another answer than the reference's."),
    "trajectory_calls": ("warning", "The teacher's messages make other calls than the reference lists."),
    "trajectory_defect": ("warning", "The teacher's messages have a defect that scoring names."),
}
"""Kind of problem -> its level, and what it means."""


class StopChecking(Exception):
    """Raised by a progress callback to end a check early; never by the check itself."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: ``str(problem)`` is ``FILE:ROW: field: message``.

    Attributes:
        file: the file's name, as it was given.
        row: line of JSON lines, else row; counted from 1, 0 for the file as a whole.
        id: the row's id, empty where it has none.
        field: path of the field, such as ``reference.tool_calls[0].arguments``; empty for the row as a whole.
        kind: one of ``KINDS``.
        message: what is wrong.
    """

    file: str
    row: int
    id: str
    field: str
    kind: str
    message: str

    @property
    def level(self) -> Level:
        """``error`` or ``warning``."""
        return KINDS[self.kind][0]

    def __str__(self) -> str:
        place = f"{self.file}:{self.row}" if self.row else self.file
        return f"{place}: {f'{self.field}: ' if self.field else ''}{self.message}"

    def to_dict(self) -> dict[str, str | int]:
        """The problem as a row of a report."""
        return {
            "file": self.file,
            "row": self.row,
            "id": self.id,
            "field": self.field,
            "level": self.level,
            "kind": self.kind,
            "message": self.message,
        }


@dataclass
class ValidationReport:
    """What was found in the files.

    Attributes:
        rows: rows that were read, bad ones included.
        bad_rows: rows with at least one error.
        calls: calls of the references.
        executed: rows whose reference was executed.
        not_executed: rows that could not be, as nothing executes their tools.
        problems: all problems, by file and row.
        stopped: whether checking ended early, at ``max_errors`` or because the caller ended it.
    """

    rows: int = 0
    bad_rows: int = 0
    calls: int = 0
    executed: int = 0
    not_executed: int = 0
    problems: list[Problem] = field(default_factory=list)
    stopped: bool = False

    @property
    def kinds(self) -> Counter[str]:
        """Kind -> number of problems."""
        return Counter(problem.kind for problem in self.problems)

    @property
    def errors(self) -> int:
        """Number of errors."""
        return sum(problem.level == "error" for problem in self.problems)

    @property
    def warnings(self) -> int:
        """Number of warnings."""
        return len(self.problems) - self.errors
