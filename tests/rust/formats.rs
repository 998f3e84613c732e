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
