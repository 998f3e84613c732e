//! The published reward of ToolRL: the shape of one assistant turn, and its calls against those of a gold turn.
//!
//! A turn is `<think>...</think>`, then a `<tool_call>` block with one JSON object `{"name": ..., "parameters": {...}}`
//! per line, or a `<response>`, or both. The reward is `format` (0 or 1) + `correctness` (-3 to 3), with the reference
//! code's order of operations and Python's reading and comparing of JSON, so that a score is the reference code's to the
//! last bit. What makes that code fail gets the floor, [`MIN_CORRECTNESS`] with `format` as computed, and a named
//! [`ToolRlDefect`].
//!
//! Time is linear in the output for a given gold turn, and [`MAX_PAIRS`] bounds the product of their calls.

mod json;

use std::fmt;

use json::{Id, Scalar, Unreadable, Values};
use memchr::memmem;

/// The correctness of calls that cannot be read or compared: the least that the reward gives.
pub const MIN_CORRECTNESS: f64 = -3.0;

/// The correctness of the gold calls.
pub const MAX_CORRECTNESS: f64 = 3.0;

/// The most pairs of a gold call and a call that are compared, about a million; calls beyond it are a defect,
/// [`ToolRlDefect::TooManyCalls`].
pub const MAX_PAIRS: usize = 1 << 20;

const CALL: &str = "<tool_call>";
const CALL_END: &str = "</tool_call>";
const RESPONSE: &str = "<response>";
const RESPONSE_END: &str = "</response>";

/// Why the correctness is [`MIN_CORRECTNESS`] whatever the calls are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ToolRlDefect {
    /// A line of the gold turn's call block is no JSON. The reference code raises.
    UnreadableGold,
    /// A gold call lacks a name or parameters, or has some that cannot be compared.
    BadGold,
    /// The gold turn has calls, the output has no `<tool_call>` or no `</tool_call>`.
    NoCall,
    /// A line of the output's call block is no JSON.
    UnreadableCall,
    /// A call is no object or has no name, or its name cannot be compared; or it shares a gold call's name and its
    /// parameters are no object.
    BadCall,
    /// More pairs of calls than [`MAX_PAIRS`]. The reference code compares them, in quadratic time.
    TooManyCalls,
}

impl ToolRlDefect {
    /// The defect's name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnreadableGold => "unreadable_gold",
            Self::BadGold => "bad_gold",
            Self::NoCall => "no_call",
            Self::UnreadableCall => "unreadable_call",
            Self::BadCall => "bad_call",
            Self::TooManyCalls => "too_many_calls",
        }
    }
}

impl fmt::Display for ToolRlDefect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// One output's reward.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToolRlScore {
    /// The reward: `format + correctness`, from -3 to 4.
    pub total: f64,
    /// 1 if the whole output has the gold turn's shape, else 0.
    pub format: f64,
    /// 0 if the gold turn has no calls, else from [`MIN_CORRECTNESS`] to [`MAX_CORRECTNESS`].
    pub correctness: f64,
    /// Why the correctness is [`MIN_CORRECTNESS`]; `None` where it is measured, even if it measures so low.
    pub defect: Option<ToolRlDefect>,
}

/// A gold turn, read once to score many outputs against.
#[derive(Clone, Debug)]
pub struct ToolRlGold {
    has_response: bool,
    /// The gold calls, if the turn has a `<tool_call>` at all.
    calls: Option<Result<Calls, Unreadable>>,
}

impl ToolRlGold {
    /// Reads a gold turn. Any text is one: what cannot be read is a defect of each score.
    pub fn new(output: &str) -> Self {
        Self { has_response: find(output, RESPONSE).is_some(), calls: block(output).map(Calls::read) }
    }
}

/// Scores an output, the text of an assistant turn without chat markup, against the gold turn. White space around it
/// does not count.
pub fn score(gold: &ToolRlGold, output: &str) -> ToolRlScore {
    let output = output.trim_matches(is_space);
    let format = f64::from(u8::from(has_shape(output, gold.calls.is_some(), gold.has_response)));
    let correctness = match &gold.calls {
        None => Ok(0.0),
        Some(Err(Unreadable)) => Err(ToolRlDefect::UnreadableGold),
        Some(Ok(calls)) => correctness(calls, output),
    };
    let (correctness, defect) = match correctness {
        Ok(correctness) => (correctness, None),
        Err(defect) => (MIN_CORRECTNESS, Some(defect)),
    };
    ToolRlScore { total: format + correctness, format, correctness, defect }
}

/// Whether the output is a thought, then a call block and a response as wanted, each on its own lines and there once.
fn has_shape(output: &str, calls: bool, response: bool) -> bool {
    let Some(mut rest) = output.strip_prefix("<think>") else { return false };
    // The earliest end of each part leaves the most to the next one, so no other needs to be tried.
    let mut after = |separator: &str| {
        let at = find(rest, separator)?;
        rest = &rest[at + separator.len()..];
        Some(rest)
    };
    let ended = match (calls, response) {
        (false, false) => return rest.ends_with("</think>"),
        (false, true) => after("</think>\n<response>").map(|rest| rest.ends_with(RESPONSE_END)),
        (true, false) => after("</think>\n<tool_call>\n").map(|rest| rest.ends_with("\n</tool_call>")),
        (true, true) => after("</think>\n<tool_call>\n")
            .and_then(|_| after("\n</tool_call>\n<response>"))
            .map(|rest| rest.ends_with(RESPONSE_END)),
    };
    ended == Some(true)
        && (!calls || (is_once(output, CALL) && is_once(output, CALL_END)))
        && (!response || (is_once(output, RESPONSE) && is_once(output, RESPONSE_END)))
}

/// The text between the first `<tool_call>` and the next tag of calls, or the end.
fn block(output: &str) -> Option<&str> {
    let begin = find(output, CALL)? + CALL.len();
    let rest = &output[begin..];
    let rest = find(rest, CALL).map_or(rest, |end| &rest[..end]);
    Some(find(rest, CALL_END).map_or(rest, |end| &rest[..end]))
}

fn find(text: &str, tag: &str) -> Option<usize> {
    memmem::find(text.as_bytes(), tag.as_bytes())
}

fn is_once(text: &str, tag: &str) -> bool {
    memmem::find_iter(text.as_bytes(), tag).take(2).count() == 1
}

/// What Python's `str.strip` removes.
fn is_space(char: char) -> bool {
    char.is_whitespace() || matches!(char, '\u{1c}'..='\u{1f}')
}

/// The lines of a call block. Only their JSON is sure; whether they are calls is seen when it matters.
#[derive(Clone, Debug)]
struct Calls {
    values: Values,
    lines: Vec<Id>,
}

impl Calls {
    fn read(block: &str) -> Result<Self, Unreadable> {
        let mut values = Values::default();
        let lines = block.trim_matches(is_space).split('\n').map(|line| values.read(line)).collect::<Result<_, _>>()?;
        Ok(Self { values, lines })
    }

    fn names(&self) -> Option<Vec<Id>> {
        self.lines.iter().map(|line| self.values.get(*line, b"name")).collect()
    }

    fn parameters(&self, call: usize) -> Option<Id> {
        self.values.get(self.lines[call], b"parameters")
    }

    fn same(&self, ids: &[Id], others: &Self, other_ids: &[Id]) -> bool {
        let mut pairs = ids.iter().zip(other_ids);
        ids.len() == other_ids.len() && pairs.all(|(a, b)| self.values.same(*a, &others.values, *b))
    }
}

fn correctness(gold: &Calls, output: &str) -> Result<f64, ToolRlDefect> {
    let block = block(output).filter(|_| find(output, CALL_END).is_some()).ok_or(ToolRlDefect::NoCall)?;
    let calls = Calls::read(block).map_err(|Unreadable| ToolRlDefect::UnreadableCall)?;
    if gold.same(&gold.lines, &calls, &calls.lines) {
        return Ok(MAX_CORRECTNESS);
    }
    let gold_names = gold.names().ok_or(ToolRlDefect::BadGold)?;
    let names = calls.names().ok_or(ToolRlDefect::BadCall)?;
    let mut score = if gold.same(&gold_names, &calls, &names) {
        1.0
    } else {
        let gold = sorted(gold, &gold_names).ok_or(ToolRlDefect::BadGold)?;
        let calls = sorted(&calls, &names).ok_or(ToolRlDefect::BadCall)?;
        jaccard(gold.len(), calls.len(), common(&gold, &calls))
    };
    if names.len().saturating_mul(gold_names.len()) > MAX_PAIRS {
        return Err(ToolRlDefect::TooManyCalls);
    }
    let mut best_score = 1.0;
    let mut used = vec![false; names.len()];
    for (at, gold_name) in gold_names.iter().enumerate() {
        let wanted = gold.parameters(at).ok_or(ToolRlDefect::BadGold)?;
        best_score += 1.0 + gold.values.len(wanted).ok_or(ToolRlDefect::BadGold)? as f64;
        let mut best = (0.0, None);
        for (call, name) in names.iter().enumerate() {
            if used[call] || !calls.values.equal(*name, &gold.values, *gold_name) {
                continue;
            }
            let similarity = similarity(gold, wanted, &calls, calls.parameters(call))?;
            if similarity > best.0 {
                best = (similarity, Some(call));
            }
        }
        if let (similarity, Some(call)) = best {
            used[call] = true;
            score += similarity;
        }
    }
    Ok((MAX_CORRECTNESS - MIN_CORRECTNESS) * score / best_score + MIN_CORRECTNESS)
}

/// Jaccard of the parameters' keys + the number of gold parameters that have the same value.
fn similarity(gold: &Calls, wanted: Id, calls: &Calls, found: Option<Id>) -> Result<f64, ToolRlDefect> {
    let entries = gold.values.entries(wanted).ok_or(ToolRlDefect::BadGold)?;
    let found = found.ok_or(ToolRlDefect::BadCall)?;
    let found_len = calls.values.entries(found).ok_or(ToolRlDefect::BadCall)?.len();
    let wanted_len = entries.len();
    let (mut keys, mut equal) = (0, 0);
    for (key, value) in entries {
        if let Some(other) = calls.values.get(found, key) {
            keys += 1;
            equal += usize::from(calls.values.equal(other, &gold.values, value));
        }
    }
    Ok(jaccard(wanted_len, found_len, keys) + equal as f64)
}

/// Jaccard of two multisets from their sizes and the size of their intersection; of two empty ones 1.
fn jaccard(a: usize, b: usize, common: usize) -> f64 {
    if a == 0 && b == 0 { 1.0 } else { common as f64 / (a + b - common) as f64 }
}

fn sorted<'a>(calls: &'a Calls, names: &[Id]) -> Option<Vec<Scalar<'a>>> {
    let mut names = names.iter().map(|name| calls.values.scalar(*name)).collect::<Option<Vec<_>>>()?;
    names.sort_unstable();
    Some(names)
}

/// The size of two sorted multisets' intersection.
fn common(a: &[Scalar<'_>], b: &[Scalar<'_>]) -> usize {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut count = 0;
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        let order = x.cmp(y);
        if order.is_le() {
            a.next();
        }
        if order.is_ge() {
            b.next();
        }
        count += usize::from(order.is_eq());
    }
    count
}
