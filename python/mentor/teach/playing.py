"""Whole samples of a teacher in this process, batch by batch, by way of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mentor.teach.assignments import Assignment
from mentor.teach.conversation import Sample, Stopped, opening
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

    async def hold(self, part: Sequence[Assignment], first: int, number: int) -> list[Sample]:
        """Take one sample of each task of a batch; the batch is played again unless all of it is in the journal.

        Raises:
            Stopped: No more may be asked.
            InputError: A task cannot be played.
            ModelError: The model cannot be used.
        """
        requests = [self._request(assignment, number) for assignment in part]
        names = [request_hash(self._teacher.body(request)) for request in requests]
        keys = [(assignment.id, number, 0) for assignment in part]
        known = [self._journal.reply(*pair) if self._journal else None for pair in zip(keys, names, strict=True)]
        if all(row is not None for row in known):
            self.replayed += len(part)
            return [_sample(number, Reply.from_dict(row)) for row in known if row is not None]
        if not all([await self._spending.admit(0.0) for _ in part]):
            raise Stopped
        self.asked += len(part)
        replies = await asyncio.to_thread(
            self._teacher.play, requests, first=first, tools=self._tools, settings=self._settings
        )
        for key, name, reply in zip(keys, names, replies, strict=True):
            if self._journal is not None:
                await self._journal.append(key, name, reply.to_dict())
            await self._spending.settle(0.0, reply)
        return [_sample(number, reply) for reply in replies]

    def _request(self, assignment: Assignment, number: int) -> Request:
        return Request(
            assignment=assignment,
            sample=number,
            turn=0,
            messages=opening(assignment, self._settings.system),
            tools=self._tools.only(*assignment.tools).schemas,
            max_tokens=self._settings.max_tokens,
        )


def _sample(number: int, reply: Reply) -> Sample:
    failure = "out of tokens" if reply.finish == "length" else ""
    return Sample(number=number, messages=list(reply.rollout), failure=failure, tokens=reply.tokens_out or 0)
