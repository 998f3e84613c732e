"""The reference's calls, executed: whether they succeed, give what the row states, and lead to the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from mentor.data.validation.structure import Add, Parts
from mentor.score.judge import judge_batch

__all__ = ["Executor", "execute_rows"]


class _Session(Protocol):
    def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Execute a call in the state that those before it left."""


class Executor(Protocol):
    """What executing needs of a tool set, such as ``mentor.tools.arithmetic()``."""

    @property
    def names(self) -> Sequence[str]:
        """The names of the tools."""

    @property
    def schemas(self) -> Sequence[Mapping[str, Any]]:
        """The OpenAI schema of each tool."""

    @property
    def pure(self) -> bool:
        """Whether the tools keep no state."""

    def call_batch(self, calls: Sequence[tuple[str, Mapping[str, Any]]]) -> Sequence[Any]:
        """Execute calls and give an outcome (``ok``, ``value``, ``fault``) for each, in order."""

    def session(self) -> AbstractContextManager[Any]:
        """Open a place that keeps state from call to call."""


def execute_rows(rows: Sequence[tuple[Parts, Add]], tools: Executor) -> int:
    """Execute the references of rows whose tools are there, and name what does not come out; the number executed."""
    known = set(tools.names)
    todo = [row for row in rows if _executable(row[0], known)]
    if tools.pure:
        calls = [(call["name"], call["arguments"]) for parts, _ in todo for call in parts.calls.values()]
        outcomes = iter(tools.call_batch(calls))
        found = [[next(outcomes) for _ in parts.calls] for parts, _ in todo]
    else:
        found = [_in_session(parts, add, tools) for parts, add in todo]
    pairs: list[tuple[Parts, Add, list[str]]] = []
    for (parts, add), made in zip(todo, found, strict=True):
        texts = _texts(parts, add, made)
        if texts:
            pairs.append((parts, add, texts))
    _check_last(pairs)
    return len(todo)


def _executable(parts: Parts, known: set[str]) -> bool:
    wanted = (
        bool(parts.calls) and parts.meta.get("executable") is not False and parts.meta.get("names_only") is not True
    )
    return wanted and parts.startable and all(call["name"] in known for call in [*parts.setup, *parts.calls.values()])


def _in_session(parts: Parts, add: Add, tools: Executor) -> list[Any]:
    with tools.session() as session:
        for i, call in enumerate(parts.setup):
            outcome = session.call(call["name"], call["arguments"])
            if not outcome.ok:
                add(f"meta.setup[{i}]", "failed_call", f"{call['name']}: {outcome.fault.message}")
                return []
        return [session.call(call["name"], call["arguments"]) for call in parts.calls.values()]


def _texts(parts: Parts, add: Add, outcomes: Sequence[Any]) -> list[str]:
    """What a model would read after each call; nothing where one failed."""
    texts = []
    for (i, call), outcome in zip(parts.calls.items(), outcomes, strict=False):
        if not outcome.ok:
            add(f"reference.tool_calls[{i}]", "failed_call", f"{call['name']}: {outcome.fault.message}")
        else:
            texts.append(outcome.value if isinstance(outcome.value, str) else json.dumps(outcome.value))
    if len(texts) < len(parts.calls):
        return []
    stated = parts.meta.get("results")
    if isinstance(stated, list):
        for i, (found, text) in enumerate(zip(stated, texts, strict=False)):
            if found != text:
                add(f"meta.results[{i}]", "wrong_result", f"{str(found)[:60]!r} stated, {text[:60]!r} executed")
        if len(stated) != len(texts):
            add("meta.results", "wrong_result", f"{len(stated)} results stated, {len(texts)} executed")
    return texts


def _check_last(rows: Sequence[tuple[Parts, Add, list[str]]]) -> None:
    asked = [row for row in rows if row[0].answer is not None and row[0].verifier == "answer"]
    pairs = [(text, str(parts.answer)) for parts, _, texts in asked for text in texts]
    verdicts = iter(judge_batch([text for text, _ in pairs], [answer for _, answer in pairs], fallback=None))
    for parts, add, texts in asked:
        answer = str(parts.answer).strip()
        gives = [next(verdicts) != "different" or answer in text for text in texts]
        if gives[-1]:
            continue
        which = f"call {gives.index(True)} gives it, not the last" if any(gives) else "no call gives it"
        message = f"{which}; the last one's result is {texts[-1][:60]!r}"
        add("reference.answer", "answer_not_result", message)
