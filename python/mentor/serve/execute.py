"""``POST /execute``: a call after an environment, as the sandbox of MENTOR and ReCall answers it."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from typing import Any

from mentor.sandbox import Fault, Outcome, Sandbox
from mentor.serve.fields import milliseconds, text
from mentor.serve.guests import Guests
from mentor.serve.preludes import ENCODE
from mentor.serve.reply import Reply, json_reply

__all__ = ["execute"]

_TIMEOUT_MS = 5_000
# A call on one line means the same as an expression and behind `response = `, and the former is quicker.
_is_call = re.compile(r"([^\W\d]\w*)\([^;\n\r\f]*\)").fullmatch


async def execute(guests: Guests, body: Mapping[str, Any]) -> Reply:
    """Runs ``response = <call>`` after `env`.

    Args:
        guests: Where it runs.
        body: ``env`` and ``call``, Python source; ``timeout``, seconds for each of them, 5 by default.

    Returns:
        ``output`` (what both printed), ``result`` (the response, as JSON) and ``error`` (text of the exception, null
        where there is none).
    """
    env, call = text(body, "env"), text(body, "call")
    sandbox = guests.sandbox(milliseconds(body, "timeout", _TIMEOUT_MS))
    del body  # parsed JSON can be many times its text; nobody else holds it while the program runs
    loaded = await guests.load(sandbox, env)
    if loaded.fault is not None:
        return _reply(loaded.stdout, None, loaded.fault)
    outcome = await _respond(sandbox, env, call)
    output = loaded.stdout + outcome.stdout
    try:
        return _reply(output, outcome.value, outcome.fault)
    except ValueError as error:
        return _reply(output, None, Fault("bad_result", f"the result cannot be written as JSON: {error}"))


async def _respond(sandbox: Sandbox, env: str, call: str) -> Outcome:
    plain = _is_call(call)
    if plain is None or keyword.iskeyword(plain[1]):
        outcome = await sandbox.arun(f"response = {call}\nresponse", env, filename="<call>")
    else:
        outcome = await sandbox.arun(call, env, filename="<call>")
    if outcome.fault is None and outcome.value is None and outcome.value_repr is not None:
        # No JSON. The same program gives the same again, so it may run once more.
        code = f"response = {call}\n{ENCODE}response"
        outcome = await sandbox.arun(code, env, filename="<call>")
        if outcome.fault is None and outcome.value is None and outcome.value_repr is not None:
            message = "the result is too large, or no JSON (infinite or no number)"
            return Outcome(outcome.stdout, outcome.stderr, fault=Fault("bad_result", message))
    return outcome


def _reply(output: str, result: Any, fault: Fault | None) -> Reply:
    return json_reply(
        {"output": output, "result": result, "error": None if fault is None else _error(fault)},
        fault=None if fault is None else fault.kind,
    )


def _error(fault: Fault) -> str:
    """``str`` of an exception, as the other server gives it; of any other fault its kind as well."""
    if fault.kind != "exception":
        return f"{fault.kind}: {fault.message}"
    if fault.type_name == "SystemExit":  # which ended the other server
        return fault.message
    return fault.message[len(fault.type_name) + 2 :]
