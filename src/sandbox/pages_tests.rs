//! Page sets against a set of the standard library, and states against plain copies.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const PAGES: usize = 32;

fn ranges() -> impl Strategy<Value = Vec<Range<usize>>> {
    prop::collection::vec((0..700usize, 0..140usize).prop_map(|(start, len)| start..start + len), 0..12)
}

/// Changes of single bytes: page, place, value.
fn changes(pages: usize) -> impl Strategy<Value = Vec<(usize, usize, u8)>> {
    prop::collection::vec((0..pages, 0..PAGE, any::<u8>()), 0..40)
}

fn image() -> (Vec<u8>, Image) {
    let bytes: Vec<u8> =
        (0..PAGES * PAGE).map(|at| u8::try_from(at / 3 % 251).expect("small") * u8::from(at / PAGE % 5 != 2)).collect();
    let image = Image::anonymous(&bytes, bytes.len(), Vec::new()).expect("a temporary file");
    (bytes, image)
}

proptest! {
    #[test]
    fn a_set_holds_what_was_put_in(ranges in ranges()) {
        let (mut set, mut plain) = (PageSet::default(), BTreeSet::new());
        for range in ranges {
            set.insert(range.clone());
            plain.extend(range);
            prop_assert_eq!(set.len(), plain.len());
        }
        let runs: Vec<_> = set.runs().collect();
        prop_assert!(runs.iter().all(|run| !run.is_empty()));
        prop_assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start), "{:?}", runs);
        prop_assert_eq!(runs.into_iter().flatten().collect::<Vec<_>>(), plain.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_state_is_what_differs(changes in changes(PAGES + 16), grown in 0..=16usize) {
        let (bytes, image) = image();
        let mut memory = bytes.clone();
        memory.resize((PAGES + grown) * PAGE, 0);
        let mut written = PageSet::default();
        for (page, at, value) in changes {
            if let Some(byte) = memory.get_mut(page * PAGE + at) {
                *byte = value;
                written.insert(page..page + 1);
            }
        }
        let (runs, data) = State::of(&memory, written.runs(), &image);
        prop_assert_eq!(data.len(), runs.iter().map(|run| run.len() * PAGE).sum::<usize>());
        let (mut copy, mut rest) = (bytes, data.as_slice());
        copy.resize(memory.len(), 0);
        for run in &runs {
            let (part, others) = rest.split_at(run.len() * PAGE);
            for page in run.clone() {
                prop_assert!(memory[page * PAGE..(page + 1) * PAGE] != *image.page(page), "an equal page is left out");
            }
            copy[run.start * PAGE..run.end * PAGE].copy_from_slice(part);
            rest = others;
        }
        prop_assert!(copy == memory);
        let all = State::of(&memory, std::iter::once(0..memory.len() / PAGE), &image);
        prop_assert!(all == (runs, data), "more candidates change nothing");
    }
}
