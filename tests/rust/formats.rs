//! Formats and templates: the shared cases, edge cases of every format, detection, linear time.

use mentor::tools::Tools;
use mentor::trajectory::formats::detect;
use mentor::trajectory::{DefectKind, Format, Options, Trajectory, parse_messages, parse_text};
use serde_json::{Value, json};

/// The calls as the shared cases write them.
pub fn calls(got: &Trajectory) -> Value {
    got.calls
        .iter()
        .map(|call| {
            let arguments: serde_json::Map<String, Value> =
                got.arguments(call).iter().map(|(key, value)| (key.to_owned(), value.to_tree())).collect();
            json!({"name": got.name(call), "arguments": arguments})
        })
        .collect()
}

pub fn read(text: &str, format: Format) -> Trajectory {
    let mut out = Trajectory::default();
    parse_text(text, &Options { format, tools: None }, &mut out);
    out
}

/// Kinds of the defects that concern calls and thoughts, not how the rollout ends.
pub fn kinds(got: &Trajectory) -> Vec<&'static str> {
    let ending = |kind: DefectKind| matches!(kind, DefectKind::NoAnswer | DefectKind::NotFinished);
    got.defects.iter().filter(|defect| !ending(defect.kind)).map(|defect| defect.kind.name()).collect()
}

#[test]
fn shared_cases() {
    let path = format!("{}/tests/cases/formats.json", env!("CARGO_MANIFEST_DIR"));
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).expect("cases")).expect("JSON");
    let mut failed = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().expect("name");
        let format = Format::from_name(case["format"].as_str().expect("format")).expect("a known format");
        let tools = case.get("tools").map(|tools| Tools::from_value(tools).expect("tools"));
        let options = Options { format, tools: tools.as_ref() };
        let mut got = Trajectory::default();
        match case["text"].as_str() {
            Some(text) => parse_text(text, &options, &mut got),
            None => parse_messages(case["messages"].to_string().as_bytes(), &options, &mut got),
        }
        let results: Value = got.results.iter().map(|result| got.doc.str(result.text)).collect();
        let call_results: Value = got.calls.iter().map(|call| got.result_text(call)).collect();
        let fields = json!({
            "calls": calls(&got), "defects": kinds(&got), "results": results, "call_results": call_results,
            "turns": got.turns.len(), "answer": got.answer_text(), "finished": got.finished,
        });
        for (field, got) in fields.as_object().expect("fields") {
            if let Some(want) = case.get(field).filter(|want| *want != got) {
                failed.push(format!("{name}: {field} is {got}, not {want}"));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

#[test]
fn a_format_is_known_by_the_models_name() {
    for (model, want) in [
        ("Qwen/Qwen2.5-7B-Instruct", Some("hermes")),
        ("Qwen/Qwen3-0.6B", Some("hermes")),
        ("Qwen/QwQ-32B", Some("hermes")),
        ("NousResearch/Hermes-3-Llama-3.1-8B", Some("hermes")),
        ("HuggingFaceTB/SmolLM3-3B", Some("hermes")),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", Some("qwen3_coder")),
        ("Qwen3-Coder-30B", Some("qwen3_coder")),
        ("Qwen/Qwen3.5-4B", Some("qwen3_coder")),
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", Some("qwen3_coder")),
        ("meta-llama/Llama-3.2-1B-Instruct", Some("llama3_json")),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", Some("llama3_json")),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", Some("pythonic")),
        ("LiquidAI/LFM2-1.2B", Some("lfm2")),
        ("mistralai/Mistral-7B-Instruct-v0.3", Some("mistral")),
        ("mistralai/Magistral-Small-2506", Some("mistral")),
        ("mistralai/Devstral-Small-2507", Some("mistral")),
        ("openai/gpt-oss-20b", Some("harmony")),
        ("emrecanacikgoz/Qwen2.5-7B-Instruct-ToolRL-grpo-cold", Some("toolrl")),
        ("microsoft/Phi-4-mini-instruct", Some("phi4_mini")),
        ("Salesforce/Llama-xLAM-2-8b-fc-r", Some("xlam")),
        ("google/functiongemma-270m-it", Some("function_gemma")),
        ("google/gemma-4-E4B-it", Some("gemma4")),
        ("ibm-granite/granite-3.1-8b-instruct", Some("granite")),
        ("deepseek-ai/DeepSeek-R1-0528", Some("deepseek_v3")),
        ("deepseek-ai/DeepSeek-V3", Some("deepseek_v3")),
        ("deepseek-ai/DeepSeek-V3.1", Some("deepseek_v31")),
        ("zai-org/GLM-4.5-Air", Some("glm45")),
        ("zai-org/GLM-4.7", Some("glm45")),
        ("moonshotai/Kimi-K2-Instruct", Some("kimi_k2")),
        ("MiniMaxAI/MiniMax-M2", Some("minimax_m2")),
        ("allenai/Olmo-3-7B-Instruct", Some("olmo3")),
        ("CohereLabs/c4ai-command-r7b-12-2024", Some("cohere")),
        ("ByteDance-Seed/Seed-OSS-36B-Instruct", Some("seed_oss")),
        ("openai-community/gpt2", None),
        ("", None),
    ] {
        assert_eq!(detect(model).map(Format::name), want, "{model}");
    }
}

#[test]
fn a_format_is_known_by_the_chat_template() {
    for (template, want) in [
        ("{{ '<|im_start|>' + role }} <tool_call>\\n{\"name\": <function-name>}", Some("hermes")),
        ("<|im_start|> <tool_call>\n<function=example>\n<parameter=a>", Some("qwen3_coder")),
        ("<|start_header_id|>{{ role }}<|end_header_id|>", Some("llama3_json")),
        ("<|start_header_id|> <tool_call>", Some("hermes")),
        ("<|header_start|>{{ role }}<|header_end|>", Some("pythonic")),
        ("<|im_start|> List of tools: <|tool_list_start|>", Some("lfm2")),
        ("[INST] {{ x }} [/INST] [TOOL_CALLS]", Some("mistral")),
        ("<|start|>assistant<|channel|>analysis<|message|>", Some("harmony")),
        ("<|system|> <|tool|>{{ tools }}<|/tool|>", Some("phi4_mini")),
        ("<start_of_turn>model <start_function_call>", Some("function_gemma")),
        ("<|turn>model <|tool_call>call:{{ name }}<tool_call|>", Some("gemma4")),
        ("<|start_of_role|>assistant<|end_of_role|> <|tool_call|>", Some("granite")),
        ("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function ```json", Some("deepseek_v3")),
        ("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>", Some("deepseek_v31")),
        ("[gMASK]<sop> <tool_call>{{ name }}<arg_key>", Some("glm45")),
        ("<|im_assistant|> <|tool_calls_section_begin|>", Some("kimi_k2")),
        ("]~b]ai <minimax:tool_call><invoke name=", Some("minimax_m2")),
        ("<|im_start|> <function_calls>", Some("olmo3")),
        ("<|START_OF_TURN_TOKEN|> <|START_ACTION|>", Some("cohere")),
        ("<seed:bos> <seed:tool_call> <function=f> <parameter=a>", Some("seed_oss")),
        ("{{ messages }}", None),
    ] {
        assert_eq!(detect(template).map(Format::name), want, "{template}");
    }
}

#[test]
fn names_of_formats_are_unique_and_known() {
    for format in Format::ALL {
        assert_eq!(Format::from_name(format.name()), Some(format));
    }
    assert_eq!(Format::from_name("Hermes"), None);
}

#[test]
fn results_and_turns_have_their_bytes() {
    let text = "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\nAh.<|im_end|>\n<|im_start|>tool\n 4\n<|im_end|>\n\
                <|im_start|>assistant\n\\boxed{4}<|im_end|>";
    let got = read(text, Format::Auto);
    let turns: Vec<&str> = got.turns.iter().map(|turn| &text[turn.span.start..turn.span.end]).collect();
    assert_eq!(turns, ["Ah.", "\\boxed{4}"]);
    let span = got.results[0].span.expect("a span");
    assert_eq!(&text[span.start..span.end], " 4\n");
    let harmony = "<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>commentary to=functions.f\
                   <|message|>{}<|call|><|start|>functions.f to=assistant<|channel|>commentary<|message|>4<|end|>\
                   <|start|>assistant<|channel|>final<|message|>done<|return|>";
    let got = read(harmony, Format::Auto);
    let turns: Vec<&str> = got.turns.iter().map(|turn| &harmony[turn.span.start..turn.span.end]).collect();
    assert!(turns[0].starts_with("<|channel|>analysis") && turns[0].ends_with("{}"), "{turns:?}");
    assert!(turns[1].ends_with("done"), "{turns:?}");
    let span = got.calls[0].span.expect("a span");
    assert!(
        harmony[span.start..span.end].starts_with("<|start|>assistant") && harmony[..span.end].ends_with("<|call|>")
    );
}

#[test]
fn messages_nest_as_deeply_as_json_may() {
    let message = |depth: usize| {
        let arguments = format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        format!(r#"[{{"role":"assistant","tool_calls":[{{"function":{{"name":"f","arguments":{arguments}}}}}]}}]"#)
    };
    assert_eq!(Trajectory::from_messages(message(100).as_bytes()).calls.len(), 1);
    let got = Trajectory::from_messages(message(400).as_bytes());
    assert_eq!((got.calls.len(), kinds(&got)), (0, vec!["bad_message"]));
    // A string of arguments begins anew.
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(120), "]".repeat(120));
    let json = json!([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": deep}}]}]);
    assert_eq!(Trajectory::from_messages(json.to_string().as_bytes()).calls.len(), 1);
}
