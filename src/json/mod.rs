//! JSON as a flat list of nodes: what models write and references hold, read without an allocation per value.
//!
//! A [`Doc`] holds any number of values; [`Doc::clear`] keeps its memory for the next rollout. [`Value`] is a view of one
//! value in it.

#![expect(clippy::inline_always, reason = "measured: a call costs as much as what it does")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "a document holds 2 GiB of text at most, and a node takes a byte of it"
)]

mod build;
mod equal;
mod keys;
mod parse;
mod write;

use equal::same_bytes;
pub(crate) use equal::same_text;
pub use parse::{Failure, FailureKind, MAX_DEPTH};

/// Which value of a [`Doc`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(u32);

/// A piece of text that a [`Doc`] holds.
// One number, not two: a pair that is written in halves and read as a whole has to wait until both are in the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text(u64);

/// The highest bit of a text's start says that it stands in [`Doc::unescaped`].
const UNESCAPED: u32 = 1 << 31;

impl Text {
    #[inline(always)]
    fn new(start: usize, len: usize) -> Self {
        Self((start as u64) << 32 | len as u64)
    }

    #[inline(always)]
    fn start(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Length in bytes.
    #[inline]
    pub fn len(self) -> usize {
        self.0 as u32 as usize
    }

    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A number that neither fits; as it was written.
    Big(Text),
    String(Text),
    /// A key that a later one of the same name replaces; its value follows.
    Shadowed,
    /// `end`: one past its last node.
    Array {
        len: u32,
        end: u32,
    },
    Object {
        len: u32,
        end: u32,
    },
}

/// Values, one node after the other, and the text of their strings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Doc {
    nodes: Vec<Node>,
    /// What was parsed, as a whole: strings without escapes are pieces of it. And texts that were added.
    text: String,
    /// The strings that were written with escapes.
    unescaped: String,
}

/// A view of a value.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// Any other finite number.
    Float(f64),
    /// A number beyond both, as it was written.
    Big(&'a str),
    /// A string, escapes resolved.
    String(&'a str),
    /// An array.
    Array(List<'a>),
    /// An object.
    Object(Map<'a>),
}

/// A view of an array.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    doc: &'a Doc,
    len: u32,
    first: u32,
    end: u32,
}

/// A view of an object. Of equal keys the last counts.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    doc: &'a Doc,
    len: u32,
    first: u32,
    end: u32,
}

impl Doc {
    /// Forgets all values and keeps the memory.
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.text.clear();
        self.unescaped.clear();
    }

    /// Bytes of memory that the values take.
    pub fn size(&self) -> usize {
        self.text.len() + self.unescaped.len() + self.nodes.len() * size_of::<Node>()
    }

    /// The value.
    #[inline]
    pub fn value(&self, id: Id) -> Value<'_> {
        self.at(id.0)
    }

    /// The object of that id; `None` for a value of another kind.
    #[inline]
    pub fn map(&self, id: Id) -> Option<Map<'_>> {
        match self.value(id) {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }

    /// The string of that id; `None` for a value of another kind.
    pub fn text_of(&self, id: Id) -> Option<Text> {
        match self.nodes[id.0 as usize] {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// The text.
    #[inline]
    pub fn str(&self, text: Text) -> &str {
        let (whole, start) = match text.start() & UNESCAPED {
            0 => (&self.text, text.start()),
            _ => (&self.unescaped, text.start() ^ UNESCAPED),
        };
        // Always inside: a text is only made for what was added.
        whole.get(start as usize..start as usize + text.len()).unwrap_or_default()
    }

    /// The same as bytes: quicker, where texts are only compared.
    #[inline]
    fn bytes(&self, text: Text) -> &[u8] {
        let (whole, start) = match text.start() & UNESCAPED {
            0 => (&self.text, text.start()),
            _ => (&self.unescaped, text.start() ^ UNESCAPED),
        };
        whole.as_bytes().get(start as usize..start as usize + text.len()).unwrap_or_default()
    }

    /// Keeps a text. A document holds 2 GiB of it; what comes after reads as empty.
    pub fn add_str(&mut self, text: &str) -> Text {
        let start = self.text.len();
        if start + text.len() >= UNESCAPED as usize {
            return Text::default();
        }
        self.text.push_str(text);
        Text::new(start, text.len())
    }

    fn next(&self) -> u32 {
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }

    #[inline(always)]
    fn at(&self, index: u32) -> Value<'_> {
        match self.nodes[index as usize] {
            Node::Null | Node::Shadowed => Value::Null,
            Node::Bool(on) => Value::Bool(on),
            Node::Int(number) => Value::Int(number),
            Node::Float(number) => Value::Float(number),
            Node::Big(text) => Value::Big(self.str(text)),
            Node::String(text) => Value::String(self.str(text)),
            Node::Array { len, end } => Value::Array(List { doc: self, len, first: index + 1, end }),
            Node::Object { len, end } => Value::Object(Map { doc: self, len, first: index + 1, end }),
        }
    }

    #[inline(always)]
    fn after(&self, index: u32) -> u32 {
        match self.nodes[index as usize] {
            Node::Array { end, .. } | Node::Object { end, .. } => end,
            _ => index + 1,
        }
    }
}

impl<'a> Value<'a> {
    /// The string, if it is one.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The array, if it is one.
    pub fn as_list(self) -> Option<List<'a>> {
        match self {
            Self::Array(list) => Some(list),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn as_map(self) -> Option<Map<'a>> {
        match self {
            Self::Object(map) => Some(map),
            _ => None,
        }
    }

    /// The number as the nearest double, infinite where it is beyond all of them; `None` for other kinds.
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(number as f64),
            Self::Float(number) => Some(number),
            Self::Big(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }
}

impl<'a> List<'a> {
    /// How many items.
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The items in order.
    pub fn iter(self) -> impl Iterator<Item = Value<'a>> {
        self.ids().map(move |id| self.doc.value(id))
    }

    /// The items' ids in order.
    pub fn ids(self) -> impl Iterator<Item = Id> + use<'a> {
        let mut at = self.first;
        std::iter::from_fn(move || {
            let id = (at < self.end).then_some(Id(at))?;
            at = self.doc.after(at);
            Some(id)
        })
    }
}

impl<'a> Map<'a> {
    /// An object without keys.
    pub fn empty(doc: &'a Doc) -> Self {
        Self { doc, len: 0, first: 0, end: 0 }
    }

    /// How many keys.
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Keys and values in the order of writing.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.entries().map(move |(key, id)| (key, self.doc.value(id)))
    }

    /// Keys and the ids of their values.
    #[inline]
    pub fn entries(self) -> impl Iterator<Item = (&'a str, Id)> {
        self.texts().map(move |(key, value)| (self.doc.str(key), value))
    }

    /// The same, keys as bytes.
    #[inline]
    pub(crate) fn fields(self) -> impl Iterator<Item = (&'a [u8], Id)> {
        self.texts().map(move |(key, value)| (self.doc.bytes(key), value))
    }

    #[inline]
    fn texts(self) -> impl Iterator<Item = (Text, Id)> {
        let mut at = self.first;
        std::iter::from_fn(move || {
            while at < self.end {
                let value = at + 1;
                let key = &self.doc.nodes[at as usize];
                at = self.doc.after(value);
                if let Node::String(text) = key {
                    return Some((*text, Id(value)));
                }
            }
            None
        })
    }

    /// The values of two keys, where these and no others are there, in this order.
    #[inline]
    pub(crate) fn just(self, [first, second]: [&[u8]; 2]) -> Option<[Id; 2]> {
        let is = |at: u32, key: &[u8]| match self.doc.nodes.get(at as usize) {
            Some(Node::String(text)) => same_bytes(self.doc.bytes(*text), key),
            _ => false,
        };
        if self.len != 2 || !is(self.first, first) {
            return None;
        }
        let next = self.doc.after(self.first + 1);
        (is(next, second) && self.doc.after(next + 1) == self.end).then_some([Id(self.first + 1), Id(next + 1)])
    }

    /// The value of a key. Looks at every key: linear in their number.
    #[inline]
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        self.id(key).map(|id| self.doc.value(id))
    }

    /// The id of a key's value.
    #[inline]
    pub fn id(self, key: &str) -> Option<Id> {
        self.fields().find(|(known, _)| same_bytes(known, key.as_bytes())).map(|(_, id)| id)
    }
}

#[cfg(test)]
mod tests;
