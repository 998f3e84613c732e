"""Checking task files: every problem of every row, by row and field."""

from __future__ import annotations

from mentor.data.validation.problems import KINDS, Problem, StopChecking, ValidationReport
from mentor.data.validation.run import task_schema, validate_tasks

__all__ = ["KINDS", "Problem", "StopChecking", "ValidationReport", "task_schema", "validate_tasks"]
