//! Alignment + judgement -> [`Score`]: the components of one rollout's reward, and the reward itself.

mod presets;
mod reference;
pub mod toolrl;

use crate::align::{self, Aligned, Match};
use crate::answer::Verdict;
use crate::trajectory::{Call, DefectKind, Trajectory};

pub use presets::{Preset, UnknownPreset};
pub use reference::{BadReference, Reference, ReferenceCall, Tools};

impl Aligned for Call {
    fn name(&self) -> &str {
        &self.name
    }
    fn arguments(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.arguments
    }
}

/// The measured facts that rewards are made of.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact")]
pub struct Facts {
    /// The rollout ends with the assistant's end of turn.
    pub finished: bool,
    /// There is a final answer, and it is not empty.
    pub answered: bool,
    /// The final answer is judged equal to the gold answer.
    pub correct: bool,
    /// The reference's calls.
    pub reference_calls: usize,
    /// Well-formed calls of the rollout.
    pub calls: usize,
    /// Well-formed calls to tools that were not offered.
    pub unknown_calls: usize,
    /// Calls that could not be read.
    pub bad_calls: usize,
    /// Student calls matched one-to-one with reference calls by name.
    pub matched_calls: usize,
    /// Those of them whose arguments are the same too.
    pub exact_calls: usize,
    /// The set of offered tools that the student called is the reference's set, and not empty.
    pub same_tools: bool,
    /// The two sets share a name.
    pub shared_tool: bool,
    /// F1 of the two sets.
    pub tool_f1: f64,
    /// The calls are the reference's, in order, with the same arguments.
    pub identical: bool,
}

/// One scored rollout.
#[derive(Clone, Debug)]
pub struct Score {
    /// The parsed rollout, its defects completed by those found in scoring.
    pub trajectory: Trajectory,
    /// Which call stands for which reference call.
    pub matches: Vec<Match>,
    /// What the rewards are made of.
    pub facts: Facts,
    /// What the judge said; `None` where there was nothing to judge.
    pub verdict: Option<Verdict>,
    /// The reward under the preset.
    pub reward: f64,
}

impl Score {
    /// Scores a parsed rollout against its reference.
    ///
    /// `tools` are the offered tools; without them the reference's own list is used, and without that every name counts
    /// as offered. The verdict may be [`Verdict::Undecided`]: the answer counts as wrong until [`Score::settle`].
    pub fn new(mut trajectory: Trajectory, reference: &Reference, tools: Option<&Tools>, preset: Preset) -> Self {
        let tools = tools.or(reference.tools.as_ref());
        let offered = |name: &str| tools.is_none_or(|tools| tools.contains(name));
        let unknown: Vec<usize> =
            (0..trajectory.calls.len()).filter(|at| !offered(&trajectory.calls[*at].name)).collect();
        for at in &unknown {
            let (span, name) = (trajectory.calls[*at].span, trajectory.calls[*at].name.clone());
            trajectory.defect(DefectKind::UnknownTool, span, format!("no tool named {name:?} was offered"));
        }
        let mut student: Vec<&str> =
            trajectory.calls.iter().map(|call| call.name.as_str()).filter(|name| offered(name)).collect();
        student.sort_unstable();
        student.dedup();
        let common =
            student.iter().filter(|name| reference.names.binary_search_by(|n| n.as_str().cmp(name)).is_ok()).count();
        let matches = align::align(&trajectory.calls, &reference.calls);
        let answer = trajectory.answer.as_ref().map(|answer| answer.text.as_str()).filter(|text| !text.is_empty());
        let verdict = answer.map(|text| reference.gold.judge(text));
        let facts = Facts {
            finished: trajectory.finished,
            answered: answer.is_some(),
            correct: verdict == Some(Verdict::Equal),
            reference_calls: reference.calls.len(),
            calls: trajectory.calls.len(),
            unknown_calls: unknown.len(),
            bad_calls: trajectory.bad_calls,
            matched_calls: matches.len(),
            exact_calls: matches.iter().filter(|m| m.exact).count(),
            same_tools: !student.is_empty() && common == student.len() && common == reference.names.len(),
            shared_tool: common > 0,
            tool_f1: align::f1(student.len(), reference.names.len(), common),
            identical: align::identical(&trajectory.calls, &reference.calls),
        };
        let reward = preset.reward(&facts);
        Self { trajectory, matches, facts, verdict, reward }
    }

    /// Whether a slower judge must still decide if the answer is right.
    pub fn is_open(&self) -> bool {
        self.verdict == Some(Verdict::Undecided)
    }

    /// Takes the slower judge's verdict; one that stays undecided counts as wrong and leaves a defect.
    pub fn settle(&mut self, verdict: Verdict, preset: Preset) {
        self.verdict = Some(verdict);
        self.facts.correct = verdict == Verdict::Equal;
        if verdict == Verdict::Undecided {
            let span = self.trajectory.answer.as_ref().map(|answer| answer.span);
            let message = "the judge could not decide in its budget; the answer counts as wrong";
            self.trajectory.defect(DefectKind::Undecided, span, message);
        }
        self.reward = preset.reward(&self.facts);
    }

    /// The components in the order of [`COMPONENTS`].
    pub fn components(&self) -> [f64; COMPONENTS.len()] {
        let f = &self.facts;
        let flag = |on: bool| f64::from(u8::from(on));
        [
            flag(f.finished),
            flag(f.answered),
            flag(f.correct),
            flag(f.unknown_calls == 0),
            flag(f.same_tools),
            flag(f.shared_tool),
            f.tool_f1,
            flag(f.identical),
            align::f1(f.calls, f.reference_calls, f.matched_calls),
            align::f1(f.calls, f.reference_calls, f.exact_calls),
            f.calls as f64,
            f.unknown_calls as f64,
            f.bad_calls as f64,
            f.reference_calls as f64,
        ]
    }
}

/// The names of a score's components.
pub const COMPONENTS: [&str; 14] = [
    "finished",
    "answered",
    "correct",
    "valid",
    "same_tools",
    "shared_tool",
    "tool_f1",
    "identical",
    "alignment_f1",
    "exact_f1",
    "calls",
    "unknown_calls",
    "bad_calls",
    "reference_calls",
];
