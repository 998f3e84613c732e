"""mentor.report: what the page says, what it escapes, and what it makes of interrupted runs."""

from __future__ import annotations

import json
import math
import random
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mentor.errors import DataError
from mentor.report import write_report
from mentor.report.curves import draw_phases
from mentor.report.numbers import wilson
from mentor.report.page import clean
from mentor.report.rollouts import view

pytestmark = pytest.mark.train

SPLITS = {"in_domain": (0.11, 0.86), "ood_depth": (0.06, 0.41), "ood_operands": (0.09, 0.1)}
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
                "step_time_s": 1.9 + rng.random(),
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
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " "
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


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
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids)) > 0


def test_only_changes_beyond_chance_are_coloured(tmp_path: Path) -> None:
    found = page(make_run(tmp_path / "run"))
    assert re.findall(r'class="change (\w+)"', found.html) == ["up", "up", "same"]


def test_the_file_needs_no_network_and_no_script(tmp_path: Path) -> None:
    found = page(make_run(tmp_path / "run"))
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    assert "://" not in found.html
    assert "@import" not in found.html
    for name, value in found.attributes:
        assert not name.startswith("on")
        assert name not in ("href", "xlink:href", "src") or str(value).startswith("#")


def test_curves_take_their_colours_from_the_page(tmp_path: Path) -> None:
    svg = draw_phases([{"phase": "grpo", "step": i, "reward": i / 9} for i in range(10)])[0].curves[0].svg
    assert "var(--accent)" in svg
    assert "var(--muted)" in svg
    assert re.findall(r"#[0-9a-f]{6}", svg) == []
    assert "<text" in svg


def test_the_step_time_may_have_trls_name() -> None:
    curve = draw_phases([{"phase": "grpo", "step": i, "step_time": 2.5} for i in range(3)])[0].curves[0]
    assert (curve.title, curve.last) == ("Step time", 2.5)


def test_a_model_that_the_preset_chooses_is_called_so(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "config.yaml").write_text("preset: tiny\nmodel: null\n")
    assert "Model the preset's" in " ".join(page(folder).text.split())


def test_rollouts_stand_beside_their_references(tmp_path: Path) -> None:
    found = page(make_run(tmp_path / "run"))
    text = " ".join(found.text.split())
    for title in ("Before training", "During training", "After training"):
        assert title in text
    assert "task-eval_before-4" in text  # the only good one before training
    assert "task-eval_after-2" in text  # the only bad one after it
    assert "task-grpo-11" in text
    assert "task-grpo-0 " not in text
    assert "unmatched_call add(12, 4) has no partner" in text
    assert "alignment 0.250" in text


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


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_models_stays_text(tmp_path: Path, text: str) -> None:
    folder = make_run(tmp_path / "run")
    plain = page(folder)
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
    assert {name for name, _ in found.attributes} == {name for name, _ in plain.attributes}
    assert found.tags.count("html") == found.tags.count("style") == found.tags.count("main") == 1
    assert "\0" not in found.html
    assert "\u202e" not in found.html
    assert clean(text)[:40] in found.text
    assert len(found.html) < 600_000


def test_long_text_is_cut_with_a_note() -> None:
    assert clean("abcdef", limit=4) == "abcd [... 2 of 6 characters not shown]"
    assert clean("a\r\nb\tc") == "a\nb\tc"
    assert clean("\0\ud800\u202e\x1b[31m") == r"\x00\ud800\u202e\x1b[31m"


def test_an_interrupted_run_gets_a_report_that_says_what_is_missing(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", after=False)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"phase": "grpo", "step": 61, "rew')
    text = " ".join(page(folder).text.split())
    assert "No evaluation after training: was the run interrupted?" in text
    assert "metrics.jsonl: 1 line left out; the first is line 81: half-written JSON: the line ends inside a str" in text
    assert "128 11.0 % 7 % to 18 % \N{EN DASH} \N{EN DASH}" in text


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


def test_the_command_prints_the_path_or_the_error(tmp_path: Path) -> None:
    from mentor.cli.report import report

    folder = make_run(tmp_path / "run")
    done = CliRunner().invoke(report, [str(folder)])
    assert (done.exit_code, done.output) == (0, f"{folder / 'report.html'}\n")
    failed = CliRunner().invoke(report, [str(tmp_path / "none")])
    assert failed.exit_code == 1
    assert failed.output.startswith(f"Error: {tmp_path / 'none'}: no such folder")


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    assert write_report(folder).read_bytes() == write_report(folder).read_bytes()


def test_calls_are_paired_once_equal_ones_first() -> None:
    def call(name: str, **arguments: Any) -> dict[str, Any]:
        return {"name": name, "arguments": arguments}

    student = [call("add", a=1, b=2), call("add", b=4.0, a=3), call("add", a=9), call("sqrt", a=4)]
    message = {"role": "assistant", "content": None, "tool_calls": [{"function": one} for one in student]}
    teacher = [call("add", a=3, b=4), call("add", a=5, b=6), call("floor", a=1)]
    shown = view({"completion": [message], "reference": {"answer": 1, "tool_calls": teacher}})
    assert [one.match for one in shown.steps[0].calls] == ["name", "same", "none", "none"]
    assert [one.match for one in shown.teacher] == ["same", "name", "none"]


def test_calls_in_tags_are_found_and_broken_ones_stay_text() -> None:
    text = 'I add. <tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call> Then <tool_call>{"name": </tool_call>'
    shown = view({"completion": text + " and \\boxed{\\frac{1}{2}}"})
    assert [one.name for one in shown.steps[0].calls] == ["add"]
    assert '<tool_call>{"name": </tool_call>' in shown.steps[0].text
    assert shown.answer == "\\frac{1}{2}"


def test_results_go_to_their_calls_and_many_calls_are_cut() -> None:
    calls = [{"function": {"name": "add", "arguments": '{"a": 1}'}}] * 50
    tools = [{"role": "tool", "content": str(i)} for i in range(50)]
    shown = view({"completion": [{"role": "assistant", "content": "", "tool_calls": calls}, *tools]})
    assert [one.result for one in shown.steps[0].calls] == [str(i) for i in range(40)]
    assert shown.steps[0].calls[0].arguments == {"a": 1}
    assert shown.hidden == 10


def test_deeply_nested_arguments_are_survived(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    deep = '{"a": ' * 900 + "1" + "}" * 900
    row = rollout("eval_after", 0, good=True)
    line = json.dumps(row | {"reward": 5}).replace('"arguments": {"a": 12, "b": 4}', f'"arguments": {deep}')
    with (folder / "completions.jsonl").open("a") as file:
        file.write(line + "\n")
    assert "task-eval_after-0" in page(folder).text


WILSON = [(0.5, 100, (0.404, 0.596)), (0.0, 10, (0.0, 0.278)), (1.0, 10, (0.722, 1.0)), (0.5, 0, (math.nan, math.nan))]


@pytest.mark.parametrize(("rate", "n", "interval"), WILSON)
def test_wilson_intervals_are_the_textbooks(rate: float, n: int, interval: tuple[float, float]) -> None:
    assert wilson(rate, n) == pytest.approx(interval, abs=5e-4, nan_ok=True)
