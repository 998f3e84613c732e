"""Tools that count, search, change and compare text."""

from __future__ import annotations

import base64
import binascii
import difflib
import hashlib
import html
import re
import unicodedata
import urllib.parse
from typing import Literal

from mentor.sandbox import Limits
from mentor.tools.toolset import ToolSet

__all__ = ["text"]

_MAX_CELLS = 490_000  # of a table of edit distances; less than half a second
_MAX_RESULT = 200_000
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)")
_PARAGRAPH_END = re.compile(r"\n\s*\n")
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NO_LETTERS = re.compile(r"[\W_]+")


def count_text(text: str, unit: Literal["characters", "letters", "words", "lines", "sentences", "paragraphs"]) -> int:
    """Count the characters, letters, words, lines, sentences or paragraphs of a text.

    Args:
        text: The text.
        unit: What to count. characters includes spaces; letters leaves out spaces, digits and punctuation.

    Returns:
        The number, such as 2 for the words of "Hello, world!".
    """
    if unit == "characters":
        return len(text)
    if unit == "letters":
        return sum(map(str.isalpha, text))
    if unit == "words":
        return len(text.split())
    if unit == "lines":
        return len(text.splitlines())
    ends = _SENTENCE_END if unit == "sentences" else _PARAGRAPH_END
    return sum(bool(part.strip()) for part in ends.split(text))


def count_occurrences(text: str, part: str, ignore_case: bool = False) -> int:
    """Count how often a letter, word or phrase occurs in a text, such as 3 for "r" in "strawberry".

    Args:
        text: The text to search in.
        part: What to count; occurrences do not overlap.
        ignore_case: Whether upper and lower case are the same.

    Returns:
        The number of occurrences.
    """
    if not part:
        raise ValueError("part is empty; give the text to count")
    return text.casefold().count(part.casefold()) if ignore_case else text.count(part)


def replace_text(text: str, old: str, new: str, at_most: int | None = None) -> str:
    """Replace each occurrence of a part of a text.

    Args:
        text: The text.
        old: The part to replace, exactly as it is written.
        new: What to put in its place; empty to delete it.
        at_most: How many occurrences to replace, from the start; all of them without it.

    Returns:
        The new text.
    """
    if not old:
        raise ValueError("old is empty; give the text to replace")
    count = text.count(old) if at_most is None else min(text.count(old), at_most)
    if count < 0:
        raise ValueError("at_most must not be negative")
    _check_size(len(text) + count * (len(new) - len(old)))
    return text.replace(old, new, count)


def find_pattern(text: str, pattern: str, ignore_case: bool = False) -> list[str]:
    r"""Find all matches of a regular expression, such as ["12", "7"] for \d+ in "12 eggs, 7 jars".

    Args:
        text: The text to search in.
        pattern: A regular expression in Python's syntax. With one group, the group's text is taken.
        ignore_case: Whether upper and lower case are the same.

    Returns:
        The matches in their order; with several groups, each match's groups joined by tabs.
    """
    found: list[str] = []
    size = 0
    for match in _compiled(pattern, ignore_case).finditer(text):
        found.append("\t".join(group or "" for group in match.groups()) if match.re.groups else match[0])
        size += len(found[-1]) + 4
        _check_size(size)
    return found


def replace_pattern(text: str, pattern: str, new: str, ignore_case: bool = False) -> str:
    r"""Replace all matches of a regular expression, such as (\w+)@\w+ by \1.

    Args:
        text: The text.
        pattern: A regular expression in Python's syntax.
        new: What to put in place of a match; \1 stands for its first group.
        ignore_case: Whether upper and lower case are the same.

    Returns:
        The new text.
    """
    compiled = _compiled(pattern, ignore_case)
    try:
        parts, size, at = [], 0, 0
        for match in compiled.finditer(text):
            parts += [text[at : match.start()], match.expand(new)]
            size += len(parts[-2]) + len(parts[-1])
            _check_size(size)
            at = match.end()
    except (re.error, IndexError) as error:
        raise ValueError(f"new is no replacement for the pattern: {error}") from None
    return "".join(parts) + text[at:]


def split_text(text: str, separator: str | None = None) -> list[str]:
    """Split a text into parts, such as ["a", "b"] for "a, b" at ", ".

    Args:
        text: The text.
        separator: Where to split, exactly as it is written; at any white space without it.

    Returns:
        The parts, without the separators.
    """
    if separator == "":
        raise ValueError("separator is empty; leave it out to split at white space")
    parts = text.split(separator)
    _check_size(len(text) + 4 * len(parts))
    return parts


def join_text(parts: list[str], separator: str = "") -> str:
    """Join parts to one text, such as "a-b" for ["a", "b"] with "-".

    Args:
        parts: The parts.
        separator: What to put between them.

    Returns:
        The text.
    """
    _check_size(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def change_case(
    text: str, case: Literal["upper", "lower", "title", "sentence", "swap", "snake", "kebab", "camel"]
) -> str:
    """Write a text in another case, such as "helloWorld" for "hello world" in camel case.

    Args:
        text: The text.
        case: upper, lower, title (Each Word), sentence (First word), swap, snake (a_b), kebab (a-b) or camel (aB).

    Returns:
        The new text.
    """
    if case in ("upper", "lower"):
        return text.upper() if case == "upper" else text.lower()
    if case == "title":
        return " ".join(word[:1].upper() + word[1:].lower() for word in text.split(" "))
    if case == "sentence":
        return text[:1].upper() + text[1:].lower()
    if case == "swap":
        return text.swapcase()
    words = [word.lower() for word in _NO_LETTERS.split(_CAPITAL.sub(" ", text)) if word]
    if case == "camel":
        return "".join(words[:1] + [word.capitalize() for word in words[1:]])
    return ("_" if case == "snake" else "-").join(words)


def sort_lines(
    text: str, by: Literal["text", "number", "length"] = "text", descending: bool = False, unique: bool = False
) -> str:
    """Sort the lines of a text.

    Args:
        text: The text, one item per line.
        by: text compares without regard to case, number by the first number of each line (lines without one come last),
            length by the number of characters.
        descending: Whether the greatest come first.
        unique: Whether lines that occur again are left out.

    Returns:
        The sorted lines.
    """
    lines = text.splitlines()
    if unique:
        lines = list(dict.fromkeys(lines))
    if by == "length":
        return "\n".join(sorted(lines, key=len, reverse=descending))
    if by == "text":
        return "\n".join(sorted(lines, key=lambda line: (line.casefold(), line), reverse=descending))
    numbers = [(match, line) for line in lines if (match := _NUMBER.search(line))]
    ordered = [line for _, line in sorted(numbers, key=lambda pair: float(pair[0][0]), reverse=descending)]
    return "\n".join(ordered + [line for line in lines if not _NUMBER.search(line)])


def reverse_text(text: str, unit: Literal["characters", "words", "lines"] = "characters") -> str:
    """Reverse a text, such as "cba" for "abc".

    Args:
        text: The text.
        unit: Whether its characters, words or lines are put in the opposite order.

    Returns:
        The reversed text.
    """
    if unit == "words":
        return " ".join(reversed(text.split()))
    if unit == "lines":
        return "\n".join(reversed(text.splitlines()))
    # Accents stay on their letters.
    groups: list[str] = []
    for letter in text:
        if groups and unicodedata.combining(letter):
            groups[-1] += letter
        else:
            groups.append(letter)
    return "".join(reversed(groups))


def compare_texts(first: str, second: str) -> dict[str, float]:
    """Compare two texts of at most 700 characters each.

    Args:
        first: One text.
        second: The other.

    Returns:
        edit_distance: how many characters must be inserted, deleted or replaced (3 for "kitten" and "sitting");
        similarity: from 0, nothing in common, to 1, the same.
    """
    if len(first) * len(second) > _MAX_CELLS:
        raise ValueError(
            f"texts of {len(first)} and {len(second)} characters are too long to compare; cut them to 700 each"
        )
    similarity = difflib.SequenceMatcher(None, first, second, autojunk=False).ratio()
    return {"edit_distance": _edit_distance(first, second), "similarity": round(similarity, 4)}


def _edit_distance(first: str, second: str) -> int:
    """Levenshtein's distance, row by row."""
    above = list(range(len(second) + 1))
    for row, letter in enumerate(first, 1):
        left = row
        current = [left]
        for column, other in enumerate(second):
            left = min(above[column] + (letter != other), above[column + 1] + 1, left + 1)
            current.append(left)
        above = current
    return above[-1]


def encode_text(text: str, encoding: Literal["base64", "hex", "url", "html"], decode: bool = False) -> str:
    """Encode a text, or decode it, such as "SGk=" for "Hi" in base64.

    Args:
        text: The text; for base64 and hex its UTF-8 bytes count.
        encoding: base64, hex, url (percent encoding) or html (entities).
        decode: Whether the text is encoded already and should be decoded.

    Returns:
        The encoded or decoded text.
    """
    if encoding == "html":
        return html.unescape(text) if decode else html.escape(text)
    try:
        if encoding == "url":
            return urllib.parse.unquote(text, errors="strict") if decode else urllib.parse.quote(text, safe="")
        if not decode:
            data = text.encode()
            return data.hex() if encoding == "hex" else base64.b64encode(data).decode()
        data = bytes.fromhex(text) if encoding == "hex" else base64.b64decode("".join(text.split()), validate=True)
        return data.decode()
    except UnicodeError:
        raise ValueError(f"the bytes of the {encoding} text are no UTF-8") from None
    except ValueError as error:
        raise ValueError(f"the text is no {encoding}: {error}") from None


def hash_text(text: str, algorithm: Literal["md5", "sha1", "sha256", "sha512", "crc32"] = "sha256") -> str:
    """Compute the hash of a text's UTF-8 bytes.

    Args:
        text: The text.
        algorithm: The hash function.

    Returns:
        The hash in hexadecimal digits.
    """
    data = text.encode()
    return f"{binascii.crc32(data):08x}" if algorithm == "crc32" else hashlib.new(algorithm, data).hexdigest()


def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.MULTILINE | (re.IGNORECASE if ignore_case else 0))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"the pattern is no regular expression: {error}") from None


def _check_size(size: int) -> None:
    if size > _MAX_RESULT:
        raise ValueError(f"the result would have more than {_MAX_RESULT} characters")


_TOOLS = (
    count_text,
    count_occurrences,
    replace_text,
    find_pattern,
    replace_pattern,
    split_text,
    join_text,
    change_case,
    sort_lines,
    reverse_text,
    compare_texts,
    encode_text,
    hash_text,
)


def text(*, limits: Limits | None = None) -> ToolSet:
    """Thirteen tools for text: counting, finding, replacing, splitting, case, sorting, comparing, encoding, hashes.

    Args:
        limits: What one call may use; without it 1 second, which bounds regular expressions too, 128 MB and 256 KB.

    Example:
        >>> tools = text()
        >>> tools.call("count_occurrences", {"text": "strawberry", "part": "r"}).value
        3
        >>> tools.call("compare_texts", {"first": "kitten", "second": "sitting"}).value
        {'edit_distance': 3, 'similarity': 0.6154}
    """
    limits = Limits(timeout_ms=1_000, memory_mb=128, output_kb=256) if limits is None else limits
    return ToolSet.from_functions(_TOOLS, limits=limits, pure=True, check=False)
