//! The obviously right version of [`super::assignment`], for tests and fuzzing.

use super::assignment::Pair;

/// The most calls on either side: 7 by 7 calls have 130,922 assignments.
pub const LIMIT: usize = 7;

/// What [`super::assignment::assign`] finds, by trying every assignment; `None` beyond [`LIMIT`].
///
/// Sums are plain sums of floats. Where two of them differ by rounding alone, the pairs may differ too.
pub fn assign(weights: &[f64], n: usize, m: usize) -> Option<Vec<Pair>> {
    if n > LIMIT || m > LIMIT || weights.len() != n * m {
        return None;
    }
    let mut search = Search { weights, n, m, best: -1.0, best_pairs: Vec::new(), pairs: Vec::new() };
    search.descend(0, 0.0);
    Some(search.best_pairs)
}

struct Search<'a> {
    weights: &'a [f64],
    n: usize,
    m: usize,
    best: f64,
    best_pairs: Vec<Pair>,
    pairs: Vec<Pair>,
}

impl Search<'_> {
    /// Tries everything for the references from this one on: each call in order, then none. So of equal sums the one
    /// wanted comes first.
    fn descend(&mut self, reference: usize, sum: f64) {
        if reference == self.n {
            if sum > self.best {
                self.best = sum;
                self.best_pairs.clone_from(&self.pairs);
            }
            return;
        }
        for call in 0..self.m {
            let weight = self.weights[reference * self.m + call];
            if weight > 0.0 && self.pairs.iter().all(|pair| pair.call != call) {
                self.pairs.push(Pair { reference, call });
                self.descend(reference + 1, sum + weight);
                self.pairs.pop();
            }
        }
        self.descend(reference + 1, sum);
    }
}
