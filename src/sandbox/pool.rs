//! Instances that wait for their next program, and states that programs start from.

use super::dirty::Tracking;
use super::engine::{Kit, Runtime, Variant};
use super::functions::Grant;
use super::limits::Limits;
use super::pages::State;
use super::slot::{Origin, Slot, Spent};
use super::{Environment, Files};
use crate::error::Error;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Unused instances that are kept ready for `fresh` runs.
const SPARES: usize = 4;
/// Instances that are kept for later programs: enough for the sessions of a group.
const MOST_IDLE: usize = 32;
/// One in so many resets is checked against the master image, page by private page.
const SAMPLE: u64 = 256;
/// One in so many of these checks compares the whole memory.
const WHOLE: u64 = 64;
/// Bytes of saved states that are kept.
const MOST_STATES: usize = 64 << 20;
/// Starts that were seen once; more are forgotten.
const MOST_SEEN: usize = 4096;

/// How a run gets an instance of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Isolation {
    /// `Reset` where the kernel allows it, else `Fresh`.
    #[default]
    Auto,
    /// A new instance per run, made ahead of its use and dropped afterwards.
    Fresh,
    /// An instance that is made equal to a new one after each run.
    Reset(Tracking),
}

impl Isolation {
    fn tracking(self) -> Option<Tracking> {
        match self {
            Self::Auto => Tracking::available().first().copied(),
            Self::Fresh => None,
            Self::Reset(way) => Some(way),
        }
    }
}

/// What happened to the instances of this process so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    made: AtomicU64,
    reset: AtomicU64,
    checked: AtomicU64,
    grown: AtomicU64,
    pages: AtomicU64,
    differs: AtomicU64,
    untracked: AtomicU64,
}

/// The same as numbers, and what there is now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Instances made.
    pub made: u64,
    /// Runs after which an instance was made equal to a new one.
    pub reset: u64,
    /// Resets that were checked against the master image.
    pub checked: u64,
    /// Instances dropped because their memory had grown.
    pub dropped_grown: u64,
    /// Instances dropped because they had written very many pages.
    pub dropped_pages: u64,
    /// Instances dropped because a check found a difference. Anything but 0 is a bug: please report it.
    pub dropped_differing: u64,
    /// Instances dropped because the kernel did not tell what they wrote.
    pub dropped_untracked: u64,
    /// Instances that wait for a program.
    pub idle: u64,
    /// Pages of 4 KB that these hold for themselves.
    pub idle_pages: u64,
    /// Saved states to start from.
    pub states: u64,
    /// Bytes of these.
    pub state_bytes: u64,
}

/// What a state depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Start {
    pub env: Option<Environment>,
    pub origin: Origin,
    grant: Option<Arc<Grant>>,
    output_kb: u32,
    memory_mb: u32,
    files_kb: u32,
    fuel: Option<u64>,
    /// What an environment found that asked for files; none for one that did not.
    files: Option<Files>,
}

impl Start {
    pub fn new(env: Option<&Environment>, origin: Origin, limits: &Limits, grant: Option<&Arc<Grant>>) -> Self {
        let Limits { output_kb, memory_mb, files_kb, fuel, .. } = *limits;
        let (env, grant) = (env.cloned(), grant.cloned());
        Self { env, origin, grant, output_kb, memory_mb, files_kb, fuel, files: None }
    }

    /// The same with an environment that asks for files.
    pub fn reading(&self, files: Files) -> Self {
        Self { files: Some(files), ..self.clone() }
    }
}

#[derive(Default)]
struct States {
    known: HashMap<Start, (Arc<State>, u64)>,
    bytes: usize,
    clock: u64,
    seen: HashSet<u64>,
    hasher: RandomState,
}

/// The instances and states of one engine.
#[derive(Default)]
pub(super) struct Pool {
    idle: [Mutex<Vec<Slot>>; 2],
    spares: Mutex<Vec<Slot>>,
    filling: AtomicBool,
    states: Mutex<States>,
    counts: Counts,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add(count: &AtomicU64) -> u64 {
    count.fetch_add(1, Ordering::Relaxed) + 1
}

/// An instance in use, and what is to become of it.
pub(super) struct Lease {
    pub slot: Slot,
    tracking: Option<Tracking>,
}

impl Pool {
    /// An instance that is like new.
    pub async fn take(&self, kit: &Kit, isolation: Isolation) -> Result<Lease, Error> {
        let tracking = isolation.tracking();
        let ready = match tracking {
            Some(way) => lock(&self.idle[way as usize]).pop(),
            None => lock(&self.spares).pop(),
        };
        let slot = if let Some(slot) = ready {
            slot
        } else {
            add(&self.counts.made);
            kit.instance(tracking)
                .await
                .map_err(|e| Error::Sandbox(format!("cannot start an instance of the guest: {e:#}")))?
        };
        Ok(Lease { slot, tracking })
    }

    /// Takes an instance back: made like new, or dropped off the caller's thread.
    pub fn give(&self, runtime: &Arc<Runtime>, variant: Variant, lease: Lease) {
        let Lease { mut slot, tracking } = lease;
        let Some(way) = tracking else { return self.retire(runtime, variant, Some(slot)) };
        let state = slot.reset().and_then(|()| self.sample(&mut slot));
        match state {
            Ok(()) => {
                let mut idle = lock(&self.idle[way as usize]);
                if idle.len() < MOST_IDLE {
                    idle.push(slot);
                    return;
                }
            }
            Err(spent) => {
                add(match spent {
                    Spent::Grown => &self.counts.grown,
                    Spent::Pages => &self.counts.pages,
                    Spent::Differs => &self.counts.differs,
                    Spent::Untracked => &self.counts.untracked,
                });
            }
        }
        runtime.threads.spawn(async move { drop(slot) }).detach();
    }

    fn sample(&self, slot: &mut Slot) -> Result<(), Spent> {
        if !add(&self.counts.reset).is_multiple_of(SAMPLE) {
            return Ok(());
        }
        let number = add(&self.counts.checked);
        slot.check(number.is_multiple_of(WHOLE))
    }

    /// Compares the instances that wait to be used again with the master image: how many there are, how many differ.
    pub fn check_idle(&self, whole: bool) -> (usize, usize) {
        let (mut checked, mut differing) = (0, 0);
        for slots in &self.idle {
            for slot in lock(slots).iter_mut() {
                checked += 1;
                differing += usize::from(slot.check(whole).is_err());
            }
        }
        (checked, differing)
    }

    /// Drops a used instance and makes new ones, in the background.
    pub fn retire(&self, runtime: &Arc<Runtime>, variant: Variant, used: Option<Slot>) {
        let filling = self.filling.swap(true, Ordering::AcqRel);
        let inside = Arc::clone(runtime);
        let work = async move {
            drop(used);
            if filling {
                return;
            }
            let Ok(kit) = inside.kit(variant) else { return };
            let pool = &kit.pool;
            while lock(&pool.spares).len() < SPARES {
                // An instance that cannot be made now is reported to the caller who needs it.
                let Ok(slot) = kit.instance(None).await else { break };
                add(&pool.counts.made);
                lock(&pool.spares).push(slot);
            }
            pool.filling.store(false, Ordering::Release);
        };
        runtime.threads.spawn(work).detach();
    }

    /// The state that a start leads to, if it is known.
    pub fn state(&self, start: &Start) -> Option<Arc<State>> {
        let mut states = lock(&self.states);
        states.clock += 1;
        let clock = states.clock;
        states.known.get_mut(start).map(|(state, used)| {
            *used = clock;
            Arc::clone(state)
        })
    }

    /// Whether a start is worth saving: when it comes again.
    pub fn is_worth_saving(&self, start: &Start) -> bool {
        let mut states = lock(&self.states);
        if states.seen.len() >= MOST_SEEN {
            states.seen.clear();
        }
        let hash = states.hasher.hash_one(start);
        !states.seen.insert(hash)
    }

    /// Keeps a state; the longest unused ones make room.
    pub fn keep(&self, start: Start, state: State) {
        let mut states = lock(&self.states);
        if state.bytes() > MOST_STATES / 4 {
            return;
        }
        while states.bytes + state.bytes() > MOST_STATES {
            let oldest = states.known.iter().min_by_key(|(_, (_, used))| *used).map(|(start, _)| start.clone());
            let Some((removed, _)) = oldest.and_then(|start| states.known.remove(&start)) else { break };
            states.bytes -= removed.bytes();
        }
        states.clock += 1;
        let clock = states.clock;
        states.bytes += state.bytes();
        if let Some((old, _)) = states.known.insert(start, (Arc::new(state), clock)) {
            states.bytes -= old.bytes();
        }
    }

    /// What happened so far.
    pub fn stats(&self) -> Stats {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut stats = Stats {
            made: get(&self.counts.made),
            reset: get(&self.counts.reset),
            checked: get(&self.counts.checked),
            dropped_grown: get(&self.counts.grown),
            dropped_pages: get(&self.counts.pages),
            dropped_differing: get(&self.counts.differs),
            dropped_untracked: get(&self.counts.untracked),
            ..Stats::default()
        };
        for slots in self.idle.iter().chain([&self.spares]) {
            let slots = lock(slots);
            stats.idle += slots.len() as u64;
            stats.idle_pages += slots.iter().map(|slot| slot.pages() as u64).sum::<u64>();
        }
        let kept = lock(&self.states);
        (stats.states, stats.state_bytes) = (kept.known.len() as u64, kept.bytes as u64);
        stats
    }
}
