"""``POST /run_code``: a Python program, as SandboxFusion answers it."""

from __future__ import annotations

import base64
import os
import posixpath
from collections.abc import Mapping
from typing import Any

from mentor.errors import InputError, SandboxError
from mentor.sandbox import Fault, Outcome
from mentor.serve.fields import BadRequest, base64_files, milliseconds, names, text, whole
from mentor.serve.guests import Guests
from mentor.serve.preludes import with_stdin
from mentor.serve.reply import Reply, json_reply

__all__ = ["run_code"]

_TIMEOUT_MS = 10_000
_FETCHED = 1_000  # files of an answer
_KILLED, _ABORTED = -9, -6  # return codes of processes that a signal ended


async def run_code(guests: Guests, body: Mapping[str, Any]) -> Reply:
    """Runs a program.

    Args:
        guests: Where it runs.
        body: ``code`` and ``language`` (``python``); ``run_timeout`` in seconds, 10 by default; ``memory_limit_MB``,
            ``stdin``; ``files``, base64 by path, and ``fetch_files``, the paths that the answer should have. Of no use
            to Python are ``compile_timeout`` and ``args``, which are checked.

    Returns:
        ``status`` (``Success``, ``Failed``, or ``SandboxError`` where the host failed), ``message``,
        ``compile_result`` (null), ``run_result`` (``status``, ``execution_time`` in seconds, ``return_code``,
        ``stdout``, ``stderr``), ``executor_pod_name`` and ``files``.
    """
    code = text(body, "code")
    language = text(body, "language")
    if language != "python":
        raise BadRequest(f"language must be 'python', the only one here, not {language[:50]!r}", "language")
    milliseconds(body, "compile_timeout", _TIMEOUT_MS)
    names(body, "args")
    stdin = text(body, "stdin") if body.get("stdin") is not None else None
    files, fetch = base64_files(body, "files"), names(body, "fetch_files")
    if len(fetch) > _FETCHED:
        raise BadRequest(f"fetch_files must be at most {_FETCHED} paths, not {len(fetch)}", "fetch_files")
    sandbox = guests.sandbox(
        milliseconds(body, "run_timeout", _TIMEOUT_MS), min(whole(body, "memory_limit_MB", -1), 2**31)
    )
    del body  # parsed JSON can be many times its text; nobody else holds it while the program runs
    try:
        outcome = await sandbox.arun(code, with_stdin(stdin), filename="main.py", files=files)
    except InputError as error:  # a path
        raise BadRequest(str(error), "files") from error
    except SandboxError as error:
        return _reply("SandboxError", str(error), None, {}, "host")
    fault = None if outcome.fault is None else outcome.fault.kind
    result = _result(outcome)
    status = "Success" if result["return_code"] == 0 else "Failed"
    room = sum(map(len, files.values())) + (sandbox.limits.files_kb << 10)
    return _reply(status, "", result, _fetched(fetch, outcome.files, files, room), fault)


def _reply(
    status: str, message: str, result: dict[str, Any] | None, files: Mapping[str, bytes], fault: str | None
) -> Reply:
    return json_reply(
        {
            "status": status,
            "message": message,
            "compile_result": None,
            "run_result": result,
            "executor_pod_name": os.environ.get("MY_POD_NAME"),
            "files": {path: base64.b64encode(content).decode() for path, content in files.items()},
        },
        fault=fault,
    )


def _fetched(paths: list[str], left: Mapping[str, bytes], sent: Mapping[str, bytes], room: int) -> dict[str, bytes]:
    """Files as the program left them; what it did not change it has as it was sent."""
    fetched = {}
    for path in paths:
        plain = posixpath.normpath(posixpath.join("/", path)).lstrip("/")
        content = left.get(plain, sent.get(plain))
        if content is None:
            continue
        fetched[path] = content
        room -= len(content)
        if room < 0:  # the same ones again and again, under other spellings
            raise BadRequest("fetch_files asks for more than there can be; name each file once", "fetch_files")
    return fetched


def _result(outcome: Outcome) -> dict[str, Any]:
    code, added = (0, "") if outcome.fault is None else _ending(outcome.fault)
    return {
        "status": "Finished" if code is not None else "TimeLimitExceeded",
        "execution_time": outcome.wall_ms / 1_000,
        "return_code": code,
        "stdout": outcome.stdout,
        "stderr": outcome.stderr + added,
    }


def _ending(fault: Fault) -> tuple[int | None, str]:
    """Return code of the process that a fault would have ended, none for a timeout, and what it would have printed."""
    if fault.kind == "timeout":
        return None, ""
    if fault.type_name == "SystemExit":
        said = fault.message.removeprefix("SystemExit").removeprefix(": ")
        digits = said.removeprefix("-")
        if digits.isascii() and digits.isdecimal() and len(digits) < 20:
            return int(said) & 0xFF, ""
        return 1, f"{said}\n"
    if fault.traceback:
        return 1, fault.traceback
    if fault.kind == "trap":
        if fault.message.endswith("(success)"):  # os._exit(0)
            return 0, ""
        return (1 if "ended its process" in fault.message else _ABORTED), f"{fault.message}\n"
    return _KILLED, f"{fault.kind}: {fault.message}\n"
