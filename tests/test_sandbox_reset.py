"""Instances that are reset give what new ones give, and are what new ones are; see `differential.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mentor import Sandbox, _core

RESETS: list[str] = [name for name in _core.sandbox_isolations() if name != "fresh"]
SCRIPT = Path(__file__).parent / "differential.py"

pytestmark = pytest.mark.skipif(not RESETS, reason="this kernel does not tell which pages were written")


def compare(count: int, *options: str) -> list[dict[str, Any]]:
    """Each way to reset in a process of its own, side by side."""
    command = [sys.executable, str(SCRIPT), "--count", str(count), *options, "--isolation"]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen([*command, name], stdout=pipe, stderr=pipe, text=True) for name in RESETS]
    found = []
    for process in processes:
        output, errors = process.communicate()
        assert process.returncode == 0, errors[-6000:]
        found.append(json.loads(output))
    return found


def test_a_few_hundred_programs_and_all_of_the_memory_after_each() -> None:
    for found in compare(200, "--whole", "1", "--seed", "11"):
        assert found["programs"] == 200
        assert found["whole"] >= 200
        assert found["session steps"] > 20
        assert {"ends exception", "ends ok", "ends trap", "ends memory_limit"} <= set(found)


def test_fuel_is_the_same() -> None:
    for found in compare(60, "--metered", "--seed", "12", "--whole", "0.5"):
        assert found["programs"] == 60


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(2))
def test_thousands_of_programs(seed: int) -> None:
    for found in compare(5_000, "--whole", "0.2", "--seed", str(seed)):
        assert found["programs"] == 5_000
        assert found["private"] > 3_000
    for found in compare(1_000, "--metered", "--whole", "0.2", "--seed", str(seed)):
        assert found["programs"] == 1_000


def test_a_check_counts_what_it_looked_at() -> None:
    for metered in (False, True):
        checked, differing = _core.sandbox_check(metered, True)
        assert differing == 0
        Sandbox(isolation="reset").run("1")
        assert _core.sandbox_check(False, False) >= (1, 0)
        assert checked >= 0
