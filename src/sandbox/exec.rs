//! Where guests run: on the caller's thread, or on a few threads that take turns with many of them.
//!
//! A guest runs on a stack of its own and lets go of its thread at every tick (10 ms). So a caller's thread can be small and
//! can look for Ctrl-C in between, and a guest that runs to its timeout shares a thread instead of holding it.

use async_executor::{Executor, Task};
use futures_lite::future;
use std::future::Future;
use std::num::NonZero;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How often a waiting caller's `watch` is called.
const WATCH: Duration = Duration::from_millis(50);

/// Background threads, as many as there are cores.
#[derive(Default)]
pub(super) struct Threads {
    executor: Arc<Executor<'static>>,
    started: OnceLock<()>,
}

impl Threads {
    /// Runs a future in the background; its task can be awaited, and is cancelled when it is dropped.
    pub fn spawn<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Task<T> {
        self.started.get_or_init(|| {
            for _ in 0..cores() {
                let executor = Arc::clone(&self.executor);
                let name = "mentor-sandbox".to_owned();
                // With no thread at all nothing would ever run; one is enough.
                let _ = std::thread::Builder::new()
                    .name(name)
                    .spawn(move || future::block_on(executor.run(future::pending::<()>())));
            }
        });
        self.executor.spawn(future)
    }
}

/// Cores that this process may use.
pub(super) fn cores() -> usize {
    // Asking reads control groups, which takes as long as a small program.
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// Runs a future on this thread. `watch` is called every 50 ms; what to do about what it sees is its own business.
pub(super) fn block_on<T>(future: impl Future<Output = T>, watch: impl FnMut()) -> T {
    block_on_at(WATCH, future, watch)
}

/// `block_on` that calls `watch` whenever the future waits, if `every` has passed since the last time.
pub(super) fn block_on_at<T>(every: Duration, future: impl Future<Output = T>, mut watch: impl FnMut()) -> T {
    let (parker, unparker) = parking::pair();
    let waker = Waker::from(Arc::new(Unpark(unparker)));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let mut watched = Instant::now();
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut cx) {
            return result;
        }
        if watched.elapsed() >= every {
            watch();
            watched = Instant::now();
        }
        parker.park_timeout(WATCH);
    }
}

struct Unpark(parking::Unparker);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
