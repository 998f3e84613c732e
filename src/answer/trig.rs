//! Trigonometric functions at rational multiples of pi, and their inverses at the values that everybody knows.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::poly::{Atom, Budget, Exponent, Function, Poly};
use super::value::Value;

/// The sine.
pub(super) fn sin(angle: &Value, budget: &mut Budget) -> Option<Value> {
    let angle = radians(angle, budget)?;
    let Some(turns) = multiple_of_pi(&angle) else {
        // sin(-x) = -sin x
        if leads_negative(&angle) {
            return Some(Value::function(Function::Sin, vec![angle.negated()]).negated());
        }
        return Some(Value::function(Function::Sin, vec![angle]));
    };
    sin_pi(&turns, budget)
}

/// The cosine.
pub(super) fn cos(angle: &Value, budget: &mut Budget) -> Option<Value> {
    let angle = radians(angle, budget)?;
    match multiple_of_pi(&angle) {
        Some(turns) => sin_pi(&(turns + BigRational::new(1.into(), 2.into())), budget),
        None if leads_negative(&angle) => Some(Value::function(Function::Cos, vec![angle.negated()])),
        None => Some(Value::function(Function::Cos, vec![angle])),
    }
}

/// The tangent.
pub(super) fn tan(angle: &Value, budget: &mut Budget) -> Option<Value> {
    sin(angle, budget)?.over(&cos(angle, budget)?, budget)
}

/// The inverse of sine, cosine or tangent.
pub(super) fn inverse(function: Function, value: &Value, budget: &mut Budget) -> Option<Value> {
    for twelfths in -6_i64..=6 {
        let turns = BigRational::new(twelfths.into(), 12.into());
        let (known, turns) = match function {
            Function::Asin => (sin_pi(&turns, budget)?, turns),
            Function::Acos => {
                let turns = turns + BigRational::new(1.into(), 2.into());
                (sin_pi(&(&turns + BigRational::new(1.into(), 2.into())), budget)?, turns)
            }
            Function::Atan if twelfths.abs() < 6 => {
                let cosine = sin_pi(&(&turns + BigRational::new(1.into(), 2.into())), budget)?;
                (sin_pi(&turns, budget)?.over(&cosine, budget)?, turns)
            }
            _ => continue,
        };
        if value.same(&known, budget)? {
            return Some(Value::poly(
                Poly::term(vec![(Atom::Pi, Exponent::one())], BigRational::one()).scaled(&turns, budget)?,
            ));
        }
    }
    Some(Value::function(function, vec![value.clone()]))
}

/// sin(turns * pi).
fn sin_pi(turns: &BigRational, budget: &mut Budget) -> Option<Value> {
    let two = BigRational::from_integer(2.into());
    let mut turns = turns - (turns / &two).floor() * &two;
    let mut negative = false;
    if turns >= BigRational::one() {
        turns -= BigRational::one();
        negative = true;
    }
    if turns > BigRational::new(1.into(), 2.into()) {
        turns = BigRational::one() - turns;
    }
    let value = match (&turns * BigRational::from_integer(12.into())).to_integer().to_i64() {
        Some(twelfths) if turns == BigRational::new(twelfths.into(), 12.into()) => match twelfths {
            0 => Value::integer(0),
            2 => Value::rational(half()),
            3 => roots(&[(&[2], 1)], 2),
            4 => roots(&[(&[3], 1)], 2),
            6 => Value::integer(1),
            1 => roots(&[(&[2, 3], 1), (&[2], -1)], 4),
            _ => roots(&[(&[2, 3], 1), (&[2], 1)], 4),
        },
        _ => {
            let angle = Poly::term(vec![(Atom::Pi, Exponent::one())], BigRational::one()).scaled(&turns, budget)?;
            Value::function(Function::Sin, vec![Value::poly(angle)])
        }
    };
    Some(if negative { value.negated() } else { value })
}

fn half() -> BigRational {
    BigRational::new(1.into(), 2.into())
}

/// A sum of signed square roots of products of primes, over a number.
fn roots(terms: &[(&[u64], i64)], over: i64) -> Value {
    let mut sum = Poly::default();
    for (primes, sign) in terms {
        let monomial = primes.iter().map(|prime| (Atom::Prime(*prime), Exponent::new(1, 2))).collect();
        sum.0.insert(monomial, BigRational::new(BigInt::from(*sign), BigInt::from(over)));
    }
    Value::poly(sum)
}

/// The angle with degrees turned into radians.
fn radians(angle: &Value, budget: &mut Budget) -> Option<Value> {
    if !angle.has(|atom| matches!(atom, Atom::Degree)) {
        return Some(angle.clone());
    }
    let degree = Poly::term(vec![(Atom::Pi, Exponent::one())], BigRational::new(1.into(), 180.into()));
    substituted(angle, &degree, budget)
}

/// The value with the degree replaced by something; `None` where it stands inside a function.
pub(super) fn substituted(value: &Value, degree: &Poly, budget: &mut Budget) -> Option<Value> {
    let mut replace = |poly: &Poly| -> Option<Poly> {
        let mut sum = Poly::default();
        for (monomial, coefficient) in &poly.0 {
            let mut term = Poly::constant(coefficient.clone());
            let rest: Vec<_> = monomial.iter().filter(|(atom, _)| *atom != Atom::Degree).cloned().collect();
            for (_, exponent) in monomial.iter().filter(|(atom, _)| *atom == Atom::Degree) {
                let power = u32::try_from(*exponent.numer()).ok().filter(|_| exponent.is_integer())?;
                term = term.times(&degree.power(power, budget)?, budget)?;
            }
            sum = sum.plus(&term.times(&Poly::term(rest, BigRational::one()), budget)?, budget)?;
        }
        Some(sum)
    };
    let (num, den) = (Value::poly(replace(&value.num)?), Value::poly(replace(&value.den)?));
    num.over(&den, budget)
}

/// The factor of pi, if the angle is a rational multiple of it.
fn multiple_of_pi(angle: &Value) -> Option<BigRational> {
    if angle.is_zero() {
        return Some(BigRational::zero());
    }
    let (monomial, coefficient) = angle.is_poly().then(|| angle.num.single())??;
    matches!(monomial.as_slice(), [(Atom::Pi, one)] if one.is_one()).then(|| coefficient.clone())
}

fn leads_negative(value: &Value) -> bool {
    value.num.0.last_key_value().is_some_and(|(_, coefficient)| coefficient.is_negative())
}
