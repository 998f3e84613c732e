//! Objects: of equal keys the last counts.

#![expect(clippy::inline_always, reason = "measured: a call costs as much as what it does")]

use super::{Doc, Node, Text};

/// Objects with more keys look for duplicates with a table.
const FEW_KEYS: usize = 16;

/// Where texts stand while a value is being read: its own is not yet part of the document.
#[derive(Clone, Copy)]
pub(super) struct Tail<'t> {
    /// What the document's text will go on with.
    pub text: &'t str,
    /// Where it will begin.
    pub kept: usize,
}

/// Which keys an object may have: most have none twice, and then there is nothing to compare.
#[derive(Default)]
pub(super) struct Seen {
    bits: u64,
    /// Two keys may be equal.
    pub twice: bool,
}

impl Seen {
    /// Adds a key, which is written so. One with escapes may be equal to any other.
    #[inline(always)]
    pub(super) fn add(&mut self, key: Text, written: &[u8]) {
        let (first, last) = (written.first().copied().unwrap_or(0), written.last().copied().unwrap_or(0));
        let hash = usize::from(first) + 2 * usize::from(last) + 7 * written.len();
        let bit = 1 << (hash % 64);
        self.twice |= self.bits & bit != 0 || key.start() & super::UNESCAPED != 0;
        self.bits |= bit;
    }
}

impl Doc {
    #[inline]
    fn resolve<'t>(&'t self, text: Text, tail: Tail<'t>) -> &'t str {
        let start = text.start() as usize;
        if text.start() & super::UNESCAPED == 0 && start >= tail.kept {
            let start = start - tail.kept;
            return tail.text.get(start..start + text.len()).unwrap_or_default();
        }
        self.str(text)
    }

    /// Completes the object whose node is `index`: of equal keys the last stays.
    pub(super) fn close_object(&mut self, index: usize, len: u32, tail: Tail<'_>) {
        let end = self.next();
        let few = len as usize <= FEW_KEYS;
        let shadowed = if few { self.shadowed_few(index, end, tail) } else { self.shadowed_many(index, end, tail) };
        self.nodes[index] = Node::Object { len: len - shadowed, end };
    }

    fn shadowed_few(&mut self, index: usize, end: u32, tail: Tail<'_>) -> u32 {
        let mut keys = [(0_u8, Text::default(), 0_u32); FEW_KEYS];
        let mut count = 0;
        let mut shadowed = 0;
        let mut at = index as u32 + 1;
        while at < end {
            if let Node::String(key) = self.nodes[at as usize] {
                let text = self.resolve(key, tail);
                // Most keys differ in length or in their first byte: then there is no call of memcmp.
                let first = text.as_bytes().first().copied().unwrap_or_default();
                let same = |(other_first, other, _): &(u8, Text, u32)| {
                    *other_first == first && other.len() == key.len() && self.resolve(*other, tail) == text
                };
                if let Some(known) = keys[..count].iter().position(same) {
                    self.nodes[keys[known].2 as usize] = Node::Shadowed;
                    keys[known].2 = at;
                    shadowed += 1;
                } else {
                    keys[count] = (first, key, at);
                    count += 1;
                }
            }
            at = self.after(at + 1);
        }
        shadowed
    }

    fn shadowed_many(&mut self, index: usize, end: u32, tail: Tail<'_>) -> u32 {
        let mut last = std::collections::HashMap::new();
        let mut old = Vec::new();
        let mut at = index as u32 + 1;
        while at < end {
            if let Node::String(key) = self.nodes[at as usize]
                && let Some(known) = last.insert(self.resolve(key, tail), at)
            {
                old.push(known);
            }
            at = self.after(at + 1);
        }
        for at in &old {
            self.nodes[*at as usize] = Node::Shadowed;
        }
        old.len() as u32
    }
}
