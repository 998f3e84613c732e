//! Threads with stacks that are large enough for guests.
//!
//! A caller's thread may have as little as 8 MB, CPython in a guest needs more for deep recursion. Threads are made when
//! all others are busy, so that a guest that runs to its timeout does not hold up other callers.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Must exceed `engine::WASM_STACK`; only touched pages cost memory.
const STACK: usize = 32 << 20;
const MOST: usize = 64;
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
}

/// A growing set of worker threads.
#[derive(Default)]
pub(crate) struct Workers {
    queue: Mutex<Queue>,
    ready: Condvar,
}

impl Workers {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Jobs run outside the lock, so a poisoned queue is still in order.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the job soon, on a thread of its own where all are busy.
    pub fn spawn(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.lock();
        queue.jobs.push_back(Box::new(job));
        if queue.jobs.len() > queue.idle && queue.threads < MOST {
            let workers = Arc::clone(self);
            let builder = std::thread::Builder::new().name("mentor-sandbox".to_owned()).stack_size(STACK);
            if builder.spawn(move || workers.work()).is_ok() {
                queue.threads += 1;
            }
        }
        drop(queue);
        self.ready.notify_one();
    }

    fn work(&self) {
        let keep = cores();
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                // A panic is reported where the job's channel closes; the thread lives on.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
                queue = self.lock();
                continue;
            }
            queue.idle += 1;
            let (back, waited) = self.ready.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner);
            queue = back;
            queue.idle -= 1;
            if waited.timed_out() && queue.jobs.is_empty() && queue.threads > keep {
                queue.threads -= 1;
                return;
            }
        }
    }
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
