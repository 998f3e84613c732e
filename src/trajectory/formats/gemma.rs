//! Gemma's calls: `call:f{a:1,b:<escape>x<escape>}`.

use super::Source;
use crate::json::{Doc, Failure, FailureKind, Id, MAX_DEPTH, Text};
use crate::trajectory::{DefectKind, Span, Trajectory};

/// The tags of one of Gemma's formats.
pub(super) struct Grammar {
    open: &'static str,
    close: &'static str,
    quote: &'static str,
}

pub(super) const FUNCTION_GEMMA: Grammar =
    Grammar { open: "<start_function_call>", close: "<end_function_call>", quote: "<escape>" };

pub(super) const GEMMA4: Grammar = Grammar { open: "<|tool_call>", close: "<tool_call|>", quote: "<|\"|>" };

/// Reads one call.
pub(super) fn read(source: Source<'_>, grammar: &Grammar, out: &mut Trajectory) -> usize {
    let extent = source.extent(grammar.open, grammar.close);
    if !extent.closed {
        source.unclosed("the call is not closed by its tag", out);
        return source.body;
    }
    let end = extent.end + grammar.close.len();
    let span = Span::new(source.start, end);
    let text = &source.text[..extent.end];
    let mut reader = Reader { text, at: source.body, quote: grammar.quote };
    match reader.call(&mut out.doc) {
        Ok(Some((name, arguments))) => out.call(name, arguments, Some(span)),
        Ok(None) => out.defect(DefectKind::BadName, Some(span), "the call has no name"),
        Err(failure) if failure.kind == FailureKind::TooDeep => {
            out.defect(DefectKind::MalformedCall, Some(span), "the call is nested too deeply");
        }
        Err(failure) => out.defect_with(DefectKind::MalformedCall, Some(span), || {
            format!("the call cannot be read: unexpected text at byte {}", failure.at)
        }),
    }
    end
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    quote: &'static str,
}

impl<'a> Reader<'a> {
    fn fail<T>(&self) -> Result<T, Failure> {
        Err(Failure { kind: FailureKind::Syntax, at: self.at })
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.text[self.at..].trim_start().len();
    }

    fn take(&mut self, piece: &str) -> bool {
        let found = self.text[self.at..].starts_with(piece);
        self.at += if found { piece.len() } else { 0 };
        found
    }

    fn call(&mut self, doc: &mut Doc) -> Result<Option<(Text, Id)>, Failure> {
        self.blanks();
        if !self.take("call:") {
            return self.fail();
        }
        let Some(length) = self.text[self.at..].find('{') else { return self.fail() };
        let name = self.text[self.at..self.at + length].trim();
        if name.is_empty() {
            return Ok(None);
        }
        let name = doc.add_str(name);
        self.at += length;
        let open = doc.begin_object();
        let arguments = match self.object(doc, 0) {
            Ok(arguments) => arguments,
            Err(failure) => {
                doc.abandon(&open);
                return Err(failure);
            }
        };
        self.blanks();
        if self.at < self.text.len() {
            doc.abandon(&open);
            return self.fail();
        }
        Ok(Some((name, arguments)))
    }

    fn value(&mut self, doc: &mut Doc, depth: usize) -> Result<Id, Failure> {
        self.blanks();
        if self.text[self.at..].starts_with(self.quote) {
            return Ok(doc.add_string(self.string()?));
        }
        match self.text.as_bytes().get(self.at) {
            Some(b'{') => self.object(doc, depth),
            Some(b'[') => self.array(doc, depth),
            // A JSON string, where a model forgets its own quotes.
            Some(b'"') => {
                let (id, end) = doc.parse(self.text, self.at)?;
                self.at = end;
                Ok(id)
            }
            _ => self.bare(doc),
        }
    }

    fn string(&mut self) -> Result<&'a str, Failure> {
        let from = self.at + self.quote.len();
        let Some(length) = memchr::memmem::find(&self.text.as_bytes()[from..], self.quote.as_bytes()) else {
            return self.fail();
        };
        self.at = from + length + self.quote.len();
        Ok(&self.text[from..from + length])
    }

    /// A number, a word, or text without quotes.
    fn bare(&mut self, doc: &mut Doc) -> Result<Id, Failure> {
        let rest = &self.text[self.at..];
        let length = rest.find([',', '}', ']']).unwrap_or(rest.len());
        let written = rest[..length].trim_end();
        if written.is_empty() || written.contains('<') {
            return self.fail();
        }
        self.at += length;
        Ok(match doc.parse_all(written) {
            Ok(id) => id,
            Err(_) => doc.add_string(written),
        })
    }

    fn deeper(&self, depth: usize) -> Result<usize, Failure> {
        if depth == MAX_DEPTH { Err(Failure { kind: FailureKind::TooDeep, at: self.at }) } else { Ok(depth + 1) }
    }

    fn array(&mut self, doc: &mut Doc, depth: usize) -> Result<Id, Failure> {
        let depth = self.deeper(depth)?;
        let mut open = doc.begin_array();
        self.at += 1;
        self.blanks();
        if !self.take("]") {
            loop {
                doc.item(&mut open);
                self.value(doc, depth)?;
                if self.separator("]")? {
                    break;
                }
            }
        }
        Ok(doc.end_array(&open))
    }

    fn object(&mut self, doc: &mut Doc, depth: usize) -> Result<Id, Failure> {
        let depth = self.deeper(depth)?;
        let mut open = doc.begin_object();
        self.at += 1;
        self.blanks();
        if !self.take("}") {
            loop {
                let key = self.key()?;
                doc.key(&mut open, key);
                self.value(doc, depth)?;
                if self.separator("}")? {
                    break;
                }
            }
        }
        Ok(doc.end_object(&open))
    }

    /// A key, with or without quotes, and its colon.
    fn key(&mut self) -> Result<&'a str, Failure> {
        self.blanks();
        let key = if self.text[self.at..].starts_with(self.quote) {
            self.string()?
        } else {
            let rest = &self.text[self.at..];
            let length = rest.find([':', ',', '{', '}', '[', ']', '<']).unwrap_or(rest.len());
            self.at += length;
            rest[..length].trim().trim_matches('"')
        };
        self.blanks();
        if key.is_empty() || !self.take(":") { self.fail() } else { Ok(key) }
    }

    fn separator(&mut self, close: &str) -> Result<bool, Failure> {
        self.blanks();
        if self.take(",") {
            return Ok(false);
        }
        if self.take(close) { Ok(true) } else { self.fail() }
    }
}
