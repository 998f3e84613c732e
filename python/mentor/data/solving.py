"""Worked solutions as tool calls: planned from calculator marks, executed side by side, checked against the text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from mentor.data.imports import INSTRUCTION, ImportReport, LeftOut
from mentor.data.marks import Mark, MarkError, Operation, as_argument, number, operations, split_marks
from mentor.data.tasks import Task
from mentor.errors import InputError

__all__ = ["Tools", "Worked", "as_result", "parameters_of", "solve_rows"]

_NEEDED = ("add", "subtract", "multiply", "divide", "sum_numbers", "floor", "ceil", "round_number", "power", "modulo")
_CLOSE = 1e-9  # relative; what binary fractions lose
_ROWS_AT_ONCE = 512  # rows whose calls run side by side: enough to fill a batch, little enough for memory


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


def as_result(value: Any) -> str:
    """What a model reads of a call's value: text as it is, else its JSON."""
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Worked:
    """A question with its worked solution: text with calculator marks, and ``#### answer`` in the last line."""

    line: int
    name: str
    question: str
    solution: str


def solve_rows(
    rows: Iterable[Worked],
    tools: Tools,
    report: ImportReport,
    *,
    source: str,
    progress: Callable[[int], None] | None = None,
) -> list[Task]:
    """Execute worked solutions and make tasks of those that verify; the others are counted in the report.

    Raises:
        InputError: a tool is missing.
    """
    parameters = parameters_of(tools)
    rows = iter(rows)
    tasks = []
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        results = _run([_solve(row.solution) for row in chunk], tools, parameters, progress)
        for row, result in zip(chunk, results, strict=True):
            report.rows += 1
            if isinstance(result, LeftOut):
                report.leave_out(row.line, result)
                continue
            task = _task(row.name, row.question, result, tools.names, source)
            try:
                report.check(task)
            except LeftOut as why:
                report.leave_out(row.line, why)
                continue
            report.take(task, executed=True)
            report.rounded += result.rounded
            tasks.append(task)
    return tasks


def parameters_of(tools: Tools) -> dict[str, list[str]]:
    """Tool -> the names of its parameters in order, from the schemas."""
    missing = [name for name in _NEEDED if name not in tools.names]
    if missing:
        raise InputError(f"tools: {', '.join(missing)} missing; pass mentor.tools.arithmetic()")
    functions = [schema.get("function", schema) for schema in tools.schemas]
    return {function["name"]: list(function["parameters"]["properties"]) for function in functions}


@dataclass
class _Call:
    """One planned call: the text before it, and what it is once executed."""

    text: str
    operation: Operation
    arguments: dict[str, Any] = field(default_factory=dict)
    value: Any = None


@dataclass
class _Solution:
    """A checked solution: its calls, the text after the last one, the answer, and whether something was rounded."""

    calls: list[_Call]
    closing: str
    answer: str
    rounded: bool


_Solver = Generator[_Call, int | float, _Solution]


def _solve(text: str) -> _Solver:
    """Plan one row: yield calls, be sent executed results, return the checked solution or raise LeftOut."""
    body, hashes, answer = text.rpartition("####")
    try:
        final = number(answer)
        marks, closing = split_marks(body)
    except MarkError as error:
        reason = "a mark cannot be parsed" if str(error).startswith("<<") else "no final number after ####"
        raise LeftOut(reason, str(error)) from None
    if not hashes:
        raise LeftOut("no final number after ####", repr(answer.strip()[:60]))
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
        raise LeftOut("no calculator mark with an operation", f"{len(marks)} marks")
    if not math.isclose(executed, final, rel_tol=_CLOSE):
        earlier = any(math.isclose(call.value, final, rel_tol=_CLOSE) for call in calls)
        which = "by an earlier call, not by the last" if earlier else "by no call"
        raise LeftOut(f"the final answer is given {which}", f"{final}, last call {executed}")
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
            raise LeftOut("a mark cannot be parsed", str(error)) from None
        value = yield from _execute(operation, calls)
    stated = mark.result
    if math.isclose(value, stated, rel_tol=_CLOSE, abs_tol=_CLOSE):
        return value
    gap = abs(value - stated) * 10**mark.decimals
    if gap >= 1:
        raise LeftOut("an executed result differs from the mark", f"{mark.stated} stated, {value} executed")
    if mark.decimals == 0:
        tool = "round_number" if gap <= 0.5 and round(value) == stated else "floor" if stated < value else "ceil"
        value = yield from _execute(Operation(tool, (value,)), calls)
        if value != stated:
            raise LeftOut("an executed result differs from the mark", f"{mark.stated} stated, {value} rounded")
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
) -> list[_Solution | LeftOut]:
    """Drive solvers side by side: one batch of calls per step, until each has returned or given up."""
    results: dict[int, _Solution | LeftOut] = {}
    waiting: dict[int, _Call] = {}

    def advance(index: int, value: int | float | None) -> None:
        try:
            waiting[index] = next(solvers[index]) if value is None else solvers[index].send(value)
        except StopIteration as stop:
            results[index] = stop.value
        except LeftOut as left_out:
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
                results[index] = LeftOut("a tool call failed", f"{shown}: {outcome.fault.message}")
            elif not _usable(outcome.value):
                results[index] = LeftOut("a tool call failed", f"{call.operation.tool} gave {str(outcome.value)[:60]}")
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


def _task(name: str, question: str, solution: _Solution, tools: Sequence[str], source: str) -> Task:
    messages: list[dict[str, Any]] = []
    results = [as_result(call.value) for call in solution.calls]
    for call, result in zip(solution.calls, results, strict=True):
        function = {"name": call.operation.tool, "arguments": call.arguments}
        messages += [
            {"role": "assistant", "content": call.text, "tool_calls": [{"type": "function", "function": function}]},
            {"role": "tool", "name": call.operation.tool, "content": result},
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
        meta={"source": source, "executable": True, "results": results},
    )
