//! A model's name, or its chat template -> the format of its calls.

use super::Format;

/// Pieces of lower-case model names, the more exact ones first.
const MODELS: &[(&str, Format)] = &[
    ("toolrl", Format::ToolRl),
    ("xlam", Format::Xlam),
    ("functiongemma", Format::FunctionGemma),
    ("function-gemma", Format::FunctionGemma),
    ("gemma-4", Format::Gemma4),
    ("gemma4", Format::Gemma4),
    ("gpt-oss", Format::Harmony),
    ("qwen3-coder", Format::Qwen3Coder),
    ("qwen3_coder", Format::Qwen3Coder),
    ("qwen3.5", Format::Qwen3Coder),
    ("qwen3.6", Format::Qwen3Coder),
    ("nemotron-3", Format::Qwen3Coder),
    ("nemotron3", Format::Qwen3Coder),
    ("deepseek-v3.1", Format::DeepSeekV31),
    ("deepseek-v3.2", Format::DeepSeekV31),
    ("deepseek-r1-distill-qwen", Format::DeepSeekV3),
    ("deepseek-r1-distill-llama", Format::DeepSeekV3),
    ("deepseek-r1", Format::DeepSeekV3),
    ("deepseek-v3", Format::DeepSeekV3),
    ("hermes", Format::Hermes),
    ("lfm2", Format::Lfm2),
    ("llama-4", Format::Pythonic),
    ("llama4", Format::Pythonic),
    ("llama-3", Format::Llama3Json),
    ("llama3", Format::Llama3Json),
    ("phi-4-mini", Format::Phi4Mini),
    ("granite", Format::Granite),
    ("glm-4.5", Format::Glm45),
    ("glm-4.6", Format::Glm45),
    ("glm-4.7", Format::Glm45),
    ("glm-5", Format::Glm45),
    ("kimi-k2", Format::KimiK2),
    ("minimax-m2", Format::MiniMaxM2),
    ("olmo-3", Format::Olmo3),
    ("olmo3", Format::Olmo3),
    ("command-r7b", Format::Cohere),
    ("command-a", Format::Cohere),
    ("c4ai-command", Format::Cohere),
    ("seed-oss", Format::SeedOss),
    ("mistral", Format::Mistral),
    ("mixtral", Format::Mistral),
    ("ministral", Format::Mistral),
    ("magistral", Format::Mistral),
    ("devstral", Format::Mistral),
    ("qwen2.5", Format::Hermes),
    ("qwen3", Format::Hermes),
    ("qwq", Format::Hermes),
    ("smollm3", Format::Hermes),
];

/// Pieces of chat templates, the more exact ones first; all of a row must be there.
const TEMPLATES: &[(&[&str], Format)] = &[
    (&["<minimax:tool_call>"], Format::MiniMaxM2),
    (&["<seed:tool_call>"], Format::SeedOss),
    (&["<|tool_calls_section_begin|>"], Format::KimiK2),
    (&["<｜tool▁calls▁begin｜>", "```json"], Format::DeepSeekV3),
    (&["<｜tool▁calls▁begin｜>"], Format::DeepSeekV31),
    (&["<|START_ACTION|>"], Format::Cohere),
    (&["<start_function_call>"], Format::FunctionGemma),
    (&["<|tool_call>", "<tool_call|>"], Format::Gemma4),
    (&["<|channel|>", "<|message|>"], Format::Harmony),
    (&["<|tool_call_start|>"], Format::Lfm2),
    (&["<|tool_list_start|>"], Format::Lfm2),
    (&["<function_calls>"], Format::Olmo3),
    (&["<arg_key>"], Format::Glm45),
    (&["<function=", "<parameter="], Format::Qwen3Coder),
    (&["[TOOL_CALLS]"], Format::Mistral),
    (&["functools["], Format::Phi4Mini),
    (&["<|header_start|>"], Format::Pythonic),
    (&["<|python_start|>"], Format::Pythonic),
    (&["<|start_of_role|>"], Format::Granite),
    (&["<|start_header_id|>", "<tool_call>"], Format::Hermes),
    (&["<|start_header_id|>"], Format::Llama3Json),
    (&["<|python_tag|>"], Format::Llama3Json),
    (&["<|tool|>", "<|/tool|>"], Format::Phi4Mini),
    (&["<tool_call>"], Format::Hermes),
];

/// The format in which a model writes its calls, from its name or from the text of its chat template; `None` where neither is
/// known.
///
/// ```
/// use mentor::trajectory::{Format, formats::detect};
/// assert_eq!(detect("Qwen/Qwen2.5-7B-Instruct"), Some(Format::Hermes));
/// assert_eq!(detect("{{ '<|im_start|>' }} ... <tool_call>"), Some(Format::Hermes));
/// assert_eq!(detect("gpt2"), None);
/// ```
pub fn detect(model_or_template: &str) -> Option<Format> {
    let is_template = model_or_template.contains(['{', '<', '\n']);
    if is_template {
        let all = |pieces: &[&str]| pieces.iter().all(|piece| model_or_template.contains(piece));
        return TEMPLATES.iter().find(|(pieces, _)| all(pieces)).map(|(_, format)| *format);
    }
    let name = model_or_template.to_ascii_lowercase();
    MODELS.iter().find(|(piece, _)| name.contains(piece)).map(|(_, format)| *format)
}
