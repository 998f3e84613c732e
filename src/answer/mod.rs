//! The native answer judge: equal, different, or *undecided*. It never guesses.
//!
//! It decides numbers (integers, decimals, thousands separators, currency signs, fractions) by exact rational
//! arithmetic, and identical texts. Everything else is left to a slower judge.

mod number;

pub use number::Number;

/// What the native judge says of a predicted answer and the gold answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// A gold answer, read once and compared many times.
#[derive(Clone, Debug)]
pub struct Gold {
    text: String,
    number: Option<Number>,
}

impl Gold {
    /// Reads a gold answer.
    pub fn new(text: &str) -> Self {
        let text = text.trim().to_owned();
        let number = Number::parse(&text);
        Self { text, number }
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
    /// assert_eq!(gold.judge("999"), Verdict::Different);
    /// assert_eq!(gold.judge("10^3"), Verdict::Undecided);
    /// ```
    pub fn judge(&self, predicted: &str) -> Verdict {
        let predicted = predicted.trim();
        if predicted.is_empty() {
            return Verdict::Different;
        }
        if predicted == self.text {
            return Verdict::Equal;
        }
        match (&self.number, Number::parse(predicted)) {
            (Some(gold), Some(number)) => gold.compare(&number),
            _ => Verdict::Undecided,
        }
    }
}
