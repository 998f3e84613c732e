"""The user's own WebAssembly: schemas, values of all types, limits, the world that it sees, processes and the cache."""

from __future__ import annotations

import asyncio
import json
import math
import os
import pickle
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mentor import Limits, Outcome
from mentor.errors import InputError
from mentor.sandbox import WasmModule
from wasm_sources import NUMBERS, WASI, component, echo, lifted

SHORT = Limits(timeout_ms=300, memory_mb=16, output_kb=16)


def kind(outcome: Outcome) -> str:
    assert outcome.fault is not None, outcome
    assert outcome.value is None
    return outcome.fault.kind


def message(outcome: Outcome) -> str:
    assert outcome.fault is not None, outcome
    return outcome.fault.message


@pytest.fixture(scope="module")
def numbers() -> WasmModule:
    return WasmModule(NUMBERS.encode(), limits=SHORT)


@pytest.fixture(scope="module")
def wasi() -> WasmModule:
    return WasmModule(WASI.encode(), limits=SHORT, seed=5)


# --- core modules --------------------------------------------------------------------------------------------------


def test_functions_are_described_with_the_names_of_their_parameters(numbers: WasmModule) -> None:
    described = {function.name: function for function in numbers.functions}
    add = described["add"]
    assert add.description == "add(first: i64, second: i64) -> i64"
    whole = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
    assert add.parameters == {
        "type": "object",
        "properties": {"first": whole, "second": whole},
        "required": ["first", "second"],
        "additionalProperties": False,
    }
    assert add.returns == whole
    assert list(described["half"].parameters["properties"]) == ["a"]
    assert described["nothing"].returns is None
    assert described["stop"].parameters["properties"] == {}


def test_what_is_no_tool_is_told_with_its_reason(numbers: WasmModule) -> None:
    assert set(numbers.skipped) == {"vector", "pair", "_hidden", "odd name"}
    assert "v128" in numbers.skipped["vector"]
    assert "more than one result" in numbers.skipped["pair"]
    assert "underscore" in numbers.skipped["_hidden"]


@given(first=st.integers(-(2**63), 2**63 - 1), second=st.integers(-(2**63), 2**63 - 1))
def test_64_bit_integers_are_exact(numbers: WasmModule, first: int, second: int) -> None:
    total = (first + second + 2**63) % 2**64 - 2**63
    assert numbers.call("add", {"first": first, "second": second}).value == total


@given(a=st.floats(allow_nan=False, allow_infinity=False), b=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_exact_and_those_that_are_no_numbers_are_bad_results(
    numbers: WasmModule, a: float, b: float
) -> None:
    outcome = numbers.call("divide", {"a": a, "b": b})
    try:
        quotient = a / b
    except ZeroDivisionError:
        quotient = math.inf
    if math.isfinite(quotient):
        assert outcome.value == quotient
        assert math.copysign(1, outcome.value) == math.copysign(1, quotient)
    else:
        assert kind(outcome) == "bad_result"


@given(number=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_32_bit_floats_come_back_as_the_same_32_bit_float(numbers: WasmModule, number: float) -> None:
    value = numbers.call("half", {"a": number}).value
    half = struct.unpack("f", struct.pack("f", number * 0.5))[0]
    assert struct.unpack("f", struct.pack("f", value))[0] == half


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('{"n": 2147483648}', "from -2147483648 to 2147483647, not an integer (2147483648)"),
        ('{"n": 1.5}', "not a number (1.5)"),
        ('{"n": 1e40}', "must be an integer from"),
        ('{"n": "1"}', 'must be an integer, not a string ("1")'),
        ('{"n": true}', "not a boolean (true)"),
        ('{"n": null}', "not null"),
        ('{"n": [1]}', "not an array"),
        ("{}", "lacks the argument 'n'"),
        ('{"n": 1, "m": 2}', "has no argument 'm'; it takes n"),
        ("[1]", "must be a JSON object"),
        ('{"n": 1', "no valid JSON"),
        ("", "no valid JSON"),
        ("[" * 100_000, "no valid JSON"),
    ],
)
def test_arguments_that_do_not_fit_start_nothing(numbers: WasmModule, arguments: str, words: str) -> None:
    outcome = numbers.call("echo", arguments)
    assert kind(outcome) == "bad_arguments"
    assert words in message(outcome)


def test_integral_floats_are_integers(numbers: WasmModule) -> None:
    assert numbers.call("echo", '{"n": -3.0}').value == -3


def test_each_call_finds_a_new_instance(numbers: WasmModule) -> None:
    assert [numbers.call("count", {}).value for _ in range(3)] == [1, 1, 1]
    assert numbers.call("nothing", {}).value is None
    assert numbers.call("nothing", {}).ok


@pytest.mark.parametrize(
    ("name", "arguments", "wanted", "words"),
    [
        ("stop", {}, "trap", "unreachable"),
        ("quotient", {"a": 1, "b": 0}, "trap", "integer divide by zero"),
        ("touch", {"at": -1}, "trap", "out of bounds"),
        ("deep", {}, "trap", "call stack exhausted"),
        ("spin", {}, "timeout", "stopped after 300 ms (timeout_ms)"),
        ("missing", {}, "unknown_tool", "unknown tool 'missing'"),
    ],
)
def test_whatever_goes_wrong_is_a_fault(
    numbers: WasmModule, name: str, arguments: dict[str, Any], wanted: str, words: str
) -> None:
    # To touch the whole stack takes long on a busy machine.
    module = WasmModule(NUMBERS.encode(), limits=Limits(timeout_ms=20_000)) if name == "deep" else numbers
    outcome = module.call(name, arguments)
    assert kind(outcome) == wanted
    assert words in message(outcome)
    assert numbers.call("echo", {"n": 7}).value == 7


def test_memory_grows_up_to_its_limit() -> None:
    module = WasmModule(NUMBERS.encode(), limits=Limits(memory_mb=2, output_kb=1))
    assert module.call("grow", {"pages": 31}).value == 1
    assert module.call("grow", {"pages": 32}).value == -1
    with pytest.raises(InputError, match="memory_mb must be between 1 and 4096"):
        WasmModule(NUMBERS.encode(), limits=Limits(memory_mb=5000))


def test_fuel_is_the_same_each_time() -> None:
    module = WasmModule(NUMBERS.encode(), limits=Limits(fuel=100_000))
    used = {module.call("work", {"n": 1000}).fuel for _ in range(3)}
    assert len(used) == 1
    assert 1000 < used.pop() < 100_000  # type: ignore[operator]
    outcome = module.call("work", {"n": 1_000_000})
    assert (kind(outcome), outcome.fuel, outcome.reproducible) == ("out_of_fuel", 100_000, True)


def test_start_functions_run_in_each_call_within_its_limits() -> None:
    text = b"""(module (global $n (mut i32) (i32.const 1)) (func $s (global.set $n (i32.const 42))) (start $s)
        (func (export "n") (result i32) (global.get $n)))"""
    assert WasmModule(text).call("n", {}).value == 42
    endless = b'(module (func $s (loop (br 0))) (start $s) (func (export "n") (result i32) (i32.const 1)))'
    assert kind(WasmModule(endless, limits=SHORT).call("n", {})) == "timeout"


# --- WASI for core modules -----------------------------------------------------------------------------------------


def test_wasi_modules_are_initialized_once_per_instance(wasi: WasmModule) -> None:
    assert [wasi.call("ready", {}).value for _ in range(2)] == [1, 1]
    assert "_start" in wasi.skipped
    assert "_initialize" not in wasi.skipped


def test_what_they_print_is_kept_up_to_the_limit(wasi: WasmModule) -> None:
    out = wasi.call("say", {"stream": 1, "times": 2})
    assert (out.value, out.stdout, out.stderr, out.truncated) == (0, "hello\nhello\n", "", False)
    assert wasi.call("say", {"stream": 2, "times": 1}).stderr == "hello\n"
    assert wasi.call("say", {"stream": 3, "times": 1}).value == 8  # EBADF
    began = time.perf_counter()
    flood = wasi.call("say", {"stream": 1, "times": 2**31 - 1})
    assert (kind(flood), flood.truncated, len(flood.stdout)) == ("output_limit", True, 16 << 10)
    assert time.perf_counter() - began < 0.2


def test_their_world_is_empty_virtual_and_seeded(wasi: WasmModule) -> None:
    assert wasi.call("arguments", {}).value == 0
    assert wasi.call("open", {}).value == 52  # ENOSYS
    assert wasi.call("input", {}).value == 0
    again = WasmModule(WASI.encode(), limits=SHORT, seed=5)
    assert wasi.call("random", {}).value == again.call("random", {}).value
    assert wasi.call("random", {}).value != WasmModule(WASI.encode(), seed=6).call("random", {}).value
    assert wasi.call("time", {"clock": 0}).value == 1_767_225_600 * 10**9 + 10_000
    assert wasi.call("time", {"clock": 1}).value == 10_000


def test_sleeping_takes_no_time(wasi: WasmModule) -> None:
    hour = 3600 * 10**9
    began = time.perf_counter()
    assert hour <= wasi.call("sleep", {"nanoseconds": hour}).value < hour + 10**6
    assert time.perf_counter() - began < 0.2


def test_a_tool_that_ends_its_process_is_a_trap(wasi: WasmModule) -> None:
    outcome = wasi.call("exit", {"status": 3})
    assert (kind(outcome), message(outcome)) == ("trap", "the tool ended its process (status 3)")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('(import "env" "f" (func))', 'imports the function "f" of "env"'),
        ('(import "env" "memory" (memory 1))', 'imports the memory "memory" of "env"'),
        ('(import "a" "t" (table 1 funcref))', 'imports the table "t" of "a"'),
        ('(import "a" "g" (global i32))', 'imports the global "g" of "a"'),
        ('(import "wasi_snapshot_preview1" "fd_write" (func (param i64)))', "fd_write"),
    ],
)
def test_an_import_that_is_not_there_is_named(text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        WasmModule(f"(module {text})".encode())
    assert words in str(caught.value)


def test_components_may_import_wasi_only() -> None:
    with pytest.raises(InputError, match=r'imports "acme:shop/orders@1\.0\.0"'):
        WasmModule(b'(component (import "acme:shop/orders@1.0.0" (instance (export "f" (func)))))')
    text = (
        b'(component (import "wasi:cli/environment@0.2.9" (instance $e (export "made-up" (func))))'
        b'(core func $f (canon lower (func $e "made-up"))) (core module $m (import "" "f" (func $f))'
        b'(func (export "g") (call $f)))'
        b'(core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))'
        b'(func (export "g") (canon lift (core func $i "g"))))'
    )
    outcome = WasmModule(text).call("g", {})
    assert message(outcome) == "wasi:cli/environment made-up does not exist in the sandbox"


# --- values of components ------------------------------------------------------------------------------------------

POINT = (
    '(type $point-type (record (field "x-pos" s32) (field "label" (option string))))'
    '(export $point "point" (type $point-type))'
)
TYPES: dict[str, tuple[str, str, st.SearchStrategy[Any]]] = {
    "bool": ("", "bool", st.booleans()),
    **{
        f"{sign}{bits}": (
            "",
            f"{sign}{bits}",
            st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if sign == "s" else st.integers(0, 2**bits - 1),
        )
        for sign in "su"
        for bits in (8, 16, 32, 64)
    },
    "f32": ("", "f32", st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)),
    "f64": ("", "f64", st.floats(allow_nan=False, allow_infinity=False)),
    "char": ("", "char", st.characters(codec="utf-8")),
    "string": ("", "string", st.text(st.characters(codec="utf-8"), max_size=30)),
    "list": ("", "(list u16)", st.lists(st.integers(0, 2**16 - 1), max_size=9)),
    "option": ("", "(option u8)", st.none() | st.integers(0, 255)),
    "nested": (
        "",
        "(option (option bool))",
        st.none() | st.builds(lambda inner: {"some": inner}, st.none() | st.booleans()),
    ),
    "tuple": ("", "(tuple u8 string)", st.builds(lambda a, b: [a, b], st.integers(0, 255), st.text("ab", max_size=3))),
    "record": (
        POINT,
        "$point",
        st.builds(
            lambda x, label: {"x_pos": x, "label": label}, st.integers(-(2**31), 2**31 - 1), st.none() | st.text("xy\n")
        ),
    ),
    "enum": (
        '(type $e (enum "red" "dark-blue"))(export $color "color" (type $e))',
        "$color",
        st.sampled_from(["red", "dark-blue"]),
    ),
    "flags": (
        '(type $f (flags "bold" "dashed-line" "x"))(export $style "style" (type $f))',
        "$style",
        st.lists(st.sampled_from(["bold", "dashed-line", "x"]), unique=True).map(sorted),
    ),
    "variant": (
        '(type $v (variant (case "dot") (case "circle" f64) (case "named" (list string))))'
        '(export $shape "shape" (type $v))',
        "$shape",
        st.just("dot")
        | st.builds(lambda r: {"circle": r}, st.floats(0, 9))
        | st.builds(lambda n: {"named": n}, st.lists(st.text("ab"), max_size=3)),
    ),
    "result": (
        "",
        "(result u32 (error string))",
        st.builds(lambda n: {"ok": n}, st.integers(0, 2**32 - 1)) | st.builds(lambda e: {"err": e}, st.text("e!")),
    ),
}


@pytest.mark.parametrize("name", TYPES)
def test_values_come_back_as_they_went_in(name: str) -> None:
    types, item, values = TYPES[name]
    module = WasmModule(echo(types, item))

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(items=st.lists(values, max_size=6))
    def check(items: list[Any]) -> None:
        outcome = module.call("echo", {"items": items})
        assert outcome.fault is None, outcome
        if name == "flags":
            outcome_value = [sorted(flags) for flags in outcome.value]
        elif name == "f32":
            outcome_value = [struct.unpack("f", struct.pack("f", number))[0] for number in outcome.value]
        else:
            outcome_value = outcome.value
        assert outcome_value == items
        assert json.dumps(outcome_value) == json.dumps(items)

    check()


@pytest.mark.parametrize("name", TYPES)
def test_schemas_accept_what_the_types_take(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    types, item, values = TYPES[name]
    schema = WasmModule(echo(types, item)).functions[0].parameters
    jsonschema.Draft202012Validator.check_schema(schema)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(items=st.lists(values, max_size=6))
    def check(items: list[Any]) -> None:
        jsonschema.Draft202012Validator(schema).validate({"items": items})

    check()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-300, 300) | st.floats(-9, 9) | st.sampled_from(["", "dot", "red", "ok"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["x_pos", "label", "ok", "err", "some", "circle", "named"]), inner, max_size=2
        )
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("name", TYPES)
def test_the_schema_and_the_call_agree_on_what_fits(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    types, item, _ = TYPES[name]
    module = WasmModule(echo(types, item))
    validator = jsonschema.Draft202012Validator(module.functions[0].parameters)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(value=JSON)
    def check(value: Any) -> None:
        outcome = module.call("echo", {"items": [value]})
        fits = validator.is_valid({"items": [value]})
        # What the schema allows is taken. Beyond it are only shorter spellings: a flag named twice, a case by its name.
        if fits:
            assert outcome.fault is None, (value, outcome)
        elif outcome.fault is None:
            assert name in ("flags", "option", "nested", "result", "record", "variant"), (value, outcome)
        else:
            assert kind(outcome) == "bad_arguments"

    check()


WORDS = """
    (func (export "zero") (param i32 i32) (result i32)
      (if (i32.eqz (local.get 1)) (then
        (i32.store8 (i32.const 0) (i32.const 1)) (i32.store (i32.const 4) (i32.const 512))
        (i32.store (i32.const 8) (i32.const 5)) (return (i32.const 0))))
      (i32.store8 (i32.const 0) (i32.const 0))
      (i32.store (i32.const 4) (i32.div_s (local.get 0) (local.get 1)))
      (i32.const 0))
    (func (export "flag") (param i32) (result i32) (local.get 0))
    (func (export "nan") (result f64) (f64.const nan))
    (data (i32.const 512) "zero!")
"""


def test_the_error_of_a_result_is_a_fault() -> None:
    functions = [
        lifted("divide", '(param "a" s32) (param "b" s32) (result (result s32 (error string)))', "zero"),
        lifted("check", '(param "ok" (result)) (result (result))', "flag"),
        lifted("code", '(param "e" (result)) (result (result (error (tuple))))', "flag"),
    ]
    module = WasmModule(component("", "".join(functions[:2]), WORDS))
    divide = module.functions[0]
    assert divide.description == "divide(a: s32, b: s32) -> result<s32, string>"
    assert divide.returns == {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
    assert module.call("divide", {"a": 7, "b": -2}).value == -3
    failed = module.call("divide", {"a": 7, "b": 0})
    assert (kind(failed), message(failed)) == ("exception", "Error: zero!")
    assert module.call("check", {"ok": "ok"}).ok
    assert kind(module.call("check", {"ok": "err"})) == "exception"


def test_options_may_be_left_out() -> None:
    text = component(POINT, lifted("label", '(param "of" (list $point)) (result (list $point))'))
    module = WasmModule(text)
    assert module.call("label", {"of": [{"x_pos": 1}]}).value == [{"x_pos": 1, "label": None}]
    missing = module.call("label", {"of": [{}]})
    assert message(missing) == "label: of[0].x_pos is missing"
    assert "has no argument 'z'" in message(module.call("label", {"of": [{"x_pos": 1, "z": 2}]}))


def test_functions_of_interfaces_have_the_interface_in_their_name_where_they_must() -> None:
    text = b"""(component
      (core module $m (func (export "one") (result i32) (i32.const 1)) (func (export "two") (result i32) (i32.const 2)))
      (core instance $i (instantiate $m))
      (func $one (result u32) (canon lift (core func $i "one")))
      (func $two (result u32) (canon lift (core func $i "two")))
      (instance $a (export "get-it" (func $one)) (export "only-here" (func $one)))
      (instance $b (export "get-it" (func $two)))
      (export "docs:first/left-side@0.1.0" (instance $a))
      (export "docs:first/right-side@0.1.0" (instance $b)))"""
    module = WasmModule(text)
    assert [function.name for function in module.functions] == ["left_side_get_it", "only_here", "right_side_get_it"]
    assert module.call("left_side_get_it", {}).value == 1
    assert module.call("right_side_get_it", {}).value == 2
    assert module.call("only_here", {}).value == 1


def test_functions_with_resources_are_left_out() -> None:
    text = b"""(component
      (type $r (resource (rep i32)))
      (export $thing "thing" (type $r))
      (core module $m (func (export "f") (result i32) (i32.const 1)) (func (export "g") (param i32)))
      (core instance $i (instantiate $m))
      (func (export "plain") (result u8) (canon lift (core func $i "f")))
      (func (export "use-it") (param "it" (borrow $thing)) (canon lift (core func $i "g"))))"""
    module = WasmModule(text)
    assert [function.name for function in module.functions] == ["plain"]
    assert "resource" in module.skipped["use-it"]


def test_numbers_that_are_none_are_bad_results() -> None:
    module = WasmModule(component("", '(func (export "nan") (result f64) (canon lift (core func $i "nan")))', WORDS))
    assert message(module.call("nan", {})) == "the result is NaN, which is no JSON"


# --- many at once, processes, the cache ----------------------------------------------------------------------------


def test_batches_keep_their_order(numbers: WasmModule) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [("echo", {"n": n}) for n in range(500)]
    calls[100] = ("stop", {})
    outcomes = numbers.call_batch(calls)
    assert [outcome.value for outcome in outcomes] == [n if n != 100 else None for n in range(500)]
    assert kind(outcomes[100]) == "trap"
    assert numbers.call_batch([]) == []
    with pytest.raises(TypeError, match=r"calls\[1\] must be a pair"):
        numbers.call_batch([("echo", {"n": 1}), 3])  # type: ignore[list-item]


def test_many_threads_share_a_module(numbers: WasmModule) -> None:
    found: list[list[Any]] = []
    work = lambda base: found.append([numbers.call("echo", {"n": base + n}).value for n in range(200)])  # noqa: E731
    threads = [threading.Thread(target=work, args=(base,)) for base in range(0, 4000, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [[base + n for n in range(200)] for base in range(0, 4000, 1000)]


def test_asyncio_waits_without_a_thread_and_cancels() -> None:
    module = WasmModule(NUMBERS.encode(), limits=Limits(timeout_ms=60_000))

    async def main() -> None:
        values = await asyncio.gather(*(module.acall("echo", {"n": n}) for n in range(50)))
        assert [outcome.value for outcome in values] == list(range(50))
        task = asyncio.create_task(module.acall("spin", {}))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    began = time.perf_counter()
    asyncio.run(main())
    assert time.perf_counter() - began < 10


def test_calls_in_the_background_report_and_stop(numbers: WasmModule) -> None:
    module = WasmModule(NUMBERS.encode(), limits=Limits(timeout_ms=60_000))
    seen: list[tuple[Outcome | None, Any]] = []
    ready = threading.Event()

    def done(outcome: Outcome | None, error: Any) -> None:
        seen.append((outcome, error))
        ready.set()

    module.start("echo", {"n": 4}, done)
    assert ready.wait(10)
    ready.clear()
    stop = module.start("spin", {}, done)
    stop()
    assert ready.wait(10)
    assert seen[0][0] is not None
    assert seen[0][0].value == 4
    assert seen[1][0] is not None
    assert message(seen[1][0]) == "cancelled by the host"


def test_it_pickles(numbers: WasmModule) -> None:
    again = pickle.loads(pickle.dumps(numbers))
    assert again.limits == numbers.limits
    assert again.functions == numbers.functions
    assert again.call("echo", {"n": 3}).value == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_works_after_a_fork(numbers: WasmModule) -> None:
    assert numbers.call("echo", {"n": 1}).value == 1
    child = os.fork()
    if child == 0:
        right = numbers.call("echo", {"n": 2}).value == 2 and kind(numbers.call("spin", {})) == "timeout"
        right &= [o.value for o in numbers.call_batch([("echo", {"n": n}) for n in range(20)])] == list(range(20))
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert numbers.call("echo", {"n": 3}).value == 3


CACHED = """
import sys, time
from pathlib import Path
from mentor.sandbox import WasmModule
from wasm_sources import NUMBERS
text = NUMBERS.replace('(func (export "nothing"))', "(func $f (export \\"nothing\\"))" * 1)
print(WasmModule(text.encode()).call("echo", {"n": 6}).value)
"""


@pytest.mark.parametrize("damage", ["none", "cut", "flip", "empty", "open", "link"])
def test_compiled_code_is_cached_and_damaged_files_are_made_again(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "cache"
    environment = {**os.environ, "MENTOR_CACHE_DIR": str(folder), "PYTHONPATH": str(Path(__file__).parent)}

    def run() -> str:
        done = subprocess.run(
            [sys.executable, "-c", CACHED], capture_output=True, text=True, env=environment, timeout=100
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert run() == "6"
    (made,) = folder.glob("tool-*.cwasm")
    assert folder.stat().st_mode & 0o777 == 0o700
    whole = made.read_bytes()
    if damage == "cut":
        made.write_bytes(whole[: len(whole) // 2])
    elif damage == "flip":
        made.write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    elif damage == "empty":
        made.write_bytes(b"")
    elif damage == "open":
        made.chmod(0o666)
    elif damage == "link":
        made.rename(folder / "elsewhere")
        made.symlink_to(folder / "elsewhere")
    before = made.lstat().st_mtime_ns
    assert run() == "6"
    assert (made.lstat().st_mtime_ns == before) == (damage == "none")
    assert made.is_file()
    assert not made.is_symlink()
    assert made.stat().st_mode & 0o022 == 0


def test_where_nothing_can_be_cached_it_works_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    script = (
        "import os\nfrom mentor.sandbox import WasmModule\nfrom wasm_sources import NUMBERS\n"
        "module = WasmModule(NUMBERS.encode())\nchild = os.fork()\n"
        "value = module.call('echo', {'n': 5}).value\n"
        "os._exit(value != 5) if child == 0 else print(value, os.waitpid(child, 0)[1])"
    )
    environment = {**os.environ, "MENTOR_CACHE_DIR": str(tmp_path / "file" / "x")}
    environment["PYTHONPATH"] = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, env=environment, timeout=100
    )
    assert done.stdout.strip() == "5 0", done.stderr


# --- what cannot be loaded -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (b"", "text cannot be read"),
        (b"\0asm", "no valid WebAssembly"),
        (b"\0asm\x01\0\0\0\xff\xff", "no valid WebAssembly"),
        (b"\xff\xfe", "neither WebAssembly"),
        (b"(module (func (export", "text cannot be read"),
        (b'(module (func (export "f") (result i32)))', "cannot be compiled"),
        (b'(module (memory i64 1) (func (export "f")))', "cannot be compiled"),
    ],
)
def test_what_is_no_webassembly_is_refused(source: bytes, words: str) -> None:
    with pytest.raises(InputError) as caught:
        WasmModule(source)
    assert words in str(caught.value)


def test_wrong_arguments_of_the_caller_are_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="source must be a path or bytes, not int"):
        WasmModule(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"limits must be mentor\.Limits"):
        WasmModule(NUMBERS.encode(), limits=3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="seed must be from 0"):
        WasmModule(NUMBERS.encode(), seed=-1)
    with pytest.raises(FileNotFoundError):
        WasmModule(tmp_path / "none.wasm")
    path = tmp_path / "broken.wasm"
    path.write_bytes(b"\0asm")
    with pytest.raises(InputError, match=r"broken\.wasm: wasm: this is no valid"):
        WasmModule(path)
    path.write_text(NUMBERS)
    assert WasmModule(str(path)).call("echo", {"n": 1}).value == 1
    with pytest.raises(TypeError, match="name must be a str"):
        WasmModule(path).call(3, {})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="arguments must be a mapping"):
        WasmModule(path).call("echo", [1])  # type: ignore[arg-type]
