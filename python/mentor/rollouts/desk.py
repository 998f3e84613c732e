"""The tools of a batch of rollouts: one session each, all calls of a turn executed together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from mentor.errors import InputError
from mentor.rollouts.chat import Request
from mentor.tools import ToolSession, ToolSet, call_batch
from mentor.tools.functions import as_text

__all__ = ["Desk"]


class Desk:
    """Sessions of a batch's rollouts, opened when first needed and closed at the end of the ``with`` block.

    Args:
        tools: All tools.
        rows: What each rollout may call (``tools``), and the calls that make its state (``setup``).
        limit: Calls that one rollout may make.
    """

    def __init__(self, tools: ToolSet, rows: Sequence[Mapping[str, Any]], *, limit: int | None = None) -> None:
        self._tools, self._rows, self._limit = tools, rows, limit
        self._offered = [frozenset(row["tools"]) for row in rows]
        self._subsets: dict[frozenset[str], ToolSet] = {}
        self._used = [0] * len(rows)
        self._sessions: list[ToolSession | None] = [None] * len(rows)

    def prepare(self) -> None:
        """Put every session into the state that its row asks for.

        Raises:
            InputError: A setup call fails; the message names the row.
        """
        calls, where = [], []
        for at, row in enumerate(self._rows):
            for number, call in enumerate(row.get("setup") or ()):
                calls.append((self._session(at), call["name"], call["arguments"]))
                where.append((row.get("id"), number, call["name"]))
        for (task, number, name), outcome in zip(where, call_batch(calls), strict=True):
            if outcome.fault is not None:
                raise InputError(f"task {task!r}: setup[{number}]: {name}: {outcome.fault.message}")

    def answer(self, asked: Mapping[int, Sequence[Request]]) -> dict[int, list[tuple[str, bool]]]:
        """Answer the calls of many rollouts.

        Args:
            asked: Rollout -> its calls, in order.

        Returns:
            Rollout -> for each call the text that the model reads, and whether it is an error.
        """
        answers: dict[int, list[tuple[str, bool]]] = {
            at: [("", True)] * len(requests) for at, requests in asked.items()
        }
        calls, places = [], []
        for at, requests in asked.items():
            for number, request in enumerate(requests):
                refusal = self._refusal(at, request)
                if refusal is not None:
                    answers[at][number] = (f"error: {refusal}", True)
                else:
                    calls.append((self._session(at), request.name, _arguments(request.arguments)))
                    places.append((at, number))
        for (at, number), outcome in zip(places, call_batch(calls), strict=True):
            answers[at][number] = (as_text(outcome), outcome.fault is not None)
        return answers

    def _refusal(self, at: int, request: Request) -> str | None:
        """Why a call is not executed; each call counts towards the limit, whether it can be executed or not."""
        if self._limit is not None and self._used[at] >= self._limit:
            plural = "" if self._limit == 1 else "s"
            return f"no calls are left: this task allows {self._limit} call{plural}; answer with what you have"
        self._used[at] += 1
        if request.flaw is not None:
            return request.flaw
        if request.name in self._offered[at]:
            return None
        names = self._offered[at]
        subset = self._subsets.get(names)
        if subset is None:
            subset = self._subsets[names] = self._tools.only(*(name for name in self._tools if name in names))
        fault = subset.call(request.name, {}).fault
        return "unknown tool" if fault is None else fault.message

    def _session(self, at: int) -> ToolSession:
        session = self._sessions[at]
        if session is None:
            session = self._sessions[at] = self._tools.session()
        return session

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for session in self._sessions:
            if session is not None:
                session.close()


def _arguments(given: Any) -> Mapping[str, Any] | str:
    """What a model wrote, as a tool set takes it; a list or a number is refused there, by name."""
    if isinstance(given, Mapping | str):
        return given
    if given is None:
        return {}
    try:
        return json.dumps(given)
    except (TypeError, ValueError, RecursionError):
        return "null"
