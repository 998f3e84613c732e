//! Calls without a tag: they are what the assistant says, from its first byte to its last.

use super::{Format, Source, python};
use crate::json::{Doc, Id, Value};
use crate::trajectory::{DefectKind, Span, Trajectory, call_from_value};

/// Reads what a turn without other calls says, where it is nothing but calls; whether it is.
///
/// With `Format::Auto` all of it must be calls that can be read, so that a list, an interval or an object in an answer is not
/// mistaken for one. With a format of this kind flaws are defects where the text begins as its calls do.
pub(in crate::trajectory) fn read(source: Source<'_>, span: Span, out: &mut Trajectory) -> bool {
    let text = source.text[span.start..span.end].trim_end();
    let begin = span.end - source.text[span.start..span.end].trim_start().len();
    let end = span.start + text.len();
    let text = &source.text[begin.min(end)..end];
    let bare = Bare { text: &source.text[..end], start: begin, named: source.options.format != Format::Auto };
    match source.options.format {
        Format::Auto => {
            bare.json(text, "functools[", "]", out)
                || bare.fenced(text, out)
                || bare.json(text, "[", "]", out)
                || bare.objects(text, out)
                || bare.pythonic(text, out)
        }
        Format::Phi4Mini => bare.json(text, "functools[", "]", out),
        Format::Xlam => bare.fenced(text, out) || bare.json(text, "[", "]", out),
        Format::Llama3Json => bare.objects(text, out),
        Format::Pythonic => bare.pythonic(text, out),
        _ => false,
    }
}

struct Bare<'a> {
    /// Up to the end of what is said.
    text: &'a str,
    start: usize,
    /// Whether the caller named the format.
    named: bool,
}

/// The calls of a text with their spans, and what is wrong with the rest.
type Found = Vec<(Span, Id)>;

impl Bare<'_> {
    fn skip(&self, at: usize) -> usize {
        self.text.len() - self.text[at..].trim_start().len()
    }

    /// Whether an object with a key begins at `at`: a set of numbers is an answer.
    fn begins_object(&self, at: usize) -> bool {
        self.byte(at) == Some(b'{') && self.byte(self.skip(at + 1)) == Some(b'"')
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// A JSON list of calls between `open` and `close`.
    fn json(&self, text: &str, open: &str, close: &str, out: &mut Trajectory) -> bool {
        let begin = self.start + open.len();
        // Worth a look only if an object follows.
        if !text.starts_with(open) || !self.begins_object(self.skip(begin)) {
            return false;
        }
        if !self.named && !text.ends_with(close) {
            return false;
        }
        self.values(begin, b',', close, out)
    }

    /// The same in a fence.
    fn fenced(&self, text: &str, out: &mut Trajectory) -> bool {
        let Some(inside) = text.strip_prefix("```") else { return false };
        let inside = inside.strip_prefix("json").unwrap_or(inside).trim_start();
        let list = inside.strip_suffix("```").or(self.named.then_some(inside)).map(str::trim_end);
        let Some(list) = list.filter(|list| list.starts_with('[')) else { return false };
        let start = self.text.len() - inside.len();
        Bare { text: &self.text[..start + list.len()], start, named: self.named }.json(list, "[", "]", out)
    }

    /// Objects joined by semicolons.
    fn objects(&self, text: &str, out: &mut Trajectory) -> bool {
        let looks = self.begins_object(self.start) && (self.named || text.ends_with('}'));
        looks && self.values(self.start, b';', "", out)
    }

    fn values(&self, mut at: usize, separator: u8, close: &str, out: &mut Trajectory) -> bool {
        let mut found = Found::new();
        let mut failure = None;
        let end = loop {
            match out.doc.parse(self.text, at) {
                Ok((value, after)) => {
                    found.push((Span::new(self.skip(at), after), value));
                    let next = self.skip(after);
                    if self.byte(next) == Some(separator) {
                        at = self.skip(next + 1);
                    } else {
                        break next;
                    }
                }
                Err(reason) => {
                    failure = Some(reason.at);
                    break at;
                }
            }
        };
        let whole =
            failure.is_none() && self.text[end..].strip_prefix(close).is_some_and(|rest| rest.trim().is_empty());
        let calls = found.iter().all(|(_, value)| is_call(&out.doc, *value));
        let first =
            |(_, value): &(Span, Id)| if whole { has_name(&out.doc, *value) } else { is_call(&out.doc, *value) };
        if !(whole && calls || self.named && found.first().is_none_or(first)) {
            return false;
        }
        for (span, value) in found {
            match call_from_value(&mut out.doc, value) {
                Ok((name, arguments)) => out.call(name, arguments, Some(span)),
                Err((kind, message)) => out.defect(kind, Some(span), message),
            }
        }
        if !whole {
            self.flaw(failure.unwrap_or(end), out);
        }
        true
    }

    /// `[f(a=1), g(b="x")]`.
    fn pythonic(&self, text: &str, out: &mut Trajectory) -> bool {
        let opens = text.strip_prefix('[').map(str::trim_start);
        let name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
        // Worth a look only if a name and a parenthesis follow.
        let begins = opens.is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && rest.trim_start_matches(name).trim_start().starts_with('(')
        });
        if !begins || (!self.named && !text.ends_with(']')) {
            return false;
        }
        let mut found = Vec::new();
        let mut at = self.skip(self.start + 1);
        let failure = loop {
            let call = match python::call(&mut out.doc, self.text, at) {
                Ok(call) => call,
                Err(failure) => break Some(failure.at),
            };
            let span = Span::new(at, call.end);
            at = self.skip(call.end);
            found.push((span, call));
            match self.byte(at) {
                Some(b',') => at = self.skip(at + 1),
                Some(b']') if self.skip(at + 1) == self.text.len() => break None,
                _ => break Some(at),
            }
        };
        if !self.named && (failure.is_some() || found.iter().any(|(_, call)| call.arguments.is_none())) {
            return false;
        }
        for (span, call) in found {
            match call.arguments {
                Some(arguments) => out.call(call.name, arguments, Some(span)),
                None => out.defect(DefectKind::BadArguments, Some(span), "an argument of the call has no name"),
            }
        }
        if let Some(at) = failure {
            self.flaw(at, out);
        }
        true
    }

    fn flaw(&self, at: usize, out: &mut Trajectory) {
        let span = Some(Span::new(self.start, self.text.len()));
        if self.text[at.min(self.text.len())..].trim().is_empty() {
            out.defect(DefectKind::UnclosedCall, span, "the call stops short");
        } else {
            let message = || format!("the call cannot be read: unexpected text at byte {at}");
            out.defect_with(DefectKind::MalformedCall, span, message);
        }
    }
}

fn has_name(doc: &Doc, value: Id) -> bool {
    doc.map(value).is_some_and(|map| map.id("name").is_some() || map.id("function").is_some())
}

/// Whether an object is a call and not an answer that has a name: it has arguments, too.
fn is_call(doc: &Doc, value: Id) -> bool {
    let Some(map) = doc.map(value) else { return false };
    let map = map.get("function").and_then(Value::as_map).unwrap_or(map);
    let arguments = map.get("arguments").or_else(|| map.get("parameters"));
    map.get("name").is_some_and(|name| name.as_str().is_some_and(|name| !name.is_empty()))
        && matches!(arguments, Some(Value::Object(_) | Value::String(_)))
}
