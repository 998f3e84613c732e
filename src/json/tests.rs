//! JSON against `serde_json`, and what models write beside it.

use proptest::prelude::*;
use serde_json::{Value as Tree, json};

use super::*;

fn tree(text: &str) -> Result<Tree, FailureKind> {
    let mut doc = Doc::default();
    let id = doc.parse_all(text).map_err(|failure| failure.kind)?;
    let mut written = String::new();
    doc.value(id).write(&mut written);
    let mut again = Doc::default();
    let copy = again.parse_all(&written).expect("what was written can be read");
    assert_eq!(again.value(copy), doc.value(id), "{text}");
    Ok(doc.value(id).to_tree())
}

#[test]
fn reads_what_json_allows() {
    for text in [
        r#"{"a": [1, -2, 3.5, 1e3, -0.25E-2], "b": {"c": null, "d": [true, false]}, "e": ""}"#,
        r#""\u00e9\n\t\"\\\/ \ud83d\ude00""#,
        " [ ] ",
        "{}",
        "9223372036854775807",
        "123456789012345678",
    ] {
        assert_eq!(tree(text).expect(text), serde_json::from_str::<Tree>(text).expect(text), "{text}");
    }
}

#[test]
fn takes_what_models_write_beside_it() {
    assert_eq!(tree("\"a\nb\0c\"").unwrap(), json!("a\nb\0c"));
    assert_eq!(tree(r#"{"a": 1, "b": 2, "a": 3}"#).unwrap(), json!({"b": 2, "a": 3}));
    assert_eq!(tree(r#""\ud800x \udc00 \ud800\u0041""#).unwrap(), json!("\u{FFFD}x \u{FFFD} \u{FFFD}A"));
    assert_eq!(tree("1e400").unwrap(), json!("1e400"));
    assert_eq!(tree(&format!("1{}", "0".repeat(400))).unwrap(), json!(format!("1{}", "0".repeat(400))));
    let many: Vec<String> = (0..50).map(|at| format!(r#""k{}": {at}"#, at % 20)).collect();
    let read = tree(&format!("{{{}}}", many.join(","))).unwrap();
    assert_eq!(read.as_object().expect("object").len(), 20);
    assert_eq!(read["k3"], 43);
}

#[test]
fn names_the_first_wrong_byte() {
    for (text, kind, at) in [
        ("", FailureKind::End, 0),
        ("{\"a\": 1", FailureKind::End, 7),
        ("\"abc", FailureKind::End, 4),
        ("{'a': 1}", FailureKind::Syntax, 1),
        ("[1,]", FailureKind::Syntax, 3),
        ("{\"a\" 1}", FailureKind::Syntax, 5),
        ("NaN", FailureKind::Syntax, 0),
        ("[Infinity]", FailureKind::Syntax, 1),
        ("[-Infinity]", FailureKind::Syntax, 2),
        ("01", FailureKind::Syntax, 1),
        ("1.", FailureKind::End, 2),
        ("+1", FailureKind::Syntax, 0),
        ("{} x", FailureKind::Syntax, 3),
        (r#""\x""#, FailureKind::Syntax, 2),
        (r#""\u12G4""#, FailureKind::Syntax, 5),
        ("tru", FailureKind::End, 3),
    ] {
        let mut doc = Doc::default();
        assert_eq!(doc.parse_all(text), Err(Failure { kind, at }), "{text}");
        assert_eq!(doc, Doc::default(), "nothing stays of {text}");
    }
    let deep = "[".repeat(400) + &"]".repeat(400);
    assert_eq!(tree(&deep), Err(FailureKind::TooDeep));
    assert!(tree(&("[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH))).is_ok());
}

#[test]
fn numbers_are_equal_by_value() {
    let equal = |a: &str, b: &str| {
        let (mut x, mut y) = (Doc::default(), Doc::default());
        let (a, b) = (x.parse_all(a).expect(a), y.parse_all(b).expect(b));
        assert_eq!(x.value(a) == y.value(b), y.value(b) == x.value(a));
        x.value(a) == y.value(b)
    };
    assert!(equal("1", "1.0") && equal("1e2", "100") && equal("-0", "0.0"));
    assert!(equal("1e400", "1e400") && !equal("1e400", "1e401") && !equal("1e-400", "0"));
    assert!(!equal("1", "true") && !equal("0", "null") && !equal("1", "\"1\""));
    assert!(!equal("9007199254740993", "9007199254740992") && !equal("9007199254740993", "9007199254740992.0"));
    assert!(equal("100000000000000000000", "1e20"));
    assert!(equal(r#"{"a": 1, "b": [2, {"c": 3}]}"#, r#"{"b": [2.0, {"c": 3}], "a": 1}"#));
    assert!(!equal(r#"{"a": 1}"#, r#"{"a": 1, "b": 1}"#) && !equal("[1]", "[1, 1]"));
}

#[test]
fn hostile_text_takes_linear_time() {
    for text in ["[".repeat(4 << 20), "\"\\".repeat(2 << 20), format!("{{{}", "\"a\":1,".repeat(1 << 19))] {
        assert!(tree(&text).is_err());
    }
    let wide = format!("[{}1]", "{\"a\":[]},".repeat(1 << 17));
    assert!(Doc::default().parse_all(&wide).is_ok());
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        any::<i64>().prop_map(Tree::from),
        any::<f64>().prop_map(Tree::from),
        any::<String>().prop_map(Tree::from),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Tree::from),
            prop::collection::btree_map(any::<String>(), inner, 0..20)
                .prop_map(|map| Tree::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn bytes_are_the_same_or_not(a in prop::collection::vec(0_u8..2, 0..20), at in 0_usize..20, flip in any::<bool>()) {
        let mut b = a.clone();
        if let Some(byte) = b.get_mut(at).filter(|_| flip) {
            *byte ^= 1;
        }
        prop_assert_eq!(super::equal::same_bytes(&a, &b), a == b);
        prop_assert!(a.is_empty() || !super::equal::same_bytes(&a, &a[1..]));
    }

    #[test]
    fn reads_what_serde_json_writes(written in any_tree()) {
        prop_assert_eq!(tree(&written.to_string()).expect("valid JSON"), written.clone());
        let mut doc = Doc::default();
        let id = doc.add_tree(&written);
        prop_assert_eq!(doc.value(id).to_tree(), written.clone());
        let mut other = Doc::default();
        let copy = other.copy(doc.value(id));
        prop_assert_eq!(other.value(copy), doc.value(id));
    }

    #[test]
    fn agrees_with_serde_json_about_any_text(text in r#"[\[\]{}",:0-9eE.+\-\\untrfalse \n]{0,24}"#) {
        let strict = serde_json::from_str::<Tree>(&text).ok();
        let ours = tree(&text).ok();
        // What serde_json takes, we take; beyond it only control characters, duplicate keys, lone surrogates, large numbers.
        if strict.is_some() {
            prop_assert!(ours.is_some(), "{}", text);
        } else if ours.is_some() {
            prop_assert!(text.contains(['\n', '\\', 'e', 'E']), "{}", text);
        }
    }

    #[test]
    fn never_panics(text in any::<String>(), at in 0_usize..4) {
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let _ = Doc::default().parse(&text, at);
    }

    #[test]
    fn of_equal_keys_the_last_counts(entries in prop::collection::vec((any_key(), 0_i64..9), 0..24)) {
        let entries: Vec<String> = entries.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        let text = format!("{{{}}}", entries.join(", "));
        prop_assert_eq!(tree(&text).expect("valid JSON"), serde_json::from_str::<Tree>(&text).expect("valid JSON"));
    }

    #[test]
    fn objects_are_equal_as_serde_json_has_it(a in small_object(), b in small_object()) {
        let mut doc = Doc::default();
        let ids = [&a, &b].map(|written| doc.parse_all(written).expect("valid JSON"));
        let [x, y] = [&a, &b].map(|written| serde_json::from_str::<Tree>(written).expect("valid JSON"));
        prop_assert_eq!(doc.value(ids[0]) == doc.value(ids[1]), x == y, "{} {}", a, b);
    }
}

/// Keys that are often equal, some of them written with escapes, some as long as two looks of sixteen bytes.
fn any_key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &["", "a", "b", "q", "aa", r"\u0061", r"\u0061a", "start_date_and_hour", "start_time_and_hour"][..],
    )
}

/// The text of an object of objects with few keys and values, in any order.
fn small_object() -> impl Strategy<Value = String> {
    let value = prop::sample::select(&["1", "2", "null", "true", "\"a\"", "\"b\"", "[1]", "[[1]]", "[]", "{}"][..]);
    let entry = (prop::sample::select(&["a", "b"][..]), value).prop_map(|(key, value)| format!("\"{key}\": {value}"));
    let inner = prop::collection::vec(entry, 0..3).prop_map(|entries| format!("{{{}}}", entries.join(",")));
    prop::collection::vec(inner, 1..3).prop_map(|inner| {
        format!("{{{}}}", inner.iter().map(|x| format!("\"x{}\": {x}", x.len() % 2)).collect::<Vec<_>>().join(","))
    })
}
