//! The Rust tests, in one binary: linking is slow.

mod score;
