//! Sets of pages, and states as the pages that differ from the master image.

use super::guests::Guest;
use super::host::World;
use super::image::{Image, PAGE};
use std::ops::Range;

/// A set of page numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct PageSet {
    words: Vec<u64>,
    count: usize,
}

impl PageSet {
    pub fn insert(&mut self, pages: Range<usize>) {
        if self.words.len() * 64 < pages.end {
            self.words.resize(pages.end.div_ceil(64), 0);
        }
        for page in pages {
            let (word, bit) = (&mut self.words[page / 64], 1 << (page % 64));
            self.count += usize::from(*word & bit == 0);
            *word |= bit;
        }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// Runs of neighbouring pages, in order.
    pub fn runs(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = self.next(at, 0)?;
            at = self.next(start, u64::MAX).unwrap_or(self.words.len() * 64);
            Some(start..at)
        })
    }

    /// The first page from `at` on that is in the set, or, with `flip`, that is not.
    fn next(&self, at: usize, flip: u64) -> Option<usize> {
        let mut mask = u64::MAX << (at % 64);
        for (index, word) in self.words.iter().enumerate().skip(at / 64) {
            let found = (word ^ flip) & mask;
            if found != 0 {
                return Some(index * 64 + found.trailing_zeros() as usize);
            }
            mask = u64::MAX;
        }
        None
    }
}

/// Everything that distinguishes an instance from a new one: the pages that differ, and the little else that can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub(super) runs: Vec<Range<usize>>,
    pub(super) data: Vec<u8>,
    /// Bytes of memory.
    pub(super) size: usize,
    pub(super) globals: Vec<i32>,
    pub(super) world: World,
    /// The largest value, in bytes of JSON, that the guest was told.
    pub(super) max_value: u32,
    /// Whose memory it is.
    pub(super) guest: Guest,
}

impl State {
    /// The state of a memory of which at most these pages differ from the image.
    pub(super) fn of(
        memory: &[u8],
        candidates: impl Iterator<Item = Range<usize>>,
        image: &Image,
    ) -> (Vec<Range<usize>>, Vec<u8>) {
        let (mut runs, mut data): (Vec<Range<usize>>, Vec<u8>) = (Vec::new(), Vec::new());
        for page in candidates.flatten() {
            let bytes = &memory[page * PAGE..(page + 1) * PAGE];
            if bytes == image.page(page) {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.end == page => run.end += 1,
                _ => runs.push(page..page + 1),
            }
            data.extend_from_slice(bytes);
        }
        (runs, data)
    }

    /// Bytes that this state holds.
    pub fn bytes(&self) -> usize {
        self.data.len() + self.world.disk.bytes() + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_a_set() {
        let mut set = PageSet::default();
        for pages in [3..5, 5..6, 63..130, 200..201, 4..5] {
            set.insert(pages);
        }
        assert_eq!(set.runs().collect::<Vec<_>>(), [3..6, 63..130, 200..201]);
        assert_eq!(set.len(), 3 + 67 + 1);
    }
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod properties;
