//! Equations and inequalities against each other.

use num_traits::{One, Signed};

use super::poly::{Atom, Budget};
use super::rule::{Decision, Rule};
use super::shape::{Relation, Scalar, Shape};
use super::value::Value;

/// `y = 2x + 3` against `2x - y + 3 = 0`.
pub(super) fn equations(gold: &Shape, predicted: &Shape, value: &Shape, budget: &mut Budget) -> Decision {
    let ((Shape::Assignment(name, _), Shape::Comparison(Relation::Equal, sides))
    | (Shape::Comparison(Relation::Equal, sides), Shape::Assignment(name, _))) = (gold, predicted)
    else {
        return Decision::UNDECIDED;
    };
    let Shape::Scalar(Scalar { value, .. }) = value else { return Decision::UNDECIDED };
    let Some(difference) = Value::atom(Atom::Variable(name.clone())).minus(value, budget) else {
        return Decision::UNDECIDED;
    };
    proportional(&difference, &sides.0, false, budget).by(Rule::Equation)
}

/// Two relations that are no assignments.
pub(super) fn comparisons(
    a: Relation,
    left: &(Value, Value),
    b: Relation,
    right: &(Value, Value),
    budget: &mut Budget,
) -> Decision {
    let rule = if a == Relation::Equal { Rule::Equation } else { Rule::Inequality };
    if a != b {
        return Decision::UNDECIDED;
    }
    let positive = matches!(a, Relation::Positive | Relation::NotNegative);
    proportional(&left.0, &right.0, positive, budget).by(rule)
}

/// Whether one difference is a multiple of the other, so that the equations have the same solutions.
fn proportional(a: &Value, b: &Value, positive: bool, budget: &mut Budget) -> Decision {
    let polynomials = a.is_poly() && b.is_poly() && !a.is_zero() && !b.is_zero();
    let (Some((_, x)), Some((_, y))) = (a.num.0.last_key_value(), b.num.0.last_key_value()) else {
        return Decision::UNDECIDED;
    };
    let factor = x / y;
    let same = b.num.scaled(&factor, budget).map(|scaled| scaled == a.num);
    match same {
        Some(true) if polynomials && (!positive || factor.is_positive()) => Decision::equal(Rule::Equation),
        // Lines and planes are the same only if their equations are multiples of each other.
        Some(false) if polynomials && !positive && is_linear(a) && is_linear(b) => Decision::different(Rule::Equation),
        _ => Decision::UNDECIDED,
    }
}

fn is_linear(value: &Value) -> bool {
    value.num.0.keys().all(|monomial| match monomial.as_slice() {
        [] => true,
        [(Atom::Variable(_), exponent)] => exponent.is_one(),
        _ => false,
    }) && value.num.0.keys().any(|monomial| !monomial.is_empty())
}
