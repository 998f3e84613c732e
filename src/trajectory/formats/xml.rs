//! Calls whose arguments stand in tags of their own, as bare text.

use super::Source;
use super::values::{NoValue, add_bare, without_line_ends};
use crate::json::{Id, Text};
use crate::trajectory::{DefectKind, Span, Trajectory};

/// The tags of a format whose blocks hold functions with named parameters.
pub(super) struct Grammar {
    open: &'static str,
    close: &'static str,
    function: &'static str,
    function_end: &'static str,
    parameter: &'static str,
    parameter_end: &'static str,
    /// Whether the calls of a block that is not closed count: it is a wrapper, and they are closed themselves.
    wrapper: bool,
}

pub(super) const QWEN: Grammar = Grammar {
    open: "<tool_call>",
    close: "</tool_call>",
    function: "<function=",
    function_end: "</function>",
    parameter: "<parameter=",
    parameter_end: "</parameter>",
    wrapper: false,
};

pub(super) const SEED: Grammar =
    Grammar { open: "<seed:tool_call>", close: "</seed:tool_call>", wrapper: true, ..QWEN };

pub(super) const MINIMAX: Grammar = Grammar {
    open: "<minimax:tool_call>",
    close: "</minimax:tool_call>",
    function: "<invoke name=",
    function_end: "</invoke>",
    parameter: "<parameter name=",
    parameter_end: "</parameter>",
    wrapper: true,
};

/// A call, or what is wrong with it, and where to go on.
type Read = Result<(Text, Id, usize), (DefectKind, &'static str)>;

/// Reads a block of functions.
pub(super) fn read(source: Source<'_>, grammar: &Grammar, out: &mut Trajectory) -> usize {
    let extent = source.extent(grammar.open, grammar.close);
    if !extent.closed && !grammar.wrapper {
        source.unclosed("the call is not closed by its tag", out);
        // Its function is no call of its own.
        let at = source.skip_blanks(source.body);
        let function = source.rest(at).starts_with(grammar.function);
        return if function { at + grammar.function.len() } else { source.body };
    }
    let first = (out.calls.len(), out.attempts);
    let cut = out.count(DefectKind::UnclosedCall);
    let mut at = source.skip_blanks(source.body);
    while at < extent.end && source.rest(at).starts_with(grammar.function) {
        match function_at(source, grammar, at, extent.end, out) {
            Ok((name, arguments, end)) => {
                out.call(name, arguments, Some(Span::new(at, end)));
                at = source.skip_blanks(end);
            }
            Err((kind, message)) => {
                let next = source.find(grammar.function, at + 1).min(extent.end);
                out.defect(kind, Some(Span::new(at, next)), message);
                at = next;
            }
        }
    }
    if !extent.closed {
        if out.count(DefectKind::UnclosedCall) == cut {
            source.unclosed("the block of calls is not closed by its tag", out);
        }
        return at.min(extent.end).max(source.body);
    }
    if at < extent.end || out.attempts == first.1 {
        let span = Span::new(source.start, extent.end);
        out.defect(DefectKind::MalformedCall, Some(span), "the block holds something that is no function");
    }
    let end = extent.end + grammar.close.len();
    if out.attempts == first.1 + 1
        && out.calls.len() == first.0 + 1
        && let Some(call) = out.calls.last_mut()
    {
        call.span = Some(Span::new(source.start, end));
    }
    end
}

/// Reads a function that stands outside a block, as Qwen3-Coder sometimes writes it.
pub(super) fn function(source: Source<'_>, out: &mut Trajectory) -> usize {
    let bound = source.find(QWEN.function, source.body).min(source.turn_end(source.body));
    match function_at(source, &QWEN, source.start, bound, out) {
        Ok((name, arguments, end)) => {
            out.call(name, arguments, Some(Span::new(source.start, end)));
            end
        }
        Err((kind, message)) => {
            out.defect(kind, Some(Span::new(source.start, source.body)), message);
            source.body
        }
    }
}

const CUT: NoValue = (DefectKind::UnclosedCall, "the call stops short");
const BAD_NAME: NoValue = (DefectKind::BadName, "the call's name is empty or not closed");
const BAD_PARAMETER: NoValue = (DefectKind::MalformedCall, "the call holds something that is no parameter");

/// Reads the function at `at`, which lies before `end`.
fn function_at(source: Source<'_>, grammar: &Grammar, at: usize, end: usize, out: &mut Trajectory) -> Read {
    // What has no `>` any more was cut off.
    let or_cut = |at: usize, reason: NoValue| if source.find(">", at) >= end { CUT } else { reason };
    let (name, mut at) = name_at(source, at + grammar.function.len(), end).ok_or_else(|| or_cut(at, BAD_NAME))?;
    let text = out.doc.add_str(name);
    let mut arguments = out.doc.begin_object();
    let read = loop {
        at = source.skip_blanks(at);
        if at >= end {
            break Err(CUT);
        }
        if source.rest(at).starts_with(grammar.function_end) {
            break Ok(at + grammar.function_end.len());
        }
        if !source.rest(at).starts_with(grammar.parameter) {
            break Err(or_cut(at, BAD_PARAMETER));
        }
        let Some((key, from)) = name_at(source, at + grammar.parameter.len(), end) else {
            break Err(or_cut(at, BAD_PARAMETER));
        };
        let to = source.find(grammar.parameter_end, from);
        if to >= end {
            break Err(CUT);
        }
        out.doc.key(&mut arguments, key);
        let value = without_line_ends(&source.text[from..to]);
        if let Err(reason) = add_bare(&mut out.doc, value, source.parameter_type(name, key)) {
            break Err(reason);
        }
        at = to + grammar.parameter_end.len();
    };
    match read {
        Ok(end) => Ok((text, out.doc.end_object(&arguments), end)),
        Err(reason) => {
            out.doc.abandon(&arguments);
            Err(reason)
        }
    }
}

/// A name up to `>`, in quotes or not, and what follows it.
fn name_at(source: Source<'_>, at: usize, end: usize) -> Option<(&str, usize)> {
    const LONGEST: usize = 1024;
    let near = &source.text.as_bytes()[at.min(end)..end.min(at + LONGEST).max(at.min(end))];
    let length = memchr::memchr2(b'>', b'<', near).filter(|length| near[*length] == b'>')?;
    let name = source.text[at..at + length].trim();
    let name = [b'"', b'\''].iter().fold(name, |name, quote| {
        let quote = char::from(*quote);
        name.strip_prefix(quote).and_then(|name| name.strip_suffix(quote)).unwrap_or(name)
    });
    (!name.is_empty()).then_some((name, at + length + 1))
}

const KEY: &str = "<arg_key>";
const KEY_END: &str = "</arg_key>";
const VALUE: &str = "<arg_value>";
const VALUE_END: &str = "</arg_value>";

/// Whether a block's body begins as a name with pairs of keys and values does.
pub(super) fn begins_pairs(body: &str) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let length = body.bytes().take(256).take_while(is_name).count();
    let rest = body[length..].trim_start();
    length > 0 && (rest.starts_with(KEY) || rest.starts_with(super::TOOL_CALL_END))
}

/// Reads a block of a name and pairs of keys and values.
pub(super) fn pairs(source: Source<'_>, out: &mut Trajectory) -> usize {
    let extent = source.extent(QWEN.open, QWEN.close);
    if !extent.closed {
        source.unclosed("the call is not closed by its tag", out);
        return source.body;
    }
    let end = extent.end + QWEN.close.len();
    let span = Some(Span::new(source.start, end));
    match pairs_in(source, extent.end, out) {
        Ok((name, arguments, _)) => out.call(name, arguments, span),
        Err((kind, message)) => out.defect(kind, span, message),
    }
    end
}

fn pairs_in(source: Source<'_>, end: usize, out: &mut Trajectory) -> Read {
    let mut at = source.find(KEY, source.body).min(end);
    let name = source.text[source.body..at].trim();
    if name.is_empty() || name.contains(['<', '{', '\n']) {
        return Err((DefectKind::BadName, "the call has no name"));
    }
    let text = out.doc.add_str(name);
    let mut arguments = out.doc.begin_object();
    let read = loop {
        at = source.skip_blanks(at);
        if at >= end {
            break Ok(());
        }
        let key = at + KEY.len();
        let key_end = source.find(KEY_END, at);
        if !source.rest(at).starts_with(KEY) || key_end >= end {
            break Err(BAD_PARAMETER);
        }
        let value = source.skip_blanks(key_end + KEY_END.len());
        let value_end = source.find(VALUE_END, key_end);
        if !source.rest(value).starts_with(VALUE) || value_end >= end {
            break Err(BAD_PARAMETER);
        }
        let key = source.text[key..key_end].trim();
        out.doc.key(&mut arguments, key);
        let value = &source.text[value + VALUE.len()..value_end];
        if let Err(reason) = add_bare(&mut out.doc, value, source.parameter_type(name, key)) {
            break Err(reason);
        }
        at = value_end + VALUE_END.len();
    };
    match read {
        Ok(()) => Ok((text, out.doc.end_object(&arguments), end)),
        Err(reason) => {
            out.doc.abandon(&arguments);
            Err(reason)
        }
    }
}
