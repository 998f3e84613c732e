//! The tags of chat templates and of tool calls.

use super::formats::Block;

/// Which chat template a text is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Markup {
    /// `<|im_start|>role\n ... <|im_end|>`.
    ChatMl = 0,
}

impl Markup {
    /// The template of a text: the one whose end of turn closes it, else the one whose tag comes first, else ChatML.
    ///
    /// The end comes first, because the policy writes the beginning: it could put another template's tags there and fake
    /// turns with them.
    pub(super) fn of(_text: &str) -> Self {
        Self::ChatMl
    }

    /// The bytes that tags begin with.
    pub(super) fn triggers(self) -> (u8, u8) {
        (b'<', b'[')
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Assistant,
    /// A tool: the turn is a result, unless result tags stand in it.
    Tool,
    /// Anyone else; results stand in result tags.
    Environment,
}

/// What a tag does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// Begins a turn; the role's name follows, up to this text.
    Named(&'static str),
    /// Begins a turn of this role.
    Turn(Role),
    /// Ends a turn.
    End,
    Think,
    ThinkEnd,
    Result,
    ResultEnd,
    /// Begins a block of calls.
    Call(Block),
}

impl Tag {
    /// Whether a turn ends here at the latest.
    pub(super) fn bounds_turn(self) -> bool {
        matches!(self, Self::Named(_) | Self::Turn(_) | Self::End)
    }
}

struct Row {
    text: &'static str,
    tag: Tag,
    /// Bit n: it is a tag in the template number n.
    markups: u32,
}

const ANY: u32 = u32::MAX;

const fn row(text: &'static str, tag: Tag, markups: u32) -> Row {
    Row { text, tag, markups }
}

const fn bit(markup: Markup) -> u32 {
    1 << markup as u8
}

/// All tags, those with the same first two bytes together; of two that match the first counts.
static ROWS: &[Row] = &[
    row("<tool_call>", Tag::Call(Block::ToolCall), ANY),
    row("<tool_response>", Tag::Result, ANY),
    row("<think>", Tag::Think, ANY),
    row("</think>", Tag::ThinkEnd, ANY),
    row("</tool_response>", Tag::ResultEnd, ANY),
    row("<|im_end|>", Tag::End, bit(Markup::ChatMl)),
    row("<|im_start|>", Tag::Named("\n"), bit(Markup::ChatMl)),
    row("<|endoftext|>", Tag::End, bit(Markup::ChatMl)),
];

/// For each second byte of the tags that begin with `<` and with `[`: the rows that it can be.
static INDEX: [[(u8, u8); 256]; 2] = [index(b'<'), index(b'[')];

const fn index(first: u8) -> [(u8, u8); 256] {
    let mut table = [(0, 0); 256];
    let mut at = 0;
    while at < ROWS.len() {
        let text = ROWS[at].text.as_bytes();
        if text[0] == first {
            let slot = &mut table[text[1] as usize];
            if slot.1 == 0 {
                slot.0 = at as u8;
            }
            slot.1 = at as u8 + 1;
        }
        at += 1;
    }
    table
}

/// The tag at `at`, and its length.
#[inline]
pub(super) fn tag_at(text: &str, at: usize, markup: Markup) -> Option<(Tag, usize)> {
    let bytes = &text.as_bytes()[at..];
    let [first, second, ..] = *bytes else { return None };
    let table = match first {
        b'<' => &INDEX[0],
        b'[' => &INDEX[1],
        _ => return None,
    };
    let (from, to) = table[usize::from(second)];
    ROWS[usize::from(from)..usize::from(to)]
        .iter()
        .find(|row| row.markups & bit(markup) != 0 && bytes.starts_with(row.text.as_bytes()))
        .map(|row| (row.tag, row.text.len()))
}

/// The first byte of the next tag that may end a turn, from `from` on; the text's length without one.
pub(super) fn end_of_turn(text: &str, from: usize, markup: Markup) -> usize {
    let (a, b) = markup.triggers();
    memchr::memchr2_iter(a, b, &text.as_bytes()[from..])
        .map(|offset| from + offset)
        .find(|at| tag_at(text, *at, markup).is_some_and(|(tag, _)| tag.bounds_turn()))
        .unwrap_or(text.len())
}
