//! Teacher-guided rewards and a WebAssembly tool sandbox for distilling tool use into small language models.

pub mod align;
pub mod answer;
pub mod batch;
mod bytes;
pub mod json;
pub mod reward;
pub mod schema;
pub mod tools;
pub mod trajectory;

#[cfg(feature = "sandbox")]
pub mod error;
#[cfg(feature = "sandbox")]
pub mod sandbox;

#[cfg(feature = "python")]
mod py;
