"""``mentor compare``: methods over seeds, run and set side by side."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mentor.cli.extras import needs, refused
from mentor.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from mentor.compare import Comparison, Outcome, Plan
    from mentor.compare.runs import Missing, RunRecord

__all__ = ["compare"]


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("-m", "--methods", help="Methods, with commas between.")
@click.option("-s", "--seeds", help="Seeds, such as 0-7 or 0,2,5-7.  [default: 0-4]")
@click.option("--preset", help="The runs' preset.  [default: tiny]")
@click.option("--suite", help="The suite that the runs train on.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any option of `mentor train`, for all runs."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The comparison's folder.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Runs at a time.  [default: cores / threads]")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads of each run.  [default: 1]")
@click.option("--only-report", is_flag=True, help="Run nothing, only read what is there.")
@click.option("--focus", default="mentor,mentor-dense", show_default=True, help="Methods that the tests are about.")
@click.option("--against", default="sparse,strict", show_default=True, help="Methods that they are set against first.")
@click.option(
    "--solved",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Greedy accuracy from which a run counts as solved.",
)
@click.option("--figures/--no-figures", default=True, show_default=True, help="Draw the figures.")
def compare(
    paths: tuple[Path, ...],
    methods: str | None,
    seeds: str | None,
    preset: str | None,
    suite: str | None,
    settings: tuple[str, ...],
    output: Path | None,
    jobs: int | None,
    threads: int | None,
    only_report: bool,
    focus: str,
    against: str,
    solved: float,
    figures: bool,
) -> None:
    """Train methods over seeds and set them side by side, with intervals, paired tests and figures.

    PATHS is a comparison's YAML file, the folder of a comparison to go on with, or folders of runs that were made
    otherwise, which are only read. Without it, --methods says what to run. What is finished is not run again, what was
    stopped goes on, what failed is tried again. Ctrl-C stops all runs with a checkpoint.

    \b
    mentor compare -m sparse,strict,mentor -s 0-7 --suite hints -o comparisons/hints
    mentor compare comparisons/hints              # go on
    mentor compare comparisons/hints --only-report
    mentor compare runs/a runs/b -o comparisons/ab
    """  # noqa: D301
    with needs("train"), refused():
        from rich.console import Console

        from mentor.compare import compare_runs, read_comparison, read_plan, read_runs
        from mentor.compare.plan import PLAN_FILE
        from mentor.compare.runs import RUNS

        console = Console(stderr=True)
        common, special = _settings(settings)
        given = {"preset": preset, "suite": suite, "threads": threads, **common}
        options = {key: value for key, value in given.items() if value is not None}
        plan: Plan | None = None
        if len(paths) == 1 and paths[0].suffix.lower() in (".yaml", ".yml"):
            plan, said = read_plan(paths[0])
            output, jobs = output or _folder(said), jobs or _count(said)
        elif len(paths) == 1 and (paths[0] / RUNS).is_dir():
            output = output or paths[0]
            if (paths[0] / PLAN_FILE).is_file() and not only_report:
                plan = read_plan(paths[0] / PLAN_FILE)[0]
        elif not paths and not only_report:
            plan = _plan(methods, seeds, options, special)
        if paths and (methods or seeds or options or special):
            raise ConfigError("what to run is said by the file or folder given; leave out --methods, --seeds and --set")
        outcome: Outcome | None = None
        if plan is not None:
            if output is None:
                raise ConfigError("where to? name a folder with --output, for example -o comparisons/first")
            if not only_report:
                outcome = _run(plan, output, jobs, console)
                if outcome.interrupted:
                    click.echo(f"stopped; go on with: mentor compare {output}", err=True)
                    raise SystemExit(130)
        if output is not None and (plan is not None or not paths or list(paths) == [output]):
            found, runs, missing = read_comparison(output)
        elif paths:
            found, (runs, missing) = None, read_runs(paths)
        else:
            raise ConfigError("nothing to read: name the folder of a comparison, or folders of runs")
        _tell_failures(outcome, console)
        _check_names(runs, missing, focus=focus, against=against)
        command = found.command(output) if found is not None and output is not None else None
        comparison = compare_runs(runs, missing=missing, threshold=solved, focus=_names(focus), against=_names(against))
        _report(comparison, output, command=command, figures=figures)
    if outcome is not None and (outcome.failed or outcome.left):
        raise SystemExit(1)


def _run(plan: Plan, output: Path, jobs: int | None, console: Console) -> Outcome:
    from mentor.compare import run_plan
    from mentor.compare.progress import Display

    with Display(console) as display:
        return run_plan(plan, output, jobs=jobs or _jobs(plan), watcher=display)


def _jobs(plan: Plan) -> int:
    """As many as there are cores for; one where each would want the GPU for itself."""
    if str(plan.options.get("preset") or "tiny") != "tiny" or plan.options.get("model"):
        return 1
    return max(1, (os.cpu_count() or 1) // int(plan.options.get("threads") or 1))


def _plan(methods: str | None, seeds: str | None, options: dict[str, Any], special: list[tuple[str, str, Any]]) -> Plan:
    from fnmatch import fnmatchcase

    from mentor.compare import Plan
    from mentor.compare.plan import parse_seeds

    if methods is None:
        raise ConfigError("nothing to compare: name methods with --methods, or a comparison's file or folder")
    plan = Plan.of(_names(methods), seeds=parse_seeds(seeds or "0-4"), options=options)
    for pattern, key, value in special:
        named = [label for label in plan.variants if fnmatchcase(label, pattern)]
        if not named:
            raise ConfigError(f"--set {pattern}:{key}: no method is called so; there are {', '.join(plan.variants)}")
        variants = {label: {**own, **({key: value} if label in named else {})} for label, own in plan.variants.items()}
        plan = replace(plan, variants=variants)
    return plan


def _report(comparison: Comparison, output: Path | None, *, command: str | None, figures: bool) -> None:
    from rich.console import Console

    from mentor.compare.console import summary_table
    from mentor.compare.tables import write_tables

    shown = Console()
    shown.print(summary_table(comparison))
    for note in [f"no result: {gap.label}, seed {gap.seed} ({gap.reason})" for gap in comparison.missing]:
        shown.print(note, style="yellow", markup=False, highlight=False)
    for note in comparison.notes:
        shown.print(note, markup=False, highlight=False)
    if output is None:
        click.echo("not written to files: name a folder with --output", err=True)
        return
    written = write_tables(comparison, output, command=command)
    if figures:
        from mentor.compare.figures import draw_figures

        written += draw_figures(comparison, output)
    click.echo(f"{output}: {', '.join(path.name for path in written)}")


def _tell_failures(outcome: Outcome | None, console: Console) -> None:
    if outcome is None:
        return
    for name, reason in outcome.failed.items():
        console.print(f"failed: {name}: {reason}", style="red", markup=False, highlight=False, soft_wrap=True)
    if outcome.left:
        console.print(f"not run: {', '.join(outcome.left)}", style="yellow", markup=False, soft_wrap=True)


def _settings(given: tuple[str, ...]) -> tuple[dict[str, Any], list[tuple[str, str, Any]]]:
    """What all runs share, and (pattern of methods, key, value) for what only some of them have."""
    import yaml

    common: dict[str, Any] = {}
    special: list[tuple[str, str, Any]] = []
    for text in given:
        name, equals, value = text.partition("=")
        pattern, colon, key = name.rpartition(":")
        if not equals or not key.strip():
            raise ConfigError(f"--set {text!r}: KEY=VALUE is wanted, for example --set max_steps=20")
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError(f"--set {text!r}: the value is no YAML") from None
        key = key.strip().replace("-", "_")
        if colon:
            special.append((pattern.strip(), key, read))
        else:
            common[key] = read
    return common, special


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _check_names(runs: list[RunRecord], missing: list[Missing], **given: str) -> None:
    """Refuse names of methods that were typed and that no run has: the tests would be others than those asked for."""
    context, known = click.get_current_context(), {run.label for run in runs} | {gap.label for gap in missing}
    for option, names in given.items():
        if context.get_parameter_source(option) is not click.core.ParameterSource.COMMANDLINE:
            continue
        if unknown := [name for name in _names(names) if name not in known]:
            raise ConfigError(f"--{option}: no run is of {unknown[0]!r}; there are {', '.join(sorted(known))}")


def _folder(said: dict[str, Any]) -> Path | None:
    return Path(str(said["output"])) if "output" in said else None


def _count(said: dict[str, Any]) -> int | None:
    jobs = said.get("jobs")
    if jobs is not None and (isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1):
        raise ConfigError(f"jobs is {jobs}, must be a whole number of at least 1")
    return jobs
