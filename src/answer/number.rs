//! Written-out numbers: digits on their own, and the plain numbers that are compared without allocating.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::Pow;

use super::Verdict;

/// More digits than this are no plain number.
const MAX_DIGITS: usize = 400;
/// The largest power of ten of `1e300`.
const MAX_TENS: u32 = 400;

/// Digits as they were written: `1,000`, `0.25`, `.5`, `1e-3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digits<'a> {
    text: &'a str,
    /// Where the decimal point stands, if anywhere.
    point: Option<usize>,
    /// Where `e` stands, if anywhere.
    exponent: Option<usize>,
}

impl<'a> Digits<'a> {
    /// Digits without anything else.
    pub fn plain(text: &'a str) -> Self {
        Self { text, point: None, exponent: None }
    }

    /// The digits that a text starts with. `grouped`: a comma between groups of three belongs to the number.
    pub fn scan(text: &'a str, grouped: bool) -> Self {
        let bytes = text.as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut end = digits(0);
        let separator = |at: usize| {
            ["{,}", "\\,", "\\!,", ",\\!", ","]
                .into_iter()
                .find(|s| text[at..].starts_with(s) && digits(at + s.len()) == 3 && (grouped || *s != ","))
        };
        if (1..=3).contains(&end) && bytes[0] != b'0' {
            while let Some(separator) = separator(end) {
                end += separator.len() + 3;
            }
        }
        let mut point = None;
        let fraction = |at: usize| digits(at) > 0 || text[at..].starts_with("\\overline");
        if bytes.get(end) == Some(&b'.') && (end == 0 || fraction(end + 1)) {
            point = Some(end);
            end += 1 + digits(end + 1);
        }
        let mut exponent = None;
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let signed = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
            let count = bytes.get(signed).map_or(0, |_| digits(signed));
            if count > 0 {
                exponent = Some(end);
                end = signed + count;
            }
        }
        Self { text: &text[..end], point, exponent }
    }

    /// How long the text is.
    pub fn length(&self) -> usize {
        self.text.len()
    }

    /// The text as it was written.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Whether these are digits and nothing else.
    pub fn is_plain(&self) -> bool {
        self.text.bytes().all(|b| b.is_ascii_digit())
    }

    /// How many digits stand after the point; `None` where there is no point.
    pub fn places(&self) -> Option<u32> {
        let end = self.exponent.unwrap_or(self.text.len());
        self.point.map(|point| u32::try_from(end - point - 1).unwrap_or(u32::MAX))
    }

    /// The number's value; `None` beyond the bounds.
    pub fn value(&self) -> Option<BigRational> {
        if self.text.len() > 2 * MAX_DIGITS {
            return None;
        }
        let (mantissa, tens) = match self.exponent {
            Some(at) => (&self.text[..at], self.text[at + 1..].parse::<i32>().ok()?),
            None => (self.text, 0),
        };
        let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
        if digits.len() > MAX_DIGITS {
            return None;
        }
        let digits = BigInt::parse_bytes(&digits, 10)?;
        let tens = tens - i32::try_from(self.places().unwrap_or(0)).ok()?;
        if tens.unsigned_abs() > MAX_TENS {
            return None;
        }
        let power: BigInt = Pow::pow(BigInt::from(10), tens.unsigned_abs());
        Some(if tens < 0 { BigRational::new(digits, power) } else { BigRational::from(digits * power) })
    }
}

/// A plain number in 128 bits: an integer, a decimal, or a fraction of such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    top: i128,
    /// Positive.
    bottom: i128,
    /// Digits after the point as written; `None` without a point.
    places: Option<u32>,
    /// Whether it is a fraction, of which nobody knows how it would be rounded.
    fraction: bool,
}

impl Plain {
    /// Reads a plain number; `None` for anything else, and for numbers that 128 bits do not hold.
    ///
    /// Accepted: a sign; digits, with commas exactly between groups of three; one decimal point; `$` or `\$` in front;
    /// `a/b` and `\frac{a}{b}` with `b` not zero; all of it in `{}` or `\text{}`, or between two `$`.
    pub fn parse(text: &str) -> Option<Self> {
        let quick = text.as_bytes();
        // Nearly every answer that is no number shows it in its first or last byte.
        if quick.len() > 64 || !matches!(quick.first()?, b'0'..=b'9' | b'-' | b'+' | b'$' | b'\\' | b'{' | b'.') {
            return None;
        }
        let text = unwrapped(text);
        let (negative, unsigned) = sign(text);
        let unsigned = unsigned.strip_prefix("\\$").or_else(|| unsigned.strip_prefix('$')).unwrap_or(unsigned);
        // `$12$` is mathematics, `$12` is money: a closing dollar without an opening one is neither.
        let unsigned = match unsigned.strip_suffix('$') {
            Some(inner) if text.starts_with('$') => inner,
            Some(_) => return None,
            None => unsigned,
        };
        let (inner, unsigned) = sign(unsigned);
        let mut number = fraction(unsigned).or_else(|| decimal(unsigned))?;
        if negative && inner {
            return None;
        }
        if negative || inner {
            number.top = -number.top;
        }
        Some(number)
    }

    /// Compares two numbers exactly; `None` where 128 bits do not suffice.
    pub fn compare(&self, other: &Self) -> Option<(Verdict, bool)> {
        let left = self.top.checked_mul(other.bottom)?;
        let right = other.top.checked_mul(self.bottom)?;
        let whole = self.is_whole() && other.is_whole();
        if left == right {
            return Some((Verdict::Equal, whole));
        }
        let exact = self.places.is_none() && other.places.is_none();
        if exact {
            return Some((Verdict::Different, whole));
        }
        // A thousandth apart and more: neither is the other rounded.
        let gap = left.checked_sub(right)?.unsigned_abs();
        let scale = left.unsigned_abs().max(right.unsigned_abs()).checked_add(self.common(other)?)?;
        if gap.checked_mul(1000)? > scale { Some((Verdict::Different, false)) } else { None }
    }

    fn common(&self, other: &Self) -> Option<u128> {
        self.bottom.checked_mul(other.bottom).map(i128::unsigned_abs)
    }

    fn is_whole(&self) -> bool {
        self.places.is_none() && !self.fraction
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

fn fraction(text: &str) -> Option<Plain> {
    let (top, bottom) = if text.starts_with('\\') {
        let rest = ["\\frac", "\\dfrac", "\\tfrac"].iter().find_map(|f| text.strip_prefix(f))?;
        let (top, rest) = braced(rest)?;
        let (bottom, rest) = braced(rest)?;
        if !rest.trim().is_empty() {
            return None;
        }
        (top, bottom)
    } else {
        let slash = memchr::memchr(b'/', text.as_bytes())?;
        (&text[..slash], &text[slash + 1..])
    };
    let (negative, top) = sign(top.trim());
    let top = decimal(top)?;
    let bottom = decimal(bottom.trim())?;
    if bottom.top == 0 {
        return None;
    }
    let places = top.places.max(bottom.places);
    let value = top.top.checked_mul(bottom.bottom)?;
    let value = if negative { -value } else { value };
    Some(Plain { top: value, bottom: top.bottom.checked_mul(bottom.top)?, places, fraction: true })
}

fn braced(text: &str) -> Option<(&str, &str)> {
    let rest = text.trim_start().strip_prefix('{')?;
    let end = rest.find('}')?;
    Some((&rest[..end], &rest[end + 1..]))
}

/// Digits with thousands separators and a decimal point, no sign.
fn decimal(text: &str) -> Option<Plain> {
    let (mut top, mut bottom, mut places) = (0_i128, 1_i128, None::<u32>);
    let (mut digits, mut group, mut groups) = (0_u32, 0_u32, 0_u32);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                if digits > 30 {
                    return None;
                }
                group += 1;
                top = top * 10 + i128::from(byte - b'0');
                if let Some(places) = &mut places {
                    *places += 1;
                    bottom *= 10;
                }
            }
            b',' if places.is_none()
                && top != 0
                && (if groups == 0 { (1..=3).contains(&group) } else { group == 3 }) =>
            {
                groups += 1;
                group = 0;
            }
            b'.' if places.is_none() && (groups == 0 || group == 3) => places = Some(0),
            _ => return None,
        }
    }
    if digits == 0 || (places.is_none() && groups > 0 && group != 3) {
        return None;
    }
    Some(Plain { top, bottom, places, fraction: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(a: &str, b: &str) -> Option<Verdict> {
        Plain::parse(a).unwrap().compare(&Plain::parse(b).unwrap()).map(|(verdict, _)| verdict)
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
            assert_eq!(compare("1000", form), Some(Verdict::Equal), "{form}");
        }
        assert_eq!(compare("-0.5", "-\\frac{1}{2}"), Some(Verdict::Equal));
        assert_eq!(compare("-0.5", "\\frac{-1}{2}"), Some(Verdict::Equal));
        assert_eq!(compare(".5", "1/2"), Some(Verdict::Equal));
        assert_eq!(compare("-\\$5", "\\$-5"), Some(Verdict::Equal));
    }

    #[test]
    fn close_numbers_need_a_closer_look_and_far_ones_differ() {
        assert_eq!(compare("0.333333", "1/3"), None);
        assert_eq!(compare("3.14", "22/7"), None);
        assert_eq!(compare("2250", "2251"), Some(Verdict::Different));
        assert_eq!(compare("0.5", "0.75"), Some(Verdict::Different));
        assert_eq!(compare("123456789012345678901234567890", "1/123456789012345678901234567890"), None);
    }

    #[test]
    fn anything_else_is_no_plain_number() {
        for text in
            ["", "-", ".", "1,00", "1,0000", ",100", "1e5", "5%", "x", "2 3", "1/0", "1/2/3", "12$", "0x1f", "١", "--1"]
        {
            assert_eq!(Plain::parse(text), None, "{text}");
        }
        assert_eq!(Plain::parse(&"9".repeat(31)), None);
        assert_eq!(Plain::parse(&"9".repeat(10_000)), None);
    }

    #[test]
    fn digits_are_scanned_with_their_separators_and_exponents() {
        let scan = |text| Digits::scan(text, true);
        assert_eq!(scan("1,000,5").text(), "1,000");
        assert_eq!(scan("1{,}000{,}000").value(), Some(BigRational::from(BigInt::from(1_000_000))));
        assert_eq!(Digits::scan("1,000", false).text(), "1");
        assert_eq!(scan("1.5e-3x").value(), Some(BigRational::new(BigInt::from(3), BigInt::from(2000))));
        assert_eq!(scan("2e").text(), "2");
        assert_eq!(scan("1e999999999999").value(), None);
        assert_eq!(scan("3.50").places(), Some(2));
        assert_eq!(scan("3.").text(), "3");
    }
}
