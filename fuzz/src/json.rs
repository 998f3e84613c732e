//! The JSON reader against `serde_json`.

use mentor::json::{Doc, FailureKind, MAX_DEPTH, Value};
use serde_json::Value as Tree;

/// What `serde_json` refuses and the reader takes, on purpose, by its words.
const LENIENT: [&str; 6] = [
    "control character",
    "lone leading surrogate",
    "unexpected end of hex escape", // a leading surrogate before something else than an escape
    "number out of range",
    "recursion limit", // serde_json stops one level earlier
    "invalid unicode code point",
];

/// Reads a text with both readers. What `serde_json` accepts has the same value here; what is accepted here alone is one
/// of the stated exceptions; what is written is read back as it was.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut doc = Doc::default();
    let before = doc.add_string("kept");
    let size = doc.size();
    let theirs = serde_json::from_str::<Tree>(text);
    let id = match doc.parse_all(text) {
        Ok(id) => id,
        Err(failure) => {
            assert!(failure.at <= text.len(), "{failure:?}");
            assert!(text.is_char_boundary(failure.at), "{failure:?}");
            assert!(failure.kind != FailureKind::End || failure.at == text.len(), "{failure:?}");
            assert_eq!(doc.size(), size, "a failed read leaves something behind");
            assert!(theirs.is_err(), "serde_json accepts what fails here: {failure:?}");
            return;
        }
    };
    assert_eq!(doc.value(before).as_str(), Some("kept"));
    let value = doc.value(id);
    assert!(doc.value(id) == value, "not equal to itself");
    match &theirs {
        Ok(tree) => assert!(same(&value.to_tree(), tree), "{:?} here, {tree:?} there", value.to_tree()),
        Err(error) => {
            let error = error.to_string();
            assert!(LENIENT.iter().any(|known| error.contains(known)), "accepted here alone: {error}");
        }
    }
    let end = Doc::default().parse(text, 0).map(|(_, end)| end);
    assert_eq!(end.map(|end| text[end..].trim_ascii()), Ok(""), "read in place, it ends elsewhere");
    round_trip(value);
}

fn round_trip(value: Value<'_>) {
    let mut written = String::new();
    value.write(&mut written);
    let mut doc = Doc::default();
    let id = doc.parse_all(&written).unwrap_or_else(|failure| panic!("{failure:?} in {written}"));
    assert!(doc.value(id) == value, "{written} is not equal to what it was written from");
    let mut again = String::new();
    doc.value(id).write(&mut again);
    assert_eq!(written, again);
    let mut copies = Doc::default();
    let copy = copies.copy(value);
    assert!(copies.value(copy) == value, "a copy differs");
    if let Err(error) = serde_json::from_str::<Tree>(&written) {
        let error = error.to_string();
        assert!(error.contains("out of range") || error.contains("recursion limit"), "{error}: {written}");
    }
    assert!(depth(value) <= MAX_DEPTH);
}

fn depth(value: Value<'_>) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
        _ => 0,
    }
}

/// Equality with numbers compared by value: `-0` is an integer here and a double there.
fn same(a: &Tree, b: &Tree) -> bool {
    match (a, b) {
        (Tree::Number(x), Tree::Number(y)) => x == y || (x.as_f64() == y.as_f64() && x.as_f64() == Some(0.0)),
        (Tree::Array(x), Tree::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Tree::Object(x), Tree::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, x)| y.get(key).is_some_and(|y| same(x, y)))
        }
        (a, b) => a == b,
    }
}
