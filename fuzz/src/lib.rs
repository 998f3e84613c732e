//! What must hold for every input: one module per fuzz target, each with a `check` that panics where it does not hold.

pub mod align;
pub mod json;
pub mod judge;
pub mod messages;
pub mod score;
pub mod text;
mod trajectory;

/// The two parts of an input, before and after its first NUL byte; all of it and nothing where there is none.
fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}
