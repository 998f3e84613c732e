//! How long a guest has run. Only time on a thread counts, so that many guests at once do not time each other out.

use super::dirty::thread_faults;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Shared by a guest, who asks whether it may go on, and the host around it.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Nanoseconds of earlier turns.
    spent: AtomicU64,
    /// When the present turn began, nanoseconds since the first use of any meter.
    turn: AtomicU64,
    limit: AtomicU64,
    faults: AtomicU64,
    cancel: std::sync::Mutex<Option<Arc<AtomicBool>>>,
}

fn nanoseconds() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Meter {
    /// Begins anew: the guest may run for `limit`, until `cancel` is set.
    pub fn start(&self, limit: Duration, cancel: &Arc<AtomicBool>) {
        self.spent.store(0, Ordering::Relaxed);
        self.turn.store(nanoseconds(), Ordering::Relaxed);
        self.limit.store(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        *self.cancel.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Arc::clone(cancel));
    }

    pub fn expired(&self) -> bool {
        let turn = nanoseconds().saturating_sub(self.turn.load(Ordering::Relaxed));
        self.spent.load(Ordering::Relaxed).saturating_add(turn) >= self.limit.load(Ordering::Relaxed)
    }

    /// Whether it will have expired once `waited` counts too.
    pub fn expires(&self, waited: Duration) -> bool {
        let waited = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        self.spent.load(Ordering::Relaxed).saturating_add(waited) >= self.limit.load(Ordering::Relaxed)
    }

    /// Counts time that passed elsewhere.
    pub fn spend(&self, waited: Duration) {
        self.spent.fetch_add(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub fn cancelled(&self) -> bool {
        let cancel = self.cancel.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::Relaxed))
    }

    /// Page faults of the threads while they ran the guest, since this was last asked.
    pub fn take_faults(&self) -> u64 {
        self.faults.swap(0, Ordering::Relaxed)
    }
}

/// A future that is metered while it is polled, on whatever thread that is.
pub(super) struct Metered<F> {
    future: F,
    meter: Arc<Meter>,
    count_faults: bool,
}

impl<F: Future + Unpin> Metered<F> {
    pub fn new(future: F, meter: Arc<Meter>, count_faults: bool) -> Self {
        Self { future, meter, count_faults }
    }
}

impl<F: Future + Unpin> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let began = nanoseconds();
        self.meter.turn.store(began, Ordering::Relaxed);
        let before = if self.count_faults { thread_faults() } else { 0 };
        let result = Pin::new(&mut self.future).poll(cx);
        if self.count_faults {
            self.meter.faults.fetch_add(thread_faults() - before, Ordering::Relaxed);
        }
        self.meter.spent.fetch_add(nanoseconds().saturating_sub(began), Ordering::Relaxed);
        result
    }
}
