//! `<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>` (Hermes, Qwen2.5, Qwen3).

use serde_json::Value;

use crate::trajectory::json::call_from_value;
use crate::trajectory::{Call, DefectKind, Span, Trajectory};

pub(crate) const OPEN: &str = "<tool_call>";
pub(crate) const CLOSE: &str = "</tool_call>";

/// Reads the call whose opening tag starts at `at` and must end before `end`; records it, or a defect.
/// Returns where to go on.
///
/// Linear over a whole text: a failed read stops at the first byte that JSON does not allow. The `<` of a next tag is
/// such a byte unless it stands inside a string, and two reads can never both run inside strings over the same tag.
pub(crate) fn read_call(text: &str, at: usize, end: usize, turn: usize, into: &mut Trajectory) -> usize {
    let body = at + OPEN.len();
    let mut stream = serde_json::Deserializer::from_str(&text[body..end]).into_iter::<Value>();
    let value = match stream.next() {
        Some(Ok(value)) => value,
        Some(Err(error)) if error.is_eof() => {
            into.defect(DefectKind::UnclosedCall, Some(Span::new(at, end)), "the call's JSON stops short");
            return body;
        }
        None => {
            into.defect(DefectKind::UnclosedCall, Some(Span::new(at, end)), "nothing follows <tool_call>");
            return body;
        }
        Some(Err(error)) => {
            into.defect(
                DefectKind::MalformedCall,
                Some(Span::new(at, body)),
                format!("the call is no valid JSON: {error}"),
            );
            return body;
        }
    };
    let after = body + stream.byte_offset();
    let close = after + text[after..end].len() - text[after..end].trim_start().len();
    if !text[close..end].starts_with(CLOSE) {
        let (kind, message) = if close == end || text[close..end].starts_with(OPEN) {
            (DefectKind::UnclosedCall, "the call is not closed by </tool_call>")
        } else {
            (DefectKind::MalformedCall, "something follows the call's JSON before </tool_call>")
        };
        into.defect(kind, Some(Span::new(at, after)), message);
        return after;
    }
    let span = Span::new(at, close + CLOSE.len());
    match call_from_value(value) {
        Ok((name, arguments)) => into.calls.push(Call { name, arguments, span: Some(span), turn }),
        Err((kind, message)) => into.defect(kind, Some(span), message),
    }
    span.end
}
