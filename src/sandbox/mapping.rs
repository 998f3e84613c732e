//! Ranges of address space.

use std::fs::File;
use std::io;

/// A range of address space, unmapped when it is dropped.
pub(super) struct Mapping {
    pub start: *mut u8,
    pub len: usize,
}

// SAFETY: a mapping is plain memory; who may write to it is decided by its users.
#[allow(unsafe_code)]
unsafe impl Send for Mapping {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Mapping {}

#[cfg(unix)]
#[allow(unsafe_code)]
impl Mapping {
    fn map(
        at: *mut u8,
        len: usize,
        protection: libc::c_int,
        flags: libc::c_int,
        file: Option<&File>,
    ) -> io::Result<*mut u8> {
        use std::os::fd::AsRawFd as _;
        let descriptor = file.map_or(-1, std::os::fd::AsRawFd::as_raw_fd);
        debug_assert!(file.is_none_or(|file| file.as_raw_fd() >= 0));
        // SAFETY: a fixed address is only ever asked for inside a mapping that the caller owns; others the kernel chooses.
        let start = unsafe { libc::mmap(at.cast(), len, protection, flags, descriptor, 0) };
        if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(start.cast()) }
    }

    /// A file's first bytes, to read.
    pub fn of_file(file: &File, len: usize) -> io::Result<Self> {
        let start = Self::map(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_SHARED, Some(file))?;
        Ok(Self { start, len })
    }

    /// Address space without memory behind it.
    pub fn reserve(len: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let start = Self::map(std::ptr::null_mut(), len, libc::PROT_NONE, flags, None)?;
        Ok(Self { start, len })
    }

    /// Puts a private copy of a file's first bytes at the start.
    pub fn overlay(&self, file: &File, len: usize) -> io::Result<()> {
        assert!(len <= self.len);
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
        Self::map(self.start, len, libc::PROT_READ | libc::PROT_WRITE, flags, Some(file)).map(|_| ())
    }

    /// Makes a part readable and writable.
    pub fn open(&self, from: usize, to: usize) -> io::Result<()> {
        assert!(from <= to && to <= self.len);
        // SAFETY: the range lies inside this mapping.
        let code =
            unsafe { libc::mprotect(self.start.add(from).cast(), to - from, libc::PROT_READ | libc::PROT_WRITE) };
        if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped readable, for as long as `self` lives, from a file that nobody writes to any more.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

#[cfg(unix)]
impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is this mapping's own, and nothing refers to it any more.
        #[allow(unsafe_code)]
        unsafe {
            libc::munmap(self.start.cast(), self.len);
        }
    }
}
