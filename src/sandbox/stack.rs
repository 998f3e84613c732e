//! Stacks for guests, kept for the next one: mapping and touching new pages would cost more than a small program.

use super::mapping::Mapping;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::{StackCreator, StackMemory};

/// Stacks that are kept.
const MOST: usize = 16;
/// How much of a kept stack may stay in memory. Few programs need more; what deep recursion touched is given back.
const KEPT: usize = 1 << 18;
/// Memory below that part that tells whether a guest went deeper: unused, it is zero. Deep recursion leaves at least a
/// return address in each frame, and frames are far smaller than this.
const PROBE: usize = 1 << 13;
const GUARD: usize = 1 << 16;

#[derive(Default)]
struct Shelf(Mutex<Vec<Mapping>>);

/// Makes stacks, and takes them back.
#[derive(Default)]
pub(super) struct Stacks(Arc<Shelf>);

/// A new one, its guard closed.
fn stack(size: usize) -> io::Result<Mapping> {
    let mapping = Mapping::reserve(size + GUARD)?;
    mapping.open(GUARD, size + GUARD)?;
    Ok(mapping)
}

/// Whether a guest went below the uppermost part of an unused stack.
fn is_deep(stack: &Mapping) -> bool {
    let Some(at) = stack.len.checked_sub(KEPT + PROBE).filter(|&at| at >= GUARD) else { return false };
    // SAFETY: inside this mapping, above the guard, and aligned; nothing runs on an unused stack.
    #[allow(unsafe_code, clippy::cast_ptr_alignment)]
    let probe = unsafe { std::slice::from_raw_parts(stack.start.add(at).cast::<u64>(), PROBE / 8) };
    probe.iter().fold(0, |all, word| all | word) != 0
}

/// Gives back all but the uppermost memory of an unused stack, where more was used.
fn trim(stack: &Mapping) {
    if !is_deep(stack) {
        return;
    }
    let surplus = stack.len.saturating_sub(GUARD + KEPT);
    // SAFETY: inside this mapping, and nothing on an unused stack is needed; the memory reads as zero afterwards.
    #[allow(unsafe_code)]
    unsafe {
        libc::madvise(stack.start.add(GUARD).cast(), surplus, libc::MADV_DONTNEED);
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
        if let Some(mapping) = &self.mapping {
            trim(mapping);
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
            None => stack(size)?,
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

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 1 << 20;

    /// Where a guest that needs so many bytes of stack writes its last frame.
    fn deepest(stack: &dyn StackMemory, bytes: usize) -> *mut u64 {
        stack.top().wrapping_sub(bytes).cast()
    }

    #[test]
    #[allow(unsafe_code)]
    fn what_deep_recursion_touched_is_given_back_and_the_rest_kept() {
        let stacks = Stacks::default();
        let stack = stacks.new_stack(SIZE, false).expect("a stack");
        let top = stack.top();
        // SAFETY: all within this stack, on which nothing runs.
        unsafe { (8..=SIZE).step_by(8).for_each(|bytes| deepest(&*stack, bytes).write(1)) };
        drop(stack);

        let again = stacks.new_stack(SIZE, false).expect("the same stack");
        assert_eq!(again.top(), top);
        // SAFETY: as above.
        let words = unsafe { [8, KEPT, KEPT + 8, SIZE / 2, SIZE].map(|bytes| deepest(&*again, bytes).read()) };
        assert_eq!(words, [1, 1, 0, 0, 0]);
    }

    #[test]
    fn a_stack_that_must_be_zero_is_a_new_one() {
        let stacks = Stacks::default();
        drop(stacks.new_stack(SIZE, false).expect("a stack"));
        assert_eq!(stacks.0.0.lock().expect("no panic").len(), 1);
        drop(stacks.new_stack(SIZE, true).expect("another"));
        assert_eq!(stacks.0.0.lock().expect("no panic").len(), 2);
    }
}
