//! Calls that were made before.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Calls, Match};
use crate::json::Value;

/// Buffers for [`repeats`].
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    keys: Vec<(u64, usize)>,
    matched: Vec<bool>,
}

/// Finds the calls that were made before, with the same arguments and the same result, and that stand for nothing in the
/// reference: a tool that is asked again until it says something else is no repetition. `out` takes them in order.
pub fn repeats(calls: &impl Calls, matches: &[Match], out: &mut Vec<usize>, scratch: &mut Scratch) {
    out.clear();
    if calls.len() < 2 || matches.len() == calls.len() {
        return;
    }
    let Scratch { keys, matched } = scratch;
    matched.clear();
    matched.resize(calls.len(), false);
    for known in matches {
        matched[known.call] = true;
    }
    keys.clear();
    keys.extend((0..calls.len()).map(|at| (key(calls, at), at)));
    keys.sort_unstable();
    for group in keys.chunk_by(|a, b| a.0 == b.0) {
        // One of each group is no repetition: one that stands for something, if there is any.
        let spare = usize::from(!group.iter().any(|(_, at)| matched[*at]));
        out.extend(group.iter().map(|(_, at)| *at).filter(|at| !matched[*at]).skip(spare));
    }
    out.sort_unstable();
}

/// The same for calls that are equal by value.
fn key(calls: &impl Calls, at: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    calls.name(at).hash(&mut hasher);
    calls.result(at).hash(&mut hasher);
    hash(Value::Object(calls.arguments(at)), &mut hasher);
    hasher.finish()
}

fn hash(value: Value<'_>, hasher: &mut DefaultHasher) {
    match value {
        Value::Null => 0_u8.hash(hasher),
        Value::Bool(on) => (1_u8, on).hash(hasher),
        Value::String(text) => (2_u8, text).hash(hasher),
        Value::Array(list) => {
            (3_u8, list.len()).hash(hasher);
            list.iter().for_each(|item| hash(item, hasher));
        }
        Value::Object(map) => {
            // Keys come in any order.
            let entry = |(key, value): (&str, Value<'_>)| {
                let mut hasher = DefaultHasher::new();
                key.hash(&mut hasher);
                hash(value, &mut hasher);
                hasher.finish()
            };
            (4_u8, map.iter().map(entry).fold(0, u64::wrapping_add)).hash(hasher);
        }
        number => (5_u8, number.as_f64().map(f64::to_bits)).hash(hasher),
    }
}
