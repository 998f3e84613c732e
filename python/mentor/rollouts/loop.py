"""The one loop of rollouts, for training and evaluation: generate, execute the calls, go on, until an answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mentor.rollouts.chat import Chat
from mentor.rollouts.desk import Desk
from mentor.rollouts.rollout import Budget, Rollout

__all__ = ["Clock", "Generate", "play"]


class Generate(Protocol):
    """Writes one turn of many rollouts."""

    def __call__(
        self, prefixes: Sequence[list[int]], rollouts: Sequence[int], rooms: Sequence[int]
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        """Generate.

        Args:
            prefixes: Tokens of each rollout so far, prompt included.
            rollouts: Index of each rollout in its batch; the same from turn to turn.
            rooms: Tokens that each turn may have.

        Returns:
            The turns' tokens, each up to its end token, and their log-probabilities where they are known.
        """
        ...


@dataclass
class Clock:
    """Where the seconds went: ``generate``, ``tools`` (sessions and calls), ``text`` (templates and parsing)."""

    seconds: dict[str, float] = field(default_factory=lambda: {"generate": 0.0, "tools": 0.0, "text": 0.0})

    def add(self, name: str, since: float) -> float:
        """Add the time since a moment; returns the present one."""
        now = time.perf_counter()
        self.seconds[name] += now - since
        return now


def play(
    rows: Sequence[Mapping[str, Any]],
    *,
    chat: Chat,
    generate: Generate,
    budget: Budget,
    ends: frozenset[int],
    context: int | None = None,
    clock: Clock | None = None,
    anyone: Callable[[int], bool] | None = None,
) -> list[Rollout]:
    """Play a batch of rollouts to their ends.

    Calls of a turn are executed together. A call that cannot be read, that the row does not offer or that is over the
    limit is answered with an error, and the rollout goes on. A rollout whose tool results leave no room for an answer
    ends before them and counts as truncated.

    Args:
        rows: ``messages``, ``tools`` (names), optionally ``setup`` (calls that make the state) and ``id``.
        chat: The template and the tools.
        generate: Writes the turns.
        budget: Limits of a rollout.
        ends: Tokens that end a turn.
        context: Longest sequence that the model takes.
        clock: Gets the times.
        anyone: Given the number of rollouts that go on here, tells whether any go on in all processes together. Where
            the processes have to generate in step, one that is done writes a turn that nobody reads.

    Returns:
        One rollout per row, in order.
    """
    clock = clock or Clock()
    now = time.perf_counter()
    rollouts = [Rollout(prompt_ids=chat.prompt(row)) for row in rows]
    limits = [
        budget.max_tokens if context is None else min(budget.max_tokens, context - len(rollout.prompt_ids))
        for rollout in rollouts
    ]
    active = [at for at, limit in enumerate(limits) if limit > 0]
    for at, limit in enumerate(limits):
        rollouts[at].truncated = limit <= 0
    now = clock.add("text", now)
    with Desk(chat.tools, rows, limit=budget.max_tool_calls) as desk:
        desk.prepare()
        now = clock.add("tools", now)
        for turn in range(budget.max_turns + 1):
            if not (anyone(len(active)) if anyone is not None else active):
                break
            if not active:
                generate([rollouts[0].prompt_ids], [0], [1])
                continue
            prefixes = [rollouts[at].prompt_ids + rollouts[at].completion_ids for at in active]
            rooms = [limits[at] - rollouts[at].tokens for at in active]
            answers, logprobs = generate(prefixes, active, rooms)
            now = clock.add("generate", now)
            asked = {}
            for place, at in enumerate(active):
                answer = answers[place][: rooms[place]]
                _write(rollouts[at], answer, 1, None if logprobs is None else logprobs[place])
                rollouts[at].truncated = not answer or answer[-1] not in ends
                if not answer:
                    continue
                read = chat.turn(rows[at], prefixes[place], answer)
                rollouts[at].messages.append(read.message)
                if rollouts[at].truncated or not read.requests:
                    continue
                if turn < budget.max_turns:
                    asked[at] = read.requests
                else:
                    rollouts[at].truncated = True
            now = clock.add("text", now)
            answered = desk.answer(asked)
            now = clock.add("tools", now)
            active = []
            for at, results in answered.items():
                messages = [
                    {"role": "tool", "name": request.name, "content": text}
                    for request, (text, _) in zip(asked[at], results, strict=True)
                ]
                rollouts[at].calls += len(results)
                rollouts[at].failures += sum(failed for _, failed in results)
                suffix = chat.results(messages)
                if rollouts[at].tokens + len(suffix) >= limits[at]:
                    rollouts[at].truncated = True
                    continue
                _write(rollouts[at], suffix, 0, None if logprobs is None else [0.0] * len(suffix))
                rollouts[at].messages += messages
                active.append(at)
            now = clock.add("text", now)
    clock.add("tools", now)
    return rollouts


def _write(rollout: Rollout, ids: Sequence[int], mark: int, logprobs: Sequence[float] | None) -> None:
    rollout.completion_ids += ids
    rollout.mask += [mark] * len(ids)
    if logprobs is not None:
        rollout.logprobs = [*(rollout.logprobs or []), *logprobs[: len(ids)]]
