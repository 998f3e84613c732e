//! Parsing and scoring: each bench asserts its answer before it is timed.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mentor::answer::{Gold, Verdict};
use mentor::batch::{Item, Rollout, score_batch};
use mentor::reward::{Preset, Reference};
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
            rows.iter().for_each(|row| parse_text(black_box(&row.text), &options, &mut out));
        });
    });
    group.bench_function("messages", |b| {
        let (mut out, options) = (Trajectory::default(), Options::default());
        b.iter(|| {
            rows.iter().for_each(|row| parse_messages(black_box(&row.messages), &options, &mut out));
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
    group.finish();

    c.bench_function("judge/number", |b| {
        let gold = Gold::new("1250");
        assert_eq!(gold.judge("\\$1,250.00"), Verdict::Equal);
        b.iter(|| gold.judge(black_box("\\$1,250.00")));
    });
}

criterion_group!(benches, score);
criterion_main!(benches);
