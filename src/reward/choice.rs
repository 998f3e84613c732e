//! Which reward: a published one, or `mentor-dense` with its weights; by name or as JSON.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value as Tree;

use super::{Config, Facts, Preset};

/// The name of the project's own reward.
pub const DENSE: &str = "mentor-dense";

/// The name of `ToolRL`'s reward.
pub const TOOLRL: &str = "toolrl";

/// What a published reward can be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PresetOptions {
    /// Where the reference calls tools, the term for validity is paid only to a rollout that calls one. The published
    /// rewards pay it to silence too.
    pub require_call: bool,
}

/// A reward.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reward {
    /// A published one.
    Published(Preset, PresetOptions),
    /// The project's own.
    Dense(Config),
    /// `ToolRL`'s, of the last turn.
    ToolRl,
}

/// A reward that is none: the caller's mistake. The message names the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadReward(pub String);

impl fmt::Display for BadReward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadReward {}

impl Default for Reward {
    fn default() -> Self {
        Self::Dense(Config::default())
    }
}

impl From<Preset> for Reward {
    fn from(preset: Preset) -> Self {
        Self::Published(preset, PresetOptions::default())
    }
}

impl FromStr for Reward {
    type Err = BadReward;

    /// Reads a name, or the JSON of an object as [`Reward::from_value`] takes it.
    ///
    /// ```
    /// use mentor::reward::Reward;
    /// assert_eq!("mentor-dense".parse::<Reward>(), Ok(Reward::default()));
    /// let error = r#"{"name": "mentor-dense", "proces": 0.4}"#.parse::<Reward>().unwrap_err();
    /// assert!(error.to_string().starts_with("mentor-dense: unknown field `proces`"));
    /// ```
    fn from_str(text: &str) -> Result<Self, BadReward> {
        if text.trim_start().starts_with('{') {
            let tree = serde_json::from_str(text).map_err(|error| BadReward(format!("is no valid JSON: {error}")))?;
            return Self::from_value(&tree);
        }
        Self::named(text, serde_json::Map::new())
    }
}

impl Reward {
    /// The names of all rewards, the default first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        std::iter::once(DENSE).chain(Preset::ALL.into_iter().map(Preset::name)).chain(std::iter::once(TOOLRL))
    }

    /// The reward's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Published(preset, _) => preset.name(),
            Self::Dense(_) => DENSE,
            Self::ToolRl => TOOLRL,
        }
    }

    /// Reads a name, or an object with a `name` and the options of that reward: the fields of [`Config`] or of
    /// [`PresetOptions`], each as it is unless it is given.
    pub fn from_value(tree: &Tree) -> Result<Self, BadReward> {
        match tree {
            Tree::String(name) => Self::named(name, serde_json::Map::new()),
            Tree::Object(object) => {
                let mut options = object.clone();
                match options.remove("name") {
                    Some(Tree::String(name)) => Self::named(&name, options),
                    Some(_) => Err(BadReward("name: must be a string".to_owned())),
                    None => Err(BadReward("name: is missing".to_owned())),
                }
            }
            _ => Err(BadReward("must be a name or an object with a `name`".to_owned())),
        }
    }

    fn named(name: &str, options: serde_json::Map<String, Tree>) -> Result<Self, BadReward> {
        let bad = |error: &dyn fmt::Display| BadReward(format!("{name}: {error}"));
        if name == DENSE {
            let config: Config = serde_json::from_value(Tree::Object(options)).map_err(|error| bad(&error))?;
            config.check().map_err(|error| bad(&error))?;
            return Ok(Self::Dense(config));
        }
        if name == TOOLRL {
            return match options.keys().next() {
                None => Ok(Self::ToolRl),
                Some(option) => Err(BadReward(format!("{name}: unknown field `{option}`; it has no options"))),
            };
        }
        let known: Vec<&str> = Self::names().collect();
        let preset = Preset::from_str(name)
            .map_err(|_| BadReward(format!("unknown reward {name:?}; known rewards: {}", known.join(", "))))?;
        let options = serde_json::from_value(Tree::Object(options)).map_err(|error| bad(&error))?;
        Ok(Self::Published(preset, options))
    }

    /// The weights and limits by which process and validity are measured: a published reward does not use what is
    /// measured, but reports it all the same.
    pub fn config(&self) -> Config {
        match self {
            Self::Published(..) | Self::ToolRl => Config::default(),
            Self::Dense(config) => *config,
        }
    }

    /// The reward of what was measured.
    pub fn reward(&self, facts: &Facts) -> f64 {
        match self {
            Self::Published(preset, options) => preset.reward_with(facts, *options),
            Self::Dense(config) => config.reward(facts),
            Self::ToolRl => facts.toolrl_format + facts.toolrl_correctness,
        }
    }

    /// What the reward adds up from: names and numbers. Their sum is the reward but for the rounding of the sum.
    pub fn terms(&self, facts: &Facts) -> Vec<(&'static str, f64)> {
        let reward = self.reward(facts);
        match self {
            Self::ToolRl => vec![("format", facts.toolrl_format), ("correctness", facts.toolrl_correctness)],
            _ if !facts.finished => vec![("not finished", reward)],
            _ if !facts.answered => vec![("no answer", reward)],
            Self::Published(preset, options) => preset.terms(facts, *options),
            Self::Dense(config) => {
                let scale = config.scale(facts);
                vec![
                    ("outcome", if facts.correct { config.outcome } else { 0.0 }),
                    ("process", scale * config.process * facts.process),
                    ("validity", scale * config.validity * facts.validity),
                ]
            }
        }
    }
}
