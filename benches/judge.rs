//! The native judge: each bench asserts its answer before it is timed.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mentor::answer::{Gold, Verdict};

/// A gold answer, a prediction, the verdict.
const PAIRS: [(&str, &str, &str, Verdict); 11] = [
    ("integer", "1250", "1250.0", Verdict::Equal),
    ("money", "1250", "\\$1,250.00", Verdict::Equal),
    ("fraction", "0.75", "\\frac{3}{4}", Verdict::Equal),
    ("other integer", "1250", "1251", Verdict::Different),
    ("radical", "3\\sqrt{13}", "\\sqrt{117}", Verdict::Equal),
    ("point", "\\left( 3, \\frac{\\pi}{2} \\right)", "(3, \\pi/2)", Verdict::Equal),
    ("interval", "(-\\infty, 3]", "x \\le 3", Verdict::Equal),
    ("polynomial", "x^2+2x+1", "(x+1)^2", Verdict::Equal),
    ("logarithm", "\\frac{1}{2}\\log_2 3", "\\log_4 3", Verdict::Equal),
    ("sine", "\\sin 2x", "\\sin 3x", Verdict::Different),
    ("tower", "9", "9**9**9**9", Verdict::Undecided),
];

fn judge(c: &mut Criterion) {
    let mut group = c.benchmark_group("judge");
    for (name, gold, predicted, verdict) in PAIRS {
        let gold = Gold::new(gold);
        assert_eq!(gold.judge(predicted), verdict, "{name}");
        group.bench_function(name, |b| b.iter(|| gold.judge(black_box(predicted))));
    }
    group.finish();
}

criterion_group!(benches, judge);
criterion_main!(benches);
