"""Time zones without a database: today's rule of each zone, and the year from which it has held.

The guest has no zone files. The rules are POSIX texts, which the standard library's ``zoneinfo`` reads; older times are
refused, not guessed.
"""

from __future__ import annotations

import difflib
import io
import re
import zoneinfo
from datetime import datetime, timedelta, timezone, tzinfo

__all__ = ["find_zone", "place"]

_EU = "M3.5.0,M10.5.0/3"
_US = "M3.2.0,M11.1.0"
# zone -> (rule, first year in which it held all year)
_ZONES = {
    "UTC": ("UTC0", 1),
    "Africa/Accra": ("GMT0", 1958),
    "Africa/Addis_Ababa": ("EAT-3", 1961),
    "Africa/Algiers": ("CET-1", 1982),
    "Africa/Johannesburg": ("SAST-2", 1945),
    "Africa/Lagos": ("WAT-1", 1920),
    "Africa/Nairobi": ("EAT-3", 1943),
    "America/Anchorage": (f"AKST9AKDT,{_US}", 2007),
    "America/Argentina/Buenos_Aires": ("<-03>3", 2010),
    "America/Bogota": ("<-05>5", 1994),
    "America/Caracas": ("<-04>4", 2017),
    "America/Chicago": (f"CST6CDT,{_US}", 2007),
    "America/Denver": (f"MST7MDT,{_US}", 2007),
    "America/Halifax": (f"AST4ADT,{_US}", 2007),
    "America/Lima": ("<-05>5", 1995),
    "America/Los_Angeles": (f"PST8PDT,{_US}", 2007),
    "America/Mexico_City": ("CST6", 2023),
    "America/New_York": (f"EST5EDT,{_US}", 2007),
    "America/Phoenix": ("MST7", 1969),
    "America/Sao_Paulo": ("<-03>3", 2020),
    "America/St_Johns": (f"NST3:30NDT,{_US}", 2012),
    "America/Toronto": (f"EST5EDT,{_US}", 2007),
    "America/Vancouver": (f"PST8PDT,{_US}", 2007),
    "Asia/Baghdad": ("<+03>-3", 2008),
    "Asia/Bangkok": ("<+07>-7", 1921),
    "Asia/Colombo": ("<+0530>-5:30", 2007),
    "Asia/Dhaka": ("<+06>-6", 2010),
    "Asia/Dubai": ("<+04>-4", 1921),
    "Asia/Ho_Chi_Minh": ("<+07>-7", 1976),
    "Asia/Hong_Kong": ("HKT-8", 1980),
    "Asia/Jakarta": ("WIB-7", 1965),
    "Asia/Jerusalem": ("IST-2IDT,M3.4.4/26,M10.5.0", 2014),
    "Asia/Karachi": ("PKT-5", 2010),
    "Asia/Kathmandu": ("<+0545>-5:45", 1987),
    "Asia/Kolkata": ("IST-5:30", 1946),
    "Asia/Kuala_Lumpur": ("<+08>-8", 1983),
    "Asia/Manila": ("PST-8", 1991),
    "Asia/Riyadh": ("<+03>-3", 1948),
    "Asia/Seoul": ("KST-9", 1989),
    "Asia/Shanghai": ("CST-8", 1992),
    "Asia/Singapore": ("<+08>-8", 1983),
    "Asia/Taipei": ("CST-8", 1980),
    "Asia/Tehran": ("<+0330>-3:30", 2023),
    "Asia/Tokyo": ("JST-9", 1952),
    "Atlantic/Reykjavik": ("GMT0", 1969),
    "Australia/Adelaide": ("ACST-9:30ACDT,M10.1.0,M4.1.0/3", 2009),
    "Australia/Brisbane": ("AEST-10", 1993),
    "Australia/Darwin": ("ACST-9:30", 1945),
    "Australia/Melbourne": ("AEST-10AEDT,M10.1.0,M4.1.0/3", 2009),
    "Australia/Perth": ("AWST-8", 2010),
    "Australia/Sydney": ("AEST-10AEDT,M10.1.0,M4.1.0/3", 2009),
    "Europe/Amsterdam": (f"CET-1CEST,{_EU}", 1996),
    "Europe/Athens": ("EET-2EEST,M3.5.0/3,M10.5.0/4", 1996),
    "Europe/Berlin": (f"CET-1CEST,{_EU}", 1996),
    "Europe/Brussels": (f"CET-1CEST,{_EU}", 1996),
    "Europe/Bucharest": ("EET-2EEST,M3.5.0/3,M10.5.0/4", 1997),
    "Europe/Copenhagen": (f"CET-1CEST,{_EU}", 1996),
    "Europe/Dublin": ("IST-1GMT0,M10.5.0,M3.5.0/1", 1996),
    "Europe/Helsinki": ("EET-2EEST,M3.5.0/3,M10.5.0/4", 1996),
    "Europe/Istanbul": ("<+03>-3", 2017),
    "Europe/Kyiv": ("EET-2EEST,M3.5.0/3,M10.5.0/4", 1997),
    "Europe/Lisbon": ("WET0WEST,M3.5.0/1,M10.5.0", 1997),
    "Europe/London": ("GMT0BST,M3.5.0/1,M10.5.0", 1996),
    "Europe/Madrid": (f"CET-1CEST,{_EU}", 1996),
    "Europe/Moscow": ("MSK-3", 2015),
    "Europe/Oslo": (f"CET-1CEST,{_EU}", 1996),
    "Europe/Paris": (f"CET-1CEST,{_EU}", 1996),
    "Europe/Prague": (f"CET-1CEST,{_EU}", 1996),
    "Europe/Rome": (f"CET-1CEST,{_EU}", 1996),
    "Europe/Stockholm": (f"CET-1CEST,{_EU}", 1996),
    "Europe/Vienna": (f"CET-1CEST,{_EU}", 1996),
    "Europe/Warsaw": (f"CET-1CEST,{_EU}", 1996),
    "Europe/Zurich": (f"CET-1CEST,{_EU}", 1996),
    "Pacific/Auckland": ("NZST-12NZDT,M9.5.0,M4.1.0/3", 2008),
    "Pacific/Honolulu": ("HST10", 1948),
}
_OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+-])(\d{1,2})(?::?(\d{2}))?", re.IGNORECASE)
_SHORT = {"z": "UTC", "gmt": "UTC", "utc": "UTC"}


def find_zone(name: str) -> tuple[tzinfo, int]:
    """The zone of a name, and the first year for which it is known.

    Args:
        name: Such as ``Europe/Berlin``, ``Berlin``, ``UTC``, ``+02:00`` or ``UTC-5``.

    Raises:
        ValueError: There is no such zone; the message is for a model.
    """
    plain = name.strip()
    if match := _OFFSET.fullmatch(plain):
        hours, minutes = int(match[2]), int(match[3] or 0)
        if hours > 14 or minutes > 59:
            raise ValueError(f"the offset {plain!r} is none; they go from -14:00 to +14:00")
        offset = timedelta(hours=hours, minutes=minutes)
        return timezone(offset if match[1] == "+" else -offset), 1
    wanted = _SHORT.get(plain.lower(), plain).lower().replace(" ", "_")
    for zone, (rule, since) in _ZONES.items():
        if wanted in (zone.lower(), zone.lower().rpartition("/")[2]):
            return (timezone.utc if zone == "UTC" else _zone(zone, rule)), since
    cities = {zone.rpartition("/")[2].lower(): zone for zone in _ZONES}
    near = difflib.get_close_matches(wanted[:60].rpartition("/")[2], cities, n=1)
    hint = (
        f"did you mean {cities[near[0]]!r}?"
        if near
        else "give a zone such as 'Europe/Berlin', or an offset such as '+02:00'"
    )
    raise ValueError(f"unknown time zone {plain[:60]!r}; {hint}")


def place(moment: datetime, zone: str) -> datetime:
    """A moment in another zone, or a moment without a zone as one of that zone.

    Raises:
        ValueError: The zone is not known, or not for that year.
    """
    found, since = find_zone(zone)
    try:
        placed = moment.replace(tzinfo=found) if moment.tzinfo is None else moment.astimezone(found)
    except OverflowError:
        raise ValueError("the time is out of the years 1 to 9999") from None
    if placed.year < since:
        raise ValueError(f"the rules of {zone} are known from {since} on; give an offset such as '-05:00' instead")
    return placed


def _zone(name: str, rule: str) -> zoneinfo.ZoneInfo:
    """A zone of a rule alone, in the format of zone files (RFC 9636): no transitions, one type, the rule as footer."""
    header = b"TZif2" + bytes(15) + bytes(12) + (0).to_bytes(4, "big") + (1).to_bytes(4, "big") + (4).to_bytes(4, "big")
    block = header + bytes(6) + b"UTC\0"
    return zoneinfo.ZoneInfo.from_file(io.BytesIO(block + block + f"\n{rule}\n".encode()), key=name)
