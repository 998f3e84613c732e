//! ToolRL's reward: hand-written cases (their values are proven by `tests/test_toolrl.py`), hostile texts, properties.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use mentor::reward::toolrl::{
    MAX_CORRECTNESS, MAX_PAIRS, MIN_CORRECTNESS, ToolRlDefect, ToolRlGold, ToolRlScore, score,
};
use proptest::prelude::*;
use serde_json::Value;

fn calls<T: AsRef<str>>(lines: &[T]) -> String {
    let lines: Vec<&str> = lines.iter().map(T::as_ref).collect();
    format!("<think>t</think>\n<tool_call>\n{}\n</tool_call>", lines.join("\n"))
}

fn f(a: &str) -> String {
    format!(r#"{{"name": "f", "parameters": {{"a": {a}}}}}"#)
}

fn run(gold: &str, output: &str) -> ToolRlScore {
    score(&ToolRlGold::new(gold), output)
}

/// Scores a text and checks that its length does not turn into a time: seconds here mean a quadratic algorithm.
fn quickly(gold: &str, output: &str) -> ToolRlScore {
    let start = Instant::now();
    let score = run(gold, output);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?} for {} bytes", start.elapsed(), output.len());
    score
}

#[test]
fn every_case_has_its_score() {
    let path = format!("{}/tests/cases/toolrl.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("cases");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("cases");
    assert!(cases.len() > 100);
    for case in cases {
        let text = |key: &str| case[key].as_str().expect("text");
        let number = |key: &str| case[key].as_f64().expect("number");
        let got = run(text("gold"), text("output"));
        let name = text("name");
        assert_eq!(got.format.to_bits(), number("format").to_bits(), "{name}: {got:?}");
        assert_eq!(got.correctness.to_bits(), number("correctness").to_bits(), "{name}: {got:?}");
        assert_eq!(got.total.to_bits(), (number("format") + number("correctness")).to_bits(), "{name}");
        assert_eq!(got.defect.map(ToolRlDefect::as_str), case["defect"].as_str(), "{name}");
    }
}

#[test]
fn a_gold_turn_that_cannot_be_read_gives_the_floor_and_keeps_the_format() {
    let gold = calls(&["{"]);
    let got = run(&gold, &gold);
    let want = ToolRlScore {
        total: -2.0,
        format: 1.0,
        correctness: MIN_CORRECTNESS,
        defect: Some(ToolRlDefect::UnreadableGold),
    };
    assert_eq!(got, want);
    assert!((run(&gold, "").total - MIN_CORRECTNESS).abs() < f64::EPSILON);
}

#[test]
fn integers_are_read_up_to_pythons_limit() {
    let (held, refused) = ("9".repeat(4300), "9".repeat(4301));
    assert_eq!(run(&calls(&[f(&held)]), &calls(&[f(&held)])).defect, None);
    assert_eq!(run(&calls(&[f("1")]), &calls(&[f(&refused)])).defect, Some(ToolRlDefect::UnreadableCall));
    // A float may have any number of digits.
    assert_eq!(run(&calls(&[f("1")]), &calls(&[f(&format!("{refused}e-4301"))])).defect, None);
}

#[test]
fn nesting_is_read_up_to_its_limit() {
    let nested = |depth: usize| calls(&[f(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)))]);
    // The call and its parameters are two levels.
    let deep = nested(898);
    assert!((run(&deep, &deep).correctness - MAX_CORRECTNESS).abs() < f64::EPSILON);
    assert_eq!(run(&deep, &nested(899)).defect, Some(ToolRlDefect::UnreadableCall));
}

#[test]
fn more_pairs_than_the_limit_are_a_defect() {
    let lines = |count: usize, value: &str| calls(&vec![f(value); count]);
    let gold = lines(1024, "1");
    let at = run(&gold, &lines(MAX_PAIRS / 1024, "2"));
    assert_eq!(at.defect, None);
    assert_eq!(run(&gold, &lines(MAX_PAIRS / 1024 + 1, "2")).defect, Some(ToolRlDefect::TooManyCalls));
    // Equal calls need no pairs.
    let many = lines(MAX_PAIRS / 1024 + 1, "1");
    assert!((run(&many, &many).correctness - MAX_CORRECTNESS).abs() < f64::EPSILON);
}

#[test]
fn hostile_texts_take_linear_time() {
    let gold = calls(&[f("1"), f("2"), r#"{"name": "g", "parameters": {"b": [1, {"c": 2}]}}"#.to_owned()]);
    let mib = 1 << 20;
    let bad = |output: &str| quickly(&gold, output).defect;
    for token in
        ["<tool_call>", "</tool_call>", "<think>", "</think>\n<tool_call>\n", "\n</tool_call>", "x", "\n", "\0"]
    {
        let text = token.repeat(10 * mib / token.len());
        assert!(quickly(&gold, &text).correctness <= MIN_CORRECTNESS);
        assert!(quickly(&gold, &format!("<think>{text}")).correctness <= MIN_CORRECTNESS);
        quickly("<think></think>\n<response></response>", &text);
        quickly(&text, &gold);
    }
    for token in ["[", "{\"a\":", "[[],", "\"", "\\", "-", "1", "1,", "\"\\u", " "] {
        let text = token.repeat(10 * mib / token.len());
        assert_eq!(bad(&calls(&[text.as_str()])), Some(ToolRlDefect::UnreadableCall), "{token}");
        assert_eq!(bad(&calls(&[format!("[{text}")])), Some(ToolRlDefect::UnreadableCall), "{token}");
    }
    let long = calls(&[f(&format!("\"{}\"", "\\ud800".repeat(10 * mib / 6)))]);
    assert_eq!(bad(&long), None);
}

#[test]
fn many_lines_and_many_keys_take_linear_time() {
    let gold = calls(&[f("1"), f("2"), f("3")]);
    let lines: Vec<String> = (0..100_000).map(|at| f(&format!("[{at}]"))).collect();
    assert_eq!(quickly(&gold, &calls(&lines)).defect, None);
    let wide = |count: usize| {
        let mut text = String::from("{\"name\": \"f\", \"parameters\": {");
        for at in (0..count).rev() {
            write!(text, "\"k{at}\": 1e308, ").expect("write");
        }
        text + "\"a\": 1}}"
    };
    let got = quickly(&gold, &calls(&[wide(400_000)]));
    assert!(got.defect.is_none() && got.correctness < 0.0);
    let wide = calls(&[wide(200_000), f("1")]);
    assert!((quickly(&wide, &wide).correctness - MAX_CORRECTNESS).abs() < f64::EPSILON);
    // The same key again and again; keys in falling order at every level.
    let repeated = format!("{{{}\"a\": 1}}", "\"a\": 2, ".repeat(mebi(8)));
    assert_eq!(quickly(&gold, &calls(&[f(&repeated)])).defect, None);
    let deep = format!("{}\"{}\"{}", "{\"b\":".repeat(800), "x".repeat(mebi(1)), ",\"a\":1}".repeat(800));
    assert_eq!(quickly(&gold, &calls(&[f(&deep)])).defect, None);
}

/// How many 8-byte pieces make so many MiB.
fn mebi(count: usize) -> usize {
    count << 17
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        "<response>",
        "</response>",
        "\n",
        " ",
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "\"name\"",
        "\"parameters\"",
        "\"f\"",
        "\\ud83d",
        "\\",
        "1",
        "-",
        "0",
        ".5",
        "e9",
        "NaN",
        "true",
        "é",
        "\u{1c}",
        "{\"name\": \"f\", \"parameters\": {\"a\": 1}}",
        "</think>\n<tool_call>\n",
        "\n</tool_call>",
    ])
}

proptest! {
    #[test]
    fn any_text_has_a_score_within_bounds(
        gold in prop::collection::vec(piece(), 0..24),
        output in prop::collection::vec(piece(), 0..24),
    ) {
        let got = run(&gold.concat(), &output.concat());
        prop_assert!((MIN_CORRECTNESS..=MAX_CORRECTNESS).contains(&got.correctness));
        prop_assert!(got.format.to_bits() == 0.0_f64.to_bits() || got.format.to_bits() == 1.0_f64.to_bits());
        prop_assert_eq!(got.total.to_bits(), (got.format + got.correctness).to_bits());
        prop_assert!(got.defect.is_none() || got.correctness.to_bits() == MIN_CORRECTNESS.to_bits());
    }

    #[test]
    fn equal_calls_in_any_order_are_best(values in prop::collection::vec(0..4_i32, 1..7), seed in any::<u64>()) {
        let lines: Vec<String> = values.iter().map(|value| f(&value.to_string())).collect();
        let mut shuffled = lines.clone();
        let at = usize::try_from(seed % 7).unwrap_or(0) % lines.len();
        shuffled.rotate_left(at);
        let got = run(&calls(&lines), &calls(&shuffled));
        prop_assert_eq!(got.total.to_bits(), 4.0_f64.to_bits());
        // Anything more or less costs.
        shuffled.push(f("9"));
        prop_assert!(run(&calls(&lines), &calls(&shuffled)).correctness < MAX_CORRECTNESS);
        prop_assert!(run(&calls(&shuffled), &calls(&lines)).correctness < MAX_CORRECTNESS);
    }
}
