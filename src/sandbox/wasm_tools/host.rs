//! The host's side of one call: the sandbox's world, and bounds over all memories and tables of an instance.

use crate::sandbox::host::{Host, World};
use crate::sandbox::limits::{Limits, MOST_FUEL};
use crate::sandbox::meter::Meter;
use crate::sandbox::slot::Origin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use wasmtime::{Engine, ResourceLimiter, Result, Store, bail};

const MOST_MEMORIES: usize = 16;
const MOST_TABLES: usize = 64;
const MOST_INSTANCES: usize = 256;
/// Elements of all tables.
const MOST_ELEMENTS: usize = 1_000_000;

/// Functions that a file may import. WASI 0.2 has some 200.
pub(super) const MOST_IMPORTS: usize = 2_000;

pub(super) struct Side {
    pub host: Host,
    /// Bytes of all memories.
    memory: usize,
    elements: usize,
}

impl Side {
    /// Ends a call that printed more than it may: it has no value any more.
    pub fn check_output(&self) -> Result<()> {
        if self.host.truncated {
            bail!("too much output");
        }
        Ok(())
    }
}

impl ResourceLimiter for Side {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        let allowed = total <= self.host.memory_limit;
        if allowed {
            self.memory = total;
        }
        self.host.memory_denied |= !allowed;
        Ok(allowed)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let total = self.elements.saturating_add(desired.saturating_sub(current));
        let allowed = total <= MOST_ELEMENTS;
        if allowed {
            self.elements = total;
        }
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        MOST_INSTANCES
    }

    fn tables(&self) -> usize {
        MOST_TABLES
    }

    fn memories(&self) -> usize {
        MOST_MEMORIES
    }
}

/// How much a call may copy to the host: values of a list take up to this many times the bytes of their JSON.
fn room(limits: &Limits) -> usize {
    limits.output_bytes().saturating_mul(48).clamp(1 << 20, 1 << 30)
}

/// A store for one call, whose time runs from now.
pub(super) fn store(
    engine: &Engine,
    meter: &Arc<Meter>,
    limits: &Limits,
    origin: Origin,
    cancel: &Arc<AtomicBool>,
) -> Result<Store<Side>> {
    let mut host = Host::new(Arc::clone(meter));
    host.world = World { epoch_s: origin.epoch_s, random: origin.seed, ..World::default() };
    host.output_left = limits.output_bytes();
    host.memory_limit = limits.memory_bytes();
    let mut store = Store::new(engine, Side { host, memory: 0, elements: 0 });
    store.limiter(|side| side);
    store.epoch_deadline_callback(|mut cx| cx.data_mut().host.tick());
    store.set_epoch_deadline(1);
    store.set_hostcall_fuel(room(limits));
    if let Some(fuel) = limits.fuel {
        store.set_fuel(fuel.min(MOST_FUEL) + 1)?;
    }
    meter.start(limits.timeout(), cancel);
    Ok(store)
}
