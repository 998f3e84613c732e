//! Text or messages -> [`Trajectory`]: the turns, calls and answers of one rollout.
//!
//! Parsing is total (every input gives a trajectory; flaws are [`Defect`]s) and linear in the input.
//! Only what the assistant wrote counts: thoughts, tool results and results faked by the assistant are set aside.

mod boxed;
pub mod formats;
pub mod json;
mod markup;
mod messages;

use serde_json::{Map, Value};

pub use markup::parse_text;
pub use messages::parse_messages;

/// At most so many defects are kept per rollout; the rest are only counted.
pub const MAX_DEFECTS: usize = 64;

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

/// A well-formed tool call of the assistant.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The tool's name; not necessarily one that was offered.
    pub name: String,
    /// The arguments by name.
    pub arguments: Map<String, Value>,
    /// Where the call stands: in the rollout's text, or in its message's `content`. `None` for structured calls.
    pub span: Option<Span>,
    /// Index of the assistant turn that made the call.
    pub turn: usize,
}

/// The final answer: the content of the last `\boxed{}` of the last assistant turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Content of the box, trimmed; may be empty.
    pub text: String,
    /// Where the content stands, as in [`Call::span`].
    pub span: Span,
}

/// One assistant message plus the results it caused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Where the assistant's text stands in a text rollout; the whole `content` for messages.
    pub span: Span,
    /// Index of the message in a message list, `None` for text.
    pub message: Option<usize>,
    /// How many tool results followed.
    pub results: usize,
}

/// What is wrong with a piece of model text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefectKind {
    /// The rollout does not end with the assistant's end of turn.
    NotFinished,
    /// The last assistant turn holds no `\boxed{}` answer.
    NoAnswer,
    /// The answer's box is empty.
    EmptyAnswer,
    /// The last turn boxes several different answers; the last one counts.
    SeveralAnswers,
    /// A `<tool_call>` block is not closed, or its JSON stops short.
    UnclosedCall,
    /// A `<tool_call>` block holds something other than one JSON object.
    MalformedCall,
    /// A call's name is missing or no string.
    BadName,
    /// A call's arguments are no object.
    BadArguments,
    /// A call names a tool that was not offered.
    UnknownTool,
    /// A call stands inside `<think>` and does not count.
    CallInThought,
    /// A `<think>` block is not closed.
    UnclosedThought,
    /// The assistant wrote a `<tool_response>` itself.
    FakeResult,
    /// The rollout is no valid UTF-8; the bad bytes were replaced.
    InvalidUtf8,
    /// A message has the wrong shape.
    BadMessage,
    /// The judge could not decide in its budget whether the answer is right; it counts as wrong.
    Undecided,
}

impl DefectKind {
    /// The kind's public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFinished => "not_finished",
            Self::NoAnswer => "no_answer",
            Self::EmptyAnswer => "empty_answer",
            Self::SeveralAnswers => "several_answers",
            Self::UnclosedCall => "unclosed_call",
            Self::MalformedCall => "malformed_call",
            Self::BadName => "bad_name",
            Self::BadArguments => "bad_arguments",
            Self::UnknownTool => "unknown_tool",
            Self::CallInThought => "call_in_thought",
            Self::UnclosedThought => "unclosed_thought",
            Self::FakeResult => "fake_result",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::BadMessage => "bad_message",
            Self::Undecided => "undecided",
        }
    }

    /// Whether this is a call that could not be read.
    pub fn is_bad_call(self) -> bool {
        matches!(self, Self::UnclosedCall | Self::MalformedCall | Self::BadName | Self::BadArguments)
    }
}

/// A flaw in model text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// What is wrong.
    pub kind: DefectKind,
    /// The same for people.
    pub message: String,
    /// Where, as in [`Call::span`].
    pub span: Option<Span>,
}

/// A parsed rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trajectory {
    /// The assistant's turns in order.
    pub turns: Vec<Turn>,
    /// The well-formed calls in order.
    pub calls: Vec<Call>,
    /// The final answer, if there is a closed box for it.
    pub answer: Option<Answer>,
    /// Whether the rollout ends with the assistant's end of turn.
    pub finished: bool,
    /// The flaws, at most [`MAX_DEFECTS`] of them.
    pub defects: Vec<Defect>,
    /// How many calls could not be read.
    pub bad_calls: usize,
}

impl Trajectory {
    pub(crate) fn defect(&mut self, kind: DefectKind, span: Option<Span>, message: impl Into<String>) {
        self.bad_calls += usize::from(kind.is_bad_call());
        if self.defects.len() < MAX_DEFECTS {
            self.defects.push(Defect { kind, message: message.into(), span });
        }
    }

    /// Defects that concern the rollout as a whole, once everything else is known.
    pub(crate) fn close(&mut self) {
        if !self.finished {
            self.defect(DefectKind::NotFinished, None, "the rollout does not end with the assistant's end of turn");
        }
        match &self.answer {
            None => self.defect(DefectKind::NoAnswer, None, "no \\boxed{} answer in the last assistant turn"),
            Some(answer) if answer.text.is_empty() => {
                let span = answer.span;
                self.defect(DefectKind::EmptyAnswer, Some(span), "the answer's box is empty");
            }
            Some(_) => {}
        }
    }
}
