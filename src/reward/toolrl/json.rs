//! JSON as Python's `json.loads` reads it and as Python's `==` compares it.
//!
//! The reward's reference code is Python, and its score depends on both: `NaN` is a value, a repeated key keeps its last
//! value, integers have no bounds, and `1`, `1.0` and `true` are equal. Reading and comparing take linear time (sorting
//! an object's keys aside) and no recursion, however deep the text nests.

use std::cmp::Ordering;
use std::ops::Range;

/// Containers nested deeper than this are unreadable. The reference code ends in a `RecursionError` at a depth between
/// this and 1,000.
const MAX_DEPTH: usize = 900;

/// Python refuses to read an integer of more digits.
const MAX_DIGITS: usize = 4300;

/// A value's place in its [`Values`].
pub(super) type Id = usize;

/// Some JSON values, side by side.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    nodes: Vec<Node>,
    /// The elements of arrays (with an empty key) and the members of objects (sorted by key, each key once).
    members: Vec<Member>,
    /// Strings and keys in UTF-8, where a lone surrogate, which JSON can spell, is written like any other code point;
    /// digits of [`Node::Integer`].
    bytes: Vec<u8>,
}

type Span = (usize, usize);

#[derive(Clone, Copy, Debug)]
struct Member {
    key: Span,
    value: Id,
}

#[derive(Clone, Copy, Debug)]
enum Node {
    Null,
    Nan,
    /// A boolean, a float, or an integer that a float represents exactly; never NaN, never -0.
    Number(f64),
    /// The digits of any other integer, with its sign.
    Integer(Span),
    Text(Span),
    Array(Span),
    Object(Span),
}

/// A value that Python can hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scalar<'a> {
    Null,
    Nan,
    Number(u64),
    Integer(&'a [u8]),
    Text(&'a [u8]),
}

/// A text that is no JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl Values {
    /// Reads one value, which must fill the text.
    pub(super) fn read(&mut self, text: &str) -> Result<Id, Unreadable> {
        let mut reader = Reader { text: text.as_bytes(), at: 0, open: Vec::new(), pending: Vec::new(), values: self };
        let id = reader.value()?;
        reader.skip_space();
        if reader.at == reader.text.len() { Ok(id) } else { Err(Unreadable) }
    }

    /// An object's value under a key.
    pub(super) fn get(&self, object: Id, key: &[u8]) -> Option<Id> {
        let Node::Object(span) = self.nodes[object] else { return None };
        let members = &self.members[range(span)];
        members.binary_search_by(|member| self.text(member.key).cmp(key)).ok().map(|at| members[at].value)
    }

    /// An object's keys and values, by key.
    pub(super) fn entries(&self, object: Id) -> Option<impl ExactSizeIterator<Item = (&[u8], Id)>> {
        let Node::Object(span) = self.nodes[object] else { return None };
        Some(self.members[range(span)].iter().map(|member| (self.text(member.key), member.value)))
    }

    /// Python's `len`: of a string in code points.
    pub(super) fn len(&self, id: Id) -> Option<usize> {
        match self.nodes[id] {
            Node::Array(span) | Node::Object(span) => Some(span.1 - span.0),
            Node::Text(span) => Some(self.text(span).iter().filter(|byte| **byte & 0xC0 != 0x80).count()),
            _ => None,
        }
    }

    /// The value, unless it is an array or an object.
    pub(super) fn scalar(&self, id: Id) -> Option<Scalar<'_>> {
        Some(match self.nodes[id] {
            Node::Null => Scalar::Null,
            Node::Nan => Scalar::Nan,
            Node::Number(number) => Scalar::Number(number.to_bits()),
            Node::Integer(span) => Scalar::Integer(self.text(span)),
            Node::Text(span) => Scalar::Text(self.text(span)),
            Node::Array(_) | Node::Object(_) => return None,
        })
    }

    /// Python's `a == b`.
    pub(super) fn equal(&self, a: Id, others: &Self, b: Id) -> bool {
        !matches!(self.nodes[a], Node::Nan) && self.same(a, others, b)
    }

    /// Python's `==` of two lists or dicts that hold `a` and `b`: there a value is also equal to itself, and all the NaN
    /// that `json` reads are one object.
    pub(super) fn same(&self, a: Id, others: &Self, b: Id) -> bool {
        let mut open = Vec::new();
        let mut next = Some((a, b));
        while let Some((a, b)) = next.or_else(|| open.pop()) {
            next = None;
            let (x, y) = match (self.nodes[a], others.nodes[b]) {
                (Node::Null, Node::Null) | (Node::Nan, Node::Nan) => continue,
                (Node::Number(x), Node::Number(y)) if x.to_bits() == y.to_bits() => continue,
                (Node::Integer(x), Node::Integer(y)) | (Node::Text(x), Node::Text(y))
                    if self.text(x) == others.text(y) =>
                {
                    continue;
                }
                (Node::Array(x), Node::Array(y)) | (Node::Object(x), Node::Object(y)) => (x, y),
                _ => return false,
            };
            let (x, y) = (&self.members[range(x)], &others.members[range(y)]);
            if x.len() != y.len() || x.iter().zip(y).any(|(x, y)| self.text(x.key) != others.text(y.key)) {
                return false;
            }
            open.extend(x.iter().zip(y).map(|(x, y)| (x.value, y.value)));
        }
        true
    }

    fn text(&self, span: Span) -> &[u8] {
        &self.bytes[range(span)]
    }

    fn push(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}

fn range(span: Span) -> Range<usize> {
    span.0..span.1
}

/// A container that is being read.
struct Open {
    object: bool,
    /// Where its members begin among the pending.
    first: usize,
    /// The key that waits for its value; empty in an array.
    key: Span,
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    open: Vec<Open>,
    /// The members of the open containers so far.
    pending: Vec<Member>,
    values: &'a mut Values,
}

impl Reader<'_> {
    fn value(&mut self) -> Result<Id, Unreadable> {
        loop {
            let Some(mut value) = self.begin()? else { continue };
            loop {
                let Some(top) = self.open.last() else { return Ok(value) };
                let (object, key) = (top.object, top.key);
                self.pending.push(Member { key, value });
                self.skip_space();
                match (self.next(), object) {
                    (Some(b','), false) => break,
                    (Some(b','), true) => {
                        self.skip_space();
                        self.key()?;
                        break;
                    }
                    (Some(b']'), false) | (Some(b'}'), true) => value = self.close()?,
                    _ => return Err(Unreadable),
                }
            }
        }
    }

    /// Reads a value, or only the beginning of a container that is not empty.
    fn begin(&mut self) -> Result<Option<Id>, Unreadable> {
        self.skip_space();
        let node = match self.peek().ok_or(Unreadable)? {
            bracket @ (b'[' | b'{') => {
                self.at += 1;
                if self.open.len() == MAX_DEPTH {
                    return Err(Unreadable);
                }
                let object = bracket == b'{';
                self.open.push(Open { object, first: self.pending.len(), key: (0, 0) });
                self.skip_space();
                if self.peek() == Some(if object { b'}' } else { b']' }) {
                    self.at += 1;
                    return self.close().map(Some);
                }
                if object {
                    self.key()?;
                }
                return Ok(None);
            }
            b'"' => Node::Text(self.string()?),
            b'n' => self.word("null", Node::Null)?,
            b't' => self.word("true", Node::Number(1.0))?,
            b'f' => self.word("false", Node::Number(0.0))?,
            b'N' => self.word("NaN", Node::Nan)?,
            b'I' => self.word("Infinity", Node::Number(f64::INFINITY))?,
            b'-' if self.text.get(self.at + 1) == Some(&b'I') => {
                self.word("-Infinity", Node::Number(f64::NEG_INFINITY))?
            }
            _ => self.number()?,
        };
        Ok(Some(self.values.push(node)))
    }

    fn close(&mut self) -> Result<Id, Unreadable> {
        let open = self.open.pop().ok_or(Unreadable)?;
        let values = &mut *self.values;
        let members = &mut self.pending[open.first..];
        let begin = values.members.len();
        if open.object {
            let bytes = &values.bytes;
            let order = |a: &Member, b: &Member| bytes[range(a.key)].cmp(&bytes[range(b.key)]);
            members.sort_by(order);
            for (at, member) in members.iter().enumerate() {
                // Of a key's members, which stand in the order of the text, the last counts.
                if members.get(at + 1).is_none_or(|next| order(member, next) != Ordering::Equal) {
                    values.members.push(*member);
                }
            }
        } else {
            values.members.extend_from_slice(members);
        }
        self.pending.truncate(open.first);
        let span = (begin, values.members.len());
        Ok(values.push(if open.object { Node::Object(span) } else { Node::Array(span) }))
    }

    fn key(&mut self) -> Result<(), Unreadable> {
        if self.peek() != Some(b'"') {
            return Err(Unreadable);
        }
        let key = self.string()?;
        self.skip_space();
        if self.next() != Some(b':') {
            return Err(Unreadable);
        }
        self.open.last_mut().ok_or(Unreadable)?.key = key;
        Ok(())
    }

    fn string(&mut self) -> Result<Span, Unreadable> {
        self.at += 1;
        let begin = self.values.bytes.len();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).ok_or(Unreadable)?;
            self.values.bytes.extend_from_slice(&rest[..plain]);
            self.at += plain + 1;
            match rest[plain] {
                b'"' => return Ok((begin, self.values.bytes.len())),
                b'\\' => self.escape()?,
                _ => return Err(Unreadable),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Unreadable> {
        let byte = match self.next().ok_or(Unreadable)? {
            same @ (b'"' | b'\\' | b'/') => same,
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let code = self.code_point()?;
                push_code_point(&mut self.values.bytes, code);
                return Ok(());
            }
            _ => return Err(Unreadable),
        };
        self.values.bytes.push(byte);
        Ok(())
    }

    /// Reads what follows `\u`: four digits, or the two halves of a surrogate pair.
    fn code_point(&mut self) -> Result<u32, Unreadable> {
        let code = self.four_digits()?;
        if (0xD800..0xDC00).contains(&code) && self.text[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.four_digits()?;
            if (0xDC00..0xE000).contains(&low) {
                return Ok(0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00));
            }
            self.at = back;
        }
        Ok(code)
    }

    fn four_digits(&mut self) -> Result<u32, Unreadable> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Unreadable)?;
        self.at += 4;
        digits.iter().try_fold(0, |code, digit| {
            char::from(*digit).to_digit(16).map(|digit| (code << 4) | digit).ok_or(Unreadable)
        })
    }

    fn number(&mut self) -> Result<Node, Unreadable> {
        let begin = self.at;
        self.skip_if(|byte| byte == b'-');
        let whole = self.at;
        let digits = self.skip_digits();
        if digits == 0 || (digits > 1 && self.text[whole] == b'0') {
            return Err(Unreadable);
        }
        let mut float = false;
        if self.skip_if(|byte| byte == b'.') {
            float = true;
            if self.skip_digits() == 0 {
                return Err(Unreadable);
            }
        }
        if self.skip_if(|byte| matches!(byte, b'e' | b'E')) {
            float = true;
            self.skip_if(|byte| matches!(byte, b'+' | b'-'));
            if self.skip_digits() == 0 {
                return Err(Unreadable);
            }
        }
        let literal = std::str::from_utf8(&self.text[begin..self.at]).map_err(|_| Unreadable)?;
        let number: f64 = literal.parse().map_err(|_| Unreadable)?;
        if float || is_exact(literal, digits, number) {
            return Ok(Node::Number(number + 0.0));
        }
        if digits > MAX_DIGITS {
            return Err(Unreadable);
        }
        let start = self.values.bytes.len();
        self.values.bytes.extend_from_slice(literal.as_bytes());
        Ok(Node::Integer((start, self.values.bytes.len())))
    }

    fn word(&mut self, word: &str, node: Node) -> Result<Node, Unreadable> {
        if self.text[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(node);
        }
        Err(Unreadable)
    }

    fn skip_space(&mut self) {
        while self.skip_if(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {}
    }

    fn skip_digits(&mut self) -> usize {
        let begin = self.at;
        while self.skip_if(|byte| byte.is_ascii_digit()) {}
        self.at - begin
    }

    fn skip_if(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let found = self.peek().is_some_and(wanted);
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += usize::from(byte.is_some());
        byte
    }
}

/// Whether the float nearest to an integer literal is that integer.
fn is_exact(literal: &str, digits: usize, number: f64) -> bool {
    // Up to 15 digits every integer is one; the greatest float has 309.
    digits <= 15 || (digits <= 309 && number.is_finite() && format!("{number:.0}") == literal)
}

/// Writes any code point, a lone surrogate too, in the manner of UTF-8.
fn push_code_point(bytes: &mut Vec<u8>, code: u32) {
    if let Some(char) = char::from_u32(code) {
        bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        return;
    }
    let [.., high, low] = code.to_be_bytes();
    bytes.extend_from_slice(&[0xE0 | (high >> 4), 0x80 | ((high & 0x0F) << 2) | (low >> 6), 0x80 | (low & 0x3F)]);
}
