//! Instances made ahead of their use. Each is used once.

use super::guest::Guest;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many stand ready. Each holds about 2 MB of its own memory.
const TARGET: usize = 4;

/// A small stock of ready instances.
#[derive(Default)]
pub(crate) struct Spares {
    ready: Mutex<Vec<Guest>>,
    filling: AtomicBool,
}

impl Spares {
    /// A ready instance, if there is one.
    pub fn take(&self) -> Option<Guest> {
        self.lock().pop()
    }

    /// Fills the stock. Called when a caller has its answer, so that it costs nobody time; by one thread at a time,
    /// as instances that are made at once hold each other up in the kernel.
    pub fn fill(&self, make: impl Fn() -> Option<Guest>) {
        if self.filling.swap(true, Ordering::AcqRel) {
            return;
        }
        while self.lock().len() < TARGET {
            let Some(guest) = make() else { break };
            self.lock().push(guest);
        }
        self.filling.store(false, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Guest>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
