//! Threads that run Python for guests: functions of the host, listeners. They hold the GIL only while they have work.
//!
//! The threads are Python's, and nothing of this crate lies below the work on their stacks: one that works while the
//! interpreter ends is ended by it, and that must not unwind through Rust.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Enough that functions which wait for a network do not wait for each other.
const MOST_THREADS: usize = 64;
/// How long a thread waits for work before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// A callable and its arguments; none where there is nothing to do any more.
type Job = Box<dyn FnOnce(Python<'_>) -> PyResult<Option<Work>> + Send>;
type Work = (Py<PyAny>, Py<PyTuple>);

/// What a job is withdrawn by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl Ticket {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<(Ticket, Job)>,
    threads: usize,
    idle: usize,
}

/// The threads of one process. They do not keep it alive.
struct Pool {
    home: u32,
    queue: Mutex<Queue>,
    work: Condvar,
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(sandbox_work, module)?)
}

/// Has something called soon, on a thread of this process. Needs no GIL, and waits for nothing.
pub(super) fn submit(job: impl FnOnce(Python<'_>) -> PyResult<Option<Work>> + Send + 'static) {
    submit_as(Ticket::new(), job);
}

/// `submit`, under a new ticket.
pub(super) fn submit_as(ticket: Ticket, job: impl FnOnce(Python<'_>) -> PyResult<Option<Work>> + Send + 'static) {
    let pool = Pool::get();
    let mut queue = pool.lock();
    queue.jobs.push_back((ticket, Box::new(job)));
    if queue.jobs.len() <= queue.idle {
        drop(queue);
        pool.work.notify_one();
    } else if queue.threads < MOST_THREADS {
        queue.threads += 1;
        drop(queue);
        // Starting a thread of Python needs the GIL, which who submits must not wait for.
        let inside = Arc::clone(&pool);
        let thread = std::thread::Builder::new().name("mentor-host".to_owned());
        let spawned = thread.spawn(move || {
            let started = Python::try_attach(|py| {
                let serve = py.import("mentor.sandbox.functions")?.getattr("serve")?;
                py.import("_thread")?.call_method1("start_new_thread", (serve, PyTuple::empty(py))).map(|_| ())
            });
            if !matches!(started, Some(Ok(()))) {
                inside.lock().threads -= 1;
            }
        });
        if spawned.is_err() {
            // The job waits for a thread that there is already; with none at all, its guest waits for its time limit.
            pool.lock().threads -= 1;
        }
    }
}

/// Forgets a job that no thread has begun with, and all that it holds: while every thread is stuck, jobs would pile up.
pub(super) fn withdraw(ticket: Ticket) {
    let pool = Pool::get();
    let mut queue = pool.lock();
    let place = queue.jobs.iter().position(|(other, _)| *other == ticket);
    let job = place.and_then(|place| queue.jobs.remove(place));
    drop(queue);
    // What it holds may do anything as it goes, but not under the lock.
    drop(job);
}

/// Waits for work: a callable and its arguments. None when there was none for a while, and the thread is to end.
#[pyfunction]
fn sandbox_work(py: Python<'_>) -> PyResult<Option<Work>> {
    let pool = Pool::get();
    loop {
        match py.detach(|| pool.take()) {
            None => return Ok(None),
            Some(job) => {
                if let Some(work) = job(py)? {
                    return Ok(Some(work));
                }
            }
        }
    }
}

impl Pool {
    fn get() -> Arc<Self> {
        static CURRENT: Mutex<Option<Arc<Pool>>> = Mutex::new(None);
        let home = std::process::id();
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some(pool) if pool.home == home => Arc::clone(pool),
            _ => {
                let pool = Arc::new(Self { home, queue: Mutex::default(), work: Condvar::new() });
                // After a fork the parent's is left as it is: its threads are gone, its locks are unknown.
                std::mem::forget(current.replace(Arc::clone(&pool)));
                pool
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some((_, job)) = queue.jobs.pop_front() {
                return Some(job);
            }
            queue.idle += 1;
            let (again, waited) = self.work.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner);
            queue = again;
            queue.idle -= 1;
            if waited.timed_out() && queue.jobs.is_empty() {
                queue.threads -= 1;
                return None;
            }
        }
    }
}
