//! Message lists (OpenAI chat, TRL) -> [`Trajectory`].

use std::borrow::Cow;

use serde_json::Value;

use super::json::call_from_value;
use super::markup::parse_content;
use super::{Answer, Call, DefectKind, Trajectory, Turn};

/// Parses the JSON of a message list: dicts of `role`, `content`, and for the assistant `tool_calls`.
///
/// Only assistant messages count. Where a message has structured calls, its text is read for defects only; where it has
/// none, calls written in its text count as they do in a text rollout. A last assistant message counts as finished
/// unless it carries `"finish_reason": "length"`.
pub fn parse_messages(json: &[u8]) -> Trajectory {
    let mut out = Trajectory::default();
    let messages = match serde_json::from_slice::<Value>(json) {
        Ok(Value::Array(messages)) => messages,
        Ok(_) => {
            out.defect(DefectKind::BadMessage, None, "the rollout is no list of messages");
            Vec::new()
        }
        Err(error) => {
            out.defect(DefectKind::BadMessage, None, format!("the messages are no valid JSON: {error}"));
            Vec::new()
        }
    };
    let mut answer = None;
    for (index, message) in messages.into_iter().enumerate() {
        read_message(index, message, &mut out, &mut answer);
    }
    out.answer = answer;
    out.close();
    out
}

fn read_message(index: usize, message: Value, out: &mut Trajectory, answer: &mut Option<Answer>) {
    let Value::Object(mut message) = message else {
        out.finished = false;
        out.defect(DefectKind::BadMessage, None, format!("message {index} is no object"));
        return;
    };
    let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
    if role != "assistant" {
        out.finished = false;
        if role == "tool" || role == "function" {
            if let Some(turn) = out.turns.last_mut() {
                turn.results += 1;
            }
        } else if role.is_empty() {
            out.defect(DefectKind::BadMessage, None, format!("message {index} has no role"));
        }
        return;
    }
    out.finished = message.get("finish_reason").and_then(Value::as_str) != Some("length");
    let structured = match message.get_mut("tool_calls").map(Value::take) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(calls)) => calls,
        Some(_) => {
            out.defect(DefectKind::BadMessage, None, format!("message {index}: tool_calls is no list"));
            Vec::new()
        }
    };
    let first_call = out.calls.len();
    let turn = out.turns.len();
    *answer = parse_content(&content(message.get("content"), index, out), index, out);
    if !structured.is_empty() {
        out.calls.truncate(first_call);
    }
    for value in structured {
        match call_from_value(value) {
            Ok((name, arguments)) => out.calls.push(Call { name, arguments, span: None, turn }),
            Err((kind, text)) => out.defect(kind, None, format!("message {index}: {text}")),
        }
    }
    debug_assert!(matches!(out.turns.last(), Some(Turn { message: Some(_), .. })));
}

/// The message's text: a string, or the joined texts of content parts.
fn content<'a>(content: Option<&'a Value>, index: usize, out: &mut Trajectory) -> Cow<'a, str> {
    match content {
        None | Some(Value::Null) => Cow::Borrowed(""),
        Some(Value::String(text)) => Cow::Borrowed(text),
        Some(Value::Array(parts)) => {
            Cow::Owned(parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect())
        }
        Some(_) => {
            out.defect(DefectKind::BadMessage, None, format!("message {index}: content is neither text nor parts"));
            Cow::Borrowed("")
        }
    }
}
