//! The weights of `mentor-dense`.

use std::fmt;

use serde::Deserialize;

use super::Facts;
use crate::trajectory::DefectKind;

/// What makes a call count in the alignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Its result is in the trajectory.
    #[default]
    Required,
    /// It is written: for text that was never executed.
    Offline,
}

/// The weights and limits of `mentor-dense`. `docs/mentor-dense.md` has the formulas.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Weight of the right answer.
    pub outcome: f64,
    /// Weight of the process: F1 of the alignment.
    pub process: f64,
    /// Weight of validity.
    pub validity: f64,
    /// Factor of process and validity where the answer is wrong.
    pub wrong_scale: f64,
    /// What makes a call count.
    pub evidence: Evidence,
    /// Numbers of which one is no integer are equal if they differ by at most this share of the larger.
    pub number_tolerance: f64,
    /// Similarity of a call with a reference call of the same result and other arguments or another tool.
    pub equivalent: f64,
    /// Factor of an argument that equals a result which the rollout did not have at that point.
    pub out_of_order: f64,
    /// Similarity of two texts of the same words in another writing.
    pub same_words: f64,
    /// A call of more bytes counts as invalid.
    pub max_call_bytes: usize,
    /// What a defect takes from validity, which begins at 1.
    pub penalties: Penalties,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            outcome: 0.6,
            process: 0.3,
            validity: 0.1,
            wrong_scale: 0.25,
            evidence: Evidence::Required,
            number_tolerance: 1e-6,
            equivalent: 0.8,
            out_of_order: 0.5,
            same_words: 0.9,
            max_call_bytes: 1 << 16,
            penalties: Penalties::default(),
        }
    }
}

/// A config that cannot be used: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadConfig {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl std::error::Error for BadConfig {}

impl Config {
    /// Whether the numbers can be used: finite, not negative, shares at most 1, and a right answer always worth more than
    /// a wrong one.
    pub fn check(&self) -> Result<(), BadConfig> {
        let bad = |field, message: String| Err(BadConfig { field, message });
        let weights = [("outcome", self.outcome), ("process", self.process), ("validity", self.validity)];
        let shares = [
            ("wrong_scale", self.wrong_scale),
            ("number_tolerance", self.number_tolerance),
            ("equivalent", self.equivalent),
            ("out_of_order", self.out_of_order),
            ("same_words", self.same_words),
        ];
        for (field, value) in weights.into_iter().chain(self.penalties.all()) {
            if !value.is_finite() || value < 0.0 {
                return bad(field, format!("must be a finite number, not below 0, not {value}"));
            }
            if value > 1e6 {
                return bad(field, format!("must be at most 1e6, not {value}"));
            }
        }
        for (field, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return bad(field, format!("must be from 0 to 1, not {value}"));
            }
        }
        let best_wrong = self.wrong_scale * (self.process + self.validity);
        if self.outcome <= best_wrong {
            let message = format!(
                "must be above wrong_scale * (process + validity) = {best_wrong}, so that a right answer is always worth \
                 more than a wrong one, not {}",
                self.outcome
            );
            return bad("outcome", message);
        }
        Ok(())
    }

    /// The reward: from 0 to `outcome + process + validity`.
    pub fn reward(&self, facts: &Facts) -> f64 {
        if !facts.finished || !facts.answered {
            return 0.0;
        }
        let outcome = if facts.correct { self.outcome } else { 0.0 };
        outcome + self.scale(facts) * (self.process * facts.process + self.validity * facts.validity)
    }

    /// The factor of process and validity.
    pub(super) fn scale(&self, facts: &Facts) -> f64 {
        if facts.correct { 1.0 } else { self.wrong_scale }
    }
}

macro_rules! penalties {
    ($($(#[doc = $doc:literal])+ $field:ident = $default:literal, $kind:ident;)+) => {
        /// What each defect takes from validity.
        #[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Penalties {
            $($(#[doc = $doc])+ pub $field: f64,)+
        }

        impl Default for Penalties {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl Penalties {
            /// The penalty of a kind of defect; 0 for those that have none.
            pub fn of(&self, kind: DefectKind) -> f64 {
                match kind {
                    $(DefectKind::$kind => self.$field,)+
                    _ => 0.0,
                }
            }

            fn all(&self) -> impl Iterator<Item = (&'static str, f64)> {
                [$((concat!("penalties.", stringify!($field)), self.$field)),+].into_iter()
            }
        }
    };
}

penalties! {
    /// A call of a tool that was not offered.
    unknown_tool = 0.5, UnknownTool;
    /// A call whose arguments break the tool's schema.
    invalid_arguments = 0.25, InvalidArguments;
    /// A call whose text is not in its format.
    malformed_call = 0.5, MalformedCall;
    /// A call that is not closed.
    unclosed_call = 0.5, UnclosedCall;
    /// A call without a name.
    bad_name = 0.5, BadName;
    /// A call whose arguments are no object.
    bad_arguments = 0.5, BadArguments;
    /// A call of more than `max_call_bytes`.
    oversize_call = 0.5, OversizeCall;
    /// A call without a result. Free in offline text.
    unexecuted_call = 0.25, UnexecutedCall;
    /// A call that was made before, with the same result, and stands for no reference call.
    repeated_call = 0.1, RepeatedCall;
    /// A call inside a thought.
    call_in_thought = 0.25, CallInThought;
    /// A thought that is not closed.
    unclosed_thought = 0.25, UnclosedThought;
    /// A tool result that the assistant wrote.
    fake_result = 1.0, FakeResult;
    /// Several different answers in the last turn.
    several_answers = 1.0, SeveralAnswers;
    /// An answer in a turn before the last.
    early_answer = 0.5, EarlyAnswer;
}
