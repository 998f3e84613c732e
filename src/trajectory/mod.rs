//! Text or messages -> [`Trajectory`]: the turns, calls, results and the answer of one rollout.
//!
//! Parsing is total (every input gives a trajectory; flaws are [`Defect`]s) and linear in the input.
//! Only what the assistant wrote counts: thoughts, tool results and results faked by the assistant are set aside.

mod boxed;
mod call;
mod defect;
pub mod formats;
mod markup;
mod messages;
mod scan;
mod tags;
mod template;
mod turn;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Range;

use crate::bytes::trimmed;
use crate::json::{Doc, Id, Map, Text};
use crate::tools::Tools;

pub(crate) use call::call_from_value;
pub use defect::{Defect, DefectKind};
pub use formats::Format;
pub use markup::parse_text;
pub use messages::parse_messages;

/// At most so many defects are kept per rollout; the rest are only counted.
pub const MAX_DEFECTS: usize = 64;

/// Longer rollouts are not read: offsets are kept in 32 bits.
pub const MAX_ROLLOUT: usize = 1 << 31;

/// A half-open range of byte offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

/// How a rollout is to be read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// How tool calls are written in text.
    pub format: Format,
    /// The offered tools: they give types to arguments that a format writes as bare text.
    pub tools: Option<&'a Tools>,
}

/// A well-formed tool call of the assistant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call {
    /// The tool's name, a text of [`Trajectory::doc`]; not necessarily one that was offered.
    pub name: Text,
    /// The arguments, an object of [`Trajectory::doc`].
    pub arguments: Id,
    /// Where the call stands: in the rollout's text, or in its message's text. `None` for structured calls.
    pub span: Option<Span>,
    /// Index of the assistant turn that made the call.
    pub turn: usize,
    /// How many calls, readable or not, the turn made before this one.
    pub ordinal: usize,
    /// The id that structured calls carry.
    pub id: Option<Text>,
    /// Index of the call's result in [`Trajectory::results`], if it was executed.
    pub result: Option<usize>,
}

/// What a tool answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToolResult {
    /// The text, trimmed, in [`Trajectory::doc`].
    pub text: Text,
    /// Where it stands in a text rollout; `None` for messages.
    pub span: Option<Span>,
    /// Index of the message in a message list, `None` for text.
    pub message: Option<usize>,
    /// Index of the assistant turn that it follows.
    pub turn: usize,
    /// The id of the call that it answers, where it carries one.
    pub id: Option<Text>,
    /// Index of the call that it answers.
    pub call: Option<usize>,
}

/// The final answer: the content of the last `\boxed{}` of the last assistant turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Content of the box, trimmed, in [`Trajectory::doc`]; may be empty.
    pub text: Text,
    /// Where the content stands, as in [`Call::span`].
    pub span: Span,
}

/// One assistant message plus the results it caused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// Where the assistant's text stands in a text rollout; the whole text for messages.
    pub span: Span,
    /// Index of the message in a message list, `None` for text.
    pub message: Option<usize>,
    /// How many tool results followed.
    pub results: usize,
    /// How many calls it made, readable or not.
    pub attempts: usize,
    /// Whether its visible text has a `\boxed`.
    pub boxed: bool,
}

/// A parsed rollout. It owns its texts, and [`Trajectory::clear`] keeps its memory for the next rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trajectory {
    /// Names, arguments, results and the answer's text.
    pub doc: Doc,
    /// The assistant's turns in order.
    pub turns: Vec<Turn>,
    /// The well-formed calls in order.
    pub calls: Vec<Call>,
    /// The tool results in order.
    pub results: Vec<ToolResult>,
    /// The final answer, if there is a closed box for it.
    pub answer: Option<Answer>,
    /// Whether the rollout ends with the assistant's end of turn.
    pub finished: bool,
    /// The flaws, at most [`MAX_DEFECTS`] of them.
    pub defects: Vec<Defect>,
    /// How many flaws there are of each kind, by [`DefectKind::index`].
    pub counts: [u32; DefectKind::ALL.len()],
    /// How many calls could not be read.
    pub bad_calls: usize,
    /// The turn that new defects belong to.
    pub(crate) at_turn: Option<usize>,
    /// Calls, readable or not, of the turn that is being read.
    attempts: usize,
    /// Scratch: what of a turn is neither thought nor call nor result.
    visible: Vec<Span>,
    /// Scratch: the boxes of a turn.
    boxes: boxed::Boxes,
    /// Scratch: a message list.
    source: Doc,
}

impl Trajectory {
    /// Parses a text rollout with the default options: see [`parse_text`].
    pub fn from_text(text: &str) -> Self {
        let mut out = Self::default();
        parse_text(text, &Options::default(), &mut out);
        out
    }

    /// Parses the JSON of a message list with the default options: see [`parse_messages`].
    pub fn from_messages(json: &[u8]) -> Self {
        let mut out = Self::default();
        parse_messages(json, &Options::default(), &mut out);
        out
    }

    /// The name of a call.
    pub fn name(&self, call: &Call) -> &str {
        self.doc.str(call.name)
    }

    /// The arguments of a call.
    pub fn arguments(&self, call: &Call) -> Map<'_> {
        // A call is only ever made with an object; the empty one keeps this free of panics.
        self.doc.map(call.arguments).unwrap_or_else(|| Map::empty(&self.doc))
    }

    /// The final answer's text.
    pub fn answer_text(&self) -> Option<&str> {
        self.answer.map(|answer| self.doc.str(answer.text))
    }

    /// The text of the result that a call got.
    pub fn result_text(&self, call: &Call) -> Option<&str> {
        call.result.map(|at| self.doc.str(self.results[at].text))
    }

    /// How many flaws of that kind there are.
    pub fn count(&self, kind: DefectKind) -> usize {
        self.counts[kind.index()] as usize
    }

    /// Forgets the rollout and keeps the memory.
    pub fn clear(&mut self) {
        self.doc.clear();
        self.turns.clear();
        self.calls.clear();
        self.results.clear();
        self.answer = None;
        self.finished = false;
        self.defects.clear();
        self.counts = [0; DefectKind::ALL.len()];
        self.bad_calls = 0;
        self.at_turn = None;
        self.attempts = 0;
        self.visible.clear();
        self.source.clear();
    }

    pub(crate) fn defect(
        &mut self,
        kind: DefectKind,
        span: Option<Span>,
        message: impl Into<std::borrow::Cow<'static, str>>,
    ) {
        self.defect_with(kind, span, || message);
    }

    /// The same for a message that takes time to write: only what is kept is written.
    pub(crate) fn defect_with<M: Into<std::borrow::Cow<'static, str>>>(
        &mut self,
        kind: DefectKind,
        span: Option<Span>,
        message: impl FnOnce() -> M,
    ) {
        self.counts[kind.index()] += 1;
        if kind.is_bad_call() {
            self.bad_calls += 1;
            self.attempts += 1;
        }
        if self.defects.len() < MAX_DEFECTS {
            self.defects.push(Defect { kind, message: message().into(), span, turn: self.at_turn });
        }
    }

    /// Adds a call that was read.
    pub(crate) fn call(&mut self, name: Text, arguments: Id, span: Option<Span>) {
        let call =
            Call { name, arguments, span, turn: self.turns.len(), ordinal: self.attempts, id: None, result: None };
        self.attempts += 1;
        self.calls.push(call);
    }

    /// Adds a tool result that follows the last turn.
    pub(crate) fn result(&mut self, text: &str, span: Option<Span>, message: Option<usize>, id: Option<Text>) {
        let Some(turn) = self.turns.len().checked_sub(1) else { return };
        self.turns[turn].results += 1;
        let text = self.doc.add_str(trimmed(text));
        self.results.push(ToolResult { text, span, message, turn, id, call: None });
    }

    /// Finds which result answers which call, and the defects that concern the rollout as a whole.
    pub(crate) fn close(&mut self) {
        self.pair_results();
        if !self.finished {
            self.defect(DefectKind::NotFinished, None, "the rollout does not end with the assistant's end of turn");
        }
        match self.answer {
            None => self.defect(DefectKind::NoAnswer, None, "no \\boxed{} answer in the last assistant turn"),
            Some(answer) if answer.text.is_empty() => {
                self.defect(DefectKind::EmptyAnswer, Some(answer.span), "the answer's box is empty");
            }
            Some(_) => {}
        }
    }

    /// By id where results carry one; else in order, counting the unreadable calls where each of them got a result too.
    fn pair_results(&mut self) {
        let (mut call, mut result) = (0, 0);
        for turn in 0..self.turns.len() {
            let calls = call..call + self.calls[call..].iter().take_while(|known| known.turn == turn).count();
            let results = result..result + self.turns[turn].results;
            (call, result) = (calls.end, results.end);
            if results.is_empty() || calls.is_empty() {
                continue;
            }
            let all_answered = results.len() == self.turns[turn].attempts;
            if all_answered
                && calls.len() == results.len()
                && self.results[results.clone()].iter().all(|r| r.id.is_none())
            {
                // Nearly every turn: the first result is the first call's, and so on.
                for (call, result) in calls.zip(results) {
                    self.calls[call].result = Some(result);
                    self.results[result].call = Some(call);
                }
                continue;
            }
            let ids = self.ids(&calls, results.len());
            let mut first = calls.start;
            for at in results.clone() {
                let found = match self.results[at].id {
                    Some(id) => self.call_of_id(id, &calls, ids.as_ref()),
                    None if all_answered => {
                        let wanted = at - results.start;
                        while first < calls.end && self.calls[first].ordinal < wanted {
                            first += 1;
                        }
                        (first < calls.end && self.calls[first].ordinal == wanted).then_some(first)
                    }
                    None => Some(calls.start + at - results.start).filter(|call| *call < calls.end),
                };
                if let Some(call) = found.filter(|call| self.calls[*call].result.is_none()) {
                    self.calls[call].result = Some(at);
                    self.results[at].call = Some(call);
                }
            }
        }
    }

    /// The first call of each id, where there are many.
    fn ids(&self, calls: &Range<usize>, results: usize) -> Option<Ids> {
        if calls.len().min(results) <= FEW_CALLS {
            return None;
        }
        let mut ids = Ids::new();
        for at in calls.clone() {
            if let Some(id) = self.calls[at].id {
                ids.entry(self.doc.str(id).to_owned()).or_insert(at);
            }
        }
        Some(ids)
    }

    /// The call of that id that has no result yet.
    fn call_of_id(&self, id: Text, calls: &Range<usize>, ids: Option<&Ids>) -> Option<usize> {
        let wanted = self.doc.str(id);
        let same = |call: &usize| self.calls[*call].id.is_some_and(|known| self.doc.str(known) == wanted);
        let open = |call: &usize| self.calls[*call].result.is_none();
        match ids {
            Some(ids) => ids.get(wanted).copied().filter(open),
            None => calls.clone().filter(open).find(same),
        }
    }
}

type Ids = HashMap<String, usize>;

/// So few calls are looked through for each result; more get a table of their ids.
const FEW_CALLS: usize = 16;
