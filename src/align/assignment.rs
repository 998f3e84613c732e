//! The best one-to-one assignment of a student's calls to the reference's calls.

mod duals;
mod ties;

use duals::Duals;
use ties::Ties;

/// Weights are rounded to multiples of 2^-40 and then handled as integers: sums of products that differ by rounding
/// errors alone tie, and what ties does not depend on the order of additions.
const ONE: i64 = 1 << 40;

/// A call that has no partner.
const NONE: usize = usize::MAX;

/// A student's call that stands for a reference's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// Index of the reference's call: the row.
    pub reference: usize,
    /// Index of the student's call: the column.
    pub call: usize,
}

/// The buffers of [`assign`]. Reused, they make it free of allocation once they have grown to the greatest problem.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    matrix: Matrix,
    partners: Partners,
    duals: Duals,
    ties: Ties,
    pairs: Vec<Pair>,
}

/// Rounded weights, one row per reference call.
#[derive(Clone, Debug, Default)]
struct Matrix {
    weights: Vec<i64>,
    references: usize,
    calls: usize,
}

impl Matrix {
    fn at(&self, reference: usize, call: usize) -> i64 {
        self.weights[reference * self.calls + call]
    }

    fn row(&self, reference: usize) -> &[i64] {
        &self.weights[reference * self.calls..][..self.calls]
    }
}

/// Who stands for whom; pairs of weight 0 are none.
#[derive(Clone, Debug, Default)]
struct Partners {
    /// The call of each reference, or [`NONE`].
    of_reference: Vec<usize>,
    /// The reference of each call, or [`NONE`].
    of_call: Vec<usize>,
}

impl Partners {
    fn reset(&mut self, references: usize, calls: usize) {
        refill(&mut self.of_reference, references, NONE);
        refill(&mut self.of_call, calls, NONE);
    }

    fn join(&mut self, reference: usize, call: usize) {
        self.of_reference[reference] = call;
        self.of_call[call] = reference;
    }
}

/// Assigns student calls to reference calls one-to-one, so that the sum of the pairs' weights is maximal.
///
/// `weights` has one row for each of `n` reference calls with `m` student calls each, every weight from 0 to 1 (what is
/// beyond counts as 0 or 1, NaN and missing entries as 0). The sum is maximal for weights rounded to 2^-40, so it is
/// within min(n, m) * 2^-40 of the exact maximum. Pairs of weight 0 are not reported; the others come in the order of
/// their reference calls.
///
/// Among assignments of the same sum, the first reference call has the student call of the lowest index that any of them
/// gives it (none only if all give it none), then the second has the lowest that this leaves, and so on. So the result
/// depends on the weights alone.
///
/// Time is O(min(n, m)^2 * max(n, m)), and O(n * m) if every reference call has its best partner to itself.
pub fn assign<'a>(weights: &[f64], n: usize, m: usize, scratch: &'a mut Scratch) -> &'a [Pair] {
    let Scratch { matrix, partners, duals, ties, pairs } = scratch;
    pairs.clear();
    if n == 0 || m == 0 {
        return pairs;
    }
    refill(&mut matrix.weights, n * m, 0);
    (matrix.references, matrix.calls) = (n, m);
    for (rounded, weight) in matrix.weights.iter_mut().zip(weights) {
        *rounded = round(*weight);
    }
    partners.reset(n, m);
    if !take_best(matrix, partners) {
        partners.reset(n, m);
        duals.solve(matrix, partners);
        ties.break_all(matrix, duals, partners);
    }
    let found = partners.of_reference.iter().enumerate().filter(|(_, call)| **call != NONE);
    pairs.extend(found.map(|(reference, call)| Pair { reference, call: *call }));
    pairs
}

/// Gives every reference its best call, the first of equals, and says whether no two of them want the same.
///
/// If so, the assignment is the answer. No assignment gives a row more than its maximum, so none has a greater sum than
/// that of the maxima, which this one reaches. And one that reaches it gives each row a maximum, or, where that is 0, no
/// pair; this one gives each row its first, which is the least possible, for all rows at once. (That the maxima are also
/// those of their columns is not needed. A matrix of one row or of one entry is a special case.)
fn take_best(matrix: &Matrix, partners: &mut Partners) -> bool {
    (0..matrix.references).all(|reference| {
        let (mut best, mut call) = (0, NONE);
        for (at, weight) in matrix.row(reference).iter().enumerate() {
            if *weight > best {
                (best, call) = (*weight, at);
            }
        }
        if call == NONE {
            return true;
        }
        let free = partners.of_call[call] == NONE;
        partners.join(reference, call);
        free
    })
}

#[expect(clippy::cast_possible_truncation, reason = "the value is from 0 to 2^40; NaN becomes 0")]
fn round(weight: f64) -> i64 {
    (weight.clamp(0.0, 1.0) * ONE as f64).round() as i64
}

/// Makes a buffer so many copies of a value, in the memory that it has.
fn refill<T: Clone>(buffer: &mut Vec<T>, len: usize, value: T) {
    buffer.clear();
    buffer.resize(len, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::align::naive;
    use proptest::prelude::*;

    fn pairs(weights: &[f64], n: usize, m: usize) -> Vec<(usize, usize)> {
        assign(weights, n, m, &mut Scratch::default()).iter().map(|pair| (pair.reference, pair.call)).collect()
    }

    fn total(weights: &[f64], m: usize, pairs: &[Pair]) -> f64 {
        pairs.iter().map(|pair| weights[pair.reference * m + pair.call]).sum()
    }

    #[test]
    fn the_sum_counts_not_the_best_pair() {
        assert_eq!(pairs(&[0.9, 0.8, 0.8, 0.1], 2, 2), [(0, 1), (1, 0)]);
        assert_eq!(pairs(&[0.9, 0.8, 0.0, 0.8, 0.1, 0.0], 2, 3), [(0, 1), (1, 0)]);
        assert_eq!(pairs(&[0.9, 0.8, 0.8, 0.1, 0.0, 0.0], 3, 2), [(0, 1), (1, 0)]);
        assert_eq!(pairs(&[0.2, 0.9, 0.5], 3, 1), [(1, 0)]);
        assert_eq!(pairs(&[0.2, 0.9, 0.5], 1, 3), [(0, 1)]);
    }

    #[test]
    fn nothing_and_zero_make_no_pairs() {
        assert_eq!(pairs(&[], 0, 0), []);
        assert_eq!(pairs(&[], 0, 3), []);
        assert_eq!(pairs(&[], 3, 0), []);
        assert_eq!(pairs(&[0.0], 1, 1), []);
        assert_eq!(pairs(&[1.0], 1, 1), [(0, 0)]);
        assert_eq!(pairs(&[0.0; 6], 2, 3), []);
        assert_eq!(pairs(&[0.5, 0.0, 0.5, 0.0], 2, 2), [(0, 0)]);
    }

    #[test]
    fn ties_go_to_the_first() {
        assert_eq!(pairs(&[0.5; 9], 3, 3), [(0, 0), (1, 1), (2, 2)]);
        assert_eq!(pairs(&[0.5; 6], 2, 3), [(0, 0), (1, 1)]);
        assert_eq!(pairs(&[0.5; 6], 3, 2), [(0, 0), (1, 1)]);
        // Rounding errors make no order: 0.1 + 0.2 is not 0.3.
        assert_eq!(pairs(&[0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2], 2, 2), [(0, 0), (1, 1)]);
    }

    #[test]
    fn weights_out_of_range_are_brought_into_it() {
        assert_eq!(pairs(&[f64::NAN, 7.0, 1.0, f64::INFINITY], 2, 2), [(0, 1), (1, 0)]);
        assert_eq!(pairs(&[-1.0, f64::NEG_INFINITY], 1, 2), []);
        assert_eq!(pairs(&[0.5], 2, 2), [(0, 0)]);
    }

    #[test]
    fn buffers_do_not_grow_again() {
        let weights: Vec<f64> = (0..35_u8).map(|at| f64::from(at % 4) / 4.0).collect();
        let capacities = |s: &Scratch| {
            let (matrix, partners, duals) = (s.matrix.weights.capacity(), &s.partners, &s.duals);
            let prices = (duals.references.capacity(), duals.calls.capacity());
            (matrix, partners.of_reference.capacity(), partners.of_call.capacity(), prices, s.pairs.capacity())
        };
        let mut scratch = Scratch::default();
        let first = assign(&weights, 7, 5, &mut scratch).to_vec();
        assign(&weights, 5, 7, &mut scratch);
        let grown = capacities(&scratch);
        for (n, m) in [(5, 7), (1, 1), (2, 3), (7, 5)] {
            assign(&weights, n, m, &mut scratch);
        }
        assert_eq!(capacities(&scratch), grown);
        assert_eq!(assign(&weights, 7, 5, &mut scratch), first);
    }

    /// Weights to draw from.
    const LEVELS: &[[f64; 8]] = &[
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 1.0],
        [0.0, 0.0, 0.0, 0.25, 0.25, 0.5, 0.5, 1.0],
        [0.0, 0.25, 0.25, 0.5, 0.5, 0.5, 0.75, 1.0],
        [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 1.0],
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn ties_are_broken_as_in_the_naive_version(
            n in 0..=7_usize, m in 0..=7_usize, all in prop::collection::vec(0..8_u8, 49), levels in prop::sample::select(LEVELS),
        ) {
            // Few different weights, all of them exact, make many ties.
            let weights: Vec<f64> = all[..n * m].iter().map(|at| levels[usize::from(*at)]).collect();
            let mut scratch = Scratch::default();
            let found = assign(&weights, n, m, &mut scratch);
            let wanted = naive::assign(&weights, n, m);
            prop_assert_eq!(Some(found), wanted.as_deref());
        }
    }

    proptest! {
        #[test]
        fn the_sum_is_that_of_the_naive_version(
            n in 0..7_usize, m in 0..7_usize, all in prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0], 49),
        ) {
            let weights = &all[..n * m];
            let mut scratch = Scratch::default();
            let found = total(weights, m, assign(weights, n, m, &mut scratch));
            let wanted = naive::assign(weights, n, m).map(|pairs| total(weights, m, &pairs));
            prop_assert!(wanted.is_some_and(|wanted| (found - wanted).abs() < 1e-9));
        }
    }
}
