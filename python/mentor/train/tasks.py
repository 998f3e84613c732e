"""The tasks of a run and their tools: from a suite, or from a file of the user's."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mentor.tools
from mentor.config import TrainConfig
from mentor.config.schema import known
from mentor.data import Task, read_tasks
from mentor.errors import ConfigError, DataError, InputError, SandboxError
from mentor.rewards import Judge
from mentor.suites import SUITES, Suite, open_suite
from mentor.tools import ToolSet
from mentor.train.references import check_references

__all__ = [
    "Split",
    "TaskSets",
    "check_lengths",
    "check_splits",
    "dataset_tools",
    "introduce",
    "load_tasks",
    "named_suite",
    "to_columns",
    "to_row",
]

Row = dict[str, Any]

_EVAL_SEED = 1_000_003
"""Seed of the evaluation tasks: the same for all runs, so that seeds and methods are measured on equal terms."""

_LEAST_ROWS = 2
_READY = ("calculator", "dates", "files", "python", "store", "text", "units")


@dataclass(frozen=True)
class Split:
    """Tasks to evaluate on, and the tools that they need."""

    rows: list[Row]
    tools: ToolSet


@dataclass(frozen=True)
class TaskSets:
    """All tasks of a run. Rows have ``id``, ``messages``, ``tools``, ``reference``, ``setup`` and ``task``.

    Attributes:
        tools: The tools of the training tasks.
        train: What training draws from.
        splits: What is evaluated, by name; those of other suites are called ``suite/split``.
        suite: The suite of the training tasks, if they come from one.
    """

    tools: ToolSet
    train: list[Row]
    splits: dict[str, Split]
    suite: Suite | None = None

    @property
    def judge(self) -> Judge:
        """``native`` where every right answer is a plain number or a suite's own, else ``auto``."""
        if self.suite is not None:
            return "native"
        plain = all(re.fullmatch(r"-?\d+(\.\d+)?", str(row["reference"]["answer"])) for row in self.train)
        return "native" if plain else "auto"


def load_tasks(config: TrainConfig, *, unseen_by: Mapping[str, Collection[tuple[int, int]]] | None = None) -> TaskSets:
    """Read or make all tasks of a run, open their tools, and check that every offered tool can run.

    With ``dataset``, the last tenth of the file (at most ``eval_tasks`` rows) is held out as ``in_domain``; rows that
    ask the same as one of those are not trained on. No evaluated split of a suite holds a prompt that is trained on.

    Args:
        config: What to make.
        unseen_by: Suite -> (seed, number) of the training tasks of further runs that are evaluated on the same tasks:
            what any of them was trained on is not drawn either.

    Raises:
        DataError: A row is unusable, its reference makes a call that cannot be made, or the file is too short.
        ConfigError: A row offers a tool that nothing can run, or there is no such split.
        InputError: A suite has no such option, or too few tasks.
    """
    check_splits(config)
    others = unseen_by or {}
    if config.dataset is not None:
        found = _from_file(config, config.dataset)
    else:
        found = _from_suite(config, others.get(config.suite, ()))
    trained = {str(row["messages"][-1].get("content")) for row in found.train}
    for name in config.eval_suites or ():
        suite = named_suite(name)
        tools = suite.open_tools()
        seen = _prompts(task for seed, count in others.get(name, ()) for task in _drawn(suite, tools, seed, count))
        splits = _splits(suite, tools, config, exclude=trained | seen, prefix=f"{name}/")
        found.splits.update(splits)
    wanted = {name: split for name, split in found.splits.items() if config.splits is None or name in config.splits}
    for rows in (found.train, *(split.rows for split in wanted.values())):
        introduce(rows, config.system_prompt)
    return TaskSets(tools=found.tools, train=found.train, splits=wanted, suite=found.suite)


def check_splits(config: TrainConfig) -> None:
    """Check the names of suites and of the splits to evaluate on, before any task is made.

    Raises:
        ConfigError: There is no such split, or none of an eval suite is evaluated.
        InputError: There is no such suite or option.
    """
    there = ["in_domain"] if config.dataset is not None else list(named_suite(config.suite).splits)
    further = {name: [f"{name}/{split}" for split in named_suite(name).splits] for name in config.eval_suites or ()}
    if config.splits is None:
        return
    there += [split for own in further.values() for split in own]
    unknown = next((name for name in config.splits if name not in there), None)
    if unknown is not None:
        raise ConfigError(f"splits: there is no {unknown!r}; known: {', '.join(there)}")
    for name, own in further.items():
        if not set(own) & set(config.splits):
            raise ConfigError(f"splits: none is of the eval suite {name!r}; add some of {', '.join(own)}")


def named_suite(text: str) -> Suite:
    """Open a suite by name and options, such as ``hints:leak=0.4``; values are read as JSON where they are some.

    Raises:
        InputError: There is no such suite or option.
    """
    name, _, rest = text.partition(":")
    options = {}
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"suite {text!r}: {pair!r} is no option; write {name}:key=value")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return open_suite(name, **options)


def _from_suite(config: TrainConfig, others: Iterable[tuple[int, int]]) -> TaskSets:
    suite = named_suite(config.suite)
    tools = suite.open_tools()
    drawn = _drawn(suite, tools, config.seed, _known(config.train_tasks))
    seen = _prompts(drawn)
    for seed, count in others:
        if (seed, count) != (config.seed, config.train_tasks):
            seen |= _prompts(_drawn(suite, tools, seed, count))
    train = [to_row(task, tools, id_=f"train-{task.id}") for task in drawn]
    splits = _splits(suite, tools, config, exclude=seen, prefix="")
    return TaskSets(tools=tools, train=train, splits=splits, suite=suite)


def _drawn(suite: Suite, tools: ToolSet, seed: int, count: int) -> Sequence[Task]:
    """The training tasks of a run."""
    return suite.draw("in_domain", count, seed=seed, tools=tools, exclude=())


def _prompts(tasks: Iterable[Task]) -> set[str]:
    return {task.prompt for task in tasks if isinstance(task.prompt, str)}


def _splits(
    suite: Suite, tools: ToolSet, config: TrainConfig, *, exclude: Collection[str], prefix: str
) -> dict[str, Split]:
    found = {}
    for name in suite.splits:
        if config.splits is not None and prefix + name not in config.splits:
            found[prefix + name] = Split([], tools)  # known by name, but not wanted: not drawn
            continue
        tasks = suite.draw(name, _known(config.eval_tasks), seed=_EVAL_SEED, tools=tools, exclude=exclude)
        found[prefix + name] = Split([to_row(task, tools) for task in tasks], tools)
    return found


def _from_file(config: TrainConfig, path: str) -> TaskSets:
    tasks = list(read_tasks(Path(path)))
    tools = dataset_tools(tasks, where=f"{path}: ")
    rows = [to_row(task, tools, where=f"{path}: ") for task in tasks]
    check_references(rows, tools, where=f"{path}: ")
    if len(rows) < _LEAST_ROWS:
        raise DataError(f"{path}: at least {_LEAST_ROWS} tasks are wanted, found {len(rows)}")
    held = min(_known(config.eval_tasks), max(1, len(rows) // 10))
    asked = [row["messages"] for row in rows[-held:]]
    train = [row for row in rows[:-held] if row["messages"] not in asked][: _known(config.train_tasks)]
    if not train:
        raise DataError(f"{path}: all rows ask the same as those that are held out (the last {held})")
    return TaskSets(tools=tools, train=train, splits={"in_domain": Split(rows[-held:], tools)})


def dataset_tools(tasks: Iterable[Task], *, where: str = "") -> ToolSet:
    """Open the tools that a dataset's rows name.

    ``meta.tools_suite`` names ready tools or a suite (``arithmetic`` without it), ``meta.tools_source`` holds Python
    source of further ones, one module of functions.

    Args:
        tasks: The rows.
        where: Start of the message, the file's name.

    Raises:
        ConfigError: A source cannot be loaded, a name is unknown, or two tools have the same name; the message names
            the first task that asks for it.
    """
    suites: dict[str, str] = {}
    sources: dict[str, str] = {}
    for task in tasks:
        place = f"{where}task {task.id!r}: "
        suites.setdefault(str(task.meta.get("tools_suite", "arithmetic")), f"{place}tools_suite")
        if "tools_source" in task.meta:
            sources.setdefault(str(task.meta["tools_source"]), f"{place}tools_source")
    found = [(place, _ready(name, place)) for name, place in (suites or {"arithmetic": where}).items()]
    found += [(place, _source(text, place)) for text, place in sources.items()]
    tools = found[0][1]
    for place, part in found[1:]:
        if taken := next((name for name in part if name in tools), None):
            raise ConfigError(f"{place} defines the tool {taken!r}, which there is already")
        tools += part
    return tools


def _ready(text: str, place: str) -> ToolSet:
    if text in _READY:
        opened: ToolSet = getattr(mentor.tools, text)()
        return opened
    known("tools", text.partition(":")[0], (*_READY, *SUITES), where=f"{place}: ")
    try:
        return named_suite(text).open_tools()
    except InputError as error:
        raise ConfigError(f"{place}: {error}") from None


def _source(text: str, place: str) -> ToolSet:
    try:
        return ToolSet.from_source(text)
    except (InputError, SandboxError) as error:
        raise ConfigError(f"{place} cannot be loaded: {' '.join(str(error).split())}") from None


def to_row(task: Task, tools: ToolSet, *, id_: str | None = None, where: str = "") -> Row:
    """Turn a task into a row of the rollout loop; a task that offers nothing offers everything.

    Raises:
        ConfigError: It offers a tool that nothing can run.
    """
    names = list(_names(task.tools))
    for name in names:
        if name not in tools:
            raise ConfigError(
                f"{where}task {task.id!r} offers the tool {name!r}, which nothing can run; known: {', '.join(tools)}"
            )
    return {
        "id": id_ or task.id,
        "messages": task.messages,
        "tools": names or tools.names,
        "reference": _plain(task.reference),
        "setup": [{"arguments": {}, **call} for call in task.meta.get("setup") or ()],
        "task": task,
    }


def introduce(rows: Iterable[Row], system_prompt: str | None) -> None:
    """Put a system message before the prompts that have none, in place."""
    for row in rows:
        if system_prompt and row["messages"][0]["role"] != "system":
            row["messages"] = [{"role": "system", "content": system_prompt}, *row["messages"]]


def check_lengths(rows: Iterable[Mapping[str, Any]], *, count: Callable[[Any], int], room: int, where: str) -> None:
    """Refuse tasks whose prompt leaves no room for a rollout.

    Args:
        rows: The tasks.
        count: Tokens of a row's prompt, or an upper bound of it.
        room: Tokens that a prompt may take: the model's context less the rollout's budget.
        where: Start of the message, the file's name.

    Raises:
        DataError: A prompt is too long; the message names the task.
    """
    for row in rows:
        if (length := count(row)) > room:
            raise DataError(
                f"{where}: task {row['id']!r} has a prompt of {length} tokens; "
                f"the model's context leaves {room} beside max_completion_length"
            )


def to_columns(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Turn tasks into dataset rows; whatever is nested goes in as JSON text, which Arrow leaves alone.

    The prompt is for TRL's logs: rollouts begin with the row's own messages.
    """
    return [
        {
            "prompt": [{"role": message["role"], "content": _text(message)} for message in row["messages"]],
            "task_id": row["id"],
            "reference": json.dumps(row["reference"]),
            "offered": json.dumps(list(row["tools"])),
        }
        for row in rows
    ]


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str) and not message.get("tool_calls"):
        return content
    return json.dumps({key: value for key, value in message.items() if key != "role"}, ensure_ascii=False)


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
