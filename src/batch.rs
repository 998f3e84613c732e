//! Many rollouts at once, on a rayon pool of our own: order kept, the same bits for every number of threads.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use crate::reward::{Preset, Reference, Score, Tools};
use crate::trajectory::{DefectKind, Trajectory, parse_messages, parse_text};

/// One rollout as it comes in.
#[derive(Clone, Copy, Debug)]
pub enum Rollout<'a> {
    /// Text in chat markup.
    Text(&'a str),
    /// Text in chat markup that may not be valid UTF-8.
    Bytes(&'a [u8]),
    /// JSON of a message list.
    Messages(&'a [u8]),
}

impl Rollout<'_> {
    /// Parses the rollout.
    pub fn parse(&self) -> Trajectory {
        match self {
            Self::Text(text) => parse_text(text),
            Self::Bytes(bytes) => lossy(bytes, parse_text),
            Self::Messages(json) if std::str::from_utf8(json).is_ok() => parse_messages(json),
            Self::Messages(json) => lossy(json, |text| parse_messages(text.as_bytes())),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) | Self::Messages(bytes) => bytes.len(),
        }
    }
}

fn lossy(bytes: &[u8], parse: impl Fn(&str) -> Trajectory) -> Trajectory {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => parse(text),
        Cow::Owned(text) => {
            let mut trajectory = parse(&text);
            let message = "the rollout is no valid UTF-8; the bad bytes were replaced";
            trajectory.defect(DefectKind::InvalidUtf8, None, message);
            trajectory
        }
    }
}

/// A rollout with what it is scored against.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The rollout.
    pub rollout: Rollout<'a>,
    /// Its reference.
    pub reference: &'a Reference,
    /// The offered tools, where the caller says so.
    pub tools: Option<&'a Tools>,
}

/// Scores a batch. `threads` is the number of threads to use at most; `None` means one per core.
///
/// Small batches are scored on the calling thread: waking others would cost more than the work.
pub fn score_batch(items: &[Item<'_>], preset: Preset, threads: Option<usize>) -> Vec<Score> {
    const WORTH_A_THREAD: usize = 64 * 1024; // bytes of rollouts
    let one = |item: &Item<'_>| Score::new(item.rollout.parse(), item.reference, item.tools, preset);
    let bytes: usize = items.iter().map(|item| item.rollout.len()).sum();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = threads.unwrap_or(cores);
    let worth_it = threads > 1 && bytes > WORTH_A_THREAD;
    match worth_it.then(|| pool(threads)).flatten() {
        Some(pool) => pool.install(|| items.par_iter().with_min_len(8).map(one).collect()),
        None => items.iter().map(one).collect(),
    }
}

struct Pool {
    process: u32,
    threads: usize,
    workers: Arc<rayon::ThreadPool>,
}

static POOLS: Mutex<Vec<Pool>> = Mutex::new(Vec::new());

/// The pool of that many threads in this process, made when first asked for; `None` where none can be had.
fn pool(threads: usize) -> Option<Arc<rayon::ThreadPool>> {
    let process = std::process::id();
    // After a fork the lock may be held by a thread that does not exist here: then go without a pool.
    let mut pools = POOLS.try_lock().ok()?;
    if pools.iter().any(|pool| pool.process != process) {
        // A forked child: the threads are gone, and dropping their pool would talk to them.
        std::mem::forget(std::mem::take(&mut *pools));
    }
    if let Some(known) = pools.iter().find(|pool| pool.threads == threads) {
        return Some(Arc::clone(&known.workers));
    }
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|at| format!("mentor-score-{at}"));
    let made = Arc::new(builder.build().ok()?);
    pools.push(Pool { process, threads, workers: Arc::clone(&made) });
    Some(made)
}
