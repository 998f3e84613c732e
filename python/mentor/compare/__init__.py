"""Methods side by side: run them over seeds, read their runs, and say with intervals and tests how they differ."""

from mentor.compare.plan import Arm, Plan, read_plan
from mentor.compare.runner import Outcome, run_plan
from mentor.compare.runs import Missing, RunRecord, read_comparison, read_run, read_runs
from mentor.compare.summary import Cell, Comparison, Contrast, compare_runs
from mentor.compare.tables import write_tables

__all__ = [
    "Arm",
    "Cell",
    "Comparison",
    "Contrast",
    "Missing",
    "Outcome",
    "Plan",
    "RunRecord",
    "compare_runs",
    "read_comparison",
    "read_plan",
    "read_run",
    "read_runs",
    "run_plan",
    "write_tables",
]
