//! What ties a step to its caller while it runs: functions to call, answers of an earlier run, a listener, a turn.

use super::engine::Runtime;
use super::functions::{Call, Functions};
use super::outcome::Outcome;
use super::output::{Listener, Stream};
use async_lock::SemaphoreGuardArc;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

/// All of it may be missing.
#[derive(Clone, Default)]
pub struct Ties {
    /// Answers calls of the functions that the sandbox grants.
    pub functions: Option<Arc<dyn Functions>>,
    /// Answers them instead, in this order; a guest that asks anything else is stopped.
    pub replay: Option<Arc<[Call]>>,
    /// Hears the output as it comes.
    pub listener: Option<Arc<dyn Listener>>,
    /// The turn among the steps in the background.
    pub turn: Option<Arc<Turn>>,
}

impl fmt::Debug for Ties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ties")
            .field("functions", &self.functions.is_some())
            .field("replay", &self.replay.as_ref().map(|calls| calls.len()))
            .field("listener", &self.listener.is_some())
            .finish_non_exhaustive()
    }
}

impl Ties {
    /// Passes on all that a step printed before anybody listened.
    pub(super) fn pass(&self, outcome: &Outcome) {
        let Some(listener) = &self.listener else { return };
        for (stream, text) in [(Stream::Stdout, &outcome.stdout), (Stream::Stderr, &outcome.stderr)] {
            if !text.is_empty() {
                listener.hear(stream, text.clone());
            }
        }
    }

    /// The same for a step after another one that has used so many answers.
    pub(super) fn after(&self, used: usize) -> Self {
        let rest = |calls: &Arc<[Call]>| calls[used.min(calls.len())..].into();
        let replay = if used == 0 { self.replay.clone() } else { self.replay.as_ref().map(rest) };
        Self { replay, ..self.clone() }
    }
}

/// A place among the steps that are under way in the background. A guest that waits for a function of the host gives it
/// to another one: else functions that run programs themselves would wait for each other.
#[derive(Debug, Default)]
pub struct Turn(Mutex<Option<SemaphoreGuardArc>>);

impl Turn {
    /// Waits for a place; goes on without one as soon as it is cancelled, which is then what it returns.
    pub(super) async fn begin(&self, runtime: &Runtime, cancelled: impl Fn() -> bool) -> bool {
        let mut permit = pin!(runtime.permits.acquire_arc());
        let permit = poll_fn(|cx| match permit.as_mut().poll(cx) {
            Poll::Ready(permit) => Poll::Ready(Some(permit)),
            Poll::Pending if cancelled() => Poll::Ready(None),
            Poll::Pending => {
                runtime.ticks.wait(cx.waker());
                Poll::Pending
            }
        });
        let permit = permit.await;
        let refused = permit.is_none();
        *self.place() = permit;
        refused
    }

    /// Lets another step go on; whether there was a place to give.
    pub(super) fn end(&self) -> bool {
        self.place().take().is_some()
    }

    fn place(&self) -> MutexGuard<'_, Option<SemaphoreGuardArc>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
