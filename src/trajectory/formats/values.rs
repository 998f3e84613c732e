//! Values that a format writes as bare text.

use crate::json::{Doc, FailureKind, Id};
use crate::tools::ParameterType;
use crate::trajectory::DefectKind;

/// Why a value cannot be read.
pub(super) type NoValue = (DefectKind, &'static str);

/// Adds a value that was written as bare text: of the type that the tool's schema gives it; without one, JSON where it is
/// JSON, else a string. What does not fit its type stays the string that it is.
pub(super) fn add_bare(doc: &mut Doc, text: &str, kind: Option<ParameterType>) -> Result<Id, NoValue> {
    if kind == Some(ParameterType::String) {
        return Ok(doc.add_string(text));
    }
    let trimmed = text.trim();
    // Python's words: what models write where they think of Python.
    let word = match trimmed {
        "True" => Some(true),
        "False" => Some(false),
        _ if kind == Some(ParameterType::Boolean) && trimmed.eq_ignore_ascii_case("true") => Some(true),
        _ if kind == Some(ParameterType::Boolean) && trimmed.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    };
    if let Some(on) = word.filter(|_| kind.is_some_and(|kind| kind != ParameterType::Any)) {
        return Ok(doc.add_bool(on));
    }
    if trimmed == "None" && kind.is_some_and(|kind| kind != ParameterType::Any) {
        return Ok(doc.add_null());
    }
    match doc.parse_all(text) {
        Ok(id) => Ok(id),
        Err(failure) if failure.kind == FailureKind::TooDeep => {
            Err((DefectKind::MalformedCall, "the call is nested too deeply"))
        }
        Err(_) => Ok(doc.add_string(text)),
    }
}

/// A text without the one line end that formats put on each side of it.
pub(super) fn without_line_ends(text: &str) -> &str {
    let text = text.strip_prefix("\r\n").or_else(|| text.strip_prefix('\n')).unwrap_or(text);
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}
