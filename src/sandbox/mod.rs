//! CPython in WebAssembly: untrusted programs and tool calls, in process, isolated, limited and deterministic.
//!
//! ```no_run
//! use mentor::sandbox::{Program, Sandbox};
//!
//! let outcome = Sandbox::default().run(&Program::new("6 * 7"))?;
//! assert_eq!(outcome.value_json.as_deref(), Some("42"));
//! # Ok::<(), mentor::error::Error>(())
//! ```

mod abi;
mod batch;
pub mod cache;
mod calls;
mod dirty;
mod engine;
mod exec;
mod faults;
mod files;
mod functions;
mod guests;
mod host;
mod image;
mod limits;
mod mapping;
pub mod merge;
mod meter;
mod outcome;
mod output;
mod pages;
mod pool;
mod rehearsal;
mod session;
mod slot;
mod stack;
mod ticks;
mod ties;
pub mod wasm_tools;

pub use dirty::Tracking;
pub use files::{Changes, Files};
pub use functions::{Answer, Call, Functions, Grant, Reply};
pub use guests::{GUEST_SHA256, Guest, MOST_GUESTS, SOURCES, build};
pub use limits::{Limits, MAX_MEMORY_MB, MIN_MEMORY_MB};
pub use outcome::{Fault, FaultKind, Outcome};
pub use output::{Listener, Stream};
pub use pages::State;
pub use pool::{Isolation, Stats};
pub use session::Session;
pub use ties::{Ties, Turn};

use crate::error::Error;
use engine::{Runtime, Variant};
use pool::{Lease, Start};
use slot::{Action, Origin};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a guest with packages must have beside its own memory, MB.
const LEAST_FREE_MB: usize = 32;

/// Python source that runs before a program or a call, in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Environment {
    /// The source, such as definitions of tools.
    pub source: Arc<str>,
    /// What tracebacks call it.
    pub filename: Arc<str>,
}

impl Environment {
    /// An environment that tracebacks call `<env>`.
    pub fn new(source: &str) -> Self {
        Self { source: source.into(), filename: "<env>".into() }
    }
}

/// What to do in an instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Runs a program; its last expression is the value.
    Run {
        /// Python source.
        code: String,
        /// What tracebacks call it.
        filename: String,
    },
    /// Calls a function of the namespace; its result must be JSON.
    Call {
        /// Name of the function.
        name: String,
        /// Keyword arguments, a JSON object.
        arguments: String,
    },
}

impl Step {
    /// Runs a program that tracebacks call `<code>`.
    pub fn run(code: impl Into<String>) -> Self {
        Self::Run { code: code.into(), filename: "<code>".to_owned() }
    }

    /// Calls a function with a JSON object of arguments.
    pub fn call(name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self::Call { name: name.into(), arguments: arguments.into() }
    }

    fn action(&self) -> Action<'_> {
        match self {
            Self::Run { code, filename } => Action::Run { source: code, filename },
            Self::Call { name, arguments } => Action::Call { name, arguments },
        }
    }
}

/// A step for an instance of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Program {
    /// What runs first.
    pub env: Option<Environment>,
    /// The step itself.
    pub step: Step,
    /// Files that it finds, beside those of the sandbox.
    pub files: Files,
}

impl Program {
    /// A program without an environment.
    pub fn new(code: impl Into<String>) -> Self {
        Step::run(code).into()
    }

    /// The same after an environment.
    #[must_use]
    pub fn after(self, env: Environment) -> Self {
        Self { env: Some(env), ..self }
    }

    /// The same with files, which the environment finds too.
    #[must_use]
    pub fn with_files(self, files: Files) -> Self {
        Self { files, ..self }
    }
}

impl From<Step> for Program {
    fn from(step: Step) -> Self {
        Self { env: None, step, files: Files::default() }
    }
}

/// Compiles or loads the guest now; `metered` for runs with a fuel limit. Seconds once per machine, milliseconds later.
pub fn prepare(guest: Guest, metered: bool) -> Result<(), Error> {
    let (runtime, variant) = (Runtime::get(), Variant { guest, metered });
    let kit = runtime.kit(variant)?;
    if Tracking::available().is_empty() {
        kit.pool.retire(&runtime, variant, None);
    }
    Ok(())
}

/// Deletes a guest's file, compiled code and image.
pub fn forget(guest: Guest) -> Result<(), Error> {
    engine::forget(guest).map_err(|error| Error::Sandbox(format!("the guest cannot be removed: {error}")))
}

/// Whether a run would start without compiling the guest.
pub fn is_compiled(guest: Guest, metered: bool) -> bool {
    Runtime::get().is_compiled(Variant { guest, metered })
}

/// What happened to the instances of this process so far.
pub fn stats(guest: Guest, metered: bool) -> Result<Stats, Error> {
    Ok(Runtime::get().kit(Variant { guest, metered })?.pool.stats())
}

/// Compares the instances of this process that wait to be used again with the master image: memory, `whole` or only the
/// pages that were ever written, and globals. How many there are, and how many differ, which should always be none.
pub fn check_idle(guest: Guest, metered: bool, whole: bool) -> Result<(usize, usize), Error> {
    Ok(Runtime::get().kit(Variant { guest, metered })?.pool.check_idle(whole))
}

/// Runs a future on this thread, which may belong to anybody; `watch` is called every 50 ms.
pub fn block_on<T>(future: impl Future<Output = T>, watch: impl FnMut()) -> T {
    exec::block_on(future, watch)
}

/// `block_on` for a caller who listens: `watch` is called at every tick (10 ms), and when the future waits for the host.
pub fn block_on_ticks<T>(future: impl Future<Output = T>, watch: impl FnMut()) -> T {
    exec::block_on_at(Duration::ZERO, future, watch)
}

/// Runs a step on the sandbox's threads and passes its result on there. Only so many are under way at a time.
pub fn spawn<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
    done: impl FnOnce(T) + Send + 'static,
) {
    spawn_in(Arc::default(), &Arc::default(), future, done);
}

/// `spawn` for a step that is tied to its caller, whose turn it fills. It does not wait for its turn once `cancel` is set.
pub fn spawn_in<T: Send + 'static>(
    turn: Arc<Turn>,
    cancel: &Arc<AtomicBool>,
    future: impl Future<Output = T> + Send + 'static,
    done: impl FnOnce(T) + Send + 'static,
) {
    let runtime = Runtime::get();
    let (inside, cancel) = (Arc::clone(&runtime), Arc::clone(cancel));
    let work = async move {
        turn.begin(&inside, || cancel.load(Ordering::Relaxed)).await;
        let result = future.await;
        turn.end();
        done(result);
    };
    runtime.threads.spawn(work).detach();
}

/// Runs programs, each in an instance that is like new. Cheap to clone; usable from any thread and after a fork.
#[derive(Debug, Clone, Default)]
pub struct Sandbox {
    limits: Limits,
    origin: Origin,
    isolation: Isolation,
    guest: Guest,
    grant: Option<Arc<Grant>>,
    ties: Ties,
    files: Files,
}

impl Sandbox {
    /// A sandbox with these limits; `seed` decides `random`, `os.urandom`, `uuid4` and the like.
    pub fn new(limits: Limits, seed: u64) -> Result<Self, Error> {
        limits.validate()?;
        Ok(Self { limits, origin: Origin { seed, ..Origin::default() }, ..Self::default() })
    }

    /// The same with another isolation. `Reset` is refused where the kernel cannot do it.
    pub fn isolated(mut self, isolation: Isolation) -> Result<Self, Error> {
        if let Isolation::Reset(way) = isolation
            && !Tracking::available().contains(&way)
        {
            return Err(Error::Sandbox(format!("this kernel, or this container, does not support {way:?} tracking")));
        }
        self.isolation = isolation;
        Ok(self)
    }

    /// The same with the guest's clock starting at that time, seconds since 1970.
    #[must_use]
    pub fn clocked(mut self, epoch_s: u64) -> Self {
        self.origin.epoch_s = epoch_s;
        self
    }

    /// The same with another guest. Refused where the limit of memory is less than a new instance of it has.
    pub fn with_guest(mut self, guest: Guest) -> Result<Self, Error> {
        let least = (guest.memory_bytes() >> 20) + LEAST_FREE_MB;
        if guest != Guest::default() && (self.limits.memory_mb as usize) < least {
            let message = format!("memory_mb must be at least {least} for this guest, not {}", self.limits.memory_mb);
            return Err(Error::Input(message));
        }
        self.guest = guest;
        Ok(self)
    }

    /// The same with files that each run, and each session, finds.
    #[must_use]
    pub fn with_files(mut self, files: Files) -> Self {
        self.files = files;
        self
    }

    /// The same whose programs may call functions of the host.
    #[must_use]
    pub fn granting(mut self, grant: Grant) -> Self {
        self.grant = Some(Arc::new(grant));
        self
    }

    /// The same whose runs are tied to their caller.
    #[must_use]
    pub fn tied(mut self, ties: Ties) -> Self {
        self.ties = ties;
        self
    }

    /// Runs one program on this thread.
    pub fn run(&self, program: &Program) -> Result<Outcome, Error> {
        let cancel = Arc::default();
        exec::block_on(self.start(program, &cancel), || {})
    }

    /// Runs one program; `cancel` stops it at the next tick (10 ms).
    pub async fn start(&self, program: &Program, cancel: &Arc<AtomicBool>) -> Result<Outcome, Error> {
        let began = Instant::now();
        let runtime = Runtime::get();
        let (mut lease, loaded) = self.take(&runtime, program.env.as_ref(), &program.files, cancel).await?;
        let mut outcome = match loaded {
            Some(outcome) if !outcome.ok() => {
                self.ties.pass(&outcome);
                outcome
            }
            loaded => {
                let before = loaded.unwrap_or_default();
                lease.slot.tie(self.grant.as_ref(), &self.ties.after(before.calls.len()));
                let outcome = lease.slot.act(program.step.action(), &self.limits, cancel).await;
                outcome.preceded(before.calls, before.reproducible)
            }
        };
        outcome.wall_ms = milliseconds(began);
        runtime.kit(self.variant())?.pool.give(&runtime, self.variant(), lease);
        Ok(outcome)
    }

    /// An instance that keeps its globals from step to step. It starts with the first one.
    pub fn session(&self) -> Session {
        Session::new(self, None)
    }

    /// A session that goes on from a saved state.
    pub fn restore(&self, state: Arc<State>) -> Session {
        Session::new(self, Some(state))
    }

    fn variant(&self) -> Variant {
        Variant { guest: self.guest, metered: self.limits.fuel.is_some() }
    }

    /// An instance that is seeded and has run the environment; with the outcome, where that failed or called the host.
    async fn take(
        &self,
        runtime: &Runtime,
        env: Option<&Environment>,
        files: &Files,
        cancel: &Arc<AtomicBool>,
    ) -> Result<(Lease, Option<Outcome>), Error> {
        let kit = runtime.kit(self.variant())?;
        let failed = |e: wasmtime::Error| Error::Sandbox(format!("cannot start an instance of the guest: {e:#}"));
        let files = self.files.with(files)?;
        let mut lease = kit.pool.take(kit, self.isolation).await?;
        // Most environments ask for no file: then the state after them is the same with any files.
        let start = Start::new(env, self.origin, &self.limits, self.grant.as_ref());
        if let Some(state) = kit.pool.state(&start) {
            lease.slot.load(&state).map_err(failed)?;
            lease.slot.mount(&files);
            return Ok((lease, None));
        }
        let reading = start.reading(files.clone());
        if env.is_some()
            && let Some(state) = kit.pool.state(&reading)
        {
            lease.slot.load(&state).map_err(failed)?;
            return Ok((lease, None));
        }
        lease.slot.start(self.origin, &self.limits).await.map_err(failed)?;
        if let Some(grant) = &self.grant {
            lease.slot.grant(&grant.names).await.map_err(failed)?;
        }
        lease.slot.mount(&files);
        if let Some(env) = env {
            lease.slot.tie(self.grant.as_ref(), &Ties { listener: None, ..self.ties.clone() });
            let action = Action::Load { source: &env.source, filename: &env.filename };
            let outcome = lease.slot.act(action, &self.limits, cancel).await;
            // What the host answered may be different next time.
            if !outcome.ok() || !outcome.calls.is_empty() {
                return Ok((lease, Some(outcome)));
            }
        }
        let start = if lease.slot.has_read() { reading } else { start };
        if self.isolation != Isolation::Fresh && kit.pool.is_worth_saving(&start) {
            let state = lease.slot.save();
            kit.pool.keep(start, state);
        }
        Ok((lease, None))
    }

    /// An instance in a saved state.
    async fn take_at(&self, runtime: &Runtime, state: &State) -> Result<Lease, Error> {
        let kit = runtime.kit(self.variant())?;
        let mut lease = kit.pool.take(kit, self.isolation).await?;
        lease.slot.load(state).map_err(|e| Error::Sandbox(format!("cannot restore the state: {e:#}")))?;
        Ok(lease)
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
