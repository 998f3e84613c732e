"""Suites of tools that are ready to use; those that run in the guest are read from the functions' source."""

from mentor.tools.ready.calculator import calculator
from mentor.tools.ready.dates import dates
from mentor.tools.ready.files import files
from mentor.tools.ready.python import python
from mentor.tools.ready.search import search
from mentor.tools.ready.store import store
from mentor.tools.ready.text import text
from mentor.tools.ready.units import units

__all__ = ["calculator", "dates", "files", "python", "search", "store", "text", "units"]
