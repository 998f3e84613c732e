//! What holds for every tag of the table.

use std::time::{Duration, Instant};

use super::tags::{ROWS, Tag, first_row, tag_at};
use super::template::Markup;
use super::{Format, MAX_DEFECTS, Options, Trajectory, parse_messages, parse_text};

/// What a hostile policy writes behind a tag.
const BODIES: [&str; 22] = [
    "",
    "{",
    "{\"a\":\"",
    "{\"name\":\"f\",\"arguments\":{\"a\":'",
    "[{\"name\":\"f\",\"arguments\":\"",
    "[[[[[[",
    "f",
    "f(a='",
    "[f(a=\"",
    "[f(a='''",
    "f(a=\"\"\"\n",
    "call:f{a:",
    "call:f{a:<escape>",
    "call:f{a:<|\"|>",
    "<function=f>\n<parameter=a>\n",
    "<invoke name=\"f\"><parameter name=\"a\">",
    "f<arg_key>a</arg_key><arg_value>",
    "function<｜tool▁sep｜>f\n```json\n{\"a\":\"",
    "functions.f:0<|tool_call_argument_begin|>{\"",
    " to=f<|message|>{\"a\":\"",
    "f[ARGS]{\"a\":\"",
    "\n\n   ",
];

fn time(text: &str, format: Format) -> Duration {
    let mut out = Trajectory::default();
    let started = Instant::now();
    parse_text(text, &Options { format, tools: None }, &mut out);
    assert!(out.defects.len() <= MAX_DEFECTS);
    started.elapsed()
}

fn repeated(unit: &str, bytes: usize) -> String {
    unit.repeat(bytes / unit.len())
}

#[test]
fn every_tag_is_found_where_its_template_is_read() {
    for row in ROWS {
        let (text, markup) =
            first_row(row.text, 0).map_or((row.text, Markup::Content), |(row, markup)| (row.text, markup));
        assert_eq!(text, row.text);
        let found = tag_at(row.text, 0, markup).or_else(|| tag_at(row.text, 0, Markup::Content));
        assert_eq!(found.map(|found| found.text.len()), Some(row.text.len()), "{}", row.text);
    }
}

/// A text of one unit over and over takes about as long as any text of tags: a quadratic reader would need seconds.
#[test]
fn repeated_tags_take_linear_time() {
    const LIMIT: f64 = 1.5;
    for row in ROWS {
        // What stands behind a tag matters most where it begins a block.
        let block = matches!(row.tag, Tag::Call(_));
        let (bodies, bytes) = if block { (&BODIES[..], 1 << 20) } else { (&BODIES[..4], 1 << 19) };
        for body in bodies {
            let taken = time(&repeated(&format!("{}{body}", row.text), bytes), Format::Auto);
            assert!(taken.as_secs_f64() < LIMIT, "{}{body}: {taken:?}", row.text);
        }
    }
}

#[test]
fn ten_megabytes_of_mixed_unclosed_tags() {
    const LIMIT: f64 = 5.0;
    const BYTES: usize = 10 << 20;
    let all: String = ROWS.iter().map(|row| row.text).collect();
    let blocks: Vec<&str> = ROWS.iter().filter(|row| matches!(row.tag, Tag::Call(_))).map(|row| row.text).collect();
    let mixed = |step: usize| {
        let bodies = BODIES.iter().cycle().step_by(step);
        let pairs = blocks.iter().cycle().zip(bodies).take(7 * BODIES.len());
        pairs.flat_map(|(tag, body)| [*tag, *body]).collect::<String>()
    };
    let prefix = format!("<tool_call>{}", repeated(" ", 1 << 20));
    for unit in [all.as_str(), &mixed(1), &mixed(5), &blocks.concat(), &BODIES.concat(), &prefix] {
        for format in [Format::Auto, Format::Hermes, Format::Mistral, Format::Xlam] {
            let taken = time(&repeated(unit, BYTES), format);
            assert!(taken.as_secs_f64() < LIMIT, "{unit} as {}: {taken:?}", format.name());
        }
    }
    // The same in a message's content, where all templates' thoughts and results are tags.
    for unit in [&all, &mixed(1), &mixed(5)] {
        let json = serde_json::json!([{"role": "assistant", "content": repeated(unit, BYTES)}]).to_string();
        let started = Instant::now();
        parse_messages(json.as_bytes(), &Options::default(), &mut Trajectory::default());
        assert!(started.elapsed().as_secs_f64() < LIMIT, "{unit}: {:?}", started.elapsed());
    }
    for tag in blocks {
        let taken = time(&repeated(tag, BYTES), Format::Auto);
        assert!(taken.as_secs_f64() < LIMIT, "{tag}: {taken:?}");
        // One unclosed call, and a long text behind it.
        for body in BODIES {
            let taken = time(&format!("{tag}{body}{}", repeated("ab < c [d] ", BYTES / 4)), Format::Auto);
            assert!(taken.as_secs_f64() < LIMIT, "{tag}{body}: {taken:?}");
        }
    }
}

#[test]
fn many_turns_and_many_results_take_linear_time() {
    const LIMIT: f64 = 3.0;
    let bare = repeated("[f(a=1)]<|im_end|>\n<|im_start|>tool\n4<|im_end|>\n<|im_start|>assistant\n", 8 << 20);
    let taken = time(&format!("{bare}<|im_end|>"), Format::Auto);
    assert!(taken.as_secs_f64() < LIMIT, "{taken:?}");
    // 100,000 calls with ids in one message, their results in the opposite order.
    let count = 100_000;
    let calls: Vec<String> = (0..count)
        .map(|at| format!(r#"{{"id":"c{at}","function":{{"name":"f","arguments":"{{\"a\":{at}}}"}}}}"#))
        .collect();
    let results: Vec<String> =
        (0..count).rev().map(|at| format!(r#"{{"role":"tool","tool_call_id":"c{at}","content":"{at}"}}"#)).collect();
    let json = format!(r#"[{{"role":"assistant","tool_calls":[{}]}},{}]"#, calls.join(","), results.join(","));
    let mut out = Trajectory::default();
    let started = Instant::now();
    parse_messages(json.as_bytes(), &Options::default(), &mut out);
    assert!(started.elapsed().as_secs_f64() < LIMIT, "{:?}", started.elapsed());
    assert_eq!(out.calls.len(), count);
    assert!(out.calls.iter().enumerate().all(|(at, call)| out.result_text(call) == Some(at.to_string().as_str())));
}

#[test]
fn only_the_first_defects_are_kept() {
    let out = Trajectory::from_text(&"<tool_call>{oops}</tool_call>".repeat(1000));
    assert_eq!((out.defects.len(), out.bad_calls), (MAX_DEFECTS, 1000));
}
