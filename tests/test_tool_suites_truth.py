"""The suites of tools against independent truth: Python on the host, dateutil, NumPy, zone files, round trips."""

from __future__ import annotations

import ast
import contextlib
import datetime as dt
import hashlib
import math
import operator
import zoneinfo
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mentor
from mentor import ToolSet
from mentor.tools import units as units_suite
from mentor.tools.ready.units import _NAMES, _UNITS
from mentor.tools.ready.zones import _ZONES, find_zone

quick = settings(max_examples=100, deadline=None)
days = st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31))


@cache
def suite(name: str) -> ToolSet:
    made: ToolSet = getattr(mentor.tools, name)()
    return made


def value(name: str, tool: str, **arguments: Any) -> Any:
    outcome = suite(name).call(tool, arguments)
    assert outcome.ok, (arguments, outcome.fault)
    return outcome.value


# --- calculator ----------------------------------------------------------------------------------------------------

_OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv}
numbers = st.integers(0, 10**12).map(str) | st.decimals(0, 10**6, places=3).map(str)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(numbers)
    left, right = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    return f"({draw(st.sampled_from(['', '-']))}{left} {draw(st.sampled_from(list(_OPERATIONS)))} {right})"


def exactly(node: ast.AST, text: str) -> Fraction:
    """The value by fractions, from Python's own syntax tree."""
    if isinstance(node, ast.UnaryOp):
        return -exactly(node.operand, text)
    if isinstance(node, ast.BinOp):
        symbol = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//"}[type(node.op)]
        return Fraction(_OPERATIONS[symbol](exactly(node.left, text), exactly(node.right, text)))
    return Fraction(ast.get_source_segment(text, node))


@quick
@given(expressions())
def test_the_calculator_is_exact(text: str) -> None:
    try:
        wanted = exactly(ast.parse(text, mode="eval").body, text)
    except ZeroDivisionError:
        fault = suite("calculator").call("calculate", {"expression": text}).fault
        assert fault is not None
        assert fault.message == "ZeroDivisionError: division by zero"
        return
    found = value("calculator", "calculate", expression=text)
    assert found == (int(wanted) if wanted.denominator == 1 else float(wanted))
    assert isinstance(found, int) == (wanted.denominator == 1)


@quick
@given(st.integers(0, 10**15), st.integers(0, 999))
def test_thousands_commas(whole: int, part: int) -> None:
    assert value("calculator", "calculate", expression=f"{whole:,}.{part:03} - {part / 1000}") == whole


@quick
@given(
    st.sampled_from(["sqrt", "cbrt", "exp", "log", "log2", "log10", "sin", "cos", "tan", "atan", "sinh", "degrees"]),
    st.floats(1e-3, 300).map(lambda x: round(x, 4)),
)
def test_functions_are_those_of_math(name: str, x: float) -> None:
    wanted = getattr(math, name)(x) if hasattr(math, name) else x ** (1 / 3)  # `cbrt` came with Python 3.11
    found = value("calculator", "calculate", expression=f"{name}({x!r})")
    assert math.isclose(found, wanted, rel_tol=1e-13, abs_tol=1e-15)


@quick
@given(st.integers(0, 60), st.integers(0, 60))
def test_counting(n: int, k: int) -> None:
    for name in ("comb", "perm", "gcd", "lcm"):
        assert value("calculator", "calculate", expression=f"{name}({n}, {k})") == getattr(math, name)(n, k)


@quick
@given(st.text(alphabet="0123456789+-*/%().,^!esqrtlogpi°²√$ x=[]'\"\\\n", max_size=30) | st.text(max_size=20))
def test_any_text_gets_a_number_or_a_message(text: str) -> None:
    assume(text.isprintable() or "\n" in text)
    outcome = suite("calculator").call("calculate", {"expression": text})
    if outcome.fault is None:
        assert isinstance(outcome.value, int | float)
        assert math.isfinite(outcome.value)
    else:
        assert outcome.fault.type_name in ("ValueError", "ZeroDivisionError"), (text, outcome.fault)


# --- dates ---------------------------------------------------------------------------------------------------------


@quick
@given(days, st.integers(-50, 50), st.integers(-500, 500), st.integers(-9_000, 9_000))
def test_adding_is_dateutils(day: dt.date, years: int, months: int, more: int) -> None:
    try:
        # At once, as the tool does it; a year is twelve months.
        wanted = day + relativedelta(months=12 * years + months, days=more)
    except (OverflowError, ValueError):
        return
    assert value("dates", "add_to_date", date=str(day), years=years, months=months, days=more) == str(wanted)


@quick
@given(days, days)
def test_differences_are_dateutils(start: dt.date, end: dt.date) -> None:
    assert value("dates", "date_difference", start=str(start), end=str(end)) == (end - start).days
    months = value("dates", "date_difference", start=str(start), end=str(end), unit="months")
    first, last = min(start, end), max(start, end)
    # The definition: the most whole months that can be added without going past the end.
    assert first + relativedelta(months=abs(months)) <= last
    with contextlib.suppress(OverflowError, ValueError):
        assert first + relativedelta(months=abs(months) + 1) > last
    assert (months > 0) == (end > start) or months == 0


@quick
@given(st.dates(dt.date(1900, 1, 1), dt.date(2200, 1, 1)), st.integers(-3_000, 3_000), st.integers(0, 3_000))
def test_business_days_are_numpys(day: dt.date, count: int, span: int) -> None:
    if count:
        roll = "backward" if count > 0 else "forward"
        wanted = np.busday_offset(np.datetime64(day), count, roll=roll)
        assert value("dates", "add_business_days", date=str(day), days=count) == str(wanted)
    end = day + dt.timedelta(days=span)
    counted = np.busday_count(np.datetime64(day), np.datetime64(end + dt.timedelta(days=1)))
    assert value("dates", "count_business_days", start=str(day), end=str(end)) == counted


@quick
@given(days)
def test_the_calendar_is_the_standard_librarys(day: dt.date) -> None:
    assert value("dates", "weekday", date=str(day)) == f"{day:%A}"
    info = value("dates", "date_info", date=str(day))
    assert (info["iso_year"], info["iso_week"], info["iso_weekday"]) == tuple(day.isocalendar())
    assert info["day_of_year"] == (day - day.replace(month=1, day=1)).days + 1
    assert info["days_in_year"] == 365 + value("dates", "is_leap_year", year=day.year)


@quick
@given(
    st.datetimes(dt.datetime(1000, 1, 1), dt.datetime(9999, 12, 31)).map(lambda moment: moment.replace(microsecond=0)),
    st.sampled_from(
        [
            "%B %d, %Y %H:%M:%S",
            "%d %b %Y %I:%M:%S %p",
            "%Y/%m/%d %H:%M:%S",
            "%A, %d %B %Y at %H:%M:%S",
            "%Y-%m-%dT%H:%M:%S",
        ]
    ),
)
def test_what_is_written_can_be_read(moment: dt.datetime, form: str) -> None:
    text = value("dates", "format_date", date=moment.isoformat(), format=form)
    assert text == moment.strftime(form)
    assert dt.datetime.fromisoformat(value("dates", "parse_date", text=text)) == moment
    assert dt.datetime.fromisoformat(value("dates", "parse_date", text=text, format=form)) == moment


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(_ZONES)), st.data())
def test_zones_are_those_of_the_zone_files(zone: str, data: st.DataObject) -> None:
    since = dt.datetime(max(_ZONES[zone][1], 1900), 1, 2)
    moment = data.draw(st.datetimes(since, dt.datetime(2037, 12, 30)), label="UTC").replace(second=0, microsecond=0)
    wanted = moment.replace(tzinfo=dt.timezone.utc).astimezone(zoneinfo.ZoneInfo(zone))
    found = value("dates", "convert_time_zone", time=moment.isoformat(), to_zone=zone)
    assert dt.datetime.fromisoformat(found).utcoffset() == wanted.utcoffset()
    assert dt.datetime.fromisoformat(found) == wanted


@pytest.mark.parametrize("zone", sorted(_ZONES))
def test_zones_change_on_the_same_day(zone: str) -> None:
    known, truth = find_zone(zone)[0], zoneinfo.ZoneInfo(zone)
    for year in (max(_ZONES[zone][1], 1970), 2026):
        start = dt.datetime(year, 1, 2, tzinfo=dt.timezone.utc)
        for hour in range(0, 363 * 24, 6):
            moment = start + dt.timedelta(hours=hour)
            assert moment.astimezone(known).utcoffset() == moment.astimezone(truth).utcoffset(), moment


# --- units ---------------------------------------------------------------------------------------------------------

_PAIRS = [(quantity, a, b) for quantity, known in _UNITS.items() for a in known for b in known]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_PAIRS), st.decimals(0, 10**6, places=3).map(float))
def test_there_and_back(pair: tuple[str, str, str], x: float) -> None:
    _, start, end = pair
    there = value("units", "convert_units", value=x, from_unit=start, to_unit=end)
    back = value("units", "convert_units", value=there, from_unit=end, to_unit=start)
    assert math.isclose(back, x, rel_tol=1e-9, abs_tol=1e-9)


def test_no_spelling_means_two_units() -> None:
    spellings: dict[str, set[str]] = {}
    for quantity, known in _UNITS.items():
        for unit, entry in known.items():
            for name in [unit, *(other.replace("_", " ") for other in entry[1].split())]:
                spellings.setdefault(name, set()).add(f"{quantity}: {unit}")
    assert {name: meant for name, meant in spellings.items() if len(meant) > 1} == {}
    assert all(_NAMES[name] in [tuple(one.split(": ")) for one in meant] for name, meant in spellings.items())


def test_every_spelling_is_known() -> None:
    calls = [
        ("convert_units", {"value": 300, "from_unit": name, "to_unit": unit}) for name, (_, unit) in _NAMES.items()
    ]
    assert len(calls) > 400
    for (_, arguments), outcome in zip(calls, suite("units").call_batch(calls), strict=True):
        assert outcome.value == 300, (arguments, outcome.fault)


# What other sources say: NIST SP 811 (appendix B.8), the SI brochure, the UK's Weights and Measures Act.
@pytest.mark.parametrize(
    ("unit", "size", "base"),
    [
        ("acre", 4046.8564224, "m2"),
        ("atm", 101325, "Pa"),
        ("BTU", 1055.05585262, "J"),
        ("cal", 4.184, "J"),
        ("carat", 0.2, "g"),
        ("fl oz", 29.5735295625, "mL"),
        ("grain", 64.79891, "mg"),
        ("hp", 745.6998715822702, "W"),
        ("imperial gallon", 4.54609, "L"),
        ("knot", 1.852, "km/h"),
        ("mmHg", 133.322387415, "Pa"),
        ("oil barrel", 42, "gallons"),
        ("psi", 6.894757293168361, "kPa"),
        ("short ton", 2000, "lb"),
        ("stone", 14, "lb"),
        ("tbsp", 3, "tsp"),
        ("torr", 133.32236842105263, "Pa"),
        ("eV", 1.602176634e-19, "J"),
    ],
)
def test_sizes_from_other_sources(unit: str, size: float, base: str) -> None:
    assert value("units", "convert_units", value=1, from_unit=unit, to_unit=base) == size


def test_the_table_of_units_has_every_quantity_of_the_schema() -> None:
    schema = units_suite().schemas[1]["function"]["parameters"]["properties"]["quantity"]
    assert schema["enum"] == list(_UNITS)


# --- text ----------------------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def distance(a: str, b: str) -> int:
    """Levenshtein's distance by its definition."""

    @cache
    def rest(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return len(a) - i + len(b) - j
        return min(rest(i + 1, j) + 1, rest(i, j + 1) + 1, rest(i + 1, j + 1) + (a[i] != b[j]))

    return rest(0, 0)


@quick
@given(st.text("abc", max_size=12), st.text("abc", max_size=12))
def test_edit_distance(a: str, b: str) -> None:
    assert value("text", "compare_texts", first=a, second=b)["edit_distance"] == distance(a, b)


@quick
@given(texts, st.sampled_from(["base64", "hex", "url", "html"]))
def test_encoding_goes_back(text: str, encoding: str) -> None:
    encoded = value("text", "encode_text", text=text, encoding=encoding)
    assert value("text", "encode_text", text=encoded, encoding=encoding, decode=True) == text


@quick
@given(texts, texts.filter(bool), texts)
def test_text_is_pythons(text: str, part: str, new: str) -> None:
    assert value("text", "count_occurrences", text=text, part=part) == text.count(part)
    assert value("text", "replace_text", text=text, old=part, new=new) == text.replace(part, new)
    pieces = value("text", "split_text", text=text, separator=part)
    assert value("text", "join_text", parts=pieces, separator=part) == text
    assert value("text", "hash_text", text=text) == hashlib.sha256(text.encode()).hexdigest()
    assert value("text", "count_text", text=text, unit="words") == len(text.split())
