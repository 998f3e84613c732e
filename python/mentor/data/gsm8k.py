"""GSM8K as tasks: the calculator marks of its solutions become tool calls, each executed and checked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import orjson

from mentor.data.jsonl import BadLine, OnError, Skipped, json_type, read_jsonl
from mentor.data.marks import Mark, MarkError, Operation, as_argument, number, operations, split_marks
from mentor.data.tasks import Task
from mentor.errors import InputError

__all__ = ["INSTRUCTION", "ImportReport", "Tools", "import_gsm8k"]

INSTRUCTION = "Use the tools for every calculation, then put the final answer in \\boxed{}."

_NEEDED = ("add", "subtract", "multiply", "divide", "sum_numbers", "floor", "ceil", "round_number", "power", "modulo")
_ROWS_AT_ONCE = 512  # rows whose calls run side by side: enough to fill a batch, little enough for memory
_CLOSE = 1e-9  # relative; what binary fractions lose


class Tools(Protocol):
    """What the import needs of a tool set, such as ``mentor.tools.arithmetic()``."""

    @property
    def names(self) -> Sequence[str]:
        """The names of the tools."""

    @property
    def schemas(self) -> Sequence[Mapping[str, Any]]:
        """The OpenAI schema of each tool."""

    def call_batch(self, calls: Sequence[tuple[str, Mapping[str, Any]]]) -> Sequence[Any]:
        """Execute calls and give an outcome (``ok``, ``value``, ``fault``) for each, in order."""


@dataclass
class ImportReport:
    """What became of the rows: ``rows == verified + sum(left_out.values())``; unreadable lines come on top.

    Attributes:
        rows: readable rows.
        verified: rows that became tasks.
        calls: tool calls of the verified rows.
        rounded: verified rows in which a stated result is the executed one rounded or cut.
        left_out: reason -> number of rows.
        examples: reason -> the first row left out for it, as ``line N: detail``.
        unreadable: lines that could not be read (``on_error="skip"``).
    """

    rows: int = 0
    verified: int = 0
    calls: int = 0
    rounded: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    unreadable: list[BadLine] = field(default_factory=list)


def import_gsm8k(
    path: str | Path,
    tools: Tools,
    *,
    limit: int | None = None,
    on_error: OnError = "stop",
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Task], ImportReport]:
    r"""Turn a GSM8K file (JSON lines of ``question`` and ``answer``) into tasks with verified references.

    Each calculator mark is parsed, taken apart into calls, and every call is executed with ``tools``; later calls get
    executed values, also where the text goes on with a rounded one. A row becomes a task when each mark's result is
    what the calls gave (up to the decimals stated; a whole number that is a rounded fraction gets an explicit
    ``round_number``, ``floor`` or ``ceil``) and the last call gives the final answer. Other rows are left out and
    counted by reason. A task's reference holds ``answer``, ``tool_calls`` and the teacher's ``messages``.

    Args:
        path: the file.
        tools: the twelve arithmetic tools.
        limit: read this many rows only.
        on_error: ``skip`` leaves unreadable lines out and lists them in the report; ``stop`` raises at the first.
        progress: called with the number of rows just finished.

    Returns:
        The tasks in the file's order, and the report.

    Raises:
        DataError: the file cannot be read, or, with ``stop``, a line is no GSM8K row.
        InputError: a tool is missing.

    Example:
        ::

            tasks, report = import_gsm8k("train.jsonl", mentor.tools.arithmetic())
            print(report.verified, report.left_out.most_common())
    """
    parameters = _parameters(tools)
    report = ImportReport()
    tasks = []
    rows = islice(_rows(Path(path), on_error, report), limit)
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        solvers = [_solve(answer) for _, _, answer in chunk]
        for (line, question, _), result in zip(chunk, _run(solvers, tools, parameters, progress), strict=True):
            report.rows += 1
            if isinstance(result, _LeftOut):
                report.left_out[result.reason] += 1
                report.examples.setdefault(result.reason, f"line {line}: {result.detail}")
                continue
            report.verified += 1
            report.calls += len(result.calls)
            report.rounded += result.rounded
            tasks.append(_task(f"gsm8k-{Path(path).stem}-{line}", question, result, tools.names))
    return tasks, report


def _rows(path: Path, on_error: OnError, report: ImportReport) -> Iterator[tuple[int, str, str]]:
    skipped = Skipped(path, on_error, report.unreadable.append)
    for line, row in read_jsonl(path, on_error=on_error, on_bad=report.unreadable.append):
        wrong = next((key for key in ("question", "answer") if not isinstance(row.get(key), str)), None)
        if wrong is None:
            yield line, row["question"].strip(), row["answer"]
        else:
            found = f"a string is wanted, found {json_type(row[wrong])}" if wrong in row else "missing"
            skipped.add(BadLine(str(path), line, f"{wrong}: {found}"))


def _parameters(tools: Tools) -> dict[str, list[str]]:
    """Tool -> the names of its parameters in order, from the schemas."""
    missing = [name for name in _NEEDED if name not in tools.names]
    if missing:
        raise InputError(f"tools: {', '.join(missing)} missing; pass mentor.tools.arithmetic()")
    functions = [schema.get("function", schema) for schema in tools.schemas]
    return {function["name"]: list(function["parameters"]["properties"]) for function in functions}


class _LeftOut(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass
class _Call:
    text: str
    operation: Operation
    arguments: dict[str, Any] = field(default_factory=dict)
    value: Any = None


@dataclass
class _Solution:
    calls: list[_Call]
    closing: str
    answer: str
    rounded: bool


_Solver = Generator[_Call, int | float, _Solution]


def _solve(text: str) -> _Solver:
    """Plan one row: yield calls, be sent executed results, return the checked solution or raise _LeftOut."""
    body, hashes, answer = text.rpartition("####")
    try:
        final = number(answer)
        marks, closing = split_marks(body)
    except MarkError as error:
        reason = "a mark cannot be parsed" if str(error).startswith("<<") else "no final number after ####"
        raise _LeftOut(reason, str(error)) from None
    if not hashes:
        raise _LeftOut("no final number after ####", repr(answer.strip()[:60]))
    calls: list[_Call] = []
    known: dict[int | float, int | float] = {}
    executed: int | float | None = None
    before = ""
    rounded = False
    for mark in marks:
        first = len(calls)
        before += mark.before
        value = yield from _mark(mark, known, calls)
        if len(calls) > first:
            calls[first].text, before = before.strip(), ""
            executed = value
        if not math.isclose(value, mark.result, rel_tol=_CLOSE):
            known[mark.result] = value
            rounded = True
        else:
            known.pop(mark.result, None)
    if executed is None:
        raise _LeftOut("no calculator mark with an operation", f"{len(marks)} marks")
    if not math.isclose(executed, final, rel_tol=_CLOSE):
        earlier = any(math.isclose(call.value, final, rel_tol=_CLOSE) for call in calls)
        which = "by an earlier call, not by the last" if earlier else "by no call"
        raise _LeftOut(f"the final answer is given {which}", f"{final}, last call {executed}")
    return _Solution(calls, (before + closing).strip(), answer.strip().replace(",", ""), rounded)


def _mark(mark: Mark, known: Mapping[int | float, int | float], calls: list[_Call]) -> _MarkSolver:
    """Execute one mark's operations and compare with its stated result; the executed value."""
    steps = operations(mark.expression, known)
    value: int | float | None = None
    while True:
        try:
            operation = next(steps) if value is None else steps.send(value)
        except StopIteration as stop:
            value = stop.value
            break
        except MarkError as error:
            raise _LeftOut("a mark cannot be parsed", str(error)) from None
        value = yield from _execute(operation, calls)
    stated = mark.result
    if math.isclose(value, stated, rel_tol=_CLOSE, abs_tol=_CLOSE):
        return value
    gap = abs(value - stated) * 10**mark.decimals
    if gap >= 1:
        raise _LeftOut("an executed result differs from the mark", f"{mark.stated} stated, {value} executed")
    if mark.decimals == 0:
        tool = "round_number" if gap <= 0.5 and round(value) == stated else "floor" if stated < value else "ceil"
        value = yield from _execute(Operation(tool, (value,)), calls)
        if value != stated:
            raise _LeftOut("an executed result differs from the mark", f"{mark.stated} stated, {value} rounded")
    return value


_MarkSolver = Generator[_Call, int | float, int | float]


def _execute(operation: Operation, calls: list[_Call]) -> _MarkSolver:
    call = _Call("", operation)
    calls.append(call)
    return as_argument((yield call))


def _run(
    solvers: Sequence[_Solver],
    tools: Tools,
    parameters: Mapping[str, Sequence[str]],
    progress: Callable[[int], None] | None,
) -> list[_Solution | _LeftOut]:
    """Drive solvers side by side: one batch of calls per step, until each has returned or given up."""
    results: dict[int, _Solution | _LeftOut] = {}
    waiting: dict[int, _Call] = {}

    def advance(index: int, value: int | float | None) -> None:
        try:
            waiting[index] = next(solvers[index]) if value is None else solvers[index].send(value)
        except StopIteration as stop:
            results[index] = stop.value
        except _LeftOut as left_out:
            results[index] = left_out

    for index in range(len(solvers)):
        advance(index, None)
    done = 0
    while waiting:
        if progress is not None:
            progress(len(results) - done)
            done = len(results)
        batch, waiting = waiting, {}
        for call in batch.values():
            call.arguments = _arguments(call.operation, parameters)
        outcomes = tools.call_batch([(call.operation.tool, call.arguments) for call in batch.values()])
        for (index, call), outcome in zip(batch.items(), outcomes, strict=True):
            if not outcome.ok:
                shown = f"{call.operation.tool}({', '.join(map(str, call.operation.operands))})"
                results[index] = _LeftOut("a tool call failed", f"{shown}: {outcome.fault.message}")
            elif not _usable(outcome.value):
                results[index] = _LeftOut("a tool call failed", f"{call.operation.tool} gave {str(outcome.value)[:60]}")
            else:
                call.value = outcome.value
                advance(index, outcome.value)
    if progress is not None:
        progress(len(results) - done)
    return [results[index] for index in range(len(solvers))]


def _usable(value: Any) -> bool:
    """Whether a tool's result can go into a later call as a JSON number without losing anything."""
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) <= 2**53  # false for NaN


def _arguments(operation: Operation, parameters: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    names = parameters[operation.tool]
    if operation.tool == "sum_numbers":
        return {names[0]: list(operation.operands)}
    return dict(zip(names, operation.operands, strict=False))


def _task(name: str, question: str, solution: _Solution, tools: Sequence[str]) -> Task:
    messages: list[dict[str, Any]] = []
    for call in solution.calls:
        function = {"name": call.operation.tool, "arguments": call.arguments}
        messages += [
            {"role": "assistant", "content": call.text, "tool_calls": [{"type": "function", "function": function}]},
            {"role": "tool", "name": call.operation.tool, "content": orjson.dumps(call.value).decode()},
        ]
    closing = f"The answer is \\boxed{{{solution.answer}}}."
    messages.append({"role": "assistant", "content": f"{solution.closing}\n{closing}".strip()})
    return Task(
        id=name,
        prompt=f"{question}\n\n{INSTRUCTION}",
        tools=tuple(tools),
        reference={
            "answer": solution.answer,
            "tool_calls": [{"name": call.operation.tool, "arguments": call.arguments} for call in solution.calls],
            "messages": messages,
        },
        meta={"source": "gsm8k"},
    )
