//! Among maximal assignments, the one that gives the first references the first calls.

use super::duals::Duals;
use super::{Matrix, NONE, Partners, refill};

/// Turns a maximal assignment into the first of them, in the order that [`super::assign`] states.
///
/// References are settled one by one. To give a reference another call, that call's owner takes another one in turn, and
/// so on, along tight pairs, until someone takes the call that the reference left. On the way an owner whose price is 0
/// may be left without a call, and a call whose price is 0 without an owner: both are steps to and from a node of
/// their own, the pool. The calls from which such a path leads to the call that was left are found by a search backward
/// from it. A path visits no call twice, so what it yields is an assignment, maximal by its prices.
#[derive(Clone, Debug, Default)]
pub(super) struct Ties {
    /// The references that had a call at the start or got one later, so far as they still have it; those that were
    /// settled with one may be missing.
    owners: Vec<usize>,
    /// For each call, how many references that are neither settled nor have a call make a tight pair with it.
    takers: Vec<usize>,
    /// The next call on the path to the goal, or [`NONE`]; the last entry is the pool's.
    next: Vec<usize>,
    queue: Vec<usize>,
    /// The owners whose call the search may still reach.
    unreached: Vec<usize>,
}

/// What the search works on.
struct Problem<'a> {
    matrix: &'a Matrix,
    duals: &'a Duals,
    partners: &'a mut Partners,
    /// The reference that is being settled; those before it are.
    settling: usize,
    /// The node of the pool, after all calls.
    pool: usize,
}

impl Problem<'_> {
    fn is_tight(&self, reference: usize, call: usize) -> bool {
        self.duals.is_tight(self.matrix, reference, call)
    }

    fn call_of(&self, reference: usize) -> usize {
        self.partners.of_reference[reference]
    }

    fn owner_of(&self, call: usize) -> usize {
        self.partners.of_call[call]
    }

    /// The calls that are better for the reference being settled than its own, and not those of settled references.
    fn better(&self) -> impl Iterator<Item = usize> {
        // `NONE` is the greatest number, as an owner and as a call.
        (0..self.pool.min(self.call_of(self.settling)))
            .filter(|call| self.owner_of(*call) > self.settling && self.is_tight(self.settling, *call))
    }
}

impl Ties {
    pub(super) fn break_all(&mut self, matrix: &Matrix, duals: &Duals, partners: &mut Partners) {
        let mut problem = Problem { matrix, duals, partners, settling: 0, pool: matrix.calls };
        self.owners.clear();
        refill(&mut self.takers, matrix.calls, 0);
        for reference in 0..matrix.references {
            if problem.call_of(reference) == NONE {
                self.add_taker(&problem, reference);
            } else {
                self.owners.push(reference);
            }
        }
        for reference in 0..matrix.references {
            problem.settling = reference;
            if problem.call_of(reference) == NONE {
                self.remove_taker(&problem, reference);
            }
            let Some(best) = problem.better().next() else { continue };
            self.search(&problem, best);
            let found = problem.better().find(|call| self.next[*call] != NONE);
            if let Some(call) = found {
                self.follow(&mut problem, call);
            }
        }
    }

    /// Finds the calls from which a path leads to the call of the reference being settled, or, if it has none, to the
    /// pool: all of them, unless the best call is among them.
    fn search(&mut self, problem: &Problem<'_>, best: usize) {
        let pool = problem.pool;
        let goal = problem.call_of(problem.settling).min(pool);
        refill(&mut self.next, pool + 1, NONE);
        self.unreached.clear();
        self.unreached.extend(self.owners.iter().filter(|owner| **owner > problem.settling));
        self.queue.clear();
        self.reach(goal, goal);
        while self.next[best] == NONE
            && let Some(node) = self.queue.pop()
        {
            if node == pool {
                for call in 0..pool {
                    let owner = problem.owner_of(call);
                    let may_end = owner == NONE || (owner > problem.settling && problem.duals.references[owner] == 0);
                    if may_end {
                        self.reach(call, pool);
                    }
                }
                continue;
            }
            if problem.duals.calls[node] == 0 || self.takers[node] > 0 {
                self.reach(pool, node);
            }
            let mut at = 0;
            while let Some(owner) = self.unreached.get(at).copied() {
                let call = problem.call_of(owner);
                if self.next[call] == NONE && problem.is_tight(owner, node) {
                    self.reach(call, node);
                }
                if self.next[call] == NONE {
                    at += 1;
                } else {
                    self.unreached.swap_remove(at);
                }
            }
        }
    }

    fn reach(&mut self, node: usize, next: usize) {
        if self.next[node] == NONE {
            self.next[node] = next;
            self.queue.push(node);
        }
    }

    /// Gives the reference being settled a call, and the others theirs along the path from it.
    fn follow(&mut self, problem: &mut Problem<'_>, call: usize) {
        let (pool, goal) = (problem.pool, problem.call_of(problem.settling));
        if goal != NONE {
            problem.partners.of_call[goal] = NONE;
        }
        let (mut taker, mut call) = (problem.settling, call);
        loop {
            let owner = problem.owner_of(call);
            problem.partners.join(taker, call);
            if call == goal {
                return;
            }
            let mut next = self.next[call];
            taker = owner;
            if next == pool {
                if owner != NONE {
                    problem.partners.of_reference[owner] = NONE;
                    self.owners.retain(|other| *other != owner);
                    self.add_taker(problem, owner);
                }
                if goal == NONE {
                    return;
                }
                next = self.next[pool];
                taker = if problem.duals.calls[next] == 0 {
                    // Nobody takes this call; its owner goes on.
                    let owner = problem.owner_of(next);
                    if next == goal {
                        return;
                    }
                    problem.partners.of_call[next] = NONE;
                    next = self.next[next];
                    owner
                } else {
                    let idle = |other: &usize| problem.call_of(*other) == NONE && problem.is_tight(*other, next);
                    let Some(taker) = (problem.settling + 1..problem.matrix.references).find(idle) else { return };
                    self.remove_taker(problem, taker);
                    self.owners.push(taker);
                    taker
                };
            }
            call = next;
        }
    }

    fn add_taker(&mut self, problem: &Problem<'_>, reference: usize) {
        for (call, takers) in self.takers.iter_mut().enumerate() {
            *takers += usize::from(problem.is_tight(reference, call));
        }
    }

    fn remove_taker(&mut self, problem: &Problem<'_>, reference: usize) {
        for (call, takers) in self.takers.iter_mut().enumerate() {
            *takers -= usize::from(problem.is_tight(reference, call));
        }
    }
}
