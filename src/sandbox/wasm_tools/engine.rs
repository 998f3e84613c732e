//! Engines for the users' own WebAssembly, with and without fuel. They belong to a process id, as the guest's do.

use crate::error::Error;
use crate::sandbox::engine::{TICK, config};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use wasmtime::{Engine, Result};

#[derive(Default)]
pub(super) struct Engines([OnceLock<std::result::Result<Engine, Error>>; 2]);

impl Engines {
    /// Those of this process.
    pub fn get() -> Arc<Self> {
        static CURRENT: Mutex<Option<(u32, Arc<Engines>)>> = Mutex::new(None);
        let pid = std::process::id();
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some((owner, engines)) if *owner == pid => Arc::clone(engines),
            _ => {
                let engines = Arc::<Self>::default();
                // After a fork the parent's are left as they are: their tickers are gone.
                std::mem::forget(current.replace((pid, Arc::clone(&engines))));
                engines
            }
        }
    }

    pub fn engine(&self, metered: bool) -> std::result::Result<&Engine, Error> {
        let made = self.0[usize::from(metered)].get_or_init(|| {
            new(metered).map_err(|e| Error::Sandbox(format!("cannot make an engine for WebAssembly tools: {e:#}")))
        });
        made.as_ref().map_err(Clone::clone)
    }
}

fn new(metered: bool) -> Result<Engine> {
    let mut config = config(metered);
    // There is no image of our own to map: wasmtime's do. 64-bit memories and what is not needed stay closed.
    config.memory_init_cow(true).wasm_memory64(false);
    let engine = Engine::new(&config)?;
    let ticking = engine.weak();
    std::thread::Builder::new().name("mentor-epochs".to_owned()).spawn(move || {
        while let Some(engine) = ticking.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(engine)
}
