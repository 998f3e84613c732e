//! Where a block stands, and how far it can reach.

use std::cell::{Cell, RefCell};

use memchr::memmem;

use crate::json::{Failure, FailureKind};
use crate::tools::{ParameterType, Tools};
use crate::trajectory::scan::Triggers;
use crate::trajectory::tags::tag_at;
use crate::trajectory::template::Markup;
use crate::trajectory::{DefectKind, Options, Span, Trajectory};

/// What was found in a text, so that a thousand unclosed blocks look for the same end once.
#[derive(Debug, Default)]
pub(in crate::trajectory) struct Memo {
    /// No turn ends from the first place up to the second, where one does.
    turn: Cell<(usize, usize)>,
    /// The same for pieces of text.
    found: RefCell<Vec<(&'static str, usize, usize)>>,
}

impl Memo {
    /// The text is in another template than it seemed.
    pub(in crate::trajectory) fn forget_turns(&self) {
        self.turn.set((0, 0));
    }
}

/// Where a block stands and how it is to be read.
#[derive(Clone, Copy)]
pub(in crate::trajectory) struct Source<'a> {
    /// The rollout, or a message's text.
    pub text: &'a str,
    /// Where the block's tag begins.
    pub start: usize,
    /// Where its body begins.
    pub body: usize,
    /// The text's template: its turn tags end a block.
    pub markup: Markup,
    pub triggers: Triggers,
    pub options: &'a Options<'a>,
    pub memo: &'a Memo,
}

/// How far a block reaches.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    /// The end of its body.
    pub end: usize,
    /// Whether its closing tag stands there; else the turn ends, or another block of the kind begins.
    pub closed: bool,
}

impl<'a> Source<'a> {
    pub(super) fn rest(&self, at: usize) -> &'a str {
        &self.text[at..]
    }

    #[inline]
    pub(super) fn skip_blanks(&self, at: usize) -> usize {
        // Nearly always there is one line end, or nothing.
        let at = at + usize::from(self.text.as_bytes().get(at) == Some(&b'\n'));
        match self.text.as_bytes().get(at) {
            Some(byte) if byte.is_ascii_graphic() => at,
            _ => self.text.len() - self.text[at..].trim_start().len(),
        }
    }

    /// Where the turn ends, looked for from `from` on.
    pub(super) fn turn_end(&self, from: usize) -> usize {
        let (asked, found) = self.memo.turn.get();
        if found > 0 && asked <= from && from <= found {
            return found;
        }
        let found = self.triggers.end_of_turn(self.text, from, self.markup);
        self.memo.turn.set((from, found));
        found
    }

    /// Where a piece of text next stands; the text's length without one. Linear over all calls whose `from` only grows.
    pub(super) fn find(&self, piece: &'static str, from: usize) -> usize {
        let mut known = self.memo.found.borrow_mut();
        let slot = known.iter_mut().find(|(text, ..)| std::ptr::eq(*text, piece) || *text == piece);
        if let Some((_, asked, found)) = &slot
            && *asked <= from
            && from <= *found
        {
            return *found;
        }
        let bytes = self.text.as_bytes();
        let found = memmem::find(&bytes[from..], piece.as_bytes()).map_or(bytes.len(), |offset| from + offset);
        match slot {
            Some(slot) => *slot = (piece, from, found),
            None => known.push((piece, from, found)),
        }
        found
    }

    /// How far the block can reach: to its closing tag, to the next block of its kind, or to the end of the turn.
    pub(super) fn extent(&self, open: &'static str, close: &'static str) -> Extent {
        let end = self.find(close, self.body);
        let bound = self.find(open, self.body).min(self.turn_end(self.body));
        Extent { end: end.min(bound), closed: end < bound }
    }

    /// Whether a turn ends in a part of the block: then a string ran over its end. Looks at that part only.
    pub(super) fn crosses_turn(&self, from: usize, end: usize) -> bool {
        let part = &self.text.as_bytes()[..end.min(self.text.len())];
        let mut at = from;
        while let Some(next) = self.triggers.next(part, at) {
            if tag_at(self.text, next, self.markup).is_some_and(|row| row.tag.bounds_turn()) {
                return true;
            }
            at = next + 1;
        }
        false
    }

    /// Whether nothing more can belong to the block: the text ends, or a tag begins.
    pub(super) fn ends_at(&self, at: usize) -> bool {
        at >= self.text.len() || tag_at(self.text, at, self.markup).is_some()
    }

    pub(super) fn parameter_type(&self, tool: &str, parameter: &str) -> Option<ParameterType> {
        self.options.tools.and_then(|tools: &Tools| tools.get(tool)).and_then(|tool| tool.parameter_type(parameter))
    }

    /// Records that the block is not closed.
    pub(super) fn unclosed(&self, message: &'static str, out: &mut Trajectory) {
        let span = Span::new(self.start, self.turn_end(self.body).max(self.body));
        out.defect(DefectKind::UnclosedCall, Some(span), message);
    }

    /// Names what is wrong with a value that began at `from`, in JSON or in Python's writing.
    pub(super) fn bad_value(&self, from: usize, failure: Failure, out: &mut Trajectory) {
        let ends = failure.kind == FailureKind::End || self.crosses_turn(from, failure.at + 1);
        let span = Span::new(self.start.min(from), self.body.max(from));
        match failure.kind {
            _ if ends && self.text[from..failure.at].trim().is_empty() => {
                self.unclosed("nothing follows the call's tag", out);
            }
            _ if ends => self.unclosed("the call stops short", out),
            FailureKind::TooDeep => {
                out.defect(DefectKind::MalformedCall, Some(span), "the call is nested too deeply");
            }
            FailureKind::Syntax | FailureKind::End => out.defect_with(DefectKind::MalformedCall, Some(span), || {
                format!("the call cannot be read: unexpected text at byte {}", failure.at)
            }),
        }
    }
}
