//! Plain numbers as exact fractions.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow, Signed, Zero};

use super::Verdict;

/// Longer answers are no plain numbers.
const MAX_DIGITS: usize = 256;

/// A number that was written out: an integer, a decimal, or a fraction of integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    value: BigRational,
    /// Whether it is written with a decimal point, so that it may stand for a rounded value.
    decimal: bool,
}

impl Number {
    /// Reads a plain number, `None` for anything else.
    ///
    /// Accepted: a sign; digits, with commas exactly between groups of three; one decimal point; `$` or `\$` in front;
    /// `a/b` and `\frac{a}{b}` of plain numbers with `b` not zero; all of it in `{}` or `\text{}`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 2 * MAX_DIGITS {
            return None;
        }
        let text = unwrapped(text.trim());
        let (negative, unsigned) = sign(text);
        let unsigned = unsigned.strip_prefix("\\$").or_else(|| unsigned.strip_prefix('$')).unwrap_or(unsigned);
        // `$12$` is mathematics, `$12` is money: a closing dollar without an opening one is neither.
        let unsigned = match unsigned.strip_suffix('$') {
            Some(inner) if text.starts_with('$') && !text.starts_with("\\$") => inner,
            Some(_) => return None,
            None => unsigned,
        };
        let mut number = fraction(unsigned).or_else(|| decimal(unsigned))?;
        if negative {
            number.value = -number.value;
        }
        Some(number)
    }

    /// Compares two numbers: exactly equal, clearly different, or so close that one may be the other rounded.
    pub fn compare(&self, other: &Self) -> Verdict {
        if self.value == other.value {
            return Verdict::Equal;
        }
        if !self.decimal && !other.decimal && self.value.is_integer() && other.value.is_integer() {
            return Verdict::Different;
        }
        let gap = (&self.value - &other.value).abs();
        let scale = self.value.abs().max(other.value.abs());
        let close =
            BigRational::new(BigInt::from(1), BigInt::from(1000)) * (scale + BigRational::from(BigInt::from(1)));
        if gap > close { Verdict::Different } else { Verdict::Undecided }
    }
}

/// The text without braces or `\text{}` around the whole of it.
fn unwrapped(text: &str) -> &str {
    let inner = text.strip_prefix("\\text").unwrap_or(text).strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inner.filter(|inner| !inner.contains(['{', '}'])).map_or(text, str::trim)
}

fn sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, text[1..].trim_start()),
        Some(b'+') => (false, text[1..].trim_start()),
        _ => (false, text),
    }
}

fn fraction(text: &str) -> Option<Number> {
    let (top, bottom) = if let Some(rest) = ["\\frac", "\\dfrac", "\\tfrac"].iter().find_map(|f| text.strip_prefix(f)) {
        let (top, rest) = braced(rest)?;
        let (bottom, rest) = braced(rest)?;
        if !rest.trim().is_empty() {
            return None;
        }
        (top, bottom)
    } else {
        text.split_once('/')?
    };
    let (top_negative, top) = sign(top.trim());
    let top = decimal(top)?;
    let bottom = decimal(bottom.trim())?;
    if bottom.value.is_zero() {
        return None;
    }
    let value = top.value / bottom.value;
    let value = if top_negative { -value } else { value };
    Some(Number { value, decimal: top.decimal || bottom.decimal })
}

fn braced(text: &str) -> Option<(&str, &str)> {
    let rest = text.trim_start().strip_prefix('{')?;
    let end = rest.find('}')?;
    Some((&rest[..end], &rest[end + 1..]))
}

/// Digits with thousands separators and a decimal point, no sign.
fn decimal(text: &str) -> Option<Number> {
    let (whole, part) = match text.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (text, None),
    };
    let digits = ungrouped(whole)?;
    let places = part.unwrap_or_default();
    if digits.is_empty() && places.is_empty()
        || digits.len() + places.len() > MAX_DIGITS
        || !places.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let mantissa = BigInt::parse_bytes(format!("0{digits}{places}").as_bytes(), 10)?;
    let value = BigRational::new(mantissa, Pow::pow(BigInt::from(10), places.len()));
    Some(Number { value, decimal: part.is_some() })
}

/// The digits without the commas between groups of three.
fn ungrouped(text: &str) -> Option<String> {
    let mut groups = text.split(',');
    let first = groups.next().unwrap_or_default();
    let mut digits = String::with_capacity(text.len());
    let all_digits = |group: &str| group.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(first) {
        return None;
    }
    digits.push_str(first);
    for group in groups {
        if first.is_empty() || first.len() > 3 || group.len() != 3 || !all_digits(group) {
            return None;
        }
        digits.push_str(group);
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(a: &str, b: &str) -> Verdict {
        Number::parse(a).unwrap().compare(&Number::parse(b).unwrap())
    }

    #[test]
    fn equal_numbers_in_every_writing() {
        for form in [
            "1000",
            "1,000",
            "1000.0",
            "+1000",
            "$1,000",
            "\\$1000.00",
            "$1000$",
            "2000/2",
            "\\frac{2000}{2}",
            "{1000}",
            "\\text{ 1000 }",
        ] {
            assert_eq!(compare("1000", form), Verdict::Equal, "{form}");
        }
        assert_eq!(compare("-0.5", "-\\frac{1}{2}"), Verdict::Equal);
        assert_eq!(compare("-0.5", "\\frac{-1}{2}"), Verdict::Equal);
        assert_eq!(compare(".5", "1/2"), Verdict::Equal);
    }

    #[test]
    fn close_numbers_are_undecided_and_far_ones_differ() {
        assert_eq!(compare("0.333333", "1/3"), Verdict::Undecided);
        assert_eq!(compare("3.14", "22/7"), Verdict::Undecided);
        assert_eq!(compare("2250", "2251"), Verdict::Different);
        assert_eq!(compare("0.5", "0.75"), Verdict::Different);
    }

    #[test]
    fn anything_else_is_no_number() {
        for text in
            ["", "-", ".", "1,00", "1,0000", ",100", "1e5", "5%", "x", "2 3", "1/0", "1/2/3", "12$", "0x1f", "١"]
        {
            assert_eq!(Number::parse(text), None, "{text}");
        }
        assert_eq!(Number::parse(&"9".repeat(10_000)), None);
    }
}
