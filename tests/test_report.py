"""mentor.report: what the page says, what it escapes, and what it makes of interrupted runs."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import random
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from comparisons import write_run
from mentor.compare import compare_runs, read_runs
from mentor.errors import DataError, InputError
from mentor.report import write_report
from mentor.report.choose import choose
from mentor.report.curves import Series, draw_phases
from mentor.report.judged import judge_rows, reward_of, weights
from mentor.report.numbers import cell, paired_interval, wilson
from mentor.report.rollouts import Shared, view
from mentor.report.run import read_run
from mentor.report.text import clean
from mentor.report.timing import step_time

pytestmark = pytest.mark.train

SPLITS = {"in_domain": (0.11, 0.86), "depth": (0.06, 0.41), "operands": (0.09, 0.1)}
CONFIG = """\
method: mentor-dense
preset: tiny
model: {name: built on the spot, hidden: 64}
seed: 3
versions: {mentor: 0.1.0, torch: 2.9.0, transformers: 5.17.0, trl: 1.16.0}
guest: 3f8a9c1e77aa00bb11cc
"""


def make_run(folder: Path, *, rows: int = 60, after: bool = True) -> Path:
    """A run folder by the contract of DESIGN.md."""
    rng = random.Random(0)
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(CONFIG)
    metrics = [
        {"phase": "base", "step": i, "time_s": i * 0.2, "loss": 3 / (1 + i), "step_time_s": 0.2} for i in range(20)
    ]
    for i in range(rows):
        done = i / rows
        metrics.append(
            {
                "phase": "grpo",
                "step": i + 1,
                "time_s": 4 + i * 2.0,
                "loss": 0.02 * math.cos(i),
                "reward": 0.2 + 0.7 * done + rng.uniform(-0.1, 0.1),
                "accuracy": min(1, 0.1 + 0.75 * done + rng.uniform(0, 0.1)),
                "tool_validity": 1 - 0.4 * (1 - done),
                "alignment_f1": 0.3 + 0.6 * done,
                "zero_variance_groups": rng.randrange(5),
                "step_time_s": 2.5,
                "generate_s": 1.5,
                "tools_s": 0.02,
                "reward_s": 0.005,
                "update_s": 0.9,
            }
        )
    write_lines(folder / "metrics.jsonl", metrics)
    write_lines(folder / "eval.jsonl", evaluations(after))
    write_lines(folder / "completions.jsonl", [rollout("eval_before", i, good=i == 4) for i in range(6)])
    later = [rollout("grpo", i, good=i % 3 > 0) for i in range(12)]
    if after:
        later += [rollout("eval_after", i, good=i != 2) for i in range(6)]
    with (folder / "completions.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in later)
    return folder


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def evaluations(after: bool) -> list[dict[str, Any]]:
    rows = []
    for split, values in SPLITS.items():
        for stage, accuracy in zip(("before", "after"), values if after else values[:1], strict=False):
            rows.append(
                {
                    "stage": stage,
                    "split": split,
                    "tasks": 128,
                    "accuracy": accuracy,
                    "sampled_accuracy": accuracy * 0.9,
                    "tool_validity": 0.6 + accuracy / 3,
                    "alignment_f1": accuracy,
                    "tool_similarity": 0.8,
                    "calls_per_rollout": 1.7 + accuracy,
                    "truncated": 0.01,
                }
            )
    return rows


def rollout(phase: str, i: int, *, good: bool) -> dict[str, Any]:
    def call(name: str, a: int, b: int) -> dict[str, Any]:
        return {"name": name, "arguments": {"a": a, "b": b}}

    calls = [call("multiply", 12, 4 + i), call("add", 48 + 12 * i, 7)] if good else [call("add", 12, 4 + i)]
    completion: list[dict[str, Any]] = []
    for made in calls:
        completion.append({"role": "assistant", "content": "Next step.", "tool_calls": [{"function": made}]})
        completion.append({"role": "tool", "name": made["name"], "content": str(16 + i)})
    completion.append({"role": "assistant", "content": f"The answer is \\boxed{{{55 + 12 * i if good else 16 + i}}}."})
    return {
        "phase": phase,
        "step": i,
        "split": list(SPLITS)[i % 3],
        "task_id": f"task-{phase}-{i}",
        "prompt": [{"role": "user", "content": f"Start with 12, multiply by {4 + i}, then add 7. What is the result?"}],
        "completion": completion,
        "reference": {
            "answer": str(55 + 12 * i),
            "tool_calls": [call("multiply", 12, 4 + i), call("add", 48 + 12 * i, 7)],
        },
        "reward": 1.0 if good else 0.15,
        "components": {"answer": float(good), "alignment": 1.0 if good else 0.25},
        "correct": good,
        "defects": [] if good else [{"kind": "unmatched_call", "message": "add(12, 4) has no partner"}],
    }


class Page(HTMLParser):
    """Tags, attributes and text as a browser sees them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.html = path.read_text("utf-8")
        self.script = ""
        self._inside = False
        self.feed(self.html)
        self.close()
        start = self.html.index('<script type="application/json" id="data">') + 42
        self.data: dict[str, Any] = json.loads(self.html[start : self.html.index("</script>", start)])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " "
        self.attributes += attrs
        self._inside = tag == "script"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.script += data
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = False


def page(folder: Path) -> Page:
    return Page(write_report(folder))


def test_the_page_says_what_was_trained_and_what_it_brought(tmp_path: Path) -> None:
    found = page(make_run(tmp_path / "run"))
    text = " ".join(found.text.split())
    for part in ("mentor-dense", "tiny", "built on the spot", "Seed 3", "trl 1.16.0", "guest 3f8a9c1e77aa00bb"):
        assert part in text
    for split in SPLITS:
        assert split in text
    assert "128 11.0 % 7 % to 18 % 86.0 % 79 % to 91 % +75.0 +65 to +82" in text
    assert "Duration 0:02:02" in text
    assert "What is missing" not in text
    assert found.tags.count("figure") == 7 + 2
    assert "2.50 s over 60 steps" in text
    assert "60.0 % 1.500 s 36.0 % 0.900 s 0.8 % 0.020 s 0.2 % 0.005 s \N{EN DASH} 3.0 % 0.075 s" in text
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids)) > 0


def test_only_changes_beyond_chance_are_coloured(tmp_path: Path) -> None:
    found = page(make_run(tmp_path / "run"))
    assert re.findall(r'class="change (\w+)"', found.html) == ["up", "up", "same"]


def test_the_file_needs_no_network_and_runs_no_script_but_its_own(tmp_path: Path) -> None:
    found = page(make_run(tmp_path / "run"))
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & set(found.tags)
    assert found.tags.count("script") == 2
    scripts = re.findall(r"<script>(.*?)</script>", found.html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = next(value for name, value in found.attributes if name == "content" and "default-src" in str(value))
    assert policy == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )
    assert found.html.replace("http://www.w3.org/2000/svg", "").count("://") == 0  # the name of SVG, fetched by nobody
    assert "@import" not in found.html
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "XMLHttpRequest"):
        assert word not in scripts[0]
    for name, value in found.attributes:
        assert not name.startswith("on")
        assert name not in ("href", "xlink:href", "src") or str(value).startswith("#")


def test_curves_take_their_colours_from_the_page(tmp_path: Path) -> None:
    rows = [{"phase": "grpo", "step": i, "reward": i / 9} for i in range(10)]
    svg = draw_phases([Series("one", 0, [rows])])[0].curves[0].svg
    assert "var(--s0)" in svg
    assert "var(--muted)" in svg
    assert re.findall(r"#[0-9a-f]{6}", svg) == []
    assert "<text" in svg


def test_methods_of_one_colour_have_other_marks(tmp_path: Path) -> None:
    folders = []
    for at in range(12):
        folders.append(make_run(tmp_path / f"m{at}", rows=4))
        (folders[-1] / "config.yaml").write_text(f"method: m{at}\n")
    found = Page(write_report(folders, output=tmp_path / "all.html"))
    legend = re.findall(r'<i class="(swatch [^"]*)"></i>m\d+ *</span>', found.html)
    assert len(set(legend)) == 12
    assert len({run["look"] for run in found.data["runs"]}) == 12
    assert len({one["look"] for one in found.data["curves"][0][0]["series"]}) == 12


def test_the_step_time_may_have_trls_name() -> None:
    rows = [{"phase": "grpo", "step": i, "step_time": 2.5} for i in range(3)]
    curve = draw_phases([Series("one", 0, [rows])])[0].curves[0]
    assert (curve.title, curve.last) == ("Step time", [2.5])


def test_a_model_that_the_preset_chooses_is_called_so(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "config.yaml").write_text("preset: tiny\nmodel: null\n")
    assert "Model the preset's" in " ".join(page(folder).text.split())


def test_rollouts_stand_beside_their_references(tmp_path: Path) -> None:
    data = page(make_run(tmp_path / "run")).data
    assert len(data["rollouts"]) == 24
    assert {one["phase"] for one in data["rollouts"]} == {"eval_before", "grpo", "eval_after"}
    right = next(one for one in data["rollouts"] if one["task"] == "task-eval_before-4")
    wrong = next(one for one in data["rollouts"] if one["task"] == "task-eval_after-2")
    assert (right["correct"], wrong["correct"]) == (True, False)
    assert wrong["defects"] == [["unmatched_call", "add(12, 4) has no partner"]]
    assert ["alignment", 0.25] in wrong["components"]
    calls = [part for turn in right["turns"] for part in turn["parts"] if part["kind"] == "call"]
    assert [(call["name"], call["match"]["reference"], call["match"]["exact"]) for call in calls] == [
        ("multiply", 0, True),
        ("add", 1, True),
    ]
    assert calls[0]["result"] == "20"
    assert right["answer"] == "103"
    assert data["references"][right["reference"]]["answer"] == "103"
    assert "multiply by 8" in data["prompts"][right["prompt"]]
    assert sum(turn["credit"] for turn in right["turns"]) == pytest.approx(1.0)


HOSTILE = [
    "<script>alert(1)</script>",
    "</style><script>x</script>",
    '"><img src=x onerror=alert(1)>',
    "</pre></main></html>",
    "<!--",
    "{{ 7 * 7 }}",
    "nul \0 here",
    "half \ud800 character",
    "\u202egnp.exe",
    "x" * 50_000,
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page(make_run(tmp_path_factory.mktemp("plain") / "run"))


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_models_stays_text(tmp_path: Path, plain: Page, text: str) -> None:
    folder = make_run(tmp_path / "run")
    evil = {
        "phase": "eval_after",
        "step": text,
        "split": text,
        "task_id": text,
        "prompt": [{"role": "user", "content": text}],
        "completion": [
            {
                "role": "assistant",
                "content": text,
                "tool_calls": [{"function": {"name": text, "arguments": {text: 1}}}],
            },
            {"role": "tool", "content": text},
            {"role": "assistant", "content": f"\\boxed{{{text}}}"},
        ],
        "reference": {"answer": text, "tool_calls": [{"name": text, "arguments": text}]},
        "reward": 2.0,
        "components": {text: 1.0},
        "correct": True,
        "defects": [{"kind": text, "message": text}],
    }
    for name, row in (
        ("completions.jsonl", evil),
        ("eval.jsonl", {"stage": "after", "split": text, "tasks": 1, "accuracy": 1}),
        ("metrics.jsonl", {"phase": text, "step": 0, "loss": 1}),
        ("metrics.jsonl", {"phase": text, "step": 1, "loss": 2}),
    ):
        with (folder / name).open("a") as file:
            file.write(json.dumps(row) + "\n")
    with (folder / "config.yaml").open("a") as file:
        file.write(f"note: {json.dumps(text)}\n")
    found = page(folder)
    assert set(found.tags) == set(plain.tags)
    assert re.findall(r"<script>.*?</script>", found.html, re.DOTALL) == re.findall(
        r"<script>.*?</script>", plain.html, re.DOTALL
    )
    assert {name for name, _ in found.attributes} == {name for name, _ in plain.attributes}
    assert found.tags.count("html") == found.tags.count("style") == found.tags.count("main") == 1
    assert "\0" not in found.html
    assert "\u202e" not in found.html
    assert clean(text)[:40] in found.text
    assert found.html.count("</script") == 2
    assert "<!--" not in found.html
    shown = found.data["rollouts"][-1]
    assert shown["turns"][0]["parts"][0]["text"].strip() == clean(text).strip()
    assert len(found.html) < 700_000


def test_long_text_is_cut_with_a_note() -> None:
    assert clean("abcdef", limit=4) == "abcd [... 2 of 6 characters not shown]"
    assert clean("a\r\nb\tc") == "a\nb\tc"
    assert clean("\0\ud800\u202e\x1b[31m") == r"\x00\ud800\u202e\x1b[31m"


def test_an_interrupted_run_gets_a_report_that_says_what_is_missing(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", after=False)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"phase": "grpo", "step": 61, "rew')
    text = " ".join(page(folder).text.split())
    assert "No evaluation after training: was the run interrupted, or is it still going?" in text
    assert "metrics.jsonl: 1 line left out; the first is line 81: half-written JSON: the line ends inside a str" in text
    assert "128 11.0 % 7 % to 18 % \N{EN DASH} \N{EN DASH}" in text


def test_a_run_that_was_stopped_amid_its_last_evaluation_is_not_finished(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    rows = [row for row in evaluations(after=True) if (row["stage"], row["split"]) != ("after", "operands")]
    write_lines(folder / "eval.jsonl", rows)
    text = " ".join(page(folder).text.split())
    assert "State step 60" in text
    assert "The evaluation after training has 2 of 3 splits: was the run interrupted, or is it still going?" in text


def test_each_file_may_be_missing_or_damaged(tmp_path: Path) -> None:
    names = ["config.yaml", "metrics.jsonl", "eval.jsonl", "completions.jsonl"]
    for name in names:
        folder = make_run(tmp_path / name)
        (folder / name).unlink()
        assert f"{name} is missing" in page(folder).text
        (folder / name).write_bytes(b"\xff\x00{")
        assert name in page(folder).text
    folder = make_run(tmp_path / "lonely")
    for name in names[1:]:
        (folder / name).unlink()
    assert "eval.jsonl is missing" in page(folder).text


def test_numbers_that_are_none_leave_gaps(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    odd = [None, "x", True, [1], {"a": 1}, float("nan"), float("inf"), 10**400]
    write_lines(
        folder / "metrics.jsonl",
        [{"phase": "grpo", "step": i, "reward": value, "time_s": value} for i, value in enumerate([*odd, 1, 2])],
    )
    write_lines(folder / "eval.jsonl", [{"stage": "after", "split": "s", "tasks": v, "accuracy": v} for v in odd])
    write_lines(
        folder / "completions.jsonl",
        [{"phase": "grpo", **dict.fromkeys(("reward", "components", "prompt", "completion"), v)} for v in odd],
    )
    assert page(folder).tags.count("figure") == 1


def test_numbers_too_large_to_draw_are_left_out(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    huge = [{"step": 1e308, "loss": 1}, {"step": -1e308, "loss": 2}, {"step": 1, "loss": 1e308}, {"step": 2, "loss": 3}]
    write_lines(folder / "metrics.jsonl", [{"phase": "grpo", **row} for row in huge])
    evaluation = {"stage": "after", "split": "s", "tasks": 1e300, "accuracy": 0.5}
    write_lines(folder / "eval.jsonl", [evaluation, {**evaluation, "split": "t", "accuracy": 1.5}])
    found = page(folder)
    assert found.tags.count("figure") == 0
    assert "50.0\xa0%" in found.text


def test_an_absurd_duration_is_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    write_lines(run / "metrics.jsonl", [{"phase": "grpo", "step": 1, "time_s": 1e15, "reward": 0.5}])
    assert "Duration" not in write_report(run).read_text()


def test_a_wrong_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none: no such folder; train one first: python -m mentor\.train"):
        write_report(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"this is a file, the run's folder is wanted"):
        write_report(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no run is in this folder .* pass the folder that python -m mentor\.train"):
        write_report(tmp_path / "empty")


def report_command() -> Any:
    from mentor.cli.report import report

    return report


def test_the_command_prints_the_path_or_the_error(tmp_path: Path) -> None:
    report = report_command()
    folder = make_run(tmp_path / "run")
    done = CliRunner().invoke(report, [str(folder)])
    assert (done.exit_code, done.output) == (0, f"{folder / 'report.html'}\n")
    failed = CliRunner().invoke(report, [str(tmp_path / "none")])
    assert failed.exit_code == 2
    assert failed.output.startswith(f"Error: {tmp_path / 'none'}: no such folder")


def make_comparison(root: Path) -> Path:
    """A comparison's folder: two methods with two seeds each, one of them with another setting."""
    (root / "runs").mkdir(parents=True)
    for method in ("mentor", "sparse"):
        for seed in (0, 1):
            folder = make_run(root / "runs" / f"{method}-{seed}", rows=6)
            config = CONFIG.replace("mentor-dense", method).replace("seed: 3", f"seed: {seed}")
            beta = 0.02 if (method, seed) == ("sparse", 1) else 0.0
            (folder / "config.yaml").write_text(
                config + f"beta: {beta}\n{'suite: null' * seed}\noutput_dir: {folder}\n"
            )
    return root


def test_runs_of_a_comparison_share_a_page(tmp_path: Path) -> None:
    root = make_comparison(tmp_path / "leak")
    (root / "runs" / "waiting").mkdir()
    path = write_report(root)
    assert path == root / "report.html"
    found = Page(path)
    text = " ".join(found.text.split())
    assert "Run State Duration method seed beta mentor-0 finished 0:00:14 mentor 0 0.0" in text
    assert re.findall(r"<td class=\"setting\"><mark>(.*?)</mark>", found.html) == ["0.02"]
    assert "Method Runs in_domain depth operands before training 2 11.0 %" in text
    assert re.search(r"mentor 2 86.0 % 8\d % to 9\d % .* sparse 2 86.0 %", text)
    assert "mentor (mean of 2)" in text
    assert [run["label"] for run in found.data["runs"]] == ["mentor-0", "mentor-1", "sparse-0", "sparse-1"]
    assert [len(one["series"]) for one in found.data["curves"][0]] == [2] * len(found.data["curves"][0])
    assert len(found.data["rollouts"]) == 96
    assert len({one["id"] for one in found.data["rollouts"]}) == 96
    assert len(found.data["prompts"]) == 12
    assert text.count("What is missing") == 0


def test_runs_of_one_name_are_told_apart_and_the_file_can_be_named(tmp_path: Path) -> None:
    folders = [make_run(path) for name in ("x", "y") if (path := tmp_path / name / "mentor-0").parent.mkdir() is None]
    done = CliRunner().invoke(report_command(), [*map(str, folders), str(folders[0]), "-o", str(tmp_path / "two.html")])
    assert (done.exit_code, done.output) == (0, f"{tmp_path / 'two.html'}\n")
    assert [run["label"] for run in Page(tmp_path / "two.html").data["runs"]] == ["x/mentor-0", "y/mentor-0"]


def test_a_run_that_is_still_going_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    root = make_comparison(tmp_path / "leak")
    (root / "runs" / "sparse-1" / "eval.jsonl").unlink()
    with (root / "runs" / "sparse-1" / "config.yaml").open("a") as file:
        file.write("max_steps: 40\n")
    young = root / "runs" / "young"
    young.mkdir()
    (young / "config.yaml").write_text("method: strict\n")
    text = " ".join(Page(write_report(root)).text.split())
    assert "sparse-1 step 6 of 40" in text
    assert "young nothing logged yet" in text
    assert "sparse-1: eval.jsonl is missing: the evaluation before and after cannot be shown." in text
    assert re.search(r"strict 1 \N{EN DASH} \N{EN DASH} \N{EN DASH}", text)


def test_a_method_without_training_counts_with_its_only_evaluation(tmp_path: Path) -> None:
    root = make_comparison(tmp_path / "leak")
    base = make_run(root / "runs" / "base-0", after=False)
    (base / "config.yaml").write_text("method: base\n")
    (base / "metrics.jsonl").unlink()
    text = " ".join(Page(write_report(root)).text.split())
    assert "base 1 11.0 %" in text
    assert "before training 2" not in text  # the same policies once more
    assert "No evaluation after" not in text
    assert "is missing" not in text


def test_rewards_are_those_that_the_trainer_uses() -> None:
    from mentor.config.methods import METHODS

    assert {name: reward_of(name) for name in METHODS} == {name: method.reward for name, method in METHODS.items()}


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    assert write_report(folder).read_bytes() == write_report(folder).read_bytes()


def shown(row: dict[str, Any], reward: str = "mentor-dense") -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A row as the page's data has it, and its calls."""
    found = view(row, judge_rows([row], reward)[0], Shared(), weights=weights(reward))
    return found, [part for turn in found["turns"] for part in turn["parts"] if part["kind"] == "call"]


def test_matches_are_the_scorers(tmp_path: Path) -> None:
    def call(name: str, **arguments: Any) -> dict[str, Any]:
        return {"name": name, "arguments": arguments}

    student = [call("add", a=1, b=2), call("add", a=3, b=4.0), call("sqrt", a=4)]
    messages: list[dict[str, Any]] = [{"role": "assistant", "tool_calls": [{"function": one} for one in student]}]
    messages += [{"role": "tool", "content": text} for text in ("3", "7", "2")]
    teacher = [call("add", a=3, b=4), call("add", a=1, b=6), call("floor", a=1)]
    _, calls = shown({"completion": messages, "reference": {"answer": 1, "tool_calls": teacher}})
    assert [one["match"] and one["match"]["reference"] for one in calls] == [1, 0, None]
    assert [one["match"] and one["match"]["exact"] for one in calls] == [False, True, None]
    assert calls[0]["match"]["reasons"]
    assert [one["result"] for one in calls] == ["3", "7", "2"]


def test_flaws_stand_where_they_were_written() -> None:
    messages = [
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1}}}]},
        {"role": "tool", "content": "1"},
        {"role": "assistant", "content": '\u00e9 I add. <tool_call>{"name": </tool_call> so'},
        {"role": "tool", "content": "error: the call cannot be read"},
        {"role": "assistant", "content": 'Then <tool_call>{"name": "fly", "arguments": {}}</tool_call>'},
        {"role": "tool", "content": "error: no such tool"},
        {"role": "assistant", "content": "\\boxed{\\frac{1}{2}}"},
    ]
    reference = {"answer": "0.5", "tool_calls": [{"name": "add", "arguments": {"a": 1}}]}
    found, calls = shown({"completion": messages, "reference": reference, "tools": ["add"]})
    parts = [turn["parts"] for turn in found["turns"]]
    assert [part["kind"] for part in parts[1]] == ["text", "flaw", "text", "result"]
    assert parts[1][0]["text"] == "\u00e9 I add. "
    assert parts[1][1]["flaws"][0][0] == "malformed_call"
    assert parts[1][3]["text"] == "error: the call cannot be read"
    assert [one["name"] for one in calls] == ["add", "fly"]
    assert calls[1]["flaws"][0][0] == "unknown_tool"
    assert calls[1]["result"] == "error: no such tool"
    assert found["answer"] == "\\frac{1}{2}"


def test_a_call_that_cannot_be_read_is_shown_as_written() -> None:
    broken = {"function": {"name": "add", "arguments": '{"a": 1'}}
    fine = {"function": {"name": "add", "arguments": '{"a": 1}'}}
    row = {
        "completion": [{"role": "assistant", "content": None, "tool_calls": [fine, broken]}],
        "reference": {"answer": "1", "tool_calls": [{"name": "add", "arguments": {"a": 1}}]},
    }
    _, calls = shown(row)
    assert calls[0]["arguments"] == [["a", "1"]]
    assert (calls[1]["broken"], calls[1]["arguments"]) == (True, '{"a": 1')


def test_terms_and_their_weights_explain_the_recorded_reward_or_are_left_out() -> None:
    row = rollout("grpo", 0, good=True)
    found, _ = shown(row)
    assert found["terms"] == [["outcome", 0.6, 0.6], ["process", pytest.approx(0.3), 0.3], ["validity", 0.1, 0.1]]
    found, _ = shown(row | {"reward": 0.5})
    assert "terms" not in found
    assert found["note"] == "Scored again with mentor-dense it earns 1; the run recorded the above."
    assert weights("sparse") == {"outcome": 1.0}


def test_a_row_that_cannot_be_scored_says_why_and_spoils_no_other() -> None:
    rows = [rollout("grpo", 0, good=True), {**rollout("grpo", 1, good=True), "reference": {"tool_calls": 3}}]
    judged = judge_rows(rows, "mentor")
    assert judged[0].score is not None
    assert judged[0].score.matches
    assert judged[1].score is None
    found = view(rows[1], judged[1], Shared(), weights={})
    assert "It cannot be scored again, so no matches are shown: refs[0]" in found["note"]
    assert [part["kind"] for part in found["turns"][0]["parts"]] == ["text", "call"]


def test_results_go_to_their_calls_and_many_calls_are_cut() -> None:
    calls = [{"function": {"name": "add", "arguments": '{"a": 1}'}}] * 50
    tools = [{"role": "tool", "content": str(i)} for i in range(50)]
    row = {
        "completion": [{"role": "assistant", "content": "", "tool_calls": calls}, *tools],
        "reference": {"answer": "1"},
    }
    found, made = shown(row)
    assert [one["result"] for one in made] == [str(i) for i in range(40)]
    assert found["hidden"] == 10


def test_deeply_nested_arguments_are_survived(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    deep = '{"a": ' * 900 + "1" + "}" * 900
    row = rollout("eval_after", 0, good=True)
    line = json.dumps(row | {"reward": 5}).replace('"arguments": {"a": 12, "b": 4}', f'"arguments": {deep}')
    with (folder / "completions.jsonl").open("a") as file:
        file.write(line + "\n")
    assert page(folder).data["rollouts"][-1]["task"] == "task-eval_after-0"


WILSON = [(0.5, 100, (0.404, 0.596)), (0.0, 10, (0.0, 0.278)), (1.0, 10, (0.722, 1.0)), (0.5, 0, (math.nan, math.nan))]


@pytest.mark.parametrize(("rate", "n", "interval"), WILSON)
def test_wilson_intervals_are_the_textbooks(rate: float, n: int, interval: tuple[float, float]) -> None:
    assert wilson(rate, n) == pytest.approx(interval, abs=5e-4, nan_ok=True)


def test_the_interval_of_a_paired_difference_is_the_published_one() -> None:
    # Newcombe 1998, table III: 36 right both times, 12 only after, 2 only before, n = 50.
    before, after = [1] * 36 + [0] * 12 + [1] * 2, [1] * 36 + [1] * 12 + [0] * 2
    assert paired_interval(before, after) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_the_paired_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = random.Random(7)
    hits = 0
    for _ in range(600):
        before = [int(rng.random() < 0.4) for _ in range(60)]
        after = [old if rng.random() < 0.6 else int(rng.random() < 0.7) for old in before]
        low, high = paired_interval(before, after)
        hits += low <= 0.4 * (0.7 - 0.4) <= high
    assert 0.92 <= hits / 600 <= 0.98


def test_lists_of_right_tasks_make_the_interval_paired(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    before = [1] * 36 + [0] * 12 + [1] * 2
    after = [1] * 36 + [1] * 12 + [0] * 2
    rows = [
        {"stage": stage, "split": "s", "tasks": 50, "accuracy": sum(right) / 50, "correct": right}
        for stage, right in (("before", before), ("after", after))
    ]
    write_lines(folder / "eval.jsonl", rows)
    assert "+20.0 +6 to +34, paired" in " ".join(page(folder).text.split())
    write_lines(folder / "eval.jsonl", [rows[0], {**rows[1], "correct": [2, "x"]}])
    assert ", paired" not in page(folder).text


def test_one_run_has_wilsons_interval_and_several_a_bootstrap_over_runs() -> None:
    assert cell([{"accuracy": 0.5, "tasks": 100}]).ci == pytest.approx((0.404, 0.596), abs=5e-4)
    split = cell([{"accuracy": value, "tasks": 100} for value in (0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)])
    assert split.mean == 0.75
    assert split.ci == pytest.approx((0.5, 1.0), abs=0.13)
    tight = cell([{"accuracy": 0.75, "tasks": 400}] * 8)
    assert tight.ci[1] - tight.ci[0] == pytest.approx(2 * 1.96 * math.sqrt(0.75 * 0.25 / 3200), rel=0.1)
    assert cell([{}, {"accuracy": "x"}]).values == ()


def test_intervals_of_several_runs_are_those_of_a_comparison(tmp_path: Path) -> None:
    accuracy = [0.1, 0.2, 0.9, 0.9, 0.8]
    folders = [
        write_run(
            tmp_path / f"mentor-{seed}", method="mentor", seed=seed, accuracy=value, config={"base_seed": seed // 2}
        )
        for seed, value in enumerate(accuracy)
    ]
    runs = [read_run(folder) for folder in folders]
    compared = compare_runs(read_runs(folders)[0])
    for split in ("in_domain", "depth"):
        found = cell([run.result(split) for run in runs], [run.base for run in runs])
        wanted = compared.cell("mentor", split)
        assert wanted is not None
        interval = wanted.measures["accuracy"]
        assert (found.mean, *found.ci) == pytest.approx((interval.value, interval.low, interval.high))


def test_step_time_is_split_into_what_was_measured_and_the_rest() -> None:
    rows = [
        {"phase": "grpo", "step_time": 4.0, "timing": {"generate_s": 1.0, "update_s": 2.0}},
        {"phase": "grpo", "step_time": 4.0, "generate_s": 2.0, "update_s": 1.0, "tools_s": float("nan")},
        {"phase": "grpo", "step_time": 4.0},
        {"phase": "base", "generate_s": 9.0},
    ]
    found = step_time(rows)
    assert found is not None
    assert (found.steps, found.seconds) == (2, 4.0)
    assert found.shares == [("Generation", 1.5, 0.375), ("Update", 1.5, 0.375), ("Other", 1.0, 0.25)]
    assert step_time([]) is None


def test_a_page_has_the_evaluations_first_and_training_spread_over_the_steps(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    rows = [rollout("eval_before", i, good=False) for i in range(4)]
    rows += [rollout("grpo", i // 4, good=True) for i in range(400)]
    rows += [rollout("eval_after", i, good=True) for i in range(4)]
    write_lines(folder / "completions.jsonl", rows)
    found = Page(write_report(folder, max_mb=0.05))
    kept = found.data["rollouts"]
    assert len(found.html) < len(Page(write_report(folder)).html) - 100_000
    assert sum(one["phase"] != "grpo" for one in kept) == 8
    steps = [int(one["step"]) for one in kept if one["phase"] == "grpo"]
    assert 10 < len(steps) < 100
    assert (min(steps), max(steps)) == (0, 99)
    assert max(after - before for before, after in zip(sorted(set(steps)), sorted(set(steps))[1:], strict=False)) <= 26
    assert f"{408 - len(kept)} of 408 rollouts are not in this page" in found.text
    assert Page(write_report(folder, max_mb=0)).data["rollouts"] == []


def test_a_rollout_too_long_for_the_page_hides_no_other(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    row = rollout("eval_after", 9, good=False)
    row["completion"].append({"role": "assistant", "content": "on and on " * 20_000})
    with (folder / "completions.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    found = Page(write_report(folder, max_mb=0.15))
    assert len(found.data["rollouts"]) == 24
    assert "1 of 25 rollouts are not in this page" in found.text


def test_names_of_rollouts_do_not_change_when_a_file_grows() -> None:
    rows = [rollout("grpo", 1, good=True), rollout("grpo", 1, good=False), rollout("grpo", 2, good=True)]
    few, _ = choose(rows, lambda: rows, max_bytes=10**6)
    more = [*rows, rollout("grpo", 3, good=True), {"phase": "other"}]
    many, total = choose(more, lambda: more, max_bytes=10**6)
    assert [one.name for one in many][:3] == [one.name for one in few]
    assert len({one.name for one in many}) == total == 4


@pytest.mark.parametrize("size", [math.nan, math.inf, -1])
def test_a_size_that_is_none_is_refused(tmp_path: Path, size: float) -> None:
    with pytest.raises(InputError, match="max_mb"):
        write_report(make_run(tmp_path / "run"), max_mb=size)
    with pytest.raises(InputError, match="at least one run"):
        write_report([])


def test_the_page_is_part_of_the_package() -> None:
    assets = files("mentor.report").joinpath("assets")
    names = {entry.name for entry in assets.iterdir()}
    assert {"report.html.j2", "report.css", "shared.js", "curves.js", "detail.js", "list.js", "browser.js"} <= names
