"""Run folders as one HTML file that opens from disk."""

from __future__ import annotations

from mentor.report.page import write_report

__all__ = ["write_report"]
