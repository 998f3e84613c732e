//! Turns a component into one core module and an image of its memory.
//!
//! componentize-py links a dozen core modules at instantiation: shared libraries, adapters, shims. Every instance pays for
//! that with table copies and cross-module state. After its pre-initialisation all of it is constant, so it can be linked
//! once: imports between the modules become direct references, globals that nothing writes become constants, and the data
//! segments become one image that instances map copy-on-write. What is left of mutable state is the memory, its size and a
//! few `i32` globals; that is what makes an instance cheap to make and exact to reset.
//!
//! This code also runs in the build script, so it depends on nothing else in the crate.

mod body;
mod component;
mod link;
mod module;

use std::fmt;

/// A component, linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// A core module without data segments. It exports the functions of the interface by their short names, `post-NAME`
    /// for their post-return functions, `realloc`, `malloc`, `free`, `memory`, and each written global as `global-N`.
    pub wasm: Vec<u8>,
    /// What its memory starts with; the rest of the memory is zero.
    pub memory: Vec<u8>,
}

/// Why a component cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeError(String);

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this component cannot become one core module: {}", self.0)
    }
}

impl std::error::Error for MergeError {}

impl MergeError {
    fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<wasmparser::BinaryReaderError> for MergeError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self(error.to_string())
    }
}

/// Links a component whose functions all belong to one exported interface, such as `mentor:guest/runner@0.1.0`.
///
/// # Errors
/// It is no valid component; it has state that could not be reset: a start function, a table that changes, passive
/// segments, more or other written globals than a stack pointer and its like; or it uses what this linker does not know.
pub fn merge(component: &[u8], interface: &str) -> Result<Merged, MergeError> {
    // What follows relies on it: each index leads somewhere.
    wasmparser::Validator::new().validate_all(component)?;
    let parts = component::parse(component)?;
    let modules =
        parts.modules.iter().enumerate().map(|(at, bytes)| module::parse(at, bytes)).collect::<Result<Vec<_>, _>>()?;
    link::link(&parts, &modules, interface)
}
