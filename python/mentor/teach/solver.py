"""The teacher that needs no model: it replies with the calls that a task's own reference holds."""

from __future__ import annotations

from typing import Any

import orjson

from mentor.teach.teacher import Reply, ReplyError, Request, WrittenCall

__all__ = ["Solver"]


class Solver:
    """A suite's solver as a teacher: one call of the reference per turn, then its answer.

    Its calls are executed and its answer is judged like any teacher's, so that what is kept was verified here.
    """

    name = "solver"
    paid = False

    def settings(self) -> dict[str, Any]:
        """What decides its replies: the tasks alone."""
        return {"teacher": "solver"}

    def body(self, request: Request) -> dict[str, Any]:
        """Nothing is sent."""
        return {"task": request.assignment.id, "turn": request.turn}

    async def reply(self, request: Request) -> Reply:
        """The next call, or the answer."""
        if request.assignment.answer is None:
            raise ReplyError("no reference", "the solver replies with a task's own reference, and this task has none")
        reference = request.assignment.task.reference
        calls = reference["tool_calls"]
        if request.turn < len(calls):
            call = calls[request.turn]
            arguments = orjson.dumps(call["arguments"]).decode()
            written = WrittenCall(id=f"call_{request.turn}", name=call["name"], arguments=arguments)
            return Reply(tool_calls=(written,), finish="tool_calls", tokens_in=0, tokens_out=0)
        return Reply(content=f"\\boxed{{{reference['answer']}}}", tokens_in=0, tokens_out=0)

    async def close(self) -> None:
        """Nothing is held."""
