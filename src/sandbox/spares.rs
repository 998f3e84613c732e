//! Instances made ahead of their use. Each is used once.

use super::engine::Runtime;
use super::guest::Guest;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const TARGET: usize = 4;

/// A small stock of ready instances.
#[derive(Default)]
pub(crate) struct Spares {
    ready: Mutex<Vec<Guest>>,
    filling: AtomicBool,
}

type Make = Arc<dyn Fn() -> Option<Guest> + Send + Sync>;

impl Spares {
    /// A ready instance, if there is one; the stock is filled up in the background by `make`.
    pub fn take(self: &Arc<Self>, runtime: &Runtime, make: Make) -> Option<Guest> {
        let guest = self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if !self.filling.swap(true, Ordering::AcqRel) {
            let spares = Arc::clone(self);
            runtime.workers.spawn(move || spares.fill(&make));
        }
        guest
    }

    fn fill(&self, make: &Make) {
        while self.ready.lock().unwrap_or_else(PoisonError::into_inner).len() < TARGET {
            let Some(guest) = make() else { break };
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(guest);
        }
        self.filling.store(false, Ordering::Release);
    }
}
