//! Alignment: which call of the student stands for which call of the reference.

pub mod assignment;
pub mod naive;

use crate::json::Map;

/// What the aligner needs of a list of calls.
pub trait Calls {
    /// How many calls.
    fn len(&self) -> usize;
    /// The name of the tool of a call.
    fn name(&self, at: usize) -> &str;
    /// The arguments of a call.
    fn arguments(&self, at: usize) -> Map<'_>;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A student call matched one-to-one with a reference call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Index of the student's call.
    pub call: usize,
    /// Index of the reference's call.
    pub reference: usize,
    /// Whether the arguments are the same, not only the name.
    pub exact: bool,
}

/// Matches calls one-to-one: first those of the same name and arguments, then those of the same name, each in order.
///
/// The number of matches is maximal: calls match within their name only, and within a name every pairing is allowed.
/// `out` takes the matches in the order of the reference; `taken` is scratch.
pub fn align(calls: &impl Calls, reference: &impl Calls, out: &mut Vec<Match>, taken: &mut Vec<bool>) {
    out.clear();
    taken.clear();
    taken.resize(calls.len(), false);
    for exact in [true, false] {
        for target in 0..reference.len() {
            if out.iter().any(|known| known.reference == target) {
                continue;
            }
            let found = (0..calls.len()).find(|at| {
                !taken[*at]
                    && calls.name(*at) == reference.name(target)
                    && (!exact || calls.arguments(*at) == reference.arguments(target))
            });
            if let Some(call) = found {
                taken[call] = true;
                out.push(Match { call, reference: target, exact });
            }
        }
    }
    out.sort_unstable_by_key(|known| known.reference);
}

/// Whether the student made exactly the reference's calls, in order, with the same arguments.
pub fn identical(calls: &impl Calls, reference: &impl Calls) -> bool {
    calls.len() == reference.len()
        && (0..calls.len())
            .all(|at| calls.name(at) == reference.name(at) && calls.arguments(at) == reference.arguments(at))
}

/// F1 of two sets from their sizes and the size of their intersection; 0 when either is empty.
pub fn f1(found: usize, wanted: usize, common: usize) -> f64 {
    if common == 0 {
        return 0.0;
    }
    let precision = common as f64 / found as f64;
    let recall = common as f64 / wanted as f64;
    2.0 * precision * recall / (precision + recall)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Doc, Id};
    use serde_json::json;

    struct List(Doc, Vec<(&'static str, Id)>);
    impl Calls for List {
        fn len(&self) -> usize {
            self.1.len()
        }
        fn name(&self, at: usize) -> &str {
            self.1[at].0
        }
        fn arguments(&self, at: usize) -> Map<'_> {
            self.0.map(self.1[at].1).expect("object")
        }
    }
    fn list(calls: &[(&'static str, i64)]) -> List {
        let mut doc = Doc::default();
        let calls = calls.iter().map(|(name, a)| (*name, doc.add_tree(&json!({ "a": a })))).collect();
        List(doc, calls)
    }

    #[test]
    fn exact_matches_come_first_and_each_call_matches_once() {
        let student = list(&[("add", 2), ("add", 1), ("mul", 9), ("add", 1)]);
        let teacher = list(&[("add", 1), ("add", 5), ("mul", 3), ("sub", 1)]);
        let (mut out, mut taken) = (Vec::new(), Vec::new());
        align(&student, &teacher, &mut out, &mut taken);
        assert_eq!(
            out,
            [
                Match { call: 1, reference: 0, exact: true },
                Match { call: 0, reference: 1, exact: false },
                Match { call: 2, reference: 2, exact: false },
            ]
        );
        assert!(!identical(&student, &teacher));
        assert!(identical(&teacher, &teacher));
    }

    #[test]
    fn f1_of_sets() {
        assert!((f1(2, 3, 2) - 0.8).abs() < 1e-12);
        assert_eq!(f1(0, 3, 0).to_bits(), 0.0_f64.to_bits());
    }
}
