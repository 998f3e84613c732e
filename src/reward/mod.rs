//! Alignment + judgement -> [`Score`]: the components of one rollout's reward, and the reward itself.

mod choice;
mod config;
mod credit;
mod facts;
mod flaws;
mod presets;
mod reference;
pub mod toolrl;

use crate::align::{self, Calls, Comparison, Match, Pairs, Rules, Standing, Why};
use crate::answer::Verdict;
use crate::json::{Map, same_text};
use crate::tools::Tools;
use crate::trajectory::{Call, DefectKind, Trajectory};

pub use choice::{BadReward, DENSE, PresetOptions, Reward, TOOLRL};
pub use config::{BadConfig, Config, Evidence, Penalties};
pub use facts::{COMPONENTS, Facts};
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
    fn result(&self, at: usize) -> Option<&str> {
        self.result_text(&self.calls[at])
    }
    fn turn(&self, at: usize) -> Option<usize> {
        Some(self.calls[at].turn)
    }
}

/// One scored rollout. Scoring again into the same value reuses its memory.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// The parsed rollout, its defects completed by those found in scoring.
    pub trajectory: Trajectory,
    /// Which call stands for which reference call, in the order of the reference.
    pub matches: Vec<Match>,
    /// What the rewards are made of.
    pub facts: Facts,
    /// What the judge said; `None` where there was nothing to judge.
    pub verdict: Option<Verdict>,
    /// The reward.
    pub reward: f64,
    standing: Vec<Standing>,
    distinct: Vec<usize>,
    matched: Vec<bool>,
    scratch: align::Scratch,
    names: align::NameScratch,
}

impl Score {
    /// Scores a parsed rollout against its reference.
    pub fn new(trajectory: Trajectory, reference: &Reference, tools: Option<&Tools>, reward: &Reward) -> Self {
        let mut score = Self { trajectory, ..Self::default() };
        score.compute(reference, tools, reward);
        score
    }

    /// Scores what [`Score::trajectory`] holds.
    ///
    /// `tools` are the offered tools; without them the reference's own list is used, and without that every name counts
    /// as offered. The verdict may be [`Verdict::Undecided`]: the answer counts as wrong until [`Score::settle`].
    pub fn compute(&mut self, reference: &Reference, tools: Option<&Tools>, reward: &Reward) {
        let tools = tools.or(reference.tools.as_ref());
        let config = reward.config();
        let trajectory = &mut self.trajectory;
        let verdict = trajectory.answer_text().filter(|text| !text.is_empty()).map(|text| reference.gold.judge(text));
        self.verdict = verdict;
        self.facts = Facts {
            finished: trajectory.finished,
            answered: verdict.is_some(),
            correct: verdict == Some(Verdict::Equal),
            reference_calls: reference.calls.len(),
            calls: trajectory.calls.len(),
            bad_calls: trajectory.bad_calls,
            identical: align::identical(trajectory, reference),
            ..Facts::default()
        };
        flaws::find(trajectory, tools, &config, &mut self.standing, &mut self.facts);
        self.count_tools(reference);
        self.align(reference, tools, &config);
        self.facts.measure(&self.matches, &self.trajectory, &config);
        self.reward = reward.reward(&self.facts);
    }

    /// The sets of called tools, and the calls that match by name.
    fn count_tools(&mut self, reference: &Reference) {
        let (trajectory, facts) = (&self.trajectory, &mut self.facts);
        if facts.identical && facts.unknown_calls == 0 && facts.calls > 0 {
            (facts.same_tools, facts.shared_tool, facts.tool_f1) = (true, true, 1.0);
            (facts.matched_calls, facts.exact_calls) = (facts.calls, facts.calls);
            return;
        }
        distinct_names(trajectory, &mut self.distinct);
        let (mut names, mut common) = (0, 0);
        for at in &self.distinct {
            if !self.standing[*at].unknown {
                let name = Calls::name(trajectory, *at);
                names += 1;
                common += usize::from(reference.names.binary_search_by(|known| known.as_str().cmp(name)).is_ok());
            }
        }
        facts.same_tools = names > 0 && common == names && common == reference.names.len();
        facts.shared_tool = common > 0;
        facts.tool_f1 = align::f1(names, reference.names.len(), common);
        (facts.matched_calls, facts.exact_calls) = if facts.identical {
            (facts.calls, facts.calls)
        } else {
            align::count_names(trajectory, reference, &mut self.names)
        };
    }

    fn align(&mut self, reference: &Reference, tools: Option<&Tools>, config: &Config) {
        let pairs = pairs(&self.trajectory, &self.standing, reference, tools, config, self.facts.identical);
        align::align(&pairs, &mut self.matches, &mut self.scratch);
        if self.matches.len() < self.trajectory.calls.len() {
            self.name_repeated();
        }
    }

    /// Names the calls that were made before and that stand for nothing in the reference.
    fn name_repeated(&mut self) {
        self.matched.clear();
        self.matched.resize(self.trajectory.calls.len(), false);
        for known in &self.matches {
            self.matched[known.call] = true;
        }
        for at in 0..self.trajectory.calls.len() {
            if self.matched[at] || !self.scratch.is_repeated(&self.trajectory, at) {
                continue;
            }
            self.facts.repeated_calls += 1;
            let Call { span, turn, .. } = self.trajectory.calls[at];
            self.trajectory.at_turn = Some(turn);
            let message = "the call was made before, with the same result, and the reference does not repeat it";
            self.trajectory.defect(DefectKind::RepeatedCall, span, message);
        }
        self.trajectory.at_turn = None;
    }

    /// Why a match is less similar than it could be. `tools` and `reward` are those that were scored with.
    pub fn explain_match(&self, known: &Match, reference: &Reference, tools: Option<&Tools>, reward: &Reward) -> Why {
        let tools = tools.or(reference.tools.as_ref());
        let config = reward.config();
        let pairs = pairs(&self.trajectory, &self.standing, reference, tools, &config, self.facts.identical);
        pairs.why(known.call, known.reference)
    }

    /// Measures `ToolRL`'s reward of an assistant's turn: of the last one, as it was written.
    pub fn compute_toolrl(&mut self, turn: &str, reference: &Reference) {
        let found = toolrl::score(reference.gold_turn(), turn);
        self.facts.toolrl_format = found.format;
        self.facts.toolrl_correctness = found.correctness;
        if let Some(defect) = found.defect {
            let message = format!("the calls earn the least that ToolRL's reward gives: {}", defect.as_str());
            self.trajectory.defect(DefectKind::ToolRlFloor, None, message);
        }
        self.verdict = None; // the reward does not look at the answer: no judge need be asked
        self.reward = Reward::ToolRl.reward(&self.facts);
    }

    /// Whether a slower judge must still decide if the answer is right.
    pub fn is_open(&self) -> bool {
        self.verdict == Some(Verdict::Undecided)
    }

    /// Takes the slower judge's verdict; one that stays undecided counts as wrong and leaves a defect.
    pub fn settle(&mut self, verdict: Verdict, reward: &Reward) {
        self.verdict = Some(verdict);
        self.facts.correct = verdict == Verdict::Equal;
        if verdict == Verdict::Undecided {
            let span = self.trajectory.answer.as_ref().map(|answer| answer.span);
            let message = "the judge could not decide in its budget; the answer counts as wrong";
            self.trajectory.defect(DefectKind::Undecided, span, message);
        }
        self.reward = reward.reward(&self.facts);
    }
}

fn pairs<'a>(
    trajectory: &'a Trajectory,
    standing: &'a [Standing],
    reference: &'a Reference,
    tools: Option<&'a Tools>,
    config: &Config,
    identical: bool,
) -> Pairs<'a, Trajectory, Reference> {
    let rules = Rules { number_tolerance: config.number_tolerance, same_words: config.same_words };
    let how = Comparison {
        rules,
        equivalent: config.equivalent,
        out_of_order: config.out_of_order,
        results: config.evidence == Evidence::Required,
    };
    Pairs { student: trajectory, standing, reference, target: &reference.target, tools, how, identical }
}

/// Fills `out` with one call of each name.
fn distinct_names(trajectory: &Trajectory, out: &mut Vec<usize>) {
    const FEW: usize = 32;
    let name = |at: usize| Calls::name(trajectory, at);
    out.clear();
    if trajectory.calls.len() <= FEW {
        for at in 0..trajectory.calls.len() {
            if out.iter().all(|known| !same_text(name(*known), name(at))) {
                out.push(at);
            }
        }
    } else {
        out.extend(0..trajectory.calls.len());
        out.sort_unstable_by(|a, b| name(*a).cmp(name(*b)));
        out.dedup_by(|a, b| name(*a) == name(*b));
    }
}
