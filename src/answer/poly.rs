//! Polynomials over the rationals in *atoms*: variables, pi, e, i, roots of primes, logarithms, function values.
//!
//! Relations between atoms (`i^2 = -1`, `sqrt(p)^2 = p`, `sin^2 = 1 - cos^2`) are applied in every product, so that
//! equal products of roots have one form.

use std::collections::BTreeMap;
use std::sync::Arc;

use num_bigint::BigInt;
use num_rational::{BigRational, Ratio};
use num_traits::{One, Pow, Signed, ToPrimitive, Zero};

use super::value::Value;

/// An atom's exponent.
pub(super) type Exponent = Ratio<i64>;
/// Atoms and their exponents, sorted by atom; no exponent is zero.
pub(super) type Monomial = Vec<(Atom, Exponent)>;

/// Coefficients with more bits than this end a calculation.
const MAX_BITS: u64 = 2048;
/// So many terms may a polynomial have.
const MAX_TERMS: usize = 300;
/// So many terms, counted with their power, may a power of a sum have.
const MAX_PRODUCT: usize = 120;
/// The largest exponent of an atom.
const MAX_EXPONENT: i64 = 10_000;

/// What a calculation may still cost; a step is about one product of terms.
#[derive(Debug)]
pub(super) struct Budget(u32);

impl Budget {
    /// The budget of one comparison: about a millisecond of work.
    pub fn new() -> Self {
        Self(4_000)
    }

    /// Takes so many steps; `None` when they are not left.
    pub fn spend(&mut self, steps: usize) -> Option<()> {
        self.0 = self.0.checked_sub(u32::try_from(steps).ok()?)?;
        Some(())
    }
}

/// A function that has no algebraic form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Function {
    Sin,
    Cos,
    Asin,
    Acos,
    Atan,
    Ln,
    Abs,
    Floor,
    Ceil,
    Factorial,
    /// `base^exponent`, where nothing simpler is known.
    Power,
    /// `f(x)` of which nothing but the name is known.
    Named(Arc<str>),
}

/// What polynomials are made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Atom {
    /// The imaginary unit.
    I,
    /// A prime under a root: exponents between 0 and 1.
    Prime(u64),
    Pi,
    E,
    /// One degree: pi/180 in a function, a unit elsewhere.
    Degree,
    /// The natural logarithm of a prime.
    LogPrime(u64),
    Variable(Arc<str>),
    /// `e` to the power of a monomial that is no rational number.
    Exp(Arc<Monomial>),
    /// A polynomial under a root: exponents between 0 and 1.
    Radical(Arc<Poly>),
    Function(Function, Arc<[Value]>),
}

impl Atom {
    /// Whether it is a positive real number whatever the variables are.
    pub fn is_positive(&self) -> bool {
        match self {
            Self::Prime(_) | Self::Pi | Self::E | Self::Degree | Self::LogPrime(_) => true,
            Self::Exp(power) => power.iter().all(|(atom, _)| atom.is_positive()),
            _ => false,
        }
    }

    /// The atom's square, where the square is simpler than the atom.
    fn square(&self) -> Option<Poly> {
        match self {
            Self::Function(Function::Sin, arguments) => {
                let cosine = Self::Function(Function::Cos, arguments.clone());
                let mut square = Poly::constant(BigRational::one());
                square.0.insert(vec![(cosine, Exponent::from(2))], -BigRational::one());
                Some(square)
            }
            _ => None,
        }
    }
}

/// A sum of monomials with rational coefficients; none is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Poly(pub BTreeMap<Monomial, BigRational>);

/// A monomial after the relations: its coefficient, what is left, and polynomials to multiply by.
struct Reduced {
    coefficient: BigRational,
    monomial: Monomial,
    factors: Vec<(Poly, u32)>,
}

impl Poly {
    /// A rational number.
    pub fn constant(value: BigRational) -> Self {
        Self::term(Vec::new(), value)
    }

    /// A coefficient times a monomial, to which the relations have been applied.
    pub fn term(monomial: Monomial, coefficient: BigRational) -> Self {
        let mut terms = BTreeMap::new();
        if !coefficient.is_zero() {
            terms.insert(monomial, coefficient);
        }
        Self(terms)
    }

    /// One atom.
    pub fn atom(atom: Atom) -> Self {
        Self::term(vec![(atom, Exponent::one())], BigRational::one())
    }

    pub fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// The rational number that it is, if it is one.
    pub fn as_constant(&self) -> Option<BigRational> {
        match self.0.len() {
            0 => Some(BigRational::zero()),
            1 => self.0.get(&Vec::new()).cloned(),
            _ => None,
        }
    }

    /// Its only term.
    pub fn single(&self) -> Option<(&Monomial, &BigRational)> {
        if self.0.len() == 1 { self.0.iter().next() } else { None }
    }

    pub fn negated(&self) -> Self {
        Self(self.0.iter().map(|(monomial, coefficient)| (monomial.clone(), -coefficient)).collect())
    }

    pub fn scaled(&self, factor: &BigRational, budget: &mut Budget) -> Option<Self> {
        budget.spend(self.0.len())?;
        let scaled = |(monomial, coefficient): (&Monomial, &BigRational)| {
            small(coefficient * factor).map(|product| (monomial.clone(), product))
        };
        if factor.is_zero() {
            Some(Self::default())
        } else {
            self.0.iter().map(scaled).collect::<Option<_>>().map(Self)
        }
    }

    pub fn plus(&self, other: &Self, budget: &mut Budget) -> Option<Self> {
        budget.spend(self.0.len() + other.0.len())?;
        let mut sum = self.clone();
        for (monomial, coefficient) in &other.0 {
            sum.add(monomial.clone(), coefficient.clone())?;
        }
        Some(sum)
    }

    pub fn times(&self, other: &Self, budget: &mut Budget) -> Option<Self> {
        let mut product = Self::default();
        for (left, a) in &self.0 {
            for (right, b) in &other.0 {
                budget.spend(1 + left.len() + right.len())?;
                product.add_reduced(reduce(merged(left, right)?)?, &small(a * b)?, budget)?;
            }
        }
        Some(product)
    }

    pub fn power(&self, exponent: u32, budget: &mut Budget) -> Option<Self> {
        if let Some((monomial, coefficient)) = self.single() {
            let bits = coefficient.numer().bits().max(coefficient.denom().bits());
            if u64::from(exponent).checked_mul(bits)? > MAX_BITS && !coefficient.abs().is_one() {
                return None;
            }
            let coefficient: BigRational = Pow::pow(coefficient, exponent);
            let scaled = monomial.iter().map(|(atom, e)| Some((atom.clone(), scaled_exponent(e, exponent)?)));
            let mut power = Self::default();
            power.add_reduced(reduce(scaled.collect::<Option<_>>()?)?, &coefficient, budget)?;
            return Some(power);
        }
        if usize::try_from(exponent).ok()?.checked_mul(self.0.len())? > MAX_PRODUCT {
            return None;
        }
        let mut power = Self::constant(BigRational::one());
        for _ in 0..exponent {
            power = power.times(self, budget)?;
        }
        Some(power)
    }

    /// The inverse of a single term whose atoms may have negative exponents.
    pub fn inverse(&self) -> Option<Self> {
        let (monomial, coefficient) = self.single()?;
        let plain = |atom: &Atom| !matches!(atom, Atom::Radical(_)) && atom.square().is_none();
        if !monomial.iter().all(|(atom, _)| plain(atom)) {
            return None;
        }
        let reduced = reduce(monomial.iter().map(|(atom, e)| (atom.clone(), -e)).collect())?;
        Some(Self::term(reduced.monomial, reduced.coefficient / coefficient))
    }

    /// The positive rational that makes the coefficients coprime integers when divided out.
    pub fn content(&self) -> BigRational {
        let mut top = BigInt::zero();
        let mut bottom = BigInt::one();
        for coefficient in self.0.values() {
            top = num_integer::gcd(top, coefficient.numer().clone());
            bottom = num_integer::lcm(bottom, coefficient.denom().clone());
        }
        if top.is_zero() { BigRational::one() } else { BigRational::new(top.abs(), bottom) }
    }

    /// All atoms, those inside functions and roots included.
    pub fn visit(&self, visitor: &mut dyn FnMut(&Atom)) {
        for monomial in self.0.keys() {
            visit_monomial(monomial, visitor);
        }
    }

    fn add(&mut self, monomial: Monomial, coefficient: BigRational) -> Option<()> {
        use std::collections::btree_map::Entry;
        match self.0.entry(monomial) {
            Entry::Vacant(entry) => {
                if !coefficient.is_zero() {
                    entry.insert(coefficient);
                }
            }
            Entry::Occupied(mut entry) => {
                let sum = small(entry.get() + coefficient)?;
                if sum.is_zero() {
                    entry.remove();
                } else {
                    entry.insert(sum);
                }
            }
        }
        (self.0.len() <= MAX_TERMS).then_some(())
    }

    fn add_reduced(&mut self, reduced: Reduced, coefficient: &BigRational, budget: &mut Budget) -> Option<()> {
        let coefficient = small(reduced.coefficient * coefficient)?;
        if reduced.factors.is_empty() {
            return self.add(reduced.monomial, coefficient);
        }
        let mut product = Self::term(reduced.monomial, coefficient);
        for (factor, exponent) in reduced.factors {
            product = product.times(&factor.power(exponent, budget)?, budget)?;
        }
        for (monomial, coefficient) in product.0 {
            self.add(monomial, coefficient)?;
        }
        Some(())
    }
}

/// Calls the visitor with the atoms of a monomial, those inside included.
fn visit_monomial(monomial: &Monomial, visitor: &mut dyn FnMut(&Atom)) {
    for (atom, _) in monomial {
        visitor(atom);
        match atom {
            Atom::Exp(inner) => visit_monomial(inner, visitor),
            Atom::Radical(inner) => inner.visit(visitor),
            Atom::Function(_, arguments) => {
                for argument in arguments.iter() {
                    argument.num.visit(visitor);
                    argument.den.visit(visitor);
                }
            }
            _ => {}
        }
    }
}

/// The number, unless it has grown beyond the bound.
pub(super) fn small(value: BigRational) -> Option<BigRational> {
    (value.numer().bits().max(value.denom().bits()) <= MAX_BITS).then_some(value)
}

fn scaled_exponent(exponent: &Exponent, factor: u32) -> Option<Exponent> {
    bounded(exponent.numer().checked_mul(i64::from(factor)).map(|top| Exponent::new(top, *exponent.denom()))?)
}

/// The exponent, unless it has grown beyond the bound.
pub(super) fn bounded(exponent: Exponent) -> Option<Exponent> {
    (exponent.numer().abs() <= MAX_EXPONENT && *exponent.denom() <= 64).then_some(exponent)
}

fn merged(left: &Monomial, right: &Monomial) -> Option<Monomial> {
    let mut product: Monomial = Vec::with_capacity(left.len() + right.len());
    let (mut a, mut b) = (left.iter().peekable(), right.iter().peekable());
    while let (Some((first, _)), Some((second, _))) = (a.peek(), b.peek()) {
        match first.cmp(second) {
            std::cmp::Ordering::Less => product.extend(a.next().cloned()),
            std::cmp::Ordering::Greater => product.extend(b.next().cloned()),
            std::cmp::Ordering::Equal => {
                let ((atom, x), (_, y)) = (a.next()?, b.next()?);
                let sum = bounded(x + y)?;
                if !sum.is_zero() {
                    product.push((atom.clone(), sum));
                }
            }
        }
    }
    product.extend(a.cloned());
    product.extend(b.cloned());
    Some(product)
}

/// Applies the relations to a monomial.
fn reduce(monomial: Monomial) -> Option<Reduced> {
    let mut reduced =
        Reduced { coefficient: BigRational::one(), monomial: Vec::with_capacity(monomial.len()), factors: Vec::new() };
    for (atom, exponent) in monomial {
        let whole = exponent.floor().to_integer();
        let mut left = exponent;
        match &atom {
            Atom::I => {
                left = Exponent::from(whole.rem_euclid(2));
                if whole.rem_euclid(4) >= 2 {
                    reduced.coefficient = -reduced.coefficient;
                }
            }
            Atom::Prime(prime) => {
                left = exponent.fract()
                    + if exponent.fract() < Exponent::zero() { Exponent::one() } else { Exponent::zero() };
                if whole != 0 {
                    let prime = BigRational::from(BigInt::from(*prime));
                    let power = small(Pow::pow(prime, i32::try_from(whole).ok()?))?;
                    reduced.coefficient = small(reduced.coefficient * power)?;
                }
            }
            Atom::Radical(inner) if whole > 0 => {
                left = exponent - Exponent::from(whole);
                reduced.factors.push((inner.as_ref().clone(), u32::try_from(whole).ok()?));
            }
            _ if whole >= 2 && exponent.is_integer() => {
                if let Some(square) = atom.square() {
                    left = Exponent::from(whole % 2);
                    reduced.factors.push((square, (whole / 2).to_u32()?));
                }
            }
            _ => {}
        }
        if !left.is_zero() {
            reduced.monomial.push((atom, left));
        }
    }
    Some(reduced)
}
