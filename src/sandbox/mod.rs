//! CPython in WebAssembly: untrusted programs and tool calls, in process, fresh, limited and deterministic.
//!
//! ```no_run
//! use mentor::sandbox::{Program, Sandbox};
//!
//! let outcome = Sandbox::default().run(Program::new("6 * 7"))?;
//! assert_eq!(outcome.value_json.as_deref(), Some("42"));
//! # Ok::<(), mentor::error::Error>(())
//! ```

pub mod cache;
mod engine;
mod guest;
mod host;
mod limits;
mod outcome;
mod spares;
mod workers;

pub use engine::GUEST_SHA256;
pub use limits::{Limits, MAX_MEMORY_MB, MIN_MEMORY_MB};
pub use outcome::{Fault, FaultKind, Outcome};

use crate::error::Error;
use engine::Runtime;
use guest::{Action, Guest};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Python source; its last expression is the value.
    pub code: String,
    /// Python source that runs first in the same namespace.
    pub env: Option<String>,
    /// Name of the program in tracebacks.
    pub filename: String,
}

impl Program {
    /// A program without an environment.
    pub fn new(code: impl Into<String>) -> Self {
        Self { code: code.into(), env: None, filename: "<code>".to_owned() }
    }
}

/// A result that is on its way.
#[derive(Debug)]
pub struct Pending<T> {
    receiver: Receiver<Result<T, Error>>,
    cancel: Arc<AtomicBool>,
}

impl<T> Pending<T> {
    /// The result; blocks until it is there.
    pub fn wait(self) -> Result<T, Error> {
        self.receiver.recv().unwrap_or_else(|_| Err(lost()))
    }

    /// The result, if it comes within that time.
    pub fn wait_for(&self, time: Duration) -> Option<Result<T, Error>> {
        match self.receiver.recv_timeout(time) {
            Ok(result) => Some(result),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(lost())),
        }
    }

    /// Stops the guest at its next tick (10 ms).
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

fn lost() -> Error {
    Error::Sandbox("a sandbox worker died; please report this with the program that caused it".to_owned())
}

/// Runs a job on a worker. What follows the answer, dropping the used instance and making new ones, is not waited for.
fn submit<T: Send + 'static>(
    metered: bool,
    job: impl FnOnce(&Runtime, &Arc<AtomicBool>) -> (Result<T, Error>, Option<Guest>) + Send + 'static,
) -> Pending<T> {
    let (sender, receiver) = channel();
    let cancel = Arc::new(AtomicBool::new(false));
    let pending = Pending { receiver, cancel: Arc::clone(&cancel) };
    let runtime = Runtime::get();
    let inside = Arc::clone(&runtime);
    runtime.workers.spawn(move || {
        let (answer, used) = job(&inside, &cancel);
        // The receiver may be gone: then nobody wants the answer.
        let _ = sender.send(answer);
        drop(used);
        inside.refill(metered);
    });
    pending
}

/// Compiles or loads the guest now; `metered` for runs with a fuel limit. Seconds once per machine, milliseconds later.
pub fn prepare(metered: bool) -> Pending<()> {
    submit(metered, move |runtime, _| (runtime.kit(metered).map(|_| ()), None))
}

/// Whether a run would start without compiling the guest.
pub fn is_compiled(metered: bool) -> bool {
    Runtime::get().is_compiled(metered)
}

/// Runs programs, each in a fresh instance. Cheap to clone; usable from any thread and after a fork.
#[derive(Debug, Clone, Default)]
pub struct Sandbox {
    limits: Limits,
    seed: u64,
}

impl Sandbox {
    /// A sandbox with these limits; `seed` decides `random`, `os.urandom`, `uuid4` and the like.
    pub fn new(limits: Limits, seed: u64) -> Result<Self, Error> {
        limits.validate()?;
        Ok(Self { limits, seed })
    }

    /// Runs one program.
    pub fn run(&self, program: Program) -> Result<Outcome, Error> {
        self.submit(program).wait()
    }

    /// Starts one program.
    pub fn submit(&self, program: Program) -> Pending<Outcome> {
        let this = self.clone();
        submit(self.metered(), move |runtime, cancel| match this.run_here(runtime, &program, cancel) {
            Ok((outcome, guest)) => (Ok(outcome), Some(guest)),
            Err(error) => (Err(error), None),
        })
    }

    /// Starts many programs, on as many threads as there are cores; results keep the order. `done` counts finished ones.
    pub fn submit_batch(&self, programs: Vec<Program>, done: Arc<AtomicUsize>) -> Pending<Vec<Outcome>> {
        let (sender, receiver) = channel();
        let cancel = Arc::new(AtomicBool::new(false));
        let runtime = Runtime::get();
        let shared = Arc::new(Batch {
            sandbox: self.clone(),
            results: Mutex::new(vec![None; programs.len()]),
            programs,
            next: AtomicUsize::new(0),
            done,
        });
        for _ in 0..workers::cores().min(shared.programs.len()).max(1) {
            let (inside, shared, sender, cancel) =
                (Arc::clone(&runtime), Arc::clone(&shared), sender.clone(), Arc::clone(&cancel));
            runtime.workers.spawn(move || {
                if let Some(result) = shared.work(&inside, &cancel) {
                    let _ = sender.send(result);
                    inside.refill(shared.sandbox.metered());
                }
            });
        }
        Pending { receiver, cancel }
    }

    /// Runs many programs in parallel; results keep the order.
    pub fn run_batch(&self, programs: Vec<Program>) -> Result<Vec<Outcome>, Error> {
        self.submit_batch(programs, Arc::default()).wait()
    }

    /// An instance that keeps its globals from run to run. It starts with the first run.
    pub fn session(&self) -> Session {
        Session { sandbox: self.clone(), slot: Arc::default(), home: std::process::id() }
    }

    fn metered(&self) -> bool {
        self.limits.fuel.is_some()
    }

    fn run_here(
        &self,
        runtime: &Runtime,
        program: &Program,
        cancel: &Arc<AtomicBool>,
    ) -> Result<(Outcome, Guest), Error> {
        let began = Instant::now();
        let mut guest = self.take(runtime)?;
        let mut outcome = self.run_in(&mut guest, program, cancel);
        outcome.wall_ms = milliseconds(began);
        Ok((outcome, guest))
    }

    /// Runs the program's environment and the program.
    fn run_in(&self, guest: &mut Guest, program: &Program, cancel: &Arc<AtomicBool>) -> Outcome {
        let Program { code, env, filename } = program;
        if let Some(env) = env {
            let outcome = guest.act(Action::Run { source: env, filename: "<env>" }, &self.limits, cancel);
            if !outcome.ok() {
                return outcome;
            }
        }
        guest.act(Action::Run { source: code, filename }, &self.limits, cancel)
    }

    /// A fresh instance, seeded.
    fn take(&self, runtime: &Runtime) -> Result<Guest, Error> {
        let kit = runtime.kit(self.metered())?;
        let failed = |e: wasmtime::Error| Error::Sandbox(format!("cannot start an instance of the guest: {e:#}"));
        let mut guest = match kit.spares.take() {
            Some(guest) => guest,
            None => Guest::new(kit).map_err(failed)?,
        };
        guest.seed(self.seed, &self.limits).map_err(failed)?;
        Ok(guest)
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

struct Batch {
    sandbox: Sandbox,
    programs: Vec<Program>,
    results: Mutex<Vec<Option<Outcome>>>,
    next: AtomicUsize,
    done: Arc<AtomicUsize>,
}

impl Batch {
    /// Takes programs until none is left; the worker that finishes the last one gets the result.
    fn work(&self, runtime: &Runtime, cancel: &Arc<AtomicBool>) -> Option<Result<Vec<Outcome>, Error>> {
        if self.programs.is_empty() {
            return Some(Ok(Vec::new()));
        }
        while !cancel.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let program = self.programs.get(index)?;
            let outcome = match self.sandbox.run_here(runtime, program, cancel) {
                Ok((outcome, _used)) => outcome,
                Err(error) => return Some(Err(error)),
            };
            self.results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(outcome);
            if self.done.fetch_add(1, Ordering::AcqRel) + 1 == self.programs.len() {
                let results = std::mem::take(&mut *self.results.lock().unwrap_or_else(PoisonError::into_inner));
                return Some(Ok(results.into_iter().flatten().collect()));
            }
        }
        Some(Err(Error::Sandbox("the batch was cancelled".to_owned())))
    }
}

/// An instance that keeps its globals. Calls from several threads take turns.
#[derive(Debug, Clone)]
pub struct Session {
    sandbox: Sandbox,
    slot: Arc<Mutex<Slot>>,
    /// The process that the instance lives in. After a fork the child must not even touch the lock.
    home: u32,
}

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Live(Box<Guest>),
    Closed,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Live(..) => "Live",
            Self::Closed => "Closed",
        })
    }
}

/// One step of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Runs a program (its `env` too) in the session's namespace.
    Run(Program),
    /// Calls a function of the session's namespace.
    Call {
        /// Name of the function.
        name: String,
        /// Keyword arguments, a JSON object.
        arguments: String,
    },
}

impl Session {
    /// Does one step and waits for it.
    pub fn act(&self, step: Step) -> Result<Outcome, Error> {
        self.submit(step).wait()
    }

    /// Starts one step.
    pub fn submit(&self, step: Step) -> Pending<Outcome> {
        let this = self.clone();
        submit(self.sandbox.metered(), move |runtime, cancel| (this.act_here(runtime, &step, cancel), None))
    }

    /// Ends the session and frees its memory; later steps are refused.
    pub fn close(&self) {
        if self.is_home() {
            let slot = std::mem::replace(&mut *self.lock(), Slot::Closed);
            if let Slot::Live(guest) = slot {
                Runtime::get().workers.spawn(move || drop(guest));
            }
        }
    }

    fn is_home(&self) -> bool {
        self.home == std::process::id()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act_here(&self, runtime: &Runtime, step: &Step, cancel: &Arc<AtomicBool>) -> Result<Outcome, Error> {
        let began = Instant::now();
        if !self.is_home() {
            let message = "this session lives in the process that this one was forked from; start a new one here";
            return Err(Error::Sandbox(message.to_owned()));
        }
        let mut slot = self.lock();
        if matches!(*slot, Slot::Empty) {
            *slot = Slot::Live(Box::new(self.sandbox.take(runtime)?));
        }
        let Slot::Live(guest) = &mut *slot else {
            return Err(Error::Sandbox("this session is closed; start a new one".to_owned()));
        };
        let limits = &self.sandbox.limits;
        let mut outcome = match step {
            Step::Call { name, arguments } => guest.act(Action::Call { name, arguments }, limits, cancel),
            Step::Run(program) => self.sandbox.run_in(guest, program, cancel),
        };
        outcome.wall_ms = milliseconds(began);
        Ok(outcome)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.is_home() {
            // The instance belongs to the parent: not dropped here.
            std::mem::forget(Arc::clone(&self.slot));
        } else if Arc::strong_count(&self.slot) == 1 {
            self.close();
        }
    }
}
