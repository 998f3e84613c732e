"""References from a teacher: asked, executed, verified, the best kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mentor.teach.assignments import Assignment, assign, read_assignments
from mentor.teach.report import Progress, TeachReport
from mentor.teach.run import ateach, teach
from mentor.teach.settings import SYSTEM, TeachSettings
from mentor.teach.solver import Solver
from mentor.teach.teacher import Player, Reply, ReplyError, Request, Teacher, WrittenCall

if TYPE_CHECKING:
    from mentor.teach.endpoint import Endpoint
    from mentor.teach.local import Local

__all__ = [
    "SYSTEM",
    "Assignment",
    "Endpoint",
    "Local",
    "Player",
    "Progress",
    "Reply",
    "ReplyError",
    "Request",
    "Solver",
    "TeachReport",
    "TeachSettings",
    "Teacher",
    "WrittenCall",
    "assign",
    "ateach",
    "read_assignments",
    "teach",
]


def __getattr__(name: str) -> Any:
    """The teachers that need packages of an extra come when they are asked for."""
    if name == "Endpoint":
        from mentor.teach.endpoint import Endpoint

        return Endpoint
    if name == "Local":
        from mentor.teach.local import Local

        return Local
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
