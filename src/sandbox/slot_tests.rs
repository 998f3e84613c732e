//! A reset slot is compared with the master image. Here it is damaged in every way that the comparison must see.

use super::*;
use crate::sandbox::engine::{Runtime, Variant};
use crate::sandbox::exec::block_on;

/// A slot of its own, which has run a program and was reset.
fn slot(way: Tracking) -> Slot {
    let runtime = Runtime::get();
    let kit = runtime.kit(Variant::default()).expect("the guest can be had");
    block_on(
        async {
            let mut slot = kit.instance(Some(way)).await.expect("an instance");
            run(&mut slot, "x = [bytes(300) for _ in range(1000)]\nprint(len(x))").await;
            slot.reset().expect("a usual program");
            slot
        },
        || {},
    )
}

async fn run(slot: &mut Slot, source: &str) -> Outcome {
    let limits = Limits::default();
    slot.start(Origin::default(), &limits).await.expect("starts");
    slot.act(Action::Run { source, filename: "<code>" }, &limits, &Arc::default()).await
}

impl Slot {
    fn flip(&mut self, at: usize) {
        self.memory.data_mut(&mut self.store)[at] ^= 1;
    }
}

#[test]
fn a_reset_slot_is_like_the_image() {
    for way in Tracking::available() {
        let mut slot = slot(way);
        assert!(slot.pages() > 10, "{way:?}: {}", slot.pages());
        assert_eq!((slot.check(true), slot.check(false)), (Ok(()), Ok(())), "{way:?}");
    }
}

#[test]
fn one_changed_byte_is_seen() {
    for way in Tracking::available() {
        let mut slot = slot(way);
        let len = slot.bytes().len();
        let known = slot.written.runs().next().expect("a page").start * PAGE;
        for at in [0, 1, 4095, 4096, len / 2 + 77, len - 1, known] {
            slot.flip(at);
            assert_eq!(
                (slot.check(true), slot.check(false)),
                (Err(Spent::Differs), Err(Spent::Differs)),
                "{way:?} {at}"
            );
            slot.flip(at);
            assert_eq!((slot.check(true), slot.check(false)), (Ok(()), Ok(())), "{way:?} {at}");
        }
    }
}

#[test]
fn a_changed_global_is_seen() {
    for way in Tracking::available() {
        let mut slot = slot(way);
        assert!(!slot.globals().is_empty());
        for at in 0..slot.globals().len() {
            let mut values = slot.globals();
            values[at] ^= 16;
            slot.set_globals(&values).expect("as many");
            assert_eq!(
                (slot.check(true), slot.check(false)),
                (Err(Spent::Differs), Err(Spent::Differs)),
                "{way:?} {at}"
            );
            slot.reset().expect("nothing else was written");
            assert_eq!(slot.check(true), Ok(()), "{way:?} {at}");
        }
    }
}

#[test]
fn a_write_that_tracking_misses_is_seen() {
    for way in Tracking::available() {
        let mut slot = slot(way);
        let at = slot.bytes().len() - 5000;
        // Outside of a run: nobody counts the page fault.
        slot.flip(at);
        slot.reset().expect("a page at most");
        let expected = match way {
            Tracking::Protect => Ok(()),
            Tracking::Scan => Err(Spent::Differs),
        };
        assert_eq!((slot.check(true), slot.check(false)), (expected, expected), "{way:?}");
    }
}

#[test]
fn a_slot_that_grew_or_wrote_much_is_not_used_again() {
    for way in Tracking::available() {
        for (source, spent) in [
            ("x = bytearray(40 << 20)", Spent::Grown),
            ("x = bytearray(7 << 20)\nx[::4096] = b'x' * len(x[::4096])", Spent::Pages),
        ] {
            let mut slot = slot(way);
            assert!(block_on(run(&mut slot, source), || {}).ok());
            assert_eq!(slot.reset(), Err(spent), "{way:?}");
        }
    }
}

#[test]
fn a_saved_state_is_loaded_exactly() {
    let runtime = Runtime::get();
    let kit = runtime.kit(Variant::default()).expect("the guest can be had");
    for way in Tracking::available().into_iter().map(Some).chain([None]) {
        for source in ["x = [1, 2, 3]", "x = bytearray(40 << 20)\nx[5] = 7", "import sqlite3, os\nos.urandom(9)\n1 / 0"]
        {
            block_on(
                async {
                    let mut slot = kit.instance(way).await.expect("an instance");
                    run(&mut slot, source).await;
                    let state = slot.save();
                    for other in [way, None] {
                        let mut copy = kit.instance(other).await.expect("an instance");
                        copy.load(&state).expect("loads");
                        assert!(copy.bytes() == slot.bytes(), "{way:?} {source}");
                        assert_eq!(copy.globals(), slot.globals());
                        assert!(copy.save() == state, "{other:?} after {way:?}: {source}");
                        if other.is_some() && copy.reset().is_ok() {
                            assert_eq!(copy.check(true), Ok(()));
                        }
                    }
                },
                || {},
            );
        }
    }
}
