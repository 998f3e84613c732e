//! `mentor-dense`: its config, and the properties that its documentation states.

use mentor::reward::{Reference, Reward, Score};
use mentor::tools::Tools;
use mentor::trajectory::Trajectory;
use serde_json::{Value, json};

pub fn number_tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": {
        "type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"],
        "additionalProperties": false,
    }}})
}

pub fn tools() -> Tools {
    Tools::from_value(&json!([
        number_tool("add"),
        number_tool("subtract"),
        number_tool("multiply"),
        number_tool("divide")
    ]))
    .expect("tools")
}

/// The reference: 12 * 7 = 84, 84 + 19 = 103, 103 - 8 = 95.
pub fn reference() -> Reference {
    let json = json!({"answer": "95", "tool_calls": [
        {"name": "multiply", "arguments": {"a": 12, "b": 7}, "result": "84"},
        {"name": "add", "arguments": {"a": 84, "b": 19}, "result": "103"},
        {"name": "subtract", "arguments": {"a": 103, "b": 8}, "result": "95"},
    ]});
    Reference::from_json(json.to_string().as_bytes()).expect("reference")
}

pub fn call(name: &str, a: f64, b: f64) -> Value {
    json!({"name": name, "arguments": {"a": a, "b": b}})
}

/// A turn of calls with their results.
pub fn turn(calls: &[(Value, &str)]) -> Vec<Value> {
    let written: Vec<Value> = calls.iter().map(|(call, _)| json!({"type": "function", "function": call})).collect();
    let mut messages = vec![json!({"role": "assistant", "content": "", "tool_calls": written})];
    messages.extend(calls.iter().map(|(_, result)| json!({"role": "tool", "content": result})));
    messages
}

pub fn answer(text: &str) -> Value {
    json!({"role": "assistant", "content": format!("The answer is \\boxed{{{text}}}.")})
}

pub fn score_of(messages: &[Value], reference: &Reference, reward: &Reward) -> Score {
    let json = serde_json::to_vec(messages).expect("JSON");
    Score::new(Trajectory::from_messages(&json), reference, Some(&tools()), reward)
}

fn honest() -> Vec<Value> {
    let mut messages = turn(&[(call("multiply", 12.0, 7.0), "84")]);
    messages.extend(turn(&[(call("add", 84.0, 19.0), "103")]));
    messages.extend(turn(&[(call("subtract", 103.0, 8.0), "95")]));
    messages.push(answer("95"));
    messages
}

#[test]
fn the_honest_rollout_earns_all() {
    let score = score_of(&honest(), &reference(), &Reward::default());
    assert_eq!(score.reward.to_bits(), 1.0_f64.to_bits(), "{:?}", score.facts);
    assert!(score.trajectory.defects.is_empty(), "{:?}", score.trajectory.defects);
    let credit = score.turn_credit(&Reward::default());
    assert!((credit.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert!(credit.iter().zip([2.0 / 15.0, 2.0 / 15.0, 2.0 / 15.0, 0.6]).all(|(got, want)| (got - want).abs() < 1e-12));
}

#[test]
fn rewards_are_read_by_name_and_from_json() {
    for (text, want) in [
        ("best", "unknown reward \"best\"; known rewards: mentor-dense, mentor, overlap, valid, f1, sparse, strict, toolrl"),
        ("{", "is no valid JSON: EOF while parsing an object at line 1 column 1"),
        ("{}", "name: is missing"),
        (r#"{"name": 3}"#, "name: must be a string"),
        (
            r#"{"name": "mentor-dense", "process": -1}"#,
            "mentor-dense: process: must be a finite number, not below 0, not -1",
        ),
        (r#"{"name": "mentor-dense", "wrong_scale": 2}"#, "mentor-dense: wrong_scale: must be from 0 to 1, not 2"),
        (
            r#"{"name": "mentor-dense", "outcome": 0.1}"#,
            "mentor-dense: outcome: must be above wrong_scale * (process + validity) = 0.1, so that a right answer is \
             always worth more than a wrong one, not 0.1",
        ),
    ] {
        assert_eq!(text.parse::<Reward>().expect_err(text).to_string(), want);
    }
    for (text, want) in [
        (r#"{"name": "mentor-dense", "proces": 1}"#, "mentor-dense: unknown field `proces`"),
        (r#"{"name": "mentor-dense", "penalties": {"tools": 1}}"#, "mentor-dense: unknown field `tools`"),
        (r#"{"name": "mentor-dense", "evidence": "some"}"#, "mentor-dense: unknown variant `some`"),
        (r#"{"name": "mentor-dense", "process": "x"}"#, "mentor-dense: invalid type: string \"x\""),
        (r#"{"name": "mentor", "requirecall": true}"#, "mentor: unknown field `requirecall`"),
    ] {
        let error = text.parse::<Reward>().expect_err(text).to_string();
        assert!(error.starts_with(want), "{error}");
    }
    let reward: Reward =
        r#"{"name": "mentor-dense", "process": 0.4, "evidence": "offline", "penalties": {"repeated_call": 1}}"#
            .parse()
            .expect("a reward");
    let config = reward.config();
    assert_eq!((config.process, config.penalties.repeated_call, config.outcome), (0.4, 1.0, 0.6));
}

#[test]
fn a_published_reward_can_ask_for_a_call() {
    let silent = [answer("95")];
    let (plain, asked): (Reward, Reward) =
        ("mentor".parse().expect("a name"), r#"{"name": "mentor", "require_call": true}"#.parse().expect("JSON"));
    assert_eq!(score_of(&silent, &reference(), &plain).reward.to_bits(), 0.799_999_999_999_999_9_f64.to_bits());
    assert_eq!(score_of(&silent, &reference(), &asked).reward.to_bits(), 0.7_f64.to_bits());
    assert_eq!(score_of(&honest(), &reference(), &asked).reward.to_bits(), 1.1_f64.to_bits());
}
