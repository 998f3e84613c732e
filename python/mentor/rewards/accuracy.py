"""``accuracy_reward``: what TRL's reward of that name does, on top of :func:`mentor.judge_batch`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from mentor.errors import InputError
from mentor.score.judge import MAX_ANSWER, judge_batch

__all__ = ["accuracy_reward"]

BOXES = ("\\boxed", "\\fbox")
MAX_BOXES = 8  # that are looked at, from the end
NEAR = 10  # characters between boxes that belong together, as `\boxed{1} and \boxed{2}`
TAIL = 4000  # characters at the end of a text that are searched for an answer without a box
MATH = r"(?:\$\$(.{1,400}?)\$\$|\$([^$\n]{1,400})\$|\\\((.{1,400}?)\\\)|\\\[(.{1,400}?)\\\])"
FORMULA = re.compile(MATH, re.DOTALL)
ANSWER = re.compile(r"answer.{0,50}?" + MATH, re.DOTALL | re.IGNORECASE)
NUMBER = re.compile(r"-?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:/\d+)?")
WORD = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{3,}")


def accuracy_reward(
    completions: Sequence[Any],
    solution: Sequence[str],
    log_extra: Callable[[str, list[Any]], None] | None = None,
    **kwargs: Any,
) -> list[float | None]:
    r"""Whether each completion's final answer equals its solution: a drop-in for ``trl.rewards.accuracy_reward``.

    The answer is the last ``\boxed{}`` of a completion, else the formula behind the word *answer*. Pairs that the
    native judge leaves open go to math-verify, all of a call within ten seconds; what is still open counts as wrong.
    Works in any thread, and needs neither torch nor TRL.

    Args:
        completions: N completions: lists whose first entry is a message with ``"content"``, or texts.
        solution: N solutions: answers, formulas in dollars, or texts that end in a box, a formula or a number.
        log_extra: TRL's hook for more columns: gets ``solution``, ``gold_parsed`` and ``answer_parsed``.
        kwargs: The dataset's other columns, which are not used.

    Returns:
        1.0 for right, 0.0 for wrong, and ``None`` where the solution holds no answer, so that TRL skips the row.

    Raises:
        InputError: The lengths differ.

    Example:
        >>> completions = [[{"content": r"So it is \boxed{\frac{2}{6}}."}], [{"content": r"\boxed{\frac{1}{2}}"}]]
        >>> accuracy_reward(completions, [r"\frac{1}{3}", r"\frac{1}{3}"])
        [1.0, 0.0]
    """
    if len(completions) != len(solution):
        raise InputError(f"accuracy_reward: {len(completions)} completions but {len(solution)} solutions")
    golds = [_gold(text) for text in solution]
    answers = [_answer(_content(completion)) for completion in completions]
    rewards: list[float | None] = [None if gold is None else 0.0 for gold in golds]
    rows = [at for at, (gold, answer) in enumerate(zip(golds, answers, strict=True)) if gold and answer]
    verdicts = judge_batch([answers[at] or "" for at in rows], [golds[at] or "" for at in rows])
    for at, verdict in zip(rows, verdicts, strict=True):
        rewards[at] = float(verdict == "equal")
    if log_extra is not None:
        log_extra("solution", list(solution))
        log_extra("gold_parsed", ["[unparseable]" if gold is None else gold for gold in golds])
        skipped = [
            "[skipped]" if gold is None else answer or "[unparseable]"
            for gold, answer in zip(golds, answers, strict=True)
        ]
        log_extra("answer_parsed", skipped)
    return rewards


def _content(completion: Any) -> str:
    return completion if isinstance(completion, str) else completion[0]["content"] or ""


def _answer(text: str) -> str | None:
    """The final answer of a completion."""
    boxed = _boxed(text)
    if boxed is not None:
        return boxed or None
    found = list(ANSWER.finditer(text[-TAIL:]))
    return _formula(found[-1]) if found else None


def _gold(text: str) -> str | None:
    """The answer that a solution holds."""
    boxed = _boxed(text)
    if boxed is not None:
        return boxed or None
    found = list(FORMULA.finditer(text[-TAIL:]))
    if found:
        return _formula(found[-1])
    text = text.strip()
    words = len(WORD.findall(text[-TAIL:]))
    if words > 1 or "####" in text:  # a sentence, or GSM8K's mark
        numbers = NUMBER.findall(text[-TAIL:])
        return numbers[-1] if numbers else None
    plain_word = words == 1 and not any(character.isdigit() or character in "\\^_=" for character in text)
    return None if not text or plain_word else text


def _formula(match: re.Match[str]) -> str | None:
    return next((group.strip() for group in match.groups() if group and group.strip()), None)


def _boxed(text: str) -> str | None:
    """The contents of the last box, or of the last boxes that stand side by side; ``None`` without a closed box."""
    contents: list[str] = []
    end = len(text)
    following = None  # where the box behind starts
    for _ in range(MAX_BOXES):
        start = max(text.rfind(box, 0, end) for box in BOXES)
        if start < 0:
            break
        inner = _braced(text, start)
        if following is None:
            if inner is None:
                return None
        elif inner is None or not 0 <= following - inner[1] <= NEAR:
            break
        content = text[inner[0] : inner[1] - 1].strip()
        if content and (not contents or contents[-1] != content):
            contents.append(content)
        following, end = start, start
    if following is None:
        return None
    return ", ".join(reversed(contents))


def _braced(text: str, start: int) -> tuple[int, int] | None:
    """Start and end of what the braces behind a command hold, closing brace included; ``None`` if they do not close."""
    opening = text.find("{", start, start + 24)
    if opening < 0:
        return None
    depth = 0
    for mark in re.finditer(r"\\.|[{}]", text[opening : opening + MAX_ANSWER], re.DOTALL):
        depth += {"{": 1, "}": -1}.get(mark.group(), 0)
        if depth == 0 and mark.group() == "}":
            return opening + 1, opening + mark.end()
    return None
