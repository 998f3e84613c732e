//! The Python binding, module `mentor._core`: converts arguments and results, nothing else.

mod arguments;
mod detail;
#[cfg(feature = "sandbox")]
mod files;
#[cfg(feature = "sandbox")]
mod guests;
mod judge;
#[cfg(feature = "sandbox")]
mod pool;
#[cfg(feature = "sandbox")]
mod sandbox;
mod score;
#[cfg(feature = "sandbox")]
mod ties;
#[cfg(feature = "sandbox")]
mod wasm;

use pyo3::prelude::*;

/// Exceptions are defined in `mentor.errors`, so that they pickle and can be caught without the extension.
#[cfg(feature = "sandbox")]
fn raise(py: Python<'_>, error: &crate::error::Error) -> PyErr {
    use crate::error::Error;
    let class = match error {
        Error::Input(_) => "InputError",
        Error::Sandbox(_) => "SandboxError",
    };
    match py.import("mentor.errors").and_then(|errors| errors.getattr(class)?.call1((error.to_string(),))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(_) => pyo3::exceptions::PyRuntimeError::new_err(error.to_string()),
    }
}

#[pymodule]
#[pyo3(name = "_core")]
fn core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    arguments::register(module)?;
    score::register(module)?;
    judge::register(module)?;
    #[cfg(feature = "sandbox")]
    {
        sandbox::register(module)?;
        files::register(module)?;
        guests::register(module)?;
        pool::register(module)?;
        ties::register(module)?;
        wasm::register(module)?;
    }
    Ok(())
}
