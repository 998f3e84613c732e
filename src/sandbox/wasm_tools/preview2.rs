//! What components find of WASI 0.2: the same world as core modules do, in whatever versions of the interfaces they ask for.
//!
//! Functions are made by their names from what the component imports, with values of dynamic types: so a function has the
//! type that the component wants, and one that is not known here traps when it is called. Handles are numbers: of a stream
//! its file descriptor, of a pollable its place in the world.

use super::describe::shown;
use super::host::{MOST_IMPORTS, Side};
use super::source::cut;
use crate::error::Error;
use crate::sandbox::host::Stop;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceDynamic, ResourceType, Val};
use wasmtime::{Result, StoreContextMut, bail, format_err};

/// What a stream says that it takes at once.
const CHUNK: u64 = 4096;
const MOST_RANDOM: u64 = 1 << 16;
const RESOLUTION_NS: u64 = 10_000;

type Cx<'a> = StoreContextMut<'a, Side>;

/// Connects the imports, or says which one cannot be.
pub(super) fn link(linker: &mut Linker<Side>, component: &Component) -> std::result::Result<(), Error> {
    let engine = linker.engine().clone();
    let mut count = 0;
    for (name, item) in component.component_type().imports(&engine) {
        let refuse = || {
            Err(Error::Input(format!(
                "wasm: it imports {:?}, which the sandbox does not have; only interfaces of WASI 0.2 (wasi:...) can be \
                 imported",
                shown(name)
            )))
        };
        match item.ty {
            ComponentItem::ComponentInstance(instance) if name.starts_with("wasi:") => {
                let interface = name.split('@').next().unwrap_or(name);
                count += instance.exports(&engine).len();
                if count > MOST_IMPORTS {
                    return Err(Error::Input(format!("wasm: it has more than {MOST_IMPORTS} imports")));
                }
                let served = linker.instance(name).and_then(|mut inside| {
                    for (function, item) in instance.exports(&engine) {
                        match item.ty {
                            ComponentItem::ComponentFunc(_) => define(&mut inside, interface, function)?,
                            ComponentItem::Resource(_) => resource(&mut inside, function)?,
                            _ => {}
                        }
                    }
                    Ok(())
                });
                served.map_err(|e| {
                    Error::Input(format!("wasm: cannot serve {:?}: {}", shown(name), cut(&format!("{e:#}"))))
                })?;
            }
            // A type that an import is equal to needs nothing.
            ComponentItem::Type(_) => {}
            _ => return refuse(),
        }
    }
    Ok(())
}

/// Resources of one name are of one type, in whatever interface or version they are named.
fn kind(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn resource(inside: &mut LinkerInstance<'_, Side>, name: &str) -> Result<()> {
    let pollable = name == "pollable";
    inside.resource(name, ResourceType::host_dynamic(kind(name)), move |mut cx, handle| {
        if pollable && let Some(slot) = cx.data_mut().host.world.pollables.get_mut(handle as usize) {
            *slot = None;
        }
        Ok(())
    })
}

/// What a function does: from its arguments, handles as their numbers, to its result.
type Act = fn(&mut Cx<'_>, &[Val], &[u32]) -> Result<Val>;

fn define(inside: &mut LinkerInstance<'_, Side>, interface: &str, function: &str) -> Result<()> {
    let what = format!("{interface} {function}");
    let act = action(interface, function);
    inside.func_new(function, move |mut cx, _, given, results| {
        let Some(act) = act else { bail!("{what} does not exist in the sandbox") };
        let handles = handles(&mut cx, given)?;
        let result = act(&mut cx, given, &handles)?;
        if let Some(place) = results.first_mut() {
            *place = result;
        }
        Ok(())
    })
}

/// The numbers behind the handles among the arguments. Borrowed ones must be given back before the call ends.
fn handles(cx: &mut Cx<'_>, given: &[Val]) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for val in given {
        match val {
            Val::Resource(handle) => found.push(handle.try_into_resource_dynamic(&mut *cx)?.rep()),
            Val::List(items) => {
                for item in items {
                    let Val::Resource(handle) = item else { break };
                    found.push(handle.try_into_resource_dynamic(&mut *cx)?.rep());
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn first(handles: &[u32]) -> Result<u32> {
    handles.first().copied().ok_or_else(|| format_err!("a handle is missing"))
}

fn long(given: &[Val]) -> Result<u64> {
    let found = given.iter().find_map(|val| if let Val::U64(number) = val { Some(*number) } else { None });
    found.ok_or_else(|| format_err!("a number is missing"))
}

fn own(cx: &mut Cx<'_>, number: u32, name: &str) -> Result<Val> {
    Ok(Val::Resource(ResourceDynamic::new_own(number, kind(name)).try_into_resource_any(cx)?))
}

fn ok(payload: Option<Val>) -> Val {
    Val::Result(Ok(payload.map(Box::new)))
}

fn err(payload: Val) -> Val {
    Val::Result(Err(Some(Box::new(payload))))
}

fn closed() -> Val {
    err(Val::Variant("closed".to_owned(), None))
}

fn bytes(list: &[u8]) -> Val {
    Val::List(list.iter().copied().map(Val::U8).collect())
}

fn datetime(seconds: u64, nanoseconds: u64) -> Val {
    let nanoseconds = u32::try_from(nanoseconds).unwrap_or_default();
    let fields = [("seconds", Val::U64(seconds)), ("nanoseconds", Val::U32(nanoseconds))];
    Val::Record(fields.into_iter().map(|(name, val)| (name.to_owned(), val)).collect())
}

/// Seeded, as everything else; `insecure` ones are no different.
fn random_bytes(cx: &mut Cx<'_>, given: &[Val]) -> Result<Val> {
    let len = long(given)?;
    if len > MOST_RANDOM {
        bail!("{len} random bytes in one call; the most is {MOST_RANDOM}");
    }
    Ok(bytes(&cx.data_mut().host.world.random_bytes(len)?))
}

fn write(cx: &mut Cx<'_>, given: &[Val], handles: &[u32]) -> Result<Val> {
    let stream = first(handles)?;
    let Some(Val::List(items)) = given.get(1) else { bail!("there is nothing to write") };
    let text: Vec<u8> =
        items.iter().filter_map(|val| if let Val::U8(byte) = val { Some(*byte) } else { None }).collect();
    cx.data_mut().host.emit(stream, &text);
    cx.data().check_output()?;
    Ok(ok(None))
}

fn exit(cx: &mut Cx<'_>, status: &str) -> Result<Val> {
    cx.data_mut().host.stop = Some(Stop::Exit);
    bail!("the tool ended its process ({status})")
}

fn pollable(cx: &mut Cx<'_>, due: u64) -> Result<Val> {
    let number = cx.data_mut().host.world.pollable(due)?;
    own(cx, number, "pollable")
}

fn action(interface: &str, function: &str) -> Option<Act> {
    match interface {
        "wasi:io/streams" => streams(function),
        "wasi:io/poll" => poll(function),
        "wasi:clocks/monotonic-clock" | "wasi:clocks/wall-clock" => clocks(interface, function),
        "wasi:random/random" | "wasi:random/insecure" | "wasi:random/insecure-seed" => random(function),
        _ => elsewhere(interface, function),
    }
}

fn streams(function: &str) -> Option<Act> {
    Some(match function {
        "[method]output-stream.check-write" => |_, _, _| Ok(ok(Some(Val::U64(CHUNK)))),
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => write,
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => |_, _, _| Ok(ok(None)),
        "[method]output-stream.subscribe" | "[method]input-stream.subscribe" => |cx, _, _| pollable(cx, 0),
        "[method]input-stream.read"
        | "[method]input-stream.blocking-read"
        | "[method]input-stream.skip"
        | "[method]input-stream.blocking-skip" => |_, _, _| Ok(closed()),
        _ => return None,
    })
}

fn poll(function: &str) -> Option<Act> {
    Some(match function {
        "poll" => |cx, _, handles| {
            let ready = cx.data_mut().host.world.poll(handles);
            Ok(Val::List(ready.into_iter().map(Val::U32).collect()))
        },
        "[method]pollable.block" => |cx, _, handles| {
            cx.data_mut().host.world.poll(&[first(handles)?]);
            Ok(Val::Bool(true))
        },
        "[method]pollable.ready" => |cx, _, handles| {
            let world = &cx.data().host.world;
            Ok(Val::Bool(world.due(first(handles)?) <= world.clock_ns))
        },
        _ => return None,
    })
}

fn clocks(interface: &str, function: &str) -> Option<Act> {
    Some(match (interface == "wasi:clocks/wall-clock", function) {
        (false, "now") => |cx, _, _| Ok(Val::U64(cx.data_mut().host.world.now())),
        (false, "resolution") => |_, _, _| Ok(Val::U64(RESOLUTION_NS)),
        (false, "subscribe-instant") => |cx, given, _| pollable(cx, long(given)?),
        (false, "subscribe-duration") => |cx, given, _| {
            let due = cx.data_mut().host.world.now().saturating_add(long(given)?);
            pollable(cx, due)
        },
        (true, "now") => |cx, _, _| {
            let world = &mut cx.data_mut().host.world;
            let now = world.now();
            Ok(datetime(world.epoch_s.saturating_add(now / 1_000_000_000), now % 1_000_000_000))
        },
        (true, "resolution") => |_, _, _| Ok(datetime(0, RESOLUTION_NS)),
        _ => return None,
    })
}

fn random(function: &str) -> Option<Act> {
    Some(match function {
        "get-random-bytes" | "get-insecure-random-bytes" => |cx, given, _| random_bytes(cx, given),
        "get-random-u64" | "get-insecure-random-u64" => |cx, _, _| Ok(Val::U64(cx.data_mut().host.world.next_random())),
        "insecure-seed" | "get-insecure-seed" => |cx, _, _| {
            let world = &mut cx.data_mut().host.world;
            Ok(Val::Tuple(vec![Val::U64(world.next_random()), Val::U64(world.next_random())]))
        },
        _ => return None,
    })
}

/// A process without arguments, environment, input, terminal, files or network.
fn elsewhere(interface: &str, function: &str) -> Option<Act> {
    Some(match (interface, function) {
        ("wasi:cli/environment", "get-environment" | "get-arguments")
        | ("wasi:filesystem/preopens", "get-directories") => |_, _, _| Ok(Val::List(Vec::new())),
        ("wasi:cli/environment", "initial-cwd" | "get-initial-cwd")
        | ("wasi:cli/terminal-stdin" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr", _)
        | ("wasi:filesystem/types", "filesystem-error-code") => |_, _, _| Ok(Val::Option(None)),
        ("wasi:cli/stdin", _) => |cx, _, _| own(cx, 0, "input-stream"),
        ("wasi:cli/stdout", _) => |cx, _, _| own(cx, 1, "output-stream"),
        ("wasi:cli/stderr", _) => |cx, _, _| own(cx, 2, "output-stream"),
        ("wasi:cli/exit", "exit") => |cx, given, _| {
            let failed = matches!(given.first(), Some(Val::Result(Err(_))));
            exit(cx, if failed { "failure" } else { "success" })
        },
        ("wasi:cli/exit", _) => |cx, _, _| exit(cx, "with a status"),
        ("wasi:io/error", _) => |_, _, _| Ok(Val::String("an error".to_owned())),
        ("wasi:sockets/instance-network", _) => |cx, _, _| own(cx, 0, "network"),
        ("wasi:sockets/tcp-create-socket" | "wasi:sockets/udp-create-socket", _)
        | ("wasi:sockets/ip-name-lookup", "resolve-addresses") => {
            |_, _, _| Ok(err(Val::Enum("access-denied".to_owned())))
        }
        _ => return None,
    })
}
