//! How close parsing and scoring come to the floor: one pass of memchr over the text, and a SIMD JSON parse of the calls.
//!
//! Everything is timed in one run, on the same rollouts; each bench asserts its answer first. Criterion times one after the
//! other, and a shared machine's clock changes meanwhile: so the ratios are also taken from runs in turn.

use std::hint::black_box;
use std::time::Instant;

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

/// What no parser of such texts can do without.
struct Floor {
    buffers: simd_json::Buffers,
    copy: Vec<u8>,
}

impl Default for Floor {
    fn default() -> Self {
        Self { buffers: simd_json::Buffers::new(256), copy: Vec::new() }
    }
}

impl Floor {
    fn run(&mut self, rows: &[common::Row], blocks: &[Vec<String>]) {
        for (row, blocks) in rows.iter().zip(blocks) {
            black_box(memchr::memchr_iter(b'<', row.text.as_bytes()).count());
            for block in blocks {
                self.copy.clear(); // simd-json works in place
                self.copy.extend_from_slice(block.as_bytes());
                let tape = simd_json::to_tape_with_buffers(&mut self.copy, &mut self.buffers).expect("valid JSON");
                black_box(tape.0.len());
            }
        }
    }
}

/// What is timed, and its name.
type Run<'a> = (String, Box<dyn FnMut() + 'a>);

/// Prints how many times the floor's time each takes: medians of runs in turn.
#[expect(clippy::print_stdout, reason = "that is what it is for")]
fn print_ratios(runs: &mut [Run<'_>]) {
    const TURNS: usize = 1000;
    let mut times = vec![Vec::with_capacity(TURNS); runs.len()];
    for _ in 0..TURNS {
        for ((_, run), times) in runs.iter_mut().zip(&mut times) {
            let start = Instant::now();
            run();
            times.push(start.elapsed().as_secs_f64());
        }
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (floor, others) = times.split_first().expect("the floor comes first");
    for ((name, _), times) in runs[1..].iter().zip(others) {
        let ratio = median(times.iter().zip(floor).map(|(time, floor)| time / floor).collect());
        println!("{name}: {ratio:.2} times the floor (median of {TURNS} runs in turn)");
    }
}

fn floor(c: &mut Criterion) {
    let rows = common::rows();
    let tools = Tools::new(["add", "subtract", "multiply", "divide"].map(str::to_owned).to_vec());
    let blocks: Vec<Vec<String>> = rows.iter().map(|row| calls(&row.text)).collect();
    assert!(blocks.iter().all(|blocks| blocks.len() == common::CALLS));

    let mut group = c.benchmark_group("floor");
    group.throughput(Throughput::Elements(rows.len() as u64));
    let mut floor = Floor::default();
    group.bench_function("memchr and simd-json", |b| b.iter(|| floor.run(&rows, &blocks)));
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
    let items: Vec<Item<'_>> = rows
        .iter()
        .map(|row| Item {
            rollout: Rollout::Text(&row.text),
            reference: &row.reference,
            tools: Some(&tools),
            format: Format::Auto,
        })
        .collect();
    for reward in REWARDS {
        let reward: Reward = reward.parse().expect("a reward");
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

    let (mut out, mut score, reward) = (Trajectory::default(), Score::default(), Reward::default());
    print_ratios(&mut [
        ("memchr and simd-json".to_owned(), Box::new(|| floor.run(&rows, &blocks))),
        (
            "parse".to_owned(),
            Box::new(|| rows.iter().for_each(|row| parse_text(black_box(&row.text), &Options::default(), &mut out))),
        ),
        (
            format!("score, {}", reward.name()),
            Box::new(|| items.iter().for_each(|item| item.score(&reward, black_box(&mut score)))),
        ),
    ]);
}

const REWARDS: [&str; 2] = ["mentor", "mentor-dense"];

criterion_group!(benches, floor);
criterion_main!(benches);
