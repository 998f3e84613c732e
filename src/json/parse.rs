//! Text -> nodes, in place and in one pass.

#![expect(clippy::inline_always, reason = "measured: a call costs as much as what it does")]

use super::keys::{Seen, Tail};
use super::{Doc, Id, Node, Text};
use crate::bytes::places_of;

/// Deeper nesting is refused.
pub const MAX_DEPTH: usize = 128;

/// Why a text is no JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub kind: FailureKind,
    /// The offset of the first byte that cannot be.
    pub at: usize,
}

/// What is wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// It stops before the value is complete.
    End,
    /// A byte that JSON does not allow there.
    Syntax,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
}

impl Doc {
    /// Reads the value that starts at `text[at..]`, after white space; returns it and where it ends.
    ///
    /// JSON as RFC 8259 has it, but for two things that models write: control characters stand for themselves inside strings,
    /// and of equal keys the last counts. A lone surrogate becomes U+FFFD. Takes time linear in what it reads.
    pub fn parse(&mut self, text: &str, at: usize) -> Result<(Id, usize), Failure> {
        let (nodes, unescaped) = (self.nodes.len(), self.unescaped.len());
        let kept = self.text.len();
        if kept + unescaped + text.len() >= super::UNESCAPED as usize {
            return Err(Failure { kind: FailureKind::TooDeep, at });
        }
        let id = Id(self.next());
        let mut parser = Parser { text, bytes: text.as_bytes(), at, from: at, kept, doc: self };
        match parser.value(0) {
            Ok(()) => {
                let end = parser.at;
                self.text.push_str(&text[at..end]);
                Ok((id, end))
            }
            Err(kind) => {
                let at = parser.at.min(text.len());
                self.nodes.truncate(nodes);
                self.unescaped.truncate(unescaped);
                Err(Failure { kind, at })
            }
        }
    }

    /// Reads a text that is one value and nothing else.
    pub fn parse_all(&mut self, text: &str) -> Result<Id, Failure> {
        let (nodes, kept, unescaped) = (self.nodes.len(), self.text.len(), self.unescaped.len());
        let (id, end) = self.parse(text, 0)?;
        let rest = text.as_bytes()[end..].iter().position(|byte| !is_blank(*byte));
        match rest {
            None => Ok(id),
            Some(offset) => {
                self.nodes.truncate(nodes);
                self.text.truncate(kept);
                self.unescaped.truncate(unescaped);
                Err(Failure { kind: FailureKind::Syntax, at: end + offset })
            }
        }
    }
}

#[inline]
fn is_blank(byte: u8) -> bool {
    byte <= b' ' && matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

struct Parser<'t, 'd> {
    text: &'t str,
    bytes: &'t [u8],
    /// Where reading stands: after a failure, the byte that cannot be.
    at: usize,
    /// Where the value begins in `text`, and where a copy of it will begin in the document's text.
    from: usize,
    kept: usize,
    doc: &'d mut Doc,
}

impl Parser<'_, '_> {
    #[cold]
    fn fail<T>(&self) -> Result<T, FailureKind> {
        Err(if self.at >= self.bytes.len() { FailureKind::End } else { FailureKind::Syntax })
    }

    #[inline(always)]
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if !is_blank(byte) {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    // Part of the loops over objects and arrays: most values are no deeper.
    #[inline(always)]
    fn value(&mut self, depth: usize) -> Result<(), FailureKind> {
        let node = match self.peek() {
            Some(b'"') => Node::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'{') => return self.object(depth),
            Some(b'[') => return self.array(depth),
            _ => self.word()?,
        };
        self.doc.nodes.push(node);
        Ok(())
    }

    fn word(&mut self) -> Result<Node, FailureKind> {
        let (word, node) = match self.bytes.get(self.at) {
            Some(b't') => ("true", Node::Bool(true)),
            Some(b'f') => ("false", Node::Bool(false)),
            Some(b'n') => ("null", Node::Null),
            _ => return self.fail(),
        };
        for byte in word.bytes() {
            if self.bytes.get(self.at) != Some(&byte) {
                return self.fail();
            }
            self.at += 1;
        }
        Ok(node)
    }

    /// Begins an array or an object; returns the place of its node, and the depth of what stands in it.
    #[inline(always)]
    fn open(&mut self, depth: usize) -> Result<(usize, usize), FailureKind> {
        if depth == MAX_DEPTH {
            return Err(FailureKind::TooDeep);
        }
        let index = self.doc.nodes.len();
        self.doc.nodes.push(Node::Null);
        self.at += 1;
        Ok((index, depth + 1))
    }

    fn array(&mut self, depth: usize) -> Result<(), FailureKind> {
        let (index, depth) = self.open(depth)?;
        let mut len = 0;
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                self.value(depth)?;
                len += 1;
                if self.separator(b']')? {
                    break;
                }
            }
        }
        self.doc.nodes[index] = Node::Array { len, end: self.doc.next() };
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), FailureKind> {
        let (index, depth) = self.open(depth)?;
        let mut len = 0;
        let mut seen = Seen::default();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                if self.peek() != Some(b'"') {
                    return self.fail();
                }
                let start = self.at + 1;
                let key = self.string()?;
                seen.add(key, &self.bytes[start..self.at - 1]);
                self.doc.nodes.push(Node::String(key));
                if self.peek() != Some(b':') {
                    return self.fail();
                }
                self.at += 1;
                self.value(depth)?;
                len += 1;
                if self.separator(b'}')? {
                    break;
                }
            }
        }
        if seen.twice {
            let tail = Tail { text: &self.text[self.from..], kept: self.kept };
            self.doc.close_object(index, len, tail);
        } else {
            self.doc.nodes[index] = Node::Object { len, end: self.doc.next() };
        }
        Ok(())
    }

    /// Reads a comma, or the closing bracket: then true.
    #[inline(always)]
    fn separator(&mut self, close: u8) -> Result<bool, FailureKind> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(true)
            }
            _ => self.fail(),
        }
    }

    /// The piece of the document's text that `text[start..end]` will be.
    fn piece(&self, start: usize, end: usize) -> Text {
        Text::new(start - self.from + self.kept, end - start)
    }

    #[inline(always)]
    fn string(&mut self) -> Result<Text, FailureKind> {
        let start = self.at + 1;
        self.at = start + end_of_plain(&self.bytes[start..]);
        match self.bytes.get(self.at) {
            Some(b'"') => {
                self.at += 1;
                Ok(self.piece(start, self.at - 1))
            }
            Some(_) => self.string_with_escapes(start),
            None => self.fail(),
        }
    }

    #[cold]
    fn string_with_escapes(&mut self, start: usize) -> Result<Text, FailureKind> {
        let first = self.doc.unescaped.len();
        self.doc.unescaped.push_str(&self.text[start..self.at]);
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    let len = self.doc.unescaped.len() - first;
                    return Ok(Text::new(first | super::UNESCAPED as usize, len));
                }
                Some(_) => self.escape()?,
                None => return self.fail(),
            }
            let from = self.at;
            self.at += end_of_plain(&self.bytes[from..]);
            self.doc.unescaped.push_str(&self.text[from..self.at]);
        }
    }

    fn escape(&mut self) -> Result<(), FailureKind> {
        self.at += 1;
        let plain = match self.bytes.get(self.at) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let character = self.code_point()?;
                self.doc.unescaped.push(character);
                return Ok(());
            }
            _ => return self.fail(),
        };
        self.doc.unescaped.push(plain);
        self.at += 1;
        Ok(())
    }

    fn code_point(&mut self) -> Result<char, FailureKind> {
        let unit = self.hex4()?;
        if !(0xD800..0xDC00).contains(&unit) {
            return Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if !self.bytes[self.at..].starts_with(b"\\u") {
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        let back = self.at;
        self.at += 2;
        let low = self.hex4()?;
        if !(0xDC00..0xE000).contains(&low) {
            self.at = back; // an escape of its own
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        let joined = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        Ok(char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, FailureKind> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = self.bytes.get(self.at).and_then(|byte| char::from(*byte).to_digit(16)) else {
                return self.fail();
            };
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }

    #[inline(always)]
    fn number(&mut self) -> Result<Node, FailureKind> {
        let (mut at, mut value) = (self.at, 0_i64);
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(at) {
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            at += 1;
        }
        let next = self.bytes.get(at);
        let plain = (1..=18).contains(&(at - self.at)) && !matches!(next, Some(b'.' | b'e' | b'E'));
        if plain && (self.bytes[self.at] != b'0' || at - self.at == 1) {
            self.at = at;
            return Ok(Node::Int(value));
        }
        self.any_number()
    }

    fn any_number(&mut self) -> Result<Node, FailureKind> {
        let start = self.at;
        let negative = self.bytes[start] == b'-';
        self.at += usize::from(negative);
        let first = self.at;
        let mut value: i64 = 0;
        while let Some(digit) = self.bytes.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            self.at += 1;
        }
        let digits = self.at - first;
        if digits == 0 {
            return self.fail();
        }
        if digits > 1 && self.bytes[first] == b'0' {
            self.at = first + 1;
            return self.fail();
        }
        let whole = !matches!(self.bytes.get(self.at), Some(b'.' | b'e' | b'E'));
        if whole && digits <= 18 {
            return Ok(Node::Int(if negative { -value } else { value }));
        }
        if !whole {
            self.fraction()?;
        }
        let written = &self.text[start..self.at];
        if whole && let Ok(number) = written.parse() {
            return Ok(Node::Int(number));
        }
        if !whole && let Ok(number) = written.parse::<f64>() {
            // What is written with an exponent and vanishes is kept as written, so that 1e-400 is not 0.
            let lost = number == 0.0
                && written.bytes().take_while(|b| !matches!(b, b'e' | b'E')).any(|b| matches!(b, b'1'..=b'9'));
            if number.is_finite() && !lost {
                return Ok(Node::Float(number));
            }
        }
        Ok(Node::Big(self.piece(start, self.at)))
    }

    /// The part after a whole number's digits.
    fn fraction(&mut self) -> Result<(), FailureKind> {
        if self.bytes[self.at] == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), FailureKind> {
        let first = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == first { self.fail() } else { Ok(()) }
    }
}

/// How many bytes stand before the next quote or backslash.
#[inline(always)]
fn end_of_plain(bytes: &[u8]) -> usize {
    match bytes.first_chunk().map(|head| places_of(b'"', b'\\', head)) {
        Some(places) if places != 0 => places.trailing_zeros() as usize,
        _ => end_of_long(bytes),
    }
}

#[cold]
fn end_of_long(bytes: &[u8]) -> usize {
    memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len())
}
