use super::*;
use crate::json::Doc;
use proptest::prelude::*;
use serde_json::json;

fn fault(schema: &Tree, arguments: &Tree) -> Option<String> {
    let schema = Schema::compile(schema).expect("a schema");
    let mut doc = Doc::default();
    let id = doc.add_tree(arguments);
    let fault = schema.fault(doc.value(id));
    assert_eq!(fault.is_none(), schema.fits(doc.value(id)), "{arguments}");
    fault
}

#[test]
fn faults_name_the_argument_and_what_it_should_be() {
    let schema = json!({"type": "object", "required": ["a"], "additionalProperties": false, "properties": {
        "a": {"type": "number", "minimum": 0}, "s": {"type": "string", "minLength": 2, "nullable": true},
        "e": {"enum": ["x", "y"]}, "l": {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
        "o": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "d": {"type": "dict", "properties": {"k": {"type": "bool"}}},
    }});
    for (arguments, want) in [
        (json!({"a": 1, "s": null, "e": "x", "l": [1, 2.0], "o": null, "d": {"k": true}}), None),
        (json!({}), Some("argument `a` is missing: it must be a number")),
        (json!({"a": "1"}), Some("argument `a` must be a number, not a string")),
        (json!({"a": -1}), Some("argument `a` must be at least 0")),
        (json!({"a": 1, "s": "x"}), Some("argument `s` must have at least 2 characters, not 1")),
        (json!({"a": 1, "s": 1}), Some("argument `s` must be null or a string, not an integer")),
        (json!({"a": 1, "e": "z"}), Some("argument `e` must be one of \"x\", \"y\"")),
        (json!({"a": 1, "l": [1, 1.5]}), Some("argument `l[1]` must be an integer, not a number")),
        (json!({"a": 1, "l": [1, 2, 3]}), Some("argument `l` must have at most 2 items, not 3")),
        (json!({"a": 1, "o": 3}), Some("argument `o` must be a string or null, not an integer")),
        (json!({"a": 1, "d": {"k": 3}}), Some("argument `d.k` must be a boolean, not an integer")),
        (json!({"a": 1, "z": 3}), Some("argument `z` is not known")),
    ] {
        assert_eq!(fault(&schema, &arguments).as_deref(), want, "{arguments}");
    }
}

#[test]
fn nullable_beside_values_and_shapes_adds_null() {
    let schema = json!({"properties": {
        "e": {"type": "string", "enum": ["x"], "nullable": true},
        "a": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}], "nullable": true},
        "o": {"oneOf": [{"type": "string"}, {"type": "integer"}], "nullable": true},
    }});
    for (arguments, fits) in [
        (json!({"e": null, "a": null, "o": null}), true),
        (json!({"e": "x", "a": [1], "o": 1}), true),
        (json!({"e": "y"}), false),
        (json!({"a": [null]}), false),
        (json!({"o": true}), false),
    ] {
        assert_eq!(fault(&schema, &arguments).is_none(), fits, "{arguments}");
    }
    let plain = json!({"properties": {"e": {"type": "string", "enum": ["x"]}}});
    assert!(fault(&plain, &json!({"e": null})).is_some());
}

#[test]
fn other_keywords_go_to_the_crate() {
    let schema = json!({"properties": {"a": {"$ref": "#/$defs/even"}}, "$defs": {"even": {"multipleOf": 2}}});
    assert!(matches!(Schema::compile(&schema), Ok(Schema(Kind::Whole(_)))));
    assert_eq!(fault(&schema, &json!({"a": 4})), None);
    assert_eq!(fault(&schema, &json!({"a": 3})).as_deref(), Some("argument `a`: 3 is not a multiple of 2"));
    let pattern = json!({"properties": {"a": {"pattern": "^(a+)+$"}}});
    assert!(fault(&pattern, &json!({"a": "a".repeat(100_000) + "b"})).is_some(), "and in linear time");
    let backtracking = json!({"properties": {"a": {"pattern": "^(?=a)(a+)+$"}}});
    assert!(fault(&backtracking, &json!({"a": "a".repeat(1_000) + "b"})).is_some(), "and it gives up");
}

#[test]
fn what_is_no_schema_is_refused() {
    for schema in [
        json!({"type": "thing"}),
        json!({"properties": []}),
        json!({"required": "a"}),
        json!({"minimum": "1"}),
        json!({"properties": {"a": {"pattern": "("}}}),
        json!({"properties": {"a": {"$ref": "http://example.com/schema"}}}),
        json!({"properties": {"a": {"$ref": "file:///etc/hostname"}}}),
        json!(3),
    ] {
        assert!(Schema::compile(&schema).is_err(), "{schema}");
    }
}

fn leaf() -> impl Strategy<Value = Tree> {
    prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        (-3..6_i64).prop_map(Tree::from),
        prop_oneof![Just(0.5), Just(2.0), Just(-1.5), Just(1e20)].prop_map(Tree::from),
        prop_oneof![Just("a"), Just("b"), Just("äöü"), Just("")].prop_map(Tree::from),
    ]
}

fn value() -> impl Strategy<Value = Tree> {
    leaf().prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Tree::from),
            proptest::collection::vec(("[abc]", inner), 0..4)
                .prop_map(|pairs| Tree::Object(pairs.into_iter().collect())),
        ]
    })
}

fn keyword(inner: impl Strategy<Value = Tree> + Clone + 'static) -> impl Strategy<Value = (&'static str, Tree)> {
    let kinds = vec!["null", "boolean", "integer", "number", "string", "array", "object"];
    let kind = proptest::sample::select(kinds.clone());
    let small = 0..4_i64;
    prop_oneof![
        kind.clone().prop_map(|kind| ("type", json!(kind))),
        proptest::sample::subsequence(kinds, 1..4).prop_map(|kinds| ("type", json!(kinds))),
        proptest::collection::vec(("[abc]", inner.clone()), 0..3)
            .prop_map(|pairs| ("properties", Tree::Object(pairs.into_iter().collect()))),
        proptest::sample::subsequence(vec!["a", "b", "c"], 0..3).prop_map(|names| ("required", json!(names))),
        prop_oneof![any::<bool>().prop_map(Tree::from), inner.clone()].prop_map(|tree| ("additionalProperties", tree)),
        proptest::collection::vec(value(), 1..4).prop_map(|mut values| {
            values.dedup();
            ("enum", json!(values))
        }),
        value().prop_map(|value| ("const", value)),
        inner.clone().prop_map(|tree| ("items", tree)),
        proptest::collection::vec(inner, 1..3).prop_map(|trees| ("anyOf", json!(trees))),
        prop_oneof![Just(-1.5), Just(0.0), Just(2.0)].prop_map(|bound| ("minimum", json!(bound))),
        small.clone().prop_map(|bound| ("exclusiveMaximum", json!(bound))),
        small.clone().prop_map(|length| ("minLength", json!(length))),
        small.clone().prop_map(|length| ("maxItems", json!(length))),
        small.clone().prop_map(|length| ("minProperties", json!(length))),
        small.prop_map(|number| ("default", json!(number))),
    ]
}

fn schema() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![Just(json!({})), Just(json!({"type": "number"})), any::<bool>().prop_map(Tree::from)];
    leaf.prop_recursive(3, 24, 4, |inner| {
        proptest::collection::vec(keyword(inner.boxed()), 0..4)
            .prop_map(|keywords| Tree::Object(keywords.into_iter().map(|(key, tree)| (key.to_owned(), tree)).collect()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_fast_path_agrees_with_the_crate(schema in schema(), values in proptest::collection::vec(value(), 8)) {
        let Some(rule) = Rule::compile(&schema) else { return Ok(()) };
        let whole = Schema::whole(&schema).expect("what the fast path takes is a schema");
        let mut doc = Doc::default();
        for value in &values {
            let id = doc.add_tree(value);
            prop_assert_eq!(rule.fits(doc.value(id)), whole.fits(doc.value(id)), "{} against {}", value, schema);
            prop_assert_eq!(fault::of(&rule, doc.value(id)).is_none(), rule.fits(doc.value(id)));
        }
    }
}
