//! Blocks of calls in Python's writing.

use memchr::memchr;

use super::call_list::{self, Close, closed};
use super::json_block::not_closed;
use super::{Source, python};
use crate::json::Failure;
use crate::trajectory::{DefectKind, Span, Trajectory};

/// Reads a block that holds a list of calls: `[f(a=1), g()]`, or, as some models do, JSON's.
pub(super) fn list(source: Source<'_>, close: &'static str, out: &mut Trajectory) -> usize {
    let first = (out.calls.len(), out.attempts);
    let bytes = source.text.as_bytes();
    let begin = source.skip_blanks(source.body);
    let listed = bytes.get(begin) == Some(&b'[');
    let mut at = source.skip_blanks(begin + usize::from(listed));
    if bytes.get(at) == Some(&b'{') {
        return call_list::read(source, Close::Must(close), out);
    }
    loop {
        if listed && bytes.get(at) == Some(&b']') {
            return closed(source, at + 1, Close::Must(close), first, out);
        }
        let after = match item(source, at, out) {
            Ok(after) => after,
            Err(failure) => {
                source.bad_value(at.min(failure.at), failure, out);
                return at.max(source.body).min(source.text.len());
            }
        };
        at = source.skip_blanks(after);
        match bytes.get(at) {
            Some(b',') if listed => at = source.skip_blanks(at + 1),
            Some(b']') if listed => {}
            _ if !listed => return closed(source, after, Close::Must(close), first, out),
            _ => {
                not_closed(source, after, at, close, out);
                return after;
            }
        }
    }
}

/// Reads a block that holds one call per line.
pub(super) fn lines(source: Source<'_>, close: &'static str, out: &mut Trajectory) -> usize {
    let first = (out.calls.len(), out.attempts);
    let bytes = source.text.as_bytes();
    let mut at = source.skip_blanks(source.body);
    let mut after = source.body;
    loop {
        if source.rest(at).starts_with(close) {
            if out.attempts == first.1 {
                let span = Span::new(source.start, at + close.len());
                out.defect(DefectKind::MalformedCall, Some(span), "the block holds no call");
            }
            return closed(source, after.max(source.body), Close::Must(close), first, out).max(at + close.len());
        }
        if source.ends_at(at) {
            not_closed(source, at.min(source.text.len()), at, close, out);
            return after;
        }
        match item(source, at, out) {
            Ok(end) => {
                after = end;
                at = source.skip_blanks(end);
                // A comma between lines harms nobody.
                at = source.skip_blanks(at + usize::from(bytes.get(at) == Some(&b',')));
            }
            Err(failure) => {
                source.bad_value(at.min(failure.at), failure, out);
                let extent = source.extent("<function_calls>", close);
                let line = if extent.closed { bytes.get(at..extent.end) } else { None };
                match line {
                    // The next line may be a good one.
                    Some(line) => {
                        let end = memchr(b'\n', line).map_or(extent.end, |offset| at + offset);
                        after = end;
                        at = source.skip_blanks(end);
                    }
                    None => return at.min(source.text.len()).max(source.body),
                }
            }
        }
    }
}

/// Reads the call at `at`; where it ends.
fn item(source: Source<'_>, at: usize, out: &mut Trajectory) -> Result<usize, Failure> {
    let call = python::call(&mut out.doc, source.text, at)?;
    if source.crosses_turn(at, call.end) {
        return Err(Failure { kind: crate::json::FailureKind::End, at: call.end });
    }
    let span = Some(Span::new(at, call.end));
    match call.arguments {
        Some(arguments) => out.call(call.name, arguments, span),
        None => out.defect(DefectKind::BadArguments, span, "an argument of the call has no name"),
    }
    Ok(call.end)
}
