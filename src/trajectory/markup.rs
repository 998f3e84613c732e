//! Text in a chat template -> turns.

use memchr::{memchr, memchr2, memmem};

use super::formats::{self, Source};
use super::tags::{Markup, Role, Tag, tag_at};
use super::{DefectKind, Options, Span, Trajectory, Turn};

/// Parses a text rollout into `out`: what the policy wrote, with the tool results between, in a chat template's markup.
///
/// A text that does not start with a turn's tag begins inside the assistant's first turn, as a completion does.
pub fn parse_text(text: &str, options: &Options<'_>, out: &mut Trajectory) {
    out.clear();
    if text.len() > super::MAX_ROLLOUT {
        out.defect(DefectKind::BadMessage, None, "the rollout is longer than 2 GiB");
        out.close();
        return;
    }
    let markup = Markup::of(text);
    let mut reader = Reader { text, markup, options, turn: None, out };
    if !tag_at(text, 0, markup).is_some_and(|(tag, _)| matches!(tag, Tag::Named(_) | Tag::Turn(_))) {
        reader.turn = Some(Open::new(Role::Assistant, 0, reader.out));
    }
    reader.run();
    if let Some(turn) = reader.turn.take() {
        turn.finish(text, text.len(), reader.out);
    }
    find_answer(text, out);
    out.close();
}

/// Parses a message's text as the assistant wrote it, for [`super::parse_messages`]: calls, defects and the answer.
pub(super) fn parse_content(text: &str, message: usize, options: &Options<'_>, out: &mut Trajectory) {
    let mut open = Open::new(Role::Assistant, 0, out);
    let markup = Markup::ChatMl;
    let (first, second) = markup.triggers();
    let mut at = 0;
    while let Some(offset) = memchr2(first, second, &text.as_bytes()[at..]) {
        let tag_start = at + offset;
        at = match tag_at(text, tag_start, markup).filter(|(tag, _)| !tag.bounds_turn()) {
            None => tag_start + 1,
            Some((tag, length)) => open.tag(text, tag_start, tag, length, markup, options, out),
        };
    }
    open.finish(text, text.len(), out);
    if let Some(turn) = out.turns.last_mut() {
        turn.message = Some(message);
    }
    find_answer(text, out);
}

/// Looks for the answer in the last turn's visible text.
fn find_answer(text: &str, out: &mut Trajectory) {
    out.answer = None;
    if !out.turns.last().is_some_and(|turn| turn.boxed) {
        return;
    }
    let mut boxes = std::mem::take(&mut out.boxes);
    boxes.find(text, &out.visible);
    if let Some(found) = boxes.answer(text) {
        if found.several {
            let message = "several different answers are boxed; the last one counts";
            out.defect(DefectKind::SeveralAnswers, Some(found.span), message);
        }
        let answer = text[found.span.start..found.span.end].trim();
        out.answer = Some(super::Answer { text: out.doc.add_str(answer), span: found.span });
    }
    out.boxes = boxes;
}

struct Reader<'a> {
    text: &'a str,
    markup: Markup,
    options: &'a Options<'a>,
    turn: Option<Open>,
    out: &'a mut Trajectory,
}

impl Reader<'_> {
    fn run(&mut self) {
        let text = self.text;
        let (first, second) = self.markup.triggers();
        let mut at = 0;
        while let Some(offset) = memchr2(first, second, &text.as_bytes()[at..]) {
            let start = at + offset;
            at = match tag_at(text, start, self.markup) {
                None => start + 1,
                Some((tag, length)) => self.tag(start, tag, length),
            };
        }
    }

    /// Handles a tag; returns where to go on.
    fn tag(&mut self, at: usize, tag: Tag, length: usize) -> usize {
        let end = at + length;
        match tag {
            Tag::Named(until) => {
                let (role, body) = role_at(self.text, end, until);
                self.begin(role, at, body);
                body
            }
            Tag::Turn(role) => {
                self.begin(role, at, end);
                end
            }
            Tag::End => {
                if let Some(turn) = self.turn.take() {
                    let assistant = turn.role == Role::Assistant;
                    turn.finish(self.text, at, self.out);
                    self.out.finished = assistant && self.text[end..].trim_start().is_empty();
                }
                end
            }
            _ => match &mut self.turn {
                Some(turn) => turn.tag(self.text, at, tag, length, self.markup, self.options, self.out),
                None => end,
            },
        }
    }

    fn begin(&mut self, role: Role, at: usize, body: usize) {
        if let Some(turn) = self.turn.take() {
            turn.finish(self.text, at, self.out);
        }
        self.out.finished = false;
        self.turn = Some(Open::new(role, body, self.out));
    }
}

/// The role named at `head`, and where its text begins.
fn role_at(text: &str, head: usize, until: &str) -> (Role, usize) {
    const LONGEST: usize = 64;
    let rest = &text.as_bytes()[head..];
    let near = &rest[..rest.len().min(LONGEST)];
    let length =
        if until.len() == 1 { memchr(until.as_bytes()[0], near) } else { memmem::find(near, until.as_bytes()) };
    let role = if rest.starts_with(b"assistant") || rest.starts_with(b"model") {
        Role::Assistant
    } else if ["tool", "ipython", "environment", "function", "observation"]
        .iter()
        .any(|name| rest.starts_with(name.as_bytes()))
    {
        Role::Tool
    } else {
        Role::Environment
    };
    let unnamed = if rest.starts_with(b"assistant") { "assistant".len() } else { 0 };
    (role, head + length.map_or(unnamed, |length| length + until.len()))
}

/// A turn being read.
struct Open {
    role: Role,
    start: usize,
    first_call: usize,
    visible_from: usize,
    thought: Option<usize>,
    thought_seen: bool,
    /// Where a result began: a tool's, or one that the assistant faked.
    result: Option<usize>,
    results_seen: bool,
}

/// Nothing is visible from here on.
const HIDDEN: usize = usize::MAX;

impl Open {
    fn new(role: Role, start: usize, out: &mut Trajectory) -> Self {
        if role == Role::Assistant {
            out.visible.clear();
            out.attempts = 0;
        }
        Self {
            role,
            start,
            first_call: out.calls.len(),
            visible_from: start,
            thought: None,
            thought_seen: false,
            result: None,
            results_seen: false,
        }
    }

    fn hide(&mut self, from: usize, out: &mut Trajectory) {
        if from > self.visible_from {
            out.visible.push(Span::new(self.visible_from, from));
        }
        self.visible_from = HIDDEN;
    }

    /// Handles a tag inside a turn; returns where to go on.
    #[expect(clippy::too_many_arguments, reason = "the two callers keep them in different places")]
    fn tag(
        &mut self,
        text: &str,
        at: usize,
        tag: Tag,
        length: usize,
        markup: Markup,
        options: &Options<'_>,
        out: &mut Trajectory,
    ) -> usize {
        let end = at + length;
        if self.role != Role::Assistant {
            self.environment_tag(text, at, tag, end, out);
            return end;
        }
        let faking = self.result.is_some();
        match tag {
            Tag::Think if self.thought.is_none() && !faking => {
                self.hide(at, out);
                self.thought = Some(at);
                self.thought_seen = true;
            }
            Tag::ThinkEnd if self.thought.take().is_some() => self.visible_from = end,
            Tag::ThinkEnd if !self.thought_seen && !faking => self.thought_from_start(end, out),
            Tag::Result if self.thought.is_none() && !faking => {
                self.hide(at, out);
                self.result = Some(end);
                out.defect(
                    DefectKind::FakeResult,
                    Some(Span::new(at, end)),
                    "the assistant wrote a tool result itself",
                );
            }
            Tag::ResultEnd if faking => {
                self.result = None;
                self.visible_from = end;
            }
            Tag::Call(_) if self.thought.is_some() => {
                let message = "a call inside a thought does not count";
                out.defect(DefectKind::CallInThought, Some(Span::new(at, end)), message);
            }
            Tag::Call(block) if !faking => {
                self.hide(at, out);
                let next = formats::read(block, Source { text, start: at, body: end, markup, options }, out);
                self.visible_from = next;
                return next;
            }
            _ => {}
        }
        end
    }

    fn environment_tag(&mut self, text: &str, at: usize, tag: Tag, end: usize, out: &mut Trajectory) {
        match tag {
            Tag::Result => {
                self.results_seen = true;
                self.result = Some(end);
            }
            Tag::ResultEnd => {
                if let Some(start) = self.result.take() {
                    out.result(&text[start..at], Some(Span::new(start, at)), None, None);
                }
            }
            _ => {}
        }
    }

    /// The template opened the thought in the prompt: what stood before its end was thought.
    #[cold]
    fn thought_from_start(&mut self, end: usize, out: &mut Trajectory) {
        self.thought_seen = true;
        for at in self.first_call..out.calls.len() {
            let span = out.calls[at].span;
            out.defect(DefectKind::CallInThought, span, "a call inside a thought does not count");
        }
        out.calls.truncate(self.first_call);
        out.attempts = 0;
        out.visible.clear();
        self.visible_from = end;
    }

    fn finish(mut self, text: &str, end: usize, out: &mut Trajectory) {
        if self.role != Role::Assistant {
            // A result that is not closed was cut off; it is one all the same.
            let whole = (self.role == Role::Tool && !self.results_seen).then_some(self.start);
            if let Some(start) = self.result.or(whole).filter(|start| *start <= end) {
                out.result(&text[start..end], Some(Span::new(start, end)), None, None);
            }
            return;
        }
        if let Some(at) = self.thought {
            out.defect(DefectKind::UnclosedThought, Some(Span::new(at, end)), "the thought is not closed");
        }
        self.hide(end, out);
        let boxed = |span: &Span| memmem::find(&text.as_bytes()[span.start..span.end], b"\\boxed").is_some();
        out.turns.push(Turn {
            span: Span::new(self.start, end),
            message: None,
            results: 0,
            attempts: out.attempts,
            boxed: out.visible.iter().any(boxed),
        });
    }
}
