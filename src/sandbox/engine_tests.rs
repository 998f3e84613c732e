//! Image files: what is written is read, what was damaged is not.

use super::*;

const GLOBALS: [i32; 2] = [i32::MIN, 77];
const HOT: [u32; 3] = [0, 5, 31];
/// The format, globals, hot pages, their numbers, the length of the memory.
const TRAILER: usize = 8 + 4 * GLOBALS.len() + 4 * HOT.len() + 3 * 8;

fn memory() -> Vec<u8> {
    (0..2 << 16).map(|at| u8::try_from(at / 7 % 251).expect("small")).collect()
}

/// A private folder, and the file of an image in it.
fn stored() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cache").join("x.image");
    cache::store(&path, |file| write_image(file, &memory(), &GLOBALS, &HOT)).expect("it can be written");
    (folder, path)
}

#[test]
fn an_image_is_read_as_it_was_written() {
    let (_folder, path) = stored();
    let image = image_of(&path).expect("an image");
    assert!(image.bytes() == memory());
    assert_eq!((image.globals.as_slice(), image.hot.as_slice()), (GLOBALS.as_slice(), HOT.as_slice()));
}

#[test]
fn damage_anywhere_is_seen() {
    let (_folder, path) = stored();
    let whole = std::fs::read(&path).expect("readable");
    let header = whole.len() - TRAILER - 16;
    for at in (header..whole.len()).chain([0, 1, 4096, header - 1]) {
        for bit in [1, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= bit;
            std::fs::write(&path, damaged).expect("writable");
            assert!(image_of(&path).is_none(), "byte {at}");
        }
    }
    for len in [0, 1, 15, 16, 17, 40, header, whole.len() - 1] {
        std::fs::write(&path, &whole[..len]).expect("writable");
        assert!(image_of(&path).is_none(), "{len} bytes");
    }
}

#[test]
fn a_header_that_cannot_be_right_is_refused_though_its_digest_fits() {
    let (_folder, path) = stored();
    let whole = std::fs::read(&path).expect("readable");
    let whole = &whole[..whole.len() - 16];
    let store = |content: &[u8]| cache::store(&path, |file| file.write_all(content)).expect("writable");
    let header = whole.len() - TRAILER;
    for at in header..whole.len() {
        for bit in (0..8).map(|bit| 1 << bit) {
            let mut damaged = whole.to_vec();
            damaged[at] ^= bit;
            store(&damaged);
            let image = image_of(&path);
            let place = at - header;
            match &image {
                Some(image) if (8..16).contains(&place) => assert_ne!(image.globals, GLOBALS),
                Some(image) => {
                    assert!((16..28).contains(&place), "byte {place}");
                    assert!(image.hot.iter().all(|&page| page < 32), "byte {place}");
                }
                None => assert!(!(8..16).contains(&place), "byte {place}"),
            }
        }
    }
    for at in [whole.len() - 8, whole.len() - 16, whole.len() - 24] {
        for number in [0, 1, 2, 3, 16, 17, u64::MAX, 1 << 63, whole.len() as u64, header as u64 + 1, u64::MAX - 15] {
            let mut damaged = whole.to_vec();
            let same = damaged[at..at + 8] == number.to_le_bytes();
            damaged[at..at + 8].copy_from_slice(&number.to_le_bytes());
            store(&damaged);
            assert_eq!(image_of(&path).is_some(), same, "{number} at {at}");
        }
    }
    for len in (0..80).chain([header, header + 1, whole.len() - 1]) {
        store(&whole[..len]);
        assert!(image_of(&path).is_none(), "{len} bytes");
    }
}
