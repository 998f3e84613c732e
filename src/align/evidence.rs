//! What results say: which call could have got a value from which result, and which results are worth something.

use super::Calls;
use super::value::{near, number_in};
use super::words::{hash, words};
use crate::json::{Doc, Id, Map, Text, Value};

/// What a call's result is worth as evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Output {
    /// There is none.
    #[default]
    None,
    /// It says so little that equality means nothing: empty, `null`, `true`, `ok`, 0, 1, an error.
    Trivial,
    /// A number.
    Number(f64),
    /// Anything else.
    Text,
}

impl Output {
    /// Reads a result's text.
    pub(super) fn of(text: Option<&str>) -> Self {
        let Some(text) = text else { return Self::None };
        match number_in(text) {
            Some(number) if number.abs() <= 1.0 && number.fract() == 0.0 => Self::Trivial,
            Some(number) => Self::Number(number),
            None if is_trivial(text) => Self::Trivial,
            None => Self::Text,
        }
    }
}

/// Whether a text that is no number says nothing.
fn is_trivial(text: &str) -> bool {
    const SAY_NOTHING: [&str; 16] = [
        "null",
        "none",
        "true",
        "false",
        "okay",
        "done",
        "success",
        "succeeded",
        "finished",
        "completed",
        "undefined",
        "nan",
        "inf",
        "yes",
        "sent",
        "saved",
    ];
    const FAILURES: [&str; 4] = ["error", "exception", "traceback", "invalid"];
    const NEAR: usize = 64;
    if text.len() < 3 {
        return true;
    }
    let has_more = words(text).nth(1).is_some();
    if !has_more {
        return words(text).next().is_none_or(|word| SAY_NOTHING.iter().any(|known| word.eq_ignore_ascii_case(known)));
    }
    let end = (0..=NEAR.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let head = &text.as_bytes()[..end];
    let holds = |word: &str| head.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()));
    FAILURES.iter().any(|word| holds(word))
}

/// Whether a number is so common that it needs no source: small integers, a half, powers of ten.
fn is_common(number: f64) -> bool {
    number.abs() < 10.0 && number.fract() == 0.0 || [0.5, 10.0, 100.0, 1000.0].contains(&number.abs())
}

/// The values that the reference's calls take from the task itself, not from results.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    numbers: Vec<f64>,
    words: Vec<u64>,
}

impl Given {
    pub(super) fn add(&mut self, value: Value<'_>, sources: &Sources, call: usize, tolerance: f64) {
        let mut leaves = Leaves::default();
        leaves.visit(value, &mut |leaf| {
            match leaf {
                Leaf::Number(number) if !sources.has_number(number, call, tolerance) => self.numbers.push(number),
                Leaf::Number(_) => {}
                Leaf::Word(word) => self.words.push(hash(word)),
            }
            true
        });
    }

    pub(super) fn close(&mut self) {
        self.numbers.sort_unstable_by(f64::total_cmp);
        self.numbers.dedup();
        self.words.sort_unstable();
        self.words.dedup();
    }

    fn has_number(&self, number: f64, tolerance: f64) -> bool {
        let room = tolerance * number.abs();
        let first = self.numbers.partition_point(|known| *known < number - room);
        self.numbers[first..].iter().take_while(|known| **known <= number + room).any(|k| near(*k, number, tolerance))
    }

    fn has_word(&self, word: &str) -> bool {
        self.words.binary_search(&hash(word)).is_ok()
    }
}

enum Leaf<'a> {
    /// A number, or one that stands in a text.
    Number(f64),
    /// A word of three letters or more.
    Word(&'a str),
}

/// A walk over the leaves of arguments, of bounded length.
struct Leaves {
    left: usize,
}

impl Default for Leaves {
    fn default() -> Self {
        const MOST: usize = 512;
        Self { left: MOST }
    }
}

impl Leaves {
    /// Visits until `visit` says no, or there are too many: then false.
    fn visit<'a>(&mut self, value: Value<'a>, visit: &mut impl FnMut(Leaf<'a>) -> bool) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        match value {
            Value::Null | Value::Bool(_) => true,
            Value::String(text) => self.text(text, visit),
            Value::Array(list) => list.iter().all(|item| self.visit(item, visit)),
            Value::Object(map) => map.iter().all(|(_, item)| self.visit(item, visit)),
            number => visit(Leaf::Number(number.as_f64().unwrap_or(f64::INFINITY))),
        }
    }

    fn text<'a>(&mut self, text: &'a str, visit: &mut impl FnMut(Leaf<'a>) -> bool) -> bool {
        let mut tokens = text.split(|c: char| !(c.is_alphanumeric() || c == '.')).map(|token| token.trim_matches('.'));
        tokens.all(|token| {
            if self.left == 0 {
                return false;
            }
            if token.is_empty() {
                return true;
            }
            self.left -= 1;
            match token.parse::<f64>() {
                Ok(number) if number.is_finite() => visit(Leaf::Number(number)),
                _ if token.chars().nth(2).is_some() => visit(Leaf::Word(token)),
                _ => true,
            }
        })
    }
}

#[derive(Clone, Copy, Debug)]
enum Carried {
    Number(f64),
    Text(Text),
}

#[derive(Clone, Copy, Debug)]
struct Source {
    value: Carried,
    call: usize,
    turn: usize,
}

/// The values that results brought into a rollout, each with the first call that did.
///
/// Only a call that did something brings a value: its own arguments come from the task or from earlier results, and the value
/// is not among them. Otherwise `add(119, 1)` or `add(120, 0)` would make a guessed 120 a result.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    found: Vec<Source>,
    doc: Doc,
}

/// At most so many values are kept: looking for one takes time linear in their number.
const MAX_SOURCES: usize = 64;

/// Longer results are no values that an argument would repeat.
const MAX_CARRIED: usize = 256;
const MAX_STRUCTURE: usize = 8192;
const MAX_MEMBERS: usize = 32;

impl Sources {
    pub(super) fn clear(&mut self) {
        self.found.clear();
        self.doc.clear();
    }

    /// Adds the values of a call's result that its arguments do not mention.
    pub(super) fn add(&mut self, text: &str, arguments: Map<'_>, call: usize, turn: usize, tolerance: f64) {
        if let Some(number) = number_in(text) {
            self.carry_number(number, arguments, call, turn, tolerance);
        } else if text.starts_with(['{', '[']) {
            if text.len() > MAX_STRUCTURE {
                return;
            }
            self.add_members(text, arguments, call, turn, tolerance);
        } else if is_carried(text) && !mentions_text(arguments, text) {
            let text = self.doc.add_str(text);
            self.push(Carried::Text(text), call, turn);
        }
    }

    /// Adds the numbers and texts at the top level of a structured result.
    fn add_members(&mut self, text: &str, arguments: Map<'_>, call: usize, turn: usize, tolerance: f64) {
        let Ok(id) = self.doc.parse_all(text) else { return };
        let mut ids = [id; MAX_MEMBERS];
        let mut members = 0;
        let mut keep = |member: Id| {
            ids[members] = member;
            members += 1;
        };
        match self.doc.value(id) {
            Value::Array(list) => list.ids().take(MAX_MEMBERS).for_each(&mut keep),
            Value::Object(map) => map.entries().take(MAX_MEMBERS).for_each(|(_, id)| keep(id)),
            _ => {}
        }
        for id in &ids[..members] {
            match self.doc.value(*id) {
                Value::String(text) if is_carried(text) && !mentions_text(arguments, text) => {
                    let text = self.doc.text_of(*id).unwrap_or_default();
                    self.push(Carried::Text(text), call, turn);
                }
                value => {
                    if let Some(number) = value.as_f64() {
                        self.carry_number(number, arguments, call, turn, tolerance);
                    }
                }
            }
        }
    }

    fn carry_number(&mut self, number: f64, arguments: Map<'_>, call: usize, turn: usize, tolerance: f64) {
        let known = |source: &Source| matches!(source.value, Carried::Number(known) if near(known, number, tolerance));
        if !is_common(number) && !self.found.iter().any(known) && !mentions_number(arguments, number, tolerance) {
            self.push(Carried::Number(number), call, turn);
        }
    }

    fn push(&mut self, value: Carried, call: usize, turn: usize) {
        if self.found.len() < MAX_SOURCES {
            self.found.push(Source { value, call, turn });
        }
    }

    /// Whether a call before `call` brought the number.
    pub(super) fn has_number(&self, number: f64, call: usize, tolerance: f64) -> bool {
        self.any(|source| {
            source.call < call && matches!(source.value, Carried::Number(known) if near(known, number, tolerance))
        })
    }

    /// Whether a value was there for a call: brought by a call before it, or, if `turn` is given, by one of a turn before.
    pub(super) fn has(&self, value: Value<'_>, call: usize, turn: Option<usize>, tolerance: f64) -> bool {
        let number = value.as_f64();
        let text = value.as_str().map(str::trim);
        self.any(|source| {
            turn.map_or(source.call < call, |turn| source.turn < turn)
                && match source.value {
                    Carried::Number(known) => number.is_some_and(|number| near(known, number, tolerance)),
                    Carried::Text(known) => text.is_some_and(|text| self.doc.str(known) == text),
                }
        })
    }

    fn any(&self, wanted: impl Fn(&Source) -> bool) -> bool {
        self.found.iter().any(wanted)
    }
}

fn is_carried(text: &str) -> bool {
    (3..=MAX_CARRIED).contains(&text.len()) && !is_trivial(text)
}

/// Whether arguments hold a number, at any depth or inside a text. True where they hold too much to look at.
pub(super) fn mentions_number(arguments: Map<'_>, number: f64, tolerance: f64) -> bool {
    let mut leaves = Leaves::default();
    !arguments.iter().all(|(_, value)| {
        leaves.visit(value, &mut |leaf| !matches!(leaf, Leaf::Number(known) if near(known, number, tolerance)))
    })
}

/// Whether arguments hold a text, at the top level.
pub(super) fn mentions_text(arguments: Map<'_>, text: &str) -> bool {
    arguments.iter().any(|(_, value)| {
        value.as_str().is_some_and(|known| memchr::memmem::find(known.as_bytes(), text.as_bytes()).is_some())
    })
}

/// Whether a call's arguments come from somewhere: each number from the task (as far as the reference's calls show it), from
/// an earlier result, or so common that it needs no source; at least one value that is there; of the words of its texts, one.
pub(super) fn has_origin(arguments: Map<'_>, call: usize, given: &Given, sources: &Sources, tolerance: f64) -> bool {
    let (mut any, mut found, mut words, mut word_found) = (false, false, false, false);
    let mut leaves = Leaves::default();
    let known = arguments.iter().all(|(_, value)| {
        if value.as_str().is_some() && sources.has(value, call, None, tolerance) {
            (found, word_found) = (true, true);
            return true;
        }
        leaves.visit(value, &mut |leaf| match leaf {
            Leaf::Number(number) => {
                let known = given.has_number(number, tolerance) || sources.has_number(number, call, tolerance);
                any = true;
                found |= known;
                known || is_common(number)
            }
            Leaf::Word(word) => {
                words = true;
                word_found = word_found || given.has_word(word);
                true
            }
        })
    });
    known && (found || !any || word_found) && (word_found || !words)
}

/// The values that results brought, of calls in their order.
pub(super) fn collect(
    calls: &impl Calls,
    counts: impl Fn(usize) -> bool,
    given: &Given,
    sources: &mut Sources,
    origin: &mut Vec<bool>,
    tolerance: f64,
) {
    sources.clear();
    origin.clear();
    for at in 0..calls.len() {
        let result = calls.result(at).filter(|_| counts(at));
        let arguments = calls.arguments(at);
        let known = result.is_some() && has_origin(arguments, at, given, sources, tolerance);
        origin.push(known);
        if let Some(text) = result.filter(|_| known) {
            sources.add(text, arguments, at, calls.turn(at).unwrap_or(0), tolerance);
        }
    }
}
