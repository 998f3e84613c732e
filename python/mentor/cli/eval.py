"""``mentor eval``: saved models on tasks, with intervals, side by side."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mentor.cli.extras import needs, refused
from mentor.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from mentor.cli.eval_result import Evaluation
    from mentor.config import TrainConfig
    from mentor.train.tasks import TaskSets

__all__ = ["evaluate"]

_FROM_RUN = (
    "max_completion_length",
    "max_tool_turns",
    "max_tool_calls",
    "temperature",
    "system_prompt",
)
_BUDGET = {"max_completion_length": 512, "max_tool_turns": 8, "temperature": 1.0}
_ENDINGS = (".json", ".jsonl", ".csv", ".parquet")


@click.command(name="eval")
@click.argument("models", nargs=-1, required=True)
@click.option("--suite", "suites", multiple=True, help="Suite of tasks; may be repeated.  [default: the run's]")
@click.option("--splits", help="Splits, with commas between.  [default: all]")
@click.option("--dataset", type=click.Path(path_type=Path), help="Tasks of a file in the reference format instead.")
@click.option("-n", "--count", default=200, show_default=True, type=click.IntRange(min=1), help="Tasks per split.")
@click.option("--greedy/--no-greedy", default=True, show_default=True, help="Decode each task greedily once.")
@click.option("--sampled", default=1, show_default=True, type=click.IntRange(min=0), help="Samples per task.")
@click.option("--temperature", type=click.FloatRange(min=0, min_open=True), help="Of the samples.  [default: 1]")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Tokens of a rollout.  [default: the run's, or 512]")
@click.option("--max-turns", type=click.IntRange(min=1), help="Rounds of tool calls.  [default: the run's, or 8]")
@click.option(
    "--system-prompt", help="System message of tasks without one.  [default: the run's, or to box the answer]"
)
@click.option("-r", "--reward", default="mentor", show_default=True, help="The reported reward.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Seed of the samples.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Rollouts as .jsonl, .csv or .parquet, or .json.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.")
def evaluate(
    models: tuple[str, ...],
    suites: tuple[str, ...],
    splits: str | None,
    dataset: Path | None,
    count: int,
    greedy: bool,
    sampled: int,
    temperature: float | None,
    max_tokens: int | None,
    max_turns: int | None,
    system_prompt: str | None,
    reward: str,
    seed: int,
    output: Path | None,
    threads: int | None,
) -> None:
    """Evaluate saved models on tasks and print their measures with 95 % bootstrap intervals over tasks.

    MODELS are run folders of `mentor train`, folders that save_pretrained wrote, or names on the hub. Several models do
    the same tasks, and each is tested against the first one. Ctrl-C keeps what is finished.

    \b
    mentor eval runs/tiny-mentor
    mentor eval runs/a runs/b --suite store -n 100 -o rollouts.jsonl
    mentor eval ./Qwen3-0.6B --dataset tasks.jsonl --sampled 4
    """  # noqa: D301
    with needs("train"), refused():
        if not greedy and not sampled:
            raise ConfigError("nothing to do: neither --greedy nor --sampled")
        if output is not None and output.suffix.lower() not in _ENDINGS:
            raise ConfigError(f"{output}: the ending is unknown; known are {', '.join(_ENDINGS)}")
        if dataset is not None and (suites or splits):
            raise ConfigError("--dataset brings its own tasks; leave out --suite and --splits")
        folders = [_resolved(name) for name in models]
        if all(Path(folder).is_dir() for folder, _ in folders):
            os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is asked of the hub; read when it is imported
        runs = [run for _, run in folders if run is not None]
        config = _config(runs, suites, splits, count, dataset=dataset)
        changes: dict[str, Any] = {
            "max_completion_length": max_tokens,
            "max_tool_turns": max_turns,
            "temperature": temperature,
            "system_prompt": system_prompt,
        }
        config |= {key: value for key, value in changes.items() if value is not None}
        tasks = _tasks(config, dataset, count, runs)
        from rich.console import Console

        from mentor.cli.eval_result import tables, write_rows  # with torch, which takes seconds to import

        found, interrupted = _evaluate(
            dict(zip(_labels(models), (folder for folder, _ in folders), strict=True)),
            tasks,
            config,
            modes=[None] * greedy + list(range(sampled)),
            reward=reward,
            seed=seed,
            threads=threads,
        )
        console = Console()
        for table in tables(found) if found.passes else ():
            console.print(table)
        if output is not None and found.passes:  # else a file of an earlier call stays
            write_rows(output, found)
            click.echo(f"{output}: {found.rollouts} rollouts", err=True)
    if interrupted:
        click.echo(f"stopped; {'what was finished is above' if found.passes else 'nothing was finished'}", err=True)
        raise SystemExit(130)


def _evaluate(
    models: dict[str, str],
    tasks: TaskSets,
    config: dict[str, Any],
    *,
    modes: list[int | None],
    reward: str,
    seed: int,
    threads: int | None,
) -> tuple[Evaluation, bool]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from mentor.cli.eval_result import Evaluation
    from mentor.evaluate import run_pass
    from mentor.models.loading import calm, load_model, load_tokenizer, on_gpu
    from mentor.rollouts import Budget, Chat
    from mentor.score import REWARDS

    if reward not in REWARDS:
        raise ConfigError(f"unknown reward {reward!r}; known: {', '.join(REWARDS)}")
    calm(threads)
    tokenizers = {label: load_tokenizer(folder) for label, folder in models.items()}  # the cheap check of all first
    budget = Budget(
        max_tokens=config["max_completion_length"],
        max_turns=config["max_tool_turns"],
        max_tool_calls=config.get("max_tool_calls"),
    )
    found = Evaluation(rows={split: part.rows for split, part in tasks.splits.items()})
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = len(models) * len(modes) * sum(len(part.rows) for part in tasks.splits.values())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("rollouts", total=total)
        try:
            for label, folder in models.items():
                model = on_gpu(load_model(folder))
                for split, part in tasks.splits.items():
                    chat = Chat(tokenizers[label], part.tools)
                    for sample in modes:
                        progress.update(bar, description=f"{label} {split}")
                        found.passes[label, split, sample] = run_pass(
                            model,
                            tokenizers[label],
                            part.rows,
                            tools=part.tools,
                            budget=budget,
                            temperature=0.0 if sample is None else config["temperature"],
                            seed=seed if sample is None else seed + sample,
                            reward=reward,
                            judge=tasks.judge,
                            chat=chat,
                        )
                        progress.advance(bar, len(part.rows))
        except KeyboardInterrupt:
            return found, True
    return found, False


def _resolved(name: str) -> tuple[str, dict[str, Any] | None]:
    """The folder (or hub name) of a model, and the configuration of the run that made it."""
    from mentor.config.saved import saved_config

    path = Path(name)
    if not path.exists():
        if path.is_absolute() or name.startswith(".") or name.count("/") != 1:
            raise ModelError(f"model {name!r}: no such folder")
        return name, None
    if (path / "config.yaml").is_file():
        config = saved_config(path)
        untrained = str(config.get("model") or path / "checkpoints" / "start")
        folder = untrained if config.get("method") == "base" else str(path / "model")
        if not config.get("model") and not Path(folder).is_dir():
            raise ModelError(f"run {name!r} is not finished; go on with: python -m mentor.train --resume {name}")
        return folder, config
    if not (path / "config.json").is_file():
        raise ModelError(f"model {name!r}: neither a run (config.yaml) nor a saved model (config.json) is there")
    if path.name == "model" and (path.parent / "config.yaml").is_file():
        return name, saved_config(path.parent)
    return name, None


def _config(
    runs: list[dict[str, Any]], suites: tuple[str, ...], splits: str | None, count: int, *, dataset: Path | None
) -> dict[str, Any]:
    """Where to take tasks and limits from: the command line, else the runs, as far as they agree."""
    from mentor.config import SYSTEM_PROMPT

    config: dict[str, Any] = {**_BUDGET, "suite": "arithmetic", "train_tasks": 1, "eval_tasks": count}
    config |= {} if runs else {"system_prompt": SYSTEM_PROMPT}
    for key in _FROM_RUN:
        values = [run[key] for run in runs if run.get(key) is not None]
        config |= {key: values[0]} if values else {}
    if suites:
        config |= {"suite": suites[0], "eval_suites": tuple(suites[1:]) or None}
    elif runs and dataset is None:
        config |= _trained_on(runs, count)
    own = [run for run in runs if _suite(run) == config["suite"] and not run.get("dataset")]
    if own and "dataset" not in config:
        # as many training tasks as the run had are drawn, so that none of them is among the evaluated ones
        config |= {key: own[0][key] for key in ("seed", "train_tasks") if own[0].get(key) is not None}
    if splits is not None:
        config["splits"] = tuple(name.strip() for name in splits.split(",") if name.strip())
    return config


def _trained_on(runs: list[dict[str, Any]], count: int) -> dict[str, Any]:
    """The tasks that the runs were trained on: their suite, or what their file held out."""
    first = runs[0]
    names = [str(run.get("dataset") or _suite(run)) for run in runs]
    if len(set(names)) > 1:
        told = ", ".join(dict.fromkeys(names))
        raise ConfigError(f"the runs were trained on different tasks ({told}); name some with --suite or --dataset")
    found: dict[str, Any] = {"suite": _suite(first)}
    if first.get("eval_suites"):
        found["eval_suites"] = tuple(first["eval_suites"])
    if first.get("dataset"):
        held = [run["eval_tasks"] for run in runs if isinstance(run.get("eval_tasks"), int)]
        found |= {"dataset": str(first["dataset"]), "eval_tasks": min([count, *held])}  # what is before was trained on
    return found


def _seen(runs: list[dict[str, Any]]) -> dict[str, set[tuple[int, int]]]:
    """Suite -> (seed, number) of the tasks that runs were trained on."""
    found: dict[str, set[tuple[int, int]]] = {}
    for run in runs:
        seed, count = run.get("seed"), run.get("train_tasks")
        if isinstance(seed, int) and isinstance(count, int) and not run.get("dataset"):
            found.setdefault(_suite(run), set()).add((seed, count))
    return found


def _suite(run: dict[str, Any]) -> str:
    return str(run.get("suite") or "arithmetic")


def _tasks(config: dict[str, Any], dataset: Path | None, count: int, runs: list[dict[str, Any]]) -> TaskSets:
    from mentor.config import TrainConfig, resolve
    from mentor.data import read_tasks
    from mentor.errors import DataError
    from mentor.train.tasks import Split, TaskSets, dataset_tools, introduce, load_tasks, to_row

    if dataset is None:
        settings: TrainConfig = resolve(TrainConfig(preset="tiny", method="base", **config))
        return load_tasks(settings, unseen_by=_seen(runs))
    tasks = [task for _, task in zip(range(count), read_tasks(dataset), strict=False)]
    if not tasks:
        raise DataError(f"{dataset}: there is no task in it")
    tools = dataset_tools(tasks, where=f"{dataset}: ")
    rows = [to_row(task, tools, where=f"{dataset}: ") for task in tasks]
    introduce(rows, config.get("system_prompt"))
    return TaskSets(tools=tools, train=rows, splits={dataset.stem: Split(rows, tools)})


def _labels(models: tuple[str, ...]) -> list[str]:
    """Short names that tell the models apart."""
    names = [Path(name).name or name for name in models]
    if len(set(names)) == len(names):
        return names
    if len(set(models)) < len(models):
        raise ConfigError("a model is named twice")
    return list(models)
