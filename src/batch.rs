//! Many rollouts at once, on a rayon pool of our own: order kept, the same bits for every number of threads.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use crate::answer::Verdict;
use crate::reward::{Facts, Reference, Reward, Score};
use crate::tools::Tools;
use crate::trajectory::{DefectKind, Format, Options, Trajectory, parse_messages, parse_text};

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
    /// Parses the rollout into `out`.
    pub fn parse(&self, options: &Options<'_>, out: &mut Trajectory) {
        match self {
            Self::Text(text) => parse_text(text, options, out),
            Self::Bytes(bytes) => lossy(bytes, out, |text, out| parse_text(text, options, out)),
            Self::Messages(json) => lossy(json, out, |text, out| parse_messages(text.as_bytes(), options, out)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) | Self::Messages(bytes) => bytes.len(),
        }
    }
}

fn lossy(bytes: &[u8], out: &mut Trajectory, parse: impl Fn(&str, &mut Trajectory)) {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => parse(text, out),
        Cow::Owned(text) => {
            parse(&text, out);
            let message = "the rollout is no valid UTF-8; the bad bytes were replaced";
            out.defect(DefectKind::InvalidUtf8, None, message);
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
    /// How its tool calls are written.
    pub format: Format,
}

impl Item<'_> {
    /// Scores the item into `score`, whose memory is used again.
    pub fn score(&self, reward: &Reward, score: &mut Score) {
        let tools = self.tools.or(self.reference.tools.as_ref());
        self.rollout.parse(&Options { format: self.format, tools }, &mut score.trajectory);
        score.compute(self.reference, self.tools, reward);
    }
}

/// What a batch keeps of a scored rollout; [`Item::score`] gives the rest again.
#[derive(Clone, Debug)]
pub struct Row {
    /// What the rewards are made of.
    pub facts: Facts,
    /// What the judge said; `None` where there was nothing to judge.
    pub verdict: Option<Verdict>,
    /// The reward.
    pub reward: f64,
    /// Bit n: the rollout has a defect of the kind number n.
    pub defects: u32,
    /// The answer, where a slower judge must decide.
    pub open: Option<Box<str>>,
}

impl Row {
    fn new(score: &Score) -> Self {
        let counts = score.trajectory.counts.iter().enumerate();
        let defects = counts.filter(|(_, count)| **count > 0).fold(0, |bits, (kind, _)| bits | 1 << kind);
        let open = score.is_open().then(|| score.trajectory.answer_text().unwrap_or_default().into());
        Self { facts: score.facts, verdict: score.verdict, reward: score.reward, defects, open }
    }
}

/// Scores a batch. `threads` is the number of threads to use at most; `None` means one per core.
///
/// Small batches are scored on the calling thread: waking others would cost more than the work.
pub fn score_batch(items: &[Item<'_>], reward: &Reward, threads: Option<usize>) -> Vec<Row> {
    const WORTH_A_THREAD: usize = 64 * 1024; // bytes of rollouts
    let one = |score: &mut Score, item: &Item<'_>| {
        item.score(reward, score);
        Row::new(score)
    };
    let bytes: usize = items.iter().map(|item| item.rollout.len()).sum();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = threads.unwrap_or(cores);
    let worth_it = threads > 1 && bytes > WORTH_A_THREAD;
    match worth_it.then(|| pool(threads)).flatten() {
        Some(pool) => pool.install(|| items.par_iter().with_min_len(8).map_init(Score::default, one).collect()),
        None => {
            let mut score = Score::default();
            items.iter().map(|item| one(&mut score, item)).collect()
        }
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
