"""Task suites: tools, a task generator, a reference maker and splits that differ in one thing each."""

from mentor.suites.behaviours import BEHAVIOURS, Behaviour, demonstrate
from mentor.suites.chains import SPLITS, Split, Task, make_tasks, reference_for
from mentor.suites.registry import SUITES, open_suite
from mentor.suites.suite import Suite, execute
from mentor.suites.verify import Problem, check_tasks, verify

__all__ = [
    "BEHAVIOURS",
    "SPLITS",
    "SUITES",
    "Behaviour",
    "Problem",
    "Split",
    "Suite",
    "Task",
    "check_tasks",
    "demonstrate",
    "execute",
    "make_tasks",
    "open_suite",
    "reference_for",
    "verify",
]
