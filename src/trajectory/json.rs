//! JSON values -> calls, and the equality of arguments.

use serde_json::{Map, Value};

use super::DefectKind;

/// Whether two JSON values are the same: numbers by value (1 and 1.0 are equal), objects in any order of keys.
pub fn json_eq(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || numbers_eq(x, y),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(p, q)| json_eq(p, q)),
        (Value::Object(x), Value::Object(y)) => maps_eq(x, y),
        _ => a == b,
    }
}

/// [`json_eq`] for objects.
pub fn maps_eq(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    a.len() == b.len() && a.iter().all(|(key, x)| b.get(key).is_some_and(|y| json_eq(x, y)))
}

fn numbers_eq(x: &serde_json::Number, y: &serde_json::Number) -> bool {
    match (x.as_i128(), y.as_i128()) {
        (Some(p), Some(q)) => p == q,
        _ => x.as_f64() == y.as_f64(),
    }
}

/// Why a JSON value is no call.
pub(crate) type NoCall = (DefectKind, &'static str);

/// Reads `{"name": ..., "arguments": {...}}`; `parameters` is accepted for `arguments`, and either may be a JSON string
/// of an object or be left out. The OpenAI shape `{"function": {...}}` is unwrapped.
pub(crate) fn call_from_value(value: Value) -> Result<(String, Map<String, Value>), NoCall> {
    let Value::Object(mut object) = value else {
        return Err((DefectKind::MalformedCall, "a tool call must be one JSON object"));
    };
    if let Some(inner) = object.get_mut("function")
        && inner.is_object()
    {
        let Value::Object(inner) = inner.take() else {
            return Err((DefectKind::MalformedCall, "a tool call must be one JSON object"));
        };
        object = inner;
    }
    let name = match object.get_mut("name").map(Value::take) {
        Some(Value::String(name)) if !name.is_empty() => name,
        Some(_) => return Err((DefectKind::BadName, "the call's name is no string, or an empty one")),
        None => return Err((DefectKind::BadName, "the call has no name")),
    };
    let arguments = object.get_mut("arguments").map(Value::take);
    let arguments = match arguments {
        None => object.get_mut("parameters").map(Value::take),
        some => some,
    };
    match arguments {
        None | Some(Value::Null) => Ok((name, Map::new())),
        Some(Value::Object(map)) => Ok((name, map)),
        Some(Value::String(text)) => match serde_json::from_str::<Value>(&text) {
            Ok(Value::Object(map)) => Ok((name, map)),
            _ => Err((DefectKind::BadArguments, "the call's arguments are a string that holds no JSON object")),
        },
        Some(_) => Err((DefectKind::BadArguments, "the call's arguments are no JSON object")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_compare_by_value_and_booleans_are_no_numbers() {
        assert!(json_eq(&json!(1), &json!(1.0)));
        assert!(json_eq(&json!({"a": [1, 2], "b": null}), &json!({"b": null, "a": [1.0, 2]})));
        assert!(!json_eq(&json!(1), &json!(true)));
        assert!(!json_eq(&json!(9_007_199_254_740_993_i64), &json!(9_007_199_254_740_992_i64)));
        assert!(!json_eq(&json!([1]), &json!([1, 1])));
    }

    #[test]
    fn reads_every_accepted_shape() {
        let want = ("f".to_owned(), json!({"a": 1}).as_object().cloned().unwrap());
        for value in [
            json!({"name": "f", "arguments": {"a": 1}}),
            json!({"name": "f", "parameters": {"a": 1}}),
            json!({"name": "f", "arguments": "{\"a\": 1}"}),
            json!({"type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}),
        ] {
            assert_eq!(call_from_value(value).unwrap(), want);
        }
        assert_eq!(call_from_value(json!({"name": "f"})).unwrap().1.len(), 0);
    }

    #[test]
    fn names_what_is_wrong() {
        let kind = |value| call_from_value(value).unwrap_err().0;
        assert_eq!(kind(json!([{"name": "f"}])), DefectKind::MalformedCall);
        assert_eq!(kind(json!({"name": ["f"], "arguments": {}})), DefectKind::BadName);
        assert_eq!(kind(json!({"arguments": {}})), DefectKind::BadName);
        assert_eq!(kind(json!({"name": "f", "arguments": [1]})), DefectKind::BadArguments);
        assert_eq!(kind(json!({"name": "f", "arguments": "nonsense"})), DefectKind::BadArguments);
    }
}
