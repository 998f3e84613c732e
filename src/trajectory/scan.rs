//! Where tags may begin.

#![expect(clippy::inline_always, reason = "measured: a call costs as much as what it does")]

use memchr::{memchr, memchr2, memchr3};

use super::formats::Format;
use super::tags::tag_at;
use super::template::Markup;
use crate::bytes::places_of;

/// The bytes that tags begin with: as few as possible, since every byte of a text is compared with them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Triggers {
    Angle,
    AngleBracket,
    AngleBrackets,
}

impl Triggers {
    pub(super) fn of(markup: Markup, format: Format) -> Self {
        match (markup, format) {
            (Markup::MiniMax, _) => Self::AngleBrackets,
            (Markup::Mistral | Markup::Content, _) | (_, Format::Mistral | Format::Xlam) => Self::AngleBracket,
            _ => Self::Angle,
        }
    }

    /// The first place from `from` on where a tag may begin.
    #[inline]
    pub(super) fn next(self, text: &[u8], from: usize) -> Option<usize> {
        let bytes = &text[from..];
        let offset = match self {
            Self::Angle => memchr(b'<', bytes),
            Self::AngleBracket => memchr2(b'<', b'[', bytes),
            Self::AngleBrackets => memchr3(b'<', b'[', b']', bytes),
        };
        offset.map(|offset| from + offset)
    }

    /// The first place from `from` on where a turn ends; the text's length without one.
    pub(super) fn end_of_turn(self, text: &str, mut from: usize, markup: Markup) -> usize {
        while let Some(at) = self.next(text.as_bytes(), from) {
            if tag_at(text, at, markup).is_some_and(|row| row.tag.bounds_turn()) {
                return at;
            }
            from = at + 1;
        }
        text.len()
    }

    /// Bit n: byte n is one of them.
    #[inline]
    fn places(self, block: &[u8; BLOCK]) -> u64 {
        match self {
            Self::Angle => joined(block, |quarter| places_of(b'<', b'<', quarter)),
            Self::AngleBracket => joined(block, |quarter| places_of(b'<', b'[', quarter)),
            Self::AngleBrackets => {
                joined(block, |quarter| places_of(b'<', b'[', quarter) | places_of(b']', b']', quarter))
            }
        }
    }
}

#[inline(always)]
fn joined(block: &[u8; BLOCK], places: impl Fn(&[u8; 16]) -> u16) -> u64 {
    let (quarters, _) = block.as_chunks();
    quarters.iter().rev().fold(0, |found, quarter| found << 16 | u64::from(places(quarter)))
}

const BLOCK: usize = u64::BITS as usize;

/// Finds the places where a tag may begin, one after the other. Looks at a block of bytes at once, and where
/// it is only asked to go on, at each byte once.
#[derive(Default)]
pub(super) struct Scanner {
    /// Where the block that was looked at ends.
    end: usize,
    /// Bit n: a tag may begin at byte n of it.
    places: u64,
}

impl Scanner {
    /// The first place from `from` on.
    #[inline]
    pub(super) fn next(&mut self, triggers: Triggers, text: &[u8], from: usize) -> Option<usize> {
        let mut start = from;
        let left = self.end.wrapping_sub(from);
        if (1..=BLOCK).contains(&left) {
            let places = self.places >> (BLOCK - left);
            if places != 0 {
                return Some(from + places.trailing_zeros() as usize);
            }
            start = self.end;
        }
        while let Some(block) = text.get(start..).and_then(<[u8]>::first_chunk) {
            let places = triggers.places(block);
            if places != 0 {
                (self.end, self.places) = (start + BLOCK, places);
                return Some(start + places.trailing_zeros() as usize);
            }
            start += BLOCK;
        }
        self.last(triggers, text, start)
    }

    /// The same in the last block, which is not whole.
    #[cold]
    fn last(&mut self, triggers: Triggers, text: &[u8], start: usize) -> Option<usize> {
        let rest = text.get(start..)?;
        let mut block = [0; BLOCK];
        block.get_mut(..rest.len())?.copy_from_slice(rest);
        (self.end, self.places) = (start + BLOCK, triggers.places(&block));
        (self.places != 0).then(|| start + self.places.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long gaps and short ones, places at every distance from a block's ends.
    #[test]
    fn a_scanner_finds_what_a_search_finds() {
        let mut text = String::new();
        for gap in (0..80).chain([63, 64, 65, 127, 128, 129, 300]) {
            text.extend(std::iter::repeat_n('.', gap));
            text.push(['<', '[', ']', 'é'][gap % 4]);
        }
        for triggers in [Triggers::Angle, Triggers::AngleBracket, Triggers::AngleBrackets] {
            for step in [1, 2, 7, 64, 100] {
                for end in [text.len(), text.len() - 400, 65, 64, 63, 1, 0] {
                    let bytes = &text.as_bytes()[..end];
                    let (mut scanner, mut at) = (Scanner::default(), 0);
                    while at <= end {
                        let want = triggers.next(bytes, at);
                        assert_eq!(scanner.next(triggers, bytes, at), want, "{triggers:?} from {at} of {end}");
                        at = want.unwrap_or(at) + step;
                    }
                }
            }
        }
    }
}
