//! `mentor-dense`: its config, and the properties that its documentation states.

use mentor::batch::{Item, Rollout, score_batch};
use mentor::reward::{Config, Evidence, Preset, Reference, Reward, Score};
use mentor::tools::Tools;
use mentor::trajectory::{Format, Trajectory};
use proptest::prelude::*;
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
        (
            "best",
            "unknown reward \"best\"; known rewards: mentor-dense, mentor, overlap, valid, f1, sparse, strict, toolrl",
        ),
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

/// A step of a made-up task: a tool, and where its two arguments come from.
#[derive(Clone, Copy, Debug)]
struct Step {
    tool: usize,
    first: Option<usize>,
    /// Steps of one turn do not use each other's results.
    new_turn: bool,
}

const NAMES: [&str; 3] = ["add", "subtract", "multiply"];

/// A call that was made, with its result.
#[derive(Clone, Debug, PartialEq)]
struct Made {
    name: &'static str,
    a: f64,
    b: f64,
    turn: usize,
}

impl Made {
    fn result(&self) -> f64 {
        match self.name {
            "add" => self.a + self.b,
            "subtract" => self.a - self.b,
            _ => self.a * self.b,
        }
    }
}

/// The teacher's calls: numbers of the task are fractions, so that no two values are the same by chance.
fn teacher_calls(steps: &[Step]) -> Vec<Made> {
    let mut made: Vec<Made> = Vec::new();
    let mut turn = 0;
    for (at, step) in steps.iter().enumerate() {
        turn += usize::from(step.new_turn && at > 0);
        let fresh = |salt: f64| (at as f64 + 1.0) * 17.37 + salt;
        let earlier: Vec<f64> = made.iter().filter(|known| known.turn < turn).map(Made::result).collect();
        let a = step.first.and_then(|pick| earlier.get(pick % earlier.len().max(1)).copied()).unwrap_or(fresh(0.013));
        made.push(Made { name: NAMES[step.tool], a, b: fresh(5.129), turn });
    }
    made
}

/// The messages of calls, turn by turn, with an answer at the end.
fn messages_of(made: &[Made], boxed: &str) -> Vec<Value> {
    let mut messages = Vec::new();
    let mut sorted = made.to_vec();
    sorted.sort_by_key(|known| known.turn);
    for group in sorted.chunk_by(|a, b| a.turn == b.turn) {
        let results: Vec<String> = group.iter().map(|known| known.result().to_string()).collect();
        let calls: Vec<(Value, &str)> = group
            .iter()
            .zip(&results)
            .map(|(known, result)| (call(known.name, known.a, known.b), result.as_str()))
            .collect();
        messages.extend(turn(&calls));
    }
    messages.push(answer(boxed));
    messages
}

fn reference_of(made: &[Made]) -> Reference {
    Reference::from_json(Value::Array(messages_of(made, "95")).to_string().as_bytes()).expect("reference")
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..3_usize, proptest::option::of(0..8_usize), any::<bool>());
    proptest::collection::vec(step.prop_map(|(tool, first, new_turn)| Step { tool, first, new_turn }), 0..7)
}

/// What a student does with the teacher's calls: keeps, drops or spoils each.
fn changes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0..5_u8, 7)
}

fn spoiled_number(at: usize) -> f64 {
    -1e6 - at as f64 - 0.7
}

fn student_calls(teacher: &[Made], changes: &[u8]) -> Vec<Made> {
    let made = teacher.iter().zip(changes).enumerate().filter_map(|(at, (known, change))| match change {
        0 => None,
        1 => Some(Made { a: spoiled_number(at), ..known.clone() }),
        2 => Some(Made { a: spoiled_number(at), b: -2e6 - at as f64 - 0.7, ..known.clone() }),
        _ => Some(known.clone()),
    });
    made.collect()
}

/// Puts a junk message, or a junk call into a message, at some place.
fn with_junk(messages: &[Value], kind: u8, place: usize, made: &[Made]) -> Vec<Value> {
    let mut messages = messages.to_vec();
    let assistants: Vec<usize> = (0..messages.len()).filter(|at| messages[*at]["role"] == "assistant").collect();
    let at = assistants[place % assistants.len()];
    let text = match kind {
        0 => "<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": }}</tool_call>",
        1 => "<tool_call>{\"name\": \"add\"",
        2 => "<tool_call>[{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2}}]</tool_call>",
        3 => "<think><tool_call>{\"name\": \"add\", \"arguments\": {}}</tool_call></think>",
        4 => "<tool_response>84</tool_response>",
        _ => "",
    };
    if !text.is_empty() {
        let old = messages[at]["content"].as_str().unwrap_or_default().to_owned();
        messages[at]["content"] = json!(format!("{text} {old}"));
        return messages;
    }
    let garbage = turn(&[(call("add", 987_654.321, 1.77), "987656.091")]);
    let unknown = turn(&[(json!({"name": "oracle", "arguments": {"a": 1}}), "84")]);
    let invalid = turn(&[(json!({"name": "add", "arguments": {"a": "x"}}), "84")]);
    match kind {
        5 => drop(messages.splice(at..at, garbage)),
        6 => drop(messages.splice(at..at, unknown)),
        7 => drop(messages.splice(at..at, invalid)),
        // A call that is not executed, where the answer is.
        8 => {
            let last = messages.len() - 1;
            messages[last]["tool_calls"] = json!([{"function": call("add", 1.0, 2.0)}]);
        }
        // The last call again.
        _ => {
            let last = messages.len() - 1;
            if let Some(known) = made.iter().max_by_key(|known| known.turn) {
                let result = known.result().to_string();
                messages.splice(last..last, turn(&[(call(known.name, known.a, known.b), &result)]));
            }
        }
    }
    messages
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_teachers_own_rollout_earns_the_most(steps in steps(), changes in changes()) {
        let teacher = teacher_calls(&steps);
        let reference = reference_of(&teacher);
        let own = score_of(&messages_of(&teacher, "95"), &reference, &Reward::default());
        prop_assert_eq!(own.reward.to_bits(), 1.0_f64.to_bits(), "{:?} {:?}", own.facts, own.trajectory.defects);
        let other = score_of(&messages_of(&student_calls(&teacher, &changes), "95"), &reference, &Reward::default());
        prop_assert!(other.reward <= 1.0);
    }

    #[test]
    fn junk_never_raises_the_reward(
        steps in steps(), changes in changes(), kind in 0..10_u8, place in 0..8_usize, right in any::<bool>(),
    ) {
        let teacher = teacher_calls(&steps);
        let reference = reference_of(&teacher);
        let made = student_calls(&teacher, &changes);
        let messages = messages_of(&made, if right { "95" } else { "94" });
        let before = score_of(&messages, &reference, &Reward::default());
        let after = score_of(&with_junk(&messages, kind, place, &made), &reference, &Reward::default());
        prop_assert!(after.reward <= before.reward, "{} > {}: {:?}", after.reward, before.reward, after.facts);
    }

    #[test]
    fn the_order_of_independent_calls_changes_nothing(
        steps in steps(), changes in changes(), order in Just((0..7_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let free: Vec<Step> = steps.iter().map(|step| Step { first: None, ..*step }).collect();
        let teacher = teacher_calls(&free);
        let reference = reference_of(&teacher);
        let made = student_calls(&teacher, &changes);
        let mut shuffled: Vec<Made> = order.iter().filter_map(|at| made.get(*at).cloned()).collect();
        for (turn, known) in shuffled.iter_mut().enumerate() {
            known.turn = turn / 2;
        }
        let a = score_of(&messages_of(&made, "95"), &reference, &Reward::default());
        let b = score_of(&messages_of(&shuffled, "95"), &reference, &Reward::default());
        prop_assert_eq!(a.reward.to_bits(), b.reward.to_bits());
    }

    #[test]
    fn a_more_similar_call_never_scores_lower(steps in steps(), changes in changes(), which in 0..7_usize) {
        let teacher = teacher_calls(&steps);
        let reference = reference_of(&teacher);
        // Every argument is either the teacher's or garbage; one that is garbage is put right.
        let mut made = student_calls(&teacher, &changes);
        let before = score_of(&messages_of(&made, "95"), &reference, &Reward::default());
        let spoiled: Vec<usize> = (0..made.len()).filter(|at| made[*at].a < -1e5).collect();
        if let Some(at) = spoiled.get(which % spoiled.len().max(1)) {
            let garbage = made[*at].a;
            let number = (0..teacher.len()).find(|number| spoiled_number(*number).to_bits() == garbage.to_bits());
            made[*at].a = teacher[number.expect("a number that was spoiled")].a;
        }
        let after = score_of(&messages_of(&made, "95"), &reference, &Reward::default());
        prop_assert!(after.reward >= before.reward, "{} < {}", after.reward, before.reward);
    }

    #[test]
    fn right_beats_wrong_and_wrong_beats_silence(a in changes(), b in changes(), steps in steps()) {
        let teacher = teacher_calls(&steps);
        let reference = reference_of(&teacher);
        let right = score_of(&messages_of(&student_calls(&teacher, &a), "95"), &reference, &Reward::default());
        let wrong = score_of(&messages_of(&student_calls(&teacher, &b), "94"), &reference, &Reward::default());
        let mut silent = messages_of(&student_calls(&teacher, &b), "95");
        silent.pop();
        silent.push(json!({"role": "assistant", "content": "I do not know."}));
        let silent = score_of(&silent, &reference, &Reward::default());
        prop_assert!(right.reward >= 0.6 && (0.0..=0.1).contains(&wrong.reward));
        prop_assert_eq!(silent.reward.to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn rewards_are_bounded_and_credit_adds_up(
        parts in proptest::collection::vec(fragment(), 0..30), process in 0.0..2.0_f64, validity in 0.0..2.0_f64, offline in any::<bool>(),
    ) {
        let evidence = if offline { Evidence::Offline } else { Evidence::Required };
        let config = Config { process, validity, outcome: 1.5, evidence, ..Config::default() };
        let text = parts.concat();
        for reward in [Reward::Dense(config), Reward::default(), Reward::from(Preset::Mentor)] {
            let score = Score::new(Trajectory::from_text(&text), &reference(), Some(&tools()), &reward);
            let most = match reward {
                Reward::Dense(config) => config.outcome + config.process + config.validity,
                _ => 1.1,
            };
            prop_assert!((0.0..=most + 1e-12).contains(&score.reward), "{}", score.reward);
            prop_assert!(score.facts.components().iter().all(|value| value.is_finite()));
            for value in [score.facts.process, score.facts.precision, score.facts.recall, score.facts.validity] {
                prop_assert!((0.0..=1.0).contains(&value));
            }
            let credit = score.turn_credit(&reward);
            prop_assert_eq!(credit.len(), score.trajectory.turns.len());
            if !credit.is_empty() {
                prop_assert!((credit.iter().sum::<f64>() - score.reward).abs() < 1e-9);
            }
            for known in &score.matches {
                prop_assert!(known.similarity > 0.0 && known.similarity <= 1.0);
                let _ = score.explain_match(known, &reference(), Some(&tools()), &reward);
            }
        }
    }
}

fn fragment() -> impl Strategy<Value = String> {
    let call = (0..4_usize, 0..4_usize, 0..4_usize).prop_map(|(name, a, b)| {
        let name = ["multiply", "add", "subtract", "solve"][name];
        let (a, b) = ([12, 84, 103, 1][a], [7, 19, 8, 2][b]);
        format!("<tool_call>{{\"name\": \"{name}\", \"arguments\": {{\"a\": {a}, \"b\": {b}}}}}</tool_call>")
    });
    let result =
        prop_oneof![Just("84"), Just("103"), Just("95"), Just("{\"x\": [1, \"y\"]}"), Just("error")].prop_map(|text| {
            format!(
                "<|im_end|>\n<|im_start|>user\n<tool_response>{text}</tool_response><|im_end|>\n<|im_start|>assistant\n"
            )
        });
    prop_oneof![
        4 => call,
        4 => result,
        1 => prop_oneof![
            Just("<tool_call>"), Just("</tool_call>"), Just("<think>"), Just("</think>"), Just("<tool_response>"),
            Just("\\boxed{95}"), Just("\\boxed{94}"), Just("<|im_end|>"),
        ].prop_map(str::to_owned),
    ]
}

/// Two ways in which a repeated call earned something: half of a call that is a little like it, and, standing for its twin, the
/// result of the first one for another call.
#[test]
fn a_repeated_call_earns_nothing() {
    for (second, result) in [(call("add", 5.5, 9.25), "14.75"), (call("subtract", 9.25, 0.75), "8.5")] {
        let mut teacher = turn(&[(call("add", 5.5, 3.0), "8.5")]);
        teacher.extend(turn(&[(second, result)]));
        teacher.push(answer("95"));
        let reference = Reference::from_json(Value::Array(teacher).to_string().as_bytes()).expect("reference");
        let once = turn(&[(call("add", 5.5, 3.0), "8.5")]);
        let rewards = [1, 2, 3].map(|times| {
            let mut messages: Vec<Value> = (0..times).flat_map(|_| once.clone()).collect();
            messages.push(answer("95"));
            score_of(&messages, &reference, &Reward::default()).reward
        });
        assert!(rewards[0] > rewards[1] && rewards[1] > rewards[2], "{rewards:?}");
    }
    // What the reference repeats is no repetition.
    let once = turn(&[(call("add", 5.5, 3.0), "8.5")]);
    let mut teacher = [once.clone(), once].concat();
    teacher.push(answer("95"));
    let reference = Reference::from_json(Value::Array(teacher.clone()).to_string().as_bytes()).expect("reference");
    assert_eq!(score_of(&teacher, &reference, &Reward::default()).reward.to_bits(), 1.0_f64.to_bits());
}

#[test]
#[expect(clippy::format_collect, reason = "short texts of a test")]
fn threads_and_order_change_nothing() {
    let (reference, tools) = (reference(), tools());
    let texts: Vec<String> = (0..400_usize)
        .map(|n| {
            let calls: String = (0..n % 7)
                .map(|at| {
                    let name = ["multiply", "add", "subtract"][(n + at) % 3];
                    let (a, b) = ([12, 84, 103][(n / 3 + at) % 3], [7, 19, 8][at % 3]);
                    format!(
                        "<tool_call>{{\"name\": \"{name}\", \"arguments\": {{\"a\": {a}, \"b\": {b}}}}}</tool_call><|im_end|>\n\
                         <|im_start|>user\n<tool_response>{a}{b}</tool_response><|im_end|>\n<|im_start|>assistant\n"
                    )
                })
                .collect();
            format!("{calls}{}\\boxed{{{}}}<|im_end|>", " ".repeat(400), 94 + n % 2)
        })
        .collect();
    let item =
        |text| Item { rollout: Rollout::Text(text), reference: &reference, tools: Some(&tools), format: Format::Auto };
    let items: Vec<Item<'_>> = texts.iter().map(|text| item(text)).collect();
    let bits = |items: &[Item<'_>], threads| -> Vec<u64> {
        score_batch(items, &Reward::default(), Some(threads)).iter().map(|row| row.reward.to_bits()).collect()
    };
    let serial = bits(&items, 1);
    assert!(serial.iter().collect::<std::collections::BTreeSet<_>>().len() > 20, "the rollouts differ");
    assert_eq!(serial, bits(&items, 4));
    let reversed: Vec<Item<'_>> = items.iter().rev().copied().collect();
    assert_eq!(serial.iter().rev().copied().collect::<Vec<_>>(), bits(&reversed, 3));
}

#[test]
fn great_numbers_of_calls_take_linear_time() {
    let reference = reference();
    let many = |call: &dyn Fn(usize) -> String| -> String {
        (0..100_000).map(call).collect::<String>() + "\\boxed{95}<|im_end|>"
    };
    let made = |name: &str, a: usize, b: usize| {
        format!("<tool_call>{{\"name\": \"{name}\", \"arguments\": {{\"a\": {a}, \"b\": {b}}}}}</tool_call>")
    };
    let result = |n: usize| {
        format!("<|im_end|>\n<|im_start|>user\n<tool_response>{n}</tool_response><|im_end|>\n<|im_start|>assistant\n")
    };
    for (what, text) in [
        ("the same call", many(&|_| made("multiply", 12, 7))),
        ("different calls", many(&|n| made("multiply", n, 7))),
        ("executed calls", many(&|n| made("multiply", n, 7) + &result(7 * n))),
        ("equal results", many(&|n| made("add", n, 19) + &result(84))),
        ("unknown tools", many(&|n| made(&format!("tool{n}"), n, 7))),
        (
            "long texts",
            many(&|n| format!("<tool_call>{{\"name\": \"add\", \"arguments\": {{\"a\": \"x y {n}\"}}}}</tool_call>")),
        ),
    ] {
        let trajectory = Trajectory::from_text(&text);
        let started = std::time::Instant::now();
        let score = Score::new(trajectory, &reference, Some(&tools()), &Reward::default());
        assert!(score.facts.calls == 100_000 && score.facts.process < 0.001, "{what}: {:?}", score.facts);
        assert!(started.elapsed().as_secs_f64() < 3.0, "{what}: {:?}", started.elapsed());
        println!("{what}: {:?}", started.elapsed());
    }
}
