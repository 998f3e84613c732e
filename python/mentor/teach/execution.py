"""Tool calls of samples that are under way together, executed side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from mentor.sandbox import Outcome
from mentor.tools import ToolSet, call_batch
from mentor.tools.session import ToolSession

__all__ = ["Executor"]

Pair = tuple[str, "Mapping[str, Any] | str"]


class Executor:
    """Executes calls in the sessions of many samples, those that wait at one time in one batch.

    Args:
        tools: The tools of all tasks.
    """

    def __init__(self, tools: ToolSet) -> None:
        self.tools = tools
        self._waiting: list[tuple[ToolSession, Sequence[Pair], asyncio.Future[list[Outcome]]]] = []
        self._lock = asyncio.Lock()
        self._offered: dict[tuple[str, ...], ToolSet] = {}

    def offered(self, names: tuple[str, ...]) -> ToolSet:
        """The tools of these names; made once."""
        if names not in self._offered:
            self._offered[names] = self.tools.only(*names)
        return self._offered[names]

    async def run(
        self, session: ToolSession, calls: Sequence[Pair], *, offered: ToolSet | None = None
    ) -> list[Outcome]:
        """Execute calls in a session, in order; those of tools that are not offered are answered without it."""
        if offered is not None:
            refused = {at: offered.call(*call) for at, call in enumerate(calls) if call[0] not in offered}
            done = iter(await self.run(session, [call for at, call in enumerate(calls) if at not in refused]))
            return [refused[at] if at in refused else next(done) for at in range(len(calls))]
        if not calls:
            return []
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._waiting.append((session, calls, future))
        async with self._lock:
            if self._waiting:
                await self._batch()
        return await future

    async def _batch(self) -> None:
        taken, self._waiting = self._waiting, []
        triples = [(session, name, arguments) for session, calls, _ in taken for name, arguments in calls]
        working = asyncio.ensure_future(asyncio.to_thread(call_batch, triples))
        try:
            outcomes = iter(await asyncio.shield(working))
        except BaseException as error:
            await asyncio.wait([working])  # sessions must not be closed under a call
            for _, _, future in taken:
                if not future.done():
                    future.set_exception(error) if isinstance(error, Exception) else future.cancel()
            raise
        for _, calls, future in taken:
            mine = [next(outcomes) for _ in calls]
            if not future.done():
                future.set_result(mine)
