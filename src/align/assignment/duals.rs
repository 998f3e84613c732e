//! The assignment problem and its dual, solved together.

use super::{Matrix, NONE, Partners, refill};

/// A price for each call, such that no pair's weight exceeds the sum of its two prices.
///
/// After [`Duals::solve`], prices are not negative, every pair's weight is the sum of its prices, and a call without a
/// partner costs 0. So the sum of all prices is the sum of the pairs' weights, and no assignment has a greater one: its
/// sum is at most that of the prices of the calls that it pairs. An assignment is therefore maximal if and only if its
/// pairs are tight (their weight is the sum of their prices) and it leaves out no call whose price is positive.
#[derive(Clone, Debug, Default)]
pub(super) struct Duals {
    pub(super) references: Vec<i64>,
    pub(super) calls: Vec<i64>,
    search: Search,
}

/// The search for a shortest path that adds one row.
#[derive(Clone, Debug, Default)]
struct Search {
    /// The row that each column has.
    rows: Vec<usize>,
    /// The least slack of an edge from the rows reached to each column.
    slack: Vec<i64>,
    /// The column of the row at that edge; [`NONE`] for the row where the search began.
    from: Vec<usize>,
    reached: Vec<bool>,
}

impl Duals {
    /// Whether a reference and a call may be a pair of a maximal assignment, as far as they alone decide.
    pub(super) fn is_tight(&self, matrix: &Matrix, reference: usize, call: usize) -> bool {
        let weight = matrix.at(reference, call);
        weight > 0 && weight == self.references[reference] + self.calls[call]
    }

    /// Finds a maximal assignment by shortest augmenting paths, one for each row of the smaller side.
    pub(super) fn solve(&mut self, matrix: &Matrix, partners: &mut Partners) {
        refill(&mut self.references, matrix.references, 0);
        refill(&mut self.calls, matrix.calls, 0);
        let Self { references, calls, search } = self;
        if matrix.references <= matrix.calls {
            search.solve(references, calls, |row, column| matrix.at(row, column));
        } else {
            search.solve(calls, references, |row, column| matrix.at(column, row));
        }
        for (column, row) in search.rows.iter().enumerate().filter(|(_, row)| **row != NONE) {
            let (reference, call) = if matrix.references <= matrix.calls { (*row, column) } else { (column, *row) };
            if matrix.at(reference, call) > 0 {
                partners.join(reference, call);
            }
        }
    }
}

impl Search {
    fn solve(&mut self, row_prices: &mut [i64], column_prices: &mut [i64], weight: impl Fn(usize, usize) -> i64) {
        let columns = column_prices.len();
        refill(&mut self.rows, columns, NONE);
        for first in 0..row_prices.len() {
            // At its greatest weight, the row is covered whatever the other prices, which are not negative.
            row_prices[first] = (0..columns).map(|column| weight(first, column)).max().unwrap_or(0);
            refill(&mut self.slack, columns, i64::MAX);
            refill(&mut self.from, columns, NONE);
            refill(&mut self.reached, columns, false);
            let (mut row, mut column) = (first, NONE);
            // There is a free column left, since there are no fewer columns than rows.
            let end = loop {
                let mut nearest = NONE;
                for (next, price) in column_prices.iter().enumerate() {
                    if self.reached[next] {
                        continue;
                    }
                    let slack = row_prices[row] + price - weight(row, next);
                    if slack < self.slack[next] {
                        (self.slack[next], self.from[next]) = (slack, column);
                    }
                    if nearest == NONE || self.nearness(next) < self.nearness(nearest) {
                        nearest = next;
                    }
                }
                self.shift(first, self.slack[nearest], row_prices, column_prices);
                if self.rows[nearest] == NONE {
                    break nearest;
                }
                self.reached[nearest] = true;
                (row, column) = (self.rows[nearest], nearest);
            };
            self.augment(first, end);
        }
    }

    /// The order of columns: by slack, and of equals those without a row first, at which the search ends.
    fn nearness(&self, column: usize) -> (i64, bool) {
        (self.slack[column], self.rows[column] != NONE)
    }

    /// Lowers the prices of the rows reached and raises those of their columns, until one more edge is tight.
    fn shift(&mut self, first: usize, delta: i64, row_prices: &mut [i64], column_prices: &mut [i64]) {
        if delta == 0 {
            return;
        }
        row_prices[first] -= delta;
        for (column, reached) in self.reached.iter().enumerate() {
            if *reached {
                row_prices[self.rows[column]] -= delta;
                column_prices[column] += delta;
            } else if self.slack[column] < i64::MAX {
                self.slack[column] -= delta;
            }
        }
    }

    /// Gives each column of the path the row of the column before, and the first of them the new row.
    fn augment(&mut self, first: usize, end: usize) {
        let mut column = end;
        loop {
            let before = self.from[column];
            self.rows[column] = if before == NONE { first } else { self.rows[before] };
            if before == NONE {
                return;
            }
            column = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ONE;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_prices_prove_the_assignment_maximal(
            references in 1..30_usize, calls in 1..30_usize,
            all in prop::collection::vec(prop_oneof![Just(0), Just(ONE), 0..4_i64, 0..=ONE], 900),
        ) {
            let matrix = Matrix { weights: all[..references * calls].to_vec(), references, calls };
            let (mut duals, mut partners) = (Duals::default(), Partners::default());
            partners.reset(references, calls);
            duals.solve(&matrix, &mut partners);
            let mut sum = 0;
            for reference in 0..references {
                for call in 0..calls {
                    prop_assert!(duals.references[reference] + duals.calls[call] >= matrix.at(reference, call));
                }
                let call = partners.of_reference[reference];
                if call != NONE {
                    prop_assert_eq!(partners.of_call[call], reference);
                    sum += matrix.at(reference, call);
                }
            }
            prop_assert!(duals.references.iter().chain(&duals.calls).all(|price| *price >= 0));
            prop_assert_eq!(duals.references.iter().chain(&duals.calls).sum::<i64>(), sum);
        }
    }
}
