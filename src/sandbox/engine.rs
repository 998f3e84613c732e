//! What one process needs once: engines, compiled guest, ticker, workers.
//!
//! All of it belongs to a process id. After a fork the child makes its own, because threads do not survive a fork and
//! locks may be held for ever; the parent's copy is never touched there.

use super::cache;
use super::guest::{Exports, Guest};
use super::host::{self, State};
use super::spares::Spares;
use super::workers::Workers;
use crate::error::Error;
use sha2::{Digest as _, Sha256};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, Result, format_err};

/// Length of an epoch: how late a timeout can come.
const TICK: Duration = Duration::from_millis(10);
/// Deep recursion in a program ends as `RecursionError` before this is exhausted.
pub(super) const WASM_STACK: usize = 16 << 20;
const GUEST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest.wasm.zst"));
const INTERFACE: &str = "mentor:guest/runner@0.1.0";

/// SHA-256 of the guest that is built in: results are comparable between equal guests.
pub const GUEST_SHA256: &str = env!("MENTOR_GUEST_SHA256");

/// An engine with the guest compiled for it.
pub(crate) struct Kit {
    pub engine: Engine,
    pub pre: InstancePre<State>,
    pub exports: Exports,
    pub metered: bool,
    pub spares: Spares,
}

impl Kit {
    fn new(metered: bool) -> Result<Self> {
        let engine = Engine::new(&config(metered))?;
        let component = compiled(&engine, metered)?;
        let mut linker = Linker::new(&engine);
        host::link(&mut linker, &component)?;
        let pre = linker.instantiate_pre(&component)?;
        let exports = exports(&component)?;
        let ticking = engine.weak();
        std::thread::Builder::new().name("mentor-epochs".to_owned()).spawn(move || {
            while let Some(engine) = ticking.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })?;
        Ok(Self { engine, pre, exports, metered, spares: Spares::default() })
    }
}

fn exports(component: &Component) -> Result<Exports> {
    let lost = |what: &str| format_err!("the guest exports no {what}: it was built from another guest/wit");
    let interface = component.get_export_index(None, INTERFACE).ok_or_else(|| lost(INTERFACE))?;
    let find = |name| component.get_export_index(Some(&interface), name).ok_or_else(|| lost(name));
    Ok(Exports { prepare: find("prepare")?, start: find("start")?, run: find("run")?, call: find("call")? })
}

fn config(metered: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(metered)
        .max_wasm_stack(WASM_STACK)
        // Unused, as no guest runs asynchronously, but it must not be the smaller one.
        .async_stack_size(WASM_STACK)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false);
    config
}

/// The key of compiled code: guest, wasmtime's version, configuration, CPU.
fn key(engine: &Engine) -> String {
    let mut compatible = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatible);
    let parts = format!("{GUEST_SHA256} {} {:016x}", env!("CARGO_PKG_VERSION"), compatible.finish());
    Sha256::digest(parts.as_bytes()).iter().take(12).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// Compiled code that could not be written to disk, for children of a fork.
static IN_MEMORY: [OnceLock<Vec<u8>>; 2] = [OnceLock::new(), OnceLock::new()];

fn compiled(engine: &Engine, metered: bool) -> Result<Component> {
    if let Some(code) = IN_MEMORY[usize::from(metered)].get() {
        return cache::load_bytes(engine, code);
    }
    let path = cache::path(&key(engine));
    if let Some(component) = path.as_ref().and_then(|path| cache::load(engine, path)) {
        return Ok(component);
    }
    // A pool of its own: after a fork the threads of rayon's global one are gone, and waiting for them never ends.
    let pool = rayon::ThreadPoolBuilder::new().build().map_err(|error| format_err!("no threads: {error}"))?;
    let wasm = zstd::decode_all(GUEST)?;
    let code = pool.install(|| engine.precompile_component(&wasm))?;
    if let Some(path) = path
        && cache::store(&path, &code).is_ok()
        && let Some(component) = cache::load(engine, &path)
    {
        return Ok(component);
    }
    cache::load_bytes(engine, IN_MEMORY[usize::from(metered)].get_or_init(|| code))
}

/// The state of one process.
pub(crate) struct Runtime {
    kits: [OnceLock<std::result::Result<Kit, Error>>; 2],
    pub workers: Arc<Workers>,
}

impl Runtime {
    /// The runtime of this process, made when it is first asked for.
    pub fn get() -> Arc<Self> {
        static CURRENT: Mutex<Option<(u32, Arc<Runtime>)>> = Mutex::new(None);
        let pid = std::process::id();
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some((owner, runtime)) if *owner == pid => Arc::clone(runtime),
            _ => {
                let runtime = Arc::new(Self { kits: Default::default(), workers: Arc::default() });
                // After a fork the parent's runtime is left as it is: its threads are gone, its locks are unknown.
                std::mem::forget(current.replace((pid, Arc::clone(&runtime))));
                runtime
            }
        }
    }

    /// The kit, made on first use: milliseconds from the cache, seconds where the guest must be compiled.
    pub fn kit(&self, metered: bool) -> std::result::Result<&Kit, Error> {
        let made = self.kits[usize::from(metered)].get_or_init(|| {
            Kit::new(metered).map_err(|e| Error::Sandbox(format!("cannot prepare the sandbox's guest: {e:#}")))
        });
        made.as_ref().map_err(Clone::clone)
    }

    /// Whether the kit can be had without compiling.
    pub fn is_compiled(&self, metered: bool) -> bool {
        if self.kits[usize::from(metered)].get().is_some() || IN_MEMORY[usize::from(metered)].get().is_some() {
            return true;
        }
        let Ok(engine) = Engine::new(&config(metered)) else { return false };
        cache::path(&key(&engine)).is_some_and(|path| path.exists())
    }

    /// Makes instances ahead of their use.
    pub fn refill(&self, metered: bool) {
        if let Ok(kit) = self.kit(metered) {
            // An instance that cannot be made now is reported to the caller who needs it.
            kit.spares.fill(|| Guest::new(kit).ok());
        }
    }
}
