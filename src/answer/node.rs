//! What an answer says, as it was written: the parser's result.

use std::sync::Arc;

use num_rational::BigRational;

/// A named number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Constant {
    Pi,
    E,
    I,
    Infinity,
    Degree,
}

/// A function of expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Sin,
    Cos,
    Tan,
    Cot,
    Sec,
    Csc,
    Sinh,
    Cosh,
    Tanh,
    Asin,
    Acos,
    Atan,
    Exp,
    Ln,
    /// Without a base: 10 to some, e to others.
    Log,
    /// Base, argument.
    LogBase,
    /// Degree, argument.
    Root,
    Abs,
    Floor,
    Ceil,
    Factorial,
    Binomial,
}

/// A relation's sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
}

/// An expression or a structure of expressions.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// A written-out number and its digits after the point.
    Number(BigRational, Option<u32>),
    Symbol(Arc<str>),
    Constant(Constant),
    Negative(Box<Node>),
    /// Plus or minus; `true` for `\mp`.
    PlusMinus(Box<Node>, bool),
    Sum(Vec<Node>),
    Product(Vec<Node>),
    Quotient(Box<Node>, Box<Node>),
    Power(Box<Node>, Box<Node>),
    Call(Call, Vec<Node>),
    /// `f(x)`
    Named(Arc<str>, Vec<Node>),
    Percent(Box<Node>),
    /// An amount and its unit as written.
    Measured(Box<Node>, String),
    /// Digits and the base that they are in.
    InBase(String, u32),
    /// Several elements in round, square or angle brackets, which may be of two kinds; or one in square ones.
    Bracket(char, char, Vec<Node>),
    Set(Vec<Node>),
    List(Vec<Node>),
    Relation(Vec<Node>, Vec<Sign>),
    Union(Vec<Node>),
    Matrix(Vec<Vec<Node>>),
    Ratio(Box<Node>, Box<Node>),
    EmptySet,
    /// Words, in one writing.
    Words(String),
    /// `\mathbb{R}` and its kin.
    Board(char),
}
