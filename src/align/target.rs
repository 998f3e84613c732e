//! The reference's calls, prepared once for the comparison with many rollouts.

use super::Calls;
use super::evidence::{Given, Output, Sources, has_origin};
use crate::json::Value;

/// What results prove is compared with this tolerance when a reference is prepared; a config's own may differ.
const TOLERANCE: f64 = 1e-6;

/// What the results of a reference's calls say.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// What each call's result is worth.
    pub(super) outputs: Vec<Output>,
    /// Arguments that are an earlier call's result: the call, and the argument's place in it.
    dependent: Vec<(usize, usize)>,
    /// Whether the calls' turns are known: then a result is there from the next turn on, else from the next call on.
    pub(super) has_turns: bool,
    pub(super) given: Given,
    /// Whether any result can be equal to another call's.
    pub(super) has_outputs: bool,
}

impl Target {
    /// Prepares the calls of a reference.
    pub fn new(calls: &impl Calls) -> Self {
        let mut target = Self::default();
        let mut sources = Sources::default();
        target.has_turns = !calls.is_empty() && (0..calls.len()).all(|at| calls.turn(at).is_some());
        for at in 0..calls.len() {
            let arguments = calls.arguments(at);
            let turn = calls.turn(at).filter(|_| target.has_turns);
            for (place, (_, value)) in arguments.iter().enumerate() {
                let scalar = !matches!(value, Value::Array(_) | Value::Object(_));
                if scalar && sources.has(value, at, turn, TOLERANCE) {
                    target.dependent.push((at, place));
                } else {
                    target.given.add(value, &sources, at, TOLERANCE);
                }
            }
            target.given.close();
            let result = calls.result(at);
            target.outputs.push(Output::of(result));
            if let Some(text) = result
                && has_origin(arguments, at, &target.given, &sources, TOLERANCE)
            {
                sources.add(text, arguments, at, calls.turn(at).unwrap_or(0), TOLERANCE);
            }
        }
        target.has_outputs = target.outputs.iter().any(|known| matches!(known, Output::Number(_) | Output::Text));
        target
    }

    /// The places of a call's arguments that are earlier results.
    #[inline]
    pub(super) fn dependent(&self, call: usize) -> &[(usize, usize)] {
        if self.dependent.is_empty() {
            return &[];
        }
        let first = self.dependent.partition_point(|(known, _)| *known < call);
        let length = self.dependent[first..].iter().take_while(|(known, _)| *known == call).count();
        &self.dependent[first..first + length]
    }
}
