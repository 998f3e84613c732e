"""mentor compare, reading: what the tables, tests and figures say of run folders."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from comparisons import SPLITS, write_run

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

from mentor.cli import main
from mentor.compare import compare_runs, read_comparison, read_run, read_runs
from mentor.compare.figures import draw_figures
from mentor.compare.summary import UNTRAINED
from mentor.compare.values import OOD
from mentor.errors import DataError, InputError

pytestmark = pytest.mark.train

SEEDS = range(8)
# sparse: all fail; strict: all but two fail; mentor: all but one succeed.
ACCURACY = {
    "sparse": [0.1] * 8,
    "strict": [0.1] * 6 + [0.9] * 2,
    "mentor": [0.9] * 7 + [0.1],
    "sft": [0.85] * 8,
}


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("comparison")
    for method, values in ACCURACY.items():
        for seed, accuracy in zip(SEEDS, values, strict=True):
            write_run(output / "runs" / f"{method}-{seed}", method=method, seed=seed, accuracy=accuracy)
    return output


def invoke(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["compare", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_the_summary_of_runs_of_two_kinds(comparison: Path) -> None:
    _, runs, missing = read_comparison(comparison)
    assert (len(runs), missing) == (32, [])
    found = compare_runs(runs)
    assert found.labels == [UNTRAINED, "sft", "sparse", "strict", "mentor"]
    assert found.splits == [*SPLITS, OOD]  # of other suites there is one split only, so no mean over them
    assert (found.seeds, found.bases) == (8, 8)
    mentor = found.cell("mentor", "depth")
    assert mentor is not None
    assert (round(mentor.solved.value * 8), mentor.solved.n) == (7, 8)
    solved = [value for value in mentor.accuracies if value >= 0.5]
    assert mentor.accuracy_if_solved == pytest.approx(sum(solved) / 7)
    assert mentor.zero_variance == pytest.approx(0.25)
    accuracy = mentor.measures["accuracy"]
    assert accuracy.low < accuracy.value < accuracy.high
    assert accuracy.value == pytest.approx(sum(mentor.accuracies) / 8)
    assert mentor.measures["silent"].value == pytest.approx(0.2)
    mean = found.cell("mentor", OOD)
    nohint = found.cell("mentor", "nohint")
    assert mean is not None
    assert nohint is not None
    assert mean.accuracies == pytest.approx(
        [(a + b) / 2 for a, b in zip(mentor.accuracies, nohint.accuracies, strict=True)]
    )
    sparse = found.cell("sparse", "depth")
    assert sparse is not None
    assert math.isnan(sparse.accuracy_if_solved)
    sft = found.cell("sft", "depth")
    assert sft is not None
    assert math.isnan(sft.zero_variance)


def test_the_tests_are_paired_and_corrected_within_their_family(comparison: Path) -> None:
    _, runs, _ = read_comparison(comparison)
    found = compare_runs(runs)
    depth = {(c.first, c.second): c for c in found.contrasts if c.split == "depth"}
    claim = depth["mentor", "sparse"]
    assert (claim.family, claim.test.n) == ("claim", 8)
    assert claim.test.p == pytest.approx(2 / 256 if claim.test.losses == 0 else claim.test.p)
    assert claim.test.p < 0.05
    assert claim.adjusted_p >= claim.test.p
    assert claim.test.difference.low > 0.3
    assert depth["mentor", "sft"].family == "further"
    assert depth["mentor", UNTRAINED].test.n == 8
    assert {c.family for c in found.contrasts} == {"claim", "further"}
    for pairs in compare_runs([run for run in runs if run.label in ("sft", "sparse")]).contrasts:
        assert (pairs.first, pairs.second) == ("sparse", "sft")


def test_few_pairs_are_told(comparison: Path) -> None:
    _, runs, _ = read_comparison(comparison)
    found = compare_runs([run for run in runs if run.seed < 4])
    assert any("no adjusted p can be below 0.25" in note for note in found.notes)


def test_missing_runs_are_named(tmp_path: Path) -> None:
    plan = "methods: [sparse, mentor]\nseeds: [0, 1, 2]\npreset: tiny\nmax_steps: 12\n"
    (tmp_path / "comparison.yaml").write_text(plan)
    runs = tmp_path / "runs"
    write_run(runs / "sparse-0", method="sparse", seed=0, accuracy=0.2)
    write_run(runs / "mentor-0", method="mentor", seed=0, accuracy=0.9)
    write_run(runs / "sparse-1", method="sparse", seed=1, accuracy=0.2)
    write_run(runs / "mentor-1", method="mentor", seed=1, accuracy=0.9, stages=("before",), steps=5)
    write_run(runs / "strict-0", method="strict", seed=0, accuracy=0.2)  # of an earlier plan
    code, output = invoke(tmp_path, "--only-report", "--no-figures")
    assert code == 0
    assert "no result: mentor, seed 1 (stopped at step 5 of 5)" in output
    assert "no result: sparse, seed 2 (not started)" in output
    text = (tmp_path / "table.md").read_text()
    assert "Without a result: " in text
    assert "mentor, seed 2 (not started)" in text
    assert "strict has no run with seed 1" in text
    table = json.loads((tmp_path / "table.json").read_text())
    assert {gap["label"] for gap in table["about"]["missing"]} == {"sparse", "mentor"}
    wanted = "--methods sparse,mentor --seeds 0-2 --preset tiny --threads 1 --set max_steps=12"
    assert wanted in table["about"]["command"]


def test_tables_and_figures_are_written(comparison: Path) -> None:
    code, output = invoke(comparison, "--only-report")
    assert code == 0, output
    assert "mentor" in output
    for name in ("table.md", "table.csv", "table.json", "tests.md", "tests.json"):
        assert (comparison / name).stat().st_size > 500
    for name in ("accuracy", "runs", "curves", "similarity"):
        assert (comparison / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        ElementTree.parse(comparison / f"{name}.svg")
    text = (comparison / "table.md").read_text()
    assert "| mentor | 8 |" in text
    assert "32 runs, 8 seeds, 8 base models" in text
    assert "torch 2.13.0" in text
    with (comparison / "table.csv").open() as file:
        rows = {(row["method"], row["split"]): row for row in csv.DictReader(file)}
    assert int(rows["mentor", "depth"]["solved_runs"]) == 7
    assert rows["sft", "depth"]["zero_variance"] == ""
    table = json.loads((comparison / "table.json").read_text())
    row = next(row for row in table["rows"] if (row["method"], row["split"]) == ("mentor", "depth"))
    assert len(row["accuracies"]) == 8
    assert float(rows["mentor", "depth"]["accuracy"]) == row["accuracy"]
    tests = json.loads((comparison / "tests.json").read_text())["tests"]
    claim = next(t for t in tests if (t["split"], t["first"], t["second"]) == ("depth", "mentor", "sparse"))
    assert claim["pairs"] == 8
    assert claim["p"] < 0.05
    figures = {path: path.read_bytes() for path in comparison.glob("*.svg")}
    assert invoke(comparison, "--only-report")[0] == 0
    assert {path: path.read_bytes() for path in comparison.glob("*.svg")} == figures


def test_run_folders_given_by_name(comparison: Path, tmp_path: Path) -> None:
    folders = [comparison / "runs" / f"{method}-{seed}" for method in ("sparse", "mentor") for seed in (0, 1)]
    code, output = invoke(*folders, "--no-figures")
    assert code == 0
    assert "not written to files" in output
    code, output = invoke(*folders, "-o", tmp_path / "two", "--no-figures")
    assert code == 0
    assert (tmp_path / "two" / "table.md").is_file()
    again = write_run(tmp_path / "again", method="sparse", seed=0, accuracy=0.2)
    with pytest.raises(DataError, match=r"both are sparse with seed 0"):
        read_runs([*folders, again])


def test_runs_of_one_method_with_other_settings_are_told_apart(tmp_path: Path) -> None:
    for scale in ("none", "group"):
        for seed in (0, 1):
            folder = tmp_path / f"{scale}-{seed}"
            write_run(folder, method="mentor", seed=seed, accuracy=0.5, config={"scale_rewards": scale})
    runs, _ = read_runs(sorted(tmp_path.iterdir()))
    assert {run.label for run in runs} == {"mentor scale_rewards=none", "mentor scale_rewards=group"}


def test_labels_are_drawn_as_they_are(tmp_path: Path) -> None:
    for model in ("/models/$a_{b$/c", "/models/d"):
        folder = tmp_path / f"run{len(model)}"
        write_run(folder, method="mentor", seed=0, accuracy=0.5, config={"model": model}, splits=("in_domain",))
    found = compare_runs(read_runs(sorted(tmp_path.iterdir()))[0])
    figures = {path.name: path for path in draw_figures(found, tmp_path / "figures")}
    assert "mentor model=/models/$a_{b$/c" in figures["runs.svg"].read_text()


def test_settings_in_which_runs_differ_are_told(tmp_path: Path) -> None:
    """Runs that were made otherwise may have been trained on other tasks; a table must not hide that."""
    for seed in (0, 1):
        for method, suite in (("sparse", "hints:leak=0"), ("mentor", "hints")):
            config = {"suite": suite, "save_steps": seed, "base_seed": seed}
            write_run(tmp_path / f"{method}-{seed}", method=method, seed=seed, accuracy=0.5, config=config)
    found = compare_runs(read_runs(sorted(tmp_path.iterdir()))[0])
    told = [note for note in found.notes if note.startswith("Besides")]
    assert told == ["Besides the method, runs differ in suite: hints (mentor); hints:leak=0 (sparse)."]


def test_damaged_settings_and_steps_are_errors_or_gaps(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", method="mentor", seed=0, accuracy=0.5, stages=("before",))
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"phase": "grpo", "step": "x"}\n')
    assert [gap.reason for gap in read_runs([run])[1]] == ["stopped at step 12 of 12"]
    write_run(tmp_path / "b", method="mentor", seed=1, accuracy=0.5, config={"model": {"name": "m"}, "base_seed": [1]})
    assert read_run(tmp_path / "b").base == "{'name': 'm'}"
    for seed in ('"abc"', ".inf", "[1]"):
        (run / "config.yaml").write_text(f"method: mentor\nseed: {seed}\n")
        code, output = invoke(run)
        assert (code, output.count("\n")) == (2, 1), output
        assert "config.yaml: seed is" in output


def test_without_tasks_and_with_damaged_lines(tmp_path: Path) -> None:
    for seed in (0, 1, 2):
        for method in ("sparse", "mentor"):
            write_run(tmp_path / f"{method}{seed}", method=method, seed=seed, accuracy=0.6, outcomes=False)
    with (tmp_path / "sparse0" / "eval.jsonl").open("a") as file:
        file.write('{"stage": "after", "split": "depth"')
    (tmp_path / "mentor0" / "metrics.jsonl").unlink()
    runs, _ = read_runs(sorted(tmp_path.iterdir()))
    found = compare_runs(runs)
    assert any("sparse0" in note and "unreadable" in note for note in found.notes)
    cell = found.cell("mentor", "depth")
    assert cell is not None
    assert cell.measures["accuracy"].n == 3


def test_one_seed_gives_numbers_and_no_false_certainty(tmp_path: Path) -> None:
    for method, accuracy in (("sparse", 0.2), ("mentor", 0.9)):
        write_run(tmp_path / "runs" / f"{method}-0", method=method, seed=0, accuracy=accuracy)
    code, output = invoke(tmp_path, "--only-report")
    assert code == 0, output
    tests = json.loads((tmp_path / "tests.json").read_text())["tests"]
    assert {test["p"] for test in tests} == {1.0}
    assert {test["effect"] for test in tests} == {None}


def test_an_interrupted_evaluation_is_no_result(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "base-0", method="base", seed=0, accuracy=0.2, steps=0)
    assert read_run(folder).finished
    rows = (folder / "eval.jsonl").read_text().splitlines(keepends=True)
    (folder / "eval.jsonl").write_text("".join(rows[:-1]))
    assert not read_run(folder).finished
    assert read_runs([folder])[1][0].reason == "the last evaluation has 3 of 4 splits"


def test_errors_are_one_line_and_say_what_to_do(tmp_path: Path, comparison: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "c.yaml").write_text("methods: [spars]\n")
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "seeds.yaml").write_text("methods: [sparse]\nseeds: 3-1\n")
    (tmp_path / "jobs.yaml").write_text("methods: [sparse]\njobs: many\n")
    (tmp_path / "variant.yaml").write_text("variants: {a: {seed: 1}}\n")
    cases: list[tuple[list[object], str]] = [
        ([tmp_path / "empty"], "no run is in this folder"),
        ([tmp_path / "none"], "no run is in this folder"),
        ([tmp_path / "c.yaml", "-o", tmp_path / "o"], "did you mean 'sparse'"),
        ([tmp_path / "list.yaml", "-o", tmp_path / "o"], "expected keys and values"),
        ([tmp_path / "seeds.yaml", "-o", tmp_path / "o"], "must be numbers such as 0-7"),
        ([tmp_path / "jobs.yaml", "-o", tmp_path / "o"], "jobs is many"),
        ([tmp_path / "variant.yaml", "-o", tmp_path / "o"], "among them method"),
        ([tmp_path / "gone.yaml", "-o", tmp_path / "o"], "No such file"),
        ([], "name methods with --methods"),
        (["--only-report"], "nothing to read"),
        (["-m", "sparse"], "name a folder with --output"),
        (["-m", "sparse,sparse", "-o", tmp_path / "o"], "names 'sparse' twice"),
        (["-m", "sparse", "-s", "0,0", "-o", tmp_path / "o"], "a seed is named twice"),
        (["-m", "sparse", "--set", "x", "-o", tmp_path / "o"], "KEY=VALUE is wanted"),
        (["-m", "sparse", "--set", "max_step=1", "-o", tmp_path / "o"], "did you mean 'max_steps'"),
        (["-m", "sparse", "--set", "max_steps=many", "-o", tmp_path / "o"], "must be a whole number"),
        (["-m", "sparse", "--set", "seed=1", "-o", tmp_path / "o"], "sets seed of its runs itself"),
        ([comparison, "-m", "sparse"], "leave out --methods"),
        ([comparison, "--only-report", "--focus", "mentr"], "--focus: no run is of 'mentr'; there are mentor, sft"),
        ([comparison, "--only-report", "--against", "sparse,stict"], "--against: no run is of 'stict'"),
    ]
    for words, wanted in cases:
        code, output = invoke(*words)
        assert (code, output.count("\n")) == (2, 1), output
        assert output.startswith("Error: ")
        assert wanted in output
    with pytest.raises(InputError, match="threshold"):
        compare_runs(read_comparison(comparison)[1], threshold=2)
    with pytest.raises(DataError, match="no run is finished"):
        compare_runs([])
