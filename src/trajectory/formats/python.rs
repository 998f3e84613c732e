//! Python's calls and literals: `f(a=1, b=["x", None])`.

use crate::json::{Doc, Failure, FailureKind, Id, MAX_DEPTH, Text};

/// A call that was read.
pub(super) struct Call {
    pub name: Text,
    /// `None` where an argument has no name.
    pub arguments: Option<Id>,
    /// Where the call ends.
    pub end: usize,
}

/// Reads the call at `text[at..]`, after white space. Arguments are literals; of equal names the last counts.
pub(super) fn call(doc: &mut Doc, text: &str, at: usize) -> Result<Call, Failure> {
    let mut reader = Reader { text, bytes: text.as_bytes(), at };
    let mark = doc.begin_object(); // what was read is taken back to here
    let read = reader.call(doc);
    if !matches!(read, Ok(Call { arguments: Some(_), .. })) {
        doc.abandon(&mark);
    }
    read
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn fail<T>(&self) -> Result<T, Failure> {
        let kind = if self.at >= self.bytes.len() { FailureKind::End } else { FailureKind::Syntax };
        Err(Failure { kind, at: self.at.min(self.bytes.len()) })
    }

    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if !byte.is_ascii_whitespace() {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Failure> {
        if self.peek() != Some(byte) {
            return self.fail();
        }
        self.at += 1;
        Ok(())
    }

    /// A name: Python's, with the dots of modules and the hyphens that tools' names have.
    fn name(&mut self) -> Result<&'a str, Failure> {
        let start = self.at;
        let rest = &self.text[start..];
        let length = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))).unwrap_or(rest.len());
        if length == 0 || !rest.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return self.fail();
        }
        self.at += length;
        Ok(&self.text[start..self.at])
    }

    fn call(&mut self, doc: &mut Doc) -> Result<Call, Failure> {
        self.peek();
        let name = self.name()?;
        let name = doc.add_str(name);
        self.expect(b'(')?;
        let mut arguments = doc.begin_object();
        let mut all_named = true;
        while self.peek() != Some(b')') {
            match self.key() {
                Some(key) => doc.key(&mut arguments, key),
                None => all_named = false,
            }
            self.value(doc, 1)?;
            if self.peek() != Some(b')') {
                self.expect(b',')?;
            }
        }
        self.at += 1;
        // Nodes of nameless values would be read as keys: then there is no object at all.
        let arguments = all_named.then(|| doc.end_object(&arguments));
        Ok(Call { name, arguments, end: self.at })
    }

    /// The name of an argument, if it has one.
    fn key(&mut self) -> Option<&'a str> {
        let start = self.at;
        if let Ok(key) = self.name()
            && self.peek() == Some(b'=')
        {
            self.at += 1;
            return Some(key);
        }
        self.at = start;
        None
    }

    fn value(&mut self, doc: &mut Doc, depth: usize) -> Result<Id, Failure> {
        match self.peek() {
            Some(b'"' | b'\'') => self.string(doc, false),
            Some(b'[') => self.list(doc, depth, b']'),
            Some(b'(') => self.list(doc, depth, b')'),
            Some(b'{') => self.dict(doc, depth),
            Some(b'-' | b'+' | b'.' | b'0'..=b'9') => self.number(doc),
            Some(b'r' | b'R' | b'u' | b'U' | b'b' | b'B')
                if matches!(self.bytes.get(self.at + 1), Some(b'"' | b'\'')) =>
            {
                let raw = matches!(self.bytes[self.at], b'r' | b'R');
                self.at += 1;
                self.string(doc, raw)
            }
            Some(_) => self.word(doc),
            None => self.fail(),
        }
    }

    fn word(&mut self, doc: &mut Doc) -> Result<Id, Failure> {
        let start = self.at;
        let word = self.name()?;
        match word {
            "True" | "true" => Ok(doc.add_bool(true)),
            "False" | "false" => Ok(doc.add_bool(false)),
            "None" | "null" => Ok(doc.add_null()),
            _ => {
                self.at = start;
                self.fail()
            }
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, Failure> {
        if depth == MAX_DEPTH { Err(Failure { kind: FailureKind::TooDeep, at: self.at }) } else { Ok(depth + 1) }
    }

    /// A list or a tuple.
    fn list(&mut self, doc: &mut Doc, depth: usize, close: u8) -> Result<Id, Failure> {
        let depth = self.deeper(depth)?;
        self.at += 1;
        let mut open = doc.begin_array();
        let (mut items, mut commas) = (0, 0);
        while self.peek() != Some(close) {
            doc.item(&mut open);
            self.value(doc, depth)?;
            items += 1;
            if self.peek() != Some(close) {
                self.expect(b',')?;
                commas += 1;
            }
        }
        if close == b')' && items == 1 && commas == 0 {
            return self.fail(); // no tuple, but an expression
        }
        self.at += 1;
        Ok(doc.end_array(&open))
    }

    fn dict(&mut self, doc: &mut Doc, depth: usize) -> Result<Id, Failure> {
        let depth = self.deeper(depth)?;
        self.at += 1;
        let mut open = doc.begin_object();
        while self.peek() != Some(b'}') {
            match self.peek() {
                Some(b'"' | b'\'') => {
                    let key = self.text_of_string(false)?;
                    doc.key(&mut open, &key);
                }
                // Numbers as keys become what JSON makes of them: their text.
                Some(b'-' | b'0'..=b'9') => {
                    let key = self.written_number()?;
                    doc.key(&mut open, key);
                }
                _ => return self.fail(),
            }
            self.expect(b':')?;
            self.value(doc, depth)?;
            if self.peek() != Some(b'}') {
                self.expect(b',')?;
            }
        }
        self.at += 1;
        Ok(doc.end_object(&open))
    }

    fn written_number(&mut self) -> Result<&'a str, Failure> {
        let start = self.at;
        let hex = self.bytes[start..].iter().take(3).any(|byte| matches!(byte, b'x' | b'X'));
        let mut after_exponent = false;
        while let Some(byte) = self.bytes.get(self.at) {
            let sign = matches!(byte, b'+' | b'-') && (self.at == start || after_exponent);
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || sign) {
                break;
            }
            after_exponent = matches!(byte, b'e' | b'E') && !hex;
            self.at += 1;
        }
        if self.at == start { self.fail() } else { Ok(&self.text[start..self.at]) }
    }

    fn number(&mut self, doc: &mut Doc) -> Result<Id, Failure> {
        let start = self.at;
        let written = self.written_number()?;
        number(doc, written).ok_or(Failure { kind: FailureKind::Syntax, at: start })
    }

    fn string(&mut self, doc: &mut Doc, raw: bool) -> Result<Id, Failure> {
        let text = self.text_of_string(raw)?;
        Ok(doc.add_string(&text))
    }

    /// The string at the reader: in single, double or three quotes. Line ends may stand in all of them.
    fn text_of_string(&mut self, raw: bool) -> Result<String, Failure> {
        let quote = self.bytes[self.at];
        let triple = self.bytes[self.at..].starts_with(&[quote; 3]);
        let close = if triple { 3 } else { 1 };
        self.at += close;
        let mut text = String::new();
        loop {
            let from = self.at;
            let Some(stop) = memchr::memchr2(quote, b'\\', &self.bytes[from..]) else {
                self.at = self.bytes.len();
                return self.fail();
            };
            self.at = from + stop;
            text.push_str(&self.text[from..self.at]);
            if self.bytes[self.at] == b'\\' {
                self.escape(raw, &mut text)?;
            } else if !triple || self.bytes[self.at..].starts_with(&[quote; 3]) {
                self.at += close;
                return Ok(text);
            } else {
                text.push(char::from(quote));
                self.at += 1;
            }
        }
    }

    fn escape(&mut self, raw: bool, text: &mut String) -> Result<(), Failure> {
        let rest = &self.text[self.at + 1..];
        let Some(what) = rest.chars().next() else {
            self.at = self.bytes.len();
            return self.fail();
        };
        let next = self.at + 1 + what.len_utf8();
        if raw {
            text.push('\\');
            text.push(what);
            self.at = next;
            return Ok(());
        }
        let digits = match what {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            '0'..='7' => {
                let digits = rest.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                let code = u32::from_str_radix(&rest[..digits], 8).unwrap_or(0);
                text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                self.at += 1 + digits;
                return Ok(());
            }
            _ => 0,
        };
        self.at = next;
        if digits > 0 {
            return self.code_point(digits, text);
        }
        match what {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'a' => text.push('\u{7}'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'v' => text.push('\u{b}'),
            '\\' | '\'' | '"' => text.push(what),
            '\n' => {} // a line that goes on
            // What Python does not know it leaves as it is.
            _ => {
                text.push('\\');
                text.push(what);
            }
        }
        Ok(())
    }

    /// The code point of so many hexadecimal digits; a pair of surrogates is one, a lone one U+FFFD.
    fn code_point(&mut self, digits: usize, text: &mut String) -> Result<(), Failure> {
        let mut code = self.hex(digits)?;
        if (0xD800..0xDC00).contains(&code) && self.bytes[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            match self.hex(4) {
                Ok(low) if (0xDC00..0xE000).contains(&low) => {
                    code = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                }
                _ => self.at = back, // an escape of its own
            }
        }
        text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(())
    }

    fn hex(&mut self, digits: usize) -> Result<u32, Failure> {
        let mut code = 0_u32;
        for _ in 0..digits {
            let Some(digit) = self.bytes.get(self.at).and_then(|byte| char::from(*byte).to_digit(16)) else {
                return self.fail();
            };
            code = code.wrapping_mul(16).wrapping_add(digit);
            self.at += 1;
        }
        Ok(code)
    }
}

/// A number in Python's writing; `None` where it is none.
fn number(doc: &mut Doc, written: &str) -> Option<Id> {
    let (sign, digits) = match written.as_bytes().first()? {
        b'-' => ("-", &written[1..]),
        b'+' => ("", &written[1..]),
        _ => ("", written),
    };
    let radix = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => 16,
        [b'0', b'o' | b'O', ..] => 8,
        [b'0', b'b' | b'B', ..] => 2,
        _ => 10,
    };
    let badly_grouped = digits.ends_with('_') || digits.starts_with('_') || digits.contains("__");
    if badly_grouped {
        return None;
    }
    let plain = digits.replace('_', "");
    if radix != 10 {
        let number = u128::from_str_radix(plain.get(2..).filter(|digits| !digits.starts_with(['+', '-']))?, radix);
        return doc.parse_all(&format!("{sign}{}", number.ok()?)).ok();
    }
    // JSON wants digits on both sides of the point.
    let (whole, rest) = plain.split_at(plain.find(['.', 'e', 'E']).unwrap_or(plain.len()));
    let (fraction, exponent) = match rest.strip_prefix('.') {
        None => (String::new(), rest),
        Some(rest) => {
            let (fraction, exponent) = rest.split_at(rest.find(['e', 'E']).unwrap_or(rest.len()));
            if whole.is_empty() && fraction.is_empty() {
                return None;
            }
            (format!(".{}", if fraction.is_empty() { "0" } else { fraction }), exponent)
        }
    };
    // `1e05` and `00` are Python's too, `01` is not.
    let whole = match whole {
        "" if !fraction.is_empty() => "0",
        zeros if zeros.len() > 1 && zeros.bytes().all(|byte| byte == b'0') => "0",
        other => other,
    };
    doc.parse_all(&format!("{sign}{whole}{fraction}{exponent}")).ok()
}

#[cfg(test)]
mod tests;
