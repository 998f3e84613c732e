//! Rewards.

use std::cell::RefCell;
use std::sync::OnceLock;

use mentor::answer::Verdict;
use mentor::batch::{Item, Rollout, score_batch};
use mentor::reward::{Preset, Reference, Reward, Score};
use mentor::trajectory::Format;

use crate::halves;
use crate::text::tools;

/// No reward is beyond.
const BOUND: f64 = 4.0;

fn plain() -> &'static Reference {
    static PLAIN: OnceLock<Reference> = OnceLock::new();
    PLAIN.get_or_init(|| {
        let json = br#"{"answer": "3", "tool_calls": [{"name": "f", "arguments": {"a": 1}}, {"name": "add"}]}"#;
        Reference::from_json(json).expect("a reference")
    })
}

/// Every reward, and those with options at their ends.
fn rewards() -> &'static [Reward] {
    static REWARDS: OnceLock<Vec<Reward>> = OnceLock::new();
    REWARDS.get_or_init(|| {
        let named = Reward::names().map(|name| name.parse().expect("a reward"));
        let strict = Preset::ALL.map(|preset| format!(r#"{{"name": "{}", "require_call": true}}"#, preset.name()));
        named.chain(strict.iter().map(|json| json.parse().expect("a reward"))).collect()
    })
}

thread_local! {
    static USED: RefCell<Score> = RefCell::default();
}

/// Scores a rollout (after the first NUL byte) against a reference (before it; a plain one where that is none) for every
/// reward: finite, bounded, the same bits in a batch and in used memory.
pub fn check(data: &[u8]) {
    let (reference, rollout) = halves(data);
    let given = Reference::from_json(reference);
    if let Err(error) = &given {
        assert!(!error.to_string().is_empty());
    }
    let reference = given.as_ref().unwrap_or(plain());
    let rollout = if rollout.starts_with(b"[{") { Rollout::Messages(rollout) } else { Rollout::Bytes(rollout) };
    // Formats and tools take turns by the length: the target `text` has all of them for every input.
    let tools = data.len().is_multiple_of(2).then(tools);
    for format in [Format::Auto, Format::ALL[data.len() % Format::ALL.len()]] {
        let item = Item { rollout, reference, tools, format };
        for reward in rewards() {
            one(&item, reward);
        }
        batch(&item, &rewards()[data.len() % rewards().len()]);
    }
}

fn one(item: &Item<'_>, reward: &Reward) {
    let mut fresh = Score::default();
    item.score(reward, &mut fresh);
    bounded(fresh.reward, reward);
    for component in fresh.facts.components() {
        assert!(component.is_finite(), "{component}");
    }
    matches(&fresh, item.reference.calls.len());
    assert!(fresh.turn_credit(reward).iter().all(|credit| credit.is_finite()), "{}", reward.name());
    let used = USED.with_borrow_mut(|used| {
        item.score(reward, used);
        used.reward
    });
    assert_eq!(used.to_bits(), fresh.reward.to_bits(), "{}: {used} and {}", reward.name(), fresh.reward);
    if fresh.is_open() {
        for verdict in [Verdict::Equal, Verdict::Different, Verdict::Undecided] {
            fresh.settle(verdict, reward);
            bounded(fresh.reward, reward);
        }
    }
}

/// Each call of either side has one partner at most.
fn matches(score: &Score, reference_calls: usize) {
    let mut taken = vec![false; score.trajectory.calls.len()];
    for found in &score.matches {
        assert!(found.reference < reference_calls && !taken[found.call], "{found:?}");
        taken[found.call] = true;
        assert!(found.similarity > 0.0 && found.similarity <= 1.0, "{found:?}");
    }
    assert!(score.matches.windows(2).all(|pair| pair[0].reference < pair[1].reference), "{:?}", score.matches);
}

/// A batch says what its items say alone.
fn batch(item: &Item<'_>, reward: &Reward) {
    let mut alone = Score::default();
    item.score(reward, &mut alone);
    let mut rows = score_batch(&[*item, *item], reward, Some(1));
    for row in &mut rows {
        assert_eq!(row.reward.to_bits(), alone.reward.to_bits(), "{}", reward.name());
        assert_eq!((row.facts, row.verdict, row.open.is_some()), (alone.facts, alone.verdict, alone.is_open()));
    }
    if alone.is_open() {
        alone.settle(Verdict::Equal, reward);
        rows[0].settle(Verdict::Equal, reward);
        assert_eq!(rows[0].reward.to_bits(), alone.reward.to_bits(), "{}, settled", reward.name());
    }
}

fn bounded(value: f64, reward: &Reward) {
    assert!(value.is_finite() && value.abs() <= BOUND, "{}: {value}", reward.name());
}
