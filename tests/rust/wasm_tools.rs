//! The user's own WebAssembly from Rust: calls, limits, batches, and what is refused before it is compiled.

use mentor::error::Error;
use mentor::sandbox::FaultKind;
use mentor::sandbox::wasm_tools::{Limits, WasmTools};

const TEXT: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "add") (param $first i64) (param $second i64) (result i64)
        (i64.add (local.get $first) (local.get $second)))
    (func (export "spin") (loop (br 0)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1000)))
    (func (export "work") (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
)"#;

fn tools(limits: Limits) -> WasmTools {
    WasmTools::new(TEXT.as_bytes(), limits, 0).expect("a module")
}

fn short() -> Limits {
    Limits { timeout_ms: 100, memory_mb: 2, output_kb: 1, fuel: None, files_kb: 0 }
}

#[test]
fn calls_have_values_or_faults() {
    let tools = tools(short());
    let sum = tools.call("add", r#"{"first": 9007199254740993, "second": -1}"#).unwrap();
    assert_eq!((sum.value_json.as_deref(), sum.reproducible), (Some("9007199254740992"), true));
    let kinds = [
        ("spin", "{}", FaultKind::Timeout),
        ("add", "{}", FaultKind::BadArguments),
        ("no", "{}", FaultKind::UnknownTool),
    ];
    for (name, arguments, kind) in kinds {
        let outcome = tools.call(name, arguments).unwrap();
        assert_eq!((outcome.fault.map(|fault| fault.kind), outcome.value_json), (Some(kind), None), "{name}");
    }
    assert_eq!(tools.call("grow", "{}").unwrap().value_json.as_deref(), Some("-1"));
}

#[test]
fn fuel_is_exact() {
    let tools = tools(Limits { fuel: Some(10_000), ..short() });
    let used = |n: u32| tools.call("work", &format!(r#"{{"a": {n}}}"#)).unwrap();
    let (ten, twenty) = (used(10).fuel.unwrap(), used(20).fuel.unwrap());
    assert_eq!(used(10).fuel, Some(ten));
    assert_eq!(used(30).fuel, Some(twenty + (twenty - ten)));
    let outcome = used(0);
    assert_eq!((outcome.fuel, outcome.fault.unwrap().kind), (Some(10_000), FaultKind::OutOfFuel));
}

#[test]
fn batches_keep_their_order() {
    let calls = (0..200).map(|n| ("add".to_owned(), format!(r#"{{"first": {n}, "second": 1}}"#))).collect();
    let outcomes = tools(short()).call_batch(calls).unwrap();
    let values: Vec<_> = outcomes.into_iter().map(|outcome| outcome.value_json.unwrap()).collect();
    assert_eq!(values, (1..=200).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn what_cannot_be_loaded_is_an_input_error() {
    for source in ["", "(module", "(module (import \"env\" \"f\" (func)))", "\0asm"] {
        let error = WasmTools::new(source.as_bytes(), short(), 0).err();
        assert!(matches!(error, Some(Error::Input(_))), "{source:?}");
    }
    let limits = Limits { memory_mb: 0, ..short() };
    assert!(matches!(WasmTools::new(TEXT.as_bytes(), limits, 0).err(), Some(Error::Input(_))));
}
