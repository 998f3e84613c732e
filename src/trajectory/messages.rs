//! Message lists (OpenAI chat, OpenAI Responses items, TRL, Anthropic content blocks) -> [`Trajectory`].

use std::borrow::Cow;

use super::markup::parse_content;
use super::{DefectKind, Options, Span, Trajectory, Turn, call_from_value};
use crate::json::{Id, List, Map, Text, Value};

/// Parses the JSON of a message list into `out`.
///
/// Read are chat messages (`role`, `content` as text or parts, for the assistant `tool_calls` or the older `function_call`),
/// content blocks `tool_use` and `tool_result`, and items of the types `message`, `function_call`, `custom_tool_call` and
/// their `..._output`. Only the assistant's count; its thoughts (`reasoning`, `thinking`) and refusals do not. Where a message has structured calls, its text is read for
/// defects only; where it has none, calls written in its text count as they do in a text rollout. A last assistant
/// message counts as finished unless it says that it was cut off: `finish_reason` `length`, `stop_reason` `max_tokens`, or
/// `status` `incomplete`.
pub fn parse_messages(json: &[u8], options: &Options<'_>, out: &mut Trajectory) {
    out.clear();
    // Taken out of `out` for the time of reading, so that views of it may stand beside what is being written.
    let mut source = std::mem::take(&mut out.source);
    let messages = std::str::from_utf8(json).ok().filter(|text| text.len() <= super::MAX_ROLLOUT);
    match messages.map(|text| source.parse_all(text)) {
        Some(Ok(id)) => match source.value(id) {
            Value::Array(messages) => Reader { out, options, turn_open: false }.run(messages),
            _ => out.defect(DefectKind::BadMessage, None, "the rollout is no list of messages"),
        },
        Some(Err(failure)) => {
            let message = format!("the messages are no valid JSON: unexpected text at byte {}", failure.at);
            out.defect(DefectKind::BadMessage, None, message);
        }
        None => out.defect(DefectKind::BadMessage, None, "the messages are no UTF-8 text of at most 2 GiB"),
    }
    out.source = source;
    out.close();
}

struct Reader<'o, 'a> {
    out: &'o mut Trajectory,
    options: &'o Options<'a>,
    /// The last item was the assistant's and of the kind that shares a turn with the next.
    turn_open: bool,
}

impl Reader<'_, '_> {
    fn run(&mut self, messages: List<'_>) {
        for (index, message) in messages.iter().enumerate() {
            if let Value::Object(message) = message {
                self.message(index, message);
            } else {
                self.out.finished = false;
                let message = || format!("message {index} is no object");
                self.out.defect_with(DefectKind::BadMessage, None, message);
            }
        }
    }

    fn message(&mut self, index: usize, message: Map<'_>) {
        let mut role = "";
        let mut kind = "";
        for (key, value) in message.iter() {
            match (key, value) {
                ("role", Value::String(text)) => role = text,
                ("type", Value::String(text)) => kind = text,
                _ => {}
            }
        }
        match (role, kind) {
            ("", "function_call" | "custom_tool_call") => self.call_item(index, message, kind == "custom_tool_call"),
            ("", "function_call_output" | "custom_tool_call_output") => {
                self.turn_open = false;
                self.result(index, message, "call_id", message.get("output"));
            }
            ("", "reasoning") => {}
            ("assistant", kind) => self.assistant(index, message, kind == "message"),
            ("tool" | "function", _) => {
                self.turn_open = false;
                self.result(index, message, "tool_call_id", message.get("content"));
            }
            (role, _) => {
                self.turn_open = false;
                self.out.finished = false;
                if role.is_empty() {
                    let message = || format!("message {index} has no role");
                    self.out.defect_with(DefectKind::BadMessage, None, message);
                }
                self.result_blocks(index, message);
            }
        }
    }

    fn assistant(&mut self, index: usize, message: Map<'_>, item: bool) {
        let cut = ["finish_reason", "stop_reason", "status"].iter().any(|key| {
            matches!(
                message.get(key),
                Some(Value::String("length" | "max_tokens" | "max_output_tokens" | "incomplete"))
            )
        });
        self.out.finished = !cut;
        self.turn_open = item;
        let content = message.get("content");
        let first_call = self.out.calls.len();
        let text = self.text(index, content);
        parse_content(&text, index, self.options, self.out);
        let blocks = content.and_then(Value::as_list).into_iter().flat_map(List::iter);
        let blocks = blocks.filter(|part| kind_of(*part) == Some("tool_use"));
        // The older writing of a single call.
        let single = message.get("function_call").filter(|call| !call.is_null());
        match message.get("tool_calls") {
            None | Some(Value::Null) => self.structured(index, first_call, blocks.chain(single)),
            Some(Value::Array(calls)) => self.structured(index, first_call, calls.iter().chain(blocks)),
            Some(_) => {
                let message = || format!("message {index}: tool_calls is no list");
                self.out.defect_with(DefectKind::BadMessage, None, message);
            }
        }
    }

    /// Adds the structured calls of the last turn. They replace those written in its text.
    fn structured<'v>(&mut self, index: usize, first_call: usize, calls: impl Iterator<Item = Value<'v>>) {
        let mut calls = calls.peekable();
        if calls.peek().is_some() {
            self.out.calls.truncate(first_call);
            self.out.attempts = 0;
        }
        self.out.at_turn = self.out.turns.len().checked_sub(1);
        for call in calls {
            self.call(index, call, &["id"]);
        }
        self.out.at_turn = None;
        self.count_attempts();
    }

    /// An item that is a call: it belongs to the turn of the assistant's items before it.
    fn call_item(&mut self, index: usize, item: Map<'_>, custom: bool) {
        if !self.turn_open {
            let span = Span::new(0, 0);
            self.out.turns.push(Turn { span, message: Some(index), results: 0, attempts: 0, boxed: false });
            self.out.attempts = 0;
            self.out.answer = None;
        }
        self.turn_open = true;
        self.out.finished = true;
        self.out.at_turn = self.out.turns.len().checked_sub(1);
        if custom {
            self.custom_call(index, item);
        } else {
            self.call(index, Value::Object(item), &["call_id", "id"]);
        }
        self.out.at_turn = None;
        self.count_attempts();
    }

    /// A call whose input is free text: it becomes the argument `input`.
    fn custom_call(&mut self, index: usize, item: Map<'_>) {
        let text = |key: &str| item.get(key).and_then(Value::as_str);
        let out = &mut *self.out;
        let (Some(name), Some(input)) = (text("name").filter(|name| !name.is_empty()), text("input")) else {
            let message = || format!("message {index}: a custom call has a name and an input, both strings");
            out.defect_with(DefectKind::MalformedCall, None, message);
            return;
        };
        let name = out.doc.add_str(name);
        let mut arguments = out.doc.begin_object();
        out.doc.key(&mut arguments, "input");
        out.doc.add_string(input);
        let arguments = out.doc.end_object(&arguments);
        self.add(name, arguments, text("call_id").or_else(|| text("id")));
    }

    /// Adds a call to the last turn.
    fn add(&mut self, name: Text, arguments: Id, id: Option<&str>) {
        let out = &mut *self.out;
        out.call(name, arguments, None);
        let id = id.map(|id| out.doc.add_str(id));
        let turn = out.turns.len().saturating_sub(1);
        if let Some(call) = out.calls.last_mut() {
            call.id = id;
            call.turn = turn;
        }
    }

    fn call(&mut self, index: usize, call: Value<'_>, ids: &[&str]) {
        let out = &mut *self.out;
        let id = call.as_map().and_then(|map| ids.iter().find_map(|key| map.get(key).and_then(Value::as_str)));
        let copy = out.doc.copy(call);
        match call_from_value(&mut out.doc, copy) {
            Ok((name, arguments)) => self.add(name, arguments, id),
            Err((kind, text)) => out.defect_with(kind, None, || format!("message {index}: {text}")),
        }
    }

    fn count_attempts(&mut self) {
        let attempts = self.out.attempts;
        if let Some(turn) = self.out.turns.last_mut() {
            turn.attempts = attempts;
        }
    }

    /// A message that is a tool's result.
    fn result(&mut self, index: usize, message: Map<'_>, id: &str, content: Option<Value<'_>>) {
        self.out.finished = false;
        let id = message.get(id).and_then(Value::as_str).map(|id| self.out.doc.add_str(id));
        let text = match content {
            // What a tool returned, not yet written as text.
            Some(value @ (Value::Object(_) | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Big(_))) => {
                let mut json = String::new();
                value.write(&mut json);
                Cow::Owned(json)
            }
            _ => self.text(index, content),
        };
        self.out.result(&text, None, Some(index), id);
    }

    /// The results inside a user's message.
    fn result_blocks(&mut self, index: usize, message: Map<'_>) {
        let parts = message.get("content").and_then(Value::as_list).into_iter().flat_map(List::iter);
        for block in parts.filter(|part| kind_of(*part) == Some("tool_result")).filter_map(Value::as_map) {
            self.result(index, block, "tool_use_id", block.get("content"));
        }
    }

    /// A content's text: a string, or the joined texts of its parts.
    fn text<'v>(&mut self, index: usize, content: Option<Value<'v>>) -> Cow<'v, str> {
        match content {
            None | Some(Value::Null) => Cow::Borrowed(""),
            Some(Value::String(text)) => Cow::Borrowed(text),
            Some(Value::Array(parts)) => {
                let mut texts = parts.iter().filter_map(text_of_part);
                match (texts.next(), texts.next()) {
                    (None, _) => Cow::Borrowed(""),
                    (Some(text), None) => Cow::Borrowed(text),
                    (Some(first), Some(second)) => Cow::Owned([first, second].into_iter().chain(texts).collect()),
                }
            }
            Some(_) => {
                let message = || format!("message {index}: content is neither text nor parts");
                self.out.defect_with(DefectKind::BadMessage, None, message);
                Cow::Borrowed("")
            }
        }
    }
}

fn kind_of(part: Value<'_>) -> Option<&str> {
    part.as_map()?.get("type")?.as_str()
}

fn text_of_part(part: Value<'_>) -> Option<&str> {
    match part {
        Value::String(text) => Some(text),
        // Thoughts and refusals are parts, too.
        Value::Object(part) => match part.get("type").and_then(Value::as_str) {
            None | Some("text" | "output_text" | "input_text") => part.get("text")?.as_str(),
            _ => None,
        },
        _ => None,
    }
}
