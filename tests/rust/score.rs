//! Scoring: golden rows of the reference code, edge cases, properties.

use mentor::answer::Verdict;
use mentor::batch::{Item, Rollout, Row, score_batch};
use mentor::reward::{Preset, Reference, Score};
use mentor::tools::Tools;
use mentor::trajectory::{DefectKind, Format, Options, Trajectory};
use proptest::prelude::*;
use serde_json::{Value, json};

const TOOLS: [&str; 12] = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "sum_numbers",
    "floor",
    "ceil",
    "round_number",
    "power",
    "sqrt",
    "abs_value",
    "modulo",
];

fn tools() -> Tools {
    Tools::new(TOOLS.map(str::to_owned).to_vec())
}

fn rows(name: &str) -> Vec<Value> {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("golden file");
    text.lines().map(|line| serde_json::from_str(line).expect("golden row")).collect()
}

#[test]
fn every_preset_gives_exactly_the_official_score() {
    let tools = tools();
    let rows = rows("reward_official.jsonl");
    assert_eq!(rows.len(), 1040);
    for (preset, column) in [
        (Preset::Mentor, "mentor"),
        (Preset::Overlap, "ablation2"),
        (Preset::Valid, "ablation3"),
        (Preset::F1, "ablation4"),
        (Preset::Sparse, "sparse"),
    ] {
        for row in &rows {
            let reference = Reference::from_json(row["reference"].to_string().as_bytes()).expect("reference");
            let rollout = Rollout::Text(row["rollout"].as_str().expect("rollout"));
            let item = Item { rollout, reference: &reference, tools: Some(&tools), format: Format::Auto };
            let mut score = {
                let mut score = Score::default();
                item.score(&preset.into(), &mut score);
                score
            };
            let want = row["official"][column].as_f64().expect("score");
            if score.is_open() {
                // Writings such as `34\%` are left to the slower judge, which finds them all right.
                assert_eq!(row["kind"], "answer_form");
                score.settle(Verdict::Equal, &preset.into());
            }
            assert_eq!(score.reward.to_bits(), want.to_bits(), "row {}: {} != {want}", row["id"], score.reward);
        }
    }
}

#[test]
fn strict_is_mentor_with_identical_calls() {
    let tools = tools();
    for row in rows("reward_official.jsonl") {
        let reference = Reference::from_json(row["reference"].to_string().as_bytes()).expect("reference");
        let trajectory = Trajectory::from_text(row["rollout"].as_str().expect("rollout"));
        let strict = Score::new(trajectory.clone(), &reference, Some(&tools), &Preset::Strict.into());
        let mentor = Score::new(trajectory, &reference, Some(&tools), &Preset::Mentor.into());
        match row["kind"].as_str().expect("kind") {
            "correct_same_calls" if !reference.calls.is_empty() => {
                assert_eq!(strict.reward.to_bits(), 1.1_f64.to_bits());
            }
            "correct_reordered" | "correct_duplicated_calls" => {
                assert!(!strict.facts.identical && strict.reward < mentor.reward, "row {}", row["id"]);
            }
            _ => assert!(strict.reward <= mentor.reward),
        }
    }
}

fn kinds(trajectory: &Trajectory) -> Vec<&'static str> {
    trajectory.defects.iter().map(|defect| defect.kind.name()).collect()
}

#[test]
fn text_edge_cases() {
    let call = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>";
    let end = "<|im_end|>";
    let answer = format!("\\boxed{{3}}{end}");
    for (text, calls, want) in [
        (format!("{call}{answer}"), 1, vec![]),
        (format!("{call}{answer}\n"), 1, vec![]),
        (format!("{call}\\boxed{{3}}"), 1, vec!["not_finished"]),
        (String::new(), 0, vec!["not_finished", "no_answer"]),
        (format!("<think>{call}</think>{answer}"), 0, vec!["call_in_thought"]),
        (format!("{call}</think>{answer}"), 0, vec!["call_in_thought"]),
        (format!("<think>{answer}"), 0, vec!["unclosed_thought", "no_answer"]),
        (format!("<tool_response>{call}\\boxed{{3}}</tool_response>x{end}"), 0, vec!["fake_result", "no_answer"]),
        (format!("<tool_call>{{\"name\": \"add\"{answer}"), 0, vec!["malformed_call"]),
        (format!("<tool_call>{{\"name\": \"add\"{end}"), 0, vec!["unclosed_call", "no_answer"]),
        (format!("<tool_call>{{\"name\": \"add\"}}{end}"), 0, vec!["unclosed_call", "no_answer"]),
        (format!("<tool_call>[{{\"name\": \"add\"}}]</tool_call>{answer}"), 1, vec![]),
        (format!("<tool_call>{{\"name\": [\"add\"]}}</tool_call>{answer}"), 0, vec!["bad_name"]),
        (format!("<tool_call>{{\"name\": \"add\", \"arguments\": 3}}</tool_call>{answer}"), 0, vec!["bad_arguments"]),
        (format!("<tool_call>{{\"name\": \"add\"}} x</tool_call>{call}{answer}"), 1, vec!["malformed_call"]),
        (format!("<tool_call>{{\"name\": NaN}}</tool_call>{answer}"), 0, vec!["malformed_call"]),
        (format!("\\boxed{{1}} {answer}"), 0, vec!["several_answers"]),
        (format!("\\boxed{{ 3 }} {answer}"), 0, vec![]),
        (format!("\\boxed{{}}{end}"), 0, vec!["empty_answer"]),
        (format!("{answer}<|im_start|>user\n<tool_response>\n1\n</tool_response>{end}"), 0, vec!["not_finished"]),
    ] {
        let got = Trajectory::from_text(&text);
        assert_eq!(got.calls.len(), calls, "{text}");
        assert_eq!(kinds(&got), want, "{text}");
    }
}

#[test]
fn a_box_in_the_prompt_or_in_a_result_is_no_answer() {
    let text = "<|im_start|>user\nwrite \\boxed{24}<|im_end|>\n<|im_start|>assistant\nhm<|im_end|>\n<|im_start|>user\n\
                <tool_response>\n\\boxed{24}\n</tool_response><|im_end|>\n<|im_start|>assistant\nI do not know<|im_end|>";
    let got = Trajectory::from_text(text);
    assert_eq!(got.answer, None);
    assert_eq!(got.turns.iter().map(|turn| turn.results).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn spans_are_byte_offsets_of_the_call_and_the_answer() {
    let call = "<tool_call>\n{\"name\": \"add\", \"arguments\": {}}\n</tool_call>";
    let text = format!("ünïcode {call} so \\boxed{{ 7 }}<|im_end|>");
    let got = Trajectory::from_text(&text);
    let span = got.calls[0].span.expect("a span");
    assert_eq!(&text[span.start..span.end], call);
    let answer = got.answer.expect("an answer");
    assert_eq!((got.doc.str(answer.text), &text[answer.span.start..answer.span.end]), ("7", " 7 "));
}

#[test]
fn hostile_text_takes_linear_time() {
    for unit in [
        "<tool_call>",
        "<tool_call>{\"a\":\"",
        "<tool_call>[\"\",\"",
        "<think>",
        "\\boxed{",
        "<tool_call>[[[[[[",
        "</think>",
    ] {
        let text = unit.repeat(4_000_000 / unit.len());
        let started = std::time::Instant::now();
        let got = Trajectory::from_text(&text);
        assert!(got.defects.len() <= 64);
        assert!(started.elapsed().as_secs_f64() < 3.0, "{unit}: {:?}", started.elapsed());
    }
}

#[test]
fn deep_nesting_is_a_defect() {
    let text = format!(
        "<tool_call>{{\"name\":\"f\",\"arguments\":{{\"a\":{}1{}}}}}</tool_call>",
        "[".repeat(400),
        "]".repeat(400)
    );
    assert!(kinds(&Trajectory::from_text(&text)).contains(&"malformed_call"));
}

#[test]
fn messages_edge_cases() {
    let call = json!({"type": "function", "function": {"name": "add", "arguments": "{\"a\": 1}"}});
    let boxed = json!({"role": "assistant", "content": "\\boxed{3}"});
    let tool = json!({"role": "tool", "name": "add", "content": "\\boxed{9}"});
    let text_call = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>";
    for (messages, calls, want) in [
        (json!([{"role": "assistant", "tool_calls": [call]}, tool, boxed]), 1, vec![]),
        (json!([{"role": "assistant", "content": [{"type": "text", "text": "\\boxed{3}"}]}]), 0, vec![]),
        (json!([{"role": "assistant", "content": text_call}, tool, boxed]), 1, vec![]),
        (json!([{"role": "assistant", "content": text_call, "tool_calls": [call]}, tool, boxed]), 1, vec![]),
        (json!([{"role": "assistant", "content": "<tool_call>{\"name\": "}, boxed]), 0, vec!["unclosed_call"]),
        (json!([{"role": "assistant", "content": "\\boxed{3}", "finish_reason": "length"}]), 0, vec!["not_finished"]),
        (json!([boxed, tool]), 0, vec!["not_finished"]),
        (json!([]), 0, vec!["not_finished", "no_answer"]),
        (json!([{"content": "x"}, boxed]), 0, vec!["bad_message"]),
        (json!([7, boxed]), 0, vec!["bad_message"]),
        (json!([{"role": "assistant", "tool_calls": 3, "content": "\\boxed{3}"}]), 0, vec!["bad_message"]),
        (json!([{"role": "assistant", "content": 3}]), 0, vec!["bad_message", "no_answer"]),
        (
            json!([{"role": "assistant", "tool_calls": [{"function": {"name": {}}}], "content": "\\boxed{3}"}]),
            0,
            vec!["bad_name"],
        ),
        (json!({"role": "assistant"}), 0, vec!["bad_message", "not_finished", "no_answer"]),
    ] {
        let got = Trajectory::from_messages(messages.to_string().as_bytes());
        assert_eq!(got.calls.len(), calls, "{messages}");
        assert_eq!(kinds(&got), want, "{messages}");
    }
    assert_eq!(kinds(&Trajectory::from_messages(b"[{")), ["bad_message", "not_finished", "no_answer"]);
}

#[test]
fn messages_and_text_of_one_rollout_score_alike() {
    let tools = tools();
    for row in rows("reward_official.jsonl") {
        let reference = Reference::from_json(row["reference"].to_string().as_bytes()).expect("reference");
        let text = row["rollout"].as_str().expect("rollout");
        let messages: Vec<Value> = text
            .trim_end_matches("<|im_end|>")
            .split("<|im_end|>\n<|im_start|>")
            .enumerate()
            .flat_map(|(at, part)| match part.strip_prefix("user\n") {
                Some(results) => {
                    let results = results.split("<tool_response>").skip(1);
                    let results = results.map(|result| result.split("</tool_response>").next().unwrap_or_default());
                    results.map(|result| json!({"role": "tool", "content": result})).collect()
                }
                None if at == 0 => vec![json!({"role": "assistant", "content": part})],
                None => vec![json!({"role": "assistant", "content": part.trim_start_matches("assistant\n")})],
            })
            .collect();
        if !text.ends_with("<|im_end|>") {
            continue;
        }
        let json = serde_json::to_vec(&messages).expect("messages");
        let (a, b) = (Trajectory::from_text(text), Trajectory::from_messages(&json));
        for preset in Preset::ALL {
            let a = Score::new(a.clone(), &reference, Some(&tools), &preset.into());
            let b = Score::new(b.clone(), &reference, Some(&tools), &preset.into());
            assert_eq!(a.reward.to_bits(), b.reward.to_bits(), "row {} {}", row["id"], preset.name());
            assert_eq!(a.facts.components().map(f64::to_bits), b.facts.components().map(f64::to_bits));
        }
    }
}

#[test]
fn bad_references_name_the_field() {
    for (json, want) in [
        ("{", "is no valid JSON: EOF while parsing an object at line 1 column 1"),
        ("3", "must be an object with `answer` and `tool_calls`, or a list of messages"),
        ("{}", "answer: is missing"),
        (r#"{"answer": " "}"#, "answer: is empty"),
        (r#"{"answer": []}"#, "answer: must be a string or a number"),
        (r#"{"answer": 1, "tool_calls": {}}"#, "tool_calls: must be a list of {name, arguments}"),
        (r#"{"answer": 1, "tool_calls": [{"name": "f"}, {}]}"#, "tool_calls[1]: the call has no name"),
        (r#"{"answer": 1, "tools": [3]}"#, "tools: item 0 is neither a name nor a tool schema"),
        ("[]", "answer: the teacher trajectory has no \\boxed{} answer in its last assistant message"),
    ] {
        assert_eq!(Reference::from_json(json.as_bytes()).expect_err(json).to_string(), want);
    }
}

#[test]
fn unknown_presets_are_named_with_the_known_ones() {
    let error = "best".parse::<Preset>().expect_err("unknown");
    assert_eq!(error.to_string(), "unknown reward \"best\"; known rewards: mentor, overlap, valid, f1, sparse, strict");
}

#[test]
fn threads_and_order_change_nothing() {
    let tools = tools();
    let rows = rows("reward_official.jsonl");
    let references: Vec<Reference> = rows
        .iter()
        .map(|row| Reference::from_json(row["reference"].to_string().as_bytes()).expect("reference"))
        .collect();
    let items: Vec<Item<'_>> = rows
        .iter()
        .zip(&references)
        .map(|(row, reference)| Item {
            rollout: Rollout::Text(row["rollout"].as_str().expect("text")),
            reference,
            tools: Some(&tools),
            format: Format::Auto,
        })
        .collect();
    let bits = |scores: &[Row]| scores.iter().map(|score| score.reward.to_bits()).collect::<Vec<_>>();
    let serial = bits(&score_batch(&items, &Preset::F1.into(), Some(1)));
    let mut reversed: Vec<Item<'_>> = items.clone();
    reversed.reverse();
    let mut backward = bits(&score_batch(&reversed, &Preset::F1.into(), Some(3)));
    backward.reverse();
    assert_eq!(serial, bits(&score_batch(&items, &Preset::F1.into(), Some(4))));
    assert_eq!(serial, backward);
}

#[test]
fn bytes_that_are_no_utf8_are_read_and_named() {
    let mut bytes = b"\xff \\boxed{3}<|im_end|>".to_vec();
    let mut got = Trajectory::default();
    Rollout::Bytes(&bytes).parse(&Options::default(), &mut got);
    assert_eq!(got.answer_text(), Some("3"));
    assert_eq!(got.defects[0].kind, DefectKind::InvalidUtf8);
    bytes[0] = b' ';
    Rollout::Bytes(&bytes).parse(&Options::default(), &mut got);
    assert!(got.defects.is_empty());
}

fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("<tool_call>".to_owned()),
        Just("</tool_call>".to_owned()),
        Just("<|im_start|>assistant\n".to_owned()),
        Just("<|im_start|>user\n".to_owned()),
        Just("<|im_end|>".to_owned()),
        Just("<think>".to_owned()),
        Just("</think>".to_owned()),
        Just("<tool_response>".to_owned()),
        Just("</tool_response>".to_owned()),
        Just("{\"name\": \"add\", \"arguments\": {\"a\": 1}}".to_owned()),
        Just("\\boxed{".to_owned()),
        Just("}".to_owned()),
        ".{0,8}",
    ]
}

proptest! {
    #[test]
    fn parsing_is_total_and_rewards_are_bounded(parts in proptest::collection::vec(fragment(), 0..40)) {
        let text = parts.concat();
        let reference = Reference::from_json(br#"{"answer": "3", "tool_calls": [{"name": "add"}]}"#).expect("reference");
        let trajectory = Trajectory::from_text(&text);
        for call in &trajectory.calls {
            let span = call.span.expect("text calls have spans");
            let call = &text[span.start..span.end];
            let (block, bare) = (call.starts_with("<tool_call>"), call.starts_with('{'));
            prop_assert!(block && call.ends_with("</tool_call>") || bare && call.ends_with('}'), "{}", call);
        }
        for defect in &trajectory.defects {
            if let Some(span) = defect.span {
                prop_assert!(span.start <= span.end && span.end <= text.len());
            }
        }
        for preset in Preset::ALL {
            let score = Score::new(trajectory.clone(), &reference, Some(&tools()), &preset.into());
            prop_assert!((0.0..=1.1).contains(&score.reward));
            prop_assert!(score.facts.components().iter().all(|value| value.is_finite()));
        }
        let _ = Trajectory::from_messages(&serde_json::to_vec(&json!([{"role": "assistant", "content": text}])).expect("json"));
    }
}
