//! `WasmTools` for Python. `mentor.tools.wasm` wraps it; nothing else should use it.

use super::raise;
use super::sandbox::{Handle, finish, is_main_thread, wait, wrap};
use crate::error::Error;
use crate::sandbox::wasm_tools::{self, Limits};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<WasmTools>()
}

/// The functions of a WebAssembly file.
#[pyclass(module = "mentor._core", frozen)]
struct WasmTools(wasm_tools::WasmTools);

#[pymethods]
impl WasmTools {
    #[new]
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general enough")]
    fn new(
        py: Python<'_>,
        bytes: &[u8],
        timeout_ms: u64,
        memory_mb: u32,
        output_kb: u32,
        fuel: Option<u64>,
        seed: u64,
    ) -> PyResult<Self> {
        // No files: these tools have no file system.
        let limits = Limits { timeout_ms, memory_mb, output_kb, fuel, files_kb: 0 };
        let mut interrupt = None;
        let made = py.detach(|| {
            let mut watch = || {
                if is_main_thread()
                    && let Err(error) = Python::attach(|py| py.check_signals())
                {
                    interrupt = Some(error);
                    return Err(Error::Sandbox("compiling was interrupted".to_owned()));
                }
                Ok(())
            };
            wasm_tools::WasmTools::watched(bytes, limits, seed, &mut watch)
        });
        match interrupt {
            Some(error) => Err(error),
            None => made.map(Self).map_err(|error| raise(py, &error)),
        }
    }

    /// The functions, and the exports that are none, as JSON.
    fn describe(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.0.describe()).map(|json| json.to_string()).map_err(|error| raise(py, &error))
    }

    /// Calls a function with a JSON object of arguments, in a new instance.
    fn call<'py>(&self, py: Python<'py>, name: &str, arguments: &str) -> PyResult<Bound<'py, PyTuple>> {
        let cancel = Arc::default();
        let outcome = wait(py, &cancel, self.0.start(name, arguments, &cancel), false, || Ok(()))?;
        wrap(py, outcome)
    }

    /// Calls many on all cores.
    fn call_batch<'py>(&self, py: Python<'py>, calls: Vec<(String, String)>) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let cancel = Arc::<AtomicBool>::default();
        let batch = self.0.start_batch(calls, Arc::new(AtomicUsize::new(0)), &cancel);
        let outcomes = wait(py, &cancel, batch, false, || Ok(()))?;
        outcomes.into_iter().map(|outcome| wrap(py, outcome)).collect()
    }

    /// Starts a call in the background; `done(outcome, error)` is called on another thread.
    fn spawn(&self, name: String, arguments: String, done: Py<PyAny>) -> Handle {
        let (tools, cancel) = (self.0.clone(), Arc::<AtomicBool>::default());
        let inside = Arc::clone(&cancel);
        let call = async move { tools.start(&name, &arguments, &inside).await };
        crate::sandbox::spawn(call, move |result| finish(&done, result));
        Handle(cancel)
    }
}
