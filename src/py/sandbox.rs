//! `Sandbox` and `Session` for Python. `mentor.sandbox` wraps them; nothing else should use them.

use super::files::{Changes, Files};
use super::guests::guest;
use super::raise;
use super::ties::{Hearing, RawCall, RawTies, wrap_call};
use crate::error::Error;
use crate::sandbox::{self, Environment, Grant, Isolation, Limits, Outcome, Program, Step, Ties, Tracking, Turn};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Sandbox>()?;
    module.add_class::<Session>()?;
    module.add_class::<State>()?;
    module.add_class::<Handle>()
}

/// Runs it on this thread without the GIL. Ctrl-C, or an exception of `watch`, sets `cancel` and is raised when the future
/// has ended.
pub(super) fn wait<T: Send>(
    py: Python<'_>,
    cancel: &AtomicBool,
    future: impl Future<Output = Result<T, Error>> + Send,
    watched: bool,
    watch: impl Fn() -> PyResult<()> + Send + Sync,
) -> PyResult<T> {
    let (result, interrupt) = py.detach(|| {
        let mut interrupt = None;
        let result = sandbox::block_on(future, || {
            if interrupt.is_none()
                && (watched || is_main_thread())
                && let Err(error) = Python::attach(|py| py.check_signals().and_then(|()| watch()))
            {
                cancel.store(true, Ordering::Relaxed);
                interrupt = Some(error);
            }
        });
        (result, interrupt)
    });
    match interrupt {
        Some(error) => Err(error),
        None => result.map_err(|error| raise(py, &error)),
    }
}

/// `wait` for a step that may be listened to: the listener is called on this thread, and what it raises stops the step.
fn wait_hearing<T: Send>(
    py: Python<'_>,
    cancel: &AtomicBool,
    future: impl Future<Output = Result<T, Error>> + Send,
    hearing: Option<Hearing>,
) -> PyResult<T> {
    let Some((inbox, pump)) = hearing else { return wait(py, cancel, future, false, || Ok(())) };
    let mut interrupt = None;
    let result = py.detach(|| {
        sandbox::block_on_ticks(future, || {
            if interrupt.is_none()
                && (is_main_thread() || !inbox.get().is_empty())
                && let Err(error) = Python::attach(|py| py.check_signals().and_then(|()| pump.call0(py).map(|_| ())))
            {
                cancel.store(true, Ordering::Relaxed);
                interrupt = Some(error);
            }
        })
    });
    if let Some(error) = interrupt {
        return Err(error);
    }
    pump.call0(py)?;
    result.map_err(|error| raise(py, &error))
}

/// Whether Python handles signals on this thread. Other threads do not ask: one that waits for the GIL while the interpreter
/// ends would be ended itself, in the middle of a guest.
pub(super) fn is_main_thread() -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: both calls take nothing and cannot fail.
    #[allow(unsafe_code)]
    unsafe {
        libc::gettid() == libc::getpid()
    }
    #[cfg(not(target_os = "linux"))]
    true
}

/// `(stdout, stderr, value_json, value_repr, fault, fuel, wall_ms, truncated, reproducible, calls, files)`; the fault is
/// none or `(kind, type_name, message, traceback)`, the calls may be none, the files are none or `Changes`.
pub(super) fn wrap(py: Python<'_>, outcome: Outcome) -> PyResult<Bound<'_, PyTuple>> {
    let calls = outcome.calls;
    let calls = (!calls.is_empty()).then(|| calls.into_iter().map(wrap_call).collect::<Vec<RawCall>>());
    let fault = outcome.fault.map(|f| (f.kind.as_str(), f.type_name, f.message, f.traceback));
    (
        outcome.stdout,
        outcome.stderr,
        outcome.value_json,
        outcome.value_repr,
        fault,
        outcome.fuel,
        outcome.wall_ms,
        outcome.truncated,
        outcome.reproducible,
        calls,
        Changes::of(outcome.files),
    )
        .into_pyobject(py)
}

/// `(code, filename)` as a tuple, or `(name, arguments, None)` for a call.
#[derive(FromPyObject)]
enum RawStep {
    #[pyo3(transparent)]
    Call((String, String, Option<bool>)),
    #[pyo3(transparent)]
    Run((String, String)),
}

impl From<RawStep> for Step {
    fn from(raw: RawStep) -> Self {
        match raw {
            RawStep::Run((code, filename)) => Self::Run { code, filename },
            RawStep::Call((name, arguments, _)) => Self::Call { name, arguments },
        }
    }
}

fn environment(env: Option<(String, String)>) -> Option<Environment> {
    env.map(|(source, filename)| Environment { source: source.into(), filename: filename.into() })
}

pub(super) fn name(way: Tracking) -> &'static str {
    match way {
        Tracking::Protect => "reset-protect",
        Tracking::Scan => "reset-scan",
    }
}

fn isolation(name: &str) -> Result<Isolation, Error> {
    match name {
        "auto" => Ok(Isolation::Auto),
        "fresh" => Ok(Isolation::Fresh),
        "reset" => Tracking::available().first().map(|&way| Isolation::Reset(way)).ok_or_else(|| {
            Error::Sandbox("this kernel, or this container, cannot tell which pages were written".to_owned())
        }),
        "reset-protect" => Ok(Isolation::Reset(Tracking::Protect)),
        "reset-scan" => Ok(Isolation::Reset(Tracking::Scan)),
        other => Err(Error::Input(format!("isolation must be 'auto', 'reset' or 'fresh', not {other:?}"))),
    }
}

/// Runs programs, each in an instance that is like new.
#[pyclass(module = "mentor._core", frozen)]
struct Sandbox(sandbox::Sandbox);

#[pymethods]
impl Sandbox {
    #[new]
    #[pyo3(signature = (
        timeout_ms, memory_mb, output_kb, files_kb, fuel, seed, clock_s, isolated, path=None, files=None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        timeout_ms: u64,
        memory_mb: u32,
        output_kb: u32,
        files_kb: u32,
        fuel: Option<u64>,
        seed: u64,
        clock_s: u64,
        isolated: &str,
        path: Option<PathBuf>,
        files: Option<&Files>,
    ) -> PyResult<Self> {
        let limits = Limits { timeout_ms, memory_mb, output_kb, files_kb, fuel };
        let made = sandbox::Sandbox::new(limits, seed)
            .map(|sandbox| sandbox.clocked(clock_s).with_files(Files::of(files)))
            .and_then(|sandbox| sandbox.isolated(isolation(isolated)?))
            .and_then(|sandbox| sandbox.with_guest(guest(path)?));
        made.map(Self).map_err(|error| raise(py, &error))
    }

    /// The same whose programs may call functions of the host.
    fn granting(&self, names: Vec<String>, timeout_ms: u64, max_calls: usize, max_kb: usize) -> Self {
        let timeout = Duration::from_millis(timeout_ms);
        Self(self.0.clone().granting(Grant { names: names.into(), timeout, max_calls, max_bytes: max_kb << 10 }))
    }

    #[pyo3(signature = (step, env, ties=None, files=None))]
    fn run<'py>(
        &self,
        py: Python<'py>,
        step: RawStep,
        env: Option<(String, String)>,
        ties: Option<RawTies>,
        files: Option<&Files>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let program = Program { env: environment(env), step: step.into(), files: Files::of(files) };
        let cancel = Arc::default();
        let outcome = match ties {
            None => wait(py, &cancel, self.0.start(&program, &cancel), false, || Ok(()))?,
            Some(ties) => {
                let (ties, hearing) = ties.read();
                let sandbox = self.0.clone().tied(ties);
                wait_hearing(py, &cancel, sandbox.start(&program, &cancel), hearing)?
            }
        };
        wrap(py, outcome)
    }

    #[pyo3(signature = (steps, env, progress, ties=None, files=None))]
    fn run_batch<'py>(
        &self,
        py: Python<'py>,
        steps: Vec<RawStep>,
        env: Option<(String, String)>,
        progress: Option<&Bound<'py, PyAny>>,
        ties: Option<RawTies>,
        files: Option<&Files>,
    ) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let total = steps.len();
        let progress = progress.map(|progress| progress.clone().unbind());
        let (env, files) = (environment(env), Files::of(files));
        let program = |step: RawStep| Program { env: env.clone(), step: step.into(), files: files.clone() };
        let programs = steps.into_iter().map(program).collect();
        let (done, cancel) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let sandbox = tied(&self.0, ties);
        let batch = sandbox.start_batch(programs, Arc::clone(&done), &cancel);
        let report = |count: usize| match &progress {
            Some(progress) => Python::attach(|py| progress.call1(py, (count, total)).map(|_| ())),
            None => Ok(()),
        };
        let outcomes = wait(py, &cancel, batch, progress.is_some(), || report(done.load(Ordering::Relaxed)))?;
        report(total)?;
        outcomes.into_iter().map(|outcome| wrap(py, outcome)).collect()
    }

    /// Starts a step in the background; `done(outcome, error)` is called on another thread.
    #[pyo3(signature = (step, env, done, ties=None, files=None))]
    fn spawn(
        &self,
        step: RawStep,
        env: Option<(String, String)>,
        done: Py<PyAny>,
        ties: Option<RawTies>,
        files: Option<&Files>,
    ) -> Handle {
        let program = Program { env: environment(env), step: step.into(), files: Files::of(files) };
        let (ties, turn) = turn(ties);
        let (sandbox, cancel) = (self.0.clone().tied(ties), Arc::<AtomicBool>::default());
        let inside = Arc::clone(&cancel);
        let work = async move {
            if inside.load(Ordering::Relaxed) {
                Ok(Outcome::cancelled())
            } else {
                sandbox.start(&program, &inside).await
            }
        };
        sandbox::spawn_in(turn, &cancel, work, move |result| finish(&done, result));
        Handle(cancel)
    }

    fn session(&self) -> Session {
        Session(self.0.session())
    }

    fn restore(&self, state: &State) -> Session {
        Session(self.0.restore(Arc::clone(&state.0)))
    }
}

/// The same sandbox, its runs tied.
fn tied(sandbox: &sandbox::Sandbox, ties: Option<RawTies>) -> sandbox::Sandbox {
    sandbox.clone().tied(ties.map(|ties| ties.read().0).unwrap_or_default())
}

/// Ties of a step in the background, and its turn.
fn turn(ties: Option<RawTies>) -> (Ties, Arc<Turn>) {
    let turn = Arc::<Turn>::default();
    let ties = ties.map(|ties| Ties { turn: Some(Arc::clone(&turn)), ..ties.read().0 });
    (ties.unwrap_or_default(), turn)
}

pub(super) fn finish(done: &Py<PyAny>, result: Result<Outcome, Error>) {
    Python::attach(|py| {
        let called = match result {
            Ok(outcome) => wrap(py, outcome).and_then(|outcome| done.call1(py, (outcome, py.None()))),
            Err(error) => done.call1(py, (py.None(), raise(py, &error))),
        };
        if let Err(error) = called {
            error.write_unraisable(py, None);
        }
    });
}

/// A step in the background.
#[pyclass(module = "mentor._core", frozen)]
pub(super) struct Handle(pub(super) Arc<AtomicBool>);

#[pymethods]
impl Handle {
    /// Stops it at its next tick (10 ms).
    fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A saved state of a session.
#[pyclass(module = "mentor._core", frozen)]
struct State(Arc<sandbox::State>);

#[pymethods]
impl State {
    /// Bytes that it holds.
    #[getter]
    fn nbytes(&self) -> usize {
        self.0.bytes()
    }
}

/// An instance that keeps its globals.
#[pyclass(module = "mentor._core", frozen)]
struct Session(sandbox::Session);

#[pymethods]
impl Session {
    #[pyo3(signature = (step, ties=None))]
    fn run<'py>(&self, py: Python<'py>, step: RawStep, ties: Option<RawTies>) -> PyResult<Bound<'py, PyTuple>> {
        let (step, cancel) = (Step::from(step), Arc::default());
        let outcome = match ties {
            None => wait(py, &cancel, self.0.step(&step, &cancel), false, || Ok(()))?,
            Some(ties) => {
                let (ties, hearing) = ties.read();
                let session = self.0.tied(ties);
                wait_hearing(py, &cancel, session.step(&step, &cancel), hearing)?
            }
        };
        wrap(py, outcome)
    }

    /// Starts a step in the background; `done(outcome, error)` is called on another thread.
    #[pyo3(signature = (step, done, ties=None))]
    fn spawn(&self, step: RawStep, done: Py<PyAny>, ties: Option<RawTies>) -> Handle {
        let (ties, turn) = turn(ties);
        let (session, step, cancel) = (self.0.tied(ties), Step::from(step), Arc::<AtomicBool>::default());
        let inside = Arc::clone(&cancel);
        let work = async move { session.step(&step, &inside).await };
        sandbox::spawn_in(turn, &cancel, work, move |result| finish(&done, result));
        Handle(cancel)
    }

    fn save(&self, py: Python<'_>) -> PyResult<State> {
        wait(py, &AtomicBool::new(false), self.0.save(), false, || Ok(())).map(State)
    }

    fn fork(&self, py: Python<'_>, count: usize) -> PyResult<Vec<Self>> {
        let sessions = wait(py, &AtomicBool::new(false), self.0.fork(count), false, || Ok(()))?;
        Ok(sessions.into_iter().map(Self).collect())
    }

    fn restore(&self, py: Python<'_>, state: &State) -> PyResult<()> {
        wait(py, &AtomicBool::new(false), self.0.restore(Arc::clone(&state.0)), false, || Ok(()))
    }

    fn rebuild(&self, py: Python<'_>) -> PyResult<()> {
        wait(py, &AtomicBool::new(false), self.0.rebuild(), false, || Ok(()))
    }

    /// Paths of its files, sorted.
    fn file_paths(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        wait(py, &AtomicBool::new(false), self.0.file_paths(), false, || Ok(()))
    }

    /// Content of a file; none where there is none.
    fn read_file<'py>(&self, py: Python<'py>, path: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let content = wait(py, &AtomicBool::new(false), self.0.read_file(path), false, || Ok(()))?;
        Ok(content.map(|content| PyBytes::new(py, &content)))
    }

    fn write_file(&self, py: Python<'_>, path: &str, content: &[u8]) -> PyResult<()> {
        wait(py, &AtomicBool::new(false), self.0.write_file(path, content.to_vec()), false, || Ok(()))
    }

    /// Whether there was such a file.
    fn remove_file(&self, py: Python<'_>, path: &str) -> PyResult<bool> {
        wait(py, &AtomicBool::new(false), self.0.remove_file(path), false, || Ok(()))
    }

    /// Kind of the fault that ended it, if any did.
    fn ended(&self, py: Python<'_>) -> PyResult<Option<&'static str>> {
        let kind = wait(py, &AtomicBool::new(false), self.0.ended(), false, || Ok(()))?;
        Ok(kind.map(sandbox::FaultKind::as_str))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}
