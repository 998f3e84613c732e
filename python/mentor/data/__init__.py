"""Data sets: JSON lines with precise errors, tables, tasks, and importers for published sets."""

from __future__ import annotations

from mentor.data.jsonl import BadLine, read_jsonl, write_jsonl
from mentor.data.tables import write_table
from mentor.data.tasks import Task, read_tasks, write_tasks

__all__ = ["BadLine", "Task", "read_jsonl", "read_tasks", "write_jsonl", "write_table", "write_tasks"]
