//! Numbers and expressions against each other.

use std::collections::BTreeSet;
use std::sync::Arc;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Signed, ToPrimitive, Zero};

use super::enclosure::{At, Enclosure, Interval, Naming, POINTS, enclose};
use super::poly::{Atom, Budget, Function, Poly};
use super::rule::{Decision, Rule};
use super::shape::Scalar;
use super::trig::substituted;
use super::unit::Unit;
use super::value::Value;

/// A decimal agrees with a number when both round to the same at so many places, as math-verify has it.
const ROUNDING_PLACES: u32 = 6;

/// Compares two numbers or expressions.
pub(super) fn compare(gold: &Scalar, predicted: &Scalar, budget: &mut Budget) -> Decision {
    try_compare(gold, predicted, budget).unwrap_or(Decision::UNDECIDED)
}

fn try_compare(gold: &Scalar, predicted: &Scalar, budget: &mut Budget) -> Option<Decision> {
    if let (Some(a), Some(b)) = (&gold.unit, &predicted.unit) {
        return units(gold, a, predicted, b, budget);
    }
    if gold.percent != predicted.percent {
        let decision = values(gold, predicted, budget)?;
        if decision.is_equal() {
            return Some(decision.by(Rule::Percent));
        }
        // 10% and 10: the sign may have been left out.
        let hundred = Value::integer(100);
        let (percent, other) = if gold.percent { (gold, predicted) } else { (predicted, gold) };
        let scaled = Scalar { value: percent.value.times(&hundred, budget)?, ..percent.clone() };
        return Some(if values(&scaled, other, budget)?.is_different() { decision } else { Decision::UNDECIDED });
    }
    let is_degree = |scalar: &Scalar| scalar.value.has(|atom| matches!(atom, Atom::Degree));
    if is_degree(gold) != is_degree(predicted) {
        if gold.unit.is_some() || predicted.unit.is_some() {
            return Some(Decision::different(Rule::Unit)); // 60 degrees and 60 minutes
        }
        return degrees(gold, predicted, budget);
    }
    let decision = values(gold, predicted, budget)?;
    let unit = gold.unit.is_some() || predicted.unit.is_some();
    Some(if unit { decision.by(Rule::Unit) } else { decision })
}

/// Amounts with units on both sides.
fn units(gold: &Scalar, a: &Unit, predicted: &Scalar, b: &Unit, budget: &mut Budget) -> Option<Decision> {
    if a == b {
        return Some(values(gold, predicted, budget)?.by(Rule::Unit));
    }
    let (Unit::Known(kind, size), Unit::Known(other_kind, other_size)) = (a, b) else {
        return Some(Decision::UNDECIDED);
    };
    if kind != other_kind {
        return Some(Decision::different(Rule::Unit));
    }
    let convert = |scalar: &Scalar, size: &BigRational, budget: &mut Budget| {
        let value = scalar.value.times(&Value::rational(size.clone()), budget)?;
        // Rounded in one unit, it need not be so in the other.
        Some(Scalar { value, places: None, ..scalar.clone() })
    };
    let (gold, predicted) = (convert(gold, size, budget)?, convert(predicted, other_size, budget)?);
    Some(values(&gold, &predicted, budget)?.by(Rule::Unit))
}

/// Degrees on one side only: the sign may have been left out, or the other may be in radians.
fn degrees(gold: &Scalar, predicted: &Scalar, budget: &mut Budget) -> Option<Decision> {
    let radians = Poly::atom(Atom::Pi).scaled(&BigRational::new(1.into(), 180.into()), budget)?;
    let mut all_different = true;
    for degree in [Poly::constant(BigRational::one()), radians] {
        let read = |scalar: &Scalar, budget: &mut Budget| {
            Some(Scalar { value: substituted(&scalar.value, &degree, budget)?, ..scalar.clone() })
        };
        let decision = values(&read(gold, budget)?, &read(predicted, budget)?, budget)?;
        if decision.is_equal() {
            return Some(decision.by(Rule::Unit));
        }
        all_different &= decision.is_different();
    }
    Some(if all_different { Decision::different(Rule::Unit) } else { Decision::UNDECIDED })
}

/// Whether the values are equal, whatever their units.
fn values(gold: &Scalar, predicted: &Scalar, budget: &mut Budget) -> Option<Decision> {
    let (a, b) = (&gold.value, &predicted.value);
    if let (Some(x), Some(y)) = (a.as_rational(), b.as_rational()) {
        return Some(rationals(gold, &x, predicted, &y));
    }
    let depth = depth(a).max(depth(b));
    let rule = DEPTHS[depth];
    if a.same(b, budget)? {
        // "no" and "on" are the same product of letters.
        let sure = confirmed(a, b, depth) && !(gold.letters && predicted.letters);
        return Some(if sure { Decision::equal(rule) } else { Decision::UNDECIDED });
    }
    let decimal = gold.decimal || predicted.decimal;
    let names = (variables(a), variables(b));
    if decimal && names.0.is_empty() && names.1.is_empty() {
        return Some(near(gold, predicted));
    }
    // 3r and 3R, x + C and x + c, 2n + 1 and 2k + 1: nobody knows whether the letters were meant to differ.
    if names.0 != names.1
        && let Some(naming) = Naming::alike(&names.0, &names.1)
        && !apart(a, b, naming, 1e-3)
    {
        return Some(Decision::UNDECIDED);
    }
    if families(a, &names.0) && families(b, &names.1) {
        return Some(Decision::UNDECIDED);
    }
    if !decimal && canonical(a, b) {
        return Some(Decision::different(rule));
    }
    let gap = if decimal { 1e-3 } else { 0.0 };
    Some(if apart(a, b, Naming::Own, gap) {
        Decision::different(Rule::IntervalArithmetic)
    } else {
        Decision::UNDECIDED
    })
}

/// Two rational numbers: exactly, unless one may be the other rounded.
fn rationals(gold: &Scalar, a: &BigRational, predicted: &Scalar, b: &BigRational) -> Decision {
    let whole = |scalar: &Scalar, value: &BigRational| !scalar.decimal && value.is_integer();
    let rule = if whole(gold, a) && whole(predicted, b) { Rule::Integer } else { Rule::Rational };
    if a == b {
        return Decision::equal(rule);
    }
    if !gold.decimal && !predicted.decimal {
        return Decision::different(rule);
    }
    let gap = (a - b).abs();
    let scale = a.abs().max(b.abs());
    let six: BigRational = Pow::pow(BigRational::from_integer(10.into()), ROUNDING_PLACES);
    if (a * &six).round() == (b * &six).round() && &gap * BigRational::from_integer(100_000.into()) <= scale {
        return Decision::equal(Rule::Rounding);
    }
    let thousandth = BigRational::new(BigInt::one(), 1000.into()) * (scale + BigRational::one());
    if gap > thousandth {
        return Decision::different(rule);
    }
    // Which of them may be the other rounded or cut off: the one with fewer digits after the point, where these are
    // known. Zero is nothing rounded.
    let places = |scalar: &Scalar, value: &BigRational| match scalar.places {
        None if scalar.decimal => None,
        None => Some(if value.is_integer() { 0 } else { u32::MAX }),
        places => places,
    };
    let (Some(x), Some(y)) = (places(gold, a), places(predicted, b)) else { return Decision::UNDECIDED };
    let shorter = if x < y { a } else { b };
    let unit: BigRational =
        Pow::pow(BigRational::from_integer(10.into()), -i32::try_from(x.min(y)).unwrap_or(i32::MAX / 2).min(400));
    if x == y || shorter.is_zero() || gap > unit { Decision::different(rule) } else { Decision::UNDECIDED }
}

/// A decimal and a number that is not rational, or two such.
fn near(gold: &Scalar, predicted: &Scalar) -> Decision {
    let (Some(a), Some(b)) = (enclose(&gold.value, At::FIRST), enclose(&predicted.value, At::FIRST)) else {
        return Decision::UNDECIDED;
    };
    let flat = |x: Enclosure| x.imaginary.low == 0.0 && x.imaginary.high == 0.0;
    if !flat(a) || !flat(b) {
        return if a.is_far(b, 1e-3) { Decision::different(Rule::IntervalArithmetic) } else { Decision::UNDECIDED };
    }
    let (a, b) = (a.real, b.real);
    let rounded = |x: f64| (x * 1e6).round();
    let whole = |x: Interval| ((rounded(x.low) - rounded(x.high)).abs() < 0.5).then(|| rounded(x.low));
    let widest = (a.high - b.low).abs().max((b.high - a.low).abs());
    if let (Some(x), Some(y)) = (whole(a), whole(b))
        && (x - y).abs() < 0.5
        && widest * 1e5 <= a.low.abs().min(b.low.abs())
    {
        return Decision::equal(Rule::Rounding);
    }
    let gap = if a.is_apart(b) { (a.low - b.high).max(b.low - a.high) } else { 0.0 };
    let thousandth = (a.low.abs().max(b.low.abs()) + 1.0) / 1000.0;
    let unit = |scalar: &Scalar| scalar.places.map(|places| 10_f64.powi(-places.to_i32().unwrap_or(i32::MAX)));
    let units = [unit(gold), unit(predicted)];
    let known = units.iter().any(Option::is_some);
    let within = units.iter().flatten().any(|unit| gap <= unit * (1.0 + 1e-9));
    if gap > thousandth || known && !within {
        Decision::different(Rule::IntervalArithmetic)
    } else {
        Decision::UNDECIDED
    }
}

/// Whether the enclosures at some point are further apart than the gap, in parts of the larger value.
fn apart(a: &Value, b: &Value, naming: Naming, gap: f64) -> bool {
    (0..POINTS).any(|point| {
        let at = At { point, naming };
        matches!((enclose(a, at), enclose(b, at)), (Some(a), Some(b)) if a.is_far(b, gap))
    })
}

/// A second look at an equality: wherever both values can be enclosed, the enclosures meet. For what is more than a
/// quotient of polynomials they must do so at one point at least.
fn confirmed(a: &Value, b: &Value, depth: usize) -> bool {
    let mut met = a == b || DEPTHS[depth] != Rule::Expression;
    for point in 0..POINTS {
        let at = At { point, naming: Naming::Own };
        if let (Some(a), Some(b)) = (enclose(a, at), enclose(b, at)) {
            if a.is_far(b, 0.0) {
                return false;
            }
            met = true;
        }
    }
    met
}

/// The rules of values by what they are made of.
const DEPTHS: [Rule; 6] =
    [Rule::Rational, Rule::Radical, Rule::Constant, Rule::Polynomial, Rule::RationalFunction, Rule::Expression];

/// An index into [`DEPTHS`].
fn depth(value: &Value) -> usize {
    let mut depth = 0;
    let mut names = false;
    value.visit(|atom| {
        names |= matches!(atom, Atom::Variable(_));
        depth = depth.max(match atom {
            Atom::I | Atom::Prime(_) => 1,
            Atom::Pi | Atom::E | Atom::Degree | Atom::LogPrime(_) => 2,
            Atom::Variable(_) => 3,
            Atom::Exp(_) | Atom::Radical(_) | Atom::Function(..) => 5,
        });
    });
    match depth {
        5 if !names => 2,
        0..=3 if names && !value.is_poly() => 4,
        depth => depth,
    }
}

/// Whether different forms are different values: among the atoms are independent ones only, that is roots of primes, i,
/// variables, and at most one of the transcendental numbers.
fn canonical(a: &Value, b: &Value) -> bool {
    let mut transcendental: Option<Atom> = None;
    let mut independent = true;
    for value in [a, b] {
        value.visit(|atom| match atom {
            Atom::I | Atom::Prime(_) | Atom::Variable(_) => {}
            Atom::Pi | Atom::E | Atom::Degree | Atom::LogPrime(_) => {
                independent &= transcendental.get_or_insert_with(|| atom.clone()) == atom;
            }
            Atom::Exp(_) | Atom::Radical(_) | Atom::Function(..) => independent = false,
        });
    }
    independent
}

/// Whether it looks like a family over the integers, which has many writings: `\frac{\pi}{4} + k\pi`.
fn families(value: &Value, names: &BTreeSet<Arc<str>>) -> bool {
    names.iter().any(|name| matches!(&**name, "k" | "n" | "m"))
        && value.has(|atom| matches!(atom, Atom::Pi | Atom::Function(Function::Sin | Function::Cos, _)))
}

fn variables(value: &Value) -> BTreeSet<Arc<str>> {
    let mut names = BTreeSet::new();
    value.visit(|atom| {
        if let Atom::Variable(name) = atom {
            names.insert(name.clone());
        }
    });
    names
}
