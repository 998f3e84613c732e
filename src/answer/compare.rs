//! Shapes against each other.

use super::collection::{intervals, members, unions};
use super::equation::{comparisons, equations};
use super::poly::{Atom, Budget};
use super::rule::{Decision, Rule, Verdict};
use super::scalar;
use super::shape::{Relation, Shape};
use super::text;
use super::value::Value;

/// Compares a gold answer's shape with a predicted one's.
pub(super) fn compare(gold: &Shape, predicted: &Shape, budget: &mut Budget) -> Decision {
    use Shape as S;
    match (gold, predicted) {
        (S::Scalar(a), S::Scalar(b)) => scalar::compare(a, b, budget),
        (S::Date(a), S::Date(b)) => Decision::when(a == b, Rule::Date),
        (S::Date(_), S::Scalar(_)) | (S::Scalar(_), S::Date(_)) => Decision::different(Rule::Kind),
        (S::Date(_), _) | (_, S::Date(_)) => Decision::UNDECIDED,
        (S::Text(_) | S::Choice(..), _) | (_, S::Text(_) | S::Choice(..)) => words(gold, predicted),
        (S::Assignment(a, left), S::Assignment(b, right)) => {
            let decision = compare(left, right, budget);
            if a == b { decision.by(Rule::Equation) } else { Decision::UNDECIDED }
        }
        (S::Assignment(_, value), S::Comparison(..)) | (S::Comparison(..), S::Assignment(_, value)) => {
            equations(gold, predicted, value, budget)
        }
        // The name may be left out; a set of equations is another matter.
        (S::Assignment(_, value), other) => named(value, other, compare(value, other, budget)),
        (other, S::Assignment(_, value)) => named(value, other, compare(other, value, budget)),
        (S::Comparison(a, left), S::Comparison(b, right)) => comparisons(*a, left, *b, right, budget),
        (S::Interval(a, ..), S::Interval(b, ..)) => {
            let decision = intervals(gold, predicted, budget);
            if a.is_some() && b.is_some() && a != b { Decision::UNDECIDED } else { decision }
        }
        (S::Interval(..), S::Tuple(items) | S::Square(items))
        | (S::Tuple(items) | S::Square(items), S::Interval(..)) => {
            if items.len() == 2 {
                intervals(gold, predicted, budget)
            } else {
                Decision::different(Rule::Kind)
            }
        }
        (S::Tuple(a), S::Tuple(b)) | (S::Square(a), S::Square(b)) => tuples(a, b, budget),
        (S::Tuple(a), S::Square(b)) | (S::Square(a), S::Tuple(b)) => {
            let decision = tuples(a, b, budget);
            match decision.verdict {
                // Open and closed intervals; or one list in two writings.
                Verdict::Equal if a.len() == 2 && a[0].is_below(&a[1]) == Some(true) => {
                    Decision::different(Rule::Interval)
                }
                Verdict::Equal => Decision::UNDECIDED,
                _ => decision,
            }
        }
        (S::Set(a), S::Set(b)) => members(a, b, false, budget).by(Rule::Set),
        (S::Set(a) | S::List(a), S::Set(b) | S::List(b)) => members(a, b, true, budget).by(Rule::List),
        (S::Union(a), S::Union(b)) => unions(a, b, budget),
        (S::Matrix(a), S::Matrix(b)) => matrices(a, b, budget),
        (S::Ratio(a), S::Ratio(b)) => ratios(a, b, budget),
        (S::InBase(digits, base, a), S::InBase(other, other_base, b)) => {
            let same = a.same(b, budget);
            match same {
                Some(true) if base == other_base && digits.trim_start_matches('0') == other.trim_start_matches('0') => {
                    Decision::equal(Rule::Base)
                }
                Some(false) => Decision::different(Rule::Base),
                _ => Decision::UNDECIDED,
            }
        }
        (S::Infinity(a), S::Infinity(b)) => Decision::when(a == b, Rule::Constant),
        (S::Board(a), S::Board(b)) if a == b => Decision::equal(Rule::Set),
        (S::Empty, S::Empty) => Decision::equal(Rule::Set),
        _ => mixed(gold, predicted, budget),
    }
}

/// Answers of two kinds.
fn mixed(gold: &Shape, predicted: &Shape, budget: &mut Budget) -> Decision {
    use Shape as S;
    match (gold, predicted) {
        // Brackets left out or added around the same elements.
        (S::Tuple(a) | S::Square(a), S::List(b)) | (S::List(b), S::Tuple(a) | S::Square(a)) => {
            let ordered = tuples(a, b, budget);
            if ordered.is_equal() && !b.iter().any(|item| matches!(item, Shape::Assignment(..))) {
                return ordered;
            }
            unless_alike(members(a, b, true, budget))
        }
        (S::Tuple(a) | S::Square(a), S::Set(b)) | (S::Set(b), S::Tuple(a) | S::Square(a)) => {
            unless_alike(members(a, b, true, budget))
        }
        // A vector as a column, a row or a tuple.
        (S::Matrix(rows), S::Tuple(items) | S::Square(items) | S::List(items))
        | (S::Tuple(items) | S::Square(items) | S::List(items), S::Matrix(rows)) => {
            let flat: Vec<Shape> = rows.iter().flatten().cloned().collect();
            if rows.len() > 1 && rows[0].len() > 1 {
                return Decision::UNDECIDED;
            }
            unless_alike(tuples(&flat, items, budget))
        }
        // {5} and 5, [5] and 5.
        (S::Set(items) | S::Square(items), other) | (other, S::Set(items) | S::Square(items)) if items.len() == 1 => {
            unless_alike(compare(&items[0], other, budget))
        }
        (S::InBase(digits, _, value), S::Scalar(scalar)) | (S::Scalar(scalar), S::InBase(digits, _, value)) => {
            // The base may have been left out, or the number converted.
            let plain = super::eval::in_base(digits, 10).map(Value::rational);
            let alike = |value: Option<Value>, budget: &mut Budget| {
                value.is_some_and(|value| scalar.value.same(&value, budget) != Some(false))
            };
            if alike(Some(value.clone()), budget) || alike(plain, budget) {
                Decision::UNDECIDED
            } else {
                Decision::different(Rule::Base)
            }
        }
        (S::Ratio(ratio), S::Scalar(scalar)) | (S::Scalar(scalar), S::Ratio(ratio)) => {
            let (left, right) = &**ratio;
            // 3:4 and 3/4; 2:30 and two and a half hours.
            let readings = [
                left.over(right, budget),
                right.over(&Value::integer(60), budget).and_then(|minutes| left.plus(&minutes, budget)),
            ];
            let alike = readings
                .into_iter()
                .any(|reading| reading.is_none_or(|reading| scalar.value.same(&reading, budget) != Some(false)));
            if alike { Decision::UNDECIDED } else { Decision::different(Rule::Kind) }
        }
        (S::List(items), S::Scalar(scalar)) | (S::Scalar(scalar), S::List(items)) => {
            // 3,14 may be a decimal.
            let comma = scalar.places.is_some() && items.len() == 2;
            if comma { Decision::UNDECIDED } else { Decision::different(Rule::Kind) }
        }
        // Zero solutions, no solution.
        (S::Empty, other) | (other, S::Empty) if other.is_zero() => Decision::UNDECIDED,
        // x < 2 or x > 3
        (S::Union(parts), S::List(items)) | (S::List(items), S::Union(parts))
            if items.iter().all(|item| matches!(item, S::Interval(Some(_), ..))) =>
        {
            unions(parts, items, budget)
        }
        (S::Union(_), other) | (other, S::Union(_)) => match other {
            // A union may be one interval, or all numbers.
            S::Interval(..) | S::Board(_) | S::Set(_) | S::List(_) | S::Comparison(..) | S::Tuple(_) | S::Square(_) => {
                Decision::UNDECIDED
            }
            _ => Decision::different(Rule::Kind),
        },
        (S::Comparison(..), _) | (_, S::Comparison(..)) => comparison_and_other(gold, predicted, budget),
        (S::Board(_), S::Interval(..) | S::Set(_)) | (S::Interval(..) | S::Set(_), S::Board(_)) => Decision::UNDECIDED,
        _ => Decision::different(Rule::Kind),
    }
}

/// Different stays different; equal elements in another kind of brackets are left open.
fn unless_alike(decision: Decision) -> Decision {
    if decision.is_different() { Decision::different(Rule::Kind) } else { Decision::UNDECIDED }
}

/// An assignment against something that is none.
fn named(value: &Shape, other: &Shape, decision: Decision) -> Decision {
    // "x = 1, 2" and such: leave lists of equations to others.
    let plain = |shape: &Shape| !matches!(shape, Shape::Assignment(..));
    if plain(value) && plain(other) { decision } else { Decision::UNDECIDED }
}

fn comparison_and_other(gold: &Shape, predicted: &Shape, budget: &mut Budget) -> Decision {
    let ((Shape::Comparison(relation, sides), other) | (other, Shape::Comparison(relation, sides))) = (gold, predicted)
    else {
        return Decision::UNDECIDED;
    };
    // An equation has solutions, and its number may be meant; a number is no inequality.
    match (relation, other) {
        (Relation::Equal, Shape::Matrix(_) | Shape::Infinity(_) | Shape::Interval(..) | Shape::Union(_))
        | (Relation::Positive | Relation::NotNegative, Shape::Scalar(_) | Shape::Matrix(_)) => {
            Decision::different(Rule::Kind)
        }
        // x^2 + y^2 = 25 has no number for a solution; but 25 may be meant, or the left side.
        (Relation::Equal, Shape::Scalar(scalar)) if variables(&sides.0) > 1 => {
            let (difference, left) = &**sides;
            let right = left.minus(difference, budget);
            let another = |side: Option<&Value>, budget: &mut Budget| {
                side.and_then(|side| side.same(&scalar.value, budget)) == Some(false)
            };
            let neither = another(Some(left), budget) && another(right.as_ref(), budget);
            if neither && !scalar.decimal && variables(&scalar.value) == 0 {
                Decision::different(Rule::Kind)
            } else {
                Decision::UNDECIDED
            }
        }
        _ => Decision::UNDECIDED,
    }
}

/// How many variables a value has.
fn variables(value: &Value) -> usize {
    let mut names = std::collections::BTreeSet::new();
    value.visit(|atom| {
        if let Atom::Variable(name) = atom {
            names.insert(name.clone());
        }
    });
    names.len()
}

/// Whether a shape is one term in which a choice's letter stands, in either case.
fn names(shape: &Shape, letter: char) -> bool {
    let Shape::Scalar(scalar) = shape else { return false };
    let name = letter.to_ascii_lowercase().to_string();
    let same = scalar.value.has(|atom| match atom {
        Atom::Variable(variable) => variable.to_lowercase() == name,
        Atom::E => name == "e",
        Atom::I => name == "i",
        _ => false,
    });
    same && scalar.value.is_poly() && scalar.value.num.single().is_some()
}

/// Words and choices.
fn words(gold: &Shape, predicted: &Shape) -> Decision {
    use Shape as S;
    match (gold, predicted) {
        (S::Choice(a, _), S::Choice(b, _)) if a != b => Decision::different(Rule::Choice),
        (S::Choice(_, false), S::Choice(..)) => Decision::equal(Rule::Choice),
        (S::Choice(..), S::Choice(..)) => Decision::UNDECIDED,
        (S::Text(a), S::Text(b)) => {
            if a == b {
                Decision::equal(Rule::Text)
            } else if text::may_agree(a, b) || text::tells_more(a) || text::tells_more(b) {
                Decision::UNDECIDED
            } else {
                Decision::different(Rule::Text)
            }
        }
        (S::Choice(letter, false), other) | (other, S::Choice(letter, false)) => match other {
            // (a) for (A), and the letter as a variable.
            S::Scalar(_) => {
                if names(other, *letter) {
                    Decision::UNDECIDED
                } else {
                    Decision::different(Rule::Kind)
                }
            }
            S::List(items) | S::Set(items) if !items.iter().any(|item| names(item, *letter)) => {
                Decision::different(Rule::Kind)
            }
            S::Text(_) | S::List(_) | S::Set(_) | S::Assignment(..) => Decision::UNDECIDED,
            _ => Decision::different(Rule::Kind),
        },
        (S::Text(text), other) | (other, S::Text(text)) => {
            let letters = matches!(other, S::Scalar(scalar) if scalar.letters);
            // "No solution" is no number, unless it says that there are none of them.
            let number = matches!(other, S::Scalar(scalar) if scalar.value.as_rational().is_some()) && !other.is_zero();
            let telling = if number { text::tells_number(text) } else { text::tells_more(text) };
            if letters
                || telling
                || matches!(other, S::Choice(..) | S::Assignment(..) | S::Empty | S::Infinity(_) | S::Board(_))
            {
                Decision::UNDECIDED
            } else {
                Decision::different(Rule::Kind)
            }
        }
        _ => Decision::UNDECIDED,
    }
}

/// Elements in order.
pub(super) fn tuples(a: &[Shape], b: &[Shape], budget: &mut Budget) -> Decision {
    if a.len() != b.len() {
        return Decision::different(Rule::Tuple);
    }
    let mut all = true;
    for (left, right) in a.iter().zip(b) {
        let decision = compare(left, right, budget);
        if decision.is_different() {
            return Decision::different(Rule::Tuple);
        }
        all &= decision.is_equal();
    }
    if all { Decision::equal(Rule::Tuple) } else { Decision::UNDECIDED }
}

fn matrices(a: &[Vec<Shape>], b: &[Vec<Shape>], budget: &mut Budget) -> Decision {
    if a.len() != b.len() || a[0].len() != b[0].len() {
        // A row and a column may be the same vector.
        let flat = a.len().min(a[0].len()) == 1 && a.len() == b[0].len() && b.len() == a[0].len();
        return if flat { Decision::UNDECIDED } else { Decision::different(Rule::Matrix) };
    }
    let (a, b): (Vec<Shape>, Vec<Shape>) = (a.concat(), b.concat());
    tuples(&a, &b, budget).by(Rule::Matrix)
}

fn ratios(a: &(Value, Value), b: &(Value, Value), budget: &mut Budget) -> Decision {
    let same = |x: &Value, y: &Value, budget: &mut Budget| x.same(y, budget);
    if same(&a.0, &b.0, budget) == Some(true) && same(&a.1, &b.1, budget) == Some(true) {
        return Decision::equal(Rule::Ratio);
    }
    let crossed = a.0.times(&b.1, budget).zip(b.0.times(&a.1, budget)).and_then(|(x, y)| x.same(&y, budget));
    let rational = [&a.0, &a.1, &b.0, &b.1].iter().all(|value| value.as_rational().is_some());
    if crossed == Some(false) && rational { Decision::different(Rule::Ratio) } else { Decision::UNDECIDED }
}
