//! Chat templates, and which of them a text is written in.

use memchr::{memchr3, memmem};

use super::tags::{Row, TOOL_CALLS, Tag, first_row};

/// Which chat template a text is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Markup {
    /// `<|im_start|>role\n ... <|im_end|>`: Qwen, Hermes, LFM2 and many others.
    ChatMl,
    /// `<|start_header_id|>role<|end_header_id|>\n\n ... <|eot_id|>`.
    Llama3,
    /// `<|header_start|>role<|header_end|>\n\n ... <|eot|>`.
    Llama4,
    /// `[INST] ... [/INST] ... </s>`.
    Mistral,
    /// `<start_of_turn>role\n ... <end_of_turn>`: Gemma up to 3, `FunctionGemma`.
    Gemma,
    /// `<|turn>role\n ... <turn|>`.
    Gemma4,
    /// `<|start|>role<|channel|>channel<|message|> ... <|end|>`: gpt-oss.
    Harmony,
    /// `<｜User｜> ... <｜Assistant｜> ... <｜end▁of▁sentence｜>`.
    DeepSeek,
    /// `<|user|> ... <|assistant|> ...`: the next turn's tag ends a turn.
    Glm,
    /// `<|im_assistant|>role<|im_middle|> ... <|im_end|>`.
    Kimi,
    /// `]~b]role\n ... [e~[`.
    MiniMax,
    /// `<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|> ... <|END_OF_TURN_TOKEN|>`.
    Cohere,
    /// `<|user|> ... <|end|><|assistant|> ... <|end|>`.
    Phi,
    /// `<|start_of_role|>role<|end_of_role|> ... <|end_of_text|>`.
    Granite,
    /// `<seed:bos>role\n ... <seed:eos>`.
    Seed,
    /// None: the content of one assistant message. Every template's thoughts, but no turn, can stand in it.
    Content,
}

/// The tags that close an assistant's turn, and whose they are. Where several templates share one, it is that of the
/// template whose turns it usually ends: other tags in the text prove nothing, since the policy may have written them.
const CLOSERS: &[(&str, Markup)] = &[
    ("<|im_end|>", Markup::ChatMl),
    ("<|endoftext|>", Markup::ChatMl),
    ("<|eot_id|>", Markup::Llama3),
    ("<|eom_id|>", Markup::Llama3),
    ("<|eot|>", Markup::Llama4),
    ("<|eom|>", Markup::Llama4),
    ("</s>", Markup::Mistral),
    ("<end_of_turn>", Markup::Gemma),
    ("<start_function_response>", Markup::Gemma),
    ("<eos>", Markup::Gemma),
    ("<turn|>", Markup::Gemma4),
    ("<|tool_response>", Markup::Gemma4),
    ("<|call|>", Markup::Harmony),
    ("<|return|>", Markup::Harmony),
    ("<|end|>", Markup::Phi),
    ("<｜end▁of▁sentence｜>", Markup::DeepSeek),
    ("<|user|>", Markup::Glm),
    ("<|observation|>", Markup::Glm),
    ("[e~[", Markup::MiniMax),
    ("<|END_OF_TURN_TOKEN|>", Markup::Cohere),
    ("<|end_of_text|>", Markup::Granite),
    ("<seed:eos>", Markup::Seed),
];

/// What tells Harmony from Phi, whose policy stops at its first `<|end|>`.
const HARMONY_SIGNS: [&str; 2] = ["<|end|><|start|>", "<|call|><|start|>"];

/// What a tokenizer puts before the first turn.
const BEGINNINGS: [&str; 9] = [
    "<|begin_of_text|>",
    "<|begin▁of▁sentence|>",
    "<｜begin▁of▁sentence｜>",
    "<s>",
    "<bos>",
    "[gMASK]",
    "<sop>",
    "<BOS_TOKEN>",
    "]~!b[",
];

impl Markup {
    /// The template of a text: the one whose end of turn closes it, else the one whose tag comes first, else `ChatML`.
    ///
    /// The end comes first, because the policy writes the beginning: it could put another template's tags there and fake
    /// turns with them.
    pub(super) fn of(text: &str) -> Self {
        const MOST: (&str, Markup) = CLOSERS[0];
        if text.ends_with(MOST.0) {
            return MOST.1;
        }
        let trimmed = text.trim_end();
        let closer = match trimmed.as_bytes().last() {
            Some(b'>' | b'[') => CLOSERS.iter().find(|(closer, _)| trimmed.ends_with(closer)),
            _ => None,
        };
        match closer {
            Some((_, Self::Phi)) => phi_or_harmony(text),
            Some((_, markup)) => *markup,
            None => Self::of_first_tag(text),
        }
    }

    fn of_first_tag(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(offset) = memchr3(b'<', b'[', b']', &bytes[at..]) {
            at += offset;
            match first_row(text, at) {
                Some((Row { text: TOOL_CALLS, .. }, _)) => return Self::Mistral,
                Some((Row { text: "<|end|>", .. }, _)) => return phi_or_harmony(text),
                Some((Row { text: "<|assistant|>" | "<|user|>" | "<|system|>", .. }, _)) => {
                    return if text.contains("<|end|>") { Self::Phi } else { Self::Glm };
                }
                // Thoughts, calls and results say nothing: a policy may write any of them.
                Some((row, markup)) if row.tag.begins_turn() || row.tag.bounds_turn() || row.tag == Tag::Channel => {
                    return markup;
                }
                _ => {}
            }
            at += 1;
        }
        Self::ChatMl
    }

    /// Where a text goes on after what a tokenizer puts before the first turn.
    pub(super) fn skip_beginning(text: &str) -> usize {
        if text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) {
            return 0;
        }
        let mut rest = text.trim_start();
        while let Some(shorter) = BEGINNINGS.iter().find_map(|beginning| rest.strip_prefix(beginning)) {
            rest = shorter.trim_start();
        }
        text.len() - rest.len()
    }

    /// Whether the tag of the next speaker is what ends the assistant's turn.
    pub(super) fn next_turn_ends(self) -> bool {
        matches!(self, Self::Glm | Self::Gemma | Self::Gemma4)
    }
}

fn phi_or_harmony(text: &str) -> Markup {
    let harmony = HARMONY_SIGNS.iter().any(|sign| memmem::find(text.as_bytes(), sign.as_bytes()).is_some());
    if harmony { Markup::Harmony } else { Markup::Phi }
}
