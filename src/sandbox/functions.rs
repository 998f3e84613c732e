//! Functions of the host that guests may call: what is granted, what was called, and how an answer comes back.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The JSON of a result, or `Class: message` of what was raised.
pub type Answer = Result<String, String>;

/// What guests may call, and how much of it one step may use.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Names of the functions, sorted.
    pub names: Arc<[String]>,
    /// How long one call may take; then the guest sees a `TimeoutError`.
    pub timeout: Duration,
    /// Calls of one step; further ones are refused.
    pub max_calls: usize,
    /// Bytes of all arguments and results of one step.
    pub max_bytes: usize,
}

/// One call that a guest made, and what it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Name of the function.
    pub name: String,
    /// Positional and keyword arguments as JSON: `[[1], {"x": 2}]`.
    pub arguments: String,
    /// What the guest saw.
    pub answer: Answer,
}

/// The functions themselves.
pub trait Functions: Send + Sync {
    /// Begins a call and returns at once. The answer may come from any thread, at any time, or never.
    fn begin(&self, name: &str, arguments: String, reply: Reply);
}

/// A call that waits, as seen by both sides.
#[derive(Default)]
struct Desk {
    answer: Option<(Answer, Instant)>,
    waker: Option<Waker>,
    abandoned: bool,
    hook: Option<Box<dyn FnOnce() + Send>>,
}

/// Where the answer to one call goes. Only the first counts, and none where the guest does not wait any more.
pub struct Reply(Arc<Mutex<Desk>>);

/// The guest's side of a call.
pub(super) struct Waiting(Arc<Mutex<Desk>>);

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both sides of a call.
pub(super) fn desk() -> (Reply, Waiting) {
    let desk = Arc::<Mutex<Desk>>::default();
    (Reply(Arc::clone(&desk)), Waiting(desk))
}

impl Reply {
    /// Gives the answer.
    pub fn send(&self, answer: Answer) {
        let mut desk = lock(&self.0);
        if desk.answer.is_some() || desk.abandoned {
            return;
        }
        desk.answer = Some((answer, Instant::now()));
        let (waker, hook) = (desk.waker.take(), desk.hook.take());
        drop(desk);
        drop(hook);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_abandoned(&self) -> bool {
        lock(&self.0).abandoned
    }

    /// What to do when the guest does not wait any more; at once, where that is so already.
    pub fn when_abandoned(&self, hook: impl FnOnce() + Send + 'static) {
        let mut desk = lock(&self.0);
        if desk.answer.is_none() && !desk.abandoned {
            desk.hook = Some(Box::new(hook));
        } else if desk.abandoned {
            drop(desk);
            hook();
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.send(Err("RuntimeError: the host dropped this call".to_owned()));
    }
}

impl Waiting {
    /// The answer and when it came, if it did.
    pub fn poll(&self, cx: &Context<'_>) -> Poll<(Answer, Instant)> {
        let mut desk = lock(&self.0);
        if let Some(answer) = desk.answer.take() {
            desk.abandoned = true;
            return Poll::Ready(answer);
        }
        desk.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut desk = lock(&self.0);
        desk.abandoned = true;
        let hook = desk.hook.take();
        drop(desk);
        if let Some(hook) = hook {
            hook();
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn poll(waiting: &Waiting) -> Option<Answer> {
        match waiting.poll(&Context::from_waker(Waker::noop())) {
            Poll::Ready((answer, _)) => Some(answer),
            Poll::Pending => None,
        }
    }

    fn counter() -> (Arc<AtomicUsize>, impl FnOnce() + Send + 'static) {
        let count = Arc::<AtomicUsize>::default();
        let inside = Arc::clone(&count);
        (count, move || {
            inside.fetch_add(1, Ordering::Relaxed);
        })
    }

    #[test]
    fn the_first_answer_counts() {
        let (reply, waiting) = desk();
        assert_eq!(poll(&waiting), None);
        reply.send(Ok("1".to_owned()));
        reply.send(Ok("2".to_owned()));
        assert_eq!(poll(&waiting), Some(Ok("1".to_owned())));
        reply.send(Ok("3".to_owned()));
        assert_eq!(poll(&waiting), None);
    }

    #[test]
    fn a_dropped_reply_is_an_error() {
        let (reply, waiting) = desk();
        drop(reply);
        assert_eq!(poll(&waiting), Some(Err("RuntimeError: the host dropped this call".to_owned())));
    }

    #[test]
    fn who_stops_to_wait_is_noticed_once() {
        let (reply, waiting) = desk();
        let (before, hook) = counter();
        reply.when_abandoned(hook);
        assert!(!reply.is_abandoned());
        drop(waiting);
        let (after, hook) = counter();
        reply.when_abandoned(hook);
        reply.send(Ok("late".to_owned()));
        drop(reply);
        assert_eq!((before.load(Ordering::Relaxed), after.load(Ordering::Relaxed)), (1, 1));
    }

    #[test]
    fn an_answered_call_is_not_abandoned_again() {
        let (reply, waiting) = desk();
        let (count, hook) = counter();
        reply.when_abandoned(hook);
        reply.send(Ok("1".to_owned()));
        drop(waiting);
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }
}
