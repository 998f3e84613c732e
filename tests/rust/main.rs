//! The Rust tests, in one binary: linking is slow.

mod dense;
mod exploits;
#[cfg(feature = "sandbox")]
mod sandbox;
mod score;
mod toolrl;
