//! The user's own WebAssembly as tools: components and core modules, described by JSON Schemas, called with JSON.
//!
//! Each call runs in a new instance with limits of its own; nothing is kept from call to call.
//!
//! ```
//! use mentor::sandbox::wasm_tools::{Limits, WasmTools};
//!
//! let text = r#"(module (func (export "add") (param i64 i64) (result i64) local.get 0 local.get 1 i64.add))"#;
//! let tools = WasmTools::new(text.as_bytes(), Limits::default(), 0)?;
//! assert_eq!(tools.call("add", r#"{"a": 40, "b": 2}"#)?.value_json.as_deref(), Some("42"));
//! # Ok::<(), mentor::error::Error>(())
//! ```

mod call;
mod component;
mod describe;
mod engine;
mod host;
mod load;
mod module;
mod preview1;
mod preview2;
mod read;
mod schema;
mod source;
mod write;

pub use super::limits::Limits;
pub use describe::{Description, Skipped};

use super::limits::MAX_MEMORY_MB;
use super::{Outcome, exec};
use crate::error::Error;
use engine::Engines;
use load::{Loaded, Spare};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// Tools of one file. Cheap to clone; usable from any thread and after a fork.
#[derive(Clone)]
pub struct WasmTools(Arc<Inner>);

struct Inner {
    wasm: Arc<[u8]>,
    limits: Limits,
    seed: u64,
    spare: Spare,
    /// For this process; after a fork the child loads its own.
    loaded: Mutex<Option<(u32, Arc<Loaded>)>>,
}

impl WasmTools {
    /// Reads a component, a core module, or the text of one, and compiles it, unless that was done before on this machine.
    ///
    /// `limits` are those of one call; `memory_mb` may be less than the guest needs. `seed` decides the random bytes.
    pub fn new(bytes: &[u8], limits: Limits, seed: u64) -> Result<Self, Error> {
        Self::watched(bytes, limits, seed, &mut || Ok(()))
    }

    /// The same; `watch` is called every 50 ms while it compiles, and ends the waiting with an error.
    pub fn watched(
        bytes: &[u8],
        limits: Limits,
        seed: u64,
        watch: &mut dyn FnMut() -> Result<(), Error>,
    ) -> Result<Self, Error> {
        validate(&limits)?;
        let wasm = Arc::from(&*source::binary(bytes)?);
        let inner = Inner { wasm, limits, seed, spare: Spare::new(), loaded: Mutex::new(None) };
        let this = Self(Arc::new(inner));
        this.load(watch)?;
        Ok(this)
    }

    /// The tools, in the order of the file, and what is none.
    pub fn describe(&self) -> Result<Value, Error> {
        let loaded = self.loaded()?;
        let skipped = loaded.skipped.iter().map(|one| json!({"name": one.name, "reason": one.reason}));
        Ok(json!({
            "tools": loaded.tools.iter().map(Description::to_json).collect::<Vec<_>>(),
            "skipped": skipped.collect::<Vec<_>>(),
        }))
    }

    /// Calls a tool on this thread. What goes wrong in it is the outcome's fault.
    pub fn call(&self, name: &str, arguments: &str) -> Result<Outcome, Error> {
        exec::block_on(self.start(name, arguments, &Arc::default()), || {})
    }

    fn loaded(&self) -> Result<Arc<Loaded>, Error> {
        self.load(&mut || Ok(()))
    }

    fn load(&self, watch: &mut dyn FnMut() -> Result<(), Error>) -> Result<Arc<Loaded>, Error> {
        let pid = std::process::id();
        // Never held while something is made: a fork at that moment would leave it locked.
        let current = || self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((owner, loaded)) = &*current()
            && *owner == pid
        {
            return Ok(Arc::clone(loaded));
        }
        let engines = Engines::get();
        let engine = engines.engine(self.0.limits.fuel.is_some())?;
        let loaded = Arc::new(Loaded::new(engine, &self.0.wasm, &self.0.spare, watch)?);
        // After a fork the parent's are left as they are.
        std::mem::forget(current().replace((pid, Arc::clone(&loaded))));
        Ok(loaded)
    }
}

/// As for the guest, which needs more memory than a tool must.
fn validate(limits: &Limits) -> Result<(), Error> {
    if !(1..=MAX_MEMORY_MB).contains(&limits.memory_mb) {
        let given = limits.memory_mb;
        return Err(Error::Input(format!("memory_mb must be between 1 and {MAX_MEMORY_MB}, not {given}")));
    }
    Limits { memory_mb: MAX_MEMORY_MB, ..*limits }.validate()
}
