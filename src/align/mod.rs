//! Alignment: which call of the student stands for which call of the reference.

pub mod assignment;
mod best;
mod evidence;
pub mod naive;
mod pairs;
mod repeats;
mod target;
mod value;
mod words;

use crate::json::{Map, same_text};

pub use best::{Scratch, align};
pub use pairs::{Comparison, Pairs, Standing, Why};
pub use target::Target;
pub use value::{Rules, near};

/// What the aligner needs of a list of calls.
pub trait Calls {
    /// How many calls.
    fn len(&self) -> usize;
    /// The name of the tool of a call.
    fn name(&self, at: usize) -> &str;
    /// The arguments of a call.
    fn arguments(&self, at: usize) -> Map<'_>;
    /// The text of a call's result, trimmed, where there is one.
    fn result(&self, _at: usize) -> Option<&str> {
        None
    }
    /// Index of the assistant turn that made a call, where it is known.
    fn turn(&self, _at: usize) -> Option<usize> {
        None
    }

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A student call matched one-to-one with a reference call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Index of the student's call.
    pub call: usize,
    /// Index of the reference's call.
    pub reference: usize,
    /// How similar they are, above 0 and at most 1.
    pub similarity: f64,
    /// Whether tool and arguments are the same.
    pub exact: bool,
}

/// Buffers for [`count_names`].
#[derive(Clone, Debug, Default)]
pub struct NameScratch {
    taken: Vec<bool>,
    found: Vec<bool>,
}

/// How many calls match one-to-one by name, and how many of those by arguments too. Looks at names only: neither results
/// nor schemas count.
///
/// The number of matches is maximal: calls match within their name only, and within a name every pairing is allowed.
pub fn count_names(calls: &impl Calls, reference: &impl Calls, scratch: &mut NameScratch) -> (usize, usize) {
    let NameScratch { taken, found } = scratch;
    taken.clear();
    taken.resize(calls.len(), false);
    found.clear();
    found.resize(reference.len(), false);
    let (mut matched, mut same) = (0, 0);
    for exact in [true, false] {
        for (target, found) in found.iter_mut().enumerate().filter(|(_, found)| !**found) {
            let call = (0..calls.len()).find(|at| {
                !taken[*at]
                    && same_text(calls.name(*at), reference.name(target))
                    && (!exact || calls.arguments(*at) == reference.arguments(target))
            });
            if let Some(call) = call {
                (taken[call], *found) = (true, true);
                matched += 1;
                same += usize::from(exact);
            }
        }
    }
    (matched, same)
}

/// Whether the student made exactly the reference's calls, in order, with the same arguments.
pub fn identical(calls: &impl Calls, reference: &impl Calls) -> bool {
    calls.len() == reference.len()
        && (0..calls.len())
            .all(|at| same_text(calls.name(at), reference.name(at)) && calls.arguments(at) == reference.arguments(at))
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
    fn calls_match_once_by_name_and_by_arguments() {
        let student = list(&[("add", 2), ("add", 1), ("mul", 9), ("add", 1)]);
        let teacher = list(&[("add", 1), ("add", 5), ("mul", 3), ("sub", 1)]);
        assert_eq!(count_names(&student, &teacher, &mut NameScratch::default()), (3, 1));
        assert!(!identical(&student, &teacher));
        assert!(identical(&teacher, &teacher));
    }

    #[test]
    fn f1_of_sets() {
        assert!((f1(2, 3, 2) - 0.8).abs() < 1e-12);
        assert_eq!(f1(0, 3, 0).to_bits(), 0.0_f64.to_bits());
    }
}
