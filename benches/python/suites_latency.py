"""What one call of each suite costs: in a guest that is like new, and in a session.

python benches/python/suites_latency.py [--calls 300]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import mentor

CALLS: list[tuple[str, mentor.ToolSet, str, dict[str, Any]]] = [
    ("calculator", mentor.tools.calculator(), "calculate", {"expression": "15% of 1,240 + sqrt(2) * (3 - 1)^2"}),
    ("python", mentor.tools.python(), "python", {"code": "x = 6\nprint('hi')\nx * 7"}),
    ("python", mentor.tools.python(), "python", {"code": "1 / 0"}),
    ("text", mentor.tools.text(), "count_occurrences", {"text": "strawberry", "part": "r"}),
    ("text", mentor.tools.text(), "find_pattern", {"text": "12 eggs, 7 jars", "pattern": r"\d+"}),
    ("dates", mentor.tools.dates(), "add_to_date", {"date": "2026-01-31", "months": 1}),
    ("dates", mentor.tools.dates(), "parse_date", {"text": "March 5th, 2026"}),
    ("dates", mentor.tools.dates(), "convert_time_zone", {"time": "2026-07-01T12:00", "to_zone": "Berlin"}),
    ("units", mentor.tools.units(), "convert_units", {"value": 26.2, "from_unit": "miles", "to_unit": "km"}),
    ("units", mentor.tools.units(), "convert_units", {"value": 1, "from_unit": "meterz", "to_unit": "km"}),
    ("files", mentor.tools.files(), "write_file", {"path": "notes/todo.txt", "text": "milk\nbread\n"}),
    ("store", mentor.tools.store(), "increment_value", {"key": "total"}),
    (
        "search",
        mentor.tools.search(f"document number {n} of {n % 7}" for n in range(10_000)),
        "search",
        {"query": "number 1234", "k": 3},
    ),
]


def median(call: Callable[[], mentor.Outcome], calls: int) -> float:
    """Microseconds of one call, after some that warm up."""
    taken = []
    for number in range(calls + 20):
        began = time.perf_counter()
        call()
        if number >= 20:
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e6


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300)
    calls = parser.parse_args().calls
    print("| suite | call | single | in a session |\n|---|---|---|---|")
    for suite, tools, name, arguments in CALLS:
        single = median(lambda tools=tools, name=name, given=arguments: tools.call(name, given), calls)
        with tools.session() as session:
            kept = median(lambda session=session, name=name, given=arguments: session.call(name, given), calls)
        shown = ", ".join(repr(value) for value in arguments.values())
        print(f"| {suite} | `{name}({shown})` | {single:,.0f} | {kept:,.0f} |")


if __name__ == "__main__":
    main()
