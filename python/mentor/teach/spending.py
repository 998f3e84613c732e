"""What was asked and what it cost, and whether more may be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from mentor.teach.settings import TeachSettings
from mentor.teach.teacher import Reply

__all__ = ["Spending"]


class Spending:
    """Requests, tokens and cost of a journal and of this run, held below the limits.

    A request is admitted with the most that it can cost, so that many at once cannot pass the limit together.

    Attributes:
        requests: Requests that were answered or failed, all runs together.
        tokens_in: Tokens of their prompts.
        tokens_out: Tokens of their replies.
        estimated: Replies whose tokens are estimates, as the endpoint did not say.
    """

    def __init__(self, settings: TeachSettings) -> None:
        self._settings = settings
        self.requests = self.tokens_in = self.tokens_out = self.estimated = 0
        self._open: list[float] = []
        self._changed = asyncio.Condition()

    @property
    def cost(self) -> float:
        """What all of it cost; 0 without prices."""
        return self._settings.cost(self.tokens_in, self.tokens_out)

    def remember(self, replies: Iterable[Reply], failures: int) -> None:
        """Count what earlier runs asked."""
        for reply in replies:
            self._count(reply)
        self.requests += failures

    async def admit(self, most: float) -> bool:
        """Whether one more request may be sent that costs ``most`` at most; each yes is followed by `settle`."""
        limit, top = self._settings.max_cost, self._settings.max_requests
        async with self._changed:
            while True:
                waiting = len(self._open)
                if top is not None and self.requests + waiting >= top:
                    # A request under way counts, answered or not: no use waiting for it.
                    return False
                if limit is None or self.cost + sum(self._open) + most <= limit:
                    self._open.append(most)
                    return True
                if not waiting:
                    return False
                await self._changed.wait()

    async def settle(self, most: float, reply: Reply | None, *, sent: bool = True) -> None:
        """Book what came of an admitted request: a reply, none, or that it was not sent after all."""
        async with self._changed:
            self._open.remove(most)
            if reply is not None:
                self._count(reply)
            else:
                self.requests += sent
            self._changed.notify_all()

    def _count(self, reply: Reply) -> None:
        self.requests += 1
        self.estimated += reply.estimated
        self.tokens_in += reply.tokens_in or 0
        self.tokens_out += reply.tokens_out or 0
