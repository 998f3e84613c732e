//! JSON objects -> calls.

use super::DefectKind;
use crate::json::{Doc, Id, Map, Text, Value};

/// Why a JSON value is no call.
pub(crate) type NoCall = (DefectKind, &'static str);

/// Reads `{"name": ..., "arguments": {...}}` from `doc`.
///
/// `parameters` or `input` is accepted for `arguments`, and any of them may be a JSON string of an object or be left out. The
/// OpenAI shape `{"function": {...}}` is unwrapped. Strings that hold arguments are read into `doc`.
pub(crate) fn call_from_value(doc: &mut Doc, value: Id) -> Result<(Text, Id), NoCall> {
    let Some(outer) = doc.map(value) else {
        return Err((DefectKind::MalformedCall, "a tool call must be one JSON object"));
    };
    if let Some([name, arguments]) = outer.just([b"name", b"arguments"])
        && let Some(name) = doc.text_of(name).filter(|name| !name.is_empty())
        && doc.map(arguments).is_some()
    {
        return Ok((name, arguments)); // nearly all of them
    }
    let mut fields = Fields::of(outer);
    if let Some(inner) = fields.function.and_then(|id| doc.map(id)) {
        fields = Fields::of(inner);
    }
    let Fields { name, arguments, parameters, input, .. } = fields;
    let name = match name {
        Some(id) => doc.text_of(id).filter(|name| !name.is_empty()),
        None => return Err((DefectKind::BadName, "the call has no name")),
    };
    let name = name.ok_or((DefectKind::BadName, "the call's name is no string, or an empty one"))?;
    let arguments = match arguments.or(parameters).or(input) {
        None => doc.add_empty_object(),
        Some(id) => object_of(doc, id)?,
    };
    Ok((name, arguments))
}

/// What a call's object holds under the names that count.
#[derive(Default)]
struct Fields {
    function: Option<Id>,
    name: Option<Id>,
    arguments: Option<Id>,
    parameters: Option<Id>,
    input: Option<Id>,
}

impl Fields {
    #[inline]
    fn of(object: Map<'_>) -> Self {
        let mut fields = Self::default();
        for (key, id) in object.fields() {
            match key {
                b"name" | b"tool_name" => fields.name = Some(id),
                b"arguments" => fields.arguments = Some(id),
                b"parameters" => fields.parameters = Some(id),
                b"input" => fields.input = Some(id),
                b"function" => fields.function = Some(id),
                _ => {}
            }
        }
        fields
    }
}

/// The object that an arguments value is or holds.
pub(crate) fn object_of(doc: &mut Doc, id: Id) -> Result<Id, NoCall> {
    match doc.value(id) {
        Value::Object(_) => Ok(id),
        Value::Null => Ok(doc.add_empty_object()),
        Value::String(text) if text.trim().is_empty() => Ok(doc.add_empty_object()),
        Value::String(text) => {
            let text = text.to_owned();
            let no_object = (DefectKind::BadArguments, "the call's arguments are a string that holds no JSON object");
            let id = doc.parse_all(&text).map_err(|_| no_object)?;
            // Encoded twice: some serving stacks do it to a string that the model wrote.
            let id = match doc.value(id) {
                Value::String(inner) => {
                    let inner = inner.to_owned();
                    doc.parse_all(&inner).map_err(|_| no_object)?
                }
                _ => id,
            };
            if doc.map(id).is_some() { Ok(id) } else { Err(no_object) }
        }
        _ => Err((DefectKind::BadArguments, "the call's arguments are no JSON object")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Tree, json};

    fn read(tree: &Tree) -> Result<(String, Tree), DefectKind> {
        let mut doc = Doc::default();
        let id = doc.add_tree(tree);
        let (name, arguments) = call_from_value(&mut doc, id).map_err(|(kind, _)| kind)?;
        Ok((doc.str(name).to_owned(), doc.value(arguments).to_tree()))
    }

    #[test]
    fn reads_every_accepted_shape() {
        for value in [
            json!({"name": "f", "arguments": {"a": 1}}),
            json!({"name": "f", "parameters": {"a": 1}}),
            json!({"tool_name": "f", "parameters": {"a": 1}}),
            json!({"type": "tool_use", "name": "f", "input": {"a": 1}}),
            json!({"name": "f", "arguments": "{\"a\": 1}"}),
            json!({"name": "f", "arguments": "\"{\\\"a\\\": 1}\""}),
            json!({"type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}),
        ] {
            assert_eq!(read(&value), Ok(("f".to_owned(), json!({"a": 1}))), "{value}");
        }
        for value in
            [json!({"name": "f"}), json!({"name": "f", "arguments": null}), json!({"name": "f", "arguments": ""})]
        {
            assert_eq!(read(&value), Ok(("f".to_owned(), json!({}))), "{value}");
        }
    }

    #[test]
    fn names_what_is_wrong() {
        for (value, kind) in [
            (json!([{"name": "f"}]), DefectKind::MalformedCall),
            (json!({"name": ["f"], "arguments": {}}), DefectKind::BadName),
            (json!({"name": "", "arguments": {}}), DefectKind::BadName),
            (json!({"arguments": {}}), DefectKind::BadName),
            (json!({"name": "f", "arguments": [1]}), DefectKind::BadArguments),
            (json!({"name": "f", "arguments": 7}), DefectKind::BadArguments),
            (json!({"name": "f", "arguments": "nonsense"}), DefectKind::BadArguments),
            (json!({"name": "f", "arguments": "[1]"}), DefectKind::BadArguments),
        ] {
            assert_eq!(read(&value), Err(kind), "{value}");
        }
    }
}
