//! Nodes into exact values.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::node::{Call, Constant, Node};
use super::poly::{Atom, Budget, Function};
use super::value::Value;
use super::{enclosure, power, trig};

/// How the signs with several readings are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Plus for `\pm`.
    pub plus: bool,
    /// 10 for the base of `\log`; else e.
    pub ten: bool,
}

/// The value of an expression; `None` for structures, undefined results, and what lies beyond the bounds.
pub(super) fn value(node: &Node, reading: Reading, budget: &mut Budget) -> Option<Value> {
    budget.spend(1)?;
    let mut of = |node: &Node| value(node, reading, budget);
    Some(match node {
        Node::Number(number, _) => Value::rational(super::poly::small(number.clone())?),
        Node::Symbol(name) => Value::atom(Atom::Variable(name.clone())),
        Node::Constant(Constant::Pi) => Value::atom(Atom::Pi),
        Node::Constant(Constant::E) => Value::atom(Atom::E),
        Node::Constant(Constant::I) => Value::atom(Atom::I),
        Node::Constant(Constant::Degree) => Value::atom(Atom::Degree),
        Node::Negative(inner) => of(inner)?.negated(),
        Node::PlusMinus(inner, minus) => {
            let inner = of(inner)?;
            if reading.plus == *minus { inner.negated() } else { inner }
        }
        Node::Sum(terms) => {
            let mut sum = Value::integer(0);
            for term in terms {
                sum = sum.plus(&value(term, reading, budget)?, budget)?;
            }
            sum
        }
        Node::Product(factors) => {
            let mut product = Value::integer(1);
            for factor in factors {
                product = product.times(&value(factor, reading, budget)?, budget)?;
            }
            product
        }
        Node::Quotient(top, bottom) => {
            let (top, bottom) = (of(top)?, of(bottom)?);
            top.over(&bottom, budget)?
        }
        Node::Power(base, exponent) => {
            // e^x is the exponential function, not a power of a number that happens to be e.
            let (base, exponent) = (of(base)?, of(exponent)?);
            if base == Value::atom(Atom::E) && exponent.as_rational().is_none() {
                power::exp(&exponent, budget)?
            } else {
                power::power(&base, &exponent, budget)?
            }
        }
        Node::Percent(inner) => of(inner)?.over(&Value::integer(100), budget)?,
        Node::Call(call, arguments) => {
            let arguments = arguments.iter().map(of).collect::<Option<Vec<_>>>()?;
            apply(*call, &arguments, reading, budget)?
        }
        Node::Named(name, arguments) => {
            let arguments = arguments.iter().map(of).collect::<Option<Vec<_>>>()?;
            Value::function(Function::Named(name.clone()), arguments)
        }
        Node::InBase(digits, base) => Value::rational(in_base(digits, *base)?),
        Node::Constant(Constant::Infinity)
        | Node::Measured(..)
        | Node::Bracket(..)
        | Node::Set(_)
        | Node::List(_)
        | Node::Relation(..)
        | Node::Union(_)
        | Node::Matrix(_)
        | Node::Ratio(..)
        | Node::EmptySet
        | Node::Words(_)
        | Node::Board(_) => return None,
    })
}

/// Digits in a base as a number.
pub(super) fn in_base(digits: &str, base: u32) -> Option<BigRational> {
    if digits.len() > 128 || !digits.chars().all(|digit| digit.is_digit(base)) {
        return None;
    }
    BigInt::parse_bytes(digits.as_bytes(), base).map(BigRational::from_integer)
}

fn apply(call: Call, arguments: &[Value], reading: Reading, budget: &mut Budget) -> Option<Value> {
    let first = arguments.first()?;
    let one = Value::integer(1);
    Some(match call {
        Call::Sin => trig::sin(first, budget)?,
        Call::Cos => trig::cos(first, budget)?,
        Call::Tan => trig::tan(first, budget)?,
        Call::Cot => trig::cos(first, budget)?.over(&trig::sin(first, budget)?, budget)?,
        Call::Sec => one.over(&trig::cos(first, budget)?, budget)?,
        Call::Csc => one.over(&trig::sin(first, budget)?, budget)?,
        Call::Sinh | Call::Cosh | Call::Tanh => hyperbolic(call, first, budget)?,
        Call::Asin => trig::inverse(Function::Asin, first, budget)?,
        Call::Acos => trig::inverse(Function::Acos, first, budget)?,
        Call::Atan => trig::inverse(Function::Atan, first, budget)?,
        Call::Exp => power::exp(first, budget)?,
        Call::Ln => power::ln(first, budget)?,
        Call::Log if !reading.ten => power::ln(first, budget)?,
        Call::Log => power::ln(first, budget)?.over(&power::ln(&Value::integer(10), budget)?, budget)?,
        Call::LogBase => power::ln(arguments.get(1)?, budget)?.over(&power::ln(first, budget)?, budget)?,
        Call::Root => match first.as_rational().and_then(|degree| degree.is_integer().then(|| degree.to_u32())?) {
            Some(degree) => power::root(arguments.get(1)?, degree, budget)?,
            None => power::power(arguments.get(1)?, &one.over(first, budget)?, budget)?,
        },
        Call::Abs => absolute(first, budget)?,
        Call::Floor => rounded(first, Function::Floor, BigRational::floor),
        Call::Ceil => rounded(first, Function::Ceil, BigRational::ceil),
        Call::Factorial => factorial(first, budget)?,
        Call::Binomial => binomial(first, arguments.get(1)?)?,
    })
}

fn hyperbolic(call: Call, argument: &Value, budget: &mut Budget) -> Option<Value> {
    let (up, down) = (power::exp(argument, budget)?, power::exp(&argument.negated(), budget)?);
    let (minus, plus) = (up.minus(&down, budget)?, up.plus(&down, budget)?);
    match call {
        Call::Sinh => minus.over(&Value::integer(2), budget),
        Call::Cosh => plus.over(&Value::integer(2), budget),
        _ => minus.over(&plus, budget),
    }
}

fn absolute(value: &Value, budget: &mut Budget) -> Option<Value> {
    if let Some(rational) = value.as_rational() {
        return Some(Value::rational(rational.abs()));
    }
    if enclosure::is_positive(value) {
        return Some(value.clone());
    }
    if enclosure::is_positive(&value.negated()) {
        return Some(value.negated());
    }
    if value.has(|atom| matches!(atom, Atom::I)) {
        return modulus(value, budget);
    }
    // |-x| = |x|
    let negative = value.num.0.last_key_value().is_some_and(|(_, coefficient)| coefficient.is_negative());
    Some(Value::function(Function::Abs, vec![if negative { value.negated() } else { value.clone() }]))
}

/// |a + bi| of real numbers a and b.
fn modulus(value: &Value, budget: &mut Budget) -> Option<Value> {
    let real_atoms = |atom: &Atom| matches!(atom, Atom::I) || atom.is_positive();
    let mut simple = value.is_poly();
    value.visit(|atom| simple &= real_atoms(atom));
    if !simple {
        return None;
    }
    let mut conjugate = value.clone();
    for (monomial, coefficient) in &mut conjugate.num.0 {
        if monomial.iter().any(|(atom, _)| *atom == Atom::I) {
            *coefficient = -coefficient.clone();
        }
    }
    power::root(&value.times(&conjugate, budget)?, 2, budget)
}

fn rounded(value: &Value, function: Function, round: impl Fn(&BigRational) -> BigRational) -> Value {
    match value.as_rational() {
        Some(rational) => Value::rational(round(&rational)),
        None => Value::function(function, vec![value.clone()]),
    }
}

fn factorial(value: &Value, budget: &mut Budget) -> Option<Value> {
    let Some(number) = value.as_rational() else {
        return Some(Value::function(Function::Factorial, vec![value.clone()]));
    };
    let number = number.is_integer().then(|| number.to_u32())?.filter(|number| *number <= 170)?;
    budget.spend(number as usize)?;
    Some(Value::rational((1..=number).fold(BigInt::one(), |product, factor| product * factor).into()))
}

fn binomial(upper: &Value, lower: &Value) -> Option<Value> {
    let small = |value: &Value| value.as_rational().filter(BigRational::is_integer).and_then(|number| number.to_u32());
    let (n, k) = (small(upper)?, small(lower)?);
    if n > 300 {
        return None;
    }
    if k > n {
        return Some(Value::rational(BigRational::zero()));
    }
    let mut result = BigInt::one();
    for step in 0..k.min(n - k) {
        result = result * (n - step) / (step + 1);
    }
    Some(Value::rational(result.into()))
}
