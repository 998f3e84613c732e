//! The world as a guest sees it: a virtual clock, seeded random bytes, two output pipes, and nothing else.
//!
//! Hand-written instead of wasmtime-wasi: there is no file, socket or environment to reach, and the same seed gives the
//! same run. Every other import of the guest traps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType, Val, WasmList,
};
use wasmtime::{ResourceLimiter, Result, StoreContextMut, UpdateDeadline, bail};

/// 2026-01-01T00:00:00Z: where the guest's wall clock starts.
const EPOCH_S: u64 = 1_767_225_600;
/// How far the clock moves when it is read, so that programs that wait for it end.
const READ_NS: u64 = 10_000;
const MAX_RANDOM_BYTES: u64 = 16 << 20;
const MAX_POLLABLES: usize = 1024;
const MAX_TABLE: usize = 100_000;

/// Why the host stopped a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Timeout,
    Cancelled,
    Exit,
}

/// The host's side of one instance.
pub(crate) struct State {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub output_left: usize,
    pub truncated: bool,
    pub memory_limit: usize,
    pub memory_denied: bool,
    pub deadline: Option<Instant>,
    pub cancel: Arc<AtomicBool>,
    pub stop: Option<Stop>,
    clock_ns: u64,
    random: u64,
    pollables: Vec<Option<u64>>,
}

impl State {
    pub fn new() -> Self {
        Self {
            stdout: Vec::new(),
            stderr: Vec::new(),
            output_left: 0,
            truncated: false,
            memory_limit: usize::MAX,
            memory_denied: false,
            deadline: None,
            cancel: Arc::default(),
            stop: None,
            clock_ns: 0,
            random: 0,
            pollables: Vec::new(),
        }
    }

    pub fn seed(&mut self, seed: u64) {
        self.random = seed;
        self.clock_ns = 0;
    }

    /// Asked at every epoch tick: may the guest go on?
    pub fn tick(&mut self) -> Result<UpdateDeadline> {
        if self.cancel.load(Ordering::Relaxed) {
            self.stop = Some(Stop::Cancelled);
            bail!("cancelled");
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.stop = Some(Stop::Timeout);
            bail!("timeout");
        }
        Ok(UpdateDeadline::Continue(1))
    }

    /// Keeps output up to the limit; false once it is reached.
    fn emit(&mut self, fd: u32, bytes: &[u8]) -> bool {
        let kept = bytes.len().min(self.output_left);
        self.output_left -= kept;
        let pipe = if fd == 2 { &mut self.stderr } else { &mut self.stdout };
        pipe.extend_from_slice(&bytes[..kept]);
        self.truncated |= kept < bytes.len();
        !self.truncated
    }

    fn now(&mut self) -> u64 {
        self.clock_ns = self.clock_ns.saturating_add(READ_NS);
        self.clock_ns
    }

    /// `SplitMix64` (Steele, Lea and Flood 2014): deterministic, not for secrets.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        if len > MAX_RANDOM_BYTES {
            bail!("{len} random bytes in one call; the most is {MAX_RANDOM_BYTES}");
        }
        let len = usize::try_from(len)?;
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next_random().to_le_bytes());
        }
        bytes.truncate(len);
        Ok(bytes)
    }

    fn pollable(&mut self, due: u64) -> Result<Resource<Pollable>> {
        let slot = self.pollables.iter().position(Option::is_none).unwrap_or(self.pollables.len());
        if slot >= MAX_POLLABLES {
            bail!("too many pollables");
        }
        if slot == self.pollables.len() {
            self.pollables.push(None);
        }
        self.pollables[slot] = Some(due);
        Ok(Resource::new_own(u32::try_from(slot)?))
    }

    fn due(&self, pollable: &Resource<Pollable>) -> u64 {
        self.pollables.get(pollable.rep() as usize).copied().flatten().unwrap_or(0)
    }

    /// Waiting takes no time: the clock jumps to the earliest of the deadlines.
    fn poll(&mut self, pollables: &[Resource<Pollable>]) -> Vec<u32> {
        let due: Vec<u64> = pollables.iter().map(|p| self.due(p)).collect();
        if let Some(&first) = due.iter().min() {
            self.clock_ns = self.clock_ns.max(first);
        }
        (0u32..).zip(&due).filter(|(_, due)| **due <= self.clock_ns).map(|(i, _)| i).collect()
    }
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let allowed = desired <= self.memory_limit;
        self.memory_denied |= !allowed;
        Ok(allowed)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= MAX_TABLE)
    }
}

struct Pollable;
struct OutputStream;
struct InputStream;
struct StreamFailure;
struct Terminal;
struct Descriptor;

#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

#[derive(ComponentType, Lower, Lift)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<StreamFailure>),
    #[component(name = "closed")]
    Closed,
}

type At<'a> = LinkerInstance<'a, State>;
type Cx<'a> = StoreContextMut<'a, State>;
type Io<T> = (std::result::Result<T, StreamError>,);

/// Defines a resource by its name: interfaces that use one another's resources each name them.
fn resource(at: &mut At<'_>, name: &str) -> Result<()> {
    let kind = match name {
        "pollable" => ResourceType::host::<Pollable>(),
        "output-stream" => ResourceType::host::<OutputStream>(),
        "input-stream" => ResourceType::host::<InputStream>(),
        "error" => ResourceType::host::<StreamFailure>(),
        "descriptor" => ResourceType::host::<Descriptor>(),
        "terminal-input" | "terminal-output" => ResourceType::host::<Terminal>(),
        // Never made.
        _ => return at.resource(name, ResourceType::host::<()>(), |_, _| Ok(())),
    };
    let timed = name == "pollable";
    at.resource(name, kind, move |mut cx, rep| {
        if timed && let Some(slot) = cx.data_mut().pollables.get_mut(rep as usize) {
            *slot = None;
        }
        Ok(())
    })
}

/// Connects the guest's imports.
pub(crate) fn link(linker: &mut Linker<State>, component: &Component) -> Result<()> {
    let engine = linker.engine().clone();
    for (name, item) in component.component_type().imports(&engine) {
        // The guest's parts import one interface in several versions.
        let interface = name.split('@').next().unwrap_or(name);
        let mut at = linker.instance(name)?;
        if let ComponentItem::ComponentInstance(instance) = item.ty {
            for (export, item) in instance.exports(&engine) {
                if let ComponentItem::Resource(_) = item.ty {
                    resource(&mut at, export)?;
                }
            }
        }
        match interface {
            "mentor:guest/host" => {
                at.func_wrap("emit", |mut cx: Cx, (fd, bytes): (u8, WasmList<u8>)| {
                    Ok((emit(&mut cx, u32::from(fd), &bytes),))
                })?;
            }
            "wasi:clocks/monotonic-clock" => monotonic_clock(&mut at)?,
            "wasi:clocks/wall-clock" => wall_clock(&mut at)?,
            "wasi:random/random" => {
                at.func_wrap("get-random-bytes", |mut cx: Cx, (len,): (u64,)| {
                    Ok((cx.data_mut().random_bytes(len)?,))
                })?;
                at.func_wrap("get-random-u64", |mut cx: Cx, (): ()| Ok((cx.data_mut().next_random(),)))?;
            }
            "wasi:io/poll" => poll(&mut at)?,
            "wasi:io/streams" => streams(&mut at)?,
            "wasi:filesystem/preopens" => {
                at.func_wrap("get-directories", |_: Cx, (): ()| Ok((Vec::<(Resource<Descriptor>, String)>::new(),)))?;
            }
            "wasi:sockets/tcp-create-socket" => refuse(&mut at, "create-tcp-socket")?,
            "wasi:sockets/udp-create-socket" => refuse(&mut at, "create-udp-socket")?,
            "wasi:sockets/ip-name-lookup" => refuse(&mut at, "resolve-addresses")?,
            "wasi:sockets/instance-network" => {
                at.func_wrap("instance-network", |_: Cx, (): ()| Ok((Resource::<()>::new_own(0),)))?;
            }
            _ => cli(&mut at, interface)?,
        }
    }
    linker.define_unknown_imports_as_traps(component)
}

/// A process without arguments, environment, input or terminal.
fn cli(at: &mut At<'_>, interface: &str) -> Result<()> {
    match interface {
        "wasi:cli/environment" => {
            at.func_wrap("get-environment", |_: Cx, (): ()| Ok((Vec::<(String, String)>::new(),)))?;
            at.func_wrap("get-arguments", |_: Cx, (): ()| Ok((Vec::<String>::new(),)))?;
            at.func_wrap("initial-cwd", |_: Cx, (): ()| Ok((None::<String>,)))
        }
        "wasi:cli/exit" => {
            at.func_wrap("exit", |mut cx: Cx, (status,): (std::result::Result<(), ()>,)| -> Result<()> {
                cx.data_mut().stop = Some(Stop::Exit);
                let status = if status.is_ok() { "success" } else { "failure" };
                bail!("the program ended its process ({status})")
            })
        }
        "wasi:cli/stdin" => at.func_wrap("get-stdin", |_: Cx, (): ()| Ok((Resource::<InputStream>::new_own(0),))),
        "wasi:cli/stdout" => at.func_wrap("get-stdout", |_: Cx, (): ()| Ok((Resource::<OutputStream>::new_own(1),))),
        "wasi:cli/stderr" => at.func_wrap("get-stderr", |_: Cx, (): ()| Ok((Resource::<OutputStream>::new_own(2),))),
        "wasi:cli/terminal-stdin" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr" => {
            let function = interface.replace("wasi:cli/", "get-");
            at.func_wrap(&function, |_: Cx, (): ()| Ok((None::<Resource<Terminal>>,)))
        }
        _ => Ok(()),
    }
}

/// A socket function that always answers `access-denied`, which Python shows as an `OSError`.
fn refuse(at: &mut At<'_>, function: &str) -> Result<()> {
    at.func_new(function, |mut cx, _, arguments, results| {
        for argument in arguments {
            if let Val::Resource(borrowed) = argument {
                borrowed.resource_drop(&mut cx)?;
            }
        }
        results[0] = Val::Result(Err(Some(Box::new(Val::Enum("access-denied".to_owned())))));
        Ok(())
    })
}

fn emit(cx: &mut Cx, fd: u32, bytes: &WasmList<u8>) -> bool {
    // One byte more than fits, so that `emit` sees the overflow; never more, whatever the guest claims.
    let most = cx.data().output_left + 1;
    let bytes = bytes.as_le_slice(&mut *cx);
    let bytes = bytes[..bytes.len().min(most)].to_vec();
    cx.data_mut().emit(fd, &bytes)
}

fn monotonic_clock(at: &mut At<'_>) -> Result<()> {
    at.func_wrap("now", |mut cx: Cx, (): ()| Ok((cx.data_mut().now(),)))?;
    at.func_wrap("resolution", |_: Cx, (): ()| Ok((READ_NS,)))?;
    at.func_wrap("subscribe-instant", |mut cx: Cx, (due,): (u64,)| Ok((cx.data_mut().pollable(due)?,)))?;
    at.func_wrap("subscribe-duration", |mut cx: Cx, (wait,): (u64,)| {
        let due = cx.data_mut().now().saturating_add(wait);
        Ok((cx.data_mut().pollable(due)?,))
    })
}

fn wall_clock(at: &mut At<'_>) -> Result<()> {
    at.func_wrap("now", |mut cx: Cx, (): ()| {
        let now = cx.data_mut().now();
        let nanoseconds = u32::try_from(now % 1_000_000_000)?;
        Ok((Datetime { seconds: EPOCH_S + now / 1_000_000_000, nanoseconds },))
    })?;
    at.func_wrap("resolution", |_: Cx, (): ()| Ok((Datetime { seconds: 0, nanoseconds: u32::try_from(READ_NS)? },)))
}

fn poll(at: &mut At<'_>) -> Result<()> {
    at.func_wrap("poll", |mut cx: Cx, (list,): (Vec<Resource<Pollable>>,)| Ok((cx.data_mut().poll(&list),)))?;
    at.func_wrap("[method]pollable.block", |mut cx: Cx, (one,): (Resource<Pollable>,)| {
        cx.data_mut().poll(&[one]);
        Ok(())
    })?;
    at.func_wrap("[method]pollable.ready", |cx: Cx, (one,): (Resource<Pollable>,)| {
        Ok((cx.data().due(&one) <= cx.data().clock_ns,))
    })
}

fn streams(at: &mut At<'_>) -> Result<()> {
    type Out = Resource<OutputStream>;
    type In = Resource<InputStream>;
    at.func_wrap("[method]output-stream.check-write", |_: Cx, (_,): (Out,)| Ok::<Io<u64>, _>((Ok(65_536),)))?;
    for name in ["[method]output-stream.write", "[method]output-stream.blocking-write-and-flush"] {
        at.func_wrap(name, |mut cx: Cx, (to, bytes): (Out, WasmList<u8>)| {
            emit(&mut cx, to.rep(), &bytes);
            Ok::<Io<()>, _>((Ok(()),))
        })?;
    }
    for name in ["[method]output-stream.flush", "[method]output-stream.blocking-flush"] {
        at.func_wrap(name, |_: Cx, (_,): (Out,)| Ok::<Io<()>, _>((Ok(()),)))?;
    }
    at.func_wrap("[method]output-stream.subscribe", |mut cx: Cx, (_,): (Out,)| Ok((cx.data_mut().pollable(0)?,)))?;
    at.func_wrap("[method]input-stream.subscribe", |mut cx: Cx, (_,): (In,)| Ok((cx.data_mut().pollable(0)?,)))?;
    for name in ["[method]input-stream.read", "[method]input-stream.blocking-read"] {
        at.func_wrap(name, |_: Cx, (_, _): (In, u64)| Ok::<Io<Vec<u8>>, _>((Err(StreamError::Closed),)))?;
    }
    Ok(())
}
