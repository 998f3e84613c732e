//! Waiting guests that want to be woken at the next tick, to see whether they may wait on.

use std::sync::{Mutex, PoisonError};
use std::task::Waker;

/// Those who wait; belongs to a process, whose engines' tickers wake them.
#[derive(Debug, Default)]
pub(super) struct Ticks(Mutex<Vec<Waker>>);

impl Ticks {
    /// Wakes it at the next tick (10 ms), once.
    pub fn wait(&self, waker: &Waker) {
        let mut wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    /// Wakes all.
    pub fn tick(&self) {
        let wakers = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().for_each(Waker::wake);
    }
}
