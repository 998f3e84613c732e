//! One file per tool-call format.

pub mod hermes;
