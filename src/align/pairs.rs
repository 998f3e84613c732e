//! How similar a student's call and a reference's call are, from 0 to 1.

use super::Calls;
use super::evidence::{self, Output, Sources};
use super::repeats::Repeats;
use super::target::Target;
use super::value::{Rules, for_each_key, near, similarity, unordered};
use super::words::Words;
use crate::json::{Value, same_text};
use crate::tools::{Tool, Tools};

/// How calls are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// How values are compared.
    pub rules: Rules,
    /// Similarity of a call with the same result and other arguments, or of another tool.
    pub equivalent: f64,
    /// Factor of an argument that equals a result which was not there yet.
    pub out_of_order: f64,
    /// Whether results are evidence: without them neither order nor equivalence can be seen.
    pub results: bool,
}

/// What is known of a student's call before it is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether its tool was not offered.
    pub unknown: bool,
    /// Whether it counts: offered, valid, executed.
    pub counts: bool,
    /// The place of its tool in [`Tools`].
    pub tool: Option<usize>,
}

/// A rollout's calls beside a reference's.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a, S, R> {
    /// The student's calls.
    pub student: &'a S,
    /// What is known of each.
    pub standing: &'a [Standing],
    /// The reference's calls.
    pub reference: &'a R,
    /// The same, prepared.
    pub target: &'a Target,
    /// The offered tools.
    pub tools: Option<&'a Tools>,
    /// How to compare.
    pub how: Comparison,
    /// Whether the student's calls are the reference's, in order, with the same arguments.
    pub identical: bool,
}

/// Buffers for comparing; what they hold belongs to one rollout.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    words: Words,
    sources: Sources,
    /// For each student call whether its arguments come from somewhere; empty until it is asked for.
    origin: Vec<bool>,
    outputs: Vec<Output>,
    pub(super) repeats: Repeats,
}

impl Scratch {
    /// Forgets the last rollout.
    pub fn clear(&mut self) {
        self.sources.clear();
        self.origin.clear();
        self.outputs.clear();
        self.repeats.clear();
    }
}

/// Why a pair of calls is less similar than it could be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Why {
    /// The arguments that differ, each with its similarity.
    pub arguments: Vec<(String, f64)>,
    /// The arguments that repeat a result which the rollout did not have at that point.
    pub out_of_order: Vec<String>,
    /// The call counts because its result is the reference call's.
    pub equivalent: bool,
}

impl Why {
    /// The same for people.
    pub fn reasons(&self) -> Vec<String> {
        let differing =
            self.arguments.iter().map(|(name, similarity)| format!("{name} differs ({similarity:.2} alike)"));
        let early = self.out_of_order.iter().map(|name| format!("{name} is a result that was not there yet"));
        let same = self.equivalent.then(|| "another call with the same result".to_owned());
        same.into_iter().chain(differing).chain(early).collect()
    }
}

/// Similarities are multiples of this, so that their sums are exact and do not depend on the order of adding.
const GRAIN: f64 = (1_u64 << 40) as f64;

impl<S: Calls, R: Calls> Pairs<'_, S, R> {
    /// The similarity of two calls.
    #[inline]
    pub fn similarity(&self, call: usize, reference: usize, scratch: &mut Scratch) -> f64 {
        if !self.standing[call].counts {
            return 0.0;
        }
        if self.identical && call == reference && self.dependent(reference).is_empty() {
            return 1.0;
        }
        let mut found = 0.0;
        if same_text(self.student.name(call), self.reference.name(reference)) {
            found = self.arguments(call, reference, scratch, None);
        }
        if found < self.how.equivalent && self.is_equivalent(call, reference, scratch) {
            found = self.how.equivalent;
        }
        if found > 0.0 && found < 1.0 { (found * GRAIN).round() / GRAIN } else { found }
    }

    /// Why the similarity of two calls is what it is.
    pub fn why(&self, call: usize, reference: usize) -> Why {
        let scratch = &mut Scratch::default();
        let mut why = Why::default();
        let mut by_name = 0.0;
        if same_text(self.student.name(call), self.reference.name(reference)) {
            by_name = self.arguments(call, reference, scratch, Some(&mut why));
        }
        why.equivalent =
            by_name < self.how.equivalent && self.standing[call].counts && self.is_equivalent(call, reference, scratch);
        why
    }

    /// The mean similarity of all arguments of two calls of one tool.
    fn arguments(&self, call: usize, reference: usize, scratch: &mut Scratch, mut why: Option<&mut Why>) -> f64 {
        let (student, wanted) = (self.student.arguments(call), self.reference.arguments(reference));
        let tool = self.tools.zip(self.standing[call].tool).and_then(|(tools, at)| tools.get_at(at));
        let dependent = self.dependent(reference);
        let (mut sum, mut common, mut place) = (0.0, 0_usize, 0_usize);
        for_each_key(student, wanted, |key, found, value| {
            let default = || tool.and_then(|tool| tool.default_of(key)).unwrap_or(Value::Null);
            common += usize::from(found.is_some());
            let found = found.unwrap_or_else(default);
            let mut alike = match (found, value) {
                (Value::Int(a), Value::Int(b)) => (a == b).into(),
                _ => similarity(
                    found,
                    value,
                    tool.and_then(|tool| tool.parameter(key)),
                    &self.how.rules,
                    &mut scratch.words,
                ),
            };
            if alike > 0.0
                && dependent.iter().any(|(_, known)| *known == place)
                && !self.was_there(call, value, scratch)
            {
                alike *= self.how.out_of_order;
                if let Some(why) = why.as_deref_mut() {
                    why.out_of_order.push(key.to_owned());
                }
            }
            if let Some(why) = why.as_deref_mut().filter(|_| alike < 1.0) {
                why.arguments.push((key.to_owned(), alike));
            }
            sum += alike;
            place += 1;
        });
        let mut extra = 0;
        if common < student.len() {
            for (key, value) in student.iter().filter(|(key, _)| wanted.id(key).is_none()) {
                // An argument that says what the tool does without it says nothing.
                if tool.and_then(|tool| tool.default_of(key)).unwrap_or(Value::Null) != value {
                    extra += 1;
                    if let Some(why) = why.as_deref_mut() {
                        why.arguments.push((key.to_owned(), 0.0));
                    }
                }
            }
        }
        let all = wanted.len() + extra;
        if let Some(tool) = tool.filter(|tool| sum < all as f64 && !tool.commutative().is_empty()) {
            sum = sum.max(self.places_changed(tool, call, reference, sum, scratch));
        }
        if all == 0 { 1.0 } else { sum / all as f64 }
    }

    fn dependent(&self, reference: usize) -> &[(usize, usize)] {
        if self.how.results { self.target.dependent(reference) } else { &[] }
    }

    /// The greatest sum that arguments which may change places give; `sum` is the one as they stand.
    fn places_changed(&self, tool: &Tool, call: usize, reference: usize, sum: f64, scratch: &mut Scratch) -> f64 {
        let (student, wanted) = (self.student.arguments(call), self.reference.arguments(reference));
        let mut total = sum;
        for group in tool.commutative() {
            if let [name] = group.as_slice() {
                let lists = (student.get(name).and_then(Value::as_list), wanted.get(name).and_then(Value::as_list));
                if let (Some(a), Some(b)) = lists {
                    let as_it_stands =
                        similarity(Value::Array(a), Value::Array(b), None, &self.how.rules, &mut scratch.words);
                    let free = unordered(a, b, &self.how.rules, &mut scratch.words);
                    total += (free - as_it_stands).max(0.0);
                }
                continue;
            }
            let mut table = [[0.0; MAX_GROUP]; MAX_GROUP];
            let size = group.len().min(MAX_GROUP);
            for (row, name) in group.iter().take(size).enumerate() {
                let Some(value) = wanted.get(name) else { continue };
                let place = wanted.iter().position(|(key, _)| key == name);
                let depends = self.dependent(reference).iter().any(|(_, known)| Some(*known) == place);
                let late = depends && !self.was_there(call, value, scratch);
                for (column, other) in group.iter().take(size).enumerate() {
                    let Some(found) = student.get(other) else { continue };
                    let alike = similarity(found, value, tool.parameter(name), &self.how.rules, &mut scratch.words);
                    table[row][column] = if late { alike * self.how.out_of_order } else { alike };
                }
            }
            let as_it_stands: f64 = (0..size).map(|at| table[at][at]).sum();
            total += best(&table, size, 0, 0) - as_it_stands;
        }
        total
    }

    /// Whether a reference call's result is worth comparing and the student's call has the same by honest means.
    fn is_equivalent(&self, call: usize, reference: usize, scratch: &mut Scratch) -> bool {
        if !self.how.results || !self.target.has_outputs {
            return false;
        }
        if scratch.outputs.is_empty() {
            scratch.outputs.extend((0..self.student.len()).map(|at| Output::of(self.student.result(at))));
        }
        let tolerance = self.how.rules.number_tolerance;
        let same = match (scratch.outputs[call], self.target.outputs[reference]) {
            (Output::Number(a), Output::Number(b)) => near(a, b, tolerance),
            (Output::Text, Output::Text) => self.student.result(call) == self.reference.result(reference),
            _ => false,
        };
        same && self.has_origin(call, scratch) && !self.mentions_result(call, scratch)
    }

    fn mentions_result(&self, call: usize, scratch: &Scratch) -> bool {
        let arguments = self.student.arguments(call);
        match scratch.outputs[call] {
            Output::Number(number) => evidence::mentions_number(arguments, number, self.how.rules.number_tolerance),
            _ => self.student.result(call).is_some_and(|text| evidence::mentions_text(arguments, text)),
        }
    }

    fn has_origin(&self, call: usize, scratch: &mut Scratch) -> bool {
        self.collect(scratch);
        scratch.origin[call]
    }

    /// Whether a call could take a value from an earlier result.
    fn was_there(&self, call: usize, value: Value<'_>, scratch: &mut Scratch) -> bool {
        self.collect(scratch);
        let turn = self.target.has_turns.then(|| self.student.turn(call).unwrap_or(0));
        scratch.sources.has(value, call, turn, self.how.rules.number_tolerance)
    }

    fn collect(&self, scratch: &mut Scratch) {
        if scratch.origin.is_empty() {
            let counts = |at: usize| self.standing[at].counts;
            let tolerance = self.how.rules.number_tolerance;
            let Scratch { sources, origin, .. } = scratch;
            evidence::collect(self.student, counts, &self.target.given, sources, origin, tolerance);
        }
    }
}

const MAX_GROUP: usize = 4;

/// The greatest sum of one entry per row, each in another column.
fn best(table: &[[f64; MAX_GROUP]; MAX_GROUP], size: usize, row: usize, taken: u8) -> f64 {
    if row == size {
        return 0.0;
    }
    let free = (0..size).filter(|column| taken & (1 << column) == 0);
    free.map(|column| table[row][column] + best(table, size, row + 1, taken | 1 << column)).fold(0.0, f64::max)
}
