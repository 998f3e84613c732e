//! The Rust tests, in one binary: linking is slow.

mod answer;
mod dense;
mod exploits;
mod format_properties;
mod formats;
#[cfg(feature = "sandbox")]
mod merge;
#[cfg(feature = "sandbox")]
mod sandbox;
mod score;
mod toolrl;
#[cfg(feature = "sandbox")]
mod wasm_tools;
mod writers;
