"""The tools of a run, and the tasks that offer them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mentor.tools
from mentor.config import TrainConfig
from mentor.data import Task, read_tasks
from mentor.errors import ConfigError, DataError, InputError, SandboxError
from mentor.rewards import Judge
from mentor.suites import SPLITS, make_tasks
from mentor.tools import ToolSet

__all__ = ["TaskSets", "Toolbox", "check_lengths", "load_tasks", "open_toolbox", "to_columns"]


@dataclass(frozen=True)
class Toolbox:
    """Tools that run in the sandbox.

    Attributes:
        names: Their names, in the order that the template shows.
        schemas: Their JSON schemas, same order.
        functions: Typed callables for TRL's ``tools=``, same order; they return the text that the model reads.
        values: The same by name, returning values.
    """

    names: list[str]
    schemas: list[dict[str, Any]]
    functions: list[Callable[..., Any]]
    values: dict[str, Callable[..., Any]]

    def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Run one tool and return its value; used to execute references."""
        return self.values[name](**arguments)


@dataclass(frozen=True)
class TaskSets:
    """Tasks to train on and the splits to evaluate on; rows have ``id``, ``messages``, ``tools``, ``reference``."""

    train: list[dict[str, Any]]
    splits: dict[str, list[dict[str, Any]]]

    @property
    def judge(self) -> Judge:
        """``native`` where every right answer is a plain number, else ``auto``."""
        rows = [*self.train, *(row for part in self.splits.values() for row in part)]
        plain = all(re.fullmatch(r"-?\d+(\.\d+)?", str(row["reference"]["answer"])) for row in rows)
        return "native" if plain else "auto"


def open_toolbox(sources: Iterable[str] = ()) -> Toolbox:
    """Open the arithmetic tools and those that a dataset brings along.

    Args:
        sources: Python source of further tools, each text one module of functions.

    Raises:
        ConfigError: A source cannot be loaded, or defines a name that is taken.
    """
    tools = mentor.tools.arithmetic()
    for part in map(_from_source, sources):
        if taken := next((name for name in part if name in tools), None):
            raise ConfigError(f"tools_source defines the tool {taken!r}, which there is already")
        tools += part
    values = dict(zip(tools.names, tools.functions(), strict=True))
    return Toolbox(names=tools.names, schemas=tools.schemas, functions=tools.functions(results="text"), values=values)


def _from_source(text: str) -> ToolSet:
    try:
        return ToolSet.from_source(text)
    except (InputError, SandboxError) as error:
        raise ConfigError(f"tools_source cannot be loaded: {' '.join(str(error).split())}") from None


def load_tasks(config: TrainConfig) -> tuple[TaskSets, Toolbox]:
    """Read or make all tasks of a run, open their tools, and check that every offered tool can run.

    With ``dataset``, the last tenth of the file (at most ``eval_tasks`` rows) is held out as ``in_domain``; the
    out-of-domain splits stay the arithmetic suite's.

    Raises:
        DataError: A row is unusable, or the file is too short.
        ConfigError: A row offers a tool that nothing can run.
    """
    own = list(read_tasks(Path(config.dataset))) if config.dataset is not None else []
    toolbox = open_toolbox(dict.fromkeys(str(task.meta["tools_source"]) for task in own if "tools_source" in task.meta))
    draw: dict[str, Any] = {"tools": toolbox.names, "call": toolbox.call}
    if config.dataset is not None:
        rows = [_checked(task, toolbox, config.dataset) for task in own]
        if len(rows) < _LEAST_ROWS:
            raise DataError(f"{config.dataset}: at least {_LEAST_ROWS} tasks are wanted, found {len(rows)}")
        held = min(_known(config.eval_tasks), max(1, len(rows) // 10))
        train, inside = rows[:-held][: _known(config.train_tasks)], rows[-held:]
        seen: set[str] = set()
    else:
        space = SPLITS["in_domain"]
        made = make_tasks(space, _known(config.train_tasks), seed=config.seed, prefix="train", **draw)
        seen = {task["prompt"] for task in made}
        train = [_row(task) for task in made]
        tests = make_tasks(space, _known(config.eval_tasks), seed=_EVAL_SEED, exclude=seen, prefix="in_domain", **draw)
        inside = [_row(task) for task in tests]
    splits = {"in_domain": inside}
    for name, split in SPLITS.items():
        if name != "in_domain":
            tasks = make_tasks(split, _known(config.eval_tasks), seed=_EVAL_SEED, exclude=seen, prefix=name, **draw)
            splits[name] = [_row(task) for task in tasks]
    return TaskSets(train=train, splits=splits), toolbox


_EVAL_SEED = 1_000_003
"""Seed of the evaluation tasks: the same for all runs, so that seeds and methods are measured on equal terms."""


_LEAST_ROWS = 2


def check_lengths(rows: Iterable[Mapping[str, Any]], *, count: Callable[[Any], int], room: int, where: str) -> None:
    """Refuse tasks whose prompt leaves no room for a rollout.

    Args:
        rows: The tasks.
        count: Tokens of a message list, or an upper bound of it.
        room: Tokens that a prompt may take: the model's context less the rollout's budget.
        where: Start of the message, the file's name.

    Raises:
        DataError: A prompt is too long; the message names the task.
    """
    for row in rows:
        if (length := count(row["messages"])) > room:
            raise DataError(
                f"{where}: task {row['id']!r} has a prompt of {length} tokens; "
                f"the model's context leaves {room} beside max_completion_length"
            )


def to_columns(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Turn tasks into dataset rows; whatever is nested goes in as JSON text, which Arrow leaves alone."""
    return [
        {
            "prompt": list(row["messages"]),
            "task_id": row["id"],
            "reference": json.dumps(row["reference"]),
            "offered": json.dumps(list(row["tools"])),
        }
        for row in rows
    ]


def _row(task: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": task["id"],
        "messages": [{"role": "user", "content": task["prompt"]}],
        "tools": list(task["tools"]),
        "reference": task["reference"],
    }


def _checked(task: Task, toolbox: Toolbox, path: str) -> dict[str, Any]:
    """Turn one task of the user's file into a row; a task that offers nothing offers everything."""
    for name in _names(task.tools):
        if name not in toolbox.names:
            raise ConfigError(
                f"{path}: task {task.id!r} offers the tool {name!r}, which nothing can run; "
                f"known: {', '.join(toolbox.names)}"
            )
    tools = list(task.tools) or list(toolbox.names)
    return {"id": task.id, "messages": task.messages, "tools": tools, "reference": _plain(task.reference)}


def _names(tools: Sequence[Any]) -> Iterable[str]:
    for tool in tools:
        yield tool if isinstance(tool, str) else str(tool.get("function", tool).get("name"))


def _plain(reference: Mapping[str, Any]) -> dict[str, Any]:
    calls = [{"name": call["name"], "arguments": dict(call["arguments"])} for call in reference.get("tool_calls") or ()]
    return {"answer": str(reference["answer"]), "tool_calls": calls}


def _known(value: int | None) -> int:
    """A field that :func:`mentor.config.resolve` has set."""
    if value is None:
        raise InputError("the configuration is not resolved; call mentor.config.resolve first")
    return value
