//! What one run may use.

use crate::error::Error;
use std::time::Duration;

/// Smallest memory in which the guest starts, MB.
pub const MIN_MEMORY_MB: u32 = 48;
/// Largest memory that 32-bit WebAssembly can address, MB.
pub const MAX_MEMORY_MB: u32 = 4096;

/// Limits of one run; each has a fault kind of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time on a thread, milliseconds, kept to about 10 ms. Default 10,000. Fault: `timeout`.
    pub timeout_ms: u64,
    /// Linear memory of the guest, the interpreter's own included, MB (2^20 bytes). Default 256. Fault: `memory_limit`.
    pub memory_mb: u32,
    /// Bytes of stdout plus stderr, and bytes of the value's JSON, KB (2^10 bytes). Default 256. Fault: `output_limit`.
    pub output_kb: u32,
    /// Bytes that a program may add to its files, names included, KB (2^10 bytes). Default 1,024; 0 for files that can only
    /// be read. Beyond it a program gets an `OSError`.
    pub files_kb: u32,
    /// Deterministic budget in WebAssembly operations; none for no counting. Fault: `out_of_fuel`.
    pub fuel: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout_ms: 10_000, memory_mb: 256, output_kb: 256, files_kb: 1024, fuel: None }
    }
}

impl Limits {
    /// Refuses limits under which nothing could run, or that the guest could not honour.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |message: String| Err(Error::Input(message));
        if self.timeout_ms == 0 || self.timeout_ms > 86_400_000 {
            return refuse(format!("timeout_ms must be between 1 and 86400000 (a day), not {}", self.timeout_ms));
        }
        if !(MIN_MEMORY_MB..=MAX_MEMORY_MB).contains(&self.memory_mb) {
            return refuse(format!(
                "memory_mb must be between {MIN_MEMORY_MB} (the interpreter's own need) and {MAX_MEMORY_MB}, not {}",
                self.memory_mb
            ));
        }
        if self.output_kb == 0 || self.output_kb > 1_048_576 {
            return refuse(format!("output_kb must be between 1 and 1048576 (1 GB), not {}", self.output_kb));
        }
        if self.files_kb > 1_048_576 {
            return refuse(format!("files_kb must be between 0 and 1048576 (1 GB), not {}", self.files_kb));
        }
        if self.fuel.is_some_and(|fuel| fuel == 0 || fuel > MOST_FUEL) {
            return refuse(format!(
                "fuel must be between 1 and {MOST_FUEL}, or none for no budget, not {}",
                self.fuel.unwrap_or(0)
            ));
        }
        Ok(())
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_mb as usize * (1 << 20)
    }

    pub(crate) fn files_bytes(&self) -> usize {
        self.files_kb as usize * (1 << 10)
    }

    pub(crate) fn output_bytes(&self) -> usize {
        self.output_kb as usize * (1 << 10)
    }
}

/// More than any run can use within a day.
pub(crate) const MOST_FUEL: u64 = 1 << 50;
