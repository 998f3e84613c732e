//! JSON lists of calls, and objects joined by semicolons.

use super::Source;
use super::json_block::{add, not_closed};
use crate::trajectory::{DefectKind, Span, Trajectory};

/// What ends a block.
#[derive(Clone, Copy)]
pub(super) enum Close {
    /// This tag, or the call is not closed.
    Must(&'static str),
    /// This tag, or the end of the turn.
    May(&'static str),
    /// The end of the turn.
    Turn,
}

/// Reads a block that holds a list of calls or one call.
///
/// The calls before a bad one count; where JSON goes on behind it cannot be known.
pub(super) fn read(source: Source<'_>, close: Close, out: &mut Trajectory) -> usize {
    let first = (out.calls.len(), out.attempts);
    let at = source.skip_blanks(source.body);
    let end = match source.text.as_bytes().get(at) {
        Some(b'[') => items(source, at, out),
        _ => match item(source, source.body, out) {
            Some(after) => Ok(after),
            None => Err(source.body),
        },
    };
    match end {
        Err(next) => next,
        Ok(after) => closed(source, after, close, first, out),
    }
}

/// Ends a block behind its last value. A lone call gets the whole block as its span.
pub(super) fn closed(
    source: Source<'_>,
    after: usize,
    close: Close,
    (calls, attempts): (usize, usize),
    out: &mut Trajectory,
) -> usize {
    let end = source.skip_blanks(after);
    let tag = match close {
        Close::Must(tag) | Close::May(tag) => tag,
        Close::Turn => "",
    };
    let found = !tag.is_empty() && source.rest(end).starts_with(tag);
    let next = if found { end + tag.len() } else { after };
    match close {
        Close::Must(tag) if !found => not_closed(source, after, end, tag, out),
        Close::May(_) | Close::Turn if !found && !source.ends_at(end) => {
            // The calls before it are read; what follows them is text.
        }
        _ => {}
    }
    if out.attempts == attempts + 1
        && out.calls.len() == calls + 1
        && let Some(call) = out.calls.last_mut()
    {
        call.span = Some(Span::new(source.start, next));
    }
    next
}

/// Reads the list at `at`; where it ends, or, after a bad item, where to go on.
fn items(source: Source<'_>, at: usize, out: &mut Trajectory) -> Result<usize, usize> {
    let mut at = source.skip_blanks(at + 1);
    if source.text.as_bytes().get(at) == Some(&b']') {
        return Ok(at + 1);
    }
    loop {
        at = item(source, at, out).ok_or(at.max(source.body))?;
        let next = source.skip_blanks(at);
        match source.text.as_bytes().get(next) {
            Some(b',') => at = source.skip_blanks(next + 1),
            Some(b']') => return Ok(next + 1),
            _ => {
                let kind = if source.ends_at(next) { DefectKind::UnclosedCall } else { DefectKind::MalformedCall };
                out.defect(kind, Some(Span::new(source.start, at)), "the list of calls is not closed");
                return Err(at);
            }
        }
    }
}

/// Reads the call at `at`; where it ends. Its span is its own text.
pub(super) fn item(source: Source<'_>, at: usize, out: &mut Trajectory) -> Option<usize> {
    let (value, after) = match out.doc.parse(source.text, at) {
        Ok(found) => found,
        Err(failure) => {
            source.bad_value(at, failure, out);
            return None;
        }
    };
    if source.crosses_turn(at, after) {
        source.unclosed("the turn ends inside the call", out);
        return None;
    }
    add(value, Span::new(source.skip_blanks(at), after), out);
    Some(after)
}

/// Reads objects joined by semicolons, up to the end of the turn.
pub(super) fn joined(source: Source<'_>, out: &mut Trajectory) -> usize {
    let first = (out.calls.len(), out.attempts);
    let at = source.skip_blanks(source.body);
    if source.text.as_bytes().get(at) == Some(&b'[') {
        return read(source, Close::Turn, out);
    }
    let mut at = source.body;
    loop {
        let Some(after) = item(source, at, out) else { return at };
        let next = source.skip_blanks(after);
        let more = source.text.as_bytes().get(next) == Some(&b';');
        let begin = source.skip_blanks(next + usize::from(more));
        if !more || source.text.as_bytes().get(begin) != Some(&b'{') {
            return closed(source, if more { next + 1 } else { after }, Close::Turn, first, out);
        }
        at = begin;
    }
}
