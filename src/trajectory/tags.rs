//! The tags of chat templates and of tool calls.

#![expect(clippy::inline_always, reason = "measured: a call costs as much as what it does")]

use super::formats::Block;
use super::template::Markup;

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
    /// Begins a turn of this role; a name follows, up to this text.
    Headed(Role, &'static str),
    /// Begins a turn of this role.
    Turn(Role),
    /// Ends a result that stands between two parts of what the assistant wrote.
    Resume,
    /// Ends a turn.
    End,
    /// Begins a message with a header: Harmony's `<|start|>`.
    Message,
    /// Begins a channel's name: Harmony's `<|channel|>`.
    Channel,
    /// Ends a message; the turn may go on with another.
    MessageEnd,
    /// A tag of Kimi's template: the text may be in it rather than in `ChatML`, which ends turns alike.
    Kimi,
    Think,
    ThinkEnd,
    Result,
    ResultEnd,
    /// Begins a block of calls.
    Call(Block),
}

impl Tag {
    /// Whether a turn begins here.
    pub(super) fn begins_turn(self) -> bool {
        matches!(self, Self::Named(_) | Self::Headed(..) | Self::Turn(_) | Self::Message | Self::Kimi)
    }

    /// Whether a turn ends here at the latest.
    pub(super) fn bounds_turn(self) -> bool {
        matches!(
            self,
            Self::Named(_)
                | Self::Headed(..)
                | Self::Turn(_)
                | Self::Resume
                | Self::End
                | Self::Message
                | Self::MessageEnd
        )
    }
}

pub(super) struct Row {
    pub text: &'static str,
    pub tag: Tag,
    /// Bit n: it is a tag in the template number n.
    markups: u32,
    /// The first 16 bytes as two numbers, and which of their bits count: tags are told apart without a call of memcmp.
    head: [u64; 2],
    mask: [u64; 2],
}

impl Row {
    /// Whether the tag stands at the beginning of `bytes`, which start with `head`.
    #[inline]
    fn matches(&self, bytes: &[u8], head: [u64; 2]) -> bool {
        const HEAD: usize = size_of::<[u64; 2]>();
        (head[0] ^ self.head[0]) & self.mask[0] == 0
            && (head[1] ^ self.head[1]) & self.mask[1] == 0
            && (self.text.len() <= HEAD || bytes.get(HEAD..self.text.len()) == Some(&self.text.as_bytes()[HEAD..]))
    }
}

/// The first 16 bytes as two numbers; zeros for those that are missing, which no tag holds.
#[inline]
fn head_of(bytes: &[u8]) -> [u64; 2] {
    let mut head = [0; 16];
    match bytes.first_chunk() {
        Some(whole) => head = *whole,
        None => head[..bytes.len()].copy_from_slice(bytes),
    }
    halves(head)
}

#[inline]
fn halves(head: [u8; 16]) -> [u64; 2] {
    let (halves, _) = head.as_chunks();
    [u64::from_le_bytes(halves[0]), u64::from_le_bytes(halves[1])]
}

/// Mistral's tag of calls.
pub(super) const TOOL_CALLS: &str = "[TOOL_CALLS]";

const ANY: u32 = u32::MAX;

const fn row(text: &'static str, tag: Tag, markups: u32) -> Row {
    let bytes = text.as_bytes();
    let (mut head, mut mask, mut at) = ([0; 2], [0; 2], 0);
    while at < bytes.len() && at < size_of::<[u64; 2]>() {
        head[at / 8] |= (bytes[at] as u64) << (8 * (at % 8));
        mask[at / 8] |= 0xFF << (8 * (at % 8));
        at += 1;
    }
    Row { text, tag, markups, head, mask }
}

const fn bit(markup: Markup) -> u32 {
    1 << markup as u8
}

const CHATML: u32 = bit(Markup::ChatMl);
const LLAMA3: u32 = bit(Markup::Llama3);
const LLAMA4: u32 = bit(Markup::Llama4);
const MISTRAL: u32 = bit(Markup::Mistral);
const GEMMA: u32 = bit(Markup::Gemma);
const GEMMA4: u32 = bit(Markup::Gemma4);
const HARMONY: u32 = bit(Markup::Harmony);
const DEEPSEEK: u32 = bit(Markup::DeepSeek);
const GLM: u32 = bit(Markup::Glm);
const KIMI: u32 = bit(Markup::Kimi);
const MINIMAX: u32 = bit(Markup::MiniMax);
const COHERE: u32 = bit(Markup::Cohere);
const PHI: u32 = bit(Markup::Phi);
const GRANITE: u32 = bit(Markup::Granite);
const SEED: u32 = bit(Markup::Seed);
const CONTENT: u32 = bit(Markup::Content);

/// All tags, those with the same beginning (two bytes; three after `<|`) together; of two that match the first counts.
#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row("<tool_call>", Tag::Call(Block::ToolCall), ANY),
    row("<tool_response>", Tag::Result, ANY),
    row("<think>", Tag::Think, ANY),
    row("<turn|>", Tag::End, GEMMA4),
    row("<tool_response|>", Tag::Resume, GEMMA4),
    row("<tool_response|>", Tag::ResultEnd, CONTENT),
    row("</think>", Tag::ThinkEnd, ANY),
    row("</tool_response>", Tag::ResultEnd, ANY),
    row("</s>", Tag::End, MISTRAL),
    row("</seed:think>", Tag::ThinkEnd, SEED | CONTENT),
    row("</response>", Tag::ResultEnd, MINIMAX),
    row("<function=", Tag::Call(Block::Function), ANY),
    row("<function_calls>", Tag::Call(Block::Olmo), ANY),
    row("<start_function_call>", Tag::Call(Block::FunctionGemma), ANY),
    row("<start_of_turn>", Tag::Named("\n"), GEMMA),
    row("<start_function_response>", Tag::Turn(Role::Tool), GEMMA),
    row("<start_function_response>", Tag::Result, CONTENT),
    row("<seed:tool_call>", Tag::Call(Block::Seed), ANY),
    row("<seed:think>", Tag::Think, SEED | CONTENT),
    row("<seed:bos>", Tag::Named("\n"), SEED),
    row("<seed:eos>", Tag::End, SEED),
    row("<end_of_turn>", Tag::End, GEMMA),
    row("<end_function_response>", Tag::Resume, GEMMA),
    row("<end_function_response>", Tag::ResultEnd, CONTENT),
    row("<eos>", Tag::End, GEMMA | GEMMA4),
    row("<minimax:tool_call>", Tag::Call(Block::MiniMax), ANY),
    row("<channel|>", Tag::ThinkEnd, GEMMA4 | CONTENT),
    row("<response>", Tag::Result, MINIMAX),
    row("<｜tool▁call▁begin｜>", Tag::Call(Block::DeepSeek), ANY),
    row("<｜tool▁output▁begin｜>", Tag::Turn(Role::Tool), DEEPSEEK),
    row("<｜tool▁output▁end｜>", Tag::Resume, DEEPSEEK),
    row("<｜tool▁outputs▁end｜>", Tag::Resume, DEEPSEEK),
    row("<｜User｜>", Tag::Turn(Role::Environment), DEEPSEEK),
    row("<｜Assistant｜>", Tag::Turn(Role::Assistant), DEEPSEEK),
    row("<｜end▁of▁sentence｜>", Tag::End, DEEPSEEK),
    row("<|im_end|>", Tag::End, CHATML | KIMI),
    row("<|im_start|>", Tag::Named("\n"), CHATML),
    row("<|im_assistant|>", Tag::Headed(Role::Assistant, "<|im_middle|>"), KIMI),
    row("<|im_user|>", Tag::Headed(Role::Environment, "<|im_middle|>"), KIMI),
    row("<|im_system|>", Tag::Headed(Role::Tool, "<|im_middle|>"), KIMI),
    row("<|im_assistant|>", Tag::Kimi, CHATML),
    row("<|im_user|>", Tag::Kimi, CHATML),
    row("<|im_system|>", Tag::Kimi, CHATML),
    row("<|endoftext|>", Tag::End, CHATML),
    row("<|eot_id|>", Tag::End, LLAMA3),
    row("<|eom_id|>", Tag::End, LLAMA3),
    row("<|eot|>", Tag::End, LLAMA4),
    row("<|eom|>", Tag::End, LLAMA4),
    row("<|end|>", Tag::End, PHI),
    row("<|end|>", Tag::MessageEnd, HARMONY | CONTENT),
    row("<|end_of_text|>", Tag::End, GRANITE | LLAMA3),
    row("<|start_header_id|>", Tag::Named("<|end_header_id|>"), LLAMA3),
    row("<|start_of_role|>", Tag::Named("<|end_of_role|>"), GRANITE),
    row("<|start|>", Tag::Message, HARMONY | CONTENT),
    row("<|system|>", Tag::Turn(Role::Environment), GLM | PHI),
    row("<|header_start|>", Tag::Named("<|header_end|>"), LLAMA4),
    row("<|python_tag|>", Tag::Call(Block::PythonTag), ANY),
    row("<|python_start|>", Tag::Call(Block::PythonStart), ANY),
    row("<|tool_call_start|>", Tag::Call(Block::Lfm), ANY),
    row("<|tool_call_begin|>", Tag::Call(Block::Kimi), ANY),
    row("<|tool_call|>", Tag::Call(Block::Granite), ANY),
    row("<|tool_call>", Tag::Call(Block::Gemma4), ANY),
    row("<|tool_response_start|>", Tag::Result, CHATML | CONTENT),
    row("<|tool_response_end|>", Tag::ResultEnd, CHATML | CONTENT),
    row("<|tool_response|>", Tag::Turn(Role::Tool), PHI),
    row("<|tool_response>", Tag::Turn(Role::Tool), GEMMA4),
    row("<|tool_response>", Tag::Result, CONTENT),
    row("<|tool|>", Tag::Turn(Role::Tool), PHI),
    row("<|turn>", Tag::Named("\n"), GEMMA4),
    row("<|assistant|>", Tag::Turn(Role::Assistant), GLM | PHI),
    row("<|user|>", Tag::Turn(Role::Environment), GLM | PHI),
    row("<|observation|>", Tag::Turn(Role::Tool), GLM),
    row("<|channel|>", Tag::Channel, HARMONY | CONTENT),
    row("<|channel>thought", Tag::Think, GEMMA4 | CONTENT),
    row("<|call|>", Tag::MessageEnd, HARMONY | CONTENT),
    row("<|return|>", Tag::MessageEnd, HARMONY | CONTENT),
    row("<|START_ACTION|>", Tag::Call(Block::Cohere), ANY),
    row("<|START_THINKING|>", Tag::Think, COHERE | CONTENT),
    row("<|START_TOOL_RESULT|>", Tag::Result, COHERE | CONTENT),
    row("<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", Tag::Turn(Role::Assistant), COHERE),
    row("<|START_OF_TURN_TOKEN|>", Tag::Turn(Role::Environment), COHERE),
    row("<|END_THINKING|>", Tag::ThinkEnd, COHERE | CONTENT),
    row("<|END_TOOL_RESULT|>", Tag::ResultEnd, COHERE | CONTENT),
    row("<|END_OF_TURN_TOKEN|>", Tag::End, COHERE),
    row(TOOL_CALLS, Tag::Call(Block::Mistral), ANY),
    row("[TOOL_RESULTS]", Tag::Turn(Role::Tool), MISTRAL),
    row("[THINK]", Tag::Think, MISTRAL | CONTENT),
    row("[INST]", Tag::Turn(Role::Environment), MISTRAL),
    row("[/TOOL_RESULTS]", Tag::Resume, MISTRAL),
    row("[/THINK]", Tag::ThinkEnd, MISTRAL | CONTENT),
    row("[/INST]", Tag::Turn(Role::Assistant), MISTRAL),
    row("[SYSTEM_PROMPT]", Tag::Turn(Role::Environment), MISTRAL),
    row("[AVAILABLE_TOOLS]", Tag::Turn(Role::Environment), MISTRAL),
    row("[e~[", Tag::End, MINIMAX),
    row("]~b]", Tag::Named("\n"), MINIMAX),
];

/// For each byte after the tags' common beginnings: the rows that it can be.
static ANGLE: [(u8, u8); 256] = index(b"<");
static PIPE: [(u8, u8); 256] = index(b"<|");
static OPEN: [(u8, u8); 256] = index(b"[");
static CLOSE: [(u8, u8); 256] = index(b"]");

#[expect(clippy::cast_possible_truncation, reason = "there are fewer rows than a byte can count")]
const fn index(first: &[u8]) -> [(u8, u8); 256] {
    assert!(ROWS.len() < 256);
    let mut table = [(0, 0); 256];
    let mut at = 0;
    while at < ROWS.len() {
        let text = ROWS[at].text.as_bytes();
        if text[0] == first[0] && (first.len() == 1 || text[1] == first[1]) {
            let slot = &mut table[text[first.len()] as usize];
            if slot.1 == 0 {
                slot.0 = at as u8;
            }
            slot.1 = at as u8 + 1;
        }
        at += 1;
    }
    table
}

/// The rows that may stand at `at`.
#[inline]
fn rows_at(bytes: &[u8]) -> &'static [Row] {
    let (from, to) = match *bytes {
        [b'<', b'|', third, ..] => PIPE[usize::from(third)],
        [b'<', second, ..] => ANGLE[usize::from(second)],
        [b'[', second, ..] => OPEN[usize::from(second)],
        [b']', second, ..] => CLOSE[usize::from(second)],
        _ => (0, 0),
    };
    &ROWS[usize::from(from)..usize::from(to)]
}

/// The tag at `at`.
#[inline(always)]
pub(super) fn tag_at(text: &str, at: usize, markup: Markup) -> Option<&'static Row> {
    let bytes = text.as_bytes().get(at..)?;
    match usual(bytes, markup) {
        None => search(bytes, markup),
        found => found,
    }
}

#[inline(never)]
fn search(bytes: &[u8], markup: Markup) -> Option<&'static Row> {
    let rows = rows_at(bytes);
    if rows.is_empty() {
        return None;
    }
    let head = head_of(bytes);
    rows.iter().find(|row| row.matches(bytes, head) && row.markups & bit(markup) != 0)
}

/// One of the few tags that most texts have, which are told apart by eight bytes.
#[inline(always)]
fn usual(bytes: &[u8], markup: Markup) -> Option<&'static Row> {
    const CALL: &Row = &ROWS[place("<tool_call>")];
    const RESULT: &Row = &ROWS[place("<tool_response>")];
    const RESULT_END: &Row = &ROWS[place("</tool_response>")];
    const TURN: &Row = &ROWS[place("<|im_start|>")];
    const TURN_END: &Row = &ROWS[place("<|im_end|>")];
    const THINK: &Row = &ROWS[place("<think>")];
    const THINK_END: &Row = &ROWS[place("</think>")];

    let Some(head) = bytes.first_chunk() else {
        let last = bytes.starts_with(TURN_END.text.as_bytes()) && TURN_END.markups & bit(markup) != 0;
        return last.then_some(TURN_END);
    };
    let [low, high] = halves(*head);
    let is = |row: &Row| (low ^ row.head[0]) & row.mask[0] == 0;
    let row = if is(CALL) {
        CALL
    } else if is(RESULT) {
        RESULT
    } else if is(RESULT_END) {
        RESULT_END
    } else if is(TURN) {
        TURN
    } else if is(TURN_END) {
        TURN_END
    } else if is(THINK) {
        THINK
    } else if is(THINK_END) {
        THINK_END
    } else {
        return None;
    };
    ((high ^ row.head[1]) & row.mask[1] == 0 && row.markups & bit(markup) != 0).then_some(row)
}

const fn place(text: &str) -> usize {
    let mut at = 0;
    loop {
        let known = ROWS[at].text.as_bytes();
        let mut same = 0;
        while same < known.len() && same < text.len() && known[same] == text.as_bytes()[same] {
            same += 1;
        }
        if same == known.len() && same == text.len() {
            return at;
        }
        at += 1;
    }
}

/// The tag at `at` in any template, and the first template that has it.
pub(super) fn first_row(text: &str, at: usize) -> Option<(&'static Row, Markup)> {
    let bytes = &text.as_bytes()[at..];
    let row = rows_at(bytes).iter().find(|row| bytes.starts_with(row.text.as_bytes()))?;
    TEMPLATES.into_iter().find(|markup| row.markups & bit(*markup) != 0).map(|markup| (row, markup))
}

/// Every template but `Markup::Content`, the rarer owners of a shared tag last.
const TEMPLATES: [Markup; 15] = [
    Markup::ChatMl,
    Markup::Llama3,
    Markup::Llama4,
    Markup::Mistral,
    Markup::Gemma,
    Markup::Gemma4,
    Markup::Harmony,
    Markup::DeepSeek,
    Markup::Glm,
    Markup::Kimi,
    Markup::MiniMax,
    Markup::Cohere,
    Markup::Phi,
    Markup::Granite,
    Markup::Seed,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The short cut for the usual tags finds what the table has, in every template, also where the text ends.
    #[test]
    fn usual_tags_are_those_of_the_table() {
        for row in ROWS {
            for rest in ["", ">", " and more text than sixteen bytes"] {
                for end in 1..=row.text.len() {
                    let Some(begin) = row.text.get(..end) else { continue };
                    let text = format!("{begin}{rest}");
                    for markup in TEMPLATES.into_iter().chain([Markup::Content]) {
                        let found = tag_at(&text, 0, markup).map(|row| (row.text, row.tag));
                        let want = search(text.as_bytes(), markup).map(|row| (row.text, row.tag));
                        assert_eq!(found, want, "{text:?} {markup:?}");
                    }
                }
            }
        }
    }
}
