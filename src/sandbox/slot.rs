//! One instance of the guest: the calls into it, what comes back, and the way back to a new instance.

use super::abi;
use super::calls::Calls;
use super::dirty::{Tracker, Tracking};
use super::faults::{ended, memory_limit, out_of_fuel, output_limit, text, translate};
use super::files::{Disk, Files};
use super::functions::Grant;
use super::host::{EPOCH_S, Host, Stop, World};
use super::image::{Image, PAGE, populate};
use super::limits::{Limits, MOST_FUEL};
use super::meter::{Meter, Metered};
use super::outcome::{Fault, FaultKind, Outcome};
use super::output::Tap;
use super::pages::{PageSet, State};
use super::ties::Ties;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use wasmtime::{
    Engine, Error, Global, Instance, InstancePre, Memory, Result, Store, Trap, TypedFunc, Val, bail, format_err,
};

/// A slot whose programs wrote more pages than this is not worth restoring.
const MOST_PAGES: usize = 1000;
/// More than any start takes, on any machine.
pub(super) const START: Duration = Duration::from_mins(10);
/// Alignment that the guest's allocator is asked for strings.
const STRING: u32 = 1;

/// What to do in a guest.
#[derive(Debug, Clone, Copy)]
pub(super) enum Action<'a> {
    Load { source: &'a str, filename: &'a str },
    Run { source: &'a str, filename: &'a str },
    Call { name: &'a str, arguments: &'a str },
}

/// What every run starts from, beside the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub seed: u64,
    pub epoch_s: u64,
}

impl Default for Origin {
    fn default() -> Self {
        Self { seed: 0, epoch_s: EPOCH_S }
    }
}

type Function = TypedFunc<(u32, u32, u32, u32), u32>;

/// A live instance.
pub(super) struct Slot {
    pub(super) store: Store<Host>,
    pub(super) instance: Instance,
    pub(super) memory: Memory,
    globals: Vec<Global>,
    realloc: Function,
    start: TypedFunc<(u64, u32), ()>,
    after_start: TypedFunc<(), ()>,
    /// Of `load`, `run` and `call`: the function, and what frees its answer.
    actions: [(Function, TypedFunc<u32, ()>); 3],
    image: Arc<Image>,
    pub(super) meter: Arc<Meter>,
    metered: bool,
    max_value: u32,
    tracker: Option<Tracker>,
    /// Pages that were ever written: private copies, restored each time.
    written: PageSet,
    /// Scratch for the tracker's answers.
    found: Vec<Range<usize>>,
    /// Why no further call is possible.
    pub ended: Option<FaultKind>,
    /// How often it was brought back.
    pub resets: u64,
}

/// Why a slot cannot be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Spent {
    /// Its memory grew, which cannot be undone.
    Grown,
    /// It wrote so many pages that a new instance is cheaper.
    Pages,
    /// It differs from the master image although it was restored. Never seen; checked all the same.
    Differs,
    /// The kernel did not say what was written, or there is no way to ask it.
    Untracked,
}

impl Slot {
    /// A new instance.
    pub async fn new(
        engine: &Engine,
        pre: &InstancePre<Host>,
        image: &Arc<Image>,
        metered: bool,
        tracking: Option<Tracking>,
    ) -> Result<Self> {
        let meter = Arc::<Meter>::default();
        let mut store = Store::new(engine, Host::new(Arc::clone(&meter)));
        store.limiter(|host| host);
        store.epoch_deadline_callback(|mut cx| cx.data_mut().tick());
        store.set_epoch_deadline(1);
        if metered {
            store.set_fuel(MOST_FUEL)?;
        }
        meter.start(START, &Arc::default());
        let instance = pre.instantiate_async(&mut store).await?;
        let missing = |what: &str| format_err!("the guest exports no {what}: it was built from another guest/wit");
        let memory = instance.get_memory(&mut store, "memory").ok_or_else(|| missing("memory"))?;
        let mut globals = Vec::new();
        while let Some(global) = instance.get_global(&mut store, &format!("global-{}", globals.len())) {
            globals.push(global);
        }
        let realloc: Function = instance.get_typed_func(&mut store, "realloc")?;
        let mut action = |name: &str| -> Result<_> {
            let after = instance.get_typed_func(&mut store, &format!("post-{name}"))?;
            Ok((instance.get_typed_func(&mut store, name)?, after))
        };
        let actions = [action("load")?, action("run")?, action("call")?];
        let host = store.data_mut();
        (host.memory, host.realloc) = (Some(memory), Some(realloc.clone()));
        let mut slot = Self {
            realloc,
            start: instance.get_typed_func(&mut store, "start")?,
            after_start: instance.get_typed_func(&mut store, "post-start")?,
            actions,
            memory,
            globals,
            instance,
            image: Arc::clone(image),
            meter,
            metered,
            max_value: 0,
            tracker: None,
            written: PageSet::default(),
            found: Vec::new(),
            ended: None,
            resets: 0,
            store,
        };
        if !image.globals.is_empty() {
            slot.set_globals(&Arc::clone(image).globals)?;
        }
        for &page in &image.hot {
            slot.written.insert(page as usize..page as usize + 1);
        }
        let start = memory.data_ptr(&slot.store);
        slot.written.runs().for_each(|run| populate(start, run));
        if let Some(way) = tracking {
            let len = image.bytes().len();
            slot.tracker = Some(Tracker::new(way, start, len)?);
        }
        Ok(slot)
    }

    /// Sets the seed, the clock and the largest value; once, before the first `act`.
    pub async fn start(&mut self, origin: Origin, limits: &Limits) -> Result<()> {
        self.store.data_mut().world = World { epoch_s: origin.epoch_s, random: origin.seed, ..World::default() };
        self.max_value = u32::try_from(limits.output_bytes()).unwrap_or(u32::MAX);
        // The host's own work: no limit of a program may stop it.
        self.meter.start(START, &Arc::default());
        self.admit(limits);
        let (store, start, after) = (&mut self.store, &self.start, &self.after_start);
        let seed = (origin.seed, self.max_value);
        // The guest holds a part of its stack until it is told that its answer was read, also where there is none.
        let call = pin!(async {
            start.call_async(&mut *store, seed).await?;
            after.call_async(&mut *store, ()).await
        });
        Metered::new(call, Arc::clone(&self.meter), self.tracker.is_some()).await
    }

    /// Names the functions of the host that programs may call; after `start`.
    pub async fn grant(&mut self, names: &[String]) -> Result<()> {
        let grant = self.instance.get_typed_func::<(u32, u32), ()>(&mut self.store, "grant")?;
        let after = self.instance.get_typed_func::<(), ()>(&mut self.store, "post-grant")?;
        self.meter.start(START, &Arc::default());
        let (names, meter, tracked) = (names.join("\n"), Arc::clone(&self.meter), self.tracker.is_some());
        let call = pin!(async {
            let names = self.lower(&names).await?;
            grant.call_async(&mut self.store, names).await?;
            after.call_async(&mut self.store, ()).await
        });
        Metered::new(call, meter, tracked).await
    }

    /// Ties what comes next to its caller.
    pub fn tie(&mut self, grant: Option<&Arc<Grant>>, ties: &Ties) {
        let host = self.store.data_mut();
        host.calls = grant.map(|grant| Box::new(Calls::new(Arc::clone(grant), ties.clone())));
        host.tap = ties.listener.as_ref().map(|listener| Box::new(Tap::new(Arc::clone(listener))));
    }

    /// Puts files there, instead of what there was. After `start`, before anything that asks for files.
    pub fn mount(&mut self, files: &Files) {
        self.store.data_mut().world.disk = files.disk();
    }

    /// Whether a program asked for files since `start`.
    pub fn has_read(&self) -> bool {
        self.store.data().world.disk.touched
    }

    /// The files of this instance, and the time there.
    pub fn disk(&mut self) -> (&mut Disk, (u64, u32)) {
        let world = &mut self.store.data_mut().world;
        let now = world.time();
        (&mut world.disk, now)
    }

    /// Sets the limits of what comes next.
    fn admit(&mut self, limits: &Limits) {
        let host = self.store.data_mut();
        host.output_left = limits.output_bytes();
        host.truncated = false;
        host.memory_limit = limits.memory_bytes();
        host.memory_denied = false;
        host.stop = None;
        host.world.disk.room = limits.files_bytes();
        if self.metered {
            // Cannot fail: the engine counts fuel.
            let _ = self.store.set_fuel(MOST_FUEL);
        }
    }

    /// Runs or calls, within the limits. Never fails: what goes wrong is the outcome's fault.
    pub async fn act(&mut self, action: Action<'_>, limits: &Limits, cancel: &Arc<AtomicBool>) -> Outcome {
        let began = Instant::now();
        if let Some(kind) = self.ended {
            return ended(kind);
        }
        self.meter.start(limits.timeout(), cancel);
        self.admit(limits);
        let budget = limits.fuel.unwrap_or(MOST_FUEL);
        let (meter, tracked) = (Arc::clone(&self.meter), self.tracker.is_some());
        let before = Arc::clone(self.store.data().world.disk.tree());
        let mut used = 0;
        let result = {
            let invoke = pin!(self.invoke(action, limits, budget, &mut used));
            Metered::new(invoke, meter, tracked).await
        };
        let host = self.store.data_mut();
        let stdout = text(std::mem::take(&mut host.stdout));
        let stderr = text(std::mem::take(&mut host.stderr));
        let (truncated, denied) = (host.truncated, host.memory_denied);
        let mut exact = !matches!(host.stop, Some(Stop::Timeout | Stop::Cancelled));
        if let Some(mut tap) = host.tap.take() {
            tap.finish();
        }
        let (calls, live) = host.calls.take().map_or_else(Default::default, |calls| (calls.made, calls.live));
        exact &= !live;
        let (value_json, value_repr, fault) = match result {
            Ok(_) if self.metered && used > budget => {
                // Fuel is asked for at loops and calls; what follows the last of them is counted here.
                self.ended = Some(FaultKind::OutOfFuel);
                (None, None, Some(out_of_fuel(limits)))
            }
            Ok(answer) => {
                let (value_json, value_repr, fault) = translate(answer, limits);
                match fault {
                    // What was printed past Python's own streams.
                    None if truncated => (None, None, Some(output_limit(limits))),
                    // CPython reports some failed allocations as an error of its own.
                    Some(fault) if denied && fault.type_name == "SystemError" => {
                        (None, None, Some(Fault { kind: FaultKind::MemoryLimit, ..fault }))
                    }
                    fault => (value_json, value_repr, fault),
                }
            }
            Err(error) => {
                // How deep the host's stack goes depends on the processor's code.
                exact &= !matches!(error.downcast_ref::<Trap>(), Some(Trap::StackOverflow));
                let fault = self.trap(&error, limits);
                self.ended = Some(fault.kind);
                (None, None, Some(fault))
            }
        };
        Outcome {
            stdout,
            stderr,
            value_json,
            value_repr,
            fault,
            fuel: self.metered.then_some(used.min(budget)),
            wall_ms: began.elapsed().as_secs_f64() * 1e3,
            truncated,
            reproducible: exact,
            calls,
            files: self.store.data().world.disk.changes(&before),
        }
    }

    async fn invoke(
        &mut self,
        action: Action<'_>,
        limits: &Limits,
        budget: u64,
        used: &mut u64,
    ) -> Result<abi::Answer> {
        let (number, first, second) = match action {
            // The usual names need not be copied.
            Action::Load { source, filename } => (0, source, if filename == "<env>" { "" } else { filename }),
            Action::Run { source, filename } => (1, source, if filename == "<code>" { "" } else { filename }),
            Action::Call { name, arguments } => (2, name, arguments),
        };
        let (function, after) = self.actions[number].clone();
        let (first_at, first_len) = self.lower(first).await?;
        let (second_at, second_len) = self.lower(second).await?;
        if self.metered {
            self.store.set_fuel(budget + 1)?;
        }
        let result = function.call_async(&mut self.store, (first_at, first_len, second_at, second_len)).await;
        if self.metered {
            *used = budget + 1 - self.store.get_fuel().unwrap_or(0).min(budget + 1);
            self.store.set_fuel(MOST_FUEL)?;
        }
        let at = result?;
        let answer = abi::answer(self.memory.data(&self.store), at, limits.output_bytes())?;
        after.call_async(&mut self.store, at).await?;
        Ok(answer)
    }

    /// Copies a string into the guest.
    async fn lower(&mut self, text: &str) -> Result<(u32, u32)> {
        let Ok(len) = u32::try_from(text.len()) else { bail!("more text than a guest can hold") };
        if len == 0 {
            return Ok((STRING, 0));
        }
        let at = self.realloc.call_async(&mut self.store, (0, 0, STRING, len)).await?;
        let memory = self.memory.data_mut(&mut self.store);
        abi::span_mut(memory, at, text.len())?.copy_from_slice(text.as_bytes());
        Ok((at, len))
    }

    fn trap(&self, error: &Error, limits: &Limits) -> Fault {
        let host = self.store.data();
        let trap = error.downcast_ref::<Trap>();
        match (host.stop, trap) {
            (Some(Stop::Timeout), _) => {
                Fault::new(FaultKind::Timeout, format!("stopped after {} ms (timeout_ms)", limits.timeout_ms))
            }
            (Some(Stop::Cancelled), _) => Fault::new(FaultKind::Cancelled, "cancelled by the host"),
            (Some(Stop::Differs), _) => Fault::new(FaultKind::Replay, error.root_cause().to_string()),
            (Some(Stop::Exit), _) => Fault::new(FaultKind::Trap, error.root_cause().to_string()),
            (None, Some(Trap::OutOfFuel)) => out_of_fuel(limits),
            // Also where what followed, such as the error's own way up, exhausted the stack.
            _ if host.memory_denied => memory_limit(limits),
            (None, Some(trap)) => Fault::new(FaultKind::Trap, trap.to_string()),
            (None, None) => Fault::new(FaultKind::Trap, error.root_cause().to_string()),
        }
    }

    fn set_globals(&mut self, values: &[i32]) -> Result<()> {
        if values.len() != self.globals.len() {
            bail!("{} globals saved, {} in the guest", values.len(), self.globals.len());
        }
        for (global, &value) in self.globals.iter().zip(values) {
            global.set(&mut self.store, Val::I32(value))?;
        }
        Ok(())
    }

    /// The module's written globals.
    pub fn globals(&mut self) -> Vec<i32> {
        let store = &mut self.store;
        self.globals.iter().map(|global| global.get(&mut *store).i32().unwrap_or_default()).collect()
    }

    /// The whole memory.
    pub fn bytes(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    /// Notes which pages were written since the last time.
    fn collect(&mut self) -> std::io::Result<()> {
        let Some(tracker) = &mut self.tracker else { return Err(std::io::ErrorKind::Unsupported.into()) };
        self.found.clear();
        tracker.written(self.meter.take_faults(), &mut self.found)?;
        for pages in self.found.drain(..) {
            self.written.insert(pages);
        }
        Ok(())
    }

    /// Makes it equal to a new instance.
    pub fn reset(&mut self) -> std::result::Result<(), Spent> {
        let len = self.image.bytes().len();
        if self.memory.data_size(&self.store) != len {
            return Err(Spent::Grown);
        }
        self.collect().map_err(|_| Spent::Untracked)?;
        if self.written.len() > MOST_PAGES {
            return Err(Spent::Pages);
        }
        let memory = self.memory.data_mut(&mut self.store);
        for run in self.written.runs() {
            let bytes = run.start * PAGE..run.end * PAGE;
            memory[bytes.clone()].copy_from_slice(&self.image.bytes()[bytes]);
        }
        let image = Arc::clone(&self.image);
        self.set_globals(&image.globals).map_err(|_| Spent::Differs)?;
        let host = self.store.data_mut();
        host.world = World::default();
        host.stdout.clear();
        host.stderr.clear();
        host.stop = None;
        (host.calls, host.tap) = (None, None);
        self.ended = None;
        self.resets += 1;
        Ok(())
    }

    /// Compares a slot that was reset with the image: all of it, or only the pages that the kernel calls private.
    pub fn check(&mut self, whole: bool) -> std::result::Result<(), Spent> {
        let image = Arc::clone(&self.image);
        let equal = if whole {
            self.bytes() == image.bytes()
        } else {
            let Some(tracker) = &mut self.tracker else { return Err(Spent::Untracked) };
            self.found.clear();
            tracker.private(&mut self.found).map_err(|_| Spent::Untracked)?;
            let memory = self.memory.data(&self.store);
            self.found.drain(..).all(|run| {
                let bytes = run.start * PAGE..run.end * PAGE;
                memory[bytes.clone()] == image.bytes()[bytes]
            })
        };
        if equal && self.globals() == image.globals { Ok(()) } else { Err(Spent::Differs) }
    }

    /// Saves what differs from a new instance.
    pub fn save(&mut self) -> State {
        let image = Arc::clone(&self.image);
        let (size, len) = (self.memory.data_size(&self.store), image.bytes().len());
        let tracked = self.collect().is_ok();
        let memory = self.memory.data(&self.store);
        let all = if tracked { len / PAGE..size / PAGE } else { 0..size / PAGE };
        let known = tracked.then(|| self.written.runs()).into_iter().flatten();
        let candidates = known.chain(std::iter::once(all));
        let (runs, data) = State::of(memory, candidates, &image);
        let world = self.store.data().world.clone();
        State { runs, data, size, globals: self.globals(), world, max_value: self.max_value, guest: image.guest }
    }

    /// Brings a new or reset instance into a saved state.
    pub fn load(&mut self, state: &State) -> Result<()> {
        if state.guest != self.image.guest {
            bail!("it was saved with another guest");
        }
        let size = self.memory.data_size(&self.store);
        if state.size > size {
            self.store.data_mut().memory_limit = state.size;
            let pages = (state.size - size).div_ceil(1 << 16) as u64;
            let grown = pin!(self.memory.grow_async(&mut self.store, pages));
            futures_lite::future::block_on(grown)?;
        }
        let memory = self.memory.data_mut(&mut self.store);
        let tracked = self.image.bytes().len() / PAGE;
        let mut data = state.data.as_slice();
        for run in &state.runs {
            let (bytes, rest) = data.split_at(run.len() * PAGE);
            memory[run.start * PAGE..run.end * PAGE].copy_from_slice(bytes);
            data = rest;
            self.written.insert(run.start.min(tracked)..run.end.min(tracked));
        }
        self.max_value = state.max_value;
        self.store.data_mut().world.clone_from(&state.world);
        self.set_globals(&state.globals)
    }

    /// Pages that are private to it.
    pub fn pages(&self) -> usize {
        self.written.len()
    }
}

#[cfg(test)]
#[path = "slot_tests.rs"]
mod tests;
