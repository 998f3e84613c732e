//! What is made once per machine, on disk: compiled code, and the master image.
//!
//! Loading compiled code means trusting it, so the folder and each file must belong to this user and be closed to others,
//! and a digest at a file's end must match: a damaged, foreign or outdated file is made anew.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

const DIGEST: usize = 16;
const BLOCK: usize = 1 << 20;

/// The cache folder: `MENTOR_CACHE_DIR`, else `mentor-rs` in the user's cache folder.
pub fn folder() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    var("MENTOR_CACHE_DIR")
        .or_else(|| var("XDG_CACHE_HOME").filter(|p| p.is_absolute()).map(|p| p.join("mentor-rs")))
        .or_else(|| var("HOME").map(|p| p.join(".cache/mentor-rs")))
}

/// Where the file of that name lives.
pub(super) fn path(name: &str) -> Option<PathBuf> {
    folder().map(|folder| folder.join(name))
}

/// Opens a file that can be trusted: it is what `store` wrote, whole. Gives its length without the digest.
pub(super) fn open(path: &Path) -> Option<(File, u64)> {
    if !is_private(path.parent()?) || !is_private(path) {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let len = file.metadata().ok()?.len().checked_sub(DIGEST as u64)?;
    let found = digest(&mut (&file).take(len)).ok()?;
    let mut digest = [0; DIGEST];
    file.read_exact(&mut digest).ok()?;
    (found == digest).then_some((file, len))
}

/// Writes a file: all of it or nothing, whoever else writes the same one.
pub(super) fn store(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    create_private(folder)?;
    if !is_private(folder) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the cache folder is open to other users"));
    }
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    write(file.as_file_mut())?;
    let found = digest(&mut file.reopen()?)?;
    io::Seek::seek(file.as_file_mut(), io::SeekFrom::End(0))?;
    file.write_all(&found)?;
    file.persist(path)?;
    Ok(())
}

/// Against damage, not against enemies: those are kept out by the folder's mode.
fn digest(from: &mut impl Read) -> io::Result<[u8; DIGEST]> {
    let mut hash = Xxh3::new();
    let mut block = vec![0; BLOCK];
    loop {
        match from.read(&mut block)? {
            0 => return Ok(hash.digest128().to_le_bytes()),
            len => hash.update(&block[..len]),
        }
    }
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
    // SAFETY: the call takes nothing and cannot fail.
    #[allow(unsafe_code)]
    let me = unsafe { libc::geteuid() };
    // Neither a link nor a pipe: opening one of these could lead elsewhere, or wait for ever.
    let plain = |meta: &fs::Metadata| meta.is_file() || meta.is_dir();
    fs::symlink_metadata(path).is_ok_and(|meta| plain(&meta) && meta.uid() == me && meta.mode() & 0o022 == 0)
}

#[cfg(not(unix))]
fn is_private(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() || meta.is_dir())
}
