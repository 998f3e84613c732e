//! How close parsing and scoring come to the floor: one pass of memchr over the text, and a SIMD JSON parse of the calls.
//!
//! Everything is timed in one run, on the same rollouts; each bench asserts its answer first.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mentor::batch::{Item, Rollout};
use mentor::reward::{Reward, Score};
use mentor::tools::Tools;
use mentor::trajectory::{Format, Options, Trajectory, parse_messages, parse_text};

mod common;

/// The JSON of a rollout's calls.
fn calls(text: &str) -> Vec<String> {
    let trajectory = Trajectory::from_text(text);
    let blocks = trajectory.calls.iter().filter_map(|call| call.span).map(|span| &text[span.start..span.end]);
    blocks.map(|block| block.trim_start_matches("<tool_call>").trim_end_matches("</tool_call>").to_owned()).collect()
}

fn floor(c: &mut Criterion) {
    let rows = common::rows();
    let tools = Tools::new(["add", "subtract", "multiply", "divide"].map(str::to_owned).to_vec());
    let blocks: Vec<Vec<String>> = rows.iter().map(|row| calls(&row.text)).collect();
    assert!(blocks.iter().all(|blocks| blocks.len() == common::CALLS));

    let mut group = c.benchmark_group("floor");
    group.throughput(Throughput::Elements(rows.len() as u64));
    let mut buffers = simd_json::Buffers::new(256);
    let mut copy = Vec::new();
    group.bench_function("memchr and simd-json", |b| {
        b.iter(|| {
            for (row, blocks) in rows.iter().zip(&blocks) {
                black_box(memchr::memchr_iter(b'<', row.text.as_bytes()).count());
                for block in blocks {
                    copy.clear(); // simd-json works in place
                    copy.extend_from_slice(block.as_bytes());
                    let tape = simd_json::to_tape_with_buffers(&mut copy, &mut buffers).expect("valid JSON");
                    black_box(tape.0.len());
                }
            }
        });
    });
    group.bench_function("parse", |b| {
        let (mut out, options) = (Trajectory::default(), Options::default());
        b.iter(|| {
            for row in &rows {
                parse_text(black_box(&row.text), &options, &mut out);
                assert_eq!(out.calls.len(), common::CALLS);
            }
        });
    });
    group.bench_function("parse, messages", |b| {
        let (mut out, options) = (Trajectory::default(), Options::default());
        b.iter(|| {
            for row in &rows {
                parse_messages(black_box(&row.messages), &options, &mut out);
                assert_eq!(out.calls.len(), common::CALLS);
            }
        });
    });
    for reward in REWARDS {
        let reward: Reward = reward.parse().expect("a reward");
        let items: Vec<Item<'_>> = rows
            .iter()
            .map(|row| Item {
                rollout: Rollout::Text(&row.text),
                reference: &row.reference,
                tools: Some(&tools),
                format: Format::Auto,
            })
            .collect();
        group.bench_function(format!("score, {}", reward.name()), |b| {
            let mut score = Score::default();
            b.iter(|| {
                for item in &items {
                    item.score(&reward, &mut score);
                    assert!(score.facts.correct);
                }
            });
        });
    }
    group.finish();
}

const REWARDS: [&str; 2] = ["mentor", "mentor-dense"];

criterion_group!(benches, floor);
criterion_main!(benches);
