"""One sample: the teacher is asked, its calls are executed, the results go back, until it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from mentor.teach.arguments import read_arguments
from mentor.teach.assignments import Assignment
from mentor.teach.execution import Executor
from mentor.teach.journal import Journal, request_hash
from mentor.teach.settings import TeachSettings
from mentor.teach.spending import Spending
from mentor.teach.teacher import Reply, ReplyError, Request, Teacher, WrittenCall
from mentor.tools.functions import as_text

__all__ = ["Conversations", "Sample", "Stopped", "opening"]


@dataclass(kw_only=True)
class Sample:
    """What a teacher did on a task, once.

    Attributes:
        number: Number of the sample, from 0.
        messages: Assistant and tool messages, as a reference holds them.
        failure: Why it did not come to an end; empty where it did.
        detail: More about the failure.
        tokens: Tokens that the teacher wrote.
    """

    number: int
    messages: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""
    detail: str = ""
    tokens: int = 0


class Stopped(Exception):
    """No more may be asked: a limit was reached, or the user stopped."""


def opening(assignment: Assignment, system: str) -> list[dict[str, Any]]:
    """The messages that a conversation begins with: what the teacher is told joins a system message that is there."""
    messages = assignment.task.messages
    if not system:
        return messages
    if messages[0]["role"] == "system" and isinstance(messages[0].get("content"), str):
        return [{**messages[0], "content": f"{messages[0]['content']}\n\n{system}"}, *messages[1:]]
    return [{"role": "system", "content": system}, *messages]


class Conversations:
    """Holds conversations with a teacher that replies turn by turn.

    Args:
        teacher: Whom to ask.
        executor: Executes its calls.
        settings: Limits of a sample.
        spending: Says whether more may be asked.
        journal: Where paid replies go, and come from; ``None`` for a teacher that costs nothing.
        stopping: Whether nothing more shall be asked.
    """

    def __init__(
        self,
        teacher: Teacher,
        executor: Executor,
        settings: TeachSettings,
        spending: Spending,
        journal: Journal | None,
        stopping: Callable[[], bool],
    ) -> None:
        self._teacher, self._executor, self._settings = teacher, executor, settings
        self._spending, self._journal, self._stopping = spending, journal, stopping
        self.asked = self.replayed = 0

    async def hold(self, assignment: Assignment, number: int) -> Sample:
        """Take one sample.

        Raises:
            Stopped: It could not be finished, as nothing more may be asked. What was replied so far is in the journal.
            ModelError: No request can succeed.
        """
        with self._executor.tools.session() as session:
            sample = Sample(number=number)
            offered = self._executor.offered(assignment.tools)
            setup = [(call["name"], call.get("arguments", {})) for call in assignment.setup]
            for at, outcome in enumerate(await self._executor.run(session, setup)):
                if outcome.fault is not None:
                    sample.failure = "setup failed"
                    sample.detail = f"setup[{at}]: {setup[at][0]}: {outcome.fault.message}"
                    return sample
            wire, schemas = opening(assignment, self._settings.system), offered.schemas
            before, results, calls = "", list[str](), 0
            for turn in range(self._settings.max_turns + 1):
                left = self._settings.max_tokens - sample.tokens
                if left <= 0:
                    return _ended(sample, "out of tokens")
                request = Request(
                    assignment=assignment, sample=number, turn=turn, messages=wire, tools=schemas, max_tokens=left
                )
                try:
                    reply, before = await self._ask(request, before, results)
                except ReplyError as error:
                    sample.detail = error.message
                    return _ended(sample, error.reason)
                sample.tokens += reply.tokens_out or 0
                sample.messages.append(_assistant(reply))
                if reply.finish in ("length", "content_filter"):
                    return _ended(sample, "out of tokens" if reply.finish == "length" else "filtered by the endpoint")
                if not reply.tool_calls:
                    return sample
                calls += len(reply.tool_calls)
                if calls > self._settings.max_calls:
                    return _ended(sample, "out of calls")
                outcomes = await self._executor.run(
                    session, [(call.name, call.arguments or "{}") for call in reply.tool_calls], offered=offered
                )
                results = [as_text(outcome) for outcome in outcomes]
                if self._journal is not None:
                    # What it was told then: a result that came out otherwise would make another request.
                    results = self._journal.results((assignment.id, number, turn + 1), before) or results
                sample.messages += [
                    {"role": "tool", "name": call.name, "content": text, "tool_call_id": call.id}
                    for call, text in zip(reply.tool_calls, results, strict=True)
                ]
                wire = [*wire, _sent_back(reply), *map(_result, sample.messages[-len(results) :])]
            return _ended(sample, "out of turns")

    def begun(self, assignment: Assignment, number: int) -> bool:
        """Whether the journal has a sample's first reply."""
        if self._journal is None:
            return False
        request = Request(
            assignment=assignment,
            sample=number,
            turn=0,
            messages=opening(assignment, self._settings.system),
            tools=self._executor.offered(assignment.tools).schemas,
            max_tokens=self._settings.max_tokens,
        )
        return self._journal.reply((assignment.id, number, 0), request_hash(self._teacher.body(request))) is not None

    async def _ask(self, request: Request, before: str, results: list[str]) -> tuple[Reply, str]:
        """The reply and the request's hash: out of the journal, else from the teacher by way of the journal."""
        body = self._teacher.body(request)
        name = request_hash(body)
        key = (request.assignment.id, request.sample, request.turn)
        if self._journal is not None and (known := self._journal.reply(key, name)) is not None:
            self.replayed += 1
            return Reply.from_dict(known), name
        # A token stands for one character at least, and seldom for less than two.
        size = len(orjson.dumps(body)) // 2
        most = self._settings.cost(size, request.max_tokens)
        if self._stopping() or not await self._spending.admit(most):
            raise Stopped
        reply: Reply | None = None
        sent = False
        try:
            if self._stopping():
                raise Stopped
            sent = True
            self.asked += 1
            reply = _counted(await self._teacher.reply(request), size)
            if self._journal is not None:
                await self._journal.append(key, name, reply.to_dict(), before=before, results=results)
        except ReplyError as error:
            if self._journal is not None:
                await self._journal.fail(key, name, error.reason, error.message)
            raise
        finally:
            await self._spending.settle(most, reply, sent=sent)
        return reply, name


def _counted(reply: Reply, size: int) -> Reply:
    """The reply with tokens estimated where the endpoint did not say."""
    if reply.tokens_in is not None and reply.tokens_out is not None:
        return reply
    written = len(reply.content) + len(reply.reasoning) + sum(len(call.arguments) + 20 for call in reply.tool_calls)
    asked = size if reply.tokens_in is None else reply.tokens_in
    told = -(-written // 2) if reply.tokens_out is None else reply.tokens_out
    return replace(reply, tokens_in=asked, tokens_out=told, estimated=True)


def _ended(sample: Sample, failure: str) -> Sample:
    sample.failure = failure
    return sample


def _assistant(reply: Reply) -> dict[str, Any]:
    """The message as references hold it: arguments as an object, or as the text that is none."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.content}
    calls = [(call, read_arguments(call.arguments)) for call in reply.tool_calls]
    if calls:
        message["tool_calls"] = [
            _call(call, call.arguments if arguments is None else arguments) for call, arguments in calls
        ]
    return message


def _sent_back(reply: Reply) -> dict[str, Any]:
    """The message as the endpoint gets it back: arguments that are no object would make many servers refuse it."""
    calls = [
        _call(call, (call.arguments or "{}") if read_arguments(call.arguments) is not None else "{}")
        for call in reply.tool_calls
    ]
    return {"role": "assistant", "content": reply.content or None, "tool_calls": calls}


def _call(call: WrittenCall, arguments: Any) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _result(message: dict[str, Any]) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": message["tool_call_id"], "content": message["content"]}
