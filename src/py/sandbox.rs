//! `Sandbox` and `Session` for Python. `mentor.sandbox` wraps them; nothing else should use them.

use super::raise;
use crate::sandbox::{self, GUEST_SHA256, Limits, Outcome, Pending, Program, Step};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How often a waiting call looks for Ctrl-C.
const SIGNALS: Duration = Duration::from_millis(50);

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("GUEST_SHA256", GUEST_SHA256)?;
    module.add_class::<Sandbox>()?;
    module.add_class::<Session>()?;
    module.add_function(wrap_pyfunction!(sandbox_prepare, module)?)?;
    module.add_function(wrap_pyfunction!(sandbox_is_compiled, module)?)
}

/// Waits without the GIL; Ctrl-C cancels the run. `watch` is called with the GIL after each interval.
fn wait<T: Send>(py: Python<'_>, pending: Pending<T>, watch: impl Fn() -> PyResult<()>) -> PyResult<T> {
    let mut pending = pending;
    loop {
        // A channel is no `Sync`, so it goes into the detached part and comes back.
        let (back, result) = py.detach(move || {
            let result = pending.wait_for(SIGNALS);
            (pending, result)
        });
        pending = back;
        match result {
            Some(result) => return result.map_err(|error| raise(py, &error)),
            None => {
                if let Err(interrupt) = py.check_signals().and_then(|()| watch()) {
                    pending.cancel();
                    return Err(interrupt);
                }
            }
        }
    }
}

/// `(stdout, stderr, value_json, value_repr, fault, fuel, wall_ms, truncated, reproducible)`; the fault is none or
/// `(kind, type_name, message, traceback)`.
fn wrap(py: Python<'_>, outcome: Outcome) -> PyResult<Bound<'_, PyTuple>> {
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
    )
        .into_pyobject(py)
}

fn program(code: String, env: Option<String>, filename: String) -> Program {
    Program { code, env, filename }
}

/// Compiles or loads the guest.
#[pyfunction]
fn sandbox_prepare(py: Python<'_>, metered: bool) -> PyResult<()> {
    wait(py, sandbox::prepare(metered), || Ok(()))
}

/// Whether the guest can be had without compiling.
#[pyfunction]
fn sandbox_is_compiled(metered: bool) -> bool {
    sandbox::is_compiled(metered)
}

/// Runs programs, each in a fresh instance.
#[pyclass(module = "mentor._core", frozen)]
struct Sandbox(sandbox::Sandbox);

#[pymethods]
impl Sandbox {
    #[new]
    fn new(
        py: Python<'_>,
        timeout_ms: u64,
        memory_mb: u32,
        output_kb: u32,
        fuel: Option<u64>,
        seed: u64,
    ) -> PyResult<Self> {
        let limits = Limits { timeout_ms, memory_mb, output_kb, fuel };
        sandbox::Sandbox::new(limits, seed).map(Self).map_err(|error| raise(py, &error))
    }

    fn run<'py>(
        &self,
        py: Python<'py>,
        code: String,
        env: Option<String>,
        filename: String,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let outcome = wait(py, self.0.submit(program(code, env, filename)), || Ok(()))?;
        wrap(py, outcome)
    }

    fn run_batch<'py>(
        &self,
        py: Python<'py>,
        codes: Vec<String>,
        env: Option<&str>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let total = codes.len();
        let programs =
            codes.into_iter().map(|code| program(code, env.map(str::to_owned), "<code>".to_owned())).collect();
        let done = Arc::new(AtomicUsize::new(0));
        let pending = self.0.submit_batch(programs, Arc::clone(&done));
        let report = |count: usize| match progress {
            Some(progress) => progress.call1((count, total)).map(|_| ()),
            None => Ok(()),
        };
        let outcomes = wait(py, pending, || report(done.load(Ordering::Relaxed)))?;
        report(total)?;
        outcomes.into_iter().map(|outcome| wrap(py, outcome)).collect()
    }

    fn session(&self) -> Session {
        Session(self.0.session())
    }
}

/// An instance that keeps its globals.
#[pyclass(module = "mentor._core", frozen)]
struct Session(sandbox::Session);

#[pymethods]
impl Session {
    fn run<'py>(
        &self,
        py: Python<'py>,
        code: String,
        env: Option<String>,
        filename: String,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let outcome = wait(py, self.0.submit(Step::Run(program(code, env, filename))), || Ok(()))?;
        wrap(py, outcome)
    }

    fn call<'py>(&self, py: Python<'py>, name: String, arguments: String) -> PyResult<Bound<'py, PyTuple>> {
        let outcome = wait(py, self.0.submit(Step::Call { name, arguments }), || Ok(()))?;
        wrap(py, outcome)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}
