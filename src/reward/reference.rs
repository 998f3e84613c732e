//! References: the teacher's answer and calls, prepared once and used for a whole group.

use std::fmt;

use serde_json::{Map, Value};

use crate::align::Aligned;
use crate::answer::Gold;
use crate::trajectory::json::call_from_value;
use crate::trajectory::parse_messages;

/// A tool call of the teacher.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceCall {
    /// The tool's name.
    pub name: String,
    /// The arguments by name.
    pub arguments: Map<String, Value>,
}

impl Aligned for ReferenceCall {
    fn name(&self) -> &str {
        &self.name
    }
    fn arguments(&self) -> &Map<String, Value> {
        &self.arguments
    }
}

/// The names of the offered tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools(Vec<String>);

impl Tools {
    /// Takes the names.
    pub fn new(mut names: Vec<String>) -> Self {
        names.sort_unstable();
        names.dedup();
        Self(names)
    }

    /// Reads a JSON list of names and tool schemas (`{"name": ...}` or OpenAI's `{"function": {"name": ...}}`).
    pub fn from_value(value: &Value) -> Result<Self, BadReference> {
        let bad = |message: String| BadReference { field: "tools".to_owned(), message };
        let items = value.as_array().ok_or_else(|| bad("must be a list of names or tool schemas".to_owned()))?;
        let name = |item: &Value| {
            item.as_str()
                .or_else(|| item.get("name").and_then(Value::as_str))
                .or_else(|| item.pointer("/function/name").and_then(Value::as_str))
                .map(str::to_owned)
        };
        items
            .iter()
            .enumerate()
            .map(|(at, item)| name(item).ok_or_else(|| bad(format!("item {at} is neither a name nor a tool schema"))))
            .collect::<Result<_, _>>()
            .map(Self::new)
    }

    /// Whether a tool of that name was offered.
    pub fn contains(&self, name: &str) -> bool {
        self.0.binary_search_by(|known| known.as_str().cmp(name)).is_ok()
    }
}

/// What is wrong with a reference: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadReference {
    /// The field, with the index inside it where there is one; empty for the reference as a whole.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for BadReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}

impl std::error::Error for BadReference {}

/// The teacher's trajectory, reduced to what scoring needs.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The gold answer.
    pub gold: Gold,
    /// The teacher's calls in order.
    pub calls: Vec<ReferenceCall>,
    /// The tools that the task offers, where the reference says so.
    pub tools: Option<Tools>,
    /// The names of the called tools, sorted, each once.
    pub(super) names: Vec<String>,
}

impl Reference {
    /// A reference from its parts.
    pub fn new(answer: &str, calls: Vec<ReferenceCall>, tools: Option<Tools>) -> Self {
        let mut names: Vec<String> = calls.iter().map(|call| call.name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        Self { gold: Gold::new(answer), calls, tools, names }
    }

    /// Reads the JSON of a reference: an object `{answer, tool_calls, tools?}`, or a teacher trajectory as a message
    /// list, whose last `\boxed{}` is the answer.
    ///
    /// ```
    /// use mentor::reward::Reference;
    /// let json = br#"{"answer": "3", "tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}"#;
    /// assert_eq!(Reference::from_json(json).unwrap().calls.len(), 1);
    /// assert_eq!(Reference::from_json(b"{}").unwrap_err().to_string(), "answer: is missing");
    /// ```
    pub fn from_json(json: &[u8]) -> Result<Self, BadReference> {
        let bad = |field: &str, message: &str| BadReference { field: field.to_owned(), message: message.to_owned() };
        let value: Value =
            serde_json::from_slice(json).map_err(|error| bad("", &format!("is no valid JSON: {error}")))?;
        let mut object = match value {
            Value::Object(object) => object,
            Value::Array(_) => return Self::from_trajectory(json),
            _ => return Err(bad("", "must be an object with `answer` and `tool_calls`, or a list of messages")),
        };
        let answer = match object.get("answer") {
            None | Some(Value::Null) => return Err(bad("answer", "is missing")),
            Some(Value::String(text)) if text.trim().is_empty() => return Err(bad("answer", "is empty")),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(bad("answer", "must be a string or a number")),
        };
        let calls = match object.get_mut("tool_calls").map(Value::take) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(calls)) => calls,
            Some(_) => return Err(bad("tool_calls", "must be a list of {name, arguments}")),
        };
        let calls = calls
            .into_iter()
            .enumerate()
            .map(|(at, call)| match call_from_value(call) {
                Ok((name, arguments)) => Ok(ReferenceCall { name, arguments }),
                Err((_, message)) => Err(bad(&format!("tool_calls[{at}]"), message)),
            })
            .collect::<Result<_, _>>()?;
        let tools = object.get("tools").filter(|tools| !tools.is_null()).map(Tools::from_value).transpose()?;
        Ok(Self::new(&answer, calls, tools))
    }

    fn from_trajectory(json: &[u8]) -> Result<Self, BadReference> {
        let trajectory = parse_messages(json);
        let message = "the teacher trajectory has no \\boxed{} answer in its last assistant message";
        let answer = trajectory.answer.filter(|answer| !answer.text.is_empty());
        let answer = answer.ok_or_else(|| BadReference { field: "answer".to_owned(), message: message.to_owned() })?;
        let calls = trajectory.calls.into_iter();
        let calls = calls.map(|call| ReferenceCall { name: call.name, arguments: call.arguments }).collect();
        Ok(Self::new(&answer.text, calls, None))
    }
}
