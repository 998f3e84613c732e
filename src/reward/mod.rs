//! Alignment + judgement -> [`Score`]: the components of one rollout's reward, and the reward itself.

mod presets;
mod reference;
pub mod toolrl;

use crate::align::{self, Calls, Match};
use crate::answer::Verdict;
use crate::json::Map;
use crate::tools::Tools;
use crate::trajectory::{DefectKind, Trajectory};

pub use presets::{Preset, UnknownPreset};
pub use reference::{BadReference, Reference, ReferenceCall};

impl Calls for Trajectory {
    fn len(&self) -> usize {
        self.calls.len()
    }
    fn name(&self, at: usize) -> &str {
        self.doc.str(self.calls[at].name)
    }
    fn arguments(&self, at: usize) -> Map<'_> {
        Self::arguments(self, &self.calls[at])
    }
}

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
}

/// One scored rollout. Scoring again into the same value reuses its memory.
#[derive(Clone, Debug, Default)]
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
    taken: Vec<bool>,
    distinct: Vec<usize>,
}

impl Score {
    /// Scores a parsed rollout against its reference.
    pub fn new(trajectory: Trajectory, reference: &Reference, tools: Option<&Tools>, preset: Preset) -> Self {
        let mut score = Self { trajectory, ..Self::default() };
        score.compute(reference, tools, preset);
        score
    }

    /// Scores what [`Score::trajectory`] holds.
    ///
    /// `tools` are the offered tools; without them the reference's own list is used, and without that every name counts
    /// as offered. The verdict may be [`Verdict::Undecided`]: the answer counts as wrong until [`Score::settle`].
    pub fn compute(&mut self, reference: &Reference, tools: Option<&Tools>, preset: Preset) {
        let tools = tools.or(reference.tools.as_ref());
        let trajectory = &mut self.trajectory;
        let unknown = tools.map_or(0, |tools| name_unknown(trajectory, tools));
        let offered = |name: &str| tools.is_none_or(|tools| tools.contains(name));
        distinct_names(trajectory, &mut self.distinct);
        let mut names = 0;
        let mut common = 0;
        for at in &self.distinct {
            let name = Calls::name(trajectory, *at);
            if offered(name) {
                names += 1;
                common += usize::from(reference.names.binary_search_by(|known| known.as_str().cmp(name)).is_ok());
            }
        }
        align::align(trajectory, reference, &mut self.matches, &mut self.taken);
        let verdict = trajectory.answer_text().filter(|text| !text.is_empty()).map(|text| reference.gold.judge(text));
        self.verdict = verdict;
        self.facts = Facts {
            finished: trajectory.finished,
            answered: verdict.is_some(),
            correct: verdict == Some(Verdict::Equal),
            reference_calls: reference.calls.len(),
            calls: trajectory.calls.len(),
            unknown_calls: unknown,
            bad_calls: trajectory.bad_calls,
            matched_calls: self.matches.len(),
            exact_calls: self.matches.iter().filter(|m| m.exact).count(),
            same_tools: names > 0 && common == names && common == reference.names.len(),
            shared_tool: common > 0,
            tool_f1: align::f1(names, reference.names.len(), common),
            identical: align::identical(trajectory, reference),
        };
        self.reward = preset.reward(&self.facts);
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
}

impl Facts {
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
        ]
    }
}

/// Names a defect for each call of a tool that was not offered; returns how many there are.
fn name_unknown(trajectory: &mut Trajectory, tools: &Tools) -> usize {
    let mut unknown = 0;
    for at in 0..trajectory.calls.len() {
        let call = trajectory.calls[at];
        if tools.contains(trajectory.name(&call)) {
            continue;
        }
        unknown += 1;
        let message = format!("no tool named {:?} was offered", trajectory.name(&call));
        trajectory.defect(DefectKind::UnknownTool, call.span, message);
    }
    unknown
}

/// Fills `out` with one call of each name.
fn distinct_names(trajectory: &Trajectory, out: &mut Vec<usize>) {
    const FEW: usize = 32;
    let name = |at: usize| Calls::name(trajectory, at);
    out.clear();
    if trajectory.calls.len() <= FEW {
        for at in 0..trajectory.calls.len() {
            if out.iter().all(|known| name(*known) != name(at)) {
                out.push(at);
            }
        }
    } else {
        out.extend(0..trajectory.calls.len());
        out.sort_unstable_by(|a, b| name(*a).cmp(name(*b)));
        out.dedup_by(|a, b| name(*a) == name(*b));
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
