//! How models write tool calls in text.

mod json_block;

use super::tags::Markup;
use super::{Options, Trajectory};

/// A format of tool calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Whatever the text shows.
    #[default]
    Auto,
    /// `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`: Hermes, Qwen2.5, Qwen3.
    Hermes,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Auto, Self::Hermes];

    /// The format's public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Hermes => "hermes",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// What begins a block of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// `<tool_call>`.
    ToolCall,
}

/// Where a block stands and how it is to be read.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// The rollout, or a message's text.
    pub text: &'a str,
    /// Where the block's tag begins.
    pub start: usize,
    /// Where its body begins.
    pub body: usize,
    /// The text's template: its turn tags end a block.
    pub markup: Markup,
    pub options: &'a Options<'a>,
}

/// Reads a block; records its calls, or a defect. Returns where to go on, always after `source.start`.
pub(super) fn read(_block: Block, source: Source<'_>, out: &mut Trajectory) -> usize {
    json_block::read(source, "</tool_call>", out)
}
