//! Files that runs find and leave, for `mentor.sandbox`.

use super::raise;
use crate::sandbox;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Files>()?;
    module.add_class::<Changes>()
}

/// Files that programs find.
#[pyclass(module = "mentor._core", frozen)]
pub(super) struct Files(sandbox::Files);

#[pymethods]
impl Files {
    #[new]
    fn new(py: Python<'_>, files: Vec<(String, PyBackedBytes)>) -> PyResult<Self> {
        let files = files.into_iter().map(|(path, content)| (path, content.to_vec()));
        sandbox::Files::new(files).map(Self).map_err(|error| raise(py, &error))
    }
}

impl Files {
    pub(super) fn of(files: Option<&Self>) -> sandbox::Files {
        files.map_or_else(sandbox::Files::default, |files| files.0.clone())
    }
}

/// Files that a run made or changed, sorted by path.
#[pyclass(module = "mentor._core", frozen)]
pub(super) struct Changes(sandbox::Changes);

#[pymethods]
impl Changes {
    fn paths(&self) -> Vec<&str> {
        self.0.iter().map(|(path, _)| path.as_str()).collect()
    }

    /// Content of a file; none where there is none.
    fn read<'py>(&self, py: Python<'py>, path: &str) -> Option<Bound<'py, PyBytes>> {
        let index = self.0.binary_search_by(|(other, _)| other.as_str().cmp(path)).ok()?;
        Some(PyBytes::new(py, &self.0[index].1))
    }

    /// Bytes of paths and contents.
    #[getter]
    fn nbytes(&self) -> usize {
        self.0.iter().map(|(path, content)| path.len() + content.len()).sum()
    }
}

impl Changes {
    pub(super) fn of(changes: sandbox::Changes) -> Option<Self> {
        (!changes.is_empty()).then_some(Self(changes))
    }
}
