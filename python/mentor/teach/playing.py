"""Whole samples of a teacher in this process, batch by batch, by way of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mentor.teach.arguments import kept_arguments
from mentor.teach.assignments import Assignment
from mentor.teach.conversation import Sample, opening
from mentor.teach.journal import Journal, request_hash
from mentor.teach.settings import TeachSettings
from mentor.teach.spending import Spending
from mentor.teach.teacher import Player, Reply, Request
from mentor.tools import ToolSet

__all__ = ["Playing"]


class Playing:
    """Takes samples of a teacher that plays them by itself.

    Args:
        teacher: Who plays.
        tools: The tools of all tasks.
        settings: Limits of a sample.
        spending: Says whether more may be asked.
        journal: Where samples go, and come from.
    """

    def __init__(
        self, teacher: Player, tools: ToolSet, settings: TeachSettings, spending: Spending, journal: Journal | None
    ) -> None:
        self._teacher, self._tools, self._settings = teacher, tools, settings
        self._spending, self._journal = spending, journal
        self.asked = self.replayed = 0
        self.limited = False  # whether something was not asked because of a limit

    async def hold(
        self, part: Sequence[Assignment], first: int, number: int, *, known: bool = False
    ) -> dict[int, Sample]:
        """Take one sample of each task of a batch, out of the journal or played, as far as more may be asked.

        Args:
            part: The tasks.
            first: The place of the first of them.
            number: The number of the sample.
            known: Take only those of the journal.

        Returns:
            The samples by the tasks' places.

        Raises:
            InputError: A task cannot be played.
            ModelError: The model cannot be used.
        """
        requests = [self._request(assignment, number) for assignment in part]
        names = [request_hash(self._teacher.body(request)) for request in requests]
        keys = [(assignment.id, number, 0) for assignment in part]
        rows = [self._journal.reply(*pair) if self._journal else None for pair in zip(keys, names, strict=True)]
        found = {first + at: _sample(number, Reply.from_dict(row)) for at, row in enumerate(rows) if row is not None}
        self.replayed += len(found)
        for low, high in () if known else _gaps(rows):
            if not all([await self._spending.admit(0.0) for _ in range(low, high)]):
                self.limited = True
                break
            self.asked += high - low
            replies = await asyncio.to_thread(
                self._teacher.play, requests[low:high], first=first + low, tools=self._tools, settings=self._settings
            )
            for at, reply in enumerate(map(_kept, replies), start=low):
                if self._journal is not None:
                    await self._journal.append(keys[at], names[at], reply.to_dict())
                await self._spending.settle(0.0, reply)
                found[first + at] = _sample(number, reply)
        return dict(sorted(found.items()))

    def _request(self, assignment: Assignment, number: int) -> Request:
        return Request(
            assignment=assignment,
            sample=number,
            turn=0,
            messages=opening(assignment, self._settings.system),
            tools=self._tools.only(*assignment.tools).schemas,
            max_tokens=self._settings.max_tokens,
        )


def _kept(reply: Reply) -> Reply:
    """The reply as a file takes it: a model's arguments may be any that its parser reads."""
    return replace(reply, rollout=tuple(map(_message, reply.rollout)))


def _message(message: dict[str, Any]) -> dict[str, Any]:
    if not message.get("tool_calls"):
        return message
    calls = [
        {**call, "function": {**call["function"], "arguments": kept_arguments(call["function"].get("arguments", {}))}}
        for call in message["tool_calls"]
    ]
    return {**message, "tool_calls": calls}


def _gaps(rows: Sequence[object | None]) -> list[tuple[int, int]]:
    """Where rows are missing: from, up to; what lies side by side is one."""
    missing = [at for at, row in enumerate(rows) if row is None]
    lows = [at for at in missing if at - 1 not in missing]
    highs = [at + 1 for at in missing if at + 1 not in missing]
    return list(zip(lows, highs, strict=True))


def _sample(number: int, reply: Reply) -> Sample:
    failure = "out of tokens" if reply.finish == "length" else ""
    return Sample(number=number, messages=list(reply.rollout), failure=failure, tokens=reply.tokens_out or 0)
