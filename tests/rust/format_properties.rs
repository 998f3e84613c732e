//! What holds for every format: round trips, truncation, edge cases, spans, any text at all.

use mentor::tools::Tools;
use mentor::trajectory::{Format, Options, Trajectory, parse_text};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::formats::{calls, kinds, read};
use crate::writers::{Family, WRITERS, Writer};

type Calls = Vec<(String, Vec<(String, Value)>)>;

fn expected(calls: &Calls) -> Value {
    calls
        .iter()
        .map(|(name, arguments)| {
            let arguments: serde_json::Map<String, Value> = arguments.iter().cloned().collect();
            json!({"name": name, "arguments": arguments})
        })
        .collect()
}

/// Schemas with the types of the arguments, which bare text needs.
fn tools(calls: &Calls) -> Tools {
    let tools: Value = calls
        .iter()
        .map(|(name, arguments)| {
            let properties: serde_json::Map<String, Value> = arguments
                .iter()
                .map(|(key, value)| {
                    let kind = match value {
                        Value::String(_) => "string",
                        Value::Bool(_) => "boolean",
                        Value::Number(_) => "number",
                        Value::Array(_) => "array",
                        _ => "object",
                    };
                    (key.clone(), json!({"type": kind}))
                })
                .collect();
            json!({"name": name, "parameters": {"type": "object", "properties": properties}})
        })
        .collect();
    Tools::from_value(&tools).expect("tools")
}

fn sample() -> Calls {
    let call = |name: &str, arguments: Value| {
        let arguments = arguments.as_object().expect("an object").clone().into_iter().collect();
        (name.to_owned(), arguments)
    };
    vec![call("f0", json!({"a": 1, "s": "x y", "l": [1, "z", null]})), call("f1", json!({"o": {"k": true}, "n": -2.5}))]
}

fn parse(text: &str, format: Format, tools: &Tools) -> Trajectory {
    let mut out = Trajectory::default();
    parse_text(text, &Options { format, tools: Some(tools) }, &mut out);
    out
}

#[test]
fn every_format_has_a_writer() {
    let written = |format: &Format| WRITERS.iter().any(|writer| writer.format == *format);
    let missing: Vec<_> = Format::ALL.into_iter().filter(|format| !written(format)).collect();
    assert_eq!(missing, [Format::Auto, Format::OpenAi]);
}

#[test]
fn a_lone_call_spans_its_block() {
    let call = sample()[..1].to_vec();
    for writer in &WRITERS {
        let text = format!("{}{}", writer.write(&call), writer.end);
        for format in [writer.format, Format::Auto] {
            let got = parse(&text, format, &tools(&call));
            assert_eq!(calls(&got), expected(&call), "{writer:?}");
            assert!(got.finished, "{writer:?}");
            let span = got.calls[0].span.expect("a span");
            let written = &text[span.start..span.end];
            assert!(written.starts_with(writer.marker), "{writer:?}: {written}");
            let close = writer.around[2].strip_prefix(']').unwrap_or(writer.around[2]);
            let whole = written.ends_with(close) || ["{", "f"].contains(&writer.marker) || close.contains("calls");
            assert!(whole && !written.ends_with(writer.end) || writer.end.is_empty(), "{writer:?}: {written}");
        }
    }
}

#[test]
fn what_is_cut_off_never_becomes_another_call() {
    let (two, schemas) = (sample(), tools(&sample()));
    let all = expected(&two);
    let all = all.as_array().expect("calls");
    for writer in &WRITERS {
        let text = writer.write(&two);
        for (end, _) in text.char_indices() {
            for (format, close) in [(writer.format, ""), (writer.format, writer.end), (Format::Auto, "")] {
                let cut = format!("{}{close}", &text[..end]);
                let got = parse(&cut, format, &schemas);
                let read = calls(&got);
                assert!(all.starts_with(read.as_array().expect("calls")), "{writer:?}: {cut} gives {read}");
                // What is missing is named, but for a block that has not begun yet.
                let begun = writer.around[0].len() + writer.call[0].len() + "f0".len() + writer.call[1].len() <= end;
                if read.as_array().is_some_and(Vec::is_empty) && begun && format == writer.format {
                    let kinds = kinds(&got);
                    assert!(
                        kinds.iter().any(|kind| ["unclosed_call", "bad_name", "malformed_call"].contains(kind)),
                        "{writer:?}: {cut} gives {kinds:?}"
                    );
                }
            }
        }
    }
}

/// What an edge case gives: the arguments, or the defect.
type Edge = Result<Value, &'static str>;

#[test]
fn edge_cases_of_every_format() {
    let deep = format!("{}1{}", "[".repeat(400), "]".repeat(400));
    let large = format!("1{}", "0".repeat(400));
    let quoted = |writer: &Writer, text: &str| match writer.family {
        Family::Json | Family::Python => format!("\"{text}\""),
        Family::Tags(..) => text.to_owned(),
        Family::Gemma(quote) => format!("{quote}{text}{quote}"),
    };
    for writer in &WRITERS {
        let strict = matches!(writer.family, Family::Json | Family::Python);
        let nan: Edge = if strict { Err("malformed_call") } else { Ok(json!({"a": "NaN"})) };
        let raw = "x\r\ny\u{0}\rz\nw";
        let surrogate = if strict { "\u{fffd}" } else { "\\ud800" };
        let cases: Vec<(Vec<(&str, String)>, Edge)> = vec![
            (vec![("a", "NaN".to_owned())], nan),
            (vec![("a", large.clone())], Ok(json!({"a": large}))),
            (vec![("a", "1e400".to_owned())], Ok(json!({"a": "1e400"}))),
            (vec![("a", deep.clone())], Err("malformed_call")),
            (vec![("a", "2".to_owned()), ("b", "3".to_owned()), ("a", "1".to_owned())], Ok(json!({"a": 1, "b": 3}))),
            (vec![("a", quoted(writer, raw))], Ok(json!({"a": raw}))),
            (vec![("a", quoted(writer, "\\ud800"))], Ok(json!({"a": surrogate}))),
            (vec![], Ok(json!({}))),
        ];
        for (arguments, want) in cases {
            let text = format!("{}{}", writer.write_raw(&[("f", arguments.clone())]), writer.end);
            let got = read(&text, writer.format);
            match want {
                Ok(want) => {
                    assert_eq!(calls(&got), json!([{"name": "f", "arguments": want}]), "{writer:?}: {text}");
                    assert_eq!(kinds(&got), Vec::<&str>::new(), "{writer:?}: {text}");
                }
                Err(kind) => {
                    assert_eq!(calls(&got), json!([]), "{writer:?}: {text}");
                    assert_eq!(kinds(&got), [kind], "{writer:?}: {text}");
                }
            }
        }
    }
}

#[test]
fn arguments_that_are_no_object() {
    for writer in WRITERS.iter().filter(|writer| writer.family == Family::Json) {
        let write = |arguments: &str| {
            let [before, between, behind] = writer.call;
            let [first, _, last] = writer.around;
            format!("{first}{before}f{between}{arguments}{behind}{last}{}", writer.end)
        };
        // Mistral's names without `[ARGS]` end where an object begins.
        let glued = writer.call[1].is_empty();
        for (arguments, want) in [
            ("\"{\\\"a\\\": 1}\"", Ok(json!({"a": 1}))),
            ("\"\\\"{\\\\\\\"a\\\\\\\": 1}\\\"\"", Ok(json!({"a": 1}))),
            ("[1]", Err("bad_arguments")),
            ("7", Err("bad_arguments")),
            ("\"x\"", Err("bad_arguments")),
        ] {
            let got = read(&write(arguments), writer.format);
            match want {
                _ if glued => assert_eq!(got.calls.len(), 0, "{writer:?}"),
                Ok(want) => assert_eq!(calls(&got), json!([{"name": "f", "arguments": want}]), "{writer:?}"),
                Err(kind) => assert_eq!((got.calls.len(), kinds(&got)), (0, vec![kind]), "{writer:?} {arguments}"),
            }
        }
    }
}

#[test]
fn one_bad_call_among_good_ones() {
    let deep = format!("{}1{}", "[".repeat(400), "]".repeat(400));
    for writer in &WRITERS {
        let one = |name, value: &str| (name, vec![("a", value.to_owned())]);
        let text = writer.write_raw(&[one("f0", "1"), one("bad", "2"), one("f2", "3")]);
        let bad = match writer.family {
            Family::Json if writer.call[1].is_empty() => ("bad{\"a\": 2}", "bad{7}".to_owned(), "malformed_call"),
            Family::Json => ("{\"a\": 2}", "[2]".to_owned(), "bad_arguments"),
            Family::Python => ("a=2", "2".to_owned(), "bad_arguments"),
            Family::Tags(..) | Family::Gemma(_) => ("2", deep.clone(), "malformed_call"),
        };
        let at = text.find("bad").expect("the bad call");
        let text = format!("{}{}{}", &text[..at], text[at..].replacen(bad.0, &bad.1, 1), writer.end);
        let got = read(&text, writer.format);
        let want = json!([{"name": "f0", "arguments": {"a": 1}}, {"name": "f2", "arguments": {"a": 3}}]);
        assert_eq!((calls(&got), kinds(&got)), (want, vec![bad.2]), "{writer:?}: {text}");
        assert_eq!((got.bad_calls, got.turns[0].attempts), (1, 3), "{writer:?}");
    }
}

#[test]
fn names_that_are_no_strings() {
    for writer in WRITERS.iter().filter(|writer| writer.call[0].ends_with("name\": \"")) {
        for (name, kind) in [("[\"f\"]", "bad_name"), ("{}", "bad_name"), ("\"\"", "bad_name"), ("null", "bad_name")] {
            let text = writer.write_raw(&[("NAME", vec![])]).replace("\"NAME\"", name);
            let got = read(&format!("{text}{}", writer.end), writer.format);
            assert_eq!((got.calls.len(), kinds(&got)), (0, vec![kind]), "{writer:?}: {text}");
        }
    }
}

#[test]
fn line_ends_of_any_kind_stand_between_the_parts() {
    let (two, schemas) = (sample(), tools(&sample()));
    for writer in &WRITERS {
        for format in [writer.format, Format::Auto] {
            let text = format!("\r\n{}\n\r{}\r\n", writer.write(&two).replace('\n', "\r\n"), writer.end);
            let got = parse(&text, format, &schemas);
            assert_eq!((calls(&got), got.finished), (expected(&two), true), "{writer:?}: {text}");
        }
    }
}

#[test]
fn calls_in_thoughts_and_in_faked_results_do_not_count() {
    let (two, schemas) = (sample(), tools(&sample()));
    for writer in WRITERS.iter().filter(|writer| writer.format != Format::Harmony) {
        let text = writer.write(&two);
        for format in [writer.format, Format::Auto] {
            for around in ["think", "tool_response"] {
                let text = format!("<{around}>{text}</{around}>\\boxed{{4}}{}", writer.end);
                let got = parse(&text, format, &schemas);
                assert_eq!(got.calls.len(), 0, "{writer:?}");
                assert_eq!(got.answer_text(), Some("4"), "{writer:?}");
            }
        }
    }
}

#[test]
fn a_hundred_thousand_calls_in_a_turn() {
    let one = ("f", vec![("a", "1".to_owned())]);
    for writer in &WRITERS {
        let many = vec![one.clone(); 100_000];
        let text = format!("{}{}", writer.write_raw(&many), writer.end);
        for format in [writer.format, Format::Auto] {
            let started = std::time::Instant::now();
            let got = read(&text, format);
            assert_eq!((got.calls.len(), got.turns.len()), (100_000, 1), "{writer:?}");
            let taken = started.elapsed();
            assert!(taken.as_secs_f64() < 3.0, "{writer:?}: {taken:?}");
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        "[a-zA-Z0-9 _,.:;'\"{}()=é😀\\\\\\[\\]-]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_][a-z0-9_]{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_calls() -> impl Strategy<Value = Calls> {
    let arguments = prop::collection::btree_map("[a-z_][a-z0-9_]{0,6}", value(), 0..4);
    prop::collection::vec(("[a-z_][a-z0-9_.]{0,8}", arguments), 1..4).prop_map(|calls| {
        let numbered = calls.into_iter().enumerate();
        numbered.map(|(at, (name, arguments))| (format!("f{at}{name}"), arguments.into_iter().collect())).collect()
    })
}

/// Pieces of every format and template.
fn piece() -> impl Strategy<Value = String> {
    let mut pieces: Vec<&str> = vec![
        "<think>",
        "</think>",
        "<tool_response>",
        "</tool_response>",
        "<|im_start|>assistant\n",
        "<|im_start|>tool\n",
        "<|start_header_id|>ipython<|end_header_id|>",
        "<|header_start|>assistant<|header_end|>",
        "[INST]",
        "[/INST]",
        "[TOOL_RESULTS]",
        "[/TOOL_RESULTS]",
        "<start_of_turn>model\n",
        "<end_of_turn>",
        "<|turn>model\n",
        "<turn|>",
        "<|channel>thought\n",
        "<channel|>",
        "<tool_response|>",
        "<|start|>assistant",
        "<|start|>functions.f to=assistant",
        "<|channel|>final<|message|>",
        "<|channel|>analysis",
        "<|message|>",
        "<|end|>",
        "<|call|>",
        "<|return|>",
        "<｜Assistant｜>",
        "<｜tool▁output▁begin｜>",
        "<｜tool▁output▁end｜>",
        "<|assistant|>",
        "<|user|>",
        "<|im_assistant|>a<|im_middle|>",
        "<|im_system|>tool<|im_middle|>",
        "]~b]ai\n",
        "]~b]tool\n",
        "<response>",
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        "<|START_TOOL_RESULT|>",
        "<|start_of_role|>tool<|end_of_role|>",
        "<seed:bos>tool\n",
        "<seed:think>",
        "</tool_call>",
        "\\boxed{",
        "}",
        "{",
        "\"",
        "[",
        "]",
        "'",
        " to=f",
        "\n",
        "<|endoftext|>",
        "<escape>",
        "<|\"|>",
        "<arg_key>",
        "</arg_value>",
        "</parameter>",
        "</function>",
        "functools[",
    ];
    for writer in &WRITERS {
        pieces.extend(writer.around.iter().chain(&writer.call).chain([&writer.end]).filter(|piece| !piece.is_empty()));
    }
    prop_oneof![9 => prop::sample::select(pieces).prop_map(str::to_owned), 1 => ".{0,6}"]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(two in any_calls()) {
        let schemas = tools(&two);
        for writer in &WRITERS {
            let text = format!("{}{}", writer.write(&two), writer.end);
            for format in [writer.format, Format::Auto] {
                let got = parse(&text, format, &schemas);
                prop_assert_eq!(calls(&got), expected(&two), "{:?} as {}: {}", writer, format.name(), text);
                prop_assert!(kinds(&got).is_empty(), "{:?}: {:?}", writer, got.defects);
                let mut last = 0;
                for call in &got.calls {
                    let span = call.span.expect("a span");
                    prop_assert!(last <= span.start && span.start < span.end && span.end <= text.len(), "{:?}", writer);
                    last = span.end;
                }
            }
        }
    }

    #[test]
    fn any_text_is_read(pieces in prop::collection::vec(piece(), 0..24), format in prop::sample::select(&Format::ALL[..])) {
        let text = pieces.concat();
        let got = read(&text, format);
        let inside = |span: mentor::trajectory::Span| span.start <= span.end && text.get(span.start..span.end).is_some();
        prop_assert!(got.turns.iter().all(|turn| inside(turn.span)));
        prop_assert!(got.turns.windows(2).all(|pair| pair[0].span.end <= pair[1].span.start));
        prop_assert!(got.calls.iter().all(|call| call.span.is_some_and(inside) && call.turn < got.turns.len()));
        prop_assert!(got.results.iter().all(|result| result.span.is_some_and(inside)));
        prop_assert!(got.defects.iter().all(|defect| defect.span.is_none_or(inside)), "{:?}", got.defects);
        prop_assert!(got.answer.is_none_or(|answer| inside(answer.span)));
        let again = read(&text, format);
        prop_assert_eq!(got, again);
        let content = json!([{"role": "assistant", "content": text}]).to_string();
        let got = Trajectory::from_messages(content.as_bytes());
        prop_assert_eq!(got.turns.len(), 1);
    }
}
