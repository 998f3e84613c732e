//! The guests of this process: the built-in one, and others that were built from the same sources with packages in them.

use super::cache;
use super::merge::merge;
use crate::error::Error;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, PoisonError, RwLock};

/// SHA-256 of the guest that is built in: results are comparable between equal guests.
pub const GUEST_SHA256: &str = env!("MENTOR_GUEST_SHA256");
/// Different guests that one process may use: each keeps compiled code, an image and instances.
pub const MOST_GUESTS: usize = 8;
/// The interface that a guest must export.
pub const INTERFACE: &str = "mentor:guest/runner@0.1.0";
/// Sources of the built-in guest, by file name: another guest is built from these.
pub const SOURCES: [(&str, &str); 6] = [
    ("app.py", include_str!("../../guest/app.py")),
    ("functions.py", include_str!("../../guest/functions.py")),
    ("stdlib.py", include_str!("../../guest/stdlib.py")),
    ("packages.py", include_str!("../../guest/packages.py")),
    ("streams.py", include_str!("../../guest/streams.py")),
    ("wit/guest.wit", include_str!("../../guest/wit/guest.wit")),
];

const CODE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest.wasm.zst"));
const MEMORY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest.memory.zst"));
const FORMAT: &[u8; 8] = b"mentorG1";
const HASH: usize = 64;
/// Quick to write; the file stays on this machine.
const LEVEL: i32 = 3;

/// A guest of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Guest(u8);

/// A guest that was read from a file.
#[derive(Debug)]
struct Other {
    path: PathBuf,
    hash: String,
    memory_bytes: usize,
}

static OTHERS: [OnceLock<Other>; MOST_GUESTS - 1] = [const { OnceLock::new() }; MOST_GUESTS - 1];

impl Guest {
    /// The guest that `build` made, from its file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let other = read(path)?;
        for (number, place) in (1..).zip(&OTHERS) {
            // Of two threads with the same guest one fills the place, and both find it.
            if place.get_or_init(|| Other { path: other.path.clone(), hash: other.hash.clone(), ..other }).hash
                == other.hash
            {
                return Ok(Self(number));
            }
        }
        Err(Error::Sandbox(format!("this process uses {MOST_GUESTS} different guests already, which is the most")))
    }

    /// SHA-256 of what it is made of, in hex.
    pub fn hash(self) -> &'static str {
        self.other().map_or(GUEST_SHA256, |other| &other.hash)
    }

    /// Memory of a new instance, bytes; 0 for the built-in guest, which every limit allows.
    pub(super) fn memory_bytes(self) -> usize {
        self.other().map_or(0, |other| other.memory_bytes)
    }

    /// Its file; none of the built-in guest.
    pub(super) fn path(self) -> Option<PathBuf> {
        self.other().map(|other| other.path.clone())
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    fn other(self) -> Option<&'static Other> {
        OTHERS.get(self.index().checked_sub(1)?)?.get()
    }

    /// Its core module and its memory.
    pub(super) fn parts(self) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let Some(other) = self.other() else {
            return Ok((zstd::decode_all(CODE)?, zstd::decode_all(MEMORY)?));
        };
        let gone = || io::Error::new(io::ErrorKind::InvalidData, format!("{} was changed", other.path.display()));
        let (mut file, len) = cache::open(&other.path).ok_or_else(gone)?;
        let header = header(&mut file).filter(|header| header.hash == other.hash).ok_or_else(gone)?;
        let rest = (len - HEADER as u64).checked_sub(header.code_bytes).ok_or_else(gone)?;
        let code = zstd::decode_all((&file).take(header.code_bytes))?;
        Ok((code, zstd::decode_all((&file).take(rest))?))
    }
}

const HEADER: usize = FORMAT.len() + 2 * HASH + 16;

struct Header {
    built_in: String,
    hash: String,
    memory_bytes: u64,
    code_bytes: u64,
}

fn header(file: &mut File) -> Option<Header> {
    let mut bytes = [0; HEADER];
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    let (format, rest) = bytes.split_at(FORMAT.len());
    let (built_in, rest) = rest.split_at(HASH);
    let (hash, numbers) = rest.split_at(HASH);
    let number = |at: usize| numbers.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let header =
        Header { built_in: text(built_in)?, hash: text(hash)?, memory_bytes: number(0)?, code_bytes: number(8)? };
    (format == FORMAT).then_some(header)
}

fn read(path: &Path) -> Result<Other, Error> {
    // The digest of a great file takes a while, and a process may make many sandboxes.
    static KNOWN: RwLock<Vec<(PathBuf, String, usize)>> = RwLock::new(Vec::new());
    let known = |known: &[(PathBuf, String, usize)]| {
        let (path, hash, memory_bytes) = known.iter().find(|(known, ..)| known == path)?;
        Some(Other { path: path.clone(), hash: hash.clone(), memory_bytes: *memory_bytes })
    };
    if let Some(other) = known(&KNOWN.read().unwrap_or_else(PoisonError::into_inner)) {
        return Ok(other);
    }
    let shown = path.display();
    let (mut file, _) = cache::open(path).ok_or_else(|| {
        Error::Input(format!("{shown} is no guest, or is damaged, or belongs to another user: build it again"))
    })?;
    let header = header(&mut file).ok_or_else(|| Error::Input(format!("{shown} is no guest: build it again")))?;
    if header.built_in != GUEST_SHA256 {
        return Err(Error::Input(format!("{shown} was built with another version of mentor: build it again")));
    }
    let memory_bytes = usize::try_from(header.memory_bytes).unwrap_or(usize::MAX);
    let other = Other { path: path.to_owned(), hash: header.hash, memory_bytes };
    let mut all = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    all.push((other.path.clone(), other.hash.clone(), memory_bytes));
    Ok(other)
}

/// Makes a guest of a component that was built from `SOURCES`, and writes it into the cache folder: its hash and its file.
pub fn build(component: &[u8]) -> Result<(String, PathBuf), Error> {
    let merged = merge(component, INTERFACE).map_err(|error| Error::Sandbox(error.to_string()))?;
    let mut hash = Sha256::new();
    hash.update(GUEST_SHA256);
    for part in [&merged.wasm, &merged.memory] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = hash.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let path = cache::path(&format!("guest-{}.built", &hash[..24]))
        .ok_or_else(|| Error::Sandbox("there is no folder for it: set MENTOR_CACHE_DIR".to_owned()))?;
    let failed = |error: io::Error| Error::Sandbox(format!("{}: {error}", path.display()));
    let code = zstd::bulk::compress(&merged.wasm, LEVEL).map_err(failed)?;
    let memory = zstd::bulk::compress(&merged.memory, LEVEL).map_err(failed)?;
    cache::store(&path, |file| {
        file.write_all(FORMAT)?;
        file.write_all(GUEST_SHA256.as_bytes())?;
        file.write_all(hash.as_bytes())?;
        file.write_all(&(merged.memory.len() as u64).to_le_bytes())?;
        file.write_all(&(code.len() as u64).to_le_bytes())?;
        file.write_all(&code)?;
        file.write_all(&memory)
    })
    .map_err(failed)?;
    Ok((hash, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_guest_has_its_parts() {
        let (code, memory) = Guest::default().parts().expect("embedded");
        assert!(code.starts_with(b"\0asm"));
        assert!(memory.len() > 1 << 20);
        assert_eq!(Guest::default().hash(), GUEST_SHA256);
    }

    #[test]
    fn what_is_no_guest_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("guest");
        assert!(matches!(Guest::open(&path), Err(Error::Input(message)) if message.contains("build it again")));
        cache::store(&path, |file| file.write_all(b"something else")).expect("written");
        assert!(matches!(Guest::open(&path), Err(Error::Input(message)) if message.contains("is no guest")));
        let other = [FORMAT.as_slice(), &[b'0'; 2 * HASH], &[0; 16]].concat();
        cache::store(&path, |file| file.write_all(&other)).expect("written");
        assert!(matches!(Guest::open(&path), Err(Error::Input(message)) if message.contains("another version")));
        assert!(matches!(build(b"\0asm"), Err(Error::Sandbox(_))));
    }
}
