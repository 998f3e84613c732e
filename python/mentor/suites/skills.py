"""What the tasks of the everyday suite ask for: steps from a date, a word or a number to another.

Each step is worked out beside the tools too, with Python's own calendar and fractions, and the tools have to agree.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

__all__ = ["SKILLS", "Era", "Skill", "Taken", "any_date", "written"]

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, kw_only=True)
class Era:
    """How far dates and numbers reach.

    Attributes:
        years: First and last year.
        span: Largest number of days to go, and largest number to convert.
    """

    years: tuple[int, int] = (2024, 2029)
    span: tuple[int, int] = (2, 60)


@dataclass(frozen=True)
class Taken:
    """A step that was drawn: what its words name, its call, and the value that it has to give."""

    names: dict[str, Any]
    arguments: Callable[[Any], dict[str, Any]]
    value: Any


@dataclass(frozen=True, kw_only=True)
class Skill:
    """One tool, and how a task asks for it.

    Attributes:
        tool: Its name.
        family: ``dates``, ``text`` or ``units``.
        takes: Kind of value that goes in: ``written`` or ``date``, ``word``, ``sentence``, or ``number``.
        gives: Kind of value that comes out; ``number`` is any number, ``days`` one that counts days.
        words: Wordings in domain; an empty one is for what goes without saying.
        others: Wordings of the split ``phrasing``.
        take: Draws the step, given the value that goes in.
    """

    tool: str
    family: str
    takes: str
    gives: str
    words: tuple[str, ...]
    others: tuple[str, ...]
    take: Callable[[random.Random, Any, Era], Taken]


def any_date(rng: random.Random, era: Era) -> str:
    """An ISO date of an era."""
    first = date(era.years[0], 1, 1)
    return (first + timedelta(days=rng.randrange((date(era.years[1], 12, 31) - first).days))).isoformat()


def written(rng: random.Random, iso: str) -> str:
    """A date as people write it."""
    day = date.fromisoformat(iso)
    month = _MONTHS[day.month - 1]
    return rng.choice((f"{month} {day.day}, {day.year}", f"{day.day} {month} {day.year}"))


def _parse(rng: random.Random, value: Any, era: Era) -> Taken:
    words = value.replace(",", "").split()
    month = next(word for word in words if word in _MONTHS)
    number, year = (int(word) for word in words if word.isdigit())
    iso = date(year, _MONTHS.index(month) + 1, number).isoformat()
    return Taken({}, lambda text: {"text": text}, iso)


def _days_on(rng: random.Random, value: Any, era: Era) -> Taken:
    n = rng.randint(*era.span)
    end = date.fromisoformat(value) + timedelta(days=n)
    return Taken({"n": n}, lambda iso: {"date": iso, "days": n}, end.isoformat())


def _weeks_back(rng: random.Random, value: Any, era: Era) -> Taken:
    n = rng.randint(*era.span)
    end = date.fromisoformat(value) - timedelta(weeks=n)
    return Taken({"n": n}, lambda iso: {"date": iso, "weeks": -n}, end.isoformat())


def _working_days_on(rng: random.Random, value: Any, era: Era) -> Taken:
    n, end = rng.randint(*era.span), date.fromisoformat(value)
    left = n
    while left:
        end += timedelta(days=1)
        left -= end.weekday() < 5
    return Taken({"n": n}, lambda iso: {"date": iso, "days": n}, end.isoformat())


def _weekday(rng: random.Random, value: Any, era: Era) -> Taken:
    return Taken({}, lambda iso: {"date": iso}, _DAYS[date.fromisoformat(value).weekday()])


def _month(rng: random.Random, value: Any, era: Era) -> Taken:
    return Taken({}, lambda iso: {"date": iso, "format": "%B"}, _MONTHS[date.fromisoformat(value).month - 1])


def _days_until(rng: random.Random, value: Any, era: Era) -> Taken:
    end = date.fromisoformat(value) + timedelta(days=rng.randint(*era.span))
    days = (end - date.fromisoformat(value)).days
    return Taken({"d": end.isoformat()}, lambda iso: {"start": iso, "end": end.isoformat()}, days)


def _working_days_until(rng: random.Random, value: Any, era: Era) -> Taken:
    start = date.fromisoformat(value)
    end = start + timedelta(days=rng.randint(*era.span))
    days = sum((start + timedelta(days=n)).weekday() < 5 for n in range((end - start).days + 1))
    return Taken({"d": end.isoformat()}, lambda iso: {"start": iso, "end": end.isoformat()}, days)


def _after(rng: random.Random, value: Any, era: Era) -> Taken:
    start = any_date(rng, era)
    end = date.fromisoformat(start) + timedelta(days=int(value))
    return Taken({"d": start}, lambda days: {"date": start, "days": days}, end.isoformat())


def _letters(rng: random.Random, value: Any, era: Era) -> Taken:
    return Taken({}, lambda text: {"text": text, "unit": "letters"}, sum(map(str.isalpha, value)))


def _words(rng: random.Random, value: Any, era: Era) -> Taken:
    return Taken({}, lambda text: {"text": text, "unit": "words"}, len(value.split()))


def _occurrences(rng: random.Random, value: Any, era: Era) -> Taken:
    letter = rng.choice([letter for letter in value.lower() if letter.isalpha()])
    count = value.lower().count(letter)
    return Taken({"c": letter}, lambda text: {"text": text, "part": letter, "ignore_case": True}, count)


def _replaced(rng: random.Random, value: Any, era: Era) -> Taken:
    old = rng.choice([word for word in value.split() if len(word) > 3])  # no part of another word
    new = rng.choice([word for word in ("lantern", "river", "mountain", "bee", "ox", "umbrella") if word != old])
    return Taken({"o": old, "w": new}, lambda text: {"text": text, "old": old, "new": new}, value.replace(old, new))


_CONVERSIONS = (
    ("weeks", "days", 7), ("hours", "minutes", 60), ("minutes", "seconds", 60), ("kilometres", "metres", 1_000),
    ("metres", "centimetres", 100), ("feet", "inches", 12), ("yards", "feet", 3), ("kilograms", "grams", 1_000),
    ("litres", "millilitres", 1_000), ("pounds", "ounces", 16), ("hectares", "square metres", 10_000),
    ("inches", "millimetres", "25.4"), ("gigabytes", "megabytes", 1_000), ("bytes", "bits", 8),
)  # fmt: skip


def _convert(rng: random.Random, value: Any, era: Era) -> Taken:
    unit, target, factor = rng.choice(_CONVERSIONS)
    return _converted(unit, target, Fraction(factor), value)


def _in_hours(rng: random.Random, value: Any, era: Era) -> Taken:
    target, factor = rng.choice((("hours", 24), ("minutes", 1_440)))
    return _converted("days", target, Fraction(factor), value)


def _weeks_in_days(rng: random.Random, value: Any, era: Era) -> Taken:
    return _converted("weeks", "days", Fraction(7), value)


def _converted(unit: str, target: str, factor: Fraction, value: Any) -> Taken:
    result = Fraction(str(value)) * factor
    return Taken(
        {"u": unit, "t": target},
        lambda number: {"value": number, "from_unit": unit, "to_unit": target},
        int(result) if result == int(result) else float(result),
    )


SKILLS: tuple[Skill, ...] = (
    Skill(
        tool="parse_date",
        family="dates",
        takes="written",
        gives="date",
        words=("",),
        others=("",),
        take=_parse,
    ),
    Skill(
        tool="add_to_date",
        family="dates",
        takes="date",
        gives="date",
        words=("go {n} days on", "add {n} days"),
        others=("wait another {n} days", "let {n} days pass"),
        take=_days_on,
    ),
    Skill(
        tool="add_to_date",
        family="dates",
        takes="date",
        gives="date",
        words=("go {n} weeks back", "subtract {n} weeks"),
        others=("turn {n} weeks back", "be {n} weeks earlier"),
        take=_weeks_back,
    ),
    Skill(
        tool="add_business_days",
        family="dates",
        takes="date",
        gives="date",
        words=("go {n} business days on", "add {n} business days"),
        others=("wait another {n} working days", "let {n} days from Monday to Friday pass"),
        take=_working_days_on,
    ),
    Skill(
        tool="weekday",
        family="dates",
        takes="date",
        gives="word",
        words=("find the day of the week", "take its weekday"),
        others=("see which day of the week that is", "name the weekday"),
        take=_weekday,
    ),
    Skill(
        tool="format_date",
        family="dates",
        takes="date",
        gives="word",
        words=("take the name of its month", "find its month by name"),
        others=("see which month that is", "name the month"),
        take=_month,
    ),
    Skill(
        tool="date_difference",
        family="dates",
        takes="date",
        gives="days",
        words=("count the days until {d}", "find the number of days to {d}"),
        others=("see how many days are left until {d}",),
        take=_days_until,
    ),
    Skill(
        tool="count_business_days",
        family="dates",
        takes="date",
        gives="number",
        words=("count the business days until {d}, both included",),
        others=("see how many days from Monday to Friday there are up to {d}, both included",),
        take=_working_days_until,
    ),
    Skill(
        tool="add_to_date",
        family="dates",
        takes="days",
        gives="date",
        words=("go that many days on from {d}", "add so many days to {d}"),
        others=("let as many days pass after {d}",),
        take=_after,
    ),
    Skill(
        tool="count_text",
        family="text",
        takes="word",
        gives="number",
        words=("count its letters", "find the number of its letters"),
        others=("see how many letters it has",),
        take=_letters,
    ),
    Skill(
        tool="count_occurrences",
        family="text",
        takes="word",
        gives="number",
        words=("count the letter {c} in it", "find how often the letter {c} is in it"),
        others=("see how many times it has the letter {c}",),
        take=_occurrences,
    ),
    Skill(
        tool="count_text",
        family="text",
        takes="sentence",
        gives="number",
        words=("count its letters", "find the number of its letters"),
        others=("see how many letters it has",),
        take=_letters,
    ),
    Skill(
        tool="count_text",
        family="text",
        takes="sentence",
        gives="number",
        words=("count its words", "find the number of its words"),
        others=("see how many words it has",),
        take=_words,
    ),
    Skill(
        tool="replace_text",
        family="text",
        takes="sentence",
        gives="sentence",
        words=("replace {o} by {w}", "put {w} in place of {o}"),
        others=("let {w} stand where {o} was",),
        take=_replaced,
    ),
    Skill(
        tool="count_occurrences",
        family="text",
        takes="sentence",
        gives="number",
        words=("count the letter {c} in it", "find how often the letter {c} is in it"),
        others=("see how many times it has the letter {c}",),
        take=_occurrences,
    ),
    Skill(
        tool="convert_units",
        family="units",
        takes="number",
        gives="number",
        words=("read that as {u} and convert it to {t}", "convert so many {u} to {t}"),
        others=("see how many {t} as many {u} are",),
        take=_convert,
    ),
    Skill(
        tool="convert_units",
        family="units",
        takes="days",
        gives="number",
        words=("convert these {u} to {t}", "turn the {u} into {t}"),
        others=("see how many {t} these {u} have",),
        take=_in_hours,
    ),
    Skill(
        tool="convert_units",
        family="units",
        takes="number",
        gives="days",
        words=("convert so many {u} to {t}", "read that as {u} and convert it to {t}"),
        others=("see how many {t} as many {u} have",),
        take=_weeks_in_days,
    ),
)
"""All steps that tasks are made of."""
