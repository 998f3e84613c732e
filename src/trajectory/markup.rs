//! Text in a chat template -> turns.

use memchr::{memchr, memmem};

use super::formats::Memo;
use super::formats::harmony::Header;
use super::scan::Scanner;
use super::tags::{Role, Tag, tag_at};
use super::template::Markup;
use super::turn::{Context, Open};
use super::{DefectKind, Options, Trajectory};
use crate::bytes::trimmed;

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
    let memo = Memo::default();
    let context = Context::new(text, Markup::of(text), options, &memo);
    let mut reader = Reader { context, turn: None, not_kimi: false, out };
    let begin = Markup::skip_beginning(text);
    if !tag_at(text, begin, context.markup).is_some_and(|row| row.tag.begins_turn()) {
        reader.turn = Some(Open::new(Role::Assistant, 0, reader.out));
    }
    reader.run();
    if let Some(turn) = &mut reader.turn {
        let end = text.len();
        if !(turn.resumed && turn.is_blank(text, end, reader.out)) {
            turn.finish(&reader.context, end, reader.out);
        }
    }
    find_answer(text, out);
    out.close();
}

/// Parses a message's text as the assistant wrote it, for [`super::parse_messages`]: calls, defects and the answer.
pub(super) fn parse_content(text: &str, message: usize, options: &Options<'_>, out: &mut Trajectory) {
    let mut open = Open::new(Role::Assistant, 0, out);
    let memo = Memo::default();
    let context = Context::new(text, Markup::Content, options, &memo);
    let (mut at, mut scanner) = (0, Scanner::default());
    while let Some(start) = scanner.next(context.triggers, text.as_bytes(), at) {
        at = match tag_at(text, start, context.markup) {
            None => start + 1,
            Some(row) => open.tag(&context, start, row.tag, row.text.len(), out),
        };
    }
    open.finish(&context, text.len(), out);
    if let Some(turn) = out.turns.last_mut() {
        turn.message = Some(message);
        turn.span.end = text.len();
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
        let answer = trimmed(&text[found.span.start..found.span.end]);
        out.answer = Some(super::Answer { text: out.doc.add_str(answer), span: found.span });
    }
    out.boxes = boxes;
}

struct Reader<'a> {
    context: Context<'a>,
    turn: Option<Open>,
    /// The text has `ChatML`'s tags, so that Kimi's are text.
    not_kimi: bool,
    out: &'a mut Trajectory,
}

impl Reader<'_> {
    fn run(&mut self) {
        let text = self.context.text;
        let bytes = text.as_bytes();
        let (mut at, mut scanner) = (0, Scanner::default());
        loop {
            // Tags often stand back to back, or with a line end between them: then there is nothing to search.
            let near = at + usize::from(bytes.get(at) == Some(&b'\n'));
            let start = match bytes.get(near) {
                Some(b'<') => near,
                _ => match scanner.next(self.context.triggers, bytes, at) {
                    Some(start) => start,
                    None => break,
                },
            };
            at = match tag_at(text, start, self.context.markup) {
                None => start + 1,
                Some(row) => self.tag(start, row.tag, row.text.len()),
            };
        }
    }

    /// Handles a tag; returns where to go on.
    fn tag(&mut self, at: usize, tag: Tag, length: usize) -> usize {
        let text = self.context.text;
        let end = at + length;
        match tag {
            Tag::Named(until) => {
                let (role, body) = role_at(text, end, until);
                self.begin(role, at, body);
                body
            }
            Tag::Headed(role, until) => {
                let (role, body) = kimi_role_at(text, end, role, until);
                self.begin(role, at, body);
                body
            }
            Tag::Turn(role) => {
                self.begin(role, at, end);
                end
            }
            Tag::Resume => {
                self.begin(Role::Assistant, at, end);
                if let Some(turn) = &mut self.turn {
                    turn.resumed = true;
                }
                end
            }
            Tag::End => {
                if let Some(turn) = &mut self.turn {
                    turn.finish(&self.context, at, self.out);
                    self.out.finished = turn.role == Role::Assistant && is_blank(text, end);
                    self.turn = None;
                }
                end
            }
            Tag::Message => self.message(at, end),
            Tag::MessageEnd => {
                self.message_end(at, end);
                end
            }
            Tag::Kimi if self.is_kimi(at) => {
                self.context.markup = Markup::Kimi;
                self.context.memo.forget_turns();
                at
            }
            _ => match &mut self.turn {
                Some(turn) => turn.tag(&self.context, at, tag, length, self.out),
                None => end,
            },
        }
    }

    /// Whether a tag of Kimi's that stands at `at` is one. `ChatML`'s policies may write it too, but they stop at their first
    /// end of turn: there, and where the text begins, it is the template's.
    fn is_kimi(&mut self, at: usize) -> bool {
        let text = self.context.text;
        let between = text[..at].trim_end().ends_with("<|im_end|>") || at == Markup::skip_beginning(text);
        if between && !self.not_kimi {
            self.not_kimi = memmem::find(text.as_bytes(), b"<|im_start|>").is_some();
        }
        between && !self.not_kimi
    }

    fn begin(&mut self, role: Role, at: usize, body: usize) {
        let text = self.context.text;
        if let Some(turn) = &mut self.turn {
            let assistant = turn.role == Role::Assistant;
            if assistant && turn.resumed && turn.is_blank(text, at, self.out) {
                // A result follows a result: the assistant said nothing between them.
            } else {
                turn.finish(&self.context, at, self.out);
                // Where the next speaker's tag is what stops the policy, it may be the text's last one.
                if assistant && role != Role::Assistant && self.context.markup.next_turn_ends() && is_blank(text, body)
                {
                    self.out.finished = true;
                    self.turn = None;
                    return;
                }
            }
        }
        self.out.finished = false;
        self.turn = Some(Open::new(role, body, self.out));
    }

    /// A message with a header: an assistant's next one belongs to the same turn.
    fn message(&mut self, at: usize, end: usize) -> usize {
        let Some(header) = Header::read(self.context.text, end, false) else { return end };
        let same = self.turn.as_ref().is_some_and(|turn| turn.role == Role::Assistant);
        if header.role == Role::Assistant && same {
            // What stands between two messages is said by nobody.
        } else {
            self.begin(header.role, at, header.body);
            if header.role != Role::Assistant {
                return header.body;
            }
        }
        self.out.finished = false;
        match &mut self.turn {
            Some(turn) => {
                turn.message_end(at, self.out);
                turn.message(&self.context, at, header, self.out)
            }
            None => header.body,
        }
    }

    fn message_end(&mut self, at: usize, end: usize) {
        let Some(turn) = &mut self.turn else { return };
        if turn.role == Role::Assistant {
            let thought = turn.in_thought();
            turn.message_end(at, self.out);
            self.out.finished = !thought && is_blank(self.context.text, end);
        } else {
            turn.finish(&self.context, at, self.out);
            self.turn = None;
        }
    }
}

/// Whether nothing but white space follows.
#[inline]
fn is_blank(text: &str, from: usize) -> bool {
    let mut rest = text.as_bytes()[from..].iter();
    match rest.find(|byte| !byte.is_ascii_whitespace()) {
        Some(byte) => !byte.is_ascii_graphic() && text[from..].trim_start().is_empty(),
        None => true,
    }
}

/// Behind the role's name in some templates of `ChatML`'s family.
const SEPARATOR: &[u8] = b"<|im_sep|>";

/// A role's name and what follows it are looked for in so many bytes.
const LONGEST: usize = 64;

/// The role named at `head`, and where its text begins.
fn role_at(text: &str, head: usize, until: &str) -> (Role, usize) {
    let rest = &text.as_bytes()[head..];
    if until == "\n" {
        // Nearly all of them.
        if rest.starts_with(b"assistant\n") {
            return (Role::Assistant, head + 10);
        }
        if rest.starts_with(b"user\n") {
            return (Role::Environment, head + 5);
        }
    }
    let near = &rest[..rest.len().min(LONGEST)];
    let length =
        if until.len() == 1 { memchr(until.as_bytes()[0], near) } else { memmem::find(near, until.as_bytes()) };
    let assistant = ["assistant", "model", "ai\n"].iter().find(|name| rest.starts_with(name.as_bytes()));
    let role = if assistant.is_some() {
        Role::Assistant
    } else if ["tool", "ipython", "environment", "function", "observation"]
        .iter()
        .any(|name| rest.starts_with(name.as_bytes()))
    {
        Role::Tool
    } else {
        Role::Environment
    };
    if near.get(..length.unwrap_or(near.len())).is_some_and(|line| line.contains(&b'<')) {
        let name = near.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        if rest[name..].starts_with(SEPARATOR) {
            return (role, head + name + SEPARATOR.len());
        }
    }
    let unnamed = assistant.map_or(0, |name| name.trim_end().len());
    (role, head + length.map_or(unnamed, |length| length + until.len()))
}

/// The same for a template whose tags tell the role, but for a tool's, which share the system's.
fn kimi_role_at(text: &str, head: usize, role: Role, until: &str) -> (Role, usize) {
    const RETURN: &str = "## Return of";
    let rest = &text.as_bytes()[head..];
    let near = &rest[..rest.len().min(LONGEST)];
    let name = memmem::find(near, until.as_bytes());
    let body = head + name.map_or(0, |length| length + until.len());
    let system = rest.starts_with(b"system") || rest.starts_with(b"tool_declare");
    match role {
        Role::Tool if system => (Role::Environment, body),
        // A heading stands before each result.
        Role::Tool if text[body..].starts_with(RETURN) => {
            let line = text.as_bytes()[body..].iter().take(4 * LONGEST).position(|byte| *byte == b'\n');
            (role, body + line.map_or(0, |length| length + 1))
        }
        _ => (role, body),
    }
}
