"""What ties a run to its caller: functions to call, calls to repeat, a listener."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

from mentor import _core
from mentor.errors import InputError
from mentor.sandbox.calls import as_replay
from mentor.sandbox.functions import HostFunctions, answering
from mentor.sandbox.handle import OnOutput, as_listener, listening

__all__ = ["Ties", "tie"]

Ties: TypeAlias = "_core._Ties"


def tie(
    functions: HostFunctions | None,
    replay: object = None,
    on_output: OnOutput | None = None,
    *,
    loop: asyncio.AbstractEventLoop | None = None,
    inbox: _core.Inbox | None = None,
    session: int | None = None,
) -> Ties | None:
    """Ties as the extension takes them; none where there are none, which costs nothing.

    Args:
        functions: What programs may call.
        replay: Calls to repeat instead.
        on_output: Who listens on the caller's own thread.
        loop: Where `async` functions run.
        inbox: Where output goes for who listens elsewhere.
        session: Key of the session whose step it is.
    """
    if functions is None and replay is None and on_output is None and inbox is None:
        return None  # the usual case, first
    calls = as_replay(replay)
    listener = as_listener(on_output)
    if functions is None and calls:
        raise InputError("replay: this sandbox grants no functions; make it with those of the run to be repeated")
    answer = None if functions is None or calls is not None else answering(functions, loop, session)
    hear = None
    if listener is not None:
        inbox, hear = listening(listener, session)
    return answer, calls, inbox, hear
