//! Calls that were made before.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Calls;
use crate::json::{Value, same_text};

/// So few calls are compared each with each.
const FEW: usize = 16;

/// Which calls were made before, with the same arguments.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats {
    /// For each call the first one that is the same, itself if there is none before. Empty: not looked for.
    first: Vec<usize>,
    /// How many of the calls before are the same.
    rank: Vec<usize>,
    keys: Vec<(u64, usize)>,
}

impl Repeats {
    pub(super) fn clear(&mut self) {
        self.first.clear();
        self.rank.clear();
    }

    pub(super) fn find(&mut self, calls: &impl Calls) {
        let Self { first, rank, keys } = self;
        first.clear();
        rank.clear();
        if calls.len() <= FEW {
            let same = |a: usize, b: usize| {
                same_text(calls.name(a), calls.name(b)) && calls.arguments(a) == calls.arguments(b)
            };
            for at in 0..calls.len() {
                let last = (0..at).rev().find(|before| same(*before, at));
                first.push(last.map_or(at, |last| first[last]));
                rank.push(last.map_or(0, |last| rank[last] + 1));
            }
            return;
        }
        first.extend(0..calls.len());
        rank.resize(calls.len(), 0);
        keys.clear();
        keys.extend((0..calls.len()).map(|at| (key(calls, at), at)));
        keys.sort_unstable();
        for group in keys.chunk_by(|a, b| a.0 == b.0) {
            for (before, (_, at)) in group.iter().enumerate() {
                first[*at] = group[0].1;
                rank[*at] = before;
            }
        }
    }

    /// How many of the calls before a call are the same.
    pub(super) fn rank(&self, call: usize) -> usize {
        self.rank.get(call).copied().unwrap_or(0)
    }

    /// The call that a call repeats.
    pub(super) fn of(&self, call: usize) -> Option<usize> {
        self.first.get(call).copied().filter(|first| *first != call)
    }
}

/// The same for calls that are equal by value.
fn key(calls: &impl Calls, at: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    calls.name(at).hash(&mut hasher);
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
