"""Attacks by a WebAssembly file of the user's: on the host that loads it, describes it, calls it and reads its answers.

After each the host must go on: another module gives what it gave before, and memory has not grown.
"""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator

import pytest

from mentor import Limits, Outcome
from mentor.errors import InputError
from mentor.sandbox import WasmModule
from wasm_sources import NUMBERS, WASI, component, echo, lifted

LIMITS = Limits(timeout_ms=1_000, memory_mb=32, output_kb=16)
#: Host memory that a case may take at most, MB: what one call may have, and some for compiling.
MOST_MB = 300


def resident() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize() >> 20


@pytest.fixture(scope="module")
def good() -> WasmModule:
    return WasmModule(NUMBERS.encode(), limits=LIMITS)


@pytest.fixture(autouse=True)
def intact(good: WasmModule) -> Iterator[None]:
    before = resident()
    yield
    assert good.call("add", {"first": 40, "second": 2}).value == 42
    assert good.call("count", {}).value == 1
    assert resident() - before < MOST_MB


def kind(outcome: Outcome) -> str:
    assert outcome.fault is not None, outcome
    return outcome.fault.kind


def refused(source: bytes) -> str:
    with pytest.raises(InputError) as caught:
        WasmModule(source, limits=LIMITS)
    assert len(str(caught.value)) < 2_000
    return str(caught.value)


def call(source: str | bytes, name: str = "f", arguments: str = "{}") -> Outcome:
    module = WasmModule(source if isinstance(source, bytes) else source.encode(), limits=LIMITS)
    began = time.perf_counter()
    outcome = module.call(name, arguments)
    assert time.perf_counter() - began < 5
    if outcome.fault is not None:
        assert len(outcome.fault.message) <= 17 << 10  # `output_kb`, at most
    return outcome


F = '(func (export "f") (result i32) (i32.const 1))'

# --- instances -----------------------------------------------------------------------------------------------------

INSTANCES = {
    "endless start": (f"(module (func $s (loop (br 0))) (start $s) {F})", "timeout"),
    "trapping start": (f"(module (func $s unreachable) (start $s) {F})", "trap"),
    "recursive start": (f"(module (func $s (call $s)) (start $s) {F})", "trap"),
    "endless _initialize": (f'(module (func (export "_initialize") (loop (br 0))) {F})', "timeout"),
    "memory of 4 GB": (f"(module (memory 65536) {F})", "memory_limit"),
    "memory beyond its limit": (f"(module (memory 513) {F})", "memory_limit"),
    "many memories": (f"(module {'(memory 1)' * 17} {F})", "trap"),
    "memories that are too much together": (f"(module {'(memory 200)' * 5} {F})", "memory_limit"),
    "table of ten million": (f"(module (table 10000000 funcref) {F})", "trap"),
    "tables that are too much together": (f"(module {'(table 900000 funcref)' * 2} {F})", "trap"),
    "many tables": (f"(module {'(table 1 funcref)' * 65} {F})", "trap"),
    "data beyond the memory": (f'(module (memory 1) (data (i32.const 65530) "0123456789") {F})', "trap"),
    "elements beyond the table": (f"(module (table 1 funcref) (elem (i32.const 1) $f) (func $f) {F})", "trap"),
    "growing memory for ever": (
        '(module (memory 1) (func (export "f") (loop (drop (memory.grow (i32.const 1))) (br 0))))',
        "timeout",
    ),
    "growing a table for ever": (
        '(module (table $t 1 funcref) (func (export "f") (loop (drop (table.grow $t (ref.null func) (i32.const 1000)))'
        "(br 0))))",
        "timeout",
    ),
    "growing two memories in turn": (
        '(module (memory $a 1) (memory $b 1) (func (export "f") (result i32) (local $n i32)'
        "(loop (br_if 0 (i32.and (i32.ne (memory.grow $a (i32.const 1)) (i32.const -1))"
        "(i32.ne (memory.grow $b (i32.const 1)) (i32.const -1)))))"
        "(i32.add (memory.size $a) (memory.size $b))))",
        "",
    ),
    "filling memory for ever": (
        '(module (memory 500) (func (export "f") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 32000000))'
        "(br 0))))",
        "timeout",
    ),
    "calling a wrong type": (
        '(module (type $t (func (param i32))) (table funcref (elem $g)) (func $g) (func (export "f")'
        "(call_indirect (type $t) (i32.const 1) (i32.const 0))))",
        "trap",
    ),
    "calling beyond the table": (
        '(module (table 1 funcref) (func (export "f") (call_indirect (i32.const 4294967295))))',
        "trap",
    ),
    "recursion with many locals": (
        f'(module (func $f (export "f") (local {"i64 " * 5000}) (call $f)))',
        "trap",
    ),
    "mutual recursion": ('(module (func $a (export "f") (call $b)) (func $b (call $a)))', "trap"),
    "tail calls for ever": ('(module (func $f (export "f") (return_call $f)))', "timeout"),
    "least integer by minus one": (
        '(module (func (export "f") (result i32) (i32.div_s (i32.const -2147483648) (i32.const -1))))',
        "trap",
    ),
    "a float beyond the integers": (
        '(module (func (export "f") (result i32) (i32.trunc_f64_s (f64.const 1e300))))',
        "trap",
    ),
}


@pytest.mark.parametrize("name", INSTANCES)
def test_instances_end_as_faults_of_their_call(name: str) -> None:
    source, wanted = INSTANCES[name]
    for _ in range(2):
        outcome = call(source)
        if wanted:
            assert kind(outcome) == wanted, outcome
        else:
            assert outcome.value <= 32 << 4


# --- loading -------------------------------------------------------------------------------------------------------


def leb(number: int) -> bytes:
    out = b""
    while True:
        number, low = number >> 7, number & 127
        if not number:
            return out + bytes([low])
        out += bytes([low | 128])


def section(at: int, content: bytes) -> bytes:
    return bytes([at]) + leb(len(content)) + content


def module(bodies: list[bytes], exports: list[bytes], local_count: int = 0) -> bytes:
    """A module of functions of the type (i32) -> i32."""
    local = leb(1) + leb(local_count) + b"\x7f" if local_count else b"\0"
    code = b"".join(leb(len(local + body) + 1) + local + body + b"\x0b" for body in bodies)
    named = b"".join(leb(len(name)) + name + b"\0" + leb(0) for name in exports)
    return (
        b"\0asm\1\0\0\0"
        + section(1, b"\1\x60\1\x7f\1\x7f")
        + section(3, leb(len(bodies)) + bytes(len(bodies)))
        + section(7, leb(len(exports)) + named)
        + section(10, leb(len(bodies)) + code)
    )


GET = b"\x20\0"


def test_a_million_exports_are_refused() -> None:
    for count in (1_001, 100_000):
        names = [b"f%d" % n for n in range(count)]
        assert "exports more than 1000 functions" in refused(module([GET], names))
    assert "exceeds the limit" in refused(module([GET], [b"f%d" % n for n in range(1_000_000)]))
    hidden = WasmModule(module([GET], [b"_%d" % n for n in range(100_000)] + [b"f"]))
    assert len(hidden.skipped) == 1_000
    assert hidden.call("f", {"a": 1}).value == 1


def test_too_many_functions_are_refused() -> None:
    assert "too much to compile" in refused(module([GET] * 100_001, [b"f"]))


def test_names_are_cut_and_never_trusted() -> None:
    names = [b"x" * 100_000, b"a\nb", b"", "é".encode(), b'"', b"a.b", b"__proto__", b"9a", b"ok"]
    found = WasmModule(module([GET], names))
    assert [function.name for function in found.functions] == ["ok"]
    assert max(map(len, found.skipped)) <= 100
    assert kind(found.call("x" * 100_000, {})) == "unknown_tool"


BOMBS = {
    "one long function": (b"\x20\0" + b"\x41\3\x6a" * 200_000, 0),
    "nested loops": (b"\x03\x40" * 1_000 + b"\x20\0\x0d\0\x0b" * 1_000 + GET, 0),
    "nested blocks": (b"\x02\x40" * 20_000 + b"\x20\0\x0d\0\x0b" * 20_000 + GET, 0),
    "branches and locals": (b"\x20\0\x04\x40\x20\1\x21\2\x0b" * 20_000 + GET, 5_000),
    "branches and values": (
        b"\x20\0\x41\1\x6c" * 40_000 + b"\x20\0\x04\x40\x41\1\x21\0\x0b" * 30_000 + b"\x6a" * 39_999,
        0,
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_functions_that_would_take_long_to_compile_are_refused_at_once(name: str) -> None:
    body, local_count = BOMBS[name]
    began = time.perf_counter()
    assert "take the compiler too long" in refused(module([body], [b"f"], local_count))
    assert time.perf_counter() - began < 2


def test_a_function_at_the_border_compiles_in_time() -> None:
    body = b"\x03\x40" * 60 + b"\x02\x40" * 1_900 + b"\x20\0\x0d\0\x0b" * 1_960 + GET
    assert WasmModule(module([body], [b"f"])).functions[0].name == "f"


def test_files_and_texts_that_are_too_large_are_refused() -> None:
    assert "at most" in refused(b"\0asm\1\0\0\0" + bytes(64 << 20))
    assert "at most" in refused(b" " * (4 << 20) + b"(module)")


@pytest.mark.parametrize("unit", ["(", "(module ", "(component ", '"', "(;", "(func (block ", "(; ;)"])
def test_deep_and_endless_text_is_refused(unit: str) -> None:
    refused((unit * 200_000).encode())


def test_deep_components_are_refused_or_loaded() -> None:
    for depth in (50, 1_000, 5_000):
        binary = b"\0asm\x0d\0\1\0"
        for _ in range(depth):
            binary = b"\0asm\x0d\0\1\0" + section(4, binary)
        try:
            assert WasmModule(binary, limits=LIMITS).functions == ()
        except InputError as error:
            assert len(str(error)) < 2_000


def test_types_that_grow_by_sharing_are_refused_or_left_out() -> None:
    for depth in (12, 18, 30, 90):
        types = "(type $t0 (tuple u8 u8))" + "".join(f"(type $t{n + 1} (tuple $t{n} $t{n}))" for n in range(depth))
        source = component(
            types, lifted("f", f'(param "p" (list $t{depth}))', "drop"), '(func (export "drop") (param i32 i32))'
        )
        try:
            found = WasmModule(source, limits=LIMITS)
        except InputError as error:
            assert len(str(error)) < 2_000
        else:
            assert found.functions == () or depth == 12
            assert set(found.skipped) <= {"f"}


def test_a_type_within_types_a_hundred_deep_is_refused_or_works() -> None:
    for depth in (50, 98, 200, 2_000):
        item = "(list " * depth + "u8" + ")" * depth
        try:
            found = WasmModule(echo("", "u8").replace(b"(list u8)", item.encode()), limits=LIMITS)
        except InputError as error:
            assert len(str(error)) < 2_000
        else:
            assert found.call("echo", {"items": []}).value == []


def test_many_imports_are_refused() -> None:
    text = "".join(f'(import "wasi_snapshot_preview1" "f{n}" (func))' for n in range(3_000))
    assert "more than 2000 imports" in refused(f"(module {text})".encode())


@pytest.mark.parametrize("seed", range(8))
def test_damaged_files_are_refused_or_behave(seed: int) -> None:
    """Flipped bits in valid files; whatever still loads is called."""
    rng = random.Random(seed)
    whole = module([GET, b"\x20\0\x41\1\x6a", b"\x03\x40\x20\0\x0d\0\x0b\x20\0"], [b"f", b"g"])
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(8, len(damaged))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.2:
            del damaged[rng.randrange(8, len(damaged)) :]
        try:
            found = WasmModule(bytes(damaged), limits=Limits(timeout_ms=20, memory_mb=8, output_kb=1))
        except InputError:
            continue
        for function in found.functions:
            arguments = dict.fromkeys(function.parameters["properties"], 1)
            found.call(function.name, arguments)


# --- answers of components -----------------------------------------------------------------------------------------


def answering(signature: str, core: str, memory: str = "") -> bytes:
    return component("", lifted("f", signature, "answer"), f'(func (export "answer") {core}) {memory}')


def stored(*words: int, before: str = "") -> str:
    """A core function that answers with words at 0."""
    text = before + "".join(f"(i32.store (i32.const {at * 4}) (i32.const {word}))" for at, word in enumerate(words))
    return f"(result i32) {text} (i32.const 0)"


TEXT, LIST = "(result string)", "(result (list u8))"
ANSWERS = {
    "text beyond the memory": (TEXT, stored(65_530, 10), "trap"),
    "text at the end of addresses": (TEXT, stored(-1, 10), "trap"),
    "text of 4 GB": (TEXT, stored(0, -1), "trap"),
    "text that wraps around": (TEXT, stored(-16, 100), "trap"),
    "an answer that is not there": (TEXT, "(result i32) (i32.const -4)", "trap"),
    "an answer that is not aligned": (TEXT, "(result i32) (i32.const 1)", "trap"),
    "text that is no UTF-8": (TEXT, stored(64, 2, before="(i32.store (i32.const 64) (i32.const 0xffff))"), "trap"),
    "a surrogate": (TEXT, stored(64, 3, before="(i32.store (i32.const 64) (i32.const 0x80a0ed))"), "trap"),
    "half a character": (TEXT, stored(64, 1, before="(i32.store (i32.const 64) (i32.const 0xc3))"), "trap"),
    "text beyond the limit": (TEXT, stored(0, 20_000), "bad_result"),
    "a list beyond the limit": (LIST, stored(0, 60_000), "bad_result"),
    "a list beyond the memory": (LIST, stored(60_000, 60_000), "trap"),
    "a list of 4 GB": (LIST, stored(0, -1), "trap"),
    "a list of lists of one list": (
        "(result (list (list u8)))",
        """(result i32) (local $n i32)
            (loop
              (i32.store (i32.add (i32.const 64) (i32.mul (local.get $n) (i32.const 8))) (i32.const 0))
              (i32.store (i32.add (i32.const 68) (i32.mul (local.get $n) (i32.const 8))) (i32.const 60000))
              (local.set $n (i32.add (local.get $n) (i32.const 1)))
              (br_if 0 (i32.lt_u (local.get $n) (i32.const 8000))))
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 8000)) (i32.const 0)""",
        "bad_result",
    ),
    "a list of empty lists without end": (
        "(result (list (list u8)))",
        "(result i32) (drop (memory.grow (i32.const 400))) (i32.store (i32.const 0) (i32.const 65536))"
        "(i32.store (i32.const 4) (i32.const 3000000)) (i32.const 0)",
        "bad_result",
    ),
    "a wrong case": ("(result (option u8))", stored(9), "trap"),
    "a wrong case of a result": ("(result (result u8 (error u8)))", stored(9), "trap"),
    "a wrong character": ("(result char)", "(result i32) (i32.const 0xd800)", "trap"),
    "a character beyond them": ("(result char)", "(result i32) (i32.const -1)", "trap"),
    "infinity": ("(result f64)", "(result f64) (f64.const inf)", "bad_result"),
    "a NaN in a list": (
        "(result (list f64))",
        stored(64, 1, before="(f64.store (i32.const 64) (f64.const nan:0x123))"),
        "bad_result",
    ),
    "an endless function": (TEXT, "(result i32) (loop (br 0)) unreachable", "timeout"),
    "a trap": (TEXT, "(result i32) (call $echo (i32.const 0) (i32.const 0)) unreachable", "trap"),
    "an error without end": (
        "(result (result (error string)))",
        stored(1, 1_024, 60_000),
        "exception",
    ),
    "a long error that is no text": (
        "(result (result (error (list u8))))",
        stored(1, 1_024, 60_000),
        "bad_result",
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_wrong_answers_are_faults(name: str) -> None:
    signature, core, wanted = ANSWERS[name]
    outcome = call(answering(signature, core))
    assert kind(outcome) == wanted, outcome
    assert len(outcome.fault.message) <= 17 << 10  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("(i32.const -8)", "trap"),
        ("(i32.const 65535)", "trap"),
        ("(i32.const 3)", "trap"),
        ("unreachable", "trap"),
        ("(loop (br 0)) unreachable", "timeout"),
        ("(drop (memory.grow (i32.const 65535))) unreachable", "memory_limit"),
    ],
)
def test_allocators_that_lie_are_faults(body: str, wanted: str) -> None:
    core = f'(func (export "bad") (param i32 i32 i32 i32) (result i32) {body}) (func (export "take") (param i32 i32))'
    text = component(
        "",
        '(func (export "f") (param "p" (list u32)) (canon lift (core func $i "take") (memory $i "memory") '
        '(realloc (func $i "bad"))))',
        core,
    )
    assert kind(call(text, "f", '{"p": [1, 2, 3, 4]}')) == wanted


def test_a_function_that_fails_after_its_answer_has_no_value() -> None:
    text = component(
        "",
        '(func (export "f") (result u8) (canon lift (core func $i "seven") (post-return (func $i "after"))))',
        '(func (export "seven") (result i32) (i32.const 7)) (func (export "after") (param i32) unreachable)',
    )
    outcome = call(text)
    assert kind(outcome) == "trap"
    assert outcome.value is None


# --- WASI ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wasi() -> WasmModule:
    return WasmModule(WASI.encode(), limits=LIMITS)


@pytest.mark.parametrize("at", [-1, -4, 65_533, 65_536, 2**31 - 1, -(2**31)])
def test_addresses_beyond_the_memory_are_errors(wasi: WasmModule, at: int) -> None:
    assert wasi.call("random_at", {"at": at, "len": 8}).value == 21  # EFAULT
    assert wasi.call("write", {"stream": 1, "at": at, "len": 1, "out": 0}).value == 21
    assert wasi.call("write", {"stream": 1, "at": 0, "len": 0, "out": at}).value == 21
    assert wasi.call("poll", {"at": at, "out": 0, "len": 1, "count": 0}).value == 21
    assert wasi.call("poll", {"at": 1024, "out": at, "len": 1, "count": 0}).value == 21
    assert wasi.call("poll", {"at": 1024, "out": 0, "len": 1, "count": at}).value == 21


def test_huge_requests_are_errors(wasi: WasmModule) -> None:
    assert wasi.call("random_at", {"at": 0, "len": -1}).value == 28  # EINVAL
    assert wasi.call("random_at", {"at": 0, "len": 1 << 20}).value == 21
    assert wasi.call("write", {"stream": 1, "at": 0, "len": -1, "out": 0}).value == 28
    assert wasi.call("poll", {"at": 0, "out": 0, "len": -1, "count": 0}).value == 28
    assert wasi.call("sleep", {"nanoseconds": 2**62}).value >= 2**62
    assert wasi.call("sleep", {"nanoseconds": -1}).ok


def test_imports_without_a_memory_are_errors() -> None:
    text = """(module (import "wasi_snapshot_preview1" "random_get" (func $r (param i32 i32) (result i32)))
        (func (export "f") (result i32) (call $r (i32.const 0) (i32.const 1))))"""
    assert call(text).value == 21


def handles(body: str) -> str:
    """A component with two imported functions on streams, and a core that calls them with numbers of its own."""
    return f"""(component
      (import "wasi:cli/stdout@0.2.3" (instance $stdout
        (export "output-stream" (type $out (sub resource)))
        (export "get-stdout" (func (result (own $out))))))
      (alias export $stdout "output-stream" (type $stream))
      (core func $get (canon lower (func $stdout "get-stdout")))
      (core func $drop (canon resource.drop $stream))
      (core module $m
        (import "" "get" (func $get (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "f") (result i32) {body}))
      (core instance $i (instantiate $m (with "" (instance
        (export "get" (func $get)) (export "drop" (func $drop))))))
      (func (export "f") (result u32) (canon lift (core func $i "f"))))"""


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("(call $drop (call $get)) (i32.const 1)", ""),
        ("(call $drop (i32.const 12345)) (i32.const 1)", "trap"),
        ("(local $h i32) (local.set $h (call $get)) (call $drop (local.get $h)) (call $drop (local.get $h)) "
         "(i32.const 1)", "trap"),
        ("(loop (drop (call $get)) (br 0)) unreachable", "any"),
    ],
)  # fmt: skip
def test_handles_that_are_none_are_faults(body: str, wanted: str) -> None:
    outcome = call(handles(body))
    if wanted == "any":
        assert kind(outcome) in ("trap", "timeout")
    else:
        assert (kind(outcome) if outcome.fault else "") == wanted, outcome


def test_a_batch_of_hostile_calls_ends(good: WasmModule) -> None:
    module = WasmModule(NUMBERS.encode(), limits=Limits(timeout_ms=50, memory_mb=16, output_kb=1))
    calls = [("spin", {}), ("deep", {}), ("stop", {}), ("grow", {"pages": 10}), ("echo", {"n": 1})] * 20
    outcomes = module.call_batch(calls)
    ends = [outcome.fault.kind if outcome.fault else outcome.value for outcome in outcomes]
    for at in range(0, 100, 5):
        assert ends[at] == "timeout"
        assert ends[at + 1] in ("trap", "timeout")  # a deep stack is slow to touch
        assert ends[at + 2 : at + 5] == ["trap", 1, 1]
