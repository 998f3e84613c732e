"""Task suites: tools, a task generator, a reference maker and splits that differ in one thing each."""

from mentor.suites.arithmetic import SPLITS, Split, Task, make_tasks, reference_for
from mentor.suites.behaviours import BEHAVIOURS, Behaviour, demonstrate

__all__ = ["BEHAVIOURS", "SPLITS", "Behaviour", "Split", "Task", "demonstrate", "make_tasks", "reference_for"]
