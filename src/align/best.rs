//! The alignment of the greatest total similarity.

use super::assignment;
use super::pairs::{Pairs, Scratch as PairScratch};
use super::{Calls, Match};
use crate::json::same_text;

/// With more reference calls than this, each takes its best free call in turn.
const MAX_EXACT: usize = 64;

/// Up to so many pairs are all given to the assignment.
const FEW_PAIRS: usize = 4096;

/// Buffers for [`align`].
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// Buffers for comparing; cleared by [`align`].
    pub pairs: PairScratch,
    assignment: assignment::Scratch,
    weights: Vec<f64>,
    /// The student calls that are assigned, ascending.
    calls: Vec<usize>,
    /// The best calls of one reference call.
    best: Vec<(f64, usize)>,
}

/// Aligns a rollout's calls with a reference's: one-to-one, maximal in total similarity. `out` takes the matches in the
/// order of the reference's calls; pairs without similarity are none.
///
/// Time is linear in the student's calls. With n reference calls only the n best student calls of each can matter: where
/// a better one than those is assigned, one of the n is free and as good. So the assignment is given at most n * n calls, and is exact for
/// up to 64 reference calls. Beyond, each reference call takes its best free call in turn, of the first 4 n calls.
pub fn align<S: Calls, R: Calls>(pairs: &Pairs<'_, S, R>, out: &mut Vec<Match>, scratch: &mut Scratch) {
    out.clear();
    scratch.pairs.clear();
    let (n, m) = (pairs.reference.len(), pairs.student.len());
    if in_order(pairs, out, scratch) {
        return;
    }
    out.clear();
    scratch.pairs.repeats.find(pairs.student);
    if n == 0 || m == 0 {
        return;
    }
    let mut calls = std::mem::take(&mut scratch.calls);
    calls.clear();
    calls.extend((0..m).filter(|at| pairs.standing[*at].counts && is_wanted(pairs, *at, scratch)));
    scratch.calls = calls;
    if n > MAX_EXACT {
        scratch.calls.truncate(4 * n);
        greedy(pairs, out, scratch);
        return;
    }
    if scratch.calls.len() * n > FEW_PAIRS {
        keep_best(pairs, scratch);
    }
    scratch.weights.clear();
    for reference in 0..n {
        for call in &scratch.calls {
            scratch.weights.push(pairs.similarity(*call, reference, &mut scratch.pairs));
        }
    }
    let columns = scratch.calls.len();
    for pair in assignment::assign(&scratch.weights, n, columns, &mut scratch.assignment) {
        let similarity = scratch.weights[pair.reference * columns + pair.call];
        let (call, reference) = (scratch.calls[pair.call], pair.reference);
        let exact = is_exact(pairs, call, reference);
        out.push(Match { call, reference, similarity, exact });
    }
}

/// Whether a call takes part: one that was made before does only as often as the reference repeats it. It brings nothing
/// new; it must neither stand for a call that is a little like it, nor free the first one to do so.
fn is_wanted<S: Calls, R: Calls>(pairs: &Pairs<'_, S, R>, call: usize, scratch: &mut Scratch) -> bool {
    let before = scratch.pairs.repeats.rank(call);
    let n = pairs.reference.len();
    before == 0
        || before < n
            && (0..n).filter(|at| pairs.similarity(call, *at, &mut scratch.pairs) >= 1.0).nth(before).is_some()
}

impl Scratch {
    /// Whether a call without a match was made before with the same result: then it was for nothing. To be asked after
    /// [`align`].
    pub fn is_repeated(&self, calls: &impl Calls, call: usize) -> bool {
        self.pairs.repeats.of(call).is_some_and(|first| calls.result(call) == calls.result(first))
    }
}

/// Whether two calls are of the same tool, with the same arguments.
fn is_exact<S: Calls, R: Calls>(pairs: &Pairs<'_, S, R>, call: usize, reference: usize) -> bool {
    pairs.identical && call == reference
        || same_text(pairs.student.name(call), pairs.reference.name(reference))
            && pairs.student.arguments(call) == pairs.reference.arguments(reference)
}

/// Most good rollouts make the reference's calls in its order. No assignment is better than one of full similarities.
fn in_order<S: Calls, R: Calls>(pairs: &Pairs<'_, S, R>, out: &mut Vec<Match>, scratch: &mut Scratch) -> bool {
    let n = pairs.reference.len();
    n == pairs.student.len()
        && (0..n).all(|at| {
            let similarity = pairs.similarity(at, at, &mut scratch.pairs);
            let exact = is_exact(pairs, at, at);
            out.push(Match { call: at, reference: at, similarity, exact });
            similarity >= 1.0
        })
}

/// Keeps, for each of n reference calls, its n best student calls; of equals the first.
fn keep_best<S: Calls, R: Calls>(pairs: &Pairs<'_, S, R>, scratch: &mut Scratch) {
    let n = pairs.reference.len();
    let all = std::mem::take(&mut scratch.calls);
    let mut kept = Vec::with_capacity(n * n);
    for reference in 0..n {
        scratch.best.clear();
        for call in &all {
            let similarity = pairs.similarity(*call, reference, &mut scratch.pairs);
            let best = &mut scratch.best;
            if similarity <= 0.0 {
                continue;
            }
            if best.len() < n {
                best.push((similarity, *call));
                continue;
            }
            let least = (0..n).rev().min_by(|a, b| best[*a].0.total_cmp(&best[*b].0)).unwrap_or(0);
            if best[least].0 >= 1.0 {
                break;
            }
            if similarity > best[least].0 {
                best.remove(least);
                best.push((similarity, *call));
            }
        }
        kept.extend(scratch.best.iter().map(|(_, call)| *call));
    }
    kept.sort_unstable();
    kept.dedup();
    scratch.calls = kept;
}

fn greedy<S: Calls, R: Calls>(pairs: &Pairs<'_, S, R>, out: &mut Vec<Match>, scratch: &mut Scratch) {
    for reference in 0..pairs.reference.len() {
        let mut best: Option<(f64, usize)> = None;
        for (at, call) in scratch.calls.iter().enumerate() {
            let similarity = pairs.similarity(*call, reference, &mut scratch.pairs);
            if similarity > best.map_or(0.0, |(known, _)| known) {
                best = Some((similarity, at));
                if similarity >= 1.0 {
                    break;
                }
            }
        }
        if let Some((similarity, at)) = best {
            let call = scratch.calls.remove(at);
            let exact = is_exact(pairs, call, reference);
            out.push(Match { call, reference, similarity, exact });
        }
    }
}
