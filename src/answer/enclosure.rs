//! Enclosures: intervals of `f64` that are sure to hold the value of an expression at a point.
//!
//! Every result is widened outward. Basic operations are correctly rounded, their slack is 2^-50 of the result; for the
//! standard library's functions it is 2^-40, some thousand times their documented error of a few units in the last place.

use std::collections::BTreeSet;
use std::sync::Arc;

use num_rational::BigRational;
use num_traits::ToPrimitive;

use super::poly::{Atom, Exponent, Function, Monomial, Poly};
use super::value::Value;

const BASIC: f64 = 1.0 / (1_u64 << 50) as f64;
const LIBRARY: f64 = 1.0 / (1_u64 << 40) as f64;

/// At how many points variables are tried.
pub(super) const POINTS: usize = 3;

/// Which variables are taken for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// Those of the same name.
    Own,
    /// Those whose names differ in case only.
    Folded,
    /// All.
    Single,
}

impl Naming {
    /// How two sets of names may mean the same variables; `None` if they may not.
    pub fn alike(a: &BTreeSet<Arc<str>>, b: &BTreeSet<Arc<str>>) -> Option<Self> {
        let folded = |names: &BTreeSet<Arc<str>>| names.iter().map(|name| name.to_lowercase()).collect::<BTreeSet<_>>();
        if folded(a) == folded(b) {
            return Some(Self::Folded);
        }
        (a.len() == 1 && b.len() == 1).then_some(Self::Single)
    }
}

/// Where variables are tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub point: usize,
    pub naming: Naming,
}

impl At {
    /// The first point.
    pub const FIRST: Self = Self { point: 0, naming: Naming::Own };

    /// A variable's value: a positive number around 1, 8 or 1/8, another for every name and point.
    fn sample(self, name: &str) -> f64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ (self.point as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for byte in name.bytes() {
            let byte = match self.naming {
                Naming::Own => byte,
                Naming::Folded => byte.to_ascii_lowercase(),
                Naming::Single => 0,
            };
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            if self.naming == Naming::Single {
                break;
            }
        }
        hash ^= hash >> 29;
        let fraction = (hash.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as f64 / f64::from(1_u32 << 31);
        (0.5 + fraction) * [1.0, 8.0, 0.125][self.point % POINTS]
    }
}

/// A closed interval of real numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    /// `None` for what is no number or beyond the range.
    fn new(low: f64, high: f64, slack: f64) -> Option<Self> {
        let widened = Self { low: low - low.abs() * slack - 1e-300, high: high + high.abs() * slack + 1e-300 };
        (widened.low.is_finite() && widened.high.is_finite()).then_some(widened)
    }

    fn point(value: f64) -> Self {
        Self { low: value, high: value }
    }

    fn plus(self, other: Self) -> Option<Self> {
        Self::new(self.low + other.low, self.high + other.high, BASIC)
    }

    fn negated(self) -> Self {
        Self { low: -self.high, high: -self.low }
    }

    fn times(self, other: Self) -> Option<Self> {
        let products = [self.low * other.low, self.low * other.high, self.high * other.low, self.high * other.high];
        let low = products.into_iter().fold(f64::INFINITY, f64::min);
        let high = products.into_iter().fold(f64::NEG_INFINITY, f64::max);
        if products.iter().any(|product| product.is_nan()) { None } else { Self::new(low, high, BASIC) }
    }

    fn inverse(self) -> Option<Self> {
        if self.low <= 0.0 && self.high >= 0.0 { None } else { Self::new(1.0 / self.high, 1.0 / self.low, BASIC) }
    }

    /// A function that grows throughout the interval.
    fn grown(self, function: impl Fn(f64) -> f64) -> Option<Self> {
        let (low, high) = (function(self.low), function(self.high));
        if low.is_nan() || high.is_nan() { None } else { Self::new(low, high, LIBRARY) }
    }

    /// A function whose slope is nowhere steeper than 1.
    fn gentle(self, function: impl Fn(f64) -> f64) -> Option<Self> {
        let middle = f64::midpoint(self.low, self.high);
        if middle.abs() > 1e6 {
            return None;
        }
        let radius = (self.high - self.low) * (0.5 + BASIC) + LIBRARY * (1.0 + middle.abs());
        Self::new(function(middle) - radius, function(middle) + radius, BASIC)
    }

    /// Whether no number is in both.
    pub fn is_apart(self, other: Self) -> bool {
        self.high < other.low || other.high < self.low
    }

    fn is_far(self, other: Self, gap: f64) -> bool {
        let size = self.low.abs().max(self.high.abs()).max(other.low.abs()).max(other.high.abs());
        let between = (self.low - other.high).max(other.low - self.high);
        self.is_apart(other) && between > gap * (1.0 + size)
    }
}

/// A rectangle of complex numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Enclosure {
    pub real: Interval,
    pub imaginary: Interval,
}

impl Enclosure {
    fn real(real: Interval) -> Self {
        Self { real, imaginary: Interval::point(0.0) }
    }

    fn as_real(self) -> Option<Interval> {
        (self.imaginary == Interval::point(0.0)).then_some(self.real)
    }

    fn plus(self, other: Self) -> Option<Self> {
        let imaginary = match (self.as_real(), other.as_real()) {
            (Some(_), Some(_)) => self.imaginary,
            _ => self.imaginary.plus(other.imaginary)?,
        };
        Some(Self { real: self.real.plus(other.real)?, imaginary })
    }

    fn times(self, other: Self) -> Option<Self> {
        if let (Some(a), Some(b)) = (self.as_real(), other.as_real()) {
            return a.times(b).map(Self::real);
        }
        let (a, b, c, d) = (self.real, self.imaginary, other.real, other.imaginary);
        Some(Self { real: a.times(c)?.plus(b.times(d)?.negated())?, imaginary: a.times(d)?.plus(b.times(c)?)? })
    }

    fn inverse(self) -> Option<Self> {
        if let Some(real) = self.as_real() {
            return real.inverse().map(Self::real);
        }
        let norm = self.real.times(self.real)?.plus(self.imaginary.times(self.imaginary)?)?.inverse()?;
        Some(Self { real: self.real.times(norm)?, imaginary: self.imaginary.negated().times(norm)? })
    }

    /// Whether all numbers of one are further from those of the other than the gap, in parts of the larger.
    pub fn is_far(self, other: Self, gap: f64) -> bool {
        self.real.is_far(other.real, gap) || self.imaginary.is_far(other.imaginary, gap)
    }
}

/// The value at one of the points; `None` where it cannot be enclosed.
pub(super) fn enclose(value: &Value, at: At) -> Option<Enclosure> {
    let num = poly(&value.num, at)?;
    if value.is_poly() { Some(num) } else { num.times(poly(&value.den, at)?.inverse()?) }
}

/// Whether the value is proved to be a positive real number without variables.
pub(super) fn is_positive(value: &Value) -> bool {
    !value.has(|atom| matches!(atom, Atom::Variable(_)))
        && enclose(value, At::FIRST).and_then(Enclosure::as_real).is_some_and(|real| real.low > 0.0)
}

fn poly(poly: &Poly, at: At) -> Option<Enclosure> {
    let mut sum = Enclosure::real(Interval::point(0.0));
    for (term, coefficient) in &poly.0 {
        sum = sum.plus(Enclosure::real(rational(coefficient)?).times(monomial(term, at)?)?)?;
    }
    Some(sum)
}

fn rational(value: &BigRational) -> Option<Interval> {
    let near = value.to_f64()?;
    Interval::new(near, near, BASIC)
}

fn monomial(monomial: &Monomial, at: At) -> Option<Enclosure> {
    let mut product = Enclosure::real(Interval::point(1.0));
    for (factor, exponent) in monomial {
        product = product.times(power(atom(factor, at)?, exponent)?)?;
    }
    Some(product)
}

fn power(base: Enclosure, exponent: &Exponent) -> Option<Enclosure> {
    if exponent.is_integer() {
        let size = exponent.numer().unsigned_abs();
        if size > 64 {
            return real_power(base.as_real()?, exponent).map(Enclosure::real);
        }
        let mut product = Enclosure::real(Interval::point(1.0));
        for _ in 0..size {
            product = product.times(base)?;
        }
        return if *exponent.numer() < 0 { product.inverse() } else { Some(product) };
    }
    real_power(base.as_real()?, exponent).map(Enclosure::real)
}

/// A power of a positive number through its logarithm.
fn real_power(base: Interval, exponent: &Exponent) -> Option<Interval> {
    if base.low <= 0.0 {
        return None;
    }
    let exponent = Interval::point(exponent.to_f64()?).times(Interval::point(1.0))?;
    base.grown(f64::ln)?.plus(Interval { low: -LIBRARY, high: LIBRARY })?.times(exponent)?.grown(f64::exp)
}

fn atom(atom: &Atom, at: At) -> Option<Enclosure> {
    let pi = Interval::new(std::f64::consts::PI, std::f64::consts::PI, BASIC);
    Some(Enclosure::real(match atom {
        Atom::I => return Some(Enclosure { real: Interval::point(0.0), imaginary: Interval::point(1.0) }),
        Atom::Prime(prime) => Interval::point(prime.to_f64()?),
        Atom::Pi => pi?,
        Atom::E => Interval::new(std::f64::consts::E, std::f64::consts::E, BASIC)?,
        Atom::Degree => pi?.times(Interval::point(180.0).inverse()?)?,
        Atom::LogPrime(prime) => Interval::point(prime.to_f64()?).grown(f64::ln)?,
        Atom::Variable(name) => Interval::point(at.sample(name)),
        Atom::Exp(inner) => monomial(inner, at)?.as_real()?.grown(f64::exp)?,
        Atom::Radical(inner) => {
            let inner = poly(inner, at)?.as_real()?;
            if inner.low <= 0.0 {
                return None;
            }
            inner
        }
        Atom::Function(function, arguments) => return call(function, arguments, at).map(Enclosure::real),
    }))
}

fn call(function: &Function, arguments: &[Value], at: At) -> Option<Interval> {
    let argument = enclose(arguments.first()?, at)?;
    let real = argument.as_real()?;
    match function {
        Function::Sin => real.gentle(f64::sin),
        Function::Cos => real.gentle(f64::cos),
        Function::Atan => real.gentle(f64::atan),
        Function::Asin if real.low > -1.0 && real.high < 1.0 => {
            real.grown(f64::asin)?.plus(Interval { low: -LIBRARY, high: LIBRARY })
        }
        Function::Acos if real.low > -1.0 && real.high < 1.0 => {
            let asin = real.grown(f64::asin)?.plus(Interval { low: -LIBRARY, high: LIBRARY })?;
            Interval::point(std::f64::consts::FRAC_PI_2).times(Interval::point(1.0))?.plus(asin.negated())
        }
        Function::Ln if real.low > 0.0 => real.grown(f64::ln)?.plus(Interval { low: -LIBRARY, high: LIBRARY }),
        Function::Abs if real.low >= 0.0 => Some(real),
        Function::Abs if real.high <= 0.0 => Some(real.negated()),
        Function::Power => {
            let exponent = enclose(arguments.get(1)?, at)?.as_real()?;
            if real.low <= 0.0 {
                return None;
            }
            let logarithm = real.grown(f64::ln)?.plus(Interval { low: -LIBRARY, high: LIBRARY })?;
            logarithm.times(exponent)?.grown(f64::exp)
        }
        _ => None,
    }
}
