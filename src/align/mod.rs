//! Alignment: which call of the student stands for which call of the reference.

pub mod assignment;
pub mod naive;

use crate::trajectory::json::maps_eq;

/// What the aligner needs of a call.
pub trait Aligned {
    /// The tool's name.
    fn name(&self) -> &str;
    /// The arguments by name.
    fn arguments(&self) -> &serde_json::Map<String, serde_json::Value>;
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
pub fn align<A: Aligned, B: Aligned>(calls: &[A], reference: &[B]) -> Vec<Match> {
    let mut taken = vec![false; calls.len()];
    let mut matched: Vec<Option<Match>> = vec![None; reference.len()];
    for exact in [true, false] {
        for (target, slot) in matched.iter_mut().enumerate().filter(|(_, slot)| slot.is_none()) {
            let wanted = &reference[target];
            let found = calls.iter().enumerate().position(|(index, call)| {
                !taken[index]
                    && call.name() == wanted.name()
                    && (!exact || maps_eq(call.arguments(), wanted.arguments()))
            });
            if let Some(call) = found {
                taken[call] = true;
                *slot = Some(Match { call, reference: target, exact });
            }
        }
    }
    matched.into_iter().flatten().collect()
}

/// Whether the student made exactly the reference's calls, in order, with the same arguments.
pub fn identical<A: Aligned, B: Aligned>(calls: &[A], reference: &[B]) -> bool {
    calls.len() == reference.len()
        && calls.iter().zip(reference).all(|(a, b)| a.name() == b.name() && maps_eq(a.arguments(), b.arguments()))
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
    use serde_json::{Map, Value, json};

    struct C(&'static str, Map<String, Value>);
    impl Aligned for C {
        fn name(&self) -> &str {
            self.0
        }
        fn arguments(&self) -> &Map<String, Value> {
            &self.1
        }
    }
    fn c(name: &'static str, a: i64) -> C {
        C(name, json!({ "a": a }).as_object().cloned().unwrap())
    }

    #[test]
    fn exact_matches_come_first_and_each_call_matches_once() {
        let student = [c("add", 2), c("add", 1), c("mul", 9), c("add", 1)];
        let teacher = [c("add", 1), c("add", 5), c("mul", 3), c("sub", 1)];
        assert_eq!(
            align(&student, &teacher),
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
