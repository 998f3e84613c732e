//! Latency of the sandbox. Every bench asserts its answer.

use criterion::{Criterion, criterion_group, criterion_main};
use mentor::sandbox::{Limits, Outcome, Program, Sandbox, Step};
use std::hint::black_box;

fn expect(outcome: Outcome, json: &str) {
    assert_eq!(outcome.value_json.as_deref(), Some(json), "{outcome:?}");
    black_box(outcome);
}

fn sandbox(c: &mut Criterion) {
    let sandbox = Sandbox::default();
    let one = || Program::new("1 + 1");
    expect(sandbox.run(&one()).expect("runs"), "2");
    c.bench_function("sandbox/fresh", |b| b.iter(|| expect(sandbox.run(&one()).expect("runs"), "2")));
    let metered = Sandbox::new(Limits { fuel: Some(1 << 40), ..Limits::default() }, 0).expect("valid");
    expect(metered.run(&one()).expect("runs"), "2");
    c.bench_function("sandbox/fresh, fuel counted", |b| b.iter(|| expect(metered.run(&one()).expect("runs"), "2")));
    c.bench_function("sandbox/batch of 16", |b| {
        b.iter(|| {
            let outcomes = sandbox.run_batch(vec![one(); 16]).expect("runs");
            assert_eq!(outcomes.iter().filter(|o| o.value_json.as_deref() == Some("2")).count(), 16);
        });
    });
    let session = sandbox.session();
    c.bench_function("sandbox/warm", |b| b.iter(|| expect(session.act(&Step::run("1 + 1")).expect("runs"), "2")));
    let define = Step::run("def add(a, b):\n    return a + b");
    expect(session.act(&define).expect("runs"), "null");
    let call = Step::call("add", r#"{"a": 2, "b": 3}"#);
    c.bench_function("sandbox/warm call", |b| b.iter(|| expect(session.act(&call).expect("runs"), "5")));
    c.bench_function("sandbox/loop of 200,000", |b| {
        let code = "n = 0\nfor i in range(200_000):\n    n += i\nn";
        b.iter(|| expect(session.act(&Step::run(code)).expect("runs"), "19999900000"));
    });
}

criterion_group!(benches, sandbox);
criterion_main!(benches);
