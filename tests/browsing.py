"""A real headless browser for tests of pages."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no Chromium with its driver found (Debian: chromium, chromium-driver)"
)
_ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium whose console can be read."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in _ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(60)
    try:
        yield driver
    finally:
        driver.quit()


def set_view(driver: Any, *, width: int = 1400, height: int = 1000, dark: bool = False) -> None:
    """Set the size of the view and what the system prefers."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def open_page(driver: Any, page: Path, fragment: str = "") -> None:
    """Open a file anew, also where only the fragment differs."""
    driver.get("about:blank")
    driver.get(page.resolve().as_uri() + fragment)


def console(driver: Any) -> list[str]:
    """What the console said since the last time: errors, warnings, violations of the security policy."""
    return [entry["message"] for entry in driver.get_log("browser")]


def until(true: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for something to be true and return it."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.03)
    return found
