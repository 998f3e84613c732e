//! Units behind amounts.

use num_rational::BigRational;

/// A unit of measurement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Unit {
    /// What is measured, and how many of the first unit of its kind one of this is.
    Known(&'static str, BigRational),
    /// A word that is no unit of measurement, in lower case and without its plural ending: what is counted.
    Other(String),
}

/// Names, kind, and size as a fraction.
type Row = (&'static [&'static str], &'static str, i64, i64);

/// Sizes are exact by definition.
const UNITS: [Row; 42] = [
    (&["mm", "millimeter", "millimetre"], "length", 1, 1000),
    (&["cm", "centimeter", "centimetre"], "length", 1, 100),
    (&["dm", "decimeter"], "length", 1, 10),
    (&["m", "meter", "metre"], "length", 1, 1),
    (&["km", "kilometer", "kilometre"], "length", 1000, 1),
    (&["inch", "inche", "in"], "length", 254, 10000),
    (&["ft", "foot", "feet"], "length", 3048, 10000),
    (&["yd", "yard"], "length", 9144, 10000),
    (&["mile", "mi"], "length", 1_609_344, 1000),
    (&["mm^2"], "area", 1, 1_000_000),
    (&["cm^2", "square centimeter", "square cm", "sq cm"], "area", 1, 10_000),
    (&["m^2", "square meter", "square metre", "square m", "sq m"], "area", 1, 1),
    (&["km^2", "square kilometer"], "area", 1_000_000, 1),
    (&["in^2", "inch^2", "inche^2", "square inch", "square inche", "sq in"], "area", 64516, 100_000_000),
    (&["ft^2", "square feet", "square foot", "square ft", "sq ft", "feet^2"], "area", 9_290_304, 100_000_000),
    (&["yd^2", "square yard"], "area", 83_612_736, 100_000_000),
    (&["mile^2", "square mile"], "area", 2_589_988_110_336, 1_000_000),
    (&["square unit", "sq unit", "unit^2"], "area in units", 1, 1),
    (&["cubic unit", "unit^3"], "volume in units", 1, 1),
    (&["unit"], "units", 1, 1),
    (&["cm^3", "cubic centimeter", "cubic cm", "cc", "ml", "milliliter"], "volume", 1, 1_000_000),
    (&["l", "liter", "litre"], "volume", 1, 1000),
    (&["m^3", "cubic meter", "cubic metre"], "volume", 1, 1),
    (&["in^3", "cubic inch", "cubic inche"], "volume", 16_387_064, 1_000_000_000_000),
    (&["ft^3", "cubic feet", "cubic foot", "cubic ft"], "volume", 28_316_846_592, 1_000_000_000_000),
    (&["mg", "milligram"], "mass", 1, 1_000_000),
    (&["g", "gram"], "mass", 1, 1000),
    (&["kg", "kilogram"], "mass", 1, 1),
    (&["lb", "pound"], "mass", 45_359_237, 100_000_000),
    (&["oz", "ounce"], "mass", 45_359_237, 1_600_000_000),
    (&["s", "sec", "second"], "time", 1, 1),
    (&["min", "minute"], "time", 60, 1),
    (&["h", "hr", "hour"], "time", 3600, 1),
    (&["day"], "time", 86400, 1),
    (&["week"], "time", 604_800, 1),
    (&["month"], "months", 1, 1),
    (&["year", "yr"], "months", 12, 1),
    (&["$", "dollar", "usd", "buck"], "dollars", 1, 1),
    (&["cent", "¢"], "dollars", 1, 100),
    (&["€", "euro"], "euros", 1, 1),
    (&["mph", "mile per hour", "mi per h", "mi per hr"], "speed", 1_609_344, 3_600_000),
    (&["km per h", "km per hour", "kilometer per hour", "kmh", "kph"], "speed", 10, 36),
];

/// Words behind a number that change what it says.
const CHANGING: [&str; 56] = [
    "or",
    "and",
    "not",
    "no",
    "more",
    "less",
    "fewer",
    "than",
    "at",
    "least",
    "most",
    "about",
    "approximately",
    "almost",
    "nearly",
    "to",
    "from",
    "if",
    "when",
    "where",
    "hundred",
    "thousand",
    "million",
    "billion",
    "trillion",
    "dozen",
    "score",
    "half",
    "halve",
    "third",
    "quarter",
    "fourth",
    "fifth",
    "tenth",
    "hundredth",
    "squared",
    "cubed",
    "factorial",
    "root",
    "pi",
    "times",
    "time",
    "below",
    "under",
    "behind",
    "lo",
    "loss",
    "decrease",
    "ago",
    "before",
    "short",
    "remainder",
    "is",
    "percentage",
    "k",
    "base",
];

/// Reads a unit as it was written; `None` for words that are no unit but change the number: `or more`, `million`.
pub(super) fn read(text: &str) -> Option<Unit> {
    let name = normal(text);
    // 5 M may be five millions.
    if matches!(text.trim(), "M" | "K" | "B") || name.split(' ').any(|word| CHANGING.contains(&word)) || name.len() > 60
    {
        return None;
    }
    Some(match find(&name) {
        Some((_, kind, top, bottom)) => Unit::Known(kind, BigRational::new((*top).into(), (*bottom).into())),
        None => Unit::Other(name),
    })
}

/// Whether a word is a unit of measurement.
pub(super) fn is_known(word: &str) -> bool {
    word.len() > 1 && find(&normal(word)).is_some()
}

fn find(name: &str) -> Option<&'static Row> {
    UNITS.iter().find(|(names, ..)| names.contains(&name))
}

/// Lower case, single blanks, no dots, no plural, `/` as `per`.
fn normal(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.replace('/', " per ").split_whitespace() {
        let word = word.trim_matches(|c| c == '.' || c == ',').to_lowercase();
        let (word, power) = match word.split_once('^') {
            Some((word, power)) => (word.to_owned(), format!("^{}", power.trim_matches(|c| c == '{' || c == '}'))),
            None => (word, String::new()),
        };
        let singular = match word.strip_suffix('s') {
            Some(singular) if word.len() > 2 && !singular.ends_with('s') => singular.to_owned(),
            _ => word,
        };
        if !singular.is_empty() || !power.is_empty() {
            words.push(singular + &power);
        }
    }
    // "cm ^2" was written in two pieces.
    words.join(" ").replace(" ^", "^")
}
