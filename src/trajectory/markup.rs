//! Chat markup (`<|im_start|>role ... <|im_end|>`) -> turns.

use memchr::memchr;

use super::boxed::boxes;
use super::formats::hermes;
use super::{Answer, DefectKind, Span, Trajectory, Turn};

const TURN_START: &str = "<|im_start|>";
const TURN_ENDS: [&str; 2] = ["<|im_end|>", "<|endoftext|>"];
const THINK: &str = "<think>";
const THINK_END: &str = "</think>";
const RESULT: &str = "<tool_response>";
const RESULT_END: &str = "</tool_response>";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Assistant,
    Environment,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    TurnStart,
    TurnEnd(usize),
    Think,
    ThinkEnd,
    Result,
    ResultEnd,
    Call,
}

/// Parses a text rollout: what the policy wrote, with the tool results between, in chat markup.
///
/// A text that does not start with `<|im_start|>` begins inside the assistant's first turn, as a completion does.
pub fn parse_text(text: &str) -> Trajectory {
    let mut out = Trajectory::default();
    let mut at = 0;
    let mut turn = if text.starts_with(TURN_START) { None } else { Some(Open::new(Role::Assistant, 0, &out)) };
    let mut last_visible = Vec::new();
    while let Some(offset) = memchr(b'<', &text.as_bytes()[at..]) {
        let tag_at = at + offset;
        let Some(tag) = tag_of(&text[tag_at..]) else {
            at = tag_at + 1;
            continue;
        };
        match tag {
            Tag::TurnStart => {
                if let Some(open) = turn.take() {
                    open.finish(text, tag_at, &mut out, &mut last_visible);
                }
                let head = tag_at + TURN_START.len();
                let (role, body) = role_at(text, head);
                out.finished = false;
                turn = Some(Open::new(role, body, &out));
                at = body;
            }
            Tag::TurnEnd(length) => {
                at = tag_at + length;
                if let Some(open) = turn.take() {
                    let assistant = open.role == Role::Assistant;
                    open.finish(text, tag_at, &mut out, &mut last_visible);
                    out.finished = assistant && text[at..].trim_start().is_empty();
                }
            }
            inner => {
                let end = tag_at + inner.length();
                at = match &mut turn {
                    Some(open) if open.role == Role::Assistant => open.assistant_tag(text, tag_at, inner, &mut out),
                    Some(_) => {
                        if inner == Tag::Result
                            && let Some(last) = out.turns.last_mut()
                        {
                            last.results += 1;
                        }
                        end
                    }
                    None => end,
                };
            }
        }
    }
    if let Some(open) = turn {
        open.finish(text, text.len(), &mut out, &mut last_visible);
    }
    out.answer = find_answer(text, &last_visible, &mut out);
    out.close();
    out
}

/// A message's content as the assistant wrote it, for [`super::parse_messages`]: calls, defects and the visible ranges.
pub(super) fn parse_content(text: &str, message: usize, out: &mut Trajectory) -> Option<Answer> {
    let mut open = Open::new(Role::Assistant, 0, out);
    open.limit = Some(text.len());
    let mut visible = Vec::new();
    let mut at = 0;
    while let Some(offset) = memchr(b'<', &text.as_bytes()[at..]) {
        let tag_at = at + offset;
        at = match tag_of(&text[tag_at..]) {
            None | Some(Tag::TurnStart | Tag::TurnEnd(_)) => tag_at + 1,
            Some(tag) => open.assistant_tag(text, tag_at, tag, out),
        };
    }
    open.finish(text, text.len(), out, &mut visible);
    if let Some(turn) = out.turns.last_mut() {
        turn.message = Some(message);
    }
    find_answer(text, &visible, out)
}

fn find_answer(text: &str, visible: &[Span], out: &mut Trajectory) -> Option<Answer> {
    let found: Vec<Span> = visible.iter().flat_map(|range| boxes(text, *range)).collect();
    let last = *found.last()?;
    let content = |span: &Span| text[span.start..span.end].trim();
    let answer = content(&last);
    let contains_last = |span: &Span| span.start <= last.start && last.end <= span.end;
    if found.iter().any(|span| !contains_last(span) && content(span) != answer) {
        out.defect(DefectKind::SeveralAnswers, Some(last), "several different answers are boxed; the last one counts");
    }
    Some(Answer { text: answer.to_owned(), span: last })
}

impl Tag {
    fn length(self) -> usize {
        match self {
            Self::TurnStart => TURN_START.len(),
            Self::TurnEnd(length) => length,
            Self::Think => THINK.len(),
            Self::ThinkEnd => THINK_END.len(),
            Self::Result => RESULT.len(),
            Self::ResultEnd => RESULT_END.len(),
            Self::Call => hermes::OPEN.len(),
        }
    }
}

fn tag_of(text: &str) -> Option<Tag> {
    let bytes = text.as_bytes();
    match bytes.get(1)? {
        b't' if text.starts_with(hermes::OPEN) => Some(Tag::Call),
        b't' if text.starts_with(RESULT) => Some(Tag::Result),
        b't' if text.starts_with(THINK) => Some(Tag::Think),
        b'/' if text.starts_with(THINK_END) => Some(Tag::ThinkEnd),
        b'/' if text.starts_with(RESULT_END) => Some(Tag::ResultEnd),
        b'|' if text.starts_with(TURN_START) => Some(Tag::TurnStart),
        b'|' => TURN_ENDS.iter().find(|end| text.starts_with(**end)).map(|end| Tag::TurnEnd(end.len())),
        _ => None,
    }
}

/// The role named at `head`, and where its text begins.
fn role_at(text: &str, head: usize) -> (Role, usize) {
    let rest = &text.as_bytes()[head..];
    let length = memchr(b'\n', &rest[..rest.len().min(64)]).unwrap_or(0);
    if text.as_bytes()[head..].starts_with(b"assistant") {
        let body = if length > 0 { head + length + 1 } else { head + "assistant".len() };
        (Role::Assistant, body)
    } else {
        (Role::Environment, head + length)
    }
}

fn end_of_turn(text: &str, from: usize) -> usize {
    let rest = &text.as_bytes()[from..];
    memchr::memchr_iter(b'<', rest)
        .find(|at| matches!(tag_of(&text[from + at..]), Some(Tag::TurnStart | Tag::TurnEnd(_))))
        .map_or(text.len(), |at| from + at)
}

/// A turn being read.
struct Open {
    role: Role,
    start: usize,
    first_call: usize,
    index: usize,
    visible_from: usize,
    visible: Vec<Span>,
    thought: Option<usize>,
    thought_seen: bool,
    fake_result: bool,
    /// Where the turn's text ends; found once a turn, so that thousands of unclosed calls stay linear.
    limit: Option<usize>,
}

impl Open {
    fn new(role: Role, start: usize, out: &Trajectory) -> Self {
        Self {
            role,
            start,
            first_call: out.calls.len(),
            index: out.turns.len(),
            visible_from: start,
            visible: Vec::new(),
            thought: None,
            thought_seen: false,
            fake_result: false,
            limit: None,
        }
    }

    fn hide(&mut self, from: usize) {
        if from > self.visible_from {
            self.visible.push(Span::new(self.visible_from, from));
        }
        self.visible_from = usize::MAX;
    }

    /// Handles a tag inside the assistant's text; returns where to go on.
    fn assistant_tag(&mut self, text: &str, at: usize, tag: Tag, out: &mut Trajectory) -> usize {
        let end = at + tag.length();
        match tag {
            Tag::Think if self.thought.is_none() && !self.fake_result => {
                self.hide(at);
                self.thought = Some(at);
                self.thought_seen = true;
            }
            Tag::ThinkEnd if self.thought.take().is_some() => self.visible_from = end,
            Tag::ThinkEnd if !self.thought_seen && !self.fake_result => {
                // The template opened the thought in the prompt: what stood before this tag was thought.
                self.thought_seen = true;
                for call in out.calls.drain(self.first_call..).collect::<Vec<_>>() {
                    out.defect(DefectKind::CallInThought, call.span, "a call inside a thought does not count");
                }
                self.visible.clear();
                self.visible_from = end;
            }
            Tag::Result if self.thought.is_none() && !self.fake_result => {
                self.hide(at);
                self.fake_result = true;
                let span = Some(Span::new(at, end));
                out.defect(DefectKind::FakeResult, span, "the assistant wrote a tool result itself");
            }
            Tag::ResultEnd if self.fake_result => {
                self.fake_result = false;
                self.visible_from = end;
            }
            Tag::Call if self.thought.is_some() => {
                let span = Some(Span::new(at, end));
                out.defect(DefectKind::CallInThought, span, "a call inside a thought does not count");
            }
            Tag::Call if !self.fake_result => {
                self.hide(at);
                let limit = *self.limit.get_or_insert_with(|| end_of_turn(text, end));
                let next = hermes::read_call(text, at, limit, self.index, out);
                self.visible_from = next;
                return next;
            }
            _ => {}
        }
        end
    }

    fn finish(mut self, text: &str, end: usize, out: &mut Trajectory, last_visible: &mut Vec<Span>) {
        if self.role == Role::Environment {
            return;
        }
        if let Some(at) = self.thought {
            out.defect(DefectKind::UnclosedThought, Some(Span::new(at, end)), "<think> is not closed");
        }
        if self.visible_from < end {
            self.visible.push(Span::new(self.visible_from, end));
        }
        debug_assert!(end <= text.len());
        out.turns.push(Turn { span: Span::new(self.start, end), message: None, results: 0 });
        *last_visible = self.visible;
    }
}
