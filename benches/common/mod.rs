//! Rollouts for the benches: real GSM8K solutions with four calls, in Qwen's chat template, 1.8 kB each.

use mentor::reward::Reference;
use serde_json::{Value, json};

/// Bytes per rollout.
pub const SIZE: usize = 1800;

/// Calls per rollout.
pub const CALLS: usize = 4;

/// A rollout with its reference.
pub struct Row {
    /// Text in chat markup.
    pub text: String,
    /// JSON of the same as a message list.
    pub messages: Vec<u8>,
    /// What it is scored against.
    pub reference: Reference,
}

/// The official rows with right answers and the reference's four calls; their thoughts are lengthened by sentences of their own.
pub fn rows() -> Vec<Row> {
    let text = include_str!("../../tests/golden/reward_official.jsonl");
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("golden row"));
    rows.filter(|row| row["kind"] == "correct_same_calls")
        .filter(|row| row["reference"]["tool_calls"].as_array().is_some_and(|calls| calls.len() == CALLS))
        .map(|row| {
            let text = lengthened(row["rollout"].as_str().expect("text"));
            let reference = Reference::from_json(row["reference"].to_string().as_bytes()).expect("reference");
            Row { messages: messages(&text), text, reference }
        })
        .collect()
}

fn lengthened(text: &str) -> String {
    let sentences: Vec<&str> =
        text.lines().filter(|line| line.len() > 20 && !line.contains('<') && !line.starts_with('{')).collect();
    let missing = SIZE.saturating_sub(text.len() + 1);
    let mut thought = String::new();
    for sentence in sentences.iter().cycle().take(missing) {
        if thought.len() >= missing {
            break;
        }
        thought.push_str(sentence);
        thought.push(' ');
    }
    let end = (0..=missing.min(thought.len())).rev().find(|at| thought.is_char_boundary(*at)).unwrap_or(0);
    text.replacen("<think>\n", &format!("<think>\n{}\n", &thought[..end]), 1)
}

fn messages(text: &str) -> Vec<u8> {
    let turns = text.trim_end_matches("<|im_end|>").split("<|im_end|>\n<|im_start|>").flat_map(|turn| {
        let Some(results) = turn.strip_prefix("user\n") else {
            return vec![json!({"role": "assistant", "content": turn.trim_start_matches("assistant\n")})];
        };
        let results = results.split("<tool_response>\n").skip(1);
        results.map(|result| json!({"role": "tool", "content": result.split("\n</tool_response>").next()})).collect()
    });
    serde_json::to_vec(&turns.collect::<Vec<_>>()).expect("messages")
}
