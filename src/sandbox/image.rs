//! The master image: what every instance's memory is before a program runs.
//!
//! It is a file, mapped copy-on-write into each instance and read-only once for comparing and restoring. wasmtime's own
//! images would do for instantiation, but not for finding and undoing changes exactly.

use super::guests::Guest;
use super::mapping::Mapping;
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// Granularity of everything that is counted in pages here. The kernel's pages may be larger, never smaller.
pub(super) const PAGE: usize = 4096;
const WASM_PAGE: usize = 1 << 16;

/// Content of a memory, and of the module's written globals.
pub(super) struct Image {
    file: File,
    view: Mapping,
    /// Values of the globals `global-0`, `global-1`, ...
    pub globals: Vec<i32>,
    /// Pages that most programs write.
    pub hot: Vec<u32>,
    /// Whose it is.
    pub guest: Guest,
}

impl Image {
    /// An image of a file whose first `len` bytes are the memory.
    pub fn new(file: File, len: usize, globals: Vec<i32>) -> io::Result<Self> {
        if len == 0 || !len.is_multiple_of(WASM_PAGE) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an image is a number of whole pages"));
        }
        if file.metadata()?.len() < len as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "an image is shorter than it says"));
        }
        let view = Mapping::of_file(&file, len)?;
        Ok(Self { file, view, globals, hot: Vec::new(), guest: Guest::default() })
    }

    /// An image that lives as long as this process.
    pub fn anonymous(memory: &[u8], len: usize, globals: Vec<i32>) -> io::Result<Self> {
        let mut file = unnamed_file()?;
        write_sparse(&mut file, memory)?;
        file.set_len(len as u64)?;
        Self::new(file, len, globals)
    }

    /// The same, with pages that most programs write.
    pub fn heated(self, hot: Vec<u32>) -> Self {
        Self { hot, ..self }
    }

    /// The same, of another guest.
    pub fn of(self, guest: Guest) -> Self {
        Self { guest, ..self }
    }

    /// The memory.
    pub fn bytes(&self) -> &[u8] {
        self.view.bytes()
    }

    /// One page of it; zeros beyond its end.
    pub fn page(&self, page: usize) -> &[u8] {
        self.bytes().get(page * PAGE..(page + 1) * PAGE).unwrap_or(&[0; PAGE])
    }
}

/// Gives pages of a mapping their own memory ahead of their use, so that no program waits for it. Without success, and
/// where the kernel cannot do it, they get it when they are written.
pub(super) fn populate(start: *mut u8, pages: std::ops::Range<usize>) {
    #[cfg(target_os = "linux")]
    // SAFETY: the pages lie inside an instance's memory, and their content stays as it is.
    #[allow(unsafe_code)]
    unsafe {
        libc::madvise(start.add(pages.start * PAGE).cast(), pages.len() * PAGE, libc::MADV_POPULATE_WRITE);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, pages);
}

/// A file without a name: in memory where the kernel has such, else in the folder for temporary files.
pub(super) fn unnamed_file() -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::FromRawFd as _;
        // SAFETY: the name is a C string; the descriptor is new and has no other owner.
        #[allow(unsafe_code)]
        unsafe {
            let descriptor = libc::memfd_create(c"mentor".as_ptr(), libc::MFD_CLOEXEC);
            if descriptor >= 0 {
                return Ok(File::from_raw_fd(descriptor));
            }
        }
    }
    tempfile::tempfile()
}

/// Writes what is not zero, page by page, from the file's start.
pub(super) fn write_sparse(file: &mut File, memory: &[u8]) -> io::Result<()> {
    use std::io::{Seek as _, SeekFrom};
    for (page, bytes) in (0u64..).zip(memory.chunks(WASM_PAGE)) {
        if bytes.iter().any(|&byte| byte != 0) {
            file.seek(SeekFrom::Start(page * WASM_PAGE as u64))?;
            file.write_all(bytes)?;
        }
    }
    Ok(())
}

/// Makes the memories of instances from the current image.
#[derive(Default)]
pub(super) struct Memories(Mutex<Option<Arc<Image>>>);

impl Memories {
    /// The image of all instances to come.
    pub fn set(&self, image: Arc<Image>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(image);
    }
}

struct Memory {
    mapping: Mapping,
    size: usize,
    capacity: usize,
    /// Keeps the mapped file's image alive.
    _image: Arc<Image>,
}

// SAFETY: the mapping reserves `reserved` bytes and the guard behind them; the base never moves; `grow_to` opens no more
// than the reservation. The module has no data segments, so that what the image holds is not overwritten.
#[allow(unsafe_code)]
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _kind: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let image = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let image = image.ok_or("no image of the guest's memory")?;
        let capacity = reserved.ok_or("a memory without a reservation")?;
        let size = image.bytes().len();
        if size < minimum || size > capacity {
            return Err(format!("the image has {size} bytes, the module wants {minimum} to {capacity}"));
        }
        let describe = |error: io::Error| format!("cannot map {capacity} bytes of address space: {error}");
        let mapping = Mapping::reserve(capacity + guard).map_err(describe)?;
        mapping.overlay(&image.file, size).map_err(describe)?;
        Ok(Box::new(Memory { mapping, size, capacity, _image: image }))
    }
}

// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.capacity
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        if new_size > self.capacity {
            wasmtime::bail!("a memory beyond its reservation");
        }
        if new_size > self.size {
            self.mapping.open(self.size, new_size)?;
            self.size = new_size;
        }
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.mapping.start
    }
}
