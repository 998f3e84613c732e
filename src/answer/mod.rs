//! The native answer judge: equal, different, or *undecided*. It never guesses.
//!
//! Plain numbers are compared as fractions in 128 bits. Everything else is read as LaTeX or plain mathematics into exact
//! values: quotients of polynomials over the rationals in variables, pi, e, i, roots of primes, logarithms and function
//! values. *Equal* needs the same canonical form; *different* a canonical form that has no two writings, or enclosures of
//! the two values that do not meet. Tuples, intervals, sets, equations and the like are compared by their elements.
//! Length, depth, degree, terms and bits are bounded: whatever lies beyond is undecided.

mod collection;
mod compare;
mod enclosure;
mod equation;
mod eval;
mod lex;
mod node;
mod number;
mod parse;
mod poly;
mod power;
mod rule;
mod scalar;
mod shape;
mod text;
mod trig;
mod unit;
mod value;

use std::sync::OnceLock;

use number::Plain;
use poly::Budget;
use shape::Shape;

pub use rule::{Decision, Rule, Verdict};

use crate::bytes::trimmed;

/// A gold answer, read once and compared many times.
#[derive(Clone, Debug)]
pub struct Gold {
    text: String,
    plain: Option<Plain>,
    /// Read when the first prediction needs it.
    answer: OnceLock<Box<Answer>>,
}

impl Gold {
    /// Reads a gold answer.
    pub fn new(text: &str) -> Self {
        let text = text.trim().to_owned();
        let plain = Plain::parse(&text);
        Self { text, plain, answer: OnceLock::new() }
    }

    /// The answer's text, trimmed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Compares a predicted answer with this one.
    ///
    /// ```
    /// use mentor::answer::{Gold, Verdict};
    /// let gold = Gold::new("1,000");
    /// assert_eq!(gold.judge("$1000.00"), Verdict::Equal);
    /// assert_eq!(gold.judge("10^3"), Verdict::Equal);
    /// assert_eq!(gold.judge("999"), Verdict::Different);
    /// assert_eq!(gold.judge("about a thousand"), Verdict::Undecided);
    /// ```
    pub fn judge(&self, predicted: &str) -> Verdict {
        self.decide(predicted).verdict
    }

    /// Compares a predicted answer with this one and says by which rule.
    ///
    /// ```
    /// use mentor::answer::{Gold, Rule, Verdict};
    /// let decision = Gold::new(r"\frac{\sqrt{3}}{3}").decide(r"\frac{1}{\sqrt{3}}");
    /// assert_eq!((decision.verdict, decision.rule), (Verdict::Equal, Rule::Radical));
    /// ```
    pub fn decide(&self, predicted: &str) -> Decision {
        let predicted = trimmed(predicted);
        if predicted.is_empty() {
            return Decision::different(Rule::Kind);
        }
        if predicted == self.text {
            return Decision::equal(Rule::Identical);
        }
        if let (Some(gold), Some(number)) = (&self.plain, Plain::parse(predicted))
            && let Some((verdict, whole)) = gold.compare(&number)
        {
            return Decision { verdict, rule: if whole { Rule::Integer } else { Rule::Rational } };
        }
        let gold = self.answer.get_or_init(|| Box::new(Answer::read(&self.text)));
        gold.decide(&Answer::read(predicted))
    }
}

/// Bytes beyond which texts are compared as they are and not read.
const MAX_TEXT: usize = parse::MAX_TEXT;

/// An answer as the judge understands it.
#[derive(Clone, Debug)]
struct Answer {
    /// Without what TeX does not show; empty for texts that are too long.
    squeezed: String,
    /// With 10 for the base of `\log`.
    shape: Option<Shape>,
    /// With e for it, where `\log` occurs at all.
    natural: Option<Shape>,
    /// Whether `\log` occurs.
    logarithm: bool,
    /// Whether the text has several readings.
    doubtful: bool,
}

impl Answer {
    fn read(text: &str) -> Self {
        let mut answer =
            Self { squeezed: String::new(), shape: None, natural: None, logarithm: false, doubtful: false };
        if text.len() > MAX_TEXT {
            return answer;
        }
        let bare = text::bare(text);
        answer.squeezed = text::squeezed(bare);
        if let Some((letter, content)) = text::choice(bare) {
            answer.shape = Some(Shape::Choice(letter, content));
        } else if let Some(date) = text::date(bare) {
            answer.shape = Some(Shape::Date(date));
        } else if text::is_prose(bare) {
            answer.shape = Some(Shape::Text(text::normal(bare)));
        } else if let Some((node, doubtful)) = parse::parse(bare) {
            answer.doubtful = doubtful;
            answer.shape = shape::shape(&node, true, &mut Budget::new());
            if let Some(Shape::Scalar(scalar)) = &mut answer.shape {
                scalar.letters = bare.len() > 1 && bare.chars().all(char::is_alphabetic);
            }
            answer.logarithm = bare.contains("log") || bare.contains("lg");
            if answer.logarithm {
                answer.natural = shape::shape(&node, false, &mut Budget::new());
            }
        }
        answer
    }

    fn decide(&self, predicted: &Self) -> Decision {
        if !self.squeezed.is_empty() && self.squeezed == predicted.squeezed {
            return Decision::equal(Rule::Identical);
        }
        if self.doubtful || predicted.doubtful {
            return Decision::UNDECIDED;
        }
        let compared = |gold: Option<&Shape>, predicted: Option<&Shape>| match (gold, predicted) {
            (Some(gold), Some(predicted)) => compare::compare(gold, predicted, &mut Budget::new()),
            _ => Decision::UNDECIDED,
        };
        let decision = compared(self.shape.as_ref(), predicted.shape.as_ref());
        if decision.is_different() && self.is_spaced_like(predicted) {
            return Decision::UNDECIDED; // 1,200 and 1, 200
        }
        if !self.logarithm && !predicted.logarithm {
            return decision;
        }
        // \log has two readings: decided is what both agree on.
        let other = compared(self.natural_shape(), predicted.natural_shape());
        if other.verdict == decision.verdict { decision } else { Decision::UNDECIDED }
    }

    /// The reading with e for the base of `\log`.
    fn natural_shape(&self) -> Option<&Shape> {
        if self.logarithm { self.natural.as_ref() } else { self.shape.as_ref() }
    }

    /// Whether both texts are the same but for blanks.
    fn is_spaced_like(&self, other: &Self) -> bool {
        let dense = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        self.squeezed.contains(' ') != other.squeezed.contains(' ') && dense(&self.squeezed) == dense(&other.squeezed)
    }
}
