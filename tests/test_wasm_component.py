"""A real component as tools: Python, built by componentize-py for WASI 0.2."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mentor import Limits
from mentor.sandbox import WasmModule

pytestmark = pytest.mark.slow  # building and compiling a whole CPython takes half a minute

FOLDER = Path(__file__).parent / "wasm_component"
LIMITS = Limits(timeout_ms=2_000, memory_mb=128, output_kb=64)


@pytest.fixture(scope="module")
def component(tmp_path_factory: pytest.TempPathFactory) -> WasmModule:
    pytest.importorskip("componentize_py")
    path = tmp_path_factory.mktemp("component") / "tools.wasm"
    build = "from componentize_py import script; script()"
    arguments = ["-d", FOLDER, "-w", "tools", "componentize", "-p", FOLDER, "app", "-o", path]
    done = subprocess.run(
        [sys.executable, "-c", build, *map(str, arguments)], capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    return WasmModule(path, limits=LIMITS, seed=3)


def test_its_functions_are_described(component: WasmModule) -> None:
    described = {function.name: function.description for function in component.functions}
    assert described == {
        "world_of": "world_of() -> string",
        "greet": "greet(full_name: string) -> string",
        "fail": "fail(how: string)",
        "area": "area(of: variant, in_unit: enum) -> result<f64, string>",
        "styled": "styled(how: flags) -> flags",
        "nested": "nested(n: option<option<u8>>) -> option<option<u8>>",
        "swap": "swap(pair: tuple) -> tuple",
    }
    assert list(component.skipped) == ["exports#init"]


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("greet", {"full_name": "Zoë"}, "hello Zoë"),
        ("area", {"of": {"circle": 2}, "in_unit": "cm"}, 12.0),
        ("area", {"of": {"path": [{"x_pos": 1, "y_pos": 2}, {"x_pos": 2.5, "y_pos": 0}]}, "in_unit": "inch"}, 3.5),
        ("styled", {"how": ["dashed-line"]}, ["dashed-line"]),
        ("nested", {}, None),
        ("nested", {"n": {"some": None}}, {"some": None}),
        ("nested", {"n": {"some": 3}}, {"some": 3}),
        ("swap", {"pair": [2**64 - 1, "é"]}, ["é", 2**64 - 1]),
    ],
)
def test_values_of_all_kinds(component: WasmModule, name: str, arguments: dict[str, Any], value: Any) -> None:
    outcome = component.call(name, arguments)
    assert outcome.fault is None, outcome
    assert outcome.value == value


def test_its_world_is_empty_virtual_and_seeded(component: WasmModule) -> None:
    began = time.perf_counter()
    first, second = (component.call("world_of", {}) for _ in range(2))
    assert time.perf_counter() - began < 2
    assert first.value == second.value
    found = json.loads(first.value)
    assert (found["environment"], found["file"], found["slept"]) == ({}, "FileNotFoundError", 3600)
    assert found["time"] == 1_767_225_600 + 3600
    assert (first.stdout, first.stderr) == ("out\n", "err\n")
    other = json.loads(WasmModule(component._wasm, limits=LIMITS, seed=4).call("world_of", {}).value)
    assert other["random"] != found["random"]


@pytest.mark.parametrize(
    ("how", "kind"),
    [("x", "trap"), ("exit", "trap"), ("spin", "timeout"), ("memory", "memory_limit"), ("print", "output_limit")],
)
def test_its_failures_are_faults(component: WasmModule, how: str, kind: str) -> None:
    outcome = component.call("fail", {"how": how})
    assert outcome.fault is not None
    assert outcome.fault.kind == kind, outcome
    if how == "x":
        assert "ValueError: x" in outcome.stderr
    assert component.call("greet", {"full_name": "y"}).value == "hello y"


def test_the_error_of_a_result_is_an_exception(component: WasmModule) -> None:
    fault = component.call("area", {"of": "dot", "in_unit": "cm"}).fault
    assert fault is not None
    assert (fault.kind, fault.message) == ("exception", "Error: a dot has no area")
