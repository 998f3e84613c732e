//! Named flaws of model text.

use std::borrow::Cow;

use super::Span;

/// A flaw in model text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// What is wrong.
    pub kind: DefectKind,
    /// The same for people.
    pub message: Cow<'static, str>,
    /// Where, as in [`super::Call::span`].
    pub span: Option<Span>,
    /// Index of the turn that it belongs to; `None` where it is the whole rollout's.
    pub turn: Option<usize>,
}

macro_rules! defect_kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// What is wrong with a piece of model text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum DefectKind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl DefectKind {
            /// Every kind.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The kind's public name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

defect_kinds! {
    /// The rollout does not end with the assistant's end of turn.
    NotFinished = "not_finished",
    /// The last assistant turn holds no `\boxed{}` answer.
    NoAnswer = "no_answer",
    /// The answer's box is empty.
    EmptyAnswer = "empty_answer",
    /// The last turn boxes several different answers; the last one counts.
    SeveralAnswers = "several_answers",
    /// An answer is boxed in a turn before the last.
    EarlyAnswer = "early_answer",
    /// A call's block is not closed, or stops short.
    UnclosedCall = "unclosed_call",
    /// A call's block holds something that its format does not allow.
    MalformedCall = "malformed_call",
    /// A call's name is missing or no string.
    BadName = "bad_name",
    /// A call's arguments are no object.
    BadArguments = "bad_arguments",
    /// A call names a tool that was not offered.
    UnknownTool = "unknown_tool",
    /// A call's arguments break the tool's JSON Schema.
    InvalidArguments = "invalid_arguments",
    /// A call is larger than a tool would take.
    OversizeCall = "oversize_call",
    /// A call has no result in the trajectory.
    UnexecutedCall = "unexecuted_call",
    /// A call was made before, with the same result, and stands for nothing in the reference.
    RepeatedCall = "repeated_call",
    /// A call stands inside a thought and does not count.
    CallInThought = "call_in_thought",
    /// A thought is not closed.
    UnclosedThought = "unclosed_thought",
    /// The assistant wrote a tool result itself.
    FakeResult = "fake_result",
    /// `ToolRL`'s reward could not read or compare the calls.
    ToolRlFloor = "toolrl_floor",
    /// The rollout is no valid UTF-8; the bad bytes were replaced.
    InvalidUtf8 = "invalid_utf8",
    /// A message has the wrong shape.
    BadMessage = "bad_message",
    /// The judge could not decide in its budget whether the answer is right; it counts as wrong.
    Undecided = "undecided",
}

impl DefectKind {
    /// The kind's place in [`DefectKind::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// Whether this is a call that could not be read.
    pub fn is_bad_call(self) -> bool {
        matches!(self, Self::UnclosedCall | Self::MalformedCall | Self::BadName | Self::BadArguments)
    }
}
