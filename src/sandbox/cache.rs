//! Compiled code on disk, so that a machine compiles the guest once.
//!
//! Loading compiled code means trusting it like a shared library. So the folder must belong to the user and be closed to
//! others, the file too, and a digest at its end must match: a damaged, foreign or outdated file is compiled anew.

use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use wasmtime::component::Component;
use wasmtime::{Engine, Result};

const DIGEST: usize = 32;

/// The cache folder: `MENTOR_CACHE_DIR`, else `mentor-rs` in the user's cache folder.
pub fn folder() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    var("MENTOR_CACHE_DIR")
        .or_else(|| var("XDG_CACHE_HOME").filter(|p| p.is_absolute()).map(|p| p.join("mentor-rs")))
        .or_else(|| var("HOME").map(|p| p.join(".cache/mentor-rs")))
}

/// Where compiled code with this key lives.
pub fn path(key: &str) -> Option<PathBuf> {
    folder().map(|folder| folder.join(format!("guest-{key}.cwasm")))
}

/// Loads compiled code; none where there is no file that can be trusted.
pub(super) fn load(engine: &Engine, path: &Path) -> Option<Component> {
    if !is_private(path.parent()?) || !is_private(path) || !is_whole(path).unwrap_or(false) {
        return None;
    }
    // SAFETY: the file lies in a folder that only this user can write, belongs to this user, and ends with the digest
    // of its content, so it is what `store` wrote; wasmtime checks that version, configuration and CPU fit.
    #[allow(unsafe_code)]
    let component = unsafe { Component::deserialize_file(engine, path) };
    component.ok()
}

/// Compiled code from this process's own memory.
pub(super) fn load_bytes(engine: &Engine, code: &[u8]) -> Result<Component> {
    // SAFETY: `code` was made by `Component::serialize` in this process, or in the one that it was forked from.
    #[allow(unsafe_code)]
    unsafe {
        Component::deserialize(engine, code)
    }
}

/// Writes compiled code: all of it or nothing, whoever else writes the same file.
pub(super) fn store(path: &Path, code: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    create_private(folder)?;
    if !is_private(folder) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the cache folder is open to other users"));
    }
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(code)?;
    file.write_all(&Sha256::digest(code))?;
    file.persist(path)?;
    Ok(())
}

fn is_whole(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let Some(mut left) = usize::try_from(file.metadata()?.len()).ok().and_then(|len| len.checked_sub(DIGEST)) else {
        return Ok(false);
    };
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 20];
    while left > 0 {
        let part = left.min(block.len());
        file.read_exact(&mut block[..part])?;
        hash.update(&block[..part]);
        left -= part;
    }
    let mut digest = [0; DIGEST];
    file.read_exact(&mut digest)?;
    Ok(hash.finalize()[..] == digest)
}

#[cfg(unix)]
fn create_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn create_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Owned by this user and not writable for others; links are not followed.
#[cfg(unix)]
fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // A file that we just made tells our own user id without a call into libc.
    let me = tempfile::tempfile().and_then(|file| file.metadata()).map(|meta| meta.uid());
    match (fs::symlink_metadata(path), me) {
        (Ok(meta), Ok(me)) => !meta.is_symlink() && meta.uid() == me && meta.mode() & 0o022 == 0,
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_private(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_symlink())
}
