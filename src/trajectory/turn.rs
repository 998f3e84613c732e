//! A turn while it is read.

use super::boxed::first_box;
use super::formats::harmony::{self, Header};
use super::formats::{self, Block, Memo, Source};
use super::scan::Triggers;
use super::tags::{Role, Tag};
use super::template::Markup;
use super::{DefectKind, Options, Span, Trajectory, Turn};

/// What is read, and how.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub text: &'a str,
    pub markup: Markup,
    pub triggers: Triggers,
    pub options: &'a Options<'a>,
    pub memo: &'a Memo,
}

impl<'a> Context<'a> {
    pub(super) fn new(text: &'a str, markup: Markup, options: &'a Options<'a>, memo: &'a Memo) -> Self {
        Self { text, markup, triggers: Triggers::of(markup, options.format), options, memo }
    }

    fn source(&self, start: usize, body: usize) -> Source<'a> {
        let Self { text, markup, triggers, options, memo } = *self;
        Source { text, start, body, markup, triggers, options, memo }
    }
}

/// A turn being read.
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact")]
pub(super) struct Open {
    pub role: Role,
    start: usize,
    first_call: usize,
    visible_from: usize,
    thought: Option<usize>,
    thought_seen: bool,
    /// Where a result began: a tool's, or one that the assistant faked.
    result: Option<usize>,
    results_seen: bool,
    /// Whether a message's header was read.
    has_header: bool,
    /// Where the last of several messages ended.
    ended: Option<usize>,
    /// Whether it goes on behind a result, without a tag of its own: then it may be empty.
    pub resumed: bool,
}

/// Nothing is visible from here on.
const HIDDEN: usize = usize::MAX;

impl Open {
    pub(super) fn new(role: Role, start: usize, out: &mut Trajectory) -> Self {
        if role == Role::Assistant {
            out.visible.clear();
            out.attempts = 0;
            out.at_turn = Some(out.turns.len());
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
            has_header: false,
            ended: None,
            resumed: false,
        }
    }

    fn hide(&mut self, from: usize, out: &mut Trajectory) {
        if from > self.visible_from {
            out.visible.push(Span::new(self.visible_from, from));
        }
        self.visible_from = HIDDEN;
    }

    pub(super) fn in_thought(&self) -> bool {
        self.thought.is_some()
    }

    /// Whether nothing was said in it up to `end`.
    pub(super) fn is_blank(&self, text: &str, end: usize, out: &Trajectory) -> bool {
        out.attempts == 0 && !self.thought_seen && text[self.start..end].trim().is_empty()
    }

    /// Handles a tag inside a turn; returns where to go on.
    pub(super) fn tag(
        &mut self,
        context: &Context<'_>,
        at: usize,
        tag: Tag,
        length: usize,
        out: &mut Trajectory,
    ) -> usize {
        let end = at + length;
        if self.role != Role::Assistant {
            self.environment_tag(context.text, at, tag, end, out);
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
            Tag::Result if self.thought.is_none() && !faking => self.fake(at, end, out),
            Tag::ResultEnd if faking => {
                self.result = None;
                self.visible_from = end;
            }
            Tag::Channel if !faking => return self.channel(context, at, end, out),
            Tag::Message => {
                if let Some(header) = Header::read(context.text, end, false) {
                    self.message_end(at, out);
                    return self.message(context, at, header, out);
                }
            }
            Tag::MessageEnd if self.has_header => self.message_end(at, out),
            Tag::Call(block) if context.options.format.reads(block) => {
                if self.thought.is_some() {
                    let message = "a call inside a thought does not count";
                    out.defect(DefectKind::CallInThought, Some(Span::new(at, end)), message);
                } else if !faking {
                    self.hide(at, out);
                    let next = formats::read(block, context.source(at, end), out);
                    self.visible_from = next;
                    return next;
                }
            }
            _ => {}
        }
        end
    }

    fn fake(&mut self, at: usize, end: usize, out: &mut Trajectory) {
        self.hide(at, out);
        self.result = Some(end);
        out.defect(DefectKind::FakeResult, Some(Span::new(at, end)), "the assistant wrote a tool result itself");
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

    /// A header that goes on with its channel: a completion's first, whose beginning the prompt holds.
    fn channel(&mut self, context: &Context<'_>, at: usize, end: usize, out: &mut Trajectory) -> usize {
        const LONGEST: usize = 256;
        let from = Some(self.visible_from).filter(|from| *from <= at && at - from <= LONGEST);
        let whole = from.and_then(|from| Some((from, Header::read(context.text, from, true)?)));
        let read = whole.or_else(|| Some((at, Header::read(context.text, at, true)?)));
        let Some((start, header)) = read else { return end };
        self.message_end(start, out);
        self.message(context, start, header, out)
    }

    /// Begins a message of the turn.
    pub(super) fn message(
        &mut self,
        context: &Context<'_>,
        at: usize,
        header: Header<'_>,
        out: &mut Trajectory,
    ) -> usize {
        let body = header.body;
        self.has_header = true;
        self.ended = None;
        self.result = None;
        if header.role != Role::Assistant {
            if header.role == Role::Tool {
                self.fake(at, body, out);
            }
            return body;
        }
        if let Some(recipient) = header.recipient {
            if context.options.format.reads(Block::Harmony) {
                return harmony::read(context.source(at, body), recipient, out);
            }
        } else if header.thought {
            self.thought = Some(at);
            self.thought_seen = true;
        } else {
            self.visible_from = body;
        }
        body
    }

    /// Ends a message of the turn, which may go on with another.
    pub(super) fn message_end(&mut self, at: usize, out: &mut Trajectory) {
        self.hide(at, out);
        self.thought = None;
        self.result = None;
        self.ended = Some(at);
    }

    pub(super) fn finish(&mut self, context: &Context<'_>, end: usize, out: &mut Trajectory) {
        let text = context.text;
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
        if out.attempts == 0 {
            read_bare(context, out);
        }
        out.at_turn = None;
        let boxed = |span: &Span| first_box(&text.as_bytes()[span.start..span.end]).is_some();
        out.turns.push(Turn {
            span: Span::new(self.start, self.ended.unwrap_or(end)),
            message: None,
            results: 0,
            attempts: out.attempts,
            boxed: out.visible.iter().any(boxed),
        });
    }
}

/// Looks whether what the turn says is nothing but calls without a tag.
fn read_bare(context: &Context<'_>, out: &mut Trajectory) {
    let said = |span: &&Span| !context.text[span.start..span.end].bytes().all(|byte| byte.is_ascii_whitespace());
    let mut spans = out.visible.iter().filter(said);
    let Some(span) = spans.next().copied() else { return };
    let first = context.text[span.start..span.end].trim_start().as_bytes().first();
    if !matches!(first, Some(b'[' | b'{' | b'f' | b'`')) || spans.next().is_some() {
        return;
    }
    if formats::read_bare(context.source(span.start, span.start), span, out) {
        out.visible.clear();
    }
}
