//! A tag, one JSON object or one per line, a closing tag: `<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>`.

use memchr::memchr;

use super::Source;
use crate::json::Id;
use crate::trajectory::{DefectKind, Span, Trajectory, call_from_value};

/// Reads a block up to `close`; records its call, or its calls where it may hold `several`, or a defect. Returns where to
/// go on.
///
/// Linear over a whole text: a failed read stops at the first byte that JSON does not allow. The `<` of a next tag is
/// such a byte unless it stands inside a string, and two reads can never both be inside strings over the same tag, since
/// every quote that ends a string for one begins a string for the other.
pub(super) fn read(source: Source<'_>, close: &'static str, several: bool, out: &mut Trajectory) -> usize {
    let Source { text, start, body, .. } = source;
    let (value, after) = match out.doc.parse(text, body) {
        Ok(found) => found,
        Err(failure) => {
            source.bad_value(body, failure, out);
            let next = if several { next_object(source, body, close) } else { None };
            return next.map_or(body, |next| objects(source, next, close, out));
        }
    };
    if source.crosses_turn(body, after) {
        source.unclosed("the turn ends inside the call", out);
        return body;
    }
    let end = source.skip_blanks(after);
    if text[end..].starts_with(close) {
        let span = Span::new(start, end + close.len());
        add(value, span, out);
        return span.end;
    }
    if several && text.as_bytes().get(end) == Some(&b'{') {
        add(value, Span::new(source.skip_blanks(body), after), out);
        return objects(source, end, close, out);
    }
    not_closed(source, after, end, close, out);
    after
}

#[inline]
pub(super) fn add(value: Id, span: Span, out: &mut Trajectory) {
    match call_from_value(&mut out.doc, value) {
        Ok((name, arguments)) => out.call(name, arguments, Some(span)),
        Err((kind, message)) => out.defect(kind, Some(span), message),
    }
}

/// Names what stands where the closing tag should.
pub(super) fn not_closed(source: Source<'_>, after: usize, end: usize, close: &'static str, out: &mut Trajectory) {
    let span = Span::new(source.start, after);
    if source.ends_at(end) {
        let message = || format!("the call is not closed by {close}");
        out.defect_with(DefectKind::UnclosedCall, Some(span), message);
    } else {
        let message = || format!("something follows the call before {close}");
        out.defect_with(DefectKind::MalformedCall, Some(span), message);
    }
}

/// Reads the objects from `at` on, one after the other.
fn objects(source: Source<'_>, mut at: usize, close: &'static str, out: &mut Trajectory) -> usize {
    loop {
        let (value, after) = match out.doc.parse(source.text, at) {
            Ok(found) => found,
            Err(failure) => {
                source.bad_value(at, failure, out);
                match next_object(source, at, close) {
                    Some(next) => at = next,
                    None => return at,
                }
                continue;
            }
        };
        if source.crosses_turn(at, after) {
            source.unclosed("the turn ends inside the call", out);
            return at;
        }
        add(value, Span::new(at, after), out);
        at = source.skip_blanks(after);
        if source.rest(at).starts_with(close) {
            return at + close.len();
        }
        if source.text.as_bytes().get(at) != Some(&b'{') {
            not_closed(source, after, at, close, out);
            return after;
        }
    }
}

/// The next line of a closed block, behind a bad object, that begins an object.
fn next_object(source: Source<'_>, bad: usize, close: &'static str) -> Option<usize> {
    if source.find(close, source.body) == source.text.len() {
        return None;
    }
    let extent = source.extent("<tool_call>", close);
    let bytes = source.text.as_bytes();
    let mut at = source.skip_blanks(bad);
    while extent.closed && at < extent.end {
        at = source.skip_blanks(at + memchr(b'\n', &bytes[at..extent.end])?);
        if at < extent.end && bytes[at] == b'{' {
            return Some(at);
        }
    }
    None
}
