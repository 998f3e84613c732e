//! Spellings of schemas that are no JSON Schema, made into JSON Schema.

use std::borrow::Cow;

use serde_json::{Map, Value as Tree, json};

/// Keywords that hold a schema, a list of schemas, or schemas by name.
const ONE: [&str; 10] = [
    "items",
    "additionalProperties",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
];
const LISTS: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
const NAMED: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];

/// The schema with `nullable` and the types' other names replaced; borrowed where there are none.
pub(super) fn normal(schema: &Tree) -> Cow<'_, Tree> {
    if is_normal(schema) {
        return Cow::Borrowed(schema);
    }
    let mut own = schema.clone();
    rewrite(&mut own);
    Cow::Owned(own)
}

fn inner(object: &Map<String, Tree>) -> impl Iterator<Item = &Tree> {
    let one = ONE.iter().filter_map(|key| object.get(*key));
    let lists = LISTS.iter().chain(["items"].iter()).filter_map(|key| object.get(*key)?.as_array()).flatten();
    let named = NAMED.iter().filter_map(|key| object.get(*key)?.as_object()).flat_map(Map::values);
    one.chain(lists).chain(named)
}

fn is_normal(schema: &Tree) -> bool {
    let Some(object) = schema.as_object() else { return true };
    let known = |kind: &Tree| kind.as_str().is_none_or(|name| other_name(name).is_none());
    let types = match object.get("type") {
        Some(Tree::Array(kinds)) => kinds.iter().all(known),
        Some(kind) => known(kind),
        None => true,
    };
    types && object.get("nullable") != Some(&Tree::Bool(true)) && inner(object).all(is_normal)
}

fn rewrite(schema: &mut Tree) {
    let Some(object) = schema.as_object_mut() else { return };
    for key in ONE {
        if let Some(inner) = object.get_mut(key) {
            inner.as_array_mut().into_iter().flatten().for_each(rewrite);
            rewrite(inner);
        }
    }
    for key in LISTS {
        object.get_mut(key).and_then(Tree::as_array_mut).into_iter().flatten().for_each(rewrite);
    }
    for key in NAMED {
        object.get_mut(key).and_then(Tree::as_object_mut).into_iter().flat_map(Map::values_mut).for_each(rewrite);
    }
    let nullable = object.get("nullable") == Some(&Tree::Bool(true));
    if nullable {
        // transformers writes it beside lists of values and of shapes too, and means that null is one more.
        for (key, null) in
            [("enum", Tree::Null), ("anyOf", json!({"type": "null"})), ("oneOf", json!({"type": "null"}))]
        {
            if let Some(list) = object.get_mut(key).and_then(Tree::as_array_mut)
                && !list.contains(&null)
            {
                list.push(null);
            }
        }
    }
    let mut kinds = match object.get("type") {
        None => return,
        Some(Tree::Array(kinds)) => kinds.clone(),
        Some(kind) => vec![kind.clone()],
    };
    for kind in &mut kinds {
        match kind.as_str().and_then(other_name) {
            Some("any") => {
                object.remove("type");
                return;
            }
            Some(name) => *kind = name.into(),
            None => {}
        }
    }
    if nullable && !kinds.contains(&json!("null")) {
        kinds.push(json!("null"));
    }
    let one = if kinds.len() == 1 { kinds.pop() } else { None };
    object.insert("type".to_owned(), one.unwrap_or(Tree::Array(kinds)));
}

/// The JSON Schema type that another name stands for; `None` for JSON Schema's own names and for unknown ones.
fn other_name(name: &str) -> Option<&'static str> {
    const OWN: [&str; 7] = ["string", "integer", "number", "boolean", "array", "object", "null"];
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "str" | "text" => Some("string"),
        "int" | "long" => Some("integer"),
        "float" | "double" => Some("number"),
        "bool" => Some("boolean"),
        "list" | "tuple" => Some("array"),
        "dict" | "hashmap" => Some("object"),
        "none" => Some("null"),
        "any" => Some("any"),
        known => OWN.into_iter().find(|own| *own == known && *own != name),
    }
}
