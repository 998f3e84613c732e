//! The published rewards (MENTOR, arXiv 2510.18383, and the baselines and ablations of its reference code), bit for bit.

use std::fmt;
use std::str::FromStr;

use super::{Facts, PresetOptions};

/// A published reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// The paper's reward: right answer, the teacher's set of tools, no invented tool.
    Mentor,
    /// Ablation 2: one shared tool is enough, no validity term.
    Overlap,
    /// Ablation 3: right answer and validity, no teacher.
    Valid,
    /// Ablation 4: F1 of the tool sets instead of their equality.
    F1,
    /// Right answer only.
    Sparse,
    /// As `mentor`, but the calls must be the teacher's, in order, with the same arguments.
    Strict,
}

/// A preset's name that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPreset(pub String);

impl fmt::Display for UnknownPreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<&str> = Preset::ALL.iter().map(|preset| preset.name()).collect();
        write!(f, "unknown reward {:?}; known rewards: {}", self.0, known.join(", "))
    }
}

impl std::error::Error for UnknownPreset {}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, UnknownPreset> {
        Self::ALL.into_iter().find(|preset| preset.name() == name).ok_or_else(|| UnknownPreset(name.to_owned()))
    }
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 6] = [Self::Mentor, Self::Overlap, Self::Valid, Self::F1, Self::Sparse, Self::Strict];

    /// The preset's public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mentor => "mentor",
            Self::Overlap => "overlap",
            Self::Valid => "valid",
            Self::F1 => "f1",
            Self::Sparse => "sparse",
            Self::Strict => "strict",
        }
    }

    /// Whether a reference without tool calls earns the floor only.
    fn needs_reference_calls(self) -> bool {
        matches!(self, Self::Mentor | Self::Overlap | Self::F1 | Self::Strict)
    }

    /// The reward as published.
    pub fn reward(self, facts: &Facts) -> f64 {
        self.reward_with(facts, PresetOptions::default())
    }

    /// The reward. The order of the operations is the published one: it decides the last bit.
    pub fn reward_with(self, facts: &Facts, options: PresetOptions) -> f64 {
        const FLOOR: f64 = 0.1;
        if !facts.finished {
            return 0.0;
        }
        if !facts.answered || (self.needs_reference_calls() && facts.reference_calls == 0) {
            return FLOOR;
        }
        let (process, valid) = self.bonuses(facts, options);
        match (self, facts.correct) {
            (Self::Sparse, true) => 1.0,
            (Self::Sparse, false) => FLOOR,
            (Self::Valid, correct) => {
                if correct {
                    0.7 + valid
                } else {
                    valid
                }
            }
            (Self::Overlap, true) => 0.7 + process,
            (Self::Overlap, false) => 0.2 * process,
            (_, true) => 0.7 + (process + valid),
            (_, false) => 0.2 * process + valid,
        }
    }

    /// The terms m and h.
    fn bonuses(self, facts: &Facts, options: PresetOptions) -> (f64, f64) {
        let bonus = |on: bool, weight: f64| if on { weight } else { 0.0 };
        let silent = facts.reference_calls > 0 && facts.calls == 0;
        let valid = bonus(facts.unknown_calls == 0 && !(options.require_call && silent), 0.1);
        let process = match self {
            Self::Mentor => bonus(facts.same_tools, 0.3),
            Self::Overlap => bonus(facts.shared_tool, 0.3),
            Self::F1 => 0.3 * facts.tool_f1,
            Self::Strict => bonus(facts.identical, 0.3),
            Self::Valid | Self::Sparse => 0.0,
        };
        (process, valid)
    }

    /// What the reward of a finished, answered rollout adds up from.
    pub(super) fn terms(self, facts: &Facts, options: PresetOptions) -> Vec<(&'static str, f64)> {
        let reward = self.reward_with(facts, options);
        if self.needs_reference_calls() && facts.reference_calls == 0 {
            return vec![("the reference calls no tool", reward)];
        }
        let (process, valid) = self.bonuses(facts, options);
        let outcome = if facts.correct { 0.7 } else { 0.0 };
        let process = if facts.correct { process } else { 0.2 * process };
        match self {
            Self::Sparse => vec![("outcome", reward)],
            Self::Valid => vec![("outcome", outcome), ("validity", valid)],
            Self::Overlap => vec![("outcome", outcome), ("process", process)],
            _ => vec![("outcome", outcome), ("process", process), ("validity", valid)],
        }
    }
}
