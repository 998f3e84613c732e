//! Guests and the state of the process, for `mentor.sandbox`.

use super::raise;
use super::sandbox::name;
use crate::error::Error;
use crate::sandbox::{self, GUEST_SHA256, Guest, Tracking};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("GUEST_SHA256", GUEST_SHA256)?;
    module.add_function(wrap_pyfunction!(sandbox_prepare, module)?)?;
    module.add_function(wrap_pyfunction!(sandbox_is_compiled, module)?)?;
    module.add_function(wrap_pyfunction!(cache_folder, module)?)?;
    module.add_function(wrap_pyfunction!(guest_sources, module)?)?;
    module.add_function(wrap_pyfunction!(guest_build, module)?)?;
    module.add_function(wrap_pyfunction!(guest_hash, module)?)?;
    module.add_function(wrap_pyfunction!(guest_remove, module)?)?;
    module.add_function(wrap_pyfunction!(sandbox_stats, module)?)?;
    module.add_function(wrap_pyfunction!(sandbox_check, module)?)?;
    module.add_function(wrap_pyfunction!(sandbox_isolations, module)?)
}

/// The guest of a file; none for the built-in one.
pub(super) fn guest(path: Option<PathBuf>) -> Result<Guest, Error> {
    path.map_or_else(|| Ok(Guest::default()), |path| Guest::open(&path))
}

/// Compiles or loads the guest.
#[pyfunction]
#[pyo3(signature = (metered, path=None))]
fn sandbox_prepare(py: Python<'_>, metered: bool, path: Option<PathBuf>) -> PyResult<()> {
    py.detach(|| sandbox::prepare(guest(path)?, metered)).map_err(|error| raise(py, &error))
}

/// Whether the guest can be had without compiling.
#[pyfunction]
#[pyo3(signature = (metered, path=None))]
fn sandbox_is_compiled(py: Python<'_>, metered: bool, path: Option<PathBuf>) -> PyResult<bool> {
    guest(path).map(|guest| sandbox::is_compiled(guest, metered)).map_err(|error| raise(py, &error))
}

/// Sources that a guest is built from, by file name.
#[pyfunction]
fn guest_sources() -> Vec<(&'static str, &'static str)> {
    sandbox::SOURCES.to_vec()
}

/// Makes a guest of a component: its hash and its file.
#[pyfunction]
fn guest_build(py: Python<'_>, component: &[u8]) -> PyResult<(String, PathBuf)> {
    py.detach(|| sandbox::build(component)).map_err(|error| raise(py, &error))
}

/// Deletes the file of a guest and what was made of it.
#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // a path is extracted so
fn guest_remove(py: Python<'_>, path: PathBuf) -> PyResult<()> {
    py.detach(|| sandbox::forget(Guest::open(&path)?)).map_err(|error| raise(py, &error))
}

/// Folder of what is made once per machine.
#[pyfunction]
fn cache_folder() -> Option<PathBuf> {
    sandbox::cache::folder()
}

/// Hash of the guest in a file.
#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // a path is extracted so
fn guest_hash(py: Python<'_>, path: PathBuf) -> PyResult<&'static str> {
    py.detach(|| Guest::open(&path)).map(Guest::hash).map_err(|error| raise(py, &error))
}

/// What happened to the instances of this process so far.
#[pyfunction]
#[pyo3(signature = (metered, path=None))]
fn sandbox_stats(py: Python<'_>, metered: bool, path: Option<PathBuf>) -> PyResult<Bound<'_, PyDict>> {
    let stats = py.detach(|| sandbox::stats(guest(path)?, metered)).map_err(|error| raise(py, &error))?;
    let dict = PyDict::new(py);
    for (name, value) in [
        ("made", stats.made),
        ("reset", stats.reset),
        ("checked", stats.checked),
        ("dropped_grown", stats.dropped_grown),
        ("dropped_pages", stats.dropped_pages),
        ("dropped_differing", stats.dropped_differing),
        ("dropped_untracked", stats.dropped_untracked),
        ("idle", stats.idle),
        ("idle_pages", stats.idle_pages),
        ("states", stats.states),
        ("state_bytes", stats.state_bytes),
    ] {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}

/// Compares the instances that wait to be used again with the master image: how many there are, and how many differ.
#[pyfunction]
#[pyo3(signature = (metered, whole, path=None))]
fn sandbox_check(py: Python<'_>, metered: bool, whole: bool, path: Option<PathBuf>) -> PyResult<(usize, usize)> {
    py.detach(|| sandbox::check_idle(guest(path)?, metered, whole)).map_err(|error| raise(py, &error))
}

/// Isolations that this machine can do, the default first.
#[pyfunction]
fn sandbox_isolations() -> Vec<&'static str> {
    Tracking::available().into_iter().map(name).chain(["fresh"]).collect()
}
