//! Sets, lists, unions and intervals against each other.

use std::collections::BTreeMap;

use super::compare::{compare, tuples};
use super::poly::Budget;
use super::rule::{Decision, Rule, Verdict};
use super::scalar;
use super::shape::{End, Shape, end};

/// Elements without order. `counted`: it matters how often they occur.
pub(super) fn members(a: &[Shape], b: &[Shape], counted: bool, budget: &mut Budget) -> Decision {
    if let Some((a, b)) = by_name(a, b) {
        return tuples(&a, &b, budget);
    }
    let mut table = Vec::with_capacity(a.len());
    for left in a {
        table.push(b.iter().map(|right| compare(left, right, budget).verdict).collect::<Vec<_>>());
    }
    let lost =
        |mut verdicts: Box<dyn Iterator<Item = Verdict> + '_>| verdicts.all(|verdict| verdict == Verdict::Different);
    let lost_row = table.iter().any(|row| lost(Box::new(row.iter().copied())));
    let lost_column = (0..b.len()).any(|at| lost(Box::new(table.iter().map(move |row| row[at]))));
    if lost_row || lost_column {
        return Decision::different(Rule::Set);
    }
    let names = |items: &[Shape]| items.iter().filter(|item| matches!(item, Shape::Assignment(..))).count();
    if names(a) != names(b) && names(a).max(names(b)) > 1 && distinct_names(a, b) {
        // x = 1, y = 2 and 2, 1.
        return Decision::UNDECIDED;
    }
    let found =
        |mut verdicts: Box<dyn Iterator<Item = Verdict> + '_>| verdicts.any(|verdict| verdict == Verdict::Equal);
    let all = table.iter().all(|row| found(Box::new(row.iter().copied())))
        && (0..b.len()).all(|at| found(Box::new(table.iter().map(move |row| row[at]))));
    if !all || counted && a.len() != b.len() {
        return Decision::UNDECIDED;
    }
    // 1, 1, 2 and 1, 2, 2 have the same elements, but not the same number of each.
    let single = |row: &Vec<Verdict>| row.iter().filter(|verdict| **verdict == Verdict::Equal).count() == 1;
    if counted && a.len() > 1 && !table.iter().all(single) && !(0..a.len()).all(|at| table[at][at] == Verdict::Equal) {
        return Decision::UNDECIDED;
    }
    Decision::equal(Rule::Set)
}

/// The values of assignments to the same names, sorted by name; `None` for anything else.
fn by_name(a: &[Shape], b: &[Shape]) -> Option<(Vec<Shape>, Vec<Shape>)> {
    let sorted = |items: &[Shape]| {
        let mut named = BTreeMap::new();
        for item in items {
            let Shape::Assignment(name, value) = item else { return None };
            if named.insert(name.clone(), (**value).clone()).is_some() {
                return None;
            }
        }
        Some(named)
    };
    let (a, b) = (sorted(a)?, sorted(b)?);
    a.keys().eq(b.keys()).then(|| (a.into_values().collect(), b.into_values().collect()))
}

fn distinct_names(a: &[Shape], b: &[Shape]) -> bool {
    let mut names: Vec<&str> = Vec::new();
    for item in a.iter().chain(b) {
        if let Shape::Assignment(name, _) = item
            && !names.contains(&&**name)
        {
            names.push(name);
        }
    }
    names.len() > 1
}

/// Unions of intervals and sets, part by part.
pub(super) fn unions(a: &[Shape], b: &[Shape], budget: &mut Budget) -> Decision {
    let decision = members(a, b, false, budget);
    if decision.is_equal() || decision.is_different() && separated(a) && separated(b) {
        return decision.by(Rule::Union);
    }
    Decision::UNDECIDED
}

/// Whether the parts are intervals in ascending order with something missing between them: then no other union of such
/// is the same set.
fn separated(parts: &[Shape]) -> bool {
    let ends: Option<Vec<_>> = parts.iter().map(ends).collect();
    ends.is_some_and(|ends| {
        ends.windows(2).all(|pair| match (&pair[0].1, &pair[1].0) {
            (End::At { scalar: high, closed }, End::At { scalar: low, closed: other }) => {
                let (high, low) = (Shape::Scalar((**high).clone()), Shape::Scalar((**low).clone()));
                let touching = matches!((&high, &low), (Shape::Scalar(a), Shape::Scalar(b)) if a.value == b.value);
                high.is_below(&low) == Some(true) || touching && !closed && !other
            }
            _ => false,
        })
    })
}

/// The ends of what is read as an interval.
fn ends(shape: &Shape) -> Option<(End, End)> {
    match shape {
        Shape::Interval(_, low, high) => Some((low.clone(), high.clone())),
        Shape::Tuple(items) | Shape::Square(items) if items.len() == 2 => {
            let closed = matches!(shape, Shape::Square(_));
            Some((end(items[0].clone(), closed, true)?, end(items[1].clone(), closed, false)?))
        }
        _ => None,
    }
}

/// Intervals by their ends.
pub(super) fn intervals(a: &Shape, b: &Shape, budget: &mut Budget) -> Decision {
    let (Some(a), Some(b)) = (ends(a), ends(b)) else { return Decision::UNDECIDED };
    let mut all = true;
    for (left, right) in [(&a.0, &b.0), (&a.1, &b.1)] {
        match (left, right) {
            (End::Infinite, End::Infinite) => {}
            (End::At { scalar: x, closed }, End::At { scalar: y, closed: other }) => {
                let decision = scalar::compare(x, y, budget);
                if closed != other || decision.is_different() {
                    return Decision::different(Rule::Interval);
                }
                all &= decision.is_equal();
            }
            _ => return Decision::different(Rule::Interval),
        }
    }
    if all { Decision::equal(Rule::Interval) } else { Decision::UNDECIDED }
}
