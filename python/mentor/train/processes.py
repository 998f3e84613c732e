"""The processes that ``accelerate launch`` or ``torchrun`` started together."""

from __future__ import annotations

import os
from datetime import timedelta

from mentor.evaluate.processes import Processes

__all__ = ["launched", "rank"]

_PATIENCE = timedelta(hours=12)
"""How long a process waits for the others: the first one builds the base model alone."""


def rank() -> int:
    """This process's number, 0 where it is alone; needs no torch."""
    text = os.environ.get("RANK", "0")
    return int(text) if text.isdigit() else 0


def launched() -> Processes:
    """The processes of this launch, once they have found one another."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    import torch
    from accelerate.state import PartialState

    state = PartialState(cpu=not torch.cuda.is_available(), timeout=_PATIENCE)
    return Processes(index=state.process_index, count=state.num_processes)
