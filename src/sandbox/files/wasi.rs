//! The guest's imports for files: `wasi:filesystem`, with the signatures of the canonical ABI, and streams of files.
//!
//! All handles, lengths and addresses are numbers of a stranger. What a path or handle means is decided in `disk`; memory
//! beyond the guest's own is a trap, everything else an error code.

use super::code::{self, Code};
use super::disk::ROOT_HANDLE;
use super::tree::{Id, MOST_PATH, Opening, Stat, Time};
use crate::sandbox::abi;
use crate::sandbox::host::{Cx, Host, World, both, lend, put, put_list};
use std::sync::Arc;
use wasmtime::{Linker, Result};

/// The handle of every stream of a file.
///
/// The guest's C library keeps a stream per open file, and takes 0 for one that is not open yet. So it asks for a new one
/// at each read and write, and says where: then there is no state to keep, and a full disk is an error code of the request,
/// while a stream itself could only break.
pub(in crate::sandbox) const STREAM: u32 = 0;
/// Bytes that one read gives; the guest copies them once more.
const MOST_READ: u64 = 1 << 16;
const FOLDER: u8 = 3;
const FILE: u8 = 6;

/// Writes `result<T, error-code>`; the payload's place is that of T's alignment.
fn answer(cx: &mut Cx<'_>, result: u32, payload: u32, value: code::Result<impl AsRef<[u8]>>) -> Result<()> {
    let at = result.wrapping_add(payload);
    match value {
        Ok(bytes) => {
            put(cx, result, &[0])?;
            put(cx, at, bytes.as_ref())
        }
        Err(code) => {
            put(cx, result, &[1])?;
            put(cx, at, &[code as u8])
        }
    }
}

/// A path of the guest.
fn path(cx: &mut Cx<'_>, at: u32, len: u32) -> Result<code::Result<String>> {
    let (memory, _) = both(cx)?;
    let bytes = abi::span(memory, at, len as usize)?;
    if bytes.len() > MOST_PATH {
        return Ok(Err(Code::NameTooLong));
    }
    Ok(std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Code::IllegalByteSequence))
}

/// Something with one path: what it gives is written at `result`.
fn at_path<const N: usize>(
    cx: &mut Cx<'_>,
    (at, len): (u32, u32),
    (result, payload): (u32, u32),
    act: impl FnOnce(&mut World, &str, Time) -> code::Result<[u8; N]>,
) -> Result<()> {
    let path = path(cx, at, len)?;
    let world = &mut cx.data_mut().world;
    let now = Some(world.time());
    let value = path.and_then(|path| act(world, &path, now));
    answer(cx, result, payload, value)
}

pub(in crate::sandbox) fn link(linker: &mut Linker<Host>, name: &str, function: &str) -> Result<()> {
    let method = function.strip_prefix("[method]descriptor.").unwrap_or(function);
    let known = folders(linker, name, function, method)?
        || listings(linker, name, function, method)?
        || content(linker, name, function, method)?;
    if known { Ok(()) } else { metadata(linker, name, function, method) }
}

/// Opening, making, moving, removing.
fn folders(linker: &mut Linker<Host>, name: &str, function: &str, method: &str) -> Result<bool> {
    match method {
        "get-directories" => linker.func_wrap_async(name, function, |mut cx: Cx, (result,): (u32,)| {
            Box::new(async move {
                let root = lend(&mut cx, b"/", 1).await?;
                let entry: Vec<u8> = [ROOT_HANDLE, root, 1].into_iter().flat_map(u32::to_le_bytes).collect();
                let at = lend(&mut cx, &entry, 4).await?;
                put(&mut cx, result, &at.to_le_bytes())?;
                put(&mut cx, result.wrapping_add(4), &1u32.to_le_bytes())
            })
        })?,
        "open-at" => linker.func_wrap(
            name,
            function,
            |mut cx: Cx, from: u32, _: u32, at: u32, len: u32, how: u32, flags: u32, result: u32| {
                let bit = |number: u32| how & (1 << number) != 0;
                let how = Opening {
                    create: bit(0),
                    folder: bit(1),
                    exclusive: bit(2),
                    truncate: bit(3),
                    write: flags & 2 != 0,
                };
                at_path(&mut cx, (at, len), (result, 4), |world, path, now| {
                    world.disk.open(from, path, how, flags & 1 != 0, now).map(u32::to_le_bytes)
                })
            },
        )?,
        "create-directory-at" => {
            linker.func_wrap(name, function, |mut cx: Cx, from: u32, at: u32, len: u32, result: u32| {
                at_path(&mut cx, (at, len), (result, 1), |world, path, now| {
                    world.disk.make_folder(from, path, now).map(|()| [])
                })
            })?
        }
        "unlink-file-at" | "remove-directory-at" => {
            let folder = method == "remove-directory-at";
            linker.func_wrap(name, function, move |mut cx: Cx, from: u32, at: u32, len: u32, result: u32| {
                at_path(&mut cx, (at, len), (result, 1), |world, path, now| {
                    world.disk.remove(from, path, folder, now).map(|()| [])
                })
            })?
        }
        "rename-at" => linker.func_wrap(
            name,
            function,
            |mut cx: Cx, from: u32, at: u32, len: u32, to: u32, new_at: u32, new_len: u32, result: u32| {
                let new = path(&mut cx, new_at, new_len)?;
                at_path(&mut cx, (at, len), (result, 1), |world, old, now| {
                    world.disk.rename((from, old), (to, &new?), now).map(|()| [])
                })
            },
        )?,
        // There is one name for each file, so that what is in the tree can be counted.
        "link-at" => linker.func_wrap(
            name,
            function,
            |mut cx: Cx, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, result: u32| {
                answer(&mut cx, result, 1, Err::<[u8; 0], _>(Code::NotPermitted))
            },
        )?,
        "symlink-at" => {
            linker.func_wrap(name, function, |mut cx: Cx, _: u32, _: u32, _: u32, _: u32, _: u32, result: u32| {
                answer(&mut cx, result, 1, Err::<[u8; 0], _>(Code::NotPermitted))
            })?
        }
        "readlink-at" => {
            linker.func_wrap(name, function, |mut cx: Cx, from: u32, at: u32, len: u32, result: u32| {
                at_path(&mut cx, (at, len), (result, 4), |world, path, _| {
                    world.disk.find(from, path).and(Err::<[u8; 0], _>(Code::Invalid))
                })
            })?
        }
        "[resource-drop]descriptor" => {
            linker.func_wrap(name, function, |mut cx: Cx, handle: u32| cx.data_mut().world.disk.close(handle))?
        }
        _ => return Ok(false),
    };
    Ok(true)
}

/// What a folder has.
fn listings(linker: &mut Linker<Host>, name: &str, function: &str, method: &str) -> Result<bool> {
    match method {
        "read-directory" => linker.func_wrap(name, function, |mut cx: Cx, handle: u32, result: u32| {
            let listing = cx.data_mut().world.disk.list(handle).map(u32::to_le_bytes);
            answer(&mut cx, result, 4, listing)
        })?,
        "[method]directory-entry-stream.read-directory-entry" => {
            linker.func_wrap_async(name, function, |mut cx: Cx, (listing, result): (u32, u32)| {
                Box::new(async move {
                    let mut entry = [0; 16];
                    match cx.data_mut().world.disk.next_entry(listing) {
                        Err(code) => return answer(&mut cx, result, 4, Err::<[u8; 0], _>(code)),
                        Ok(None) => {}
                        Ok(Some((name, folder))) => {
                            let at = lend(&mut cx, name.as_bytes(), 1).await?;
                            (entry[0], entry[4]) = (1, if folder { FOLDER } else { FILE });
                            entry[8..12].copy_from_slice(&at.to_le_bytes());
                            entry[12..].copy_from_slice(&u32::try_from(name.len())?.to_le_bytes());
                        }
                    }
                    answer(&mut cx, result, 4, Ok(entry))
                })
            })?
        }
        "[resource-drop]directory-entry-stream" => linker
            .func_wrap(name, function, |mut cx: Cx, listing: u32| cx.data_mut().world.disk.close_listing(listing))?,
        _ => return Ok(false),
    };
    Ok(true)
}

/// Reading and writing.
fn content(linker: &mut Linker<Host>, name: &str, function: &str, method: &str) -> Result<bool> {
    match method {
        "read-via-stream" => {
            linker.func_wrap(name, function, |mut cx: Cx, handle: u32, offset: u64, result: u32| {
                let disk = &mut cx.data_mut().world.disk;
                let file = disk.readable(handle).map(|(id, _)| id);
                disk.reading = file.ok().map(|id| (id, offset));
                answer(&mut cx, result, 4, file.map(|_| STREAM.to_le_bytes()))
            })?
        }
        "write-via-stream" => {
            linker.func_wrap(name, function, |mut cx: Cx, handle: u32, offset: u64, result: u32| {
                let opened = cx.data_mut().world.disk.writable(handle).map(|id| (id, offset));
                start(&mut cx, opened, result)
            })?
        }
        "append-via-stream" => linker.func_wrap(name, function, |mut cx: Cx, handle: u32, result: u32| {
            let disk = &mut cx.data_mut().world.disk;
            let opened = disk.writable(handle).and_then(|id| Ok((id, disk.content(id)?.len() as u64)));
            start(&mut cx, opened, result)
        })?,
        "read" => linker.func_wrap_async(
            name,
            function,
            |mut cx: Cx, (handle, len, offset, result): (u32, u64, u64, u32)| {
                Box::new(async move {
                    // Where it cannot be read, it is empty: after an error code the guest's `pread` would copy from, and
                    // free, an address that nobody wrote.
                    let empty = Arc::default();
                    let content = cx.data_mut().world.disk.readable(handle).map_or(&empty, |(_, content)| content);
                    let part = part(content, offset, len);
                    let bytes = part.as_slice();
                    put(&mut cx, result.wrapping_add(12), &[u8::from(bytes.is_empty() && len > 0)])?;
                    put(&mut cx, result, &[0])?;
                    put_list(&mut cx, result.wrapping_add(4), bytes, 1).await
                })
            },
        )?,
        "write" => linker.func_wrap(
            name,
            function,
            |mut cx: Cx, handle: u32, at: u32, len: u32, offset: u64, result: u32| {
                let (memory, host) = both(&mut cx)?;
                let bytes = abi::span(memory, at, len as usize)?;
                let now = Some(host.world.time());
                let disk = &mut host.world.disk;
                let count = disk.writable(handle).and_then(|id| disk.write(id, offset, bytes, now));
                answer(&mut cx, result, 8, count.map(|count| (count as u64).to_le_bytes()))
            },
        )?,
        "set-size" => linker.func_wrap(name, function, |mut cx: Cx, handle: u32, len: u64, result: u32| {
            let world = &mut cx.data_mut().world;
            let now = Some(world.time());
            let done = world.disk.resize(handle, len, now).map(|()| []);
            answer(&mut cx, result, 1, done)
        })?,
        _ => return Ok(false),
    };
    Ok(true)
}

/// Opens a stream to write, where at least one byte can be written.
fn start(cx: &mut Cx<'_>, opened: code::Result<(Id, u64)>, result: u32) -> Result<()> {
    let disk = &mut cx.data_mut().world.disk;
    let opened = opened.and_then(|(id, offset)| disk.space(id, offset, 1).map(|_| (id, offset)));
    disk.writing = opened.ok();
    answer(cx, result, 4, opened.map(|_| STREAM.to_le_bytes()))
}

/// A part of a content, which stays as it is meanwhile.
struct Part {
    content: Arc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl Part {
    fn as_slice(&self) -> &[u8] {
        &self.content[self.start..self.end]
    }
}

fn part(content: &Arc<Vec<u8>>, offset: u64, len: u64) -> Part {
    let start = usize::try_from(offset).map_or(content.len(), |start| start.min(content.len()));
    let len = usize::try_from(len.min(MOST_READ)).unwrap_or_default().min(content.len() - start);
    Part { content: Arc::clone(content), start, end: start + len }
}

/// `input-stream.read`: of the file that a stream was just opened for, else the end of the standard input.
pub(in crate::sandbox) async fn read(cx: &mut Cx<'_>, len: u64, result: u32) -> Result<()> {
    let disk = &mut cx.data_mut().world.disk;
    let opened = disk.reading.take();
    let part = opened.and_then(|(id, offset)| disk.content(id).ok().map(|content| part(content, offset, len)));
    match part {
        Some(part) if part.start < part.end => {
            put(cx, result, &[0])?;
            put_list(cx, result.wrapping_add(4), part.as_slice(), 1).await
        }
        // `err(closed)`
        _ => {
            put(cx, result, &[1])?;
            put(cx, result.wrapping_add(4), &[1])
        }
    }
}

/// `output-stream.check-write`: bytes that the file takes for which a stream was just opened.
pub(in crate::sandbox) fn room(cx: &mut Cx<'_>) -> u64 {
    let disk = &cx.data().world.disk;
    let space = disk.writing.map(|(id, offset)| disk.space(id, offset, usize::MAX));
    space.and_then(std::result::Result::ok).map_or(1, |space| space as u64)
}

/// `output-stream.write` to the file that a stream was just opened for.
pub(in crate::sandbox) fn write(cx: &mut Cx<'_>, at: u32, len: u32, result: u32) -> Result<()> {
    let (memory, host) = both(cx)?;
    let bytes = abi::span(memory, at, len as usize)?;
    let now = Some(host.world.time());
    let disk = &mut host.world.disk;
    // All of it, as the guest was told how much there is room for.
    let done = disk.writing.take().is_some_and(|(id, offset)| disk.write(id, offset, bytes, now) == Ok(bytes.len()));
    // Else `err(closed)`.
    put(cx, result, &[u8::from(!done)])?;
    put(cx, result.wrapping_add(4), &[1])
}

/// Kind, size, times, flags.
fn metadata(linker: &mut Linker<Host>, name: &str, function: &str, method: &str) -> Result<()> {
    match method {
        "stat" => linker.func_wrap(name, function, |mut cx: Cx, handle: u32, result: u32| {
            let world = &mut cx.data_mut().world;
            let stat = world.disk.handle(handle).and_then(|open| world.disk.stat(open.id));
            let stat = stat.map(|stat| lower_stat(stat, world.epoch_s));
            answer(&mut cx, result, 8, stat)
        })?,
        "stat-at" => {
            linker.func_wrap(name, function, |mut cx: Cx, from: u32, _: u32, at: u32, len: u32, result: u32| {
                at_path(&mut cx, (at, len), (result, 8), |world, path, _| {
                    let stat = world.disk.find(from, path).and_then(|id| world.disk.stat(id))?;
                    Ok(lower_stat(stat, world.epoch_s))
                })
            })?
        }
        "metadata-hash" => linker.func_wrap(name, function, |mut cx: Cx, handle: u32, result: u32| {
            let open = cx.data_mut().world.disk.handle(handle);
            answer(&mut cx, result, 8, open.map(|open| identity(open.id)))
        })?,
        "metadata-hash-at" => {
            linker.func_wrap(name, function, |mut cx: Cx, from: u32, _: u32, at: u32, len: u32, result: u32| {
                at_path(&mut cx, (at, len), (result, 8), |world, path, _| world.disk.find(from, path).map(identity))
            })?
        }
        "set-times" => linker.func_wrap(
            name,
            function,
            |mut cx: Cx, handle: u32, r: u32, rs: u64, rn: u32, w: u32, ws: u64, wn: u32, result: u32| {
                let world = &mut cx.data_mut().world;
                let now = Some(world.time());
                let done = world.disk.handle(handle).and_then(|open| {
                    let times = [new_time((r, rs, rn), now)?, new_time((w, ws, wn), now)?];
                    world.disk.set_times(open.id, times, now)
                });
                answer(&mut cx, result, 1, done.map(|()| []))
            },
        )?,
        "set-times-at" => linker.func_wrap(
            name,
            function,
            #[allow(clippy::too_many_arguments)]
            |mut cx: Cx,
             from: u32,
             _: u32,
             at: u32,
             len: u32,
             r: u32,
             rs: u64,
             rn: u32,
             w: u32,
             ws: u64,
             wn: u32,
             result: u32| {
                at_path(&mut cx, (at, len), (result, 1), |world, path, now| {
                    let times = [new_time((r, rs, rn), now)?, new_time((w, ws, wn), now)?];
                    let id = world.disk.find(from, path)?;
                    world.disk.set_times(id, times, now).map(|()| [])
                })
            },
        )?,
        "get-flags" => linker.func_wrap(name, function, |mut cx: Cx, handle: u32, result: u32| {
            let disk = &mut cx.data_mut().world.disk;
            let flags = disk.handle(handle).map(|open| {
                let folder = disk.stat(open.id).is_ok_and(|stat| stat.folder);
                [u8::from(open.read) | u8::from(open.write) << 1 | u8::from(folder && disk.is_writable()) << 5]
            });
            answer(&mut cx, result, 1, flags)
        })?,
        "sync" | "sync-data" => linker.func_wrap(name, function, |mut cx: Cx, handle: u32, result: u32| {
            let open = cx.data_mut().world.disk.handle(handle).map(|_| []);
            answer(&mut cx, result, 1, open)
        })?,
        "advise" => {
            linker.func_wrap(name, function, |mut cx: Cx, handle: u32, _: u64, _: u64, _: u32, result: u32| {
                let open = cx.data_mut().world.disk.handle(handle).map(|_| []);
                answer(&mut cx, result, 1, open)
            })?
        }
        _ => linker,
    };
    Ok(())
}

/// The record `descriptor-stat`.
fn lower_stat(stat: Stat, epoch_s: u64) -> [u8; 96] {
    let mut record = [0; 96];
    record[0] = if stat.folder { FOLDER } else { FILE };
    record[8..16].copy_from_slice(&stat.links.to_le_bytes());
    record[16..24].copy_from_slice(&stat.size.to_le_bytes());
    for (at, time) in [(24, stat.times.read), (48, stat.times.written), (72, stat.times.changed)] {
        let (seconds, nanoseconds) = time.unwrap_or((epoch_s, 0));
        record[at] = 1;
        record[at + 8..at + 16].copy_from_slice(&seconds.to_le_bytes());
        record[at + 16..at + 20].copy_from_slice(&nanoseconds.to_le_bytes());
    }
    record
}

/// What `os.path.samefile` compares.
fn identity(id: Id) -> [u8; 16] {
    let mut hash = [0; 16];
    hash[..8].copy_from_slice(&(id + 1).to_le_bytes());
    hash[8..].copy_from_slice(&1u64.to_le_bytes());
    hash
}

/// The variant `new-timestamp`: none for no change.
fn new_time(raw: (u32, u64, u32), now: Time) -> code::Result<Option<Time>> {
    match raw {
        (0, ..) => Ok(None),
        (1, ..) => Ok(Some(now)),
        (2, seconds, nanoseconds) if nanoseconds < 1_000_000_000 => Ok(Some(Some((seconds, nanoseconds)))),
        _ => Err(Code::Invalid),
    }
}

#[cfg(test)]
#[path = "wasi_tests.rs"]
mod tests;
