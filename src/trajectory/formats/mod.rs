//! How models write tool calls in text.

mod bare;
mod call_list;
mod detect;
mod gemma;
pub(super) mod harmony;
mod json_block;
mod named;
mod python;
mod pythonic;
mod source;
mod values;
mod xml;

use super::Trajectory;

pub(super) use bare::read as read_bare;
pub use detect::detect;
pub(super) use source::{Memo, Source};

macro_rules! formats {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// A format of tool calls.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum Format {
            /// Whatever the text shows.
            #[default]
            Auto,
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Format {
            /// Every format.
            pub const ALL: [Self; 1 + [$($name),+].len()] = [Self::Auto, $(Self::$variant),+];

            /// The format's public name.
            pub fn name(self) -> &'static str {
                match self {
                    Self::Auto => "auto",
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

formats! {
    /// `<tool_call>{"name": "f", "arguments": {...}}</tool_call>`: Hermes, Qwen2.5, Qwen3.
    Hermes = "hermes",
    /// `<tool_call><function=f><parameter=a>1</parameter></function></tool_call>`: Qwen3-Coder, Qwen3.5, Nemotron 3.
    Qwen3Coder = "qwen3_coder",
    /// `<|python_tag|>{"name": "f", "parameters": {...}}`, the tag optional: Llama 3.
    Llama3Json = "llama3_json",
    /// `[f(a=1), g(b="x")]`: Llama 4.
    Pythonic = "pythonic",
    /// `<|tool_call_start|>[f(a=1)]<|tool_call_end|>`: LFM2.
    Lfm2 = "lfm2",
    /// `[TOOL_CALLS]` and a list, or a name with its arguments: Mistral.
    Mistral = "mistral",
    /// `<|channel|>commentary to=functions.f<|message|>{...}<|call|>`: gpt-oss.
    Harmony = "harmony",
    /// Structured calls of messages alone; calls in text do not count.
    OpenAi = "openai",
    /// `<tool_call>` with one object per line: `ToolRL`.
    ToolRl = "toolrl",
    /// `functools[{"name": "f", "arguments": {...}}]`: Phi-4-mini.
    Phi4Mini = "phi4_mini",
    /// `[{"name": "f", "arguments": {...}}]`, bare, in a fence or in a block: xLAM.
    Xlam = "xlam",
    /// `<start_function_call>call:f{a:<escape>x<escape>}<end_function_call>`: `FunctionGemma`.
    FunctionGemma = "function_gemma",
    /// `<|tool_call>call:f{a:<|"|>x<|"|>}<tool_call|>`: Gemma 4.
    Gemma4 = "gemma4",
    /// `<|tool_call|>[{...}]`, `<tool_call>[{...}]`, or as Hermes: Granite.
    Granite = "granite",
    /// `<｜tool▁call▁begin｜>function<｜tool▁sep｜>f` and a fence: `DeepSeek` R1 and V3.
    DeepSeekV3 = "deepseek_v3",
    /// `<｜tool▁call▁begin｜>f<｜tool▁sep｜>{...}<｜tool▁call▁end｜>`: `DeepSeek` V3.1.
    DeepSeekV31 = "deepseek_v31",
    /// `<tool_call>f<arg_key>a</arg_key><arg_value>1</arg_value></tool_call>`: GLM 4.5 to 4.7.
    Glm45 = "glm45",
    /// `<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{...}<|tool_call_end|>`: Kimi K2.
    KimiK2 = "kimi_k2",
    /// `<minimax:tool_call><invoke name="f"><parameter name="a">1</parameter></invoke></minimax:tool_call>`: M2.
    MiniMaxM2 = "minimax_m2",
    /// `<function_calls>f(a=1)</function_calls>`: `OLMo` 3.
    Olmo3 = "olmo3",
    /// `<|START_ACTION|>[{"tool_name": "f", "parameters": {...}}]<|END_ACTION|>`: Command.
    Cohere = "cohere",
    /// Qwen3-Coder's functions inside `<seed:tool_call>`: Seed-OSS.
    SeedOss = "seed_oss",
}

impl Format {
    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Whether calls in this block count.
    pub(super) fn reads(self, block: Block) -> bool {
        match self {
            Self::Auto => true,
            Self::OpenAi => false,
            Self::Hermes | Self::ToolRl | Self::Glm45 => block == Block::ToolCall,
            Self::Qwen3Coder => matches!(block, Block::ToolCall | Block::Function),
            Self::Llama3Json => block == Block::PythonTag,
            Self::Pythonic => block == Block::PythonStart,
            Self::Lfm2 => block == Block::Lfm,
            Self::Mistral => block == Block::Mistral,
            Self::Harmony => block == Block::Harmony,
            Self::Phi4Mini => block == Block::Granite,
            Self::Xlam => matches!(block, Block::ToolCall | Block::Mistral),
            Self::FunctionGemma => block == Block::FunctionGemma,
            Self::Gemma4 => block == Block::Gemma4,
            Self::Granite => matches!(block, Block::ToolCall | Block::Granite),
            Self::DeepSeekV3 | Self::DeepSeekV31 => block == Block::DeepSeek,
            Self::KimiK2 => block == Block::Kimi,
            Self::MiniMaxM2 => block == Block::MiniMax,
            Self::Olmo3 => block == Block::Olmo,
            Self::Cohere => block == Block::Cohere,
            Self::SeedOss => block == Block::Seed,
        }
    }
}

/// What begins a block of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// `<tool_call>`: several formats share it.
    ToolCall,
    /// `<function=`, outside a block.
    Function,
    /// `<|python_tag|>`.
    PythonTag,
    /// `<|python_start|>`.
    PythonStart,
    /// `<|tool_call_start|>`.
    Lfm,
    /// `[TOOL_CALLS]`.
    Mistral,
    /// A header with a recipient.
    Harmony,
    /// `<start_function_call>`.
    FunctionGemma,
    /// `<|tool_call>`.
    Gemma4,
    /// `<|tool_call|>`.
    Granite,
    /// `<｜tool▁call▁begin｜>`.
    DeepSeek,
    /// `<|tool_call_begin|>`.
    Kimi,
    /// `<minimax:tool_call>`.
    MiniMax,
    /// `<function_calls>`.
    Olmo,
    /// `<|START_ACTION|>`.
    Cohere,
    /// `<seed:tool_call>`.
    Seed,
}

/// Reads a block; records its calls, or a defect. Returns where to go on, always after `source.start`.
#[inline]
pub(super) fn read(block: Block, source: Source<'_>, out: &mut Trajectory) -> usize {
    if block == Block::ToolCall {
        return tool_call(source, out); // most of all blocks
    }
    read_rarer(block, source, out)
}

fn read_rarer(block: Block, source: Source<'_>, out: &mut Trajectory) -> usize {
    match block {
        Block::ToolCall => tool_call(source, out),
        Block::Function => xml::function(source, out),
        Block::PythonTag => call_list::joined(source, out),
        Block::PythonStart => pythonic::list(source, "<|python_end|>", out),
        Block::Lfm => pythonic::list(source, "<|tool_call_end|>", out),
        Block::Mistral => named::mistral(source, out),
        Block::Harmony => source.body, // its header is read before: see `harmony`
        Block::FunctionGemma => gemma::read(source, &gemma::FUNCTION_GEMMA, out),
        Block::Gemma4 => gemma::read(source, &gemma::GEMMA4, out),
        Block::Granite => call_list::read(source, call_list::Close::May("<|/tool_call|>"), out),
        Block::DeepSeek => named::deepseek(source, out),
        Block::Kimi => named::kimi(source, out),
        Block::MiniMax => xml::read(source, &xml::MINIMAX, out),
        Block::Olmo => pythonic::lines(source, "</function_calls>", out),
        Block::Cohere => call_list::read(source, call_list::Close::Must("<|END_ACTION|>"), out),
        Block::Seed => xml::read(source, &xml::SEED, out),
    }
}

const TOOL_CALL_END: &str = "</tool_call>";

/// A `<tool_call>`: its first bytes tell the format, unless the caller did.
fn tool_call(source: Source<'_>, out: &mut Trajectory) -> usize {
    let at = source.skip_blanks(source.body);
    let next = source.text.as_bytes().get(at);
    match source.options.format {
        Format::ToolRl => json_block::read(source, TOOL_CALL_END, true, out),
        Format::Qwen3Coder => xml::read(source, &xml::QWEN, out),
        Format::Glm45 => xml::pairs(source, out),
        Format::Xlam => call_list::read(source, call_list::Close::May(TOOL_CALL_END), out),
        Format::Granite if next == Some(&b'[') => call_list::read(source, call_list::Close::May(TOOL_CALL_END), out),
        Format::Hermes | Format::Granite => json_block::read(source, TOOL_CALL_END, false, out),
        _ => match next {
            Some(b'{') => json_block::read(source, TOOL_CALL_END, true, out),
            Some(b'[') => call_list::read(source, call_list::Close::May(TOOL_CALL_END), out),
            Some(b'<') if source.text[at..].starts_with("<function=") => xml::read(source, &xml::QWEN, out),
            _ if xml::begins_pairs(&source.text[at..]) => xml::pairs(source, out),
            _ => json_block::read(source, TOOL_CALL_END, true, out),
        },
    }
}
