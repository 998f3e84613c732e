"""mentor.report in a real headless browser: what a reader sees, does, and is safe from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from browsing import browser, console, needs_browser, open_page, set_view, until
from mentor.report import write_report
from test_report import HOSTILE, make_comparison, make_run, rollout, write_lines

pytestmark = [pytest.mark.train, needs_browser]

ROWS = 2_000


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make_run(tmp_path_factory.mktemp("single") / "run"))


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make_comparison(tmp_path_factory.mktemp("several") / "leak"))


@pytest.fixture
def page(driver: Any, single: Path) -> Any:
    set_view(driver)
    open_page(driver, single)
    yield driver
    assert console(driver) == []


def js(driver: Any, code: str, *values: Any) -> Any:
    return driver.execute_script(code, *values)


def texts(driver: Any, selector: str) -> list[str]:
    return js(driver, "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)", selector)


def tally(driver: Any) -> str:
    return texts(driver, ".tally [role=status]")[0]


def choose(driver: Any, name: str, value: str) -> None:
    code = """const field = document.querySelector(`.filters [name="${arguments[0]}"]`);
    field.value = arguments[1]; field.dispatchEvent(new Event("input", {bubbles: true}));"""
    js(driver, code, name, value)


def press(driver: Any, keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(driver).send_keys(keys).perform()


def selected(driver: Any) -> str:
    return texts(driver, '.row[aria-selected="true"] .name')[0]


def test_all_rollouts_are_listed_and_the_first_is_open(page: Any) -> None:
    assert tally(page) == "24 of 24 rollouts, 14 right"
    assert selected(page) == "task-eval_before-0"
    calls = until(lambda: texts(page, ".detail .pairs .call"))
    assert "Start with 12, multiply by 4, then add 7." in texts(page, ".detail .prompt")[0]
    assert calls[0].splitlines() == ["add(a=12, b=4)", "\N{RIGHTWARDS ARROW} 16", "no partner"]
    assert "no call of the student\N{RIGHT SINGLE QUOTATION MARK}s stands for it" in calls[1]


def test_calls_stand_beside_their_partners(page: Any) -> None:
    choose(page, "verdict", "right")
    until(lambda: "task-eval_before-4" in texts(page, ".detail")[0])
    rows = js(
        page,
        """return [...document.querySelectorAll(".pairs > .call")].map((one) => {
        const box = one.getBoundingClientRect();
        return [one.className, Math.round(box.top), box.left, one.innerText]})""",
    )
    assert [row[0] for row in rows] == ["call same"] * 4
    assert rows[0][1] == rows[1][1]
    assert rows[0][2] < rows[1][2]
    assert "matches teacher\N{RIGHT SINGLE QUOTATION MARK}s 1" in rows[0][3]
    assert rows[1][3].startswith("multiply(")
    assert texts(page, ".terms b") == ["0.600 of 0.6", "0.300 of 0.3", "0.100 of 0.1"]
    widths = js(page, "return [...document.querySelectorAll('.terms .meter i')].map((one) => one.style.width)")
    assert widths == ["100%"] * 3


def test_each_filter_leaves_what_it_says(page: Any, single: Path) -> None:
    html = single.read_text("utf-8")
    start = html.index('id="data">') + 10
    rows = json.loads(html[start : html.index("</script>", start)])["rollouts"]
    cases: list[tuple[str, str, Any]] = [
        ("phase", "grpo", lambda row: row["phase"] == "grpo"),
        ("split", "depth", lambda row: row["split"] == "depth"),
        ("step", "5", lambda row: row["step"] == "5"),
        ("verdict", "wrong", lambda row: not row["correct"]),
        ("defect", "unmatched_call", lambda row: row["defects"]),
        ("defect", "\0none", lambda row: not row["defects"]),
        ("tool", "multiply", lambda row: row["correct"]),
        ("tool", "\0none", lambda row: row["calls"] == 0),
        ("reward-from", "0.5", lambda row: row["reward"] >= 0.5),
        ("reward-to", "0.5", lambda row: row["reward"] <= 0.5),
    ]
    for name, value, wanted in cases:
        choose(page, name, value)
        count = sum(bool(wanted(row)) for row in rows)
        assert tally(page).startswith(f"{count} of 24 "), (name, value)
        js(page, "document.querySelector('.filters').reset()")
        until(lambda: tally(page).startswith("24 of 24"))
    choose(page, "phase", "eval_after")
    choose(page, "verdict", "wrong")
    assert tally(page) == "1 of 24 rollouts, 0 right"
    choose(page, "split", "in_domain")
    assert texts(page, ".rows .empty") == ["No rollout passes the filters."]


def test_search_reads_prompts_calls_results_and_answers(page: Any) -> None:
    cases = (
        ('"multiply by 15"', 1),
        ("MULTIPLY a=12,", 24),
        ("no such words", 0),
        ("task-grpo-7", 1),
        ("unmatched_call", 10),
    )
    for words, count in cases:
        choose(page, "search", words)
        until(lambda count=count: tally(page).startswith(f"{count} of 24"))


def test_sorting_orders_the_list(page: Any) -> None:
    choose(page, "sort", "high")
    values = [float(value) for value in texts(page, ".row .value")]
    assert values == sorted(values, reverse=True)
    choose(page, "sort", "low")
    values = [float(value) for value in texts(page, ".row .value")]
    assert values == sorted(values)
    choose(page, "sort", "latest")
    js(page, "document.querySelector('.list').scrollTop = 0")
    until(lambda: texts(page, ".row .name")[0] == "task-eval_after-5")


def test_keys_move_and_do_not_steal_from_fields(page: Any) -> None:
    press(page, "jj")
    assert selected(page) == "task-eval_before-2"
    press(page, "k")
    assert selected(page) == "task-eval_before-1"
    press(page, "kkk")
    assert selected(page) == "task-eval_before-0"
    press(page, "/jk")
    assert js(page, "return document.activeElement.name + '=' + document.activeElement.value") == "search=jk"
    until(lambda: tally(page).startswith("0 of 24"))
    press(page, "\ue00c")
    js(page, "document.querySelector('.filters').reset(); document.querySelector('.list').focus()")
    until(lambda: tally(page).startswith("24 of 24"))
    press(page, "\ue010")  # End
    assert selected(page) == "task-eval_after-5"
    assert js(page, "return document.querySelector('.list').getAttribute('aria-activedescendant')") == "row-23"


def test_a_link_survives_reload_and_wins_over_filters(driver: Any, single: Path) -> None:
    set_view(driver)
    open_page(driver, single)
    press(driver, "jjjjjjj")
    name, link = selected(driver), until(lambda: js(driver, "return location.hash"))
    assert re.fullmatch(r"#r-[0-9a-f]{12}", link)
    driver.refresh()
    assert selected(driver) == name
    open_page(driver, single, link)
    assert selected(driver) == name
    assert js(driver, "return document.querySelector('#rollouts').getBoundingClientRect().top") < 400
    choose(driver, "phase", "eval_after")
    assert selected(driver) != name
    js(driver, "location.hash = ''")
    js(driver, "location.hash = arguments[0]", link)
    until(lambda: selected(driver) == name)
    until(lambda: tally(driver).startswith("24 of 24"))
    open_page(driver, single, "#r-%E0%A4%A")
    assert "not in this page" in texts(driver, ".detail")[0]
    open_page(driver, single, "#results")
    assert selected(driver) == "task-eval_before-0"
    assert console(driver) == []


def test_the_address_names_what_a_filter_opened(page: Any) -> None:
    """Else a click on the rollout that the address still named would do nothing."""
    rows = js(page, "return [...document.querySelectorAll('.row')].map((one) => one.getAttribute('href'))")
    js(page, "document.querySelectorAll('.row')[2].click()")
    until(lambda: js(page, "return location.hash") == rows[2])
    choose(page, "phase", "eval_after")
    first = until(lambda: js(page, "return document.querySelector('.row').getAttribute('href')"))
    until(lambda: js(page, "return location.hash") == first)
    choose(page, "phase", "")
    js(
        page,
        "[...document.querySelectorAll('.row')].find((one) => one.getAttribute('href') === arguments[0]).click()",
        rows[2],
    )
    until(lambda: selected(page) == "task-eval_before-2")


@pytest.mark.parametrize("width", [1400, 390])
def test_no_label_of_a_curve_is_cut(driver: Any, tmp_path: Path, width: int) -> None:
    set_view(driver, width=width)
    open_page(driver, write_report(make_run(tmp_path / "run", rows=1000)))
    cut = js(
        driver,
        """return [...document.querySelectorAll(".phase[open] figure text")].filter((text) => {
        const svg = text.closest("svg");
        const frame = getComputedStyle(svg).overflow === "visible" ? svg.closest("figure") : svg;
        const [inner, outer] = [text.getBoundingClientRect(), frame.getBoundingClientRect()];
        return inner.right > outer.right || inner.left < outer.left;
        }).map((text) => text.textContent)""",
    )
    assert cut == []


def test_values_follow_the_pointer(page: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    figure = page.find_element(By.CSS_SELECTOR, "figure[data-curve]")
    ActionChains(page).move_to_element(figure.find_element(By.TAG_NAME, "svg")).perform()
    tip = until(lambda: texts(page, ".tip"))[0].split()
    step = int(tip[tip.index("step") + 1])
    assert 25 <= step <= 36
    points = js(page, "return JSON.parse(document.getElementById('data').textContent).curves[0][0].series[0].points")
    assert float(tip[tip.index("value") + 1]) == dict(map(tuple, points))[step]
    drawn = js(page, "return document.querySelector('.cursor').getBoundingClientRect().left")
    pointer = js(page, "const b = arguments[0].getBoundingClientRect(); return b.left + b.width / 2", figure)
    assert abs(drawn - pointer) < 8
    ActionChains(page).move_to_element(page.find_element(By.TAG_NAME, "h1")).perform()
    assert texts(page, ".tip") == []


def background(driver: Any) -> str:
    return js(driver, "return getComputedStyle(document.body).backgroundColor")


def test_the_theme_follows_the_system_and_the_switch(driver: Any, single: Path) -> None:
    light, dark = "rgb(251, 250, 248)", "rgb(20, 22, 26)"
    set_view(driver, dark=True)
    open_page(driver, single)
    js(driver, "localStorage.clear()")
    driver.refresh()
    assert background(driver) == dark
    press_theme = "document.getElementById('theme').click()"
    js(driver, press_theme)
    assert (background(driver), texts(driver, "#theme")) == (light, ["Theme: light"])
    driver.refresh()
    assert background(driver) == light
    js(driver, press_theme)
    set_view(driver, dark=False)
    assert (background(driver), texts(driver, "#theme")) == (dark, ["Theme: dark"])
    js(driver, press_theme)
    assert (background(driver), texts(driver, "#theme")) == (light, ["Theme: as the system"])
    js(driver, "localStorage.clear()")
    assert console(driver) == []


@pytest.mark.parametrize("width", [1400, 900, 390])
def test_nothing_is_wider_than_the_view(driver: Any, single: Path, several: Path, width: int) -> None:
    for file in (single, several):
        set_view(driver, width=width, height=800)
        open_page(driver, file)
        js(driver, "document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert js(driver, "return document.documentElement.scrollWidth") <= width
        tops = js(
            driver, "return ['.list', '.detail'].map((s) => document.querySelector(s).getBoundingClientRect().top)"
        )
        assert (abs(tops[0] - tops[1]) < 2) == (width > 860)
        heights = js(driver, "return [...document.querySelectorAll('.filters select')].map((one) => one.offsetHeight)")
        assert max(heights) < 48
    assert console(driver) == []


def test_without_scripts_tables_and_curves_are_there(driver: Any, single: Path) -> None:
    set_view(driver)
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        open_page(driver, single)
        body = driver.find_element("css selector", "main").text
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "The browser of 24 rollouts needs JavaScript; the rest of this page does not." in body
    assert "+75.0" in body
    assert "Theme" not in body
    assert "Zero-variance groups" in body


def test_runs_stand_side_by_side(driver: Any, several: Path) -> None:
    set_view(driver)
    open_page(driver, several)
    assert texts(driver, ".runs tbody th") == ["mentor-0", "mentor-1", "sparse-0", "sparse-1"]
    assert [text.split()[:2] for text in texts(driver, ".methods tbody tr")] == [
        ["before", "training"],
        ["mentor", "2"],
        ["sparse", "2"],
    ]
    until(lambda: texts(driver, ".beside article"))
    labels = [text.splitlines()[0].split(" \N{MIDDLE DOT} ")[0] for text in texts(driver, ".beside article")]
    assert set(labels) == {"mentor-0", "mentor-1", "sparse-0", "sparse-1"}
    prompts = js(
        driver,
        """const data = JSON.parse(document.getElementById("data").textContent);
        return [...document.querySelectorAll(".beside a")].map((one) =>
          data.prompts[data.rollouts.find((r) => r.id === one.hash.slice(3)).prompt])""",
    )
    assert len(set(prompts)) == 1
    choose(driver, "run", "2")
    assert tally(driver).startswith("24 of 96")
    until(lambda: "sparse-0" in texts(driver, ".detail .where")[0])
    js(driver, "document.querySelector('.beside a').click()")
    until(lambda: tally(driver).startswith("96 of 96"))
    assert js(driver, "return location.hash").startswith("#r-mentor-0-")
    assert console(driver) == []


def test_two_thousand_rollouts_stay_quick(driver: Any, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    rows = [rollout("grpo", i % 500, good=i % 3 > 0) | {"task_id": f"t{i}"} for i in range(ROWS)]
    write_lines(folder / "completions.jsonl", rows)
    set_view(driver)
    open_page(driver, write_report(folder))
    assert tally(driver).startswith("2,000 of 2,000")
    assert js(driver, "return document.querySelectorAll('.row').length") < 40
    timed = """const start = performance.now(); %s; document.body.offsetHeight; return performance.now() - start"""
    assert js(driver, timed % "document.querySelector('.list').scrollTop = 60000") < 500
    until(lambda: texts(driver, ".row .name")[8] > "t107")
    move = "for (let i = 0; i < 50; i += 1) dispatchEvent(new KeyboardEvent('keydown', {key: 'j'}))"
    assert js(driver, timed % move) < 5_000
    assert selected(driver) == "t50"
    choose(driver, "search", "t1999")
    until(lambda: tally(driver).startswith("1 of 2,000"))
    assert console(driver) == []


ATTACKS = [
    *HOSTILE[:6],
    "javascript:alert(1)",
    "<svg onload=window.hit=1>",
    "<img src=x onerror=window.hit=1>",
    "</script><script>window.hit=1</script>",
    "<!--<script>",
    "'\"`;window.hit=1//",
    "__proto__",
    "${window.hit=1}",
]


def test_what_models_write_never_runs(driver: Any, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    rows = []
    for text in ATTACKS:
        message = {
            "role": "assistant",
            "content": text,
            "tool_calls": [{"function": {"name": text, "arguments": {text: text}}}],
        }
        rows.append(
            {
                "phase": "grpo",
                "step": text,
                "split": text,
                "task_id": text,
                "prompt": text,
                "completion": [
                    message,
                    {"role": "tool", "content": text},
                    {"role": "assistant", "content": f"\\boxed{{{text}}}"},
                ],
                "reference": {
                    "answer": text,
                    "tool_calls": [{"name": text, "arguments": {text: text}, "result": text}],
                },
                "reward": 1.0,
                "components": {text: 1.0},
                "correct": True,
                "defects": [{"kind": text, "message": text}],
            }
        )
    write_lines(folder / "completions.jsonl", rows)
    with (folder / "metrics.jsonl").open("a") as file:
        for step in (0, 1):
            file.write(json.dumps({"phase": ATTACKS[8], "step": step, "loss": step}) + "\n")
    with (folder / "eval.jsonl").open("a") as file:
        file.writelines(
            json.dumps({"stage": "after", "split": text, "tasks": 9, "accuracy": 0.5}) + "\n" for text in ATTACKS
        )
    named = tmp_path / "<img src=x onerror=window.hit=1>"
    folder.rename(named)
    set_view(driver)
    for runs in ([named], [named, make_run(tmp_path / "other")]):
        open_page(driver, write_report(runs, output=tmp_path / "report.html"))
        for text in ATTACKS:
            if len(runs) == 1:
                assert selected(driver) == text
            until(lambda text=text: text in texts(driver, ".detail")[0])
            press(driver, "j")
        js(driver, "document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert js(driver, "return window.hit") is None
        assert js(driver, "return document.querySelectorAll('img, iframe, object, [onerror], [onload]').length") == 0
        assert js(
            driver,
            "return [...document.querySelectorAll('a')].every((one) => one.getAttribute('href').startsWith('#'))",
        )
        assert js(driver, "return document.querySelectorAll('script').length") == 2
        assert console(driver) == []


def test_the_policy_stops_scripts_that_get_in_nevertheless(driver: Any, single: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    html = single.read_text("utf-8").replace(
        "<main>", '<main><script>window.hit=1</script><b onclick="window.hit=1">x</b>'
    )
    broken.write_text(html, "utf-8")
    open_page(driver, broken)
    js(driver, "document.querySelector('main > b').click()")
    assert js(driver, "return window.hit") is None
    assert len([line for line in console(driver) if "Content Security Policy" in line]) == 2
    assert tally(driver).startswith("24 of 24")


def test_the_page_asks_nothing_of_the_network(driver: Any, single: Path) -> None:
    driver.get_log("performance")
    open_page(driver, single)
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert {url.split(":")[0] for url in asked} <= {"file", "about"}
    assert [url for url in asked if url.startswith("file")] == [single.resolve().as_uri()]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


TEXT_ON = {
    "ink": ("paper", "card", "soft", "accent-bg", "good-bg", "bad-bg", "warn-bg"),
    "muted": ("paper", "card", "soft", "accent-bg"),
    "accent": ("paper", "card"),
    "good": ("paper", "card", "good-bg", "accent-bg"),
    "bad": ("paper", "card", "bad-bg", "accent-bg"),
    "warn": ("paper", "warn-bg"),
}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_reach_wcag_aa(theme: int) -> None:
    css = files("mentor.report").joinpath("assets/report.css").read_text("utf-8")
    found = dict(re.findall(r"--([\w-]+): light-dark\(([^)]*)\)", css))
    colours = {name: pair.split(", ")[theme] for name, pair in found.items()}
    for text, grounds in TEXT_ON.items():
        for ground in grounds:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for at in range(10):
        assert contrast(colours[f"s{at}"], colours["card"]) >= 4.5
    for ground in ("paper", "card"):
        assert contrast(colours["edge"], colours[ground]) >= 3  # borders of fields, and the last part of the bars


def test_the_rendered_page_reaches_wcag_aa(driver: Any, several: Path) -> None:
    code = """
    // The ground is the first opaque one behind the text.
    const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
    const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const lum = ([r, g, b]) => [r, g, b].map((v) => linear(v / 255))
      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (one) => {
      for (let at = one; at; at = at.parentElement) {
        const found = rgb(getComputedStyle(at).backgroundColor);
        if (found.length < 4 || found[3] === 1) return found;
      }
      return [255, 255, 255];
    };
    const bad = [];
    for (const one of document.querySelectorAll("main *")) {
      if (one.closest("svg") || !one.checkVisibility()) continue;
      if (![...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
      const [a, b] = [lum(rgb(getComputedStyle(one).color)), lum(ground(one))].sort((x, y) => x - y);
      const ratio = (b + 0.05) / (a + 0.05);
      if (ratio < 4.5) bad.push([one.tagName, one.className, one.innerText.slice(0, 30), ratio]);
    }
    return bad;"""
    for dark in (False, True):
        set_view(driver, dark=dark)
        open_page(driver, several)
        js(driver, "document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert js(driver, code) == []
