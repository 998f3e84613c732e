//! Values -> text, and to and from `serde_json`'s values.

use serde_json::{Number, Value as Tree};

use super::{Doc, Id, Value};

impl Value<'_> {
    /// Appends the value's JSON.
    pub fn write(self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(true) => out.push_str("true"),
            Value::Bool(false) => out.push_str("false"),
            Value::Int(number) => out.push_str(&number.to_string()),
            Value::Float(number) => out.push_str(&Tree::from(number).to_string()),
            Value::Big(text) => out.push_str(text),
            Value::String(text) => write_string(text, out),
            Value::Array(list) => {
                out.push('[');
                for (at, item) in list.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Value::Object(map) => {
                out.push('{');
                for (at, (key, value)) in map.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_string(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// The value as a tree. Numbers beyond 64 bits become doubles, those beyond the doubles their text.
    pub fn to_tree(self) -> Tree {
        match self {
            Value::Null => Tree::Null,
            Value::Bool(on) => Tree::Bool(on),
            Value::Int(number) => number.into(),
            Value::Float(number) => number.into(),
            Value::Big(text) => match text.parse::<u64>() {
                Ok(number) => number.into(),
                Err(_) => text.parse().ok().and_then(Number::from_f64).map_or_else(|| text.into(), Tree::Number),
            },
            Value::String(text) => text.into(),
            Value::Array(list) => list.iter().map(Value::to_tree).collect(),
            Value::Object(map) => map.iter().map(|(key, value)| (key.to_owned(), value.to_tree())).collect(),
        }
    }
}

impl Doc {
    /// Copies a tree.
    pub fn add_tree(&mut self, tree: &Tree) -> Id {
        match tree {
            Tree::Null => self.add_null(),
            Tree::Bool(on) => self.add_bool(*on),
            Tree::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(number), ..) => self.add_int(number),
                (None, Some(number), _) => self.add_big(&number.to_string()),
                (None, None, Some(number)) => self.add_float(number),
                (None, None, None) => self.add_null(),
            },
            Tree::String(text) => self.add_string(text),
            Tree::Array(items) => {
                let mut open = self.begin_array();
                for item in items {
                    self.item(&mut open);
                    self.add_tree(item);
                }
                self.end_array(&open)
            }
            Tree::Object(entries) => {
                let mut open = self.begin_object();
                for (key, value) in entries {
                    self.key(&mut open, key);
                    self.add_tree(value);
                }
                self.end_object(&open)
            }
        }
    }
}

/// Appends a JSON string.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                out.push_str("\\u00");
                for digit in [byte >> 4, byte & 15] {
                    out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
                }
            }
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}
