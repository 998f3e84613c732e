"""Task suites: tools, a task generator, a reference maker and splits that differ in one thing each."""

from mentor.suites.behaviours import BEHAVIOURS, Behaviour
from mentor.suites.registry import SUITES, open_suite
from mentor.suites.suite import Suite, execute
from mentor.suites.verify import Problem, check_tasks, verify

__all__ = [
    "BEHAVIOURS",
    "SUITES",
    "Behaviour",
    "Problem",
    "Suite",
    "check_tasks",
    "execute",
    "open_suite",
    "verify",
]
