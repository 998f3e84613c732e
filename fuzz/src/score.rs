//! Rewards.

use std::cell::RefCell;
use std::sync::OnceLock;

use mentor::answer::Verdict;
use mentor::batch::{Item, Rollout, score_batch};
use mentor::reward::{Preset, Reference, Score};
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
        for preset in Preset::ALL {
            one(&item, preset);
        }
        batch(&item, Preset::ALL[data.len() % Preset::ALL.len()]);
    }
}

fn one(item: &Item<'_>, preset: Preset) {
    let mut fresh = Score::default();
    item.score(preset, &mut fresh);
    bounded(fresh.reward, preset);
    for component in fresh.facts.components() {
        assert!(component.is_finite() && component >= 0.0, "{component}");
    }
    let used = USED.with_borrow_mut(|used| {
        item.score(preset, used);
        used.reward
    });
    assert_eq!(used.to_bits(), fresh.reward.to_bits(), "{}: {used} and {}", preset.name(), fresh.reward);
    if fresh.is_open() {
        for verdict in [Verdict::Equal, Verdict::Different, Verdict::Undecided] {
            fresh.settle(verdict, preset);
            bounded(fresh.reward, preset);
        }
    }
}

/// A batch says what its items say alone.
fn batch(item: &Item<'_>, preset: Preset) {
    let mut alone = Score::default();
    item.score(preset, &mut alone);
    let mut rows = score_batch(&[*item, *item], preset, Some(1));
    for row in &mut rows {
        assert_eq!(row.reward.to_bits(), alone.reward.to_bits(), "{}", preset.name());
        assert_eq!((row.facts, row.verdict, row.open.is_some()), (alone.facts, alone.verdict, alone.is_open()));
    }
    if alone.is_open() {
        alone.settle(Verdict::Equal, preset);
        rows[0].settle(Verdict::Equal, preset);
        assert_eq!(rows[0].reward.to_bits(), alone.reward.to_bits(), "{}, settled", preset.name());
    }
}

fn bounded(reward: f64, preset: Preset) {
    assert!(reward.is_finite() && reward.abs() <= BOUND, "{}: {reward}", preset.name());
}
