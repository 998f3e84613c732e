//! Stacks for guests, kept for the next one: mapping and touching new pages would cost more than a small program.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::{StackCreator, StackMemory};

/// Stacks that are kept.
const MOST: usize = 16;
/// How much of a kept stack may stay in memory. Few programs need more; what deep recursion touched is given back.
const KEPT: usize = 1 << 18;
/// A stack is looked at once in so many uses; a run uses it three or four times.
const LOOK: u32 = 16;
/// Pages below that part that tell whether a guest went deeper: more than one, as a large frame may skip some.
const PROBES: usize = 16;
const PAGE: usize = 4096;
const GUARD: usize = 1 << 16;

#[derive(Default)]
struct Shelf(Mutex<Vec<Mapping>>);

/// Makes stacks, and takes them back.
#[derive(Default)]
pub(super) struct Stacks(Arc<Shelf>);

struct Mapping {
    start: *mut u8,
    /// With the guard at its start.
    len: usize,
    /// Uses since it was last looked at.
    uses: u32,
}

// SAFETY: plain memory with one owner.
#[allow(unsafe_code)]
unsafe impl Send for Mapping {}
// SAFETY: as above; nothing is read through a shared reference.
#[allow(unsafe_code)]
unsafe impl Sync for Mapping {}

#[allow(unsafe_code)]
impl Mapping {
    fn new(size: usize) -> io::Result<Self> {
        let len = size + GUARD;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping; then its upper part, all but the guard, is opened.
        unsafe {
            let start = libc::mmap(std::ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0);
            if start == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let this = Self { start: start.cast(), len, uses: 0 };
            let open = this.start.add(GUARD).cast();
            if libc::mprotect(open, size, libc::PROT_READ | libc::PROT_WRITE) != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(this)
        }
    }

    /// Whether memory below the uppermost part was touched.
    #[cfg(target_os = "linux")]
    fn is_deep(&self) -> bool {
        let mut resident = [0; PROBES];
        let Some(probes) = self.len.checked_sub(KEPT + PROBES * PAGE).filter(|&at| at >= GUARD) else { return false };
        // SAFETY: inside this mapping; the kernel writes one byte per page, and there are at most so many.
        let code = unsafe { libc::mincore(self.start.add(probes).cast(), PROBES * PAGE, resident.as_mut_ptr()) };
        code != 0 || resident.iter().any(|byte| byte & 1 != 0)
    }

    /// Whether memory below the uppermost part was touched: not known here.
    #[cfg(not(target_os = "linux"))]
    fn is_deep(&self) -> bool {
        true
    }

    /// Gives back all but the uppermost memory, where more was touched.
    fn trim(&mut self) {
        self.uses = (self.uses + 1) % LOOK;
        if self.uses != 0 || !self.is_deep() {
            return;
        }
        let surplus = self.len.saturating_sub(GUARD + KEPT);
        // SAFETY: inside this mapping, and nothing on an unused stack is needed.
        unsafe {
            libc::madvise(self.start.add(GUARD).cast(), surplus, libc::MADV_DONTNEED);
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this mapping's own range; no guest runs on it any more.
        #[allow(unsafe_code)]
        unsafe {
            libc::munmap(self.start.cast(), self.len);
        }
    }
}

struct Stack {
    mapping: Option<Mapping>,
    shelf: Arc<Shelf>,
}

impl Stack {
    fn bounds(&self) -> (usize, usize, *mut u8) {
        self.mapping.as_ref().map_or((0, 0, std::ptr::null_mut()), |m| (m.start.addr(), m.len, m.start))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(mapping) = &mut self.mapping {
            mapping.trim();
        }
        let mut kept = self.shelf.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MOST {
            kept.extend(self.mapping.take());
        }
    }
}

// SAFETY: each stack is a mapping of its own, page-aligned, with a guard below; it is on the shelf or in use, never both.
#[allow(unsafe_code)]
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, zeroed: bool) -> Result<Box<dyn StackMemory>, wasmtime::Error> {
        let size = size.next_multiple_of(1 << 16);
        let kept = if zeroed { None } else { self.0.0.lock().unwrap_or_else(PoisonError::into_inner).pop() };
        let mapping = match kept.filter(|mapping| mapping.len == size + GUARD) {
            Some(mapping) => mapping,
            None => Mapping::new(size)?,
        };
        Ok(Box::new(Stack { mapping: Some(mapping), shelf: Arc::clone(&self.0) }))
    }
}

// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        let (_, len, start) = self.bounds();
        start.wrapping_add(len)
    }

    fn range(&self) -> Range<usize> {
        let (start, len, _) = self.bounds();
        start + GUARD..start + len
    }

    fn guard_range(&self) -> Range<*mut u8> {
        let (_, _, start) = self.bounds();
        start..start.wrapping_add(GUARD)
    }
}
