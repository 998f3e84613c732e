//! The Python binding, module `mentor._core`: converts arguments and results, nothing else.

#[cfg(feature = "sandbox")]
mod sandbox;

use crate::error::Error;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// Exceptions are defined in `mentor.errors`, so that they pickle and can be caught without the extension.
fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error {
        Error::Input(_) => "InputError",
        Error::Sandbox(_) => "SandboxError",
    };
    match py.import("mentor.errors").and_then(|errors| errors.getattr(class)?.call1((error.to_string(),))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(_) => PyRuntimeError::new_err(error.to_string()),
    }
}

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    #[cfg(feature = "sandbox")]
    sandbox::register(module)?;
    Ok(())
}
