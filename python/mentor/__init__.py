"""Teacher-guided rewards, a WebAssembly tool sandbox and TRL training for distilling tool use into small models.

``import mentor`` is quick: each part is loaded when it is first used, and torch only by what trains or runs models.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mentor import adapters, errors, tools
    from mentor._core import __version__
    from mentor.explain import Explanation
    from mentor.sandbox import Fault, HostCall, HostFunctions, Limits, Outcome, Run, Sandbox, SavedState, Session
    from mentor.score import (
        DenseReward,
        PublishedReward,
        Reference,
        ScoreBatch,
        Verdicts,
        detect_format,
        judge_batch,
        score_batch,
    )
    from mentor.tools import ToolSet
    from mentor.types import Call, Defect, Match, ReferenceCall, Score, Turn

_HOMES = {
    "__version__": "mentor._core",
    **dict.fromkeys(
        ("Fault", "HostCall", "HostFunctions", "Limits", "Outcome", "Run", "Sandbox", "SavedState", "Session"),
        "mentor.sandbox",
    ),
    **dict.fromkeys(
        (
            "DenseReward",
            "PublishedReward",
            "Reference",
            "ScoreBatch",
            "Verdicts",
            "detect_format",
            "judge_batch",
            "score_batch",
        ),
        "mentor.score",
    ),
    **dict.fromkeys(("Call", "Defect", "Match", "ReferenceCall", "Score", "Turn"), "mentor.types"),
    "Explanation": "mentor.explain",
    "ToolSet": "mentor.tools",
}
_MODULES = ("adapters", "errors", "tools")

__all__ = [
    "Call",
    "Defect",
    "DenseReward",
    "Explanation",
    "Fault",
    "HostCall",
    "HostFunctions",
    "Limits",
    "Match",
    "Outcome",
    "PublishedReward",
    "Reference",
    "ReferenceCall",
    "Run",
    "Sandbox",
    "SavedState",
    "Score",
    "ScoreBatch",
    "Session",
    "ToolSet",
    "Turn",
    "Verdicts",
    "__version__",
    "adapters",
    "detect_format",
    "errors",
    "judge_batch",
    "score_batch",
    "tools",
]


def _refuse_sub_interpreters() -> None:
    """Says what to do where the extension could not be loaded, or would belong to one interpreter of many."""
    import _thread

    is_main = getattr(_thread, "_is_main_interpreter", None)
    if is_main is None:  # before Python 3.12
        try:
            interpreters = importlib.import_module("_xxsubinterpreters")
        except ImportError:  # an interpreter without sub-interpreters
            return
        main: bool = interpreters.get_current() == interpreters.get_main()
    else:
        main = is_main()
    if not main:
        raise ImportError(
            "mentor cannot be used in a sub-interpreter: its extension, orjson and NumPy keep one state per process. "
            "Import it in the main interpreter and share the work among threads (scoring releases the GIL) or "
            "processes (multiprocessing, concurrent.futures.ProcessPoolExecutor)"
        )


_refuse_sub_interpreters()


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"mentor.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'mentor' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
