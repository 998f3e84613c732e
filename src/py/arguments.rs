//! Arguments of calls, judged by the schemas that scoring uses.

use std::cell::RefCell;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde_json::Value as Tree;

use crate::json::{Doc, Value};
use crate::schema::Schema;

/// A document that took more memory is not kept for the next call.
const MAX_KEPT: usize = 1 << 20;

thread_local! {
    static DOC: RefCell<Doc> = RefCell::default();
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ArgumentSchema>()
}

/// The schema of a tool's arguments, compiled once.
#[pyclass(module = "mentor._core", frozen)]
struct ArgumentSchema {
    schema: Schema,
    normal: String,
}

#[pymethods]
impl ArgumentSchema {
    #[new]
    fn new(json: &str) -> PyResult<Self> {
        let tree: Tree = serde_json::from_str(json).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let schema = Schema::compile(&tree).map_err(PyValueError::new_err)?;
        Ok(Self { schema, normal: Schema::normal(&tree).to_string() })
    }

    /// The schema in JSON Schema's own spelling.
    #[getter]
    fn normal(&self) -> &str {
        &self.normal
    }

    /// Whether the text fits: 0 not, 1 as it is, 2 but it holds numbers with a fraction of zero or beyond all doubles; none if
    /// it is no JSON.
    fn fits(&self, text: &str) -> Option<u8> {
        with(text, |value| if self.schema.fits(value) { 1 + u8::from(has_odd_numbers(value)) } else { 0 })
    }

    /// What is wrong with the text; none if it fits, or is no JSON.
    fn fault(&self, text: &str) -> Option<String> {
        with(text, |value| self.schema.fault(value)).flatten()
    }
}

fn with<T>(text: &str, look: impl FnOnce(Value<'_>) -> T) -> Option<T> {
    DOC.with_borrow_mut(|doc| {
        let result = doc.parse_all(text).ok().map(|id| look(doc.value(id)));
        if doc.size() > MAX_KEPT {
            *doc = Doc::default();
        } else {
            doc.clear();
        }
        result
    })
}

/// Recursion is as deep as the parser allows.
fn has_odd_numbers(value: Value<'_>) -> bool {
    match value {
        Value::Float(number) => number.fract() == 0.0 || !number.is_finite(),
        Value::Big(_) => value.as_f64().is_none_or(f64::is_infinite),
        Value::Array(list) => list.iter().any(has_odd_numbers),
        Value::Object(map) => map.iter().any(|(_, value)| has_odd_numbers(value)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::String(_) => false,
    }
}
