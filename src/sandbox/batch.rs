//! Many programs at once.

use super::engine::{LANES, Runtime};
use super::exec::cores;
use super::{Outcome, Program, Sandbox};
use crate::error::Error;
use futures_lite::future::yield_now;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a lane of quick programs keeps its thread.
const TURN: Duration = Duration::from_millis(10);

/// Programs, shared by the lanes that work on them.
struct Batch {
    sandbox: Sandbox,
    programs: Vec<Program>,
    next: AtomicUsize,
    done: Arc<AtomicUsize>,
    cancel: Arc<AtomicBool>,
}

impl Sandbox {
    /// Runs many programs on all cores; results keep the order. `done` counts finished ones; `cancel` stops all.
    pub async fn start_batch(
        &self,
        programs: Vec<Program>,
        done: Arc<AtomicUsize>,
        cancel: &Arc<AtomicBool>,
    ) -> Result<Vec<Outcome>, Error> {
        let runtime = Runtime::get();
        runtime.kit(self.variant())?;
        let count = programs.len();
        let batch = Arc::new(Batch {
            sandbox: self.clone(),
            programs,
            next: AtomicUsize::new(0),
            done,
            cancel: Arc::clone(cancel),
        });
        let results = Arc::new(Mutex::new(vec![None; count]));
        let lanes: Vec<_> = (0..count.min(cores() * LANES))
            .map(|_| {
                let (batch, results) = (Arc::clone(&batch), Arc::clone(&results));
                runtime.threads.spawn(async move { batch.lane(&results).await })
            })
            .collect();
        for lane in lanes {
            lane.await?;
        }
        let results = std::mem::take(&mut *results.lock().unwrap_or_else(PoisonError::into_inner));
        let results: Vec<Outcome> = results.into_iter().flatten().collect();
        if results.len() < count {
            return Err(Error::Sandbox("the batch was cancelled".to_owned()));
        }
        Ok(results)
    }

    /// Runs many programs on all cores and waits for them; results keep the order.
    pub fn run_batch(&self, programs: Vec<Program>) -> Result<Vec<Outcome>, Error> {
        super::block_on(self.start_batch(programs, Arc::default(), &Arc::default()), || {})
    }
}

impl Batch {
    /// Takes programs until none is left.
    async fn lane(&self, results: &Mutex<Vec<Option<Outcome>>>) -> Result<(), Error> {
        let mut turn = Instant::now();
        while !self.cancel.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(program) = self.programs.get(index) else { break };
            let outcome = self.sandbox.start(program, &self.cancel).await?;
            results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(outcome);
            self.done.fetch_add(1, Ordering::AcqRel);
            if turn.elapsed() >= TURN {
                yield_now().await;
                turn = Instant::now();
            }
        }
        Ok(())
    }
}
