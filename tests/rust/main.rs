//! The Rust tests, in one binary: linking is slow.

#[cfg(feature = "sandbox")]
mod sandbox;
mod score;
mod toolrl;
