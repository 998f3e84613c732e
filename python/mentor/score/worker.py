"""The judge's worker process: ``python -m mentor.score.worker``.

Reads one JSON object ``{"gold": ..., "predicted": ...}`` per line, answers ``true``, ``false`` or ``null`` (the library
failed) per line, and ends with its input or with its parent. The parent enforces the time budget by killing it, so the
library's own timeouts, which need signals and hence the main thread, stay off.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
from typing import IO, Any

import orjson

MEMORY_LIMIT = 4 << 30  # bytes of address space
PARENT_CHECK_S = 5.0
NUMBER = re.compile(r"[-+]?\d[\d.,]*")


def main() -> None:
    """Serves until the input ends."""
    _limit_memory()
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    judge = _load()
    parent = os.getppid()
    replies.write(b"ready\n")
    for line in _lines(sys.stdin.buffer, parent):
        pair = orjson.loads(line)
        replies.write(orjson.dumps(judge(pair["gold"], pair["predicted"])) + b"\n")


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))


def _lines(source: IO[bytes], parent: int) -> Any:
    pending = b""
    while True:
        ready, _, _ = select.select([source], [], [], PARENT_CHECK_S)
        if not ready:
            if os.getppid() != parent:
                return
            continue
        data = os.read(source.fileno(), 1 << 16)
        if not data:
            return
        *lines, pending = (pending + data).split(b"\n")
        yield from lines


def _load() -> Any:
    import logging

    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify
    from math_verify.metric import math_metric

    logging.disable(logging.CRITICAL)
    metric = math_metric(
        gold_extraction_target=(LatexExtractionConfig(),),
        pred_extraction_target=(ExprExtractionConfig(), LatexExtractionConfig()),
    )

    def judge(gold: str, predicted: str) -> bool | None:
        try:
            parsed = [parse(f"${text}$", parsing_timeout=None) for text in (gold, predicted)]
            if verify(*parsed, timeout_seconds=None):
                return True
            if metric([f"\\boxed{{{gold}}}"], [f"\\boxed{{{predicted}}}"])[0]:
                return True
            # For texts such as "27 dollars". The library takes the last number it finds, so there must be just one.
            if not NUMBER.fullmatch(gold) or len(NUMBER.findall(predicted)) != 1:
                return False
            parsed = [parse(text, parsing_timeout=None) for text in (gold, predicted)]
            return bool(verify(*parsed, timeout_seconds=None))
        except Exception:  # noqa: BLE001  (whatever sympy raises on a strange answer, the answer is undecided)
            return None

    judge("1", "\\frac{2}{2}")  # the first use loads grammars
    return judge


if __name__ == "__main__":
    main()
