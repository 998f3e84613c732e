"""Tools that compute with dates and times."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Literal

from mentor.errors import InputError
from mentor.sandbox import Limits
from mentor.tools.ready.zones import place
from mentor.tools.toolset import ToolSet

__all__ = ["dates"]

_MAX_DAYS = 4_000_000  # more than the years 1 to 9999
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ].*)?")
_TIME = r"(?:\s+(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?(?::(?P<second>\d\d))?\s*(?P<half>[ap]\.?m\.?)?)?"
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})(?P<sign>[-/.])(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})" + _TIME, re.I)
_YEAR_LAST = re.compile(r"(?P<first>\d{1,2})[-/.](?P<second_>\d{1,2})[-/.](?P<year>\d{4})" + _TIME, re.I)
_MONTH_FIRST = re.compile(
    r"(?:(?P<weekday>[a-z]+)\.? )?(?P<name>[a-z]+)\.? (?P<day>\d{1,2}) (?P<year>\d{4})" + _TIME, re.I
)
_DAY_FIRST = re.compile(
    r"(?:(?P<weekday>[a-z]+)\.? )?(?P<day>\d{1,2}) (?P<name>[a-z]+)\.? (?P<year>\d{4})" + _TIME, re.I
)
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b", re.IGNORECASE)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)\b")
_FILLERS = re.compile(r",|\b(?:at|of|the)\b", re.IGNORECASE)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_FAR = "the result is out of the years 1 to 9999"


def add_to_date(
    date: str, years: int = 0, months: int = 0, weeks: int = 0, days: int = 0, hours: int = 0, minutes: int = 0
) -> str:
    """Add a span to a date or time, or subtract it with negative numbers: 2026-01-31 and 1 month is 2026-02-28.

    Args:
        date: A date such as 2026-01-31, or a time such as 2026-01-31T14:30.
        years: Years to add.
        months: Months to add; a day that the month does not have becomes its last one.
        weeks: Weeks to add.
        days: Days to add.
        hours: Hours to add; a date then becomes a time.
        minutes: Minutes to add; a date then becomes a time.

    Returns:
        The new date or time, in ISO format.
    """
    moment, is_date = _read(date)
    whole = moment.year * 12 + moment.month - 1 + years * 12 + months
    year, month = whole // 12, whole % 12 + 1
    if not 1 <= year <= 9999:
        raise ValueError(f"the result is out of the years 1 to 9999 (year {year})" if abs(year) < 10**9 else _FAR)
    moment = moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))
    try:
        moment += timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)
    except OverflowError:
        raise ValueError(_FAR) from None
    return _write(moment, is_date and not hours and not minutes)


def date_difference(
    start: str, end: str, unit: Literal["years", "months", "weeks", "days", "hours", "minutes", "seconds"] = "days"
) -> float:
    """Compute the time from one date or time to another, such as 59 days from 2026-01-01 to 2026-03-01.

    Args:
        start: A date such as 2026-01-31, or a time such as 2026-01-31T14:30.
        end: The other date or time; earlier than start gives a negative number.
        unit: years and months count whole ones, the others are exact.

    Returns:
        The number of units.
    """
    first, last = _pair(start, end)
    if unit in ("years", "months"):
        months = _whole_months(first, last) if first <= last else -_whole_months(last, first)
        return months if unit == "months" else int(months / 12)
    span = last - first
    seconds = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}[unit]
    quotient, rest = divmod(span, timedelta(seconds=seconds))
    return span / timedelta(seconds=seconds) if rest else quotient


def weekday(date: str) -> str:
    """Find the day of the week of a date, such as Thursday for 2026-01-01.

    Args:
        date: A date such as 2026-01-31.

    Returns:
        The English name of the day.
    """
    return _DAYS[_read(date)[0].weekday()]


def date_info(date: str) -> dict[str, int]:
    """Look up facts of a date's calendar: week, day of the year, quarter, length of its month and year.

    Args:
        date: A date such as 2026-01-31.

    Returns:
        iso_year, iso_week, iso_weekday (1 is Monday), day_of_year, quarter, days_in_month, days_in_year.
    """
    moment, _ = _read(date)
    week = moment.isocalendar()
    return {
        "iso_year": week.year,
        "iso_week": week.week,
        "iso_weekday": week.weekday,
        "day_of_year": moment.timetuple().tm_yday,
        "quarter": (moment.month + 2) // 3,
        "days_in_month": calendar.monthrange(moment.year, moment.month)[1],
        "days_in_year": 366 if calendar.isleap(moment.year) else 365,
    }


def is_leap_year(year: int) -> bool:
    """Tell whether a year has a 29 February, such as true for 2024 and false for 1900.

    Args:
        year: The year, 1 to 9999.

    Returns:
        Whether it is a leap year.
    """
    if not 1 <= year <= 9999:
        raise ValueError("the year must be from 1 to 9999")
    return calendar.isleap(year)


def parse_date(text: str, format: str | None = None) -> str:
    """Read a date or time as people write it, such as "March 5th, 2026" or "5 Mar 2026 2:30 pm".

    Args:
        text: The date. 03/05/2026 may be March or May: such dates need a format.
        format: The format, such as "%m/%d/%Y" (month, day, year) or "%d.%m.%Y"; without it, usual ones are tried.

    Returns:
        The date or time in ISO format, which the other tools take.
    """
    if len(text) > 200:
        raise ValueError("the text is too long for a date")
    if format is not None:
        try:
            return _write(datetime.strptime(text.strip(), format), not _has_time(format))
        except (ValueError, re.error) as error:
            raise ValueError(f"{text[:60]!r} does not fit the format {format[:60]!r}: {str(error)[:120]}") from None
    plain = " ".join(_FILLERS.sub(" ", _ORDINAL.sub("", text)).split())
    if _ISO.fullmatch(plain):
        return _write(*_read(plain))
    plain = _COMPACT.sub(r"\1-\2-\3", plain, count=1) if _COMPACT.match(plain) else plain
    for pattern in (_YEAR_FIRST, _YEAR_LAST, _MONTH_FIRST, _DAY_FIRST):
        if match := pattern.fullmatch(plain):
            return _written(text[:60], {name: part for name, part in match.groupdict().items() if part})
    raise ValueError(f"{text[:60]!r} is no known way to write a date; give its format, such as '%d %b %Y'")


def _written(shown: str, parts: dict[str, str]) -> str:
    """The date of the parts that a pattern found."""
    if "first" in parts:
        first, second = int(parts["first"]), int(parts["second_"])
        if first <= 12 and second <= 12 and first != second:
            raise ValueError(f"{shown!r} may start with the day or the month; give the format '%d/%m/%Y' or '%m/%d/%Y'")
        day, month = (second, first) if second > 12 else (first, second)
    else:
        day, month = int(parts["day"]), _month(shown, parts["name"]) if "name" in parts else int(parts["month"])
    hour = int(parts.get("hour", 0))
    if half := parts.get("half"):
        if not 1 <= hour <= 12:
            raise ValueError(f"{shown!r} is no date: {hour} {half} is no time")
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    try:
        moment = datetime(
            int(parts["year"]), month, day, hour, int(parts.get("minute", 0)), int(parts.get("second", 0))
        )
    except ValueError as error:
        raise ValueError(f"{shown!r} is no date: {error}") from None
    name, said = _DAYS[moment.weekday()], parts.get("weekday", "")
    if said and not (len(said) >= 3 and name.lower().startswith(said.lower())):
        raise ValueError(f"{moment.date()} is a {name}, not a {said}")
    return _write(moment, "hour" not in parts)


def _month(shown: str, name: str) -> int:
    for number, month in enumerate(_MONTHS, 1):
        if month.lower().startswith(name.lower()) and len(name) >= 3:
            return number
    raise ValueError(f"{shown!r} is no date: {name!r} is no month")


def format_date(date: str, format: str) -> str:
    """Write a date or time in another way, such as "Saturday, 31 January 2026" for "%A, %d %B %Y".

    Args:
        date: A date such as 2026-01-31, or a time such as 2026-01-31T14:30.
        format: %Y year, %m month, %B its name, %d day, %A weekday, %H hour, %I %p hour with AM or PM, %M minute,
            %S second.

    Returns:
        The text.
    """
    if len(format) > 200:
        raise ValueError("the format is too long")
    return _read(date)[0].strftime(format)


def add_business_days(date: str, days: int) -> str:
    """Go forward or back by days from Monday to Friday: 2026-01-02, a Friday, and 1 is 2026-01-05. Knows no holidays.

    Args:
        date: A date such as 2026-01-31.
        days: Business days to add; negative to go back.

    Returns:
        The new date. From a weekend, the first business day counts as 1.
    """
    moment = _read(date)[0]
    if abs(days) > _MAX_DAYS:
        raise ValueError(_FAR)
    step = 1 if days >= 0 else -1
    weeks, rest = divmod(abs(days), 5)
    try:
        # From a weekend, count from the business day before the first one.
        while days and moment.weekday() >= 5:
            moment -= timedelta(days=step)
        moment += timedelta(weeks=step * weeks)
        while rest:
            moment += timedelta(days=step)
            rest -= moment.weekday() < 5
    except OverflowError:
        raise ValueError(_FAR) from None
    return _write(moment, True)


def count_business_days(start: str, end: str) -> int:
    """Count the days from Monday to Friday from one date to another, both included. Knows no holidays.

    Args:
        start: The first date, such as 2026-01-31.
        end: The last date, not before start.

    Returns:
        The number of business days.
    """
    first, last = _read(start)[0].date(), _read(end)[0].date()
    if first > last:
        raise ValueError("end is before start")
    weeks, rest = divmod((last - first).days + 1, 7)
    return weeks * 5 + sum((first.weekday() + day) % 7 < 5 for day in range(rest))


def convert_time_zone(time: str, to_zone: str, from_zone: str = "UTC") -> str:
    """Convert a time to another time zone, such as 2026-07-01T12:00 from UTC to Europe/Berlin: 2026-07-01T14:00+02:00.

    Args:
        time: A time such as 2026-07-01T12:00. Where it has an offset itself, from_zone is not used.
        to_zone: A zone such as America/New_York, a city such as Tokyo, UTC, or an offset such as +05:30.
        from_zone: Zone that the time is given in.

    Returns:
        The time in the other zone, with its offset from UTC.
    """
    moment, _ = _read(time)
    return _write(place(moment if moment.tzinfo else place(moment, from_zone), to_zone), False)


def _read(text: str) -> tuple[datetime, bool]:
    """The moment that an ISO text gives, and whether it is a date alone."""
    plain = text.strip()
    if not _ISO.fullmatch(plain):
        raise ValueError(f"{text[:60]!r} is no date such as 2026-01-31 or 2026-01-31T14:30; parse_date reads others")
    try:
        return datetime.fromisoformat(plain), len(plain) == 10
    except ValueError as error:
        raise ValueError(f"{text[:60]!r} is no date: {error}") from None


def _write(moment: datetime, is_date: bool) -> str:
    if is_date:
        return moment.date().isoformat()
    return moment.isoformat(timespec="minutes" if not moment.second and not moment.microsecond else "auto")


def _has_time(format: str) -> bool:
    return any(code in format for code in ("%H", "%I", "%M", "%S", "%c", "%X", "%T", "%R"))


def _pair(start: str, end: str) -> tuple[datetime, datetime]:
    first, last = _read(start)[0], _read(end)[0]
    if (first.tzinfo is None) != (last.tzinfo is None):
        raise ValueError("one of the times has an offset from UTC and the other has none; give both or neither")
    return first, last


def _whole_months(first: datetime, last: datetime) -> int:
    """Whole months from a moment to a later one; a day that a month lacks is its last."""
    if first.tzinfo is not None:
        last = last.astimezone(first.tzinfo)
    months = (last.year - first.year) * 12 + last.month - first.month
    day = min(first.day, calendar.monthrange(last.year, last.month)[1])
    reached = first.replace(year=last.year, month=last.month, day=day) <= last
    return months if reached else months - 1


_TOOLS = (
    add_to_date,
    date_difference,
    weekday,
    date_info,
    is_leap_year,
    parse_date,
    format_date,
    add_business_days,
    count_business_days,
    convert_time_zone,
)


def dates(*, now: str | None = None, limits: Limits | None = None) -> ToolSet:
    """Eleven tools for dates and times; the first, ``current_time``, tells the time that you give.

    Args:
        now: What ``current_time`` tells, such as ``2026-03-05T14:30``, in UTC; without it the guest's virtual clock, so
            that a run is the same again.
        limits: What one call may use; without it 1 second, 128 MB and 16 KB.

    Raises:
        InputError: `now` is no time in ISO format.

    Example:
        >>> tools = dates(now="2026-03-05")
        >>> tools.call("current_time", {"zone": "Tokyo"}).value
        '2026-03-05T09:00+09:00'
        >>> tools.call("add_to_date", {"date": "2026-01-31", "months": 1}).value
        '2026-02-28'
    """
    limits = Limits(timeout_ms=1_000, memory_mb=128, output_kb=16) if limits is None else limits
    return ToolSet.from_functions([_clock(now), *_TOOLS], limits=limits, pure=True, check=False)


def _clock(now: str | None) -> Callable[..., str]:
    if now is not None:
        try:
            datetime.fromisoformat(now)
        except (ValueError, TypeError) as error:
            raise InputError(f"now must be a time such as '2026-03-05T14:30', not {now!r}") from error

    def current_time(zone: str = "UTC") -> str:
        """Tell the current date and time.

        Args:
            zone: A zone such as Europe/Berlin, a city such as Tokyo, UTC, or an offset such as +05:30.

        Returns:
            The time, with its offset from UTC.
        """
        moment = datetime.now(timezone.utc) if now is None else datetime.fromisoformat(now)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return _write(place(moment.replace(microsecond=0), zone), False)

    return current_time
