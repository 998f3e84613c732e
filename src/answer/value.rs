//! Exact values: quotients of polynomials in atoms.

use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use super::poly::{Atom, Budget, Exponent, Function, Poly};

/// A number or an expression, exactly. Operations give `None` beyond the bounds and where a result is undefined.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Value {
    pub num: Poly,
    /// Not zero; 1 unless it has several terms.
    pub den: Poly,
}

impl Value {
    /// A rational number.
    pub fn rational(value: BigRational) -> Self {
        Self::poly(Poly::constant(value))
    }

    /// A small integer.
    pub fn integer(value: i64) -> Self {
        Self::rational(BigRational::from_integer(value.into()))
    }

    /// One atom.
    pub fn atom(atom: Atom) -> Self {
        Self::poly(Poly::atom(atom))
    }

    /// A function's value that has no simpler form.
    pub fn function(function: Function, arguments: Vec<Self>) -> Self {
        Self::atom(Atom::Function(function, arguments.into()))
    }

    /// A polynomial.
    pub fn poly(num: Poly) -> Self {
        Self { num, den: Poly::constant(BigRational::one()) }
    }

    /// The rational number that it is, if it is one.
    pub fn as_rational(&self) -> Option<BigRational> {
        if self.is_poly() { self.num.as_constant() } else { None }
    }

    /// Whether the denominator is 1.
    pub fn is_poly(&self) -> bool {
        self.den.as_constant().is_some_and(|den| den.is_one())
    }

    pub fn is_zero(&self) -> bool {
        self.num.is_zero()
    }

    pub fn negated(&self) -> Self {
        Self { num: self.num.negated(), den: self.den.clone() }
    }

    pub fn plus(&self, other: &Self, budget: &mut Budget) -> Option<Self> {
        if self.den == other.den {
            return Self::quotient(self.num.plus(&other.num, budget)?, &self.den, budget);
        }
        let left = self.num.times(&other.den, budget)?;
        let right = other.num.times(&self.den, budget)?;
        Self::quotient(left.plus(&right, budget)?, &self.den.times(&other.den, budget)?, budget)
    }

    pub fn minus(&self, other: &Self, budget: &mut Budget) -> Option<Self> {
        self.plus(&other.negated(), budget)
    }

    pub fn times(&self, other: &Self, budget: &mut Budget) -> Option<Self> {
        Self::quotient(self.num.times(&other.num, budget)?, &self.den.times(&other.den, budget)?, budget)
    }

    pub fn over(&self, other: &Self, budget: &mut Budget) -> Option<Self> {
        Self::quotient(self.num.times(&other.den, budget)?, &self.den.times(&other.num, budget)?, budget)
    }

    /// An integer power; 0 to the 0 is undefined.
    pub fn power(&self, exponent: i64, budget: &mut Budget) -> Option<Self> {
        if exponent == 0 && self.is_zero() {
            return None;
        }
        let size = u32::try_from(exponent.unsigned_abs()).ok()?;
        let (num, den) = (self.num.power(size, budget)?, self.den.power(size, budget)?);
        if exponent < 0 { Self::quotient(den, &num, budget) } else { Self::quotient(num, &den, budget) }
    }

    /// Whether both are one and the same by their form; `None` beyond the bounds.
    pub fn same(&self, other: &Self, budget: &mut Budget) -> Option<bool> {
        if self == other {
            return Some(true);
        }
        Some(self.num.times(&other.den, budget)? == other.num.times(&self.den, budget)?)
    }

    /// Calls the visitor with every atom, those inside functions and roots included.
    pub fn visit(&self, mut visitor: impl FnMut(&Atom)) {
        self.num.visit(&mut visitor);
        self.den.visit(&mut visitor);
    }

    /// Whether an atom with this property occurs.
    pub fn has(&self, property: impl Fn(&Atom) -> bool) -> bool {
        let mut found = false;
        self.visit(|atom| found |= property(atom));
        found
    }

    fn quotient(num: Poly, den: &Poly, budget: &mut Budget) -> Option<Self> {
        if den.is_zero() {
            return None;
        }
        if num.is_zero() || den.as_constant().is_some_and(|den| den.is_one()) {
            return Some(Self::poly(num));
        }
        if let Some(inverse) = den.inverse() {
            return Some(Self::poly(num.times(&inverse, budget)?));
        }
        let leading = den.0.last_key_value()?.1.clone();
        if num.0.len() == den.0.len() {
            // A multiple of the denominator.
            let factor = num.0.last_key_value()?.1 / &leading;
            if den.scaled(&factor, budget)? == num {
                return Some(Self::rational(factor));
            }
        }
        let factor = leading.recip();
        Some(Self { num: num.scaled(&factor, budget)?, den: den.scaled(&factor, budget)? })
    }
}

/// The prime factors of a positive rational and their exponents; `None` where they are too large to find.
pub(super) fn factored(value: &BigRational, budget: &mut Budget) -> Option<Vec<(u64, i64)>> {
    if !value.is_positive() {
        return None;
    }
    let mut factors: Vec<(u64, i64)> = Vec::new();
    for (number, sign) in [(value.numer(), 1), (value.denom(), -1)] {
        let mut number = number.clone();
        let ten = num_bigint::BigInt::from(10_u32);
        let mut tens = 0;
        while number.bits() > 64 && (&number % &ten).is_zero() {
            number /= &ten;
            tens += sign;
        }
        let mut left = u64::try_from(&number).ok()?;
        let mut add = |prime: u64, count: i64| match factors.iter_mut().find(|(p, _)| *p == prime) {
            Some((_, exponent)) => *exponent += count,
            None => factors.push((prime, count)),
        };
        add(2, tens);
        add(5, tens);
        let mut prime = 2;
        while prime * prime <= left && prime < 8192 {
            while left.is_multiple_of(prime) {
                left /= prime;
                add(prime, sign);
            }
            prime += if prime == 2 { 1 } else { 2 };
        }
        budget.spend(usize::try_from(prime / 64).ok()?)?;
        if left > 1 {
            if prime * prime <= left {
                // No factor below 8192: a prime, or too large to tell; its square root settles squares.
                let root = left.isqrt();
                if root * root != left || root >= 8192 * 8192 {
                    return None;
                }
                add(root, 2 * sign);
            } else {
                add(left, sign);
            }
        }
    }
    factors.retain(|(_, exponent)| *exponent != 0);
    factors.sort_unstable();
    Some(factors)
}

/// A rational as an exponent; `None` if it is too large.
pub(super) fn exponent(value: &BigRational) -> Option<Exponent> {
    let (top, bottom) = (i64::try_from(value.numer()).ok()?, i64::try_from(value.denom()).ok()?);
    super::poly::bounded(Exponent::new(top, bottom))
}
