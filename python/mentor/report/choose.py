"""Which rollouts of a long file fit into a page: evaluations first, then training steps spread over the run."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

__all__ = ["PHASES", "Kept", "choose"]

PHASES = ("eval_before", "grpo", "eval_after")
_ODD_ROW = 4_096  # bytes that a row counts for that no JSON writer takes


@dataclass(frozen=True)
class Kept:
    """A row of ``completions.jsonl`` and its name, which is the same in every report of the run."""

    name: str
    row: Mapping[str, Any]


def choose(
    rows: Iterable[dict[str, Any]], again: Callable[[], Iterable[dict[str, Any]]], *, max_bytes: int
) -> tuple[list[Kept], int]:
    """Keep the rollouts that fit into ``max_bytes``; only those are ever in memory at once.

    Args:
        rows: the rows of the file.
        again: gives the same rows once more; a file that grew meanwhile does no harm.
        max_bytes: of the kept rows as JSON.

    Returns:
        The kept rows in the file's order, and how many rollouts there are.

    Example:
        >>> rows = [{"phase": "grpo", "step": step} for step in range(100)]
        >>> kept, total = choose(rows, lambda: rows, max_bytes=100)
        >>> [one.row["step"] for one in kept], total
        ([0, 49, 99], 100)
    """
    sizes: list[int] = []
    steps: dict[Any, list[int]] = {}
    evaluations: list[int] = []
    for at, row in enumerate(_rollouts(rows)):
        sizes.append(_size(row))
        if row["phase"] == "grpo":
            steps.setdefault(_hashable(row.get("step")), []).append(at)
        else:
            evaluations.append(at)
    groups = list(steps.values())
    order = [*reversed(evaluations), *(at for group in _spread(len(groups)) for at in groups[group])]
    wanted: set[int] = set()
    for at in order:
        if sizes[at] > max_bytes:  # one that is too long hides no other
            continue
        max_bytes -= sizes[at]
        wanted.add(at)
    seen: Counter[str] = Counter()
    kept = []
    for at, row in enumerate(_rollouts(again())):
        if at >= len(sizes):
            break
        key = repr([row.get(name) for name in ("phase", "step", "split", "task_id")])
        seen[key] += 1
        if at in wanted:
            kept.append(Kept(_name(key, seen[key]), row))
    return kept, len(sizes)


def _rollouts(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (row for row in rows if row.get("phase") in PHASES)


def _name(key: str, occurrence: int) -> str:
    text = f"{key}#{occurrence}".encode("utf-8", "backslashreplace")
    return hashlib.blake2b(text, digest_size=6).hexdigest()


def _size(row: Mapping[str, Any]) -> int:
    try:
        return len(orjson.dumps(row))
    except (TypeError, ValueError, RecursionError):
        return _ODD_ROW


def _hashable(step: Any) -> Any:
    return step if isinstance(step, int | float | str) else None


def _spread(count: int) -> Iterator[int]:
    """The numbers below ``count``: the last, the first, then always the middle of the gaps that are left."""
    if count == 0:
        return
    yield count - 1
    if count > 1:
        yield 0
    gaps = [(0, count - 1)]
    while gaps:
        wider = []
        for low, high in gaps:
            middle = (low + high) // 2
            if middle > low:
                yield middle
                wider += [(low, middle), (middle, high)]
        gaps = wider
