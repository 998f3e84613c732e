"""A teacher in this process: a transformers model, rolled out as the student is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mentor.models.loading import load_model, load_tokenizer
from mentor.rollouts import Budget, run_rollouts
from mentor.teach.settings import TeachSettings
from mentor.teach.teacher import Reply, Request
from mentor.tools import ToolSet

__all__ = ["Local"]


class Local:
    """A local causal language model whose chat template knows tools.

    A sample depends on the model, the task, its place, the seed and the sample's number; not on what is played beside
    it. So a run that goes on gives what one run would have given.

    Args:
        folder: A folder that ``save_pretrained`` wrote.
        temperature: Of the sampling; ``None`` decodes greedily where one sample is wanted, else samples at 1.
        seed: Seed of the sampling.

    Raises:
        ModelError: The model cannot be used.
    """

    paid = True  # hours of computing are not to be lost either

    def __init__(self, folder: str | Path, *, temperature: float | None = None, seed: int = 0) -> None:
        self.name = Path(folder).name or str(folder)
        self._folder, self._temperature, self._seed = str(folder), temperature, seed
        self._tokenizer = load_tokenizer(self._folder)
        cuda = torch.cuda.is_available()
        self._model: Any = load_model(self._folder, dtype=torch.bfloat16 if cuda else None)
        self._model.to("cuda" if cuda else "cpu")

    def settings(self) -> dict[str, Any]:
        """What decides its samples."""
        return {"teacher": "local", "model": self._folder, "seed": self._seed}

    def body(self, request: Request) -> dict[str, Any]:
        """What names a sample."""
        return {
            "model": self._folder,
            "messages": request.messages,
            "tools": request.tools,
            "temperature": self._temperature,
            "seed": self._seed,
            "max_tokens": request.max_tokens,
        }

    def play(self, requests: Sequence[Request], *, first: int, tools: ToolSet, settings: TeachSettings) -> list[Reply]:
        """Play one sample of each of some tasks; a sample's tokens count tool results as well, as a student's do."""
        rows = [
            {
                "id": request.assignment.id,
                "messages": request.messages,
                "tools": list(request.assignment.tools),
                "reference": dict(request.assignment.task.reference),
                "setup": [{"arguments": {}, **call} for call in request.assignment.setup],
            }
            for request in requests
        ]
        temperature = self._temperature
        if temperature is None:
            temperature = 0.0 if settings.samples == 1 else 1.0
        rollouts = run_rollouts(
            self._model,
            self._tokenizer,
            rows,
            tools=tools,
            budget=Budget(
                max_tokens=settings.max_tokens,
                max_turns=settings.max_turns,
                max_tool_calls=settings.max_calls,
                batch=len(rows),
            ),
            temperature=temperature,
            seed=self._seed * 1_000_003 + requests[0].sample,
            first=first,
        )
        return [
            Reply(
                finish="length" if rollout.truncated else "stop",
                tokens_in=len(rollout.prompt_ids),
                tokens_out=sum(rollout.mask),
                rollout=tuple(rollout.messages),
            )
            for rollout in rollouts
        ]

    async def close(self) -> None:
        """Nothing is held beyond memory."""
