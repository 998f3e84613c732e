//! What core modules built for WASI (`wasi_snapshot_preview1`) find: no arguments, environment, files or network; a
//! virtual clock, seeded random bytes, two output pipes.

use super::describe::shown;
use super::host::{MOST_IMPORTS, Side};
use crate::error::Error;
use crate::sandbox::host::Stop;
use wasmtime::{Caller, Extern, ExternType, Linker, Module, Result, Val, ValType, bail};

const NAMES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];
const OK: i32 = 0;
const BAD_FD: i32 = 8;
const FAULT: i32 = 21;
const INVALID: i32 = 28;
const NO_SYSTEM: i32 = 52;
const NO_SEEK: i32 = 70;
/// Pieces of one write, things of one poll.
const MOST_PIECES: u32 = 1024;
const MOST_RANDOM: u32 = 1 << 20;

type Cx<'a> = Caller<'a, Side>;
type Errno = std::result::Result<(), i32>;

/// Connects the imports, or says which one cannot be.
pub(super) fn link(linker: &mut Linker<Side>, module: &Module) -> std::result::Result<(), Error> {
    // A module may name one import twice.
    linker.allow_shadowing(true);
    for name in NAMES {
        served(linker, name).map_err(|error| Error::Sandbox(format!("cannot serve WASI: {error:#}")))?;
    }
    if module.imports().len() > MOST_IMPORTS {
        return Err(Error::Input(format!("wasm: it has more than {MOST_IMPORTS} imports")));
    }
    for import in module.imports() {
        let (home, name) = (import.module(), import.name());
        let refuse = |what: &str| {
            let import = format!("{:?} of {:?}", shown(name), shown(home));
            Err(Error::Input(format!(
                "wasm: it imports {what} {import}, which the sandbox does not have; only functions of WASI \
                 (wasi_snapshot_preview1) can be imported"
            )))
        };
        match import.ty() {
            ExternType::Func(ty) if NAMES.contains(&home) => {
                if SERVED.contains(&name) {
                    continue;
                }
                // Files and sockets, which are not there.
                let number = matches!(ty.results().next(), Some(ValType::I32)) && ty.results().len() == 1;
                let what = shown(name).to_owned();
                let answer = move |_: Cx<'_>, _: &[Val], results: &mut [Val]| {
                    if !number {
                        bail!("{what} does not exist in the sandbox");
                    }
                    results[0] = Val::I32(if what.starts_with("fd_") { BAD_FD } else { NO_SYSTEM });
                    Ok(())
                };
                if linker.func_new(home, name, ty, answer).is_err() {
                    return refuse("the function");
                }
            }
            ExternType::Func(_) => return refuse("the function"),
            ExternType::Memory(_) => return refuse("the memory"),
            ExternType::Table(_) => return refuse("the table"),
            ExternType::Global(_) => return refuse("the global"),
            ExternType::Tag(_) => return refuse("the tag"),
        }
    }
    Ok(())
}

const SERVED: [&str; 18] = [
    "args_get",
    "args_sizes_get",
    "environ_get",
    "environ_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "fd_close",
    "fd_fdstat_get",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_read",
    "fd_seek",
    "fd_write",
    "poll_oneoff",
    "proc_exit",
    "proc_raise",
    "random_get",
    "sched_yield",
];

/// The module's memory as it is now, and the host's side.
fn both<'a>(cx: &'a mut Cx<'_>) -> std::result::Result<(&'a mut [u8], &'a mut Side), i32> {
    let Some(Extern::Memory(memory)) = cx.get_export("memory") else { return Err(FAULT) };
    Ok(memory.data_and_store_mut(cx))
}

fn span(memory: &mut [u8], at: u32, len: u32) -> std::result::Result<&mut [u8], i32> {
    memory.get_mut(at as usize..).and_then(|rest| rest.get_mut(..len as usize)).ok_or(FAULT)
}

fn number(memory: &mut [u8], at: u32) -> std::result::Result<u32, i32> {
    let bytes = span(memory, at, 4)?;
    Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn long(memory: &mut [u8], at: u32) -> std::result::Result<u64, i32> {
    let (low, high) = (number(memory, at)?, number(memory, at.wrapping_add(4))?);
    Ok(u64::from(high) << 32 | u64::from(low))
}

fn put(cx: &mut Cx<'_>, at: u32, bytes: &[u8]) -> Errno {
    let (memory, _) = both(cx)?;
    span(memory, at, u32::try_from(bytes.len()).unwrap_or(u32::MAX))?.copy_from_slice(bytes);
    Ok(())
}

fn code(result: Errno) -> i32 {
    result.map_or_else(|errno| errno, |()| OK)
}

fn served(linker: &mut Linker<Side>, home: &str) -> Result<()> {
    for (name, sizes) in [("args_get", "args_sizes_get"), ("environ_get", "environ_sizes_get")] {
        linker.func_wrap(home, name, |_: u32, _: u32| OK)?;
        linker.func_wrap(home, sizes, |mut cx: Cx, count: u32, bytes: u32| {
            code(put(&mut cx, count, &[0; 4]).and_then(|()| put(&mut cx, bytes, &[0; 4])))
        })?;
    }
    linker.func_wrap(home, "clock_res_get", |mut cx: Cx, _: u32, at: u32| {
        code(put(&mut cx, at, &10_000u64.to_le_bytes()))
    })?;
    linker.func_wrap(home, "clock_time_get", |mut cx: Cx, clock: u32, _: u64, at: u32| {
        let now = time(&mut cx, clock);
        code(put(&mut cx, at, &now.to_le_bytes()))
    })?;
    linker.func_wrap(home, "fd_close", |fd: u32| if fd <= 2 { OK } else { BAD_FD })?;
    linker.func_wrap(home, "fd_fdstat_get", |mut cx: Cx, fd: u32, at: u32| {
        // A character device that may be read or written.
        let mut stat = [0; 24];
        stat[0] = 2;
        stat[8] = if fd == 0 { 2 } else { 64 };
        code(if fd <= 2 { put(&mut cx, at, &stat) } else { Err(BAD_FD) })
    })?;
    linker.func_wrap(home, "fd_prestat_get", |_: u32, _: u32| BAD_FD)?;
    linker.func_wrap(home, "fd_prestat_dir_name", |_: u32, _: u32, _: u32| BAD_FD)?;
    linker.func_wrap(home, "fd_read", |mut cx: Cx, fd: u32, _: u32, _: u32, count: u32| {
        code(if fd == 0 { put(&mut cx, count, &[0; 4]) } else { Err(BAD_FD) })
    })?;
    linker.func_wrap(home, "fd_seek", |fd: u32, _: u64, _: u32, _: u32| if fd <= 2 { NO_SEEK } else { BAD_FD })?;
    linker.func_wrap(home, "fd_write", |mut cx: Cx, fd: u32, at: u32, len: u32, written: u32| -> Result<i32> {
        let written = write(&mut cx, fd, at, len, written);
        cx.data().check_output()?;
        Ok(code(written))
    })?;
    linker.func_wrap(home, "poll_oneoff", |mut cx: Cx, events: u32, out: u32, len: u32, count: u32| {
        code(poll(&mut cx, events, out, len, count))
    })?;
    linker.func_wrap(home, "proc_exit", |mut cx: Cx, status: u32| -> Result<()> {
        cx.data_mut().host.stop = Some(Stop::Exit);
        bail!("the tool ended its process (status {status})")
    })?;
    linker.func_wrap(home, "proc_raise", |_: u32| NO_SYSTEM)?;
    linker.func_wrap(home, "random_get", |mut cx: Cx, at: u32, len: u32| -> Result<i32> {
        if len > MOST_RANDOM {
            return Ok(INVALID);
        }
        let bytes = cx.data_mut().host.world.random_bytes(u64::from(len))?;
        Ok(code(put(&mut cx, at, &bytes)))
    })?;
    linker.func_wrap(home, "sched_yield", || OK)?;
    Ok(())
}

/// Clock 0 is the wall's, the others count from the start.
fn time(cx: &mut Cx<'_>, clock: u32) -> u64 {
    let world = &mut cx.data_mut().host.world;
    let now = world.now();
    if clock == 0 { world.epoch_s.saturating_mul(1_000_000_000).saturating_add(now) } else { now }
}

fn write(cx: &mut Cx<'_>, fd: u32, at: u32, len: u32, written: u32) -> Errno {
    if fd != 1 && fd != 2 {
        return Err(BAD_FD);
    }
    if len > MOST_PIECES {
        return Err(INVALID);
    }
    let mut total = 0u32;
    for piece in 0..len {
        let (memory, side) = both(cx)?;
        let piece = at.wrapping_add(piece * 8);
        let (start, bytes) = (number(memory, piece)?, number(memory, piece.wrapping_add(4))?);
        side.host.emit(fd, span(memory, start, bytes)?);
        total = total.saturating_add(bytes);
    }
    put(cx, written, &total.to_le_bytes())
}

/// Waiting takes no time: the clock jumps to the earliest deadline. Subscriptions of 48 bytes, events of 32.
fn poll(cx: &mut Cx<'_>, events: u32, out: u32, len: u32, count: u32) -> Errno {
    if len == 0 || len > MOST_PIECES {
        return Err(INVALID);
    }
    let (memory, side) = both(cx)?;
    let world = &mut side.host.world;
    let wall = world.epoch_s.saturating_mul(1_000_000_000);
    // What each one is, and when it is due.
    let mut waits = Vec::new();
    for at in (0..len).map(|n| events.wrapping_add(n * 48)) {
        let (user, kind) = (long(memory, at)?, span(memory, at.wrapping_add(8), 1)?[0]);
        let due = if kind == 0 {
            let clock = number(memory, at.wrapping_add(16))?;
            let timeout = long(memory, at.wrapping_add(24))?;
            let absolute = span(memory, at.wrapping_add(40), 1)?[0] & 1 == 1;
            match (absolute, clock) {
                (true, 0) => timeout.saturating_sub(wall),
                (true, _) => timeout,
                (false, _) => world.clock_ns.saturating_add(timeout),
            }
        } else {
            0
        };
        waits.push((user, kind, due));
    }
    let first = waits.iter().map(|wait| wait.2).min().unwrap_or(0);
    world.clock_ns = world.clock_ns.max(first);
    let mut ready = 0u32;
    for (user, kind, _) in waits.iter().filter(|wait| wait.2 <= world.clock_ns) {
        let event = span(memory, out.wrapping_add(ready * 32), 32)?;
        event.fill(0);
        event[..8].copy_from_slice(&user.to_le_bytes());
        event[10] = *kind;
        ready += 1;
    }
    put(cx, count, &ready.to_le_bytes())
}
