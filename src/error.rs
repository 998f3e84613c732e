//! The one public error of the crate, and its messages.

use std::fmt;

/// What can go wrong on the host's side.
///
/// Flaws of a model's text are defects, failures of guest code are faults: both are values, not errors.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An argument is unusable; the message names it and says what would do.
    Input(String),
    /// The host side of the sandbox failed: the guest could not be compiled, loaded or started.
    Sandbox(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(message) | Self::Sandbox(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}
