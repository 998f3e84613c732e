//! Parsing and scoring: each bench asserts its answer before it is timed.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mentor::answer::{Gold, Verdict};
use mentor::batch::{Item, Rollout, score_batch};
use mentor::reward::{Preset, Reference, Reward, Score};
use mentor::tools::Tools;
use mentor::trajectory::{Format, Options, Trajectory, parse_messages, parse_text};
use serde_json::{Value, json};

const TOOLS: [&str; 5] = ["add", "subtract", "multiply", "divide", "sum_numbers"];

struct Row {
    text: String,
    messages: Vec<u8>,
    reference: Reference,
}

/// The official rows that were made of real GSM8K solutions and end well.
fn rows() -> Vec<Row> {
    let text = include_str!("../tests/golden/reward_official.jsonl");
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("golden row"));
    rows.filter(|row| row["kind"] == "correct_same_calls")
        .map(|row| {
            let text = row["rollout"].as_str().expect("text").to_owned();
            let reference = Reference::from_json(row["reference"].to_string().as_bytes()).expect("reference");
            Row { messages: messages(&text), text, reference }
        })
        .collect()
}

fn messages(text: &str) -> Vec<u8> {
    let turns = text.trim_end_matches("<|im_end|>").split("<|im_end|>\n<|im_start|>").map(|turn| {
        match turn.strip_prefix("user\n") {
            Some(results) => json!({"role": "tool", "content": results}),
            None => json!({"role": "assistant", "content": turn.trim_start_matches("assistant\n")}),
        }
    });
    serde_json::to_vec(&turns.collect::<Vec<_>>()).expect("messages")
}

fn score(c: &mut Criterion) {
    let rows = rows();
    let tools = Tools::new(TOOLS.map(str::to_owned).to_vec());
    let calls: usize = rows.iter().map(|row| Trajectory::from_text(&row.text).calls.len()).sum();
    assert_eq!(calls, rows.iter().map(|row| row.reference.calls.len()).sum::<usize>());
    assert!(rows.iter().all(|row| Trajectory::from_messages(&row.messages).calls.len() == row.reference.calls.len()));

    let mut group = c.benchmark_group("parse");
    group.throughput(Throughput::Bytes(rows.iter().map(|row| row.text.len() as u64).sum()));
    group.bench_function("text", |b| {
        let (mut out, options) = (Trajectory::default(), Options::default());
        b.iter(|| {
            for row in &rows {
                parse_text(black_box(&row.text), &options, &mut out);
            }
        });
    });
    group.bench_function("messages", |b| {
        let (mut out, options) = (Trajectory::default(), Options::default());
        b.iter(|| {
            for row in &rows {
                parse_messages(black_box(&row.messages), &options, &mut out);
            }
        });
    });
    group.bench_function("hostile", |b| {
        let text = "<tool_call>".repeat(100_000);
        assert!(Trajectory::from_text(&text).bad_calls >= 100_000);
        let (mut out, options) = (Trajectory::default(), Options::default());
        b.iter(|| parse_text(black_box(&text), &options, &mut out));
    });
    group.finish();

    let mut group = c.benchmark_group("score");
    group.throughput(Throughput::Elements(rows.len() as u64));
    let items: Vec<Item<'_>> = rows
        .iter()
        .map(|row| Item {
            rollout: Rollout::Text(&row.text),
            reference: &row.reference,
            tools: Some(&tools),
            format: Format::Auto,
        })
        .collect();
    for threads in [1, 2] {
        group.bench_function(format!("mentor, threads {threads}"), |b| {
            let full = |score: &mentor::batch::Row| score.reward.to_bits() == 1.1_f64.to_bits();
            assert!(score_batch(&items, &Preset::Mentor.into(), Some(threads)).iter().all(full));
            b.iter(|| score_batch(black_box(&items), &Preset::Mentor.into(), Some(threads)).len());
        });
    }
    group.bench_function("mentor-dense, threads 1", |b| {
        let full = |score: &mentor::batch::Row| score.reward.to_bits() == 1.0_f64.to_bits();
        assert!(score_batch(&items, &Reward::default(), Some(1)).iter().all(full));
        b.iter(|| score_batch(black_box(&items), &Reward::default(), Some(1)).len());
    });
    group.finish();

    c.bench_function("judge/number", |b| {
        let gold = Gold::new("1250");
        assert_eq!(gold.judge("\\$1,250.00"), Verdict::Equal);
        b.iter(|| gold.judge(black_box("\\$1,250.00")));
    });
}

/// A turn of one call, and its result.
fn turn(name: &str, a: f64, b: f64, result: &str) -> [Value; 2] {
    let call = json!({"function": {"name": name, "arguments": {"a": a, "b": b}}});
    [json!({"role": "assistant", "tool_calls": [call]}), json!({"role": "tool", "content": result})]
}

/// What scoring costs after parsing: four calls against four, with schemas, results and dependencies.
fn dense(c: &mut Criterion) {
    let schemas = TOOLS.map(|name| {
        json!({"name": name, "parameters": {
            "type": "object", "required": ["a", "b"], "additionalProperties": false,
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        }})
    });
    let tools = Tools::from_value(&json!(schemas)).expect("tools");
    let steps = [
        ("multiply", 12.0, 7.0, "84"),
        ("add", 84.0, 19.0, "103"),
        ("subtract", 103.0, 8.0, "95"),
        ("add", 31.0, 95.0, "126"),
    ];
    let rollout = |order: [usize; 4]| {
        let mut messages: Vec<Value> = order
            .iter()
            .flat_map(|at| {
                let (name, a, b, result) = steps[*at];
                turn(name, a, b, result)
            })
            .collect();
        messages.push(json!({"role": "assistant", "content": "\\boxed{126}"}));
        serde_json::to_vec(&messages).expect("messages")
    };
    let reference = Reference::from_json(&rollout([0, 1, 2, 3])).expect("reference");
    let mut group = c.benchmark_group("compute");
    // In order: no assignment is needed. Backwards: all pairs, three arguments before their results.
    for (name, order, reward, want) in [
        ("mentor, in order", [0, 1, 2, 3], Reward::from(Preset::Mentor), 1.1),
        ("mentor-dense, in order", [0, 1, 2, 3], Reward::default(), 1.0),
        ("mentor-dense, backwards", [3, 2, 1, 0], Reward::default(), 0.943_75),
    ] {
        let mut score = Score::new(Trajectory::from_messages(&rollout(order)), &reference, Some(&tools), &reward);
        assert!((score.reward - want).abs() < 1e-12, "{name}: {} {:?}", score.reward, score.facts);
        group.bench_function(name, |b| {
            b.iter(|| score.compute(black_box(&reference), Some(&tools), black_box(&reward)));
        });
    }
    group.finish();
}

criterion_group!(benches, score, dense);
criterion_main!(benches);
