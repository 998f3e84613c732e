//! What a file offers: its functions as tools, and those that cannot be.

use serde_json::{Map, Value, json};

/// Functions that one file may offer.
pub(super) const MOST_TOOLS: usize = 1_000;
/// Longest name of a tool, as models' providers have it.
const LONGEST_NAME: usize = 64;

/// One function.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// How it is called.
    pub name: String,
    /// Its signature in words of WebAssembly's types.
    pub description: String,
    /// JSON Schema of the arguments.
    pub parameters: Value,
    /// JSON Schema of the result; none where there is none.
    pub returns: Option<Value>,
}

/// An export that is no tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its name in the file.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What a file gives: its code, its tools, and what is none.
pub(super) type Made<C, F> = (C, Vec<(Description, F)>, Vec<Skipped>);

impl Description {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
            "returns": self.returns,
        })
    }
}

/// Schema of an object with these properties; no others are allowed.
pub(super) fn object(properties: &Map<String, Value>, required: &[String]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// Why a name cannot be a tool's, if so.
pub(super) fn unusable(name: &str) -> Option<String> {
    let mut bytes = name.bytes();
    let starts = bytes.next().is_some_and(|b| b.is_ascii_alphabetic());
    if name.starts_with('_') {
        return Some("names with a leading underscore are the module's own".to_owned());
    }
    if name.starts_with("cabi_") || name.starts_with("asyncify_") {
        return Some("it serves the compiler that made the module".to_owned());
    }
    if name.len() > LONGEST_NAME || !starts || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Some(format!(
            "a tool's name begins with a letter, has letters, digits and underscores, and at most {LONGEST_NAME} of them"
        ));
    }
    None
}

/// Text that may be shown: cut, as names of a stranger can have any length.
pub(super) fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(100)]
}
