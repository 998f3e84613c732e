//! How similar two argument values are, from 0 to 1.

use super::words::{Words, same_but_for_writing};
use crate::json::{List, Map, Value, same_text};
use crate::tools::{Parameter, ParameterType};

/// How strictly values are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// See [`near`].
    pub number_tolerance: f64,
    /// Similarity of two texts of the same words in another writing.
    pub same_words: f64,
}

/// Texts of which one is so many times longer share too little to count; it keeps the time linear.
const MAX_LENGTH_RATIO: usize = 8;

/// Whether two numbers are the same: two integers if they are equal, others if they differ by at most this share of the
/// larger. Integers are often names (of accounts, of years), so none stands for its neighbour.
#[inline]
#[expect(clippy::float_cmp, reason = "integers are compared exactly")]
pub fn near(a: f64, b: f64, tolerance: f64) -> bool {
    a == b
        || (a - b).abs() <= tolerance * a.abs().max(b.abs())
            && a.is_finite()
            && b.is_finite()
            && (a.fract() != 0.0 || b.fract() != 0.0)
}

/// The number that a text is, if it is written as JSON writes numbers: no zeros in front, so that `007` stays a text.
pub fn number_in(text: &str) -> Option<f64> {
    const LONGEST: usize = 40;
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let plain = match digits {
        [b'0'] | [b'0', b'.' | b'e' | b'E', ..] | [b'1'..=b'9', ..] => text.len() <= LONGEST,
        _ => false,
    };
    if plain { text.parse().ok() } else { None }
}

/// The similarity of a student's value and a reference's value of the same parameter.
#[inline]
pub fn similarity(
    student: Value<'_>,
    reference: Value<'_>,
    parameter: Option<&Parameter>,
    rules: &Rules,
    words: &mut Words,
) -> f64 {
    let (kind, listed) = parameter.map_or((ParameterType::Any, false), |known| (known.kind, known.listed_values));
    match (student, reference) {
        (Value::String(a), Value::String(b)) => text(a, b, kind, listed, rules, words),
        _ => any(student, reference, rules, words),
    }
}

/// Of values below the top, whose schema is not looked at.
fn any(student: Value<'_>, reference: Value<'_>, rules: &Rules, words: &mut Words) -> f64 {
    match (student, reference) {
        (Value::String(a), Value::String(b)) => text(a, b, ParameterType::Any, false, rules, words),
        (Value::Array(a), Value::Array(b)) => lists(a, b, rules, words),
        (Value::Object(a), Value::Object(b)) => objects(a, b, rules, words),
        (a, b) => same_scalar(a, b, rules).into(),
    }
}

/// Whether two values are the same number, or the same `null`, `true` or `false`. A text may stand for the number in it.
fn same_scalar(a: Value<'_>, b: Value<'_>, rules: &Rules) -> bool {
    let number = |value: Value<'_>| match value {
        Value::String(text) => number_in(text.trim()),
        value => value.as_f64(),
    };
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Null | Value::Bool(_), _) | (_, Value::Null | Value::Bool(_)) => a == b,
        _ => a == b || matches!((number(a), number(b)), (Some(a), Some(b)) if near(a, b, rules.number_tolerance)),
    }
}

fn text(a: &str, b: &str, kind: ParameterType, listed: bool, rules: &Rules, words: &mut Words) -> f64 {
    if a == b {
        return 1.0;
    }
    if listed {
        return 0.0;
    }
    if kind != ParameterType::String
        && let (Some(a), Some(b)) = (number_in(a.trim()), number_in(b.trim()))
    {
        return near(a, b, rules.number_tolerance).into();
    }
    if same_but_for_writing(a, b) {
        return 1.0;
    }
    let (short, long) = if a.len() < b.len() { (a.len(), b.len()) } else { (b.len(), a.len()) };
    if long > short * MAX_LENGTH_RATIO { 0.0 } else { rules.same_words * words.overlap(a, b) }
}

/// Item by item, of the longer list's length.
fn lists(a: List<'_>, b: List<'_>, rules: &Rules, words: &mut Words) -> f64 {
    let longer = a.len().max(b.len());
    if longer == 0 {
        return 1.0;
    }
    a.iter().zip(b.iter()).fold(0.0, |sum, (a, b)| sum + any(a, b, rules, words)) / longer as f64
}

/// Key by key, of all keys of both.
fn objects(a: Map<'_>, b: Map<'_>, rules: &Rules, words: &mut Words) -> f64 {
    let (mut sum, mut common) = (0.0, 0);
    for_each_key(a, b, |_, x, y| {
        if let Some(x) = x {
            common += 1;
            sum += any(x, y, rules, words);
        }
    });
    let all = a.len() + b.len() - common;
    if all == 0 { 1.0 } else { sum / all as f64 }
}

/// Calls `visit` for each key of the reference with the student's value of that key, if any, and its own.
#[inline]
pub(super) fn for_each_key<'a, 'b>(
    student: Map<'a>,
    reference: Map<'b>,
    mut visit: impl FnMut(&'b str, Option<Value<'a>>, Value<'b>),
) {
    // Most calls give their arguments in the same order: then one walk over both is enough.
    let mut in_order = student.iter();
    for (key, wanted) in reference.iter() {
        let found = match in_order.next() {
            Some((known, value)) if same_text(known, key) => Some(value),
            _ => student.get(key),
        };
        visit(key, found, wanted);
    }
}

/// The same for two lists whose items may change places: the share of equal items. Long lists are compared in order.
pub(super) fn unordered(a: List<'_>, b: List<'_>, rules: &Rules, words: &mut Words) -> f64 {
    const MANY: usize = 64;
    if a.len() > MANY || b.len() > MANY {
        return lists(a, b, rules, words);
    }
    let mut taken = 0_u64;
    let mut same = 0_usize;
    for x in a.iter() {
        let free = |at: usize| taken & (1 << at) == 0;
        if let Some((at, _)) =
            b.iter().enumerate().find(|(at, y)| free(*at) && any(x, *y, rules, words).to_bits() == 1.0_f64.to_bits())
        {
            taken |= 1 << at;
            same += 1;
        }
    }
    let longer = a.len().max(b.len());
    if longer == 0 { 1.0 } else { same as f64 / longer as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Doc;
    use serde_json::{Value as Tree, json};

    const RULES: Rules = Rules { number_tolerance: 1e-6, same_words: 0.9 };

    fn of(a: &Tree, b: &Tree) -> f64 {
        let mut doc = Doc::default();
        let (a, b) = (doc.add_tree(a), doc.add_tree(b));
        similarity(doc.value(a), doc.value(b), None, &RULES, &mut Words::default())
    }

    #[test]
    fn values_by_kind() {
        for (a, b, want) in [
            (json!(3), json!(3.0), 1.0),
            (json!(3), json!(4), 0.0),
            (json!(0.1), json!(0.100_000_01), 1.0),
            (json!(0.1), json!(0.1001), 0.0),
            (json!(10_000_000), json!(10_000_001), 0.0),
            (json!("3"), json!(3), 1.0),
            (json!("3"), json!("3.0"), 1.0),
            (json!("007"), json!("7"), 0.0),
            (json!("x"), json!(3), 0.0),
            (json!(null), json!(null), 1.0),
            (json!(null), json!(0), 0.0),
            (json!(true), json!(true), 1.0),
            (json!(true), json!(1), 0.0),
            (json!(" New  York"), json!("new york "), 1.0),
            (json!("paris"), json!("london"), 0.0),
            (json!("weather in Paris"), json!("Paris, weather"), 0.9 * 0.8),
            (json!("Paris weather"), json!("weather: paris"), 0.9),
            (json!([1, 2, 3]), json!([1, 5]), 1.0 / 3.0),
            (json!([]), json!([]), 1.0),
            (json!([]), json!({}), 0.0),
            (json!({"a": 1, "b": 2}), json!({"b": 2, "c": 3}), 1.0 / 3.0),
            (json!({"a": [1, {"b": 2}]}), json!({"a": [1.0, {"b": 2}]}), 1.0),
        ] {
            assert!((of(&a, &b) - want).abs() < 1e-12, "{a} {b}: {}", of(&a, &b));
            assert!((of(&b, &a) - want).abs() < 1e-12, "{b} {a}");
        }
    }

    #[test]
    fn items_that_may_change_places() {
        let mut doc = Doc::default();
        let mut list = |tree: Tree| doc.add_tree(&tree);
        let (a, b) = (list(json!([3, 1, 2, 2])), list(json!([1, 2, 3, 4])));
        let [a, b] = [a, b].map(|id| doc.value(id).as_list().expect("a list"));
        assert!((unordered(a, b, &RULES, &mut Words::default()) - 0.75).abs() < 1e-12);
    }
}
