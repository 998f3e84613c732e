//! The Rust tests, in one binary: linking is slow.

mod formats;
#[cfg(feature = "sandbox")]
mod sandbox;
mod score;
