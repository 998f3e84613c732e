//! What kind of thing an answer is: a number, a tuple, an interval, a set, an equation, words, ...

use std::sync::Arc;

use num_traits::{Signed, Zero};

use super::eval::{self, Reading};
use super::node::{Constant, Node, Sign};
use super::poly::Budget;
use super::unit::{self, Unit};
use super::value::Value;

/// More elements than this are not compared.
const MAX_ITEMS: usize = 32;

/// A number or an expression, and how it was written.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub value: Value,
    /// Digits after the point, where it is one written-out decimal.
    pub places: Option<u32>,
    /// Whether a decimal point occurs anywhere, so that it may stand for a rounded value.
    pub decimal: bool,
    pub percent: bool,
    pub unit: Option<Unit>,
    /// Whether it is written with letters only, so that it may be a word: `ab`, `no`.
    pub letters: bool,
}

/// An end of an interval.
#[derive(Clone, Debug)]
pub(super) enum End {
    Infinite,
    At { scalar: Box<Scalar>, closed: bool },
}

/// How two sides are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Unequal,
    /// The difference is positive.
    Positive,
    /// The difference is positive or zero.
    NotNegative,
}

/// An answer's kind and content.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Scalar(Scalar),
    /// Infinity; `true` for minus infinity.
    Infinity(bool),
    /// `(a, b)`: a point, or an open interval.
    Tuple(Vec<Shape>),
    /// `[a, b]`: a list, or a closed interval.
    Square(Vec<Shape>),
    /// The variable if one is named, lower and upper end.
    Interval(Option<Arc<str>>, End, End),
    Set(Vec<Shape>),
    /// Elements without brackets.
    List(Vec<Shape>),
    Union(Vec<Shape>),
    Matrix(Vec<Vec<Shape>>),
    /// `name = value`
    Assignment(Arc<str>, Box<Shape>),
    /// Left side minus right side, and the right side where the left one is to be compared for itself.
    Comparison(Relation, Box<(Value, Value)>),
    Ratio(Box<(Value, Value)>),
    /// Digits, base and value.
    InBase(String, u32, Value),
    Empty,
    Board(char),
    /// A letter; `true` with the choice's content behind it.
    Choice(char, bool),
    /// Words in one writing.
    Text(String),
    /// Year, month and day.
    Date([u16; 3]),
}

/// The shape of a node; `None` where it is not understood.
pub(super) fn shape(node: &Node, ten: bool, budget: &mut Budget) -> Option<Shape> {
    of(node, Reading { plus: true, ten }, budget)
}

fn of(node: &Node, reading: Reading, budget: &mut Budget) -> Option<Shape> {
    let mut all = |nodes: &[Node]| elements(nodes, reading, budget);
    Some(match node {
        Node::Bracket('(', ')', items) => interval_or(all(items)?, false, false, Shape::Tuple)?,
        Node::Bracket('[', ']', items) => interval_or(all(items)?, true, true, Shape::Square)?,
        Node::Bracket(open, close, items) => {
            let (open, close) = (*open == '[', *close == ']');
            let [low, high] = <[Shape; 2]>::try_from(all(items)?).ok()?;
            Shape::Interval(None, end(low, open, true)?, end(high, close, false)?)
        }
        Node::Set(items) => match all(items)? {
            items if items.is_empty() => Shape::Empty,
            items => Shape::Set(items),
        },
        Node::List(items) => Shape::List(all(items)?),
        Node::Union(parts) => Shape::Union(all(parts)?),
        Node::Matrix(rows) => {
            if rows.len() * rows[0].len() > MAX_ITEMS {
                return None;
            }
            let rows = rows.iter().map(|row| row.iter().map(|cell| of(cell, reading, budget)).collect());
            Shape::Matrix(rows.collect::<Option<_>>()?)
        }
        Node::Relation(sides, signs) => relation(sides, signs, reading, budget)?,
        Node::Ratio(left, right) => {
            let left = eval::value(left, reading, budget)?;
            Shape::Ratio(Box::new((left, eval::value(right, reading, budget)?)))
        }
        Node::InBase(digits, base) => {
            Shape::InBase(digits.clone(), *base, Value::rational(eval::in_base(digits, *base)?))
        }
        Node::EmptySet => Shape::Empty,
        Node::Words(words) => Shape::Text(words.clone()),
        Node::Board(letter) => Shape::Board(*letter),
        Node::Constant(Constant::Infinity) => Shape::Infinity(false),
        Node::Negative(inner) if **inner == Node::Constant(Constant::Infinity) => Shape::Infinity(true),
        Node::Sum(terms) if terms.len() == 1 => of(&terms[0], reading, budget)?,
        _ if branches(node) > 0 => {
            // Both signs at once; \pm a \pm b would have to say which belong together.
            if branches(node) > 1 {
                return None;
            }
            let minus = Reading { plus: false, ..reading };
            Shape::List(vec![scalar(node, reading, budget)?, scalar(node, minus, budget)?])
        }
        _ => scalar(node, reading, budget)?,
    })
}

fn elements(nodes: &[Node], reading: Reading, budget: &mut Budget) -> Option<Vec<Shape>> {
    let mut shapes = Vec::with_capacity(nodes.len());
    for node in nodes {
        match of(node, reading, budget)? {
            // The two values of \pm are elements of what they stand in.
            Shape::List(inner) if branches(node) > 0 => shapes.extend(inner),
            shape => shapes.push(shape),
        }
    }
    (shapes.len() <= MAX_ITEMS).then_some(shapes)
}

/// How many plus-or-minus signs an expression has.
fn branches(node: &Node) -> usize {
    match node {
        Node::PlusMinus(inner, _) => 1 + branches(inner),
        Node::Negative(inner) | Node::Percent(inner) | Node::Measured(inner, _) => branches(inner),
        Node::Sum(nodes) | Node::Product(nodes) | Node::Call(_, nodes) => nodes.iter().map(branches).sum(),
        Node::Quotient(left, right) | Node::Power(left, right) => branches(left) + branches(right),
        _ => 0,
    }
}

fn scalar(node: &Node, reading: Reading, budget: &mut Budget) -> Option<Shape> {
    let (inner, unit) = match node {
        Node::Measured(inner, unit) => (&**inner, Some(unit::read(unit)?)),
        // \$5 \text{ per hour}
        _ => (node, None),
    };
    let (inner, unit) = match inner {
        Node::Measured(inner, second) => (
            &**inner,
            match unit {
                Some(unit) => Some(unit),
                None => Some(unit::read(second)?),
            },
        ),
        Node::Negative(amount) => match &**amount {
            Node::Measured(amount, money) => {
                let value = eval::value(amount, reading, budget)?.negated();
                let (places, decimal) = (places(amount), has_decimal(amount));
                let unit = Some(unit::read(money)?);
                return Some(Shape::Scalar(Scalar { value, places, decimal, percent: false, unit, letters: false }));
            }
            _ => (inner, unit),
        },
        _ => (inner, unit),
    };
    let percent = matches!(inner, Node::Percent(_));
    let value = eval::value(inner, reading, budget)?;
    let decimal = has_decimal(inner);
    Some(Shape::Scalar(Scalar { value, places: places(inner), decimal, percent, unit, letters: false }))
}

fn places(node: &Node) -> Option<u32> {
    match node {
        Node::Number(_, places) => *places,
        Node::Negative(inner) => places(inner),
        Node::Percent(inner) => places(inner).map(|places| places + 2),
        _ => None,
    }
}

fn has_decimal(node: &Node) -> bool {
    match node {
        Node::Number(_, places) => places.is_some(),
        Node::Negative(inner) | Node::Percent(inner) | Node::PlusMinus(inner, _) => has_decimal(inner),
        Node::Sum(nodes) | Node::Product(nodes) | Node::Call(_, nodes) | Node::Named(_, nodes) => {
            nodes.iter().any(has_decimal)
        }
        Node::Quotient(left, right) | Node::Power(left, right) => has_decimal(left) || has_decimal(right),
        _ => false,
    }
}

/// Two elements with an infinite one among them are an interval.
fn interval_or(mut items: Vec<Shape>, low: bool, high: bool, other: fn(Vec<Shape>) -> Shape) -> Option<Shape> {
    let infinite = items.iter().any(|item| matches!(item, Shape::Infinity(_)));
    if !infinite || items.len() != 2 {
        return Some(other(items));
    }
    let (right, left) = (items.pop()?, items.pop()?);
    Some(Shape::Interval(None, end(left, low, true)?, end(right, high, false)?))
}

/// An element as an end of an interval.
pub(super) fn end(shape: Shape, closed: bool, lower: bool) -> Option<End> {
    match shape {
        Shape::Infinity(negative) => (negative == lower).then_some(End::Infinite),
        Shape::Scalar(scalar) => Some(End::At { scalar: Box::new(scalar), closed }),
        _ => None,
    }
}

/// The name on the left of an assignment.
fn name(node: &Node) -> Option<Arc<str>> {
    match node {
        Node::Symbol(name) => Some(name.clone()),
        Node::Named(name, arguments) => match arguments.as_slice() {
            [Node::Symbol(argument)] => Some(format!("{name}({argument})").into()),
            _ => None,
        },
        _ => None,
    }
}

fn relation(sides: &[Node], signs: &[Sign], reading: Reading, budget: &mut Budget) -> Option<Shape> {
    let (first, last) = (sides.first()?, sides.last()?);
    match signs {
        [Sign::In] => return of(last, reading, budget),
        _ if signs.iter().all(|sign| *sign == Sign::Equal) => return equation(sides, first, last, reading, budget),
        [sign] => return comparison(*sign, first, last, reading, budget),
        _ => {}
    }
    // a < x <= b
    let [left, variable, right] = sides else { return None };
    let variable = name(variable)?;
    let (left, right) = (of(left, reading, budget)?, of(right, reading, budget)?);
    let closed = |sign: Sign| matches!(sign, Sign::LessEqual | Sign::GreaterEqual);
    let less = |sign: Sign| matches!(sign, Sign::Less | Sign::LessEqual);
    let greater = |sign: Sign| matches!(sign, Sign::Greater | Sign::GreaterEqual);
    match *signs {
        [a, b] if less(a) && less(b) => {
            Some(Shape::Interval(Some(variable), end(left, closed(a), true)?, end(right, closed(b), false)?))
        }
        [a, b] if greater(a) && greater(b) => {
            Some(Shape::Interval(Some(variable), end(right, closed(b), true)?, end(left, closed(a), false)?))
        }
        _ => None,
    }
}

fn equation(sides: &[Node], first: &Node, last: &Node, reading: Reading, budget: &mut Budget) -> Option<Shape> {
    // Everything between the first and the last side must be equal to the last, or the answer contradicts itself.
    let mut agrees = |node: &Node| {
        let (a, b) = (eval::value(node, reading, budget)?, eval::value(last, reading, budget)?);
        a.same(&b, budget).filter(|same| *same)
    };
    for side in &sides[1..sides.len() - 1] {
        agrees(side)?;
    }
    if let Some(name) = name(first) {
        return Some(Shape::Assignment(name, Box::new(of(last, reading, budget)?)));
    }
    if sides.len() == 2
        && let Some(name) = name(last)
    {
        return Some(Shape::Assignment(name, Box::new(of(first, reading, budget)?)));
    }
    // (x, y) = (1, 2)
    if let (Node::Bracket('(', ')', names), Node::Bracket('(', ')', values)) = (first, last) {
        let plain = names.len() == values.len() && names.iter().all(|node| matches!(node, Node::Symbol(_)));
        return if plain { of(last, reading, budget) } else { None };
    }
    let (left, right) = (eval::value(first, reading, budget)?, eval::value(last, reading, budget)?);
    let constant = |value: &Value| !value.has(|atom| matches!(atom, super::poly::Atom::Variable(_)));
    if constant(&left) && constant(&right) {
        // 10/2 = 5
        return if left.same(&right, budget)? { of(last, reading, budget) } else { None };
    }
    if sides.len() > 2 {
        return None;
    }
    let difference = left.minus(&right, budget)?;
    Some(Shape::Comparison(Relation::Equal, Box::new((difference, left))))
}

fn comparison(sign: Sign, left: &Node, right: &Node, reading: Reading, budget: &mut Budget) -> Option<Shape> {
    let (less, closed) = match sign {
        Sign::Less => (true, false),
        Sign::LessEqual => (true, true),
        Sign::Greater => (false, false),
        Sign::GreaterEqual => (false, true),
        _ => {
            let difference =
                eval::value(left, reading, budget)?.minus(&eval::value(right, reading, budget)?, budget)?;
            let sides = Box::new((difference.clone(), difference));
            return (sign == Sign::NotEqual).then_some(Shape::Comparison(Relation::Unequal, sides));
        }
    };
    for (variable, bound, less) in [(left, right, less), (right, left, !less)] {
        if let (Some(variable), Some(Shape::Scalar(scalar))) = (name(variable), of(bound, reading, budget)) {
            if scalar.value.has(|atom| matches!(atom, super::poly::Atom::Variable(_))) {
                continue;
            }
            let at = End::At { scalar: Box::new(scalar), closed };
            let (low, high) = if less { (End::Infinite, at) } else { (at, End::Infinite) };
            return Some(Shape::Interval(Some(variable), low, high));
        }
    }
    let (left, right) = (eval::value(left, reading, budget)?, eval::value(right, reading, budget)?);
    let difference = if less { right.minus(&left, budget)? } else { left.minus(&right, budget)? };
    let relation = if closed { Relation::NotNegative } else { Relation::Positive };
    Some(Shape::Comparison(relation, Box::new((difference.clone(), difference))))
}

impl Shape {
    /// The amount of a plain number that is no multiple of anything.
    pub fn is_zero(&self) -> bool {
        matches!(self, Self::Scalar(scalar) if scalar.value.as_rational().is_some_and(|value| value.is_zero()))
    }

    /// Whether it is a number below another; `None` where that is not plain to see.
    pub fn is_below(&self, other: &Self) -> Option<bool> {
        let (Self::Scalar(a), Self::Scalar(b)) = (self, other) else { return None };
        let (a, b) = (&a.value, &b.value);
        if let (Some(a), Some(b)) = (a.as_rational(), b.as_rational()) {
            return Some((b - a).is_positive());
        }
        let mut budget = Budget::new();
        let gap = b.minus(a, &mut budget)?;
        if super::enclosure::is_positive(&gap) {
            return Some(true);
        }
        super::enclosure::is_positive(&gap.negated()).then_some(false)
    }
}
