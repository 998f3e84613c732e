//! An instance that keeps its globals from step to step, its copies, and its saved states.

use super::engine::Runtime;
use super::exec;
use super::outcome::Outcome;
use super::pages::State;
use super::pool::Lease;
use super::ties::Ties;
use super::{Files, Sandbox, Step, milliseconds};
use crate::error::Error;
use async_lock::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// An instance that keeps its globals. Steps from several threads take turns.
#[derive(Debug, Clone)]
pub struct Session {
    sandbox: Sandbox,
    slot: Arc<Mutex<Place>>,
    /// The process that the instance lives in. After a fork the child must not even touch the lock.
    home: u32,
}

/// Where a session is.
struct Place {
    live: Option<Box<Lease>>,
    /// What it goes back to, and starts from; none for the very beginning.
    base: Option<Arc<State>>,
    closed: bool,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self { closed: true, .. } => "Closed",
            Self { live: Some(_), .. } => "Live",
            Self { live: None, .. } => "Waiting",
        })
    }
}

impl Session {
    pub(super) fn new(sandbox: &Sandbox, base: Option<Arc<State>>) -> Self {
        let place = Place { live: None, base, closed: false };
        Self { sandbox: sandbox.clone(), slot: Arc::new(Mutex::new(place)), home: std::process::id() }
    }

    /// The same session, whose steps are tied to their caller.
    #[must_use]
    pub fn tied(&self, ties: Ties) -> Self {
        let mut session = self.clone();
        session.sandbox.ties = ties;
        session
    }

    /// Does one step on this thread and waits for it.
    pub fn act(&self, step: &Step) -> Result<Outcome, Error> {
        let cancel = Arc::default();
        exec::block_on(self.step(step, &cancel), || {})
    }

    /// Does one step; `cancel` stops it at the next tick (10 ms).
    pub async fn step(&self, step: &Step, cancel: &Arc<AtomicBool>) -> Result<Outcome, Error> {
        let began = Instant::now();
        let mut place = self.enter().await?;
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Sandbox("the step was cancelled before it began".to_owned()));
        }
        let slot = &mut self.live(&mut place).await?.slot;
        slot.tie(self.sandbox.grant.as_ref(), &self.sandbox.ties);
        let mut outcome = slot.act(step.action(), &self.sandbox.limits, cancel).await;
        outcome.wall_ms = milliseconds(began);
        Ok(outcome)
    }

    /// Saves the present state, and makes it the one that `rebuild` goes back to.
    pub async fn save(&self) -> Result<Arc<State>, Error> {
        let mut place = self.enter().await?;
        let lease = self.live(&mut place).await?;
        if let Some(kind) = lease.slot.ended {
            let message = format!("this session ended with a fault ({kind}): nothing to save; rebuild it first");
            return Err(Error::Sandbox(message));
        }
        let state = Arc::new(lease.slot.save());
        place.base = Some(Arc::clone(&state));
        Ok(state)
    }

    /// Sessions that go on from the present state, each on its own.
    pub async fn fork(&self, count: usize) -> Result<Vec<Self>, Error> {
        let state = self.save().await?;
        Ok((0..count).map(|_| Self::new(&self.sandbox, Some(Arc::clone(&state)))).collect())
    }

    /// Goes back to the last saved state, or to the beginning; also after a fault that ended the session.
    pub async fn rebuild(&self) -> Result<(), Error> {
        let mut place = self.enter().await?;
        self.leave(&mut place);
        Ok(())
    }

    /// Goes to a saved state.
    pub async fn restore(&self, state: Arc<State>) -> Result<(), Error> {
        let mut place = self.enter().await?;
        self.leave(&mut place);
        place.base = Some(state);
        Ok(())
    }

    /// Paths of its files, sorted.
    pub async fn file_paths(&self) -> Result<Vec<String>, Error> {
        let mut place = self.enter().await?;
        Ok(self.live(&mut place).await?.slot.disk().0.paths())
    }

    /// Content of a file; none where there is none.
    pub async fn read_file(&self, path: &str) -> Result<Option<Arc<Vec<u8>>>, Error> {
        let mut place = self.enter().await?;
        Ok(self.live(&mut place).await?.slot.disk().0.read(path))
    }

    /// Puts a file, or replaces one. It does not count against `files_kb`.
    pub async fn write_file(&self, path: &str, content: Vec<u8>) -> Result<(), Error> {
        let mut place = self.enter().await?;
        let (disk, now) = self.live(&mut place).await?.slot.disk();
        disk.put(path, content, now)
    }

    /// Removes a file; false where there is none.
    pub async fn remove_file(&self, path: &str) -> Result<bool, Error> {
        let mut place = self.enter().await?;
        let (disk, now) = self.live(&mut place).await?.slot.disk();
        Ok(disk.drop_file(path, now))
    }

    /// What ended the session, if anything did.
    pub async fn ended(&self) -> Result<Option<super::FaultKind>, Error> {
        let place = self.enter().await?;
        Ok(place.live.as_ref().and_then(|lease| lease.slot.ended))
    }

    /// Ends the session and frees its instance; later steps are refused.
    pub fn close(&self) {
        if self.is_home() {
            let mut place = exec::block_on(self.slot.lock(), || {});
            self.leave(&mut place);
            place.closed = true;
        }
    }

    fn is_home(&self) -> bool {
        self.home == std::process::id()
    }

    async fn enter(&self) -> Result<MutexGuard<'_, Place>, Error> {
        if !self.is_home() {
            let message = "this session lives in the process that this one was forked from; start a new one here";
            return Err(Error::Sandbox(message.to_owned()));
        }
        let place = self.slot.lock().await;
        if place.closed {
            return Err(Error::Sandbox("this session is closed; start a new one".to_owned()));
        }
        Ok(place)
    }

    async fn live<'a>(&self, place: &'a mut Place) -> Result<&'a mut Lease, Error> {
        let Place { live, base, .. } = place;
        if let Some(lease) = live {
            return Ok(lease);
        }
        let runtime = Runtime::get();
        let lease = match base {
            Some(state) => self.sandbox.take_at(&runtime, state).await?,
            None => self.sandbox.take(&runtime, None, &Files::default(), &Arc::default()).await?.0,
        };
        Ok(live.insert(Box::new(lease)))
    }

    fn leave(&self, place: &mut Place) {
        if let Some(lease) = place.live.take() {
            let runtime = Runtime::get();
            let variant = self.sandbox.variant();
            if let Ok(kit) = runtime.kit(variant) {
                kit.pool.give(&runtime, variant, *lease);
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.is_home() {
            // The instance belongs to the parent: not dropped here.
            std::mem::forget(Arc::clone(&self.slot));
        } else if Arc::strong_count(&self.slot) == 1
            && let Some(mut place) = self.slot.try_lock()
        {
            self.leave(&mut place);
        }
    }
}
