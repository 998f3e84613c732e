//! Powers, roots and logarithms of exact values, where an exact form exists on the principal branch.

use std::sync::Arc;

use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use super::poly::{Atom, Budget, Exponent, Function, Monomial, Poly, bounded};
use super::trig;
use super::value::{Value, exponent, factored};

/// `base^power`.
pub(super) fn power(base: &Value, power: &Value, budget: &mut Budget) -> Option<Value> {
    if let Some(rational) = power.as_rational() {
        if rational.is_integer() {
            return base.power(i64::try_from(rational.numer()).ok()?, budget);
        }
        return fractional(base, exponent(&rational)?, budget);
    }
    // a^x = e^(x ln a) by definition.
    let logarithm = ln(base, budget)?;
    exp(&logarithm.times(power, budget)?, budget)
}

/// The real n-th root where there is one, `\sqrt[n]{}`.
pub(super) fn root(value: &Value, degree: u32, budget: &mut Budget) -> Option<Value> {
    if !(2..=32).contains(&degree) {
        return None;
    }
    let exponent = Exponent::new(1, i64::from(degree));
    if degree % 2 == 1 && value.as_rational().is_some_and(|rational| rational.is_negative()) {
        return Some(fractional(&value.negated(), exponent, budget)?.negated());
    }
    fractional(value, exponent, budget)
}

/// `e^value`.
pub(super) fn exp(value: &Value, budget: &mut Budget) -> Option<Value> {
    if !value.is_poly() {
        return Some(Value::function(Function::Power, vec![Value::atom(Atom::E), value.clone()]));
    }
    let mut product = Value::integer(1);
    for (monomial, coefficient) in &value.num.0 {
        let factor = exp_term(monomial, coefficient, budget)?;
        product = product.times(&factor, budget)?;
    }
    Some(product)
}

/// The natural logarithm, principal branch.
pub(super) fn ln(value: &Value, budget: &mut Budget) -> Option<Value> {
    if !value.is_poly() || value.is_zero() {
        return opaque_ln(value);
    }
    let (content, rest) = if let Some((monomial, coefficient)) = value.num.single() {
        (coefficient.clone(), Poly::term(monomial.clone(), BigRational::one()))
    } else {
        let content = value.num.content();
        let rest = value.num.scaled(&content.recip(), budget)?;
        (content, rest)
    };
    let mut sum = Poly::default();
    for (prime, count) in factored(&content, budget)? {
        let count = BigRational::from_integer(count.into());
        sum = sum.plus(&Poly::atom(Atom::LogPrime(prime)).scaled(&count, budget)?, budget)?;
    }
    let mut left: Monomial = Vec::new();
    for (atom, exponent) in rest.single().map(|(monomial, _)| monomial.as_slice()).unwrap_or_default() {
        let times = rational(*exponent);
        let term = match atom {
            Atom::Prime(prime) => Poly::atom(Atom::LogPrime(*prime)).scaled(&times, budget)?,
            Atom::E => Poly::constant(times),
            Atom::Exp(inner) if atom.is_positive() => Poly::term(inner.as_ref().clone(), times),
            Atom::Pi => opaque_ln(&Value::atom(Atom::Pi))?.num.scaled(&times, budget)?,
            _ => {
                left.push((atom.clone(), *exponent));
                continue;
            }
        };
        sum = sum.plus(&term, budget)?;
    }
    let rest = if rest.single().is_some() { Poly::term(left, BigRational::one()) } else { rest };
    if !rest.as_constant().is_some_and(|rest| rest.is_one()) {
        sum = sum.plus(&opaque_ln(&Value::poly(rest))?.num, budget)?;
    }
    Some(Value::poly(sum))
}

fn opaque_ln(value: &Value) -> Option<Value> {
    (!value.is_zero()).then(|| Value::function(Function::Ln, vec![value.clone()]))
}

/// `e^(coefficient * monomial)`.
fn exp_term(monomial: &Monomial, coefficient: &BigRational, budget: &mut Budget) -> Option<Value> {
    if monomial.is_empty() {
        let exponent = exponent(coefficient)?;
        return Some(Value::poly(Poly::term(vec![(Atom::E, exponent)], BigRational::one())));
    }
    if let [(Atom::LogPrime(prime), one)] = monomial.as_slice()
        && one.is_one()
    {
        let prime = Value::rational(BigRational::from_integer((*prime).into()));
        let whole = coefficient.floor();
        let part = exponent(&(coefficient - &whole))?;
        let power = prime.power(i64::try_from(whole.numer()).ok()?, budget)?;
        return if part.is_zero() { Some(power) } else { power.times(&fractional(&prime, part, budget)?, budget) };
    }
    if let [(Atom::Function(Function::Ln, argument), one)] = monomial.as_slice()
        && one.is_one()
        && coefficient.is_integer()
    {
        return argument.first()?.power(i64::try_from(coefficient.numer()).ok()?, budget);
    }
    if let [(Atom::I, _), (Atom::Pi, one)] = monomial.as_slice()
        && one.is_one()
    {
        let angle = Poly::term(vec![(Atom::Pi, Exponent::one())], coefficient.clone());
        let cosine = trig::cos(&Value::poly(angle.clone()), budget)?;
        let sine = trig::sin(&Value::poly(angle), budget)?;
        return cosine.plus(&sine.times(&Value::atom(Atom::I), budget)?, budget);
    }
    let exponent = exponent(coefficient)?;
    let atom = Atom::Exp(Arc::new(monomial.clone()));
    Some(Value::poly(Poly::term(vec![(atom, exponent)], BigRational::one())))
}

fn rational(exponent: Exponent) -> BigRational {
    BigRational::new((*exponent.numer()).into(), (*exponent.denom()).into())
}

/// A power whose exponent is no integer.
fn fractional(base: &Value, exponent: Exponent, budget: &mut Budget) -> Option<Value> {
    if base.is_zero() {
        return (exponent > Exponent::zero()).then(|| Value::integer(0));
    }
    if !base.is_poly() {
        // (a/b)^r = a^r / b^r needs b > 0; a power of what is no polynomial is left as it is.
        let positive = super::enclosure::is_positive(&Value::poly(base.den.clone()));
        if !positive {
            return Some(Value::function(Function::Power, vec![base.clone(), Value::rational(rational(exponent))]));
        }
        let top = fractional(&Value::poly(base.num.clone()), exponent, budget)?;
        let bottom = fractional(&Value::poly(base.den.clone()), exponent, budget)?;
        return top.over(&bottom, budget);
    }
    match base.num.single() {
        Some((monomial, coefficient)) => single(monomial, coefficient, exponent, budget),
        None => several(&base.num, exponent, budget),
    }
}

fn single(monomial: &Monomial, coefficient: &BigRational, power: Exponent, budget: &mut Budget) -> Option<Value> {
    let mut result = constant(&coefficient.abs(), power, budget)?;
    let mut rest: Monomial = Vec::new();
    for (atom, exponent) in monomial {
        let simple = matches!(atom, Atom::Variable(_)) && *exponent > -Exponent::one() && *exponent <= Exponent::one();
        // (x^a)^b = x^(ab) for -1 < a <= 1, and for all a where x > 0.
        if atom.is_positive() || simple && monomial.len() == 1 && coefficient.is_positive() {
            let power = bounded(exponent * power)?;
            result = result.times(&atom_power(atom, power, budget)?, budget)?;
        } else {
            rest.push((atom.clone(), *exponent));
        }
    }
    if rest.is_empty() && coefficient.is_positive() {
        return Some(result);
    }
    if rest.is_empty() {
        // The square root of a negative number; other roots of it have several readings.
        if *power.denom() != 2 {
            return None;
        }
        let unit = Value::atom(Atom::I).power(*power.numer(), budget)?;
        return result.times(&unit, budget);
    }
    let one = if coefficient.is_negative() { -BigRational::one() } else { BigRational::one() };
    result.times(&radical(Poly::term(rest, one), power, budget)?, budget)
}

fn several(poly: &Poly, power: Exponent, budget: &mut Budget) -> Option<Value> {
    let content = poly.content();
    let scaled = poly.scaled(&content.recip(), budget)?;
    constant(&content, power, budget)?.times(&radical(scaled, power, budget)?, budget)
}

/// A polynomial to a fractional power: its whole part multiplied out, a root of it for the rest.
fn radical(poly: Poly, power: Exponent, budget: &mut Budget) -> Option<Value> {
    let whole = power.floor();
    let atom = Atom::Radical(Arc::new(poly.clone()));
    let root = Value::poly(Poly::term(vec![(atom, power - whole)], BigRational::one()));
    root.times(&Value::poly(poly).power(whole.to_integer(), budget)?, budget)
}

/// A positive rational to a fractional power: a product of roots of primes.
fn constant(value: &BigRational, power: Exponent, budget: &mut Budget) -> Option<Value> {
    let mut product = Value::integer(1);
    for (prime, count) in factored(value, budget)? {
        let exponent = bounded(power * Exponent::from(count))?;
        product = product.times(&atom_power(&Atom::Prime(prime), exponent, budget)?, budget)?;
    }
    Some(product)
}

/// An atom's power, with the relations applied.
fn atom_power(atom: &Atom, exponent: Exponent, budget: &mut Budget) -> Option<Value> {
    let Atom::Prime(prime) = atom else {
        return Some(Value::poly(Poly::term(vec![(atom.clone(), exponent)], BigRational::one())));
    };
    let whole = exponent.floor();
    let integer = Value::rational(BigRational::from_integer((*prime).into())).power(whole.to_integer(), budget)?;
    let part = exponent - whole;
    if part.is_zero() {
        return Some(integer);
    }
    integer.times(&Value::poly(Poly::term(vec![(atom.clone(), part)], BigRational::one())), budget)
}
