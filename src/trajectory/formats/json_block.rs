//! A tag, one JSON object, a closing tag: `<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>`.

use super::Source;
use crate::json::{Failure, FailureKind};
use crate::trajectory::tags::{end_of_turn, tag_at};
use crate::trajectory::{DefectKind, Span, Trajectory, call_from_value};

/// Reads one call up to `close`; records it, or a defect. Returns where to go on.
///
/// Linear over a whole text: a failed read stops at the first byte that JSON does not allow. The `<` of a next tag is
/// such a byte unless it stands inside a string, and two reads can never both be inside strings over the same tag, since
/// every quote that ends a string for one begins a string for the other.
pub(super) fn read(source: Source<'_>, close: &str, out: &mut Trajectory) -> usize {
    let Source { text, start, body, .. } = source;
    let (value, after) = match out.doc.parse(text, body) {
        Ok(found) => found,
        Err(failure) => {
            bad_json(source, failure, out);
            return body;
        }
    };
    if crosses_turn(source, after) {
        unclosed(source, "the turn ends inside the call's JSON", out);
        return body;
    }
    let end = skip_blanks(text, after);
    if !text[end..].starts_with(close) {
        if end == text.len() || tag_at(text, end, source.markup).is_some() {
            let span = Span::new(start, after);
            out.defect(DefectKind::UnclosedCall, Some(span), format!("the call is not closed by {close}"));
        } else {
            let message = format!("something follows the call's JSON before {close}");
            out.defect(DefectKind::MalformedCall, Some(Span::new(start, after)), message);
        }
        return after;
    }
    let span = Span::new(start, end + close.len());
    match call_from_value(&mut out.doc, value) {
        Ok((name, arguments)) => out.call(name, arguments, Some(span)),
        Err((kind, message)) => out.defect(kind, Some(span), message),
    }
    span.end
}

/// Names what is wrong with a block's JSON.
pub(super) fn bad_json(source: Source<'_>, failure: Failure, out: &mut Trajectory) {
    let Source { text, start, body, .. } = source;
    let blank = text[body..failure.at].trim().is_empty();
    let ends = failure.kind == FailureKind::End || crosses_turn(source, failure.at + 1);
    match failure.kind {
        _ if ends && blank => unclosed(source, "nothing follows the call's tag", out),
        _ if ends => unclosed(source, "the call's JSON stops short", out),
        FailureKind::TooDeep => {
            let message = "the call's JSON is nested too deeply";
            out.defect(DefectKind::MalformedCall, Some(Span::new(start, body)), message);
        }
        _ => {
            let message = format!("the call is no valid JSON: unexpected text at byte {}", failure.at);
            out.defect(DefectKind::MalformedCall, Some(Span::new(start, body)), message);
        }
    }
}

fn unclosed(source: Source<'_>, message: &'static str, out: &mut Trajectory) {
    // Where the block could have ended at most is looked for in its first bytes only: a text of unclosed blocks stays linear.
    let near = (source.body..=source.text.len().min(source.body + 4096))
        .rev()
        .find(|at| source.text.is_char_boundary(*at))
        .unwrap_or(source.body);
    let end = end_of_turn(&source.text[..near], source.body, source.markup);
    out.defect(DefectKind::UnclosedCall, Some(Span::new(source.start, end)), message);
}

/// Whether a turn ends before `end`: then a string ran over its end.
fn crosses_turn(source: Source<'_>, end: usize) -> bool {
    let end = end.min(source.text.len());
    let (a, b) = source.markup.triggers();
    memchr::memchr2_iter(a, b, &source.text.as_bytes()[source.body..end]).any(|offset| {
        tag_at(source.text, source.body + offset, source.markup).is_some_and(|(tag, _)| tag.bounds_turn())
    })
}

pub(super) fn skip_blanks(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start().len()
}
