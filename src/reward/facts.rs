//! What is measured of a rollout.

use super::{Config, Evidence};
use crate::align::{self, Match};
use crate::trajectory::{DefectKind, Trajectory};

/// The measured facts that rewards are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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
    /// Well-formed calls whose arguments break the tool's schema.
    pub invalid_calls: usize,
    /// Well-formed calls of more bytes than allowed.
    pub oversize_calls: usize,
    /// Well-formed calls with a result in the trajectory.
    pub executed_calls: usize,
    /// Calls that were made before and stand for nothing in the reference.
    pub repeated_calls: usize,
    /// Calls that count in the alignment: offered, valid, executed.
    pub counted_calls: usize,
    /// F1 of the alignment, from 0 to 1.
    pub process: f64,
    /// Total similarity by the rollout's calls, from 0 to 1; 1 without calls.
    pub precision: f64,
    /// Total similarity by the reference's calls, from 0 to 1; 1 without calls there.
    pub recall: f64,
    /// `ToolRL`'s term for the shape of the last turn, 0 or 1; measured for that reward only.
    pub toolrl_format: f64,
    /// `ToolRL`'s term for its calls, from -3 to 3; measured for that reward only.
    pub toolrl_correctness: f64,
    /// 1 minus the penalties, from 0 to 1; 0 if the reference calls tools and no call stands for one of those.
    pub validity: f64,
}

impl Facts {
    /// Fills in what follows from the alignment and the defects.
    pub(super) fn measure(&mut self, matches: &[Match], trajectory: &Trajectory, config: &Config) {
        // Not `sum`: that of nothing is -0.0.
        let total = matches.iter().fold(0.0, |total, known| total + known.similarity);
        let attempts = self.calls + self.bad_calls;
        let share = |of: usize| if of == 0 { 1.0 } else { total / of as f64 };
        self.precision = share(attempts);
        self.recall = share(self.reference_calls);
        let both = attempts + self.reference_calls;
        self.process = if both == 0 { 1.0 } else { 2.0 * total / both as f64 };
        self.validity = if self.earns_validity() { (1.0 - penalties(trajectory, config)).max(0.0) } else { 0.0 };
    }

    /// Whether the rollout did what validity is paid for: where the reference calls tools, at least one call that stands
    /// for one of them. For any valid call it would be a bonus on a decorative one.
    pub(super) fn earns_validity(&self) -> bool {
        self.reference_calls == 0 || self.recall > 0.0
    }

    /// The components in the order of [`COMPONENTS`].
    pub fn components(&self) -> [f64; COMPONENTS.len()] {
        let f = self;
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
            f.process,
            f.precision,
            f.recall,
            f.validity,
            f.executed_calls as f64,
            f.invalid_calls as f64,
            f.oversize_calls as f64,
            f.repeated_calls as f64,
            f.toolrl_format,
            f.toolrl_correctness,
        ]
    }
}

/// What a kind of defect takes from validity each time.
pub(super) fn penalty(kind: DefectKind, config: &Config) -> f64 {
    if kind == DefectKind::UnexecutedCall && config.evidence == Evidence::Offline {
        return 0.0;
    }
    config.penalties.of(kind)
}

/// The sum of all penalties.
pub(super) fn penalties(trajectory: &Trajectory, config: &Config) -> f64 {
    if trajectory.defects.is_empty() {
        return 0.0;
    }
    let count = |kind: DefectKind| match trajectory.counts[kind.index()] {
        0 => 0.0, // almost all of them
        count => f64::from(count) * penalty(kind, config),
    };
    DefectKind::ALL.into_iter().fold(0.0, |sum, kind| sum + count(kind))
}

/// The names of a score's components.
pub const COMPONENTS: [&str; 24] = [
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
    "process",
    "precision",
    "recall",
    "validity",
    "executed_calls",
    "invalid_calls",
    "oversize_calls",
    "repeated_calls",
    "toolrl_format",
    "toolrl_correctness",
];
