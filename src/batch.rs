//! Many rollouts at once, on a rayon pool of our own: order kept, the same bits for every number of threads.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use crate::answer::Verdict;
use crate::json::{Doc, Value};
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

    /// What the assistant wrote in the last turn of the parsed rollout.
    fn last_turn(&self, parsed: &Trajectory) -> Cow<'_, str> {
        let Some(turn) = parsed.turns.last() else { return Cow::Borrowed("") };
        match self {
            Self::Text(text) => Cow::Borrowed(&text[turn.span.start..turn.span.end]),
            Self::Bytes(bytes) => match String::from_utf8_lossy(bytes) {
                Cow::Borrowed(text) => Cow::Borrowed(&text[turn.span.start..turn.span.end]),
                Cow::Owned(text) => Cow::Owned(text[turn.span.start..turn.span.end].to_owned()),
            },
            Self::Messages(json) => Cow::Owned(content_of(json, turn.message.unwrap_or_default())),
        }
    }

    /// Length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no one asks")]
    pub fn len(&self) -> usize {
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

/// The text of a message: its content, or the texts of its parts.
fn content_of(json: &[u8], message: usize) -> String {
    let text = String::from_utf8_lossy(json);
    let mut doc = Doc::default();
    let Ok(id) = doc.parse_all(&text) else { return String::new() };
    let messages = doc.value(id).as_list();
    let content =
        messages.and_then(|list| list.iter().nth(message)).and_then(Value::as_map).and_then(|m| m.get("content"));
    match content {
        Some(Value::String(text)) => text.to_owned(),
        Some(Value::Array(parts)) => parts
            .iter()
            .filter_map(|part| part.as_map().and_then(|part| part.get("text")).and_then(Value::as_str))
            .collect(),
        _ => String::new(),
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
    /// How the rollout is read.
    pub fn options(&self) -> Options<'_> {
        Options { format: self.format, tools: self.tools.or(self.reference.tools.as_ref()) }
    }

    /// Scores the item into `score`, whose memory is used again.
    pub fn score(&self, reward: &Reward, score: &mut Score) {
        self.rollout.parse(&self.options(), &mut score.trajectory);
        score.compute(self.reference, self.tools, reward);
        if *reward == Reward::ToolRl {
            let turn = self.rollout.last_turn(&score.trajectory);
            score.compute_toolrl(&turn, self.reference);
        }
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
        let mut defects = 0;
        if !score.trajectory.defects.is_empty() {
            let counts = score.trajectory.counts.iter().enumerate();
            defects = counts.filter(|(_, count)| **count > 0).fold(0, |bits, (kind, _)| bits | 1 << kind);
        }
        let open = score.is_open().then(|| score.trajectory.answer_text().unwrap_or_default().into());
        Self { facts: score.facts, verdict: score.verdict, reward: score.reward, defects, open }
    }

    /// Takes a slower judge's verdict.
    pub fn settle(&mut self, verdict: Verdict, reward: &Reward) {
        self.verdict = Some(verdict);
        self.open = None;
        self.facts.correct = verdict == Verdict::Equal;
        if verdict == Verdict::Undecided {
            self.defects |= 1 << DefectKind::Undecided.index();
        }
        self.reward = reward.reward(&self.facts);
    }
}

thread_local! {
    /// Each thread scores into the same memory again and again.
    static SCRATCH: RefCell<Score> = RefCell::default();
}

/// After a longer rollout a thread's memory is given back.
const KEPT: usize = 4 << 20; // bytes of a rollout

fn score_one(item: &Item<'_>, reward: &Reward) -> Row {
    SCRATCH.with_borrow_mut(|score| {
        item.score(reward, score);
        let row = Row::new(score);
        if item.rollout.len() > KEPT {
            *score = Score::default();
        }
        row
    })
}

/// Scores a batch. `threads` is the number of threads to use at most; `None` means one per core.
///
/// Small batches are scored on the calling thread: waking others would cost more than the work.
pub fn score_batch(items: &[Item<'_>], reward: &Reward, threads: Option<usize>) -> Vec<Row> {
    let mut rows = Vec::with_capacity(items.len());
    score_into(items, reward, threads, &mut rows);
    rows
}

/// [`score_batch`], with the rows added to `rows`.
pub fn score_into(items: &[Item<'_>], reward: &Reward, threads: Option<usize>, rows: &mut Vec<Row>) {
    const WORTH_A_THREAD: usize = 64 * 1024; // bytes of rollouts
    let bytes: usize = items.iter().map(|item| item.rollout.len()).sum();
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = threads.unwrap_or_else(cores);
    let worth_it = threads > 1 && bytes > WORTH_A_THREAD;
    match worth_it.then(|| pool(threads - 1)).flatten() {
        Some(pool) => score_beside(&pool, items, reward, rows),
        None => rows.extend(items.iter().map(|item| score_one(item, reward))),
    }
}

/// Scores on the calling thread and on the pool's: who is free takes the next few items. So nothing waits for a thread to
/// wake up.
fn score_beside(pool: &rayon::ThreadPool, items: &[Item<'_>], reward: &Reward, rows: &mut Vec<Row>) {
    const PART: usize = 16; // rollouts
    let all = rows.len() + items.len();
    rows.reserve(items.len());
    let parts = Mutex::new(items.chunks(PART).zip(rows.spare_capacity_mut().chunks_mut(PART)));
    let next = || parts.lock().ok()?.next();
    let work = || {
        while let Some((items, rows)) = next() {
            for (item, row) in items.iter().zip(rows) {
                row.write(score_one(item, reward));
            }
        }
    };
    pool.in_place_scope(|scope| {
        for _ in 0..pool.current_num_threads() {
            scope.spawn(|_| work());
        }
        work();
    });
    // SAFETY: there is room, and each of these rows is written: the parts are all taken, and the scope has waited until
    // each is done. A panic in one of them would have gone on from there.
    #[expect(unsafe_code, reason = "else the rows would be written twice")]
    unsafe {
        rows.set_len(all);
    }
}

struct Pool {
    process: u32,
    threads: usize,
    workers: Arc<rayon::ThreadPool>,
}

static POOLS: Mutex<Vec<Pool>> = Mutex::new(Vec::new());

/// The pool of so many threads in this process, made when first asked for; `None` where none can be had.
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
