//! The world as a guest sees it: a virtual clock, seeded random bytes, two output pipes, files in memory, and nothing else.
//!
//! Hand-written instead of wasmtime-wasi: there is no file, socket or environment of the host to reach, and the same seed
//! gives the same run. Every other import of the guest traps. The functions have the signatures of the canonical ABI; what a guest
//! passes is a number that may mean anything, so each goes through `Caller::span` or `Caller::put`.

use super::abi;
use super::calls::{self, Calls};
use super::files::{self, Disk};
use super::meter::Meter;
use super::output::{Stream, Tap};
use std::sync::Arc;
use wasmtime::{Caller, ExternType, Linker, Memory, Module, ResourceLimiter, Result, TypedFunc, UpdateDeadline, bail};

/// 2026-01-01T00:00:00Z: where the guest's wall clock starts.
pub(super) const EPOCH_S: u64 = 1_767_225_600;
/// How far the clock moves when it is read, so that programs that wait for it end.
const READ_NS: u64 = 10_000;
const MAX_RANDOM_BYTES: u64 = 16 << 20;
const MAX_POLLABLES: usize = 1024;
const MAX_TABLE: usize = 100_000;
/// Of the error codes of `wasi:sockets`: `access-denied`, which Python shows as an `OSError`.
const ACCESS_DENIED: u8 = 1;

/// Why the host stopped a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Timeout,
    Cancelled,
    Exit,
    /// It asked for something else than the record of calls that it was to repeat.
    Differs,
}

/// What a guest can change in its host: part of every saved state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct World {
    /// Where the wall clock starts, seconds since 1970.
    pub epoch_s: u64,
    pub clock_ns: u64,
    pub random: u64,
    /// When each pollable is due.
    pub pollables: Vec<Option<u64>>,
    pub disk: Disk,
}

/// The host's side of one instance.
pub(super) struct Host {
    pub world: World,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub output_left: usize,
    pub truncated: bool,
    pub memory_limit: usize,
    pub memory_denied: bool,
    pub meter: Arc<Meter>,
    pub stop: Option<Stop>,
    /// What the step under way may call.
    pub calls: Option<Box<Calls>>,
    /// Who listens to it.
    pub tap: Option<Box<Tap>>,
    /// Set as soon as there is an instance.
    pub memory: Option<Memory>,
    pub realloc: Option<TypedFunc<(u32, u32, u32, u32), u32>>,
}

impl Host {
    pub fn new(meter: Arc<Meter>) -> Self {
        Self {
            world: World::default(),
            stdout: Vec::new(),
            stderr: Vec::new(),
            output_left: 0,
            truncated: false,
            memory_limit: usize::MAX,
            memory_denied: false,
            meter,
            stop: None,
            calls: None,
            tap: None,
            memory: None,
            realloc: None,
        }
    }

    /// Asked at every epoch tick: may the guest go on? It lets others run in any case.
    pub fn tick(&mut self) -> Result<UpdateDeadline> {
        if self.meter.cancelled() {
            self.stop = Some(Stop::Cancelled);
            bail!("cancelled");
        }
        if self.meter.expired() {
            self.stop = Some(Stop::Timeout);
            bail!("timeout");
        }
        Ok(UpdateDeadline::Yield(1))
    }

    /// Keeps output up to the limit; false once it is reached.
    pub fn emit(&mut self, fd: u32, bytes: &[u8]) -> bool {
        let kept = bytes.len().min(self.output_left);
        self.output_left -= kept;
        let pipe = if fd == 2 { &mut self.stderr } else { &mut self.stdout };
        pipe.extend_from_slice(&bytes[..kept]);
        if let Some(tap) = &mut self.tap {
            tap.feed(if fd == 2 { Stream::Stderr } else { Stream::Stdout }, &bytes[..kept]);
        }
        self.truncated |= kept < bytes.len();
        !self.truncated
    }
}

impl World {
    pub fn now(&mut self) -> u64 {
        self.clock_ns = self.clock_ns.saturating_add(READ_NS);
        self.clock_ns
    }

    /// Seconds since 1970 and nanoseconds, without moving the clock.
    pub fn time(&self) -> (u64, u32) {
        let nanoseconds = u32::try_from(self.clock_ns % 1_000_000_000).unwrap_or_default();
        (self.epoch_s.saturating_add(self.clock_ns / 1_000_000_000), nanoseconds)
    }

    /// `SplitMix64` (Steele, Lea and Flood 2014): deterministic, not for secrets.
    pub fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
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

    pub fn pollable(&mut self, due: u64) -> Result<u32> {
        let slot = self.pollables.iter().position(Option::is_none).unwrap_or(self.pollables.len());
        if slot >= MAX_POLLABLES {
            bail!("too many pollables");
        }
        if slot == self.pollables.len() {
            self.pollables.push(None);
        }
        self.pollables[slot] = Some(due);
        Ok(u32::try_from(slot)?)
    }

    pub fn due(&self, pollable: u32) -> u64 {
        self.pollables.get(pollable as usize).copied().flatten().unwrap_or(0)
    }

    /// Waiting takes no time: the clock jumps to the earliest of the deadlines. Gives the positions of those that are due.
    pub fn poll(&mut self, pollables: &[u32]) -> Vec<u32> {
        let due: Vec<u64> = pollables.iter().map(|&pollable| self.due(pollable)).collect();
        if let Some(&first) = due.iter().min() {
            self.clock_ns = self.clock_ns.max(first);
        }
        (0u32..).zip(&due).filter(|(_, due)| **due <= self.clock_ns).map(|(position, _)| position).collect()
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let allowed = desired <= self.memory_limit;
        self.memory_denied |= !allowed;
        Ok(allowed)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= MAX_TABLE)
    }
}

pub(super) type Cx<'a> = Caller<'a, Host>;

/// The guest's memory, and the host's own side.
pub(super) fn both<'a>(cx: &'a mut Cx<'_>) -> Result<(&'a mut [u8], &'a mut Host)> {
    let Some(memory) = cx.data().memory else { bail!("an import was called before there was a memory") };
    Ok(memory.data_and_store_mut(cx))
}

pub(super) fn put(cx: &mut Cx<'_>, at: u32, bytes: &[u8]) -> Result<()> {
    let (memory, _) = both(cx)?;
    abi::span_mut(memory, at, bytes.len())?.copy_from_slice(bytes);
    Ok(())
}

/// Copies bytes into memory that the guest allocates itself; where that is.
pub(super) async fn lend(cx: &mut Cx<'_>, bytes: &[u8], align: u32) -> Result<u32> {
    if bytes.is_empty() {
        return Ok(align);
    }
    let Some(realloc) = cx.data().realloc.clone() else { bail!("the guest has no allocator") };
    let at = realloc.call_async(&mut *cx, (0, 0, align, u32::try_from(bytes.len())?)).await?;
    put(cx, at, bytes)?;
    Ok(at)
}

/// Gives the guest a list.
pub(super) async fn put_list(cx: &mut Cx<'_>, result: u32, bytes: &[u8], align: u32) -> Result<()> {
    let count = u32::try_from(bytes.len() / align as usize)?;
    let at = lend(cx, bytes, align).await?;
    put(cx, result, &at.to_le_bytes())?;
    put(cx, result.wrapping_add(4), &count.to_le_bytes())
}

/// Connects the guest's imports.
pub(super) fn link(linker: &mut Linker<Host>, module: &Module) -> Result<()> {
    for import in module.imports() {
        let (name, function) = (import.module(), import.name());
        // The guest's parts import one interface in several versions.
        let interface = name.split('@').next().unwrap_or(name);
        let dropped = ["[resource-drop]pollable", "[resource-drop]descriptor", "[resource-drop]directory-entry-stream"];
        if function.starts_with("[resource-drop]") && !dropped.contains(&function) {
            linker.func_wrap(name, function, |_: u32| {})?;
            continue;
        }
        match interface {
            "mentor:guest/host" => own(linker, name, function)?,
            "wasi:clocks/monotonic-clock" => monotonic_clock(linker, name, function)?,
            "wasi:clocks/wall-clock" => wall_clock(linker, name, function)?,
            "wasi:random/random" => random(linker, name, function)?,
            "wasi:io/poll" => poll(linker, name, function)?,
            "wasi:io/streams" => streams(linker, name, function)?,
            "wasi:filesystem/preopens" | "wasi:filesystem/types" => files::wasi::link(linker, name, function)?,
            _ => elsewhere(linker, name, interface, function)?,
        }
        if let (ExternType::Func(kind), None) = (import.ty(), linker.get_by_import(&mut scratch(linker), &import)) {
            let what = format!("{name} {function}");
            linker.func_new(name, function, kind, move |_, _, _| bail!("{what} does not exist in the sandbox"))?;
        }
    }
    Ok(())
}

/// A store to look things up with.
fn scratch(linker: &Linker<Host>) -> wasmtime::Store<Host> {
    wasmtime::Store::new(linker.engine(), Host::new(Arc::default()))
}

fn own(linker: &mut Linker<Host>, name: &str, function: &str) -> Result<()> {
    match function {
        "emit" => linker.func_wrap(name, function, |mut cx: Cx, fd: u32, at: u32, len: u32| {
            let (memory, host) = both(&mut cx)?;
            let bytes = abi::span(memory, at, len as usize)?;
            Ok(u32::from(host.emit(fd, bytes)))
        })?,
        "call" => return calls::link(linker, name, function),
        _ => linker,
    };
    Ok(())
}

fn monotonic_clock(linker: &mut Linker<Host>, name: &str, function: &str) -> Result<()> {
    match function {
        "now" => linker.func_wrap(name, function, |mut cx: Cx| cx.data_mut().world.now())?,
        "resolution" => linker.func_wrap(name, function, || READ_NS)?,
        "subscribe-instant" => {
            linker.func_wrap(name, function, |mut cx: Cx, due: u64| cx.data_mut().world.pollable(due))?
        }
        "subscribe-duration" => linker.func_wrap(name, function, |mut cx: Cx, wait: u64| {
            let due = cx.data_mut().world.now().saturating_add(wait);
            cx.data_mut().world.pollable(due)
        })?,
        _ => linker,
    };
    Ok(())
}

fn wall_clock(linker: &mut Linker<Host>, name: &str, function: &str) -> Result<()> {
    let datetime = |cx: &mut Cx, at: u32, seconds: u64, nanoseconds: u64| {
        put(cx, at, &seconds.to_le_bytes())?;
        put(cx, at.wrapping_add(8), &u32::try_from(nanoseconds)?.to_le_bytes())
    };
    match function {
        "now" => linker.func_wrap(name, function, move |mut cx: Cx, at: u32| {
            let world = &mut cx.data_mut().world;
            let now = world.now();
            let seconds = world.epoch_s.saturating_add(now / 1_000_000_000);
            datetime(&mut cx, at, seconds, now % 1_000_000_000)
        })?,
        "resolution" => {
            linker.func_wrap(name, function, move |mut cx: Cx, at: u32| datetime(&mut cx, at, 0, READ_NS))?
        }
        _ => linker,
    };
    Ok(())
}

fn random(linker: &mut Linker<Host>, name: &str, function: &str) -> Result<()> {
    match function {
        "get-random-bytes" => linker.func_wrap_async(name, function, |mut cx: Cx, (len, result): (u64, u32)| {
            Box::new(async move {
                let bytes = cx.data_mut().world.random_bytes(len)?;
                put_list(&mut cx, result, &bytes, 1).await
            })
        })?,
        "get-random-u64" => linker.func_wrap(name, function, |mut cx: Cx| cx.data_mut().world.next_random())?,
        _ => linker,
    };
    Ok(())
}

fn poll(linker: &mut Linker<Host>, name: &str, function: &str) -> Result<()> {
    match function {
        "poll" => linker.func_wrap_async(name, function, |mut cx: Cx, (at, len, result): (u32, u32, u32)| {
            Box::new(async move {
                if len as usize > MAX_POLLABLES {
                    bail!("{len} pollables");
                }
                let (memory, host) = both(&mut cx)?;
                let handles = abi::span(memory, at, len as usize * 4)?.chunks_exact(4);
                let handles: Vec<u32> = handles.map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
                let ready: Vec<u8> = host.world.poll(&handles).into_iter().flat_map(u32::to_le_bytes).collect();
                put_list(&mut cx, result, &ready, 4).await
            })
        })?,
        "[method]pollable.block" => linker.func_wrap(name, function, |mut cx: Cx, pollable: u32| {
            cx.data_mut().world.poll(&[pollable]);
        })?,
        "[method]pollable.ready" => linker.func_wrap(name, function, |cx: Cx, pollable: u32| {
            let world = &cx.data().world;
            u32::from(world.due(pollable) <= world.clock_ns)
        })?,
        "[resource-drop]pollable" => linker.func_wrap(name, function, |mut cx: Cx, pollable: u32| {
            if let Some(slot) = cx.data_mut().world.pollables.get_mut(pollable as usize) {
                *slot = None;
            }
        })?,
        _ => linker,
    };
    Ok(())
}

fn streams(linker: &mut Linker<Host>, name: &str, function: &str) -> Result<()> {
    match function {
        "[method]output-stream.check-write" => {
            linker.func_wrap(name, function, |mut cx: Cx, stream: u32, result: u32| {
                let room = if stream == files::wasi::STREAM { files::wasi::room(&mut cx) } else { 65_536 };
                put(&mut cx, result, &[0])?;
                put(&mut cx, result.wrapping_add(8), &room.to_le_bytes())
            })?
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            linker.func_wrap(name, function, |mut cx: Cx, stream: u32, at: u32, len: u32, result: u32| {
                if stream == files::wasi::STREAM {
                    return files::wasi::write(&mut cx, at, len, result);
                }
                let (memory, host) = both(&mut cx)?;
                host.emit(stream, abi::span(memory, at, len as usize)?);
                put(&mut cx, result, &[0])
            })?
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            linker.func_wrap(name, function, |mut cx: Cx, _: u32, result: u32| put(&mut cx, result, &[0]))?
        }
        "[method]output-stream.subscribe" | "[method]input-stream.subscribe" => {
            linker.func_wrap(name, function, |mut cx: Cx, _: u32| cx.data_mut().world.pollable(0))?
        }
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => {
            linker.func_wrap_async(name, function, |mut cx: Cx, (_, len, result): (u32, u64, u32)| {
                Box::new(async move { files::wasi::read(&mut cx, len, result).await })
            })?
        }
        _ => linker,
    };
    Ok(())
}

/// A process without arguments, environment, input, terminal or network.
fn elsewhere(linker: &mut Linker<Host>, name: &str, interface: &str, function: &str) -> Result<()> {
    match (interface, function) {
        ("wasi:cli/environment", "get-environment" | "get-arguments") => {
            // An empty list; its address only has to be aligned.
            linker
                .func_wrap(name, function, |mut cx: Cx, result: u32| put(&mut cx, result, &[4, 0, 0, 0, 0, 0, 0, 0]))?
        }
        ("wasi:cli/environment", "initial-cwd")
        | ("wasi:cli/terminal-stdin" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr", _) => {
            linker.func_wrap(name, function, |mut cx: Cx, result: u32| put(&mut cx, result, &[0]))?
        }
        ("wasi:cli/exit", "exit") => linker.func_wrap(name, function, |mut cx: Cx, status: u32| -> Result<()> {
            cx.data_mut().stop = Some(Stop::Exit);
            let status = if status == 0 { "success" } else { "failure" };
            bail!("the program ended its process ({status})")
        })?,
        ("wasi:cli/stdin" | "wasi:sockets/instance-network", _) => linker.func_wrap(name, function, || 0u32)?,
        ("wasi:cli/stdout", _) => linker.func_wrap(name, function, || 1u32)?,
        ("wasi:cli/stderr", _) => linker.func_wrap(name, function, || 2u32)?,
        ("wasi:sockets/tcp-create-socket" | "wasi:sockets/udp-create-socket", _) => {
            linker.func_wrap(name, function, |mut cx: Cx, _: u32, result: u32| refuse(&mut cx, result))?
        }
        ("wasi:sockets/ip-name-lookup", "resolve-addresses") => {
            linker
                .func_wrap(name, function, |mut cx: Cx, _: u32, _: u32, _: u32, result: u32| refuse(&mut cx, result))?
        }
        _ => linker,
    };
    Ok(())
}

/// `err(access-denied)`
fn refuse(cx: &mut Cx, result: u32) -> Result<()> {
    put(cx, result, &[1])?;
    put(cx, result.wrapping_add(4), &[ACCESS_DENIED])
}
