//! References: the teacher's answer and calls, prepared once and used for a whole group.

use std::fmt;
use std::sync::OnceLock;

use serde_json::Value as Tree;

use super::toolrl::ToolRlGold;
use crate::align::{Calls, Target};
use crate::answer::Gold;
use crate::json::{Doc, Id, Map, Text, Value};
use crate::tools::Tools;
use crate::trajectory::{Options, Trajectory, call_from_value, parse_messages};

/// A tool call of the teacher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReferenceCall {
    /// The tool's name, a text of [`Reference::doc`].
    pub name: Text,
    /// The arguments, an object of [`Reference::doc`].
    pub arguments: Id,
    /// What the tool answered, trimmed, where the reference says so.
    pub result: Option<Text>,
    /// Index of the teacher's turn that made the call, where the reference is a whole trajectory.
    pub turn: Option<usize>,
}

/// What is wrong with a reference: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadReference {
    /// The field, with the index inside it where there is one; empty for the reference as a whole.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for BadReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}

impl std::error::Error for BadReference {}

/// The teacher's trajectory, reduced to what scoring needs.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The gold answer; empty where there is only a gold turn for `ToolRL`'s reward.
    pub gold: Gold,
    /// Names, arguments and results.
    pub doc: Doc,
    /// The teacher's calls in order.
    pub calls: Vec<ReferenceCall>,
    /// The tools that the task offers, where the reference says so.
    pub tools: Option<Tools>,
    /// The names of the called tools, sorted, each once.
    pub(super) names: Vec<String>,
    /// What the results say.
    pub(super) target: Target,
    /// The turn that `ToolRL`'s reward compares with, where the reference has one.
    output: Option<String>,
    gold_turn: OnceLock<ToolRlGold>,
}

impl Calls for Reference {
    fn len(&self) -> usize {
        self.calls.len()
    }
    fn name(&self, at: usize) -> &str {
        self.doc.str(self.calls[at].name)
    }
    fn arguments(&self, at: usize) -> Map<'_> {
        self.doc.map(self.calls[at].arguments).unwrap_or_else(|| Map::empty(&self.doc))
    }
    fn result(&self, at: usize) -> Option<&str> {
        self.calls[at].result.map(|text| self.doc.str(text))
    }
    fn turn(&self, at: usize) -> Option<usize> {
        self.calls[at].turn
    }
}

impl Reference {
    fn new(answer: &str, doc: Doc, calls: Vec<ReferenceCall>, tools: Option<Tools>) -> Self {
        let mut names: Vec<String> = calls.iter().map(|call| doc.str(call.name).to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        let gold = Gold::new(answer);
        let (target, gold_turn) = (Target::default(), OnceLock::new());
        let mut made = Self { gold, doc, calls, tools, names, target, output: None, gold_turn };
        made.target = Target::new(&made);
        made
    }

    /// Whether there is a gold answer: all rewards but `ToolRL`'s need one.
    pub fn has_answer(&self) -> bool {
        !self.gold.text().is_empty()
    }

    /// The gold turn for `ToolRL`'s reward: the reference's `output`, else one made of its calls, else of its answer.
    pub fn gold_turn(&self) -> &ToolRlGold {
        self.gold_turn.get_or_init(|| {
            if let Some(output) = &self.output {
                return ToolRlGold::new(output);
            }
            if self.calls.is_empty() {
                return ToolRlGold::new(&format!("<think></think>\n<response>{}</response>", self.gold.text()));
            }
            let lines = self.calls.iter().map(|call| {
                let arguments = self.doc.value(call.arguments).to_tree();
                serde_json::json!({"name": self.doc.str(call.name), "parameters": arguments}).to_string()
            });
            let lines: Vec<String> = lines.collect();
            ToolRlGold::new(&format!("<think></think>\n<tool_call>\n{}\n</tool_call>", lines.join("\n")))
        })
    }

    /// Reads the JSON of a reference: an object `{answer, tool_calls, tools?}`, or a teacher trajectory as a message
    /// list, whose last `\boxed{}` is the answer. A call may carry its `result`. A gold turn for `ToolRL`'s reward, `output`,
    /// may stand beside the answer or instead of it.
    ///
    /// ```
    /// use mentor::reward::Reference;
    /// let json = br#"{"answer": "3", "tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}"#;
    /// assert_eq!(Reference::from_json(json).unwrap().calls.len(), 1);
    /// assert_eq!(Reference::from_json(b"{}").unwrap_err().to_string(), "answer: is missing");
    /// ```
    pub fn from_json(json: &[u8]) -> Result<Self, BadReference> {
        let bad = |field: &str, message: &str| BadReference { field: field.to_owned(), message: message.to_owned() };
        let tree: Tree =
            serde_json::from_slice(json).map_err(|error| bad("", &format!("is no valid JSON: {error}")))?;
        let object = match tree {
            Tree::Object(object) => object,
            Tree::Array(_) => return Self::from_trajectory(json),
            _ => return Err(bad("", "must be an object with `answer` and `tool_calls`, or a list of messages")),
        };
        let output = match object.get("output") {
            None | Some(Tree::Null) => None,
            Some(Tree::String(text)) => Some(text.clone()),
            Some(_) => return Err(bad("output", "must be a string")),
        };
        let answer = match object.get("answer") {
            None | Some(Tree::Null) if output.is_some() => String::new(),
            None | Some(Tree::Null) => return Err(bad("answer", "is missing")),
            Some(Tree::String(text)) if text.trim().is_empty() => return Err(bad("answer", "is empty")),
            Some(Tree::String(text)) => text.clone(),
            Some(Tree::Number(number)) => number.to_string(),
            Some(_) => return Err(bad("answer", "must be a string or a number")),
        };
        let listed = match object.get("tool_calls") {
            None | Some(Tree::Null) => &[],
            Some(Tree::Array(calls)) => calls.as_slice(),
            Some(_) => return Err(bad("tool_calls", "must be a list of {name, arguments}")),
        };
        let mut doc = Doc::default();
        let mut calls = Vec::with_capacity(listed.len());
        for (at, call) in listed.iter().enumerate() {
            let id = doc.add_tree(call);
            let (name, arguments) =
                call_from_value(&mut doc, id).map_err(|(_, message)| bad(&format!("tool_calls[{at}]"), message))?;
            let result = match doc.map(id).and_then(|call| call.get("result")) {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text.trim().to_owned()),
                Some(value) => {
                    let mut written = String::new();
                    value.write(&mut written);
                    Some(written)
                }
            };
            let result = result.map(|text| doc.add_str(&text));
            calls.push(ReferenceCall { name, arguments, result, turn: None });
        }
        let tools = object.get("tools").filter(|tools| !tools.is_null()).map(Tools::from_value).transpose();
        let mut made = Self::new(&answer, doc, calls, tools.map_err(|error| bad("tools", &error.0))?);
        made.output = output;
        Ok(made)
    }

    fn from_trajectory(json: &[u8]) -> Result<Self, BadReference> {
        let mut trajectory = Trajectory::default();
        parse_messages(json, &Options::default(), &mut trajectory);
        let message = "the teacher trajectory has no \\boxed{} answer in its last assistant message";
        let answer = trajectory.answer_text().filter(|answer| !answer.is_empty()).map(str::to_owned);
        let answer = answer.ok_or_else(|| BadReference { field: "answer".to_owned(), message: message.to_owned() })?;
        let calls = trajectory.calls.iter().map(|call| ReferenceCall {
            name: call.name,
            arguments: call.arguments,
            result: call.result.map(|at| trajectory.results[at].text),
            turn: Some(call.turn),
        });
        let calls = calls.collect();
        Ok(Self::new(&answer, trajectory.doc, calls, None))
    }
}
