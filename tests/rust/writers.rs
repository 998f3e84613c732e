//! Writes calls in every format, for the properties that every format has.

use mentor::trajectory::Format;
use serde_json::Value;

/// How a format writes its arguments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Family {
    /// A JSON object.
    Json,
    /// `a=1, b="x"`.
    Python,
    /// What stands around a key, and behind the value, which is bare text.
    Tags(&'static str, &'static str, &'static str),
    /// `{a:1,b:"x"}` with these quotes.
    Gemma(&'static str),
}

/// How a format writes calls.
#[derive(Clone, Copy, Debug)]
pub struct Writer {
    pub format: Format,
    pub family: Family,
    /// Before the first call, between two, behind the last one.
    pub around: [&'static str; 3],
    /// Before the name, between it and the arguments, behind them.
    pub call: [&'static str; 3],
    /// The end of the turn.
    pub end: &'static str,
    /// What a lone call's span begins with.
    pub marker: &'static str,
}

const fn writer(
    format: Format,
    family: Family,
    around: [&'static str; 3],
    call: [&'static str; 3],
    end: &'static str,
    marker: &'static str,
) -> Writer {
    Writer { format, family, around, call, end, marker }
}

use Family::{Gemma, Json, Python, Tags};

const NAME: &str = "{\"name\": \"";
const ARGUMENTS: [&str; 3] = [NAME, "\", \"arguments\": ", "}"];
const PARAMETERS: [&str; 3] = [NAME, "\", \"parameters\": ", "}"];
const PYTHON: [&str; 3] = ["", "(", ")"];
const QWEN: Family = Tags("<parameter=", ">\n", "\n</parameter>\n");
const PAIRS: Family = Tags("<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n");
const INVOKE: Family = Tags("<parameter name=\"", "\">", "</parameter>\n");
const CHATML: &str = "<|im_end|>";

#[rustfmt::skip]
pub const WRITERS: [Writer; 31] = [
    writer(Format::Hermes, Json, ["", "\n", ""],
        ["<tool_call>\n{\"name\": \"", "\", \"arguments\": ", "}\n</tool_call>"], CHATML, "<tool_call>"),
    writer(Format::Qwen3Coder, QWEN, ["", "\n", ""],
        ["<tool_call>\n<function=", ">\n", "</function>\n</tool_call>"], CHATML, "<tool_call>"),
    writer(Format::Qwen3Coder, QWEN, ["", "\n", ""], ["<function=", ">\n", "</function>"], CHATML, "<function="),
    writer(Format::Llama3Json, Json, ["<|python_tag|>", "; ", ""], PARAMETERS, "<|eom_id|>", "<|python_tag|>"),
    writer(Format::Llama3Json, Json, ["", ";", ""], PARAMETERS, "<|eot_id|>", "{"),
    writer(Format::Pythonic, Python, ["[", ", ", "]"], PYTHON, "<|eot|>", "f"),
    writer(Format::Pythonic, Python, ["<|python_start|>[", ", ", "]<|python_end|>"], PYTHON, "<|eot|>", "<|python_start|>"),
    writer(Format::Lfm2, Python, ["<|tool_call_start|>[", ", ", "]<|tool_call_end|>"], PYTHON, CHATML, "<|tool_call_start|>"),
    writer(Format::Mistral, Json, ["[TOOL_CALLS][", ", ", "]"], ARGUMENTS, "</s>", "[TOOL_CALLS]"),
    writer(Format::Mistral, Json, ["", "", ""], ["[TOOL_CALLS]", "", ""], "</s>", "[TOOL_CALLS]"),
    writer(Format::Mistral, Json, ["", "", ""], ["[TOOL_CALLS]", "[ARGS]", ""], "</s>", "[TOOL_CALLS]"),
    writer(Format::Harmony, Json, ["", "<|call|><|start|>assistant", "<|call|>"],
        ["<|channel|>commentary to=functions.", " <|constrain|>json<|message|>", ""], "", "<|channel|>"),
    writer(Format::ToolRl, Json, ["<tool_call>\n", "\n", "\n</tool_call>"], PARAMETERS, CHATML, "<tool_call>"),
    writer(Format::Phi4Mini, Json, ["functools[", ", ", "]"], ARGUMENTS, "<|end|>", "{"),
    writer(Format::Xlam, Json, ["[", ", ", "]"], ARGUMENTS, CHATML, "{"),
    writer(Format::Xlam, Json, ["```json\n[", ",\n", "]\n```"], ARGUMENTS, CHATML, "{"),
    writer(Format::Xlam, Json, ["<tool_call>[", ", ", "]</tool_call>"], ARGUMENTS, CHATML, "<tool_call>"),
    writer(Format::Xlam, Json, ["[TOOL_CALLS] [", ", ", "]"], ARGUMENTS, "</s>", "[TOOL_CALLS]"),
    writer(Format::FunctionGemma, Gemma("<escape>"), ["", "", ""],
        ["<start_function_call>call:", "", "<end_function_call>"], "<start_function_response>", "<start_function_call>"),
    writer(Format::Gemma4, Gemma("<|\"|>"), ["", "", ""],
        ["<|tool_call>call:", "", "<tool_call|>"], "<|tool_response>", "<|tool_call>"),
    writer(Format::Granite, Json, ["<|tool_call|> [", ", ", "]"], ARGUMENTS, "<|end_of_text|>", "<|tool_call|>"),
    writer(Format::Granite, Json, ["<tool_call> [", ", ", "]"], ARGUMENTS, "<|end_of_text|>", "<tool_call>"),
    writer(Format::Granite, Json, ["", "\n", ""],
        ["<tool_call>\n{\"name\": \"", "\", \"arguments\": ", "}\n</tool_call>"], "<|end_of_text|>", "<tool_call>"),
    writer(Format::DeepSeekV3, Json, ["<｜tool▁calls▁begin｜>", "\n", "<｜tool▁calls▁end｜>"],
        ["<｜tool▁call▁begin｜>function<｜tool▁sep｜>", "\n```json\n", "\n```<｜tool▁call▁end｜>"],
        "<｜end▁of▁sentence｜>", "<｜tool▁call▁begin｜>"),
    writer(Format::DeepSeekV31, Json, ["<｜tool▁calls▁begin｜>", "", "<｜tool▁calls▁end｜>"],
        ["<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"],
        "<｜end▁of▁sentence｜>", "<｜tool▁call▁begin｜>"),
    writer(Format::Glm45, PAIRS, ["", "\n", ""], ["<tool_call>", "\n", "</tool_call>"], "<|observation|>", "<tool_call>"),
    writer(Format::KimiK2, Json, ["<|tool_calls_section_begin|>", "", "<|tool_calls_section_end|>"],
        ["<|tool_call_begin|>functions.", ":0<|tool_call_argument_begin|>", "<|tool_call_end|>"], CHATML,
        "<|tool_call_begin|>"),
    writer(Format::MiniMaxM2, INVOKE, ["<minimax:tool_call>\n", "\n", "\n</minimax:tool_call>"],
        ["<invoke name=\"", "\">\n", "</invoke>"], "[e~[", "<minimax:tool_call>"),
    writer(Format::Olmo3, Python, ["<function_calls>", "\n", "</function_calls>"], PYTHON, CHATML, "<function_calls>"),
    writer(Format::Cohere, Json, ["<|START_ACTION|>[\n", ",\n", "\n]<|END_ACTION|>"],
        ["{\"tool_call_id\": \"0\", \"tool_name\": \"", "\", \"parameters\": ", "}"], "<|END_OF_TURN_TOKEN|>",
        "<|START_ACTION|>"),
    writer(Format::SeedOss, QWEN, ["<seed:tool_call>\n", "\n", "\n</seed:tool_call>"],
        ["<function=", ">\n", "</function>"], "<seed:eos>", "<seed:tool_call>"),
];

impl Writer {
    /// Calls whose arguments' values are written already.
    pub fn write_raw(&self, calls: &[(&str, Vec<(&str, String)>)]) -> String {
        let calls: Vec<String> = calls
            .iter()
            .map(|(name, arguments)| {
                let [before, between, behind] = self.call;
                format!("{before}{name}{between}{}{behind}", self.arguments(arguments))
            })
            .collect();
        let [before, between, behind] = self.around;
        format!("{before}{}{behind}", calls.join(between))
    }

    fn arguments(&self, arguments: &[(&str, String)]) -> String {
        let listed = |pair: &dyn Fn(&str, &str) -> String, separator: &str| {
            arguments.iter().map(|(key, value)| pair(key, value)).collect::<Vec<_>>().join(separator)
        };
        match self.family {
            Json => format!("{{{}}}", listed(&|key, value| format!("\"{key}\": {value}"), ", ")),
            Python => listed(&|key, value| format!("{key}={value}"), ", "),
            Gemma(_) => format!("{{{}}}", listed(&|key, value| format!("{key}:{value}"), ",")),
            Tags(before, between, behind) => listed(&|key, value| format!("{before}{key}{between}{value}{behind}"), ""),
        }
    }

    /// Calls.
    pub fn write(&self, calls: &[(String, Vec<(String, Value)>)]) -> String {
        let raw: Vec<_> = calls
            .iter()
            .map(|(name, arguments)| {
                let written = |(key, value): &'_ (String, Value)| (key.clone(), self.value(value, true));
                (name, arguments.iter().map(written).collect::<Vec<_>>())
            })
            .collect();
        let raw: Vec<_> = raw
            .iter()
            .map(|(name, arguments)| {
                (name.as_str(), arguments.iter().map(|(key, value)| (key.as_str(), value.clone())).collect::<Vec<_>>())
            })
            .collect();
        self.write_raw(&raw)
    }

    /// A value; `top` is one that stands for an argument.
    pub fn value(&self, value: &Value, top: bool) -> String {
        let items = |items: &[Value]| items.iter().map(|item| self.value(item, false)).collect::<Vec<_>>().join(", ");
        match (self.family, value) {
            (Tags(..), Value::String(text)) if top => text.clone(),
            (Json | Tags(..), value) => value.to_string(),
            (Python, Value::Null) => "None".to_owned(),
            (Python, Value::Bool(on)) => if *on { "True" } else { "False" }.to_owned(),
            (Gemma(quote), Value::String(text)) => format!("{quote}{text}{quote}"),
            (Python | Gemma(_), Value::Array(list)) => format!("[{}]", items(list)),
            (family, Value::Object(map)) => {
                let pair = |(key, value): (&String, &Value)| {
                    let key = if family == Python { Value::from(key.as_str()).to_string() } else { key.clone() };
                    format!("{key}: {}", self.value(value, false))
                };
                format!("{{{}}}", map.iter().map(pair).collect::<Vec<_>>().join(", "))
            }
            (_, value) => value.to_string(),
        }
    }
}
