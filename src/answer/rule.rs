//! What the judge says and why.

/// What the native judge says of a predicted answer and the gold answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The answers are equal.
    Equal,
    /// The answers differ.
    Different,
    /// The native judge cannot tell.
    Undecided,
}

impl Verdict {
    /// The verdict's public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Different => "different",
            Self::Undecided => "undecided",
        }
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $name:literal,)*) => {
        /// What decided a pair.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// All rules.
            pub const ALL: &'static [Self] = &[$(Self::$rule),*];

            /// The rule's public name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$rule => $name,)*
                }
            }
        }
    };
}

rules! {
    /// The texts are the same, but for white space and sizes of brackets.
    Identical = "identical",
    /// Integers, compared exactly.
    Integer = "integer",
    /// Rational numbers, compared exactly.
    Rational = "rational",
    /// A decimal that agrees with the other number to six places.
    Rounding = "rounding",
    /// Sums of roots of integers, compared by their canonical form.
    Radical = "radical",
    /// Numbers with pi, e, logarithms and the like.
    Constant = "constant",
    /// Polynomials, compared by their canonical form.
    Polynomial = "polynomial",
    /// Quotients of polynomials, compared by cross multiplication.
    RationalFunction = "rational-function",
    /// Expressions with roots or functions of variables.
    Expression = "expression",
    /// Different by enclosures of both values, at a point, that do not meet.
    IntervalArithmetic = "interval-arithmetic",
    /// Percentages.
    Percent = "percent",
    /// Amounts with units.
    Unit = "unit",
    /// Elements in order.
    Tuple = "tuple",
    /// Intervals.
    Interval = "interval",
    /// Elements without order, in braces.
    Set = "set",
    /// Elements without order or brackets.
    List = "list",
    /// Unions of intervals and sets.
    Union = "union",
    /// Matrices and column vectors.
    Matrix = "matrix",
    /// Equations.
    Equation = "equation",
    /// Inequalities.
    Inequality = "inequality",
    /// Ratios `a:b`.
    Ratio = "ratio",
    /// Numbers in a base.
    Base = "base",
    /// Letters of choices.
    Choice = "choice",
    /// Words.
    Text = "text",
    /// Dates of the calendar, `2026-03-05`.
    Date = "date",
    /// The answers are of different kinds: a number and a tuple, words and an interval.
    Kind = "kind",
    /// Nothing decided.
    None = "none",
}

/// A verdict and the rule that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// What decided; [`Rule::None`] exactly for undecided pairs.
    pub rule: Rule,
}

impl Decision {
    /// Nothing could be decided.
    pub const UNDECIDED: Self = Self { verdict: Verdict::Undecided, rule: Rule::None };

    pub(super) fn equal(rule: Rule) -> Self {
        Self { verdict: Verdict::Equal, rule }
    }

    pub(super) fn different(rule: Rule) -> Self {
        Self { verdict: Verdict::Different, rule }
    }

    pub(super) fn when(equal: bool, rule: Rule) -> Self {
        if equal { Self::equal(rule) } else { Self::different(rule) }
    }

    /// The same verdict by another rule.
    pub(super) fn by(self, rule: Rule) -> Self {
        if self.verdict == Verdict::Undecided { self } else { Self { rule, ..self } }
    }

    pub(super) fn is_equal(self) -> bool {
        self.verdict == Verdict::Equal
    }

    pub(super) fn is_different(self) -> bool {
        self.verdict == Verdict::Different
    }
}
