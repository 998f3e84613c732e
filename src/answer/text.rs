//! Answers in words: the marks around an answer, choices, plain text.

/// Words that name numbers: no text with one of them is simply another thing than a number.
#[rustfmt::skip]
const NUMBERS: [&str; 27] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "dozen", "hundred", "thousand",
    "million", "half", "third", "quarter", "fourth", "fifth", "first", "second", "once", "twice", "minus",
];

/// Words that name sets and the like.
#[rustfmt::skip]
const SETS: [&str; 22] = [
    "none", "nothing", "infinite", "infinitely", "infinity", "all", "any", "every", "real", "reals", "empty",
    "undefined", "exist", "solution", "solutions", "both", "neither", "unbounded", "diverges", "divergent", "limit", "dne",
];

/// Short words that are no products of letters.
const WORDS: [&str; 30] = [
    "yes", "no", "odd", "all", "one", "two", "six", "ten", "red", "blue", "dne", "any", "mon", "tue", "wed", "thu",
    "fri", "sat", "sun", "jan", "feb", "mar", "may", "jun", "up", "am", "pm", "dog", "cat", "tie",
];

/// The text without what only surrounds an answer: blanks, a full stop, dollars, `\boxed{}`, `\text{}`, braces.
pub(super) fn bare(text: &str) -> &str {
    let mut text = text.trim();
    for _ in 0..8 {
        let before = text;
        text = text.trim_start_matches("\\displaystyle").trim();
        if let Some(rest) = text.strip_suffix('.')
            && !rest.ends_with("\\right")
            && !rest.ends_with("\\left")
            && !rest.ends_with('.')
        {
            text = rest.trim_end();
        }
        for (open, close) in [("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")] {
            if let Some(inner) = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close))
                && !inner.is_empty()
                && !inner.ends_with('\\')
                && !inner.contains(open)
            {
                text = inner.trim();
                break;
            }
        }
        for command in ["\\boxed", "\\fbox", "\\text", "\\textbf", "\\mathrm", "\\mathbf", "\\mbox", "\\textrm", ""] {
            let Some(rest) = text.strip_prefix(command).map(str::trim_start) else { continue };
            if rest.starts_with('{') && super::lex::closing(rest, 0) == Some(rest.len() - 1) {
                // {1, 2} is a set.
                let inner = &rest[1..rest.len() - 1];
                if !(command.is_empty() && inner.contains([',', ';'])) {
                    text = inner.trim();
                    break;
                }
            }
        }
        if text.len() == before.len() {
            break;
        }
    }
    text
}

/// The letter of a choice, and whether the choice's content stands behind it: `A`, `(B)`, `C.`, `\text{(D)}`,
/// `(E) 12`.
pub(super) fn choice(text: &str) -> Option<(char, bool)> {
    let text = ["\\textbf", "\\text", "\\mathrm", "\\mathbf"].iter().find_map(|c| text.strip_prefix(c)).unwrap_or(text);
    let text = text.trim_start_matches(['{', ' ', '~', '\\']);
    let (inner, enclosed) = match text.strip_prefix('(') {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let inner = ["\\text{", "\\textbf{", "\\mathrm{"].iter().find_map(|c| inner.strip_prefix(c)).unwrap_or(inner);
    let letter = inner.chars().next().filter(|letter| ('A'..='J').contains(letter))?;
    let rest = &inner[1..];
    let rest = rest.trim_start_matches('}');
    let rest = if enclosed { rest.strip_prefix(')')? } else { rest.strip_prefix(')').unwrap_or(rest) };
    let rest = rest.trim_matches(|c: char| c == '}' || c == '\\' || c.is_whitespace() || c == '.');
    if rest.is_empty() {
        return Some((letter, false));
    }
    let marked = enclosed || inner[1..].starts_with([')', '.', ':']);
    // (A) or (B) is no choice.
    let hedged = |word: &str| {
        matches!(
            word.to_lowercase().as_str(),
            "or" | "and" | "not" | "nor" | "is" | "both" | "either" | "neither" | "wrong"
        ) || matches!(word.as_bytes(), [b'A'..=b'J'])
    };
    if rest.split(|c: char| !c.is_alphabetic()).any(hedged) {
        return None;
    }
    // (A)(B) is a product.
    (marked && !rest.starts_with(['(', '^', '_', '*', '/', '+', '-', ',', '=', '<', '>'])).then_some((letter, true))
}

/// A date as ISO 8601 writes it, `2026-03-05`: no difference of three numbers, which nobody fills up with zeros.
pub(super) fn date(text: &str) -> Option<[u16; 3]> {
    let digits = |part: &str, length: usize| -> Option<u16> {
        (part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse().ok())?
    };
    let mut parts = text.split('-');
    let date = [digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?];
    (parts.next().is_none() && (1..=12).contains(&date[1]) && (1..=31).contains(&date[2])).then_some(date)
}

/// Whether the answer is words and nothing else.
pub(super) fn is_prose(text: &str) -> bool {
    // A minus sign is no hyphen.
    if text.len() > 200
        || !text.starts_with(char::is_alphabetic)
        || !text.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '\'' | '-' | '.' | '!' | '\u{2019}'))
    {
        return false;
    }
    let words: Vec<&str> = text.split([' ', '-']).filter(|word| !word.is_empty()).collect();
    let letters = |word: &str| word.chars().filter(|c| c.is_alphabetic()).count();
    let telling = |word: &str| letters(word) > 3 || letters(word) > 1 && WORDS.contains(&word.to_lowercase().as_str());
    // "pi over two" is mathematics, "and" and "or" separate elements.
    words.iter().any(|word| telling(word)) && !words.iter().any(|word| is_name(word))
}

fn is_name(word: &str) -> bool {
    matches!(
        word,
        "sqrt"
            | "sin"
            | "cos"
            | "tan"
            | "log"
            | "ln"
            | "pi"
            | "infinity"
            | "infty"
            | "inf"
            | "theta"
            | "alpha"
            | "beta"
            | "exp"
    )
}

/// Words in one writing: lower case, single blanks, no marks at the ends.
pub(super) fn normal(text: &str) -> String {
    let words =
        text.split(|c: char| c.is_whitespace() || c == '-' || c == '\u{2019}' || c == '\'').filter(|w| !w.is_empty());
    let words: Vec<String> = words.map(|word| word.trim_matches(['.', '!']).to_lowercase()).collect();
    words.join(" ")
}

/// Whether words may stand for a number or a set.
pub(super) fn tells_more(normal: &str) -> bool {
    tells_number(normal) || normal.split(' ').any(|word| SETS.contains(&word))
}

/// Whether words may stand for a number other than zero.
pub(super) fn tells_number(normal: &str) -> bool {
    normal.split(' ').any(|word| NUMBERS.contains(&word) || word.ends_with("teen") || word.ends_with("ty"))
}

/// Whether two texts may say the same: a word of one is, or begins as, a word of the other ("even" and "an even number",
/// "Tue" and "Tuesday", "increasing" and "increases"), or one of them is long.
pub(super) fn may_agree(a: &str, b: &str) -> bool {
    let start = |word: &str| word.chars().take(3).collect::<String>();
    let long = |text: &str| text.split(' ').count() > 3;
    long(a) || long(b) || a.split(' ').any(|word| b.split(' ').any(|other| start(word) == start(other)))
}

/// The text without what TeX does not show: sizes of brackets, and blanks except between letters or digits.
pub(super) fn squeezed(text: &str) -> String {
    let mut plain = text.replace("\\left", "").replace("\\right", "");
    for (long, short) in [("\\dfrac", "\\frac"), ("\\tfrac", "\\frac"), ("\\!", "")] {
        plain = plain.replace(long, short);
    }
    for space in ["\\,", "\\;", "\\:", "\\ "] {
        plain = plain.replace(space, " ");
    }
    let mut squeezed = String::with_capacity(plain.len());
    let mut blank = false;
    for c in plain.chars() {
        if c.is_whitespace() {
            blank = true;
            continue;
        }
        // 1, 200 is not 1,200.
        let apart = |before: char| before.is_alphanumeric() || before == ',' && c.is_ascii_digit();
        if blank && c.is_alphanumeric() && squeezed.ends_with(apart) {
            squeezed.push(' ');
        }
        blank = false;
        squeezed.push(c);
    }
    squeezed
}
