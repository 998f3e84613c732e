//! Values made piece by piece, for formats that are no JSON.

use super::keys::Tail;
use super::{Doc, Id, Node, Value};

/// An array or object under construction.
#[derive(Debug)]
#[must_use = "an array or object must be closed"]
pub struct Open {
    index: usize,
    len: u32,
}

impl Doc {
    /// Begins an object: then [`Doc::key`] and a value, again and again, then [`Doc::end_object`].
    pub fn begin_object(&mut self) -> Open {
        let index = self.nodes.len();
        self.nodes.push(Node::Null);
        Open { index, len: 0 }
    }

    /// The next key of an object; one value must follow.
    pub fn key(&mut self, object: &mut Open, key: &str) {
        let text = self.add_str(key);
        self.nodes.push(Node::String(text));
        object.len += 1;
    }

    /// Ends an object.
    pub fn end_object(&mut self, object: &Open) -> Id {
        let tail = Tail { text: "", kept: self.text.len() };
        self.close_object(object.index, object.len, tail);
        Id(object.index as u32)
    }

    /// Begins an array: then [`Doc::item`] before each value, then [`Doc::end_array`].
    pub fn begin_array(&mut self) -> Open {
        self.begin_object()
    }

    /// Announces the next item of an array.
    pub fn item(&mut self, array: &mut Open) {
        array.len += 1;
    }

    /// Ends an array.
    pub fn end_array(&mut self, array: &Open) -> Id {
        self.nodes[array.index] = Node::Array { len: array.len, end: self.next() };
        Id(array.index as u32)
    }

    /// Takes back everything since an array or object was begun.
    pub fn abandon(&mut self, open: &Open) {
        self.nodes.truncate(open.index);
    }

    /// Adds a string.
    pub fn add_string(&mut self, text: &str) -> Id {
        let text = self.add_str(text);
        self.push(Node::String(text))
    }

    /// Adds `null`.
    pub fn add_null(&mut self) -> Id {
        self.push(Node::Null)
    }

    /// Adds `true` or `false`.
    pub fn add_bool(&mut self, on: bool) -> Id {
        self.push(Node::Bool(on))
    }

    /// Adds an integer.
    pub fn add_int(&mut self, number: i64) -> Id {
        self.push(Node::Int(number))
    }

    /// Adds a number; one that JSON does not have (not finite) becomes `null`.
    pub fn add_float(&mut self, number: f64) -> Id {
        self.push(if number.is_finite() { Node::Float(number) } else { Node::Null })
    }

    /// Adds a number beyond 64 bits, in JSON's writing.
    pub fn add_big(&mut self, digits: &str) -> Id {
        let text = self.add_str(digits);
        self.push(Node::Big(text))
    }

    /// Adds an object without keys.
    pub fn add_empty_object(&mut self) -> Id {
        let open = self.begin_object();
        self.end_object(&open)
    }

    /// Copies a value of another document.
    pub fn copy(&mut self, value: Value<'_>) -> Id {
        match value {
            Value::Null => self.add_null(),
            Value::Bool(on) => self.add_bool(on),
            Value::Int(number) => self.add_int(number),
            Value::Float(number) => self.add_float(number),
            Value::Big(text) => self.add_big(text),
            Value::String(text) => self.add_string(text),
            Value::Array(list) => {
                let mut open = self.begin_array();
                for item in list.iter() {
                    self.item(&mut open);
                    self.copy(item);
                }
                self.end_array(&open)
            }
            Value::Object(map) => {
                let mut open = self.begin_object();
                for (key, value) in map.iter() {
                    self.key(&mut open, key);
                    self.copy(value);
                }
                self.end_object(&open)
            }
        }
    }

    fn push(&mut self, node: Node) -> Id {
        let id = Id(self.next());
        self.nodes.push(node);
        id
    }
}
