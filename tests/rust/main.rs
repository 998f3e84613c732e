//! The Rust tests, in one binary: linking is slow.

mod answer;
#[cfg(feature = "sandbox")]
mod sandbox;
mod score;
