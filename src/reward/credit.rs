//! Which turn earned which part of the reward.

use super::facts::{penalties, penalty};
use super::{Config, Reward, Score};

impl Score {
    /// Each turn's share of the reward, which is their sum. Empty without a turn.
    ///
    /// Under `mentor-dense` the outcome goes to the turn of the answer, each match's part of the process to the turn that
    /// made the call, and validity to the turns of the matches, in equal parts, minus the penalties of the defects that stand
    /// there. What belongs to no turn goes to the last one. A published reward goes to the last turn as a whole.
    /// `reward` is the one that was scored with.
    pub fn turn_credit(&self, reward: &Reward) -> Vec<f64> {
        let mut credit = vec![0.0; self.trajectory.turns.len()];
        let Some(last) = credit.len().checked_sub(1) else { return credit };
        match reward {
            Reward::Dense(config) if self.facts.finished && self.facts.answered => {
                credit[last] += if self.facts.correct { config.outcome } else { 0.0 };
                self.add_process(config, &mut credit, last);
                self.add_validity(config, &mut credit, last);
            }
            Reward::Dense(_) => {}
            Reward::Published(..) | Reward::ToolRl => credit[last] = self.reward,
        }
        credit
    }

    fn add_process(&self, config: &Config, credit: &mut [f64], last: usize) {
        let weight = config.scale(&self.facts) * config.process;
        let both = self.facts.calls + self.facts.bad_calls + self.facts.reference_calls;
        if both == 0 {
            credit[last] += weight;
        }
        for known in &self.matches {
            let turn = self.trajectory.calls[known.call].turn.min(last);
            credit[turn] += weight * 2.0 * known.similarity / both as f64;
        }
    }

    fn add_validity(&self, config: &Config, credit: &mut [f64], last: usize) {
        if !self.facts.earns_validity() {
            return;
        }
        let weight = config.scale(&self.facts) * config.validity;
        let parts = self.matches.len() as f64;
        for known in &self.matches {
            credit[self.trajectory.calls[known.call].turn.min(last)] += weight / parts;
        }
        if self.matches.is_empty() {
            credit[last] += weight;
        }
        let all = penalties(&self.trajectory, config);
        // Penalties beyond 1 cannot take more than there is: then each takes its share.
        let scale = weight * (1.0 - self.facts.validity) / all.max(f64::MIN_POSITIVE);
        let mut rest = all;
        for defect in &self.trajectory.defects {
            let penalty = penalty(defect.kind, config);
            rest -= penalty;
            credit[defect.turn.unwrap_or(last).min(last)] -= scale * penalty;
        }
        credit[last] -= scale * rest;
    }
}
