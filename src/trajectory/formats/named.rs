//! Calls whose name stands before the JSON of their arguments.

use super::Source;
use super::call_list::{self, Close};
use super::json_block::not_closed;
use crate::json::{Id, Text};
use crate::trajectory::call::object_of;
use crate::trajectory::{DefectKind, Format, Span, Trajectory};

/// Names and headers are looked for in so many bytes.
const NEAR: usize = 1024;

/// Reads `[TOOL_CALLS]` in each of its three generations: a list; a name and its arguments, `[ARGS]` between them or not.
pub(super) fn mistral(source: Source<'_>, out: &mut Trajectory) -> usize {
    let at = source.skip_blanks(source.body);
    if source.options.format == Format::Xlam || matches!(source.text.as_bytes().get(at), Some(b'[' | b'{')) {
        return call_list::read(source, Close::Turn, out);
    }
    let near = near(source, at);
    let length = near.find(['{', '[', '<']).unwrap_or(near.len());
    let name = near[..length].trim();
    let mut begin = at + length;
    // `[CALL_ID]id` may stand before `[ARGS]`.
    if source.rest(begin).starts_with("[CALL_ID]") {
        begin += near[length..].find("[ARGS]").unwrap_or(0);
    }
    let begin = begin + if source.rest(begin).starts_with("[ARGS]") { "[ARGS]".len() } else { 0 };
    if name.is_empty() || name.contains(char::is_whitespace) {
        return bad_name(source, out);
    }
    match arguments(source, name, begin, out) {
        None => source.body,
        Some((call, after)) => finish(source, call, after, out),
    }
}

/// Reads a `DeepSeek` call: V3's, with a type before the name and a fence around the arguments, or V3.1's.
pub(super) fn deepseek(source: Source<'_>, out: &mut Trajectory) -> usize {
    const SEPARATOR: &str = "<｜tool▁sep｜>";
    const CLOSE: &str = "<｜tool▁call▁end｜>";
    let Some(before) = before(source, SEPARATOR) else { return bad_name(source, out) };
    let after = source.body + before.len() + SEPARATOR.len();
    let line = near(source, after);
    let line_end = line.find('\n');
    let fence = line_end.map(|end| line[end..].trim_start()).filter(|rest| rest.starts_with("```"));
    let fenced = match source.options.format {
        Format::DeepSeekV3 => true,
        Format::DeepSeekV31 => false,
        _ => fence.is_some(),
    };
    let (name, begin) = match (fenced, fence, line_end) {
        (true, Some(fence), Some(end)) => {
            let marks = if fence.starts_with("```json") { "```json".len() } else { "```".len() };
            (line[..end].trim(), after + line.len() - fence.len() + marks)
        }
        (true, ..) => {
            let span = Span::new(source.start, source.body);
            out.defect(DefectKind::MalformedCall, Some(span), "the call's arguments do not stand in a fence");
            return source.body;
        }
        (false, ..) => (before.trim(), after),
    };
    if name.is_empty() {
        return bad_name(source, out);
    }
    let Some((call, after)) = arguments(source, name, begin, out) else { return source.body };
    let mut end = source.skip_blanks(after);
    if fenced && source.rest(end).starts_with("```") {
        end = source.skip_blanks(end + 3);
    }
    finish_at(source, call, after, end, CLOSE, out)
}

/// Reads a Kimi call: `functions.f:0`, a tag, the arguments.
pub(super) fn kimi(source: Source<'_>, out: &mut Trajectory) -> usize {
    const SEPARATOR: &str = "<|tool_call_argument_begin|>";
    const CLOSE: &str = "<|tool_call_end|>";
    let Some(before) = before(source, SEPARATOR) else { return bad_name(source, out) };
    let id = before.trim();
    let name = id.strip_prefix("functions.").unwrap_or(id);
    let name = match name.rsplit_once(':') {
        Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    };
    if name.is_empty() {
        return bad_name(source, out);
    }
    let begin = source.body + before.len() + SEPARATOR.len();
    let Some((call, after)) = arguments(source, name, begin, out) else { return source.body };
    finish_at(source, call, after, source.skip_blanks(after), CLOSE, out)
}

/// A call, or the defect of its arguments.
pub(super) type Call = Result<(Text, Id), (DefectKind, &'static str)>;

/// Reads the JSON of the arguments at `at`, and where it ends; `None` where that cannot be told.
pub(super) fn arguments(source: Source<'_>, name: &str, at: usize, out: &mut Trajectory) -> Option<(Call, usize)> {
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
    let arguments = object_of(&mut out.doc, value);
    Some((arguments.map(|arguments| (out.doc.add_str(name), arguments)), after))
}

/// Records a call that the end of the turn closes.
pub(super) fn finish(source: Source<'_>, call: Call, end: usize, out: &mut Trajectory) -> usize {
    let span = Some(Span::new(source.start, end));
    match call {
        Ok((name, arguments)) => out.call(name, arguments, span),
        Err((kind, message)) => out.defect(kind, span, message),
    }
    end
}

fn finish_at(
    source: Source<'_>,
    call: Call,
    after: usize,
    end: usize,
    close: &'static str,
    out: &mut Trajectory,
) -> usize {
    if source.rest(end).starts_with(close) {
        return finish(source, call, end + close.len(), out);
    }
    not_closed(source, after, end, close, out);
    after
}

fn bad_name(source: Source<'_>, out: &mut Trajectory) -> usize {
    if source.turn_end(source.body) == source.skip_blanks(source.body) {
        source.unclosed("nothing follows the call's tag", out);
    } else {
        let span = Span::new(source.start, source.body);
        out.defect(DefectKind::BadName, Some(span), "the call has no name");
    }
    source.body
}

/// What stands between the block's tag and a separator; `None` where there is a tag, or a lot.
fn before<'a>(source: Source<'a>, separator: &'static str) -> Option<&'a str> {
    let end = source.find(separator, source.body);
    let before = source.text.get(source.body..end).filter(|before| end < source.text.len() && before.len() <= NEAR)?;
    (!before.contains('<')).then_some(before)
}

fn near(source: Source<'_>, at: usize) -> &str {
    let end = (at..=source.text.len().min(at + NEAR)).rev().find(|end| source.text.is_char_boundary(*end));
    &source.text[at..end.unwrap_or(at)]
}
